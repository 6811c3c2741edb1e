"""The lists, ratios and ranges that a short answer names: `red, blue and green`, `{1, 2}`, `3:2`, `from 3 to 5 cm`, `2020-21`."""

import re
from fractions import Fraction
from functools import lru_cache

from curation.answers.amounts import amount_of
from curation.answers.moments import dates_of

MAX_ITEMS = 12  # of a list
ITEM_WORDS = 5
_APART = re.compile(r'\s*;\s*|,\s+(?:and |or )?|,(?!\d)|(?<!\d),|\s+and\s+|\s+&\s+|\n+')
BRACKETS = {'(': ')', '[': ']', '{': '}'}
_RATIO = re.compile(r'(\d{1,6}) ?(?::|to) ?(\d{1,6})')
_RANGE = re.compile(r'(?:from |between (?=.* and )|(?!.* and ))(-?\d+(?:\.\d+)?)\s?(%?)\s?(?:-|–|to|and)\s?(-?\d+(?:\.\d+)?)(.*)')
_SEASON = re.compile(r'(?:1[5-9]|20)\d\d ?[-–] ?\d\d')
Pair = tuple[Fraction, Fraction, str]


@lru_cache(maxsize=16_384)
def items_of(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the bracket ('' for none) and the things of a list; fewer than two are none."""
    kind = text[:1] if BRACKETS.get(text[:1], '\0') == text[-1:] else ''
    inner = text[1:-1] if kind else text
    tight = kind and ', ' not in inner and ';' not in inner
    items = tuple(item.strip() for item in (inner.split(',') if tight else _APART.split(inner)) if item and item.strip())
    if not kind and len(items) == 1 and inner.count(',') > 1 and amount_of(inner) is None:
        items = tuple(inner.split(','))  # 1,2,3
    elif not kind and re.fullmatch(r'\d+,\d+', inner) and not re.fullmatch(r'\d{1,3},\d{3}', inner):
        items = tuple(inner.split(','))
    whole_date = bool(dates_of(text.casefold()))
    fits = 1 < len(items) <= MAX_ITEMS and not whole_date and all(len(item.split()) <= ITEM_WORDS for item in items)
    return kind, items if fits else ()


def pair_of(text: str) -> Pair | None:
    """Return what a ratio or a range of numbers is made of, and ':' or the unit: 3:2, 3-5, from 3 to 5 cm."""
    found = _RANGE.fullmatch(text)
    if found and _SEASON.fullmatch(text):  # 2020-21
        return Fraction(found[1]), Fraction(found[1][:2] + found[3]), ''
    if found and not any(char.isdigit() for char in found[4]) and ',' not in text and not re.match(r'\d{1,2}-\d{1,2}-', text):
        return Fraction(found[1]), Fraction(found[3]), (found[4] or found[2]).strip().casefold()
    ratio = _RATIO.fullmatch(text)
    return (Fraction(ratio[1]), Fraction(ratio[2]), ':') if ratio and int(ratio[2]) else None


def same_pair(a: Pair, b: Pair) -> bool | None:
    """Return whether two pairs are the same, None where one is a ratio and the other a range, or their units differ."""
    if a[2] == b[2] == ':' and a[0] * b[1] == a[1] * b[0]:
        return True
    if a[:2] == b[:2]:
        return True if a[2] == b[2] else None
    return None if ':' in (a[2], b[2]) and a[2] != b[2] else False
