"""What a generator's reply says: the answers it proposes. What is not what was asked for is unread, never mended."""

import json
import re
from collections.abc import Sequence

from schemas.records import Reason

# Signs around a whole answer: a model's, not the answer's. Fences and backticks stay: an answer in code has them where the right one does.
_PAIRS = (('**', '**'), ('"', '"'), ("'", "'"), ('“', '”'), ('‘', '’'), ('«', '»'), ('„', '“'))
_FENCE = re.compile(r'^[ \t]*(?:```|~~~)[ \t]*(?:json[c5]?)?[ \t]*$', re.IGNORECASE | re.MULTILINE)
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")
_MOST_STARTS = 20  # braces at which an object is looked for: words before it hold few


def read_paper_answer(text: str, kind: str = 'incorrect') -> tuple[tuple[str, str], ...] | Reason:
    """Return ((answer, kind),) from a reply that is one answer, or the reason why there is none."""
    answer = _bare(text.strip())
    return ((answer, kind),) if answer else Reason.UNPARSABLE_REPLY


def read_grounded_answers(text: str, kinds: Sequence[str] = ('incorrect', 'ambiguous')) -> tuple[tuple[str, str], ...] | Reason:
    """Return ((answer, kind), ...) from a reply that holds one JSON object with an answer for each of `kinds`, or the reason.

    It may stand in a fence and between words. Two objects, other names for the keys, another case, an answer that is no text, single quotes or a
    comma too many are unread: what a reply means is not guessed.
    """
    found = object_in(text)
    if found is None or any(not isinstance(found.get(kind), str) for kind in kinds):
        return Reason.UNPARSABLE_REPLY
    # half a surrogate pair, which JSON can escape and no file takes, becomes '?'
    answers = tuple((found[kind].encode('utf-8', 'replace').decode().strip(), kind) for kind in kinds)
    return answers if all(answer for answer, _ in answers) else Reason.UNPARSABLE_REPLY


def object_in(text: str) -> dict | None:
    """Return the one JSON object of a text, None if there is none or more than one."""
    fenced = _FENCE.split(text)
    if len(fenced) == 3:
        text = fenced[1] if '{' not in fenced[0] + fenced[2] else ''
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # a model may write a thousand brackets
        found = _between_words(text)
    return found if isinstance(found, dict) else None


def _between_words(text: str) -> dict | None:
    found: list[dict] = []
    at, decoder = text.find('{'), json.JSONDecoder()
    for _ in range(_MOST_STARTS):
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            found.append(value)
        at = text.find('{', end)
    whole = len(found) == 1 and at < 0
    return found[0] if whole else None


def _bare(text: str) -> str:
    """Return an answer without the quotes or the bold that stand around all of it."""
    for opening, closing in _PAIRS:
        if len(text) < len(opening + closing) or not (text.startswith(opening) and text.endswith(closing)):
            continue
        inner = text[len(opening):len(text) - len(closing)]
        plain = _APOSTROPHE.sub('', inner)
        if opening not in plain and closing not in plain:  # '"A" or "B"' is two words in quotes, not one text
            return _bare(inner.strip())
    return text
