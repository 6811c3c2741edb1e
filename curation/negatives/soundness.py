"""Is a changed answer well formed where the right one is? A wrong answer must be wrong, not broken, and not known by its form."""

import math
import re
from collections.abc import Callable

TRIES = 32  # lots that a rule may draw before it is given up
_FRACTION = re.compile(
    r'\\[dt]?frac\s*(?:\{(\d{1,6})(?:[^{}\d]|\{[^{}]*\})*\}|(\d))\s*(?:\{(\d{1,6})\}|(\d))|(?<![\d/.,])(\d{1,6})/(\d{1,6})(?![\d/.,]?\d)|(?<![\d:.])(\d{1,3}):(\d|[6-9]\d|\d{3})(?![\d:.])')
_ONE_TIMES = re.compile(  # 1x, x^1, 1^n, sqrt(4): nobody writes them
    r'(?<![\w.,])1(?=\\(?:sqrt|pi|theta|alpha|cdot)|√|π|[xyznabi]\b)|\^\{?1\}?(?![\d.])|(?<![\w.,^])1\^'
    r'|(?:sqrt[({]|√\(?)(?:1|4|9|16|25|36|49|64|81|100)(?![\w.^*/+-])')
_MAY_BE_ONCE = re.compile(r'[1^√]|sqrt')  # without one of these a text has none of those
_RANGES = (  # each behind a sign without which a text has none of it
    (' ', re.compile(r'\bbetween (\d{1,9}(?:\.\d{1,6})?)%? and (\d{1,9}(?:\.\d{1,6})?)', re.IGNORECASE)),
    ('', re.compile(r'(?<![\d.,-])(\d{1,9}(?:\.\d{1,6})?)%?\s?(?:-|–|to)\s?(\d{1,9}(?:\.\d{1,6})?)(?![\d,.-]*\d)')),
    ('[', re.compile(r'\[\s*(-?\d{1,9}(?:\.\d{1,6})?)\s*,\s*(-?\d{1,9}(?:\.\d{1,6})?)\s*\)')),
    (']', re.compile(r'\(\s*(-?\d{1,9})\s*,\s*(-?\d{1,9})\s*\]')),
)
_ADDRESS = re.compile(r'(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])')
_NUMBERS = re.compile(r'\d+')
_LIST = re.compile(r'[\[({]?\d{1,9}(?:(?:, and |, | and )\d{1,9})+[\])}]?')
_HEX = re.compile(r'0(?<=\b0)[xX]')


def drawn(sample_id: str, rule: Callable[[str], str | None], answer: str) -> str | None:
    """Return what `rule` makes with the first of TRIES lots that is sound beside `answer`, None where none is."""
    for number in range(TRIES):
        text = rule(sample_id if number == 0 else f'{sample_id}\0{number}')
        if text is None or is_sound(text, answer):
            return text
    return None


def is_sound(text: str, answer: str) -> bool:
    """Return whether `text` closes its braces, reduces its fractions and leaves out a factor 1, if `answer` does."""
    if text.count('{') - text.count('}') != answer.count('{') - answer.count('}') or (text.count('$') - answer.count('$')) % 2:
        return False
    if not (_NUMBERS.search(answer) if answer.isascii() else any(char.isdigit() for char in answer)):
        return True
    if _MAY_BE_ONCE.search(text) and len(_ONE_TIMES.findall(text)) > len(_ONE_TIMES.findall(answer)):
        return False
    if len(_HEX.findall(text)) < len(_HEX.findall(answer)):
        return False
    if _ADDRESS.search(answer) and any(int(part) > 255 or part != str(int(part)) for one in _ADDRESS.findall(text) for part in one.split('.')):
        return False
    if any(sign in answer and _rises(pattern, answer) and _rises(pattern, text) is False for sign, pattern in _RANGES):
        return False
    if _LIST.fullmatch(answer) and len(set(_NUMBERS.findall(text))) < len(set(_NUMBERS.findall(answer))):
        return False  # a thing named twice
    return '/' not in answer and ':' not in answer and 'frac' not in answer or _as_reduced(text, answer)


def _rises(pattern: re.Pattern[str], text: str) -> bool | None:
    """Return whether the first range of a text goes from less to more, None where it has none."""
    found = pattern.search(text)
    return float(found[1]) < float(found[2]) if found else None


def _as_reduced(text: str, answer: str) -> bool:
    old, new = (_fractions(side) for side in (answer, text))
    return len(old) != len(new) or all(a == b or _fits(a, b) for a, b in zip(old, new, strict=True))


def _fits(old: tuple[int, int], new: tuple[int, int]) -> bool:
    if new[1] == 0 or new[0] == 0 and old[0]:
        return False
    if new[0] == new[1]:
        return old[0] == old[1]
    proper = old[0] >= old[1] or new[0] < new[1]
    return proper and (math.gcd(*old) > 1 or old[1] == 1 or math.gcd(*new) == 1 and new[1] > 1)


def _fractions(text: str) -> list[tuple[int, int]]:
    found = ([group for group in match.groups() if group] for match in _FRACTION.finditer(text))
    return [(int(one), int(two)) for one, two in found]
