"""Free text of a recipe or a server in Markdown, shown as it is."""

import re


def plain(text: str) -> str:
    """Return a recipe's or a server's free text on one line of Markdown that shows it as it is: no sign of it is markup or ends a cell."""
    return re.sub(r'[^\w .,:/@+-]', _reference, ' '.join(text.split()))


def _reference(sign: re.Match) -> str:
    return f'&#{ord(sign[0])};'
