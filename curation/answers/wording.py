"""The words of a short answer: when two say the same in the same words, and when one stands inside the other.

Strict: an operator, a sign, an exponent, an emoji or the indentation of code carries meaning. Only what carries none does not count: case, final
punctuation, outer quotes, Markdown's bold, repeated blanks, articles, invisible characters, and which of several characters writes one sign.
"""

import re
import unicodedata
from collections.abc import Sequence

from curation.answers.kinds import NEGATIONS, yes_or_no
from curation.english.remembered import remembered

_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # full-width forms of ASCII, as Chinese and Japanese texts have them
_BLANKS = dict.fromkeys(map(ord, '\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000'), ' ')
_INVISIBLE = dict.fromkeys(map(ord, '\u00ad\u200b\u200c\u2060\ufeff'))
_QUOTES = {ord(char): '"' for char in '“”„«»'} | {ord(char): "'" for char in '‘’ʼ'}
SAME_SIGN = {**_WIDE, **_BLANKS, **_INVISIBLE, **_QUOTES, ord('−'): '-', ord('。'): '.', ord('‐'): '-', ord('‑'): '-'}
_PAIRS = (('**', '**'), ('__', '__'), ('*', '*'), ('`', '`'), ('"', '"'), ("'", "'"), ('$$', '$$'), ('$', '$'), ('\\(', '\\)'), ('\\[', '\\]'))
_OPENS = frozenset('*_`"\'$\\')
_ENDS = frozenset(' \t\n.,;:!?')
_FACTORIAL = re.compile(r'(?:^|[\W\d])(?:\d+|[^\W\d]|\))!$')
_ARTICLE = re.compile(r'(?:^|(?<=[\s(]))(?:the (?=[^\W\d_])|an? (?!sin|cos|tan|log|ln|exp)(?=[^\W\d_]{3}))', re.IGNORECASE)
_FORMULA = re.compile(r'[=+*/^\\<>|{}_$\d×÷√∑∫≤≥≠]')
_TOKEN = re.compile(r'\d+(?:[.,:/]\d+)*|[^\W\d_]+|\S')
_SENTENCE_MARKS = frozenset('.,;:?!"\'`()[]{}*_')
_SHOWN_RESULT = frozenset('=≈:')  # what stands behind them may be the whole answer: x = 5
_DASHES = frozenset('-–—')


@remembered
def said(answer: str) -> str:
    """Return the words of `answer`: equal for two answers that say the same in the same words."""
    text = answer.strip()
    if not text.isascii():
        text = unicodedata.normalize('NFC', text.translate(SAME_SIGN))
    text = '\n'.join(map(_line, text.splitlines())) if '\n' in text else ' '.join(text.split())
    bare = unwrapped(text)
    plain = bare.casefold()
    return plain if _FORMULA.search(plain) else _ARTICLE.sub('', plain) or plain


def unwrapped(text: str) -> str:
    """Return `text` without the quotes, marks of Markdown and of formulas around it, and without its final punctuation."""
    before = ''
    while before != text and (text[:1] in _OPENS or text[-1:] in _ENDS):  # not the ordinary answer
        before = text
        for opening, closing in _PAIRS if text[:1] in _OPENS else ():
            inner = text[len(opening) : -len(closing)]
            if text.startswith(opening) and text.endswith(closing) and inner.strip() and opening not in inner and closing not in inner:
                text = inner if '\n' in inner else inner.strip()
        if not _FACTORIAL.search(text[-12:]):
            text = _without_end(text)
    return text


def _without_end(text: str) -> str:
    """Return `text` without the blanks and marks behind its last sign, one of nothing else as it is."""
    before, after = '', text
    while before != after:
        before, after = after, after.rstrip().rstrip('.,;:!?')
    return after or text


def _line(line: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return indent + ' '.join(line.split())


def contained(inner: str, outer: str) -> bool:
    """Return whether the words of `inner` stand in a row inside `outer` as a thing of their own, and what is around them does not negate.

    A part of a formula or of a name is none: `5` is not in `5 > 3`, `C` not in `C++`, `3` not in `3:00`.
    """
    if said(inner).replace(' ', '') not in said(outer).replace(' ', ''):  # the ordinary case, without looking for words
        return False
    a, b = _words(inner), _words(outer)
    run, told = [word for word, _, _ in a], [word for word, _, _ in b]
    for start in range(len(b) - len(a) + 1) if a else ():
        if told[start] == run[0] and len(a) < len(b) and told[start : start + len(a)] == run:
            stop = start + len(a)
            if not (_is_free(b, start - 1, start) and _is_free(b, stop, stop - 1)):
                continue
            around = {*told[:start], *told[stop:]}
            opposite = {'yes': 'no', 'no': 'yes'}.get(yes_or_no(inner) or '', '')
            return not NEGATIONS & around and opposite not in around
    return False


def _is_free(b: Sequence[tuple[str, int, int]], beside: int, own: int) -> bool:
    """Return whether the token beside a run does not make one thing with the run's `own` last or first token."""
    if not 0 <= beside < len(b):
        return True
    sign, first, last = b[beside]
    glued = last == b[own][1] or first == b[own][2]
    if sign in '([{_' and (glued and beside > own or beside and b[beside - 1][2] == first and b[beside - 1][0][-1].isalnum()):
        return False  # f(x), a[0]
    if sign in _SENTENCE_MARKS:
        return sign != '!' or not glued or not b[own][0].isdigit()
    if sign[0].isalnum() and (sign[0].isdigit() or sign[0].isalpha()):
        return not glued
    if sign in _SHOWN_RESULT:
        return beside < own
    is_word = b[own][0].isalpha() and len(b[own][0]) > 2
    return sign in _DASHES and not glued and is_word


def _words(answer: str) -> list[tuple[str, int, int]]:
    """Return the words and signs of an answer with where each begins and ends."""
    return [(found[0], *found.span()) for found in _TOKEN.finditer(said(answer))]
