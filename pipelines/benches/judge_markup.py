"""A judge's reply as it is seen: without Markdown, HTML, TeX and quotes, the digits of every script as 0 to 9."""

import re
import unicodedata

# 066b and 066c are the Arabic decimal and thousands marks
_SIGNS = str.maketrans({'\u066b': '.', '\u066c': ',', '。': '.', '、': ',', '−': '-', '⁄': '/', '∕': '/'})
_FULLWIDTH = range(0xFF01, 0xFF5F)  # these stand 0xFEE0 behind ASCII
_MARKS = (
    (r'(?m)^[^\S\n]*(?:```|~~~)\w*', ''),  # a fence of code
    (r'</?[A-Za-z][^<>\n]*>', ' '),  # HTML and tags such as <score>
    (r'(?m)^[^\S\n]*#+(?=\s)', ''),  # a heading
    (r'(?m)^[^\S\n]*[•*+][^\S\n]+', ''),  # a point of a list; not `-`, which may be a minus
    (r'\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}', r'\1/\2'),
    (r'\\(?:boxed|fbox|text\w*|math\w+)\s*(?=\{)|\\[()\[\],;!]|\$', ''),
    (r'\{,\}', ','),  # TeX's comma within a number
    (r'\\%', '%'),
    (r'(?<!\d)\*+|\*+(?!\d)|(?<!\w)_+|_+(?!\w)|`', ''),  # bold, italic, code
    (r'["“”„«»‘’\']', ''),
    (r'(?m)^[^\S\n]*\|+|\|+[^\S\n]*$', ''),  # the ends of a table's row
)


def as_seen(text: str) -> str:
    """Return a reply without what marks it up; braces stay where they are no TeX."""
    text = plain_signs(text)
    braced = re.search(r'\\(?:boxed|fbox|text|math)', text)
    for pattern, instead in _MARKS:
        text = re.sub(pattern, instead, text)
    return (re.sub(r'[{}]', ' ', text) if braced else text).strip()


def plain_signs(text: str) -> str:
    """Return text with ASCII for full-width signs and for the digits of every script, without invisible characters."""
    return ''.join(map(_plain, text.replace('\r\n', '\n'))).translate(_SIGNS)


def _plain(char: str) -> str:
    if char.isascii():
        return char
    if ord(char) in _FULLWIDTH:
        return chr(ord(char) - 0xFEE0)
    kind = unicodedata.category(char)
    if kind == 'Nd':
        return str(unicodedata.decimal(char))
    return ' ' if kind == 'Zs' else '' if kind == 'Cf' else '\n' if kind in ('Zl', 'Zp') else char
