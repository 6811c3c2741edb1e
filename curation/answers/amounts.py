"""The amount that a short answer names, in every notation it could be written in: value, dimension, and what else it may mean."""

import math
import re
from dataclasses import dataclass, replace
from fractions import Fraction

from curation.answers.notation import read_number
from curation.answers.number_words import SCALES, spelled_number
from curation.answers.units import CURRENCIES, FACTORS, celsius, unit_of

RELAXED = 0.05  # relative: ChartQA's tolerance for a value read off a chart; a candidate within it is not surely wrong
COUNTED = 100  # whole numbers below this are counts: any other whole number is wrong
YEARS = range(1500, 2101)  # whole numbers that read as years: exact as well
ROUGH = Fraction(1, 5)  # of an amount that says `about`: within it nobody can tell
MAX_CHARS = 80  # an amount is shorter
LARGEST = 1e250  # a float holds what it is multiplied with
UNIT_WORDS = 3
ROUNDED = 0.015  # relative: a root, power or fraction that was worked out may be rounded (1/3 to 0.33), but it is no value read off a chart

_ABOUT = re.compile(r'(?:about|approximately|approx\.?|around|roughly|nearly|almost|ca\.?|circa|some|~|≈|≃)\s*', re.IGNORECASE)
_SCALE = re.compile(r'(hundred|thousand|million|mn|mio\.?|billion|bn|trillion|dozen)s?\b\.?|(?:(?<=\d)([kKMB])|(?<=\d )([MB]))(?![\w/^])')
_SHORT_SCALES = {'mn': 10**6, 'mio': 10**6, 'mio.': 10**6, 'bn': 10**9, 'k': 1000, 'K': 1000, 'M': 10**6, 'B': 10**9}
_EXACT = re.compile(r'√|π|(?<!×)\b\d+\^|\d\)?/\(?\d')
_NTH = re.compile(r'\d+ ?(?:st|nd|rd|th)\b')
_NO_UNITS = frozenset((
    'of', 'in', 'on', 'at', 'to', 'and', 'or', 'the', 'a', 'an', 'with', 'for', 'is', 'are', 'was', 'were', 'than', 'that', 'which', 'by', 'from',
    'as', 'per', 'if', 'not', 'no', 'but', 'more', 'less', 'most', 'least', 'over', 'under', 'between', 'up', 'am', 'pm'))
_BELOW_ZERO = re.compile(r'(?:degrees? )?below zero$')
_SETS = frozenset(('?pair', '?couple', '?set', '?pack'))  # of each there are more things than one


@dataclass(frozen=True, slots=True)
class Amount:
    """A value as it is written (`values`: the usual reading first), its dimension ('' for none, `?dogs` for an unknown unit), and its unit's size."""

    values: tuple[Fraction, ...]
    dimension: str = ''
    factor: Fraction = Fraction(1)
    rough: bool = False
    exact: bool = False  # written as a power, root or fraction: mathematics, no measured value


def amount_of(text: str) -> Amount | None:
    """Return the amount if the whole of a text, as `plain_formula` says, is one; None for anything else."""
    if text.isascii() and text.isdigit() and len(text) < MAX_CHARS:  # the ordinary number
        return Amount((Fraction(int(text)),))
    if len(text) > MAX_CHARS or not text or _NTH.match(text):
        return None
    if (below := _BELOW_ZERO.search(text)) and text[0].isdigit():
        text = f'-{text[:below.start()]}°' if 'degree' in below[0] else f'-{text[:below.start()].strip()}'
    about = _ABOUT.match(text)
    text = text[about.end() :] if about else text
    sign = re.match(r'([-+])\s*(?=[$€£¥₹.\d√π(])', text)
    text = text[sign.end() :] if sign else text
    currency = next((mark for mark in CURRENCIES if text.startswith(mark)), '')
    rest = text[len(currency) :].lstrip()
    try:
        found = _compound(rest) or _digits(rest) or _in_words(rest)
    except OverflowError:
        return None
    if found is None or not all(abs(value) < LARGEST for value in found[0]):
        return None
    values = tuple(-value for value in found[0]) if sign and sign[1] == '-' else found[0]
    measured = _measured(values, found[1].strip(), currency, rough=about is not None)
    return replace(measured, exact=True) if measured and _EXACT.search(text) else measured


def _measured(values: tuple[Fraction, ...], unit: str, currency: str, *, rough: bool) -> Amount | None:
    unit = re.sub(r'(?<=m)([23])$', r'^\1', unit.strip(' .,'))
    if unit.startswith(('-', '–')):
        unit = unit[1:].strip()
    if currency:
        if unit in ('m', 'b'):
            values, unit = tuple(value * (10**6 if unit == 'm' else 10**9) for value in values), ''
        known, again = unit_of(currency), unit_of(unit)
        fits = known is not None and (not unit or again is not None and again[0] == known[0])  # $5 USD
        return Amount(values, known[0], known[1], rough) if known and fits else None
    if not unit:
        return Amount(values, rough=rough)
    if known := unit_of(unit):
        return Amount(values, known[0], known[1], rough)
    words = unit.casefold().split()
    if len(words) > UNIT_WORDS or _NO_UNITS & set(words) or not all(word.replace('-', '').isalpha() for word in words):
        return None
    return Amount(values, '?' + ' '.join(_singular(word) for word in words), rough=rough)


def _digits(text: str) -> tuple[tuple[Fraction, ...], str] | None:
    """Return the readings of the number that `text` begins with, and what follows: its unit."""
    found = read_number(text, 0)
    if found is None:
        return None
    values, at = found
    rest = text[at:]
    scale = _SCALE.match(text, at) or _SCALE.match(text, at + 1) if text[at : at + 1] in (' ', '-') else _SCALE.match(text, at)
    if scale:
        word = scale[1] or scale[2] or scale[3]
        times = _SHORT_SCALES.get(word) or SCALES[word]
        values, rest = tuple(value * times for value in values[:1]), text[scale.end() :]
    return (values, rest) if not re.match(r'\s*[-+*/^×=<>:(\d]', rest) or rest.startswith('-') and rest[1:2].isalpha() else None


_FIRST = {'length': 'm', 'time': 's', 'mass': 'g', 'months': 'months', 'dollar': 'USD', 'euro': 'EUR', 'pound': 'GBP', 'angle': '°'}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([^\W\d_]+|['\"])\.?(?:\s*,?\s+and\s+|\s*,\s*|\s*)")


def _compound(text: str) -> tuple[tuple[Fraction, ...], str] | None:
    """Read several units of one dimension in a row, `1 h 30 min`, `5 ft 10 in`: in the dimension's first unit, whose name follows."""
    parts, at = [], 0
    while found := _PART.match(text, at):
        parts.append((Fraction(found[1]), unit_of(found[2])))
        at = found.end()
    if any(unit and unit[0] == 'time' for _, unit in parts):  # 3h20m
        parts = [(value, unit_of('min') if unit == unit_of('m') else unit) for value, unit in parts]
    kinds = {unit[0] for _, unit in parts if unit}
    if at != len(text) or len(parts) < 2 or len(kinds) != 1 or not all(unit for _, unit in parts):
        return None
    first = _FIRST.get(kinds.pop())
    return ((sum((value * unit[1] for value, unit in parts if unit), Fraction(0)),), first) if first else None


def _in_words(text: str) -> tuple[tuple[Fraction, ...], str] | None:
    words = re.sub(r'(?<=[a-z])-(?=[a-z])', ' ', text.casefold()).split()
    if not words:
        return None
    if words[0] in ('a', 'an') and len(words) == 2 and unit_of(words[1]):
        return (Fraction(1),), words[1]
    cut = words[1:] if words[0] in ('minus', 'negative') else words
    found = spelled_number([word.strip(',') for word in cut])
    if found is None:
        return None
    value, n = found
    if cut[n : n + 1] in (['a'], ['an']) and value.denominator > 1:  # half an hour
        n += 1
    return ((-value if cut is not words else value),), ' '.join(text.replace('-', ' ').split()[len(words) - len(cut) + n :])


def _singular(word: str) -> str:
    return {'people': 'person', 'men': 'man', 'women': 'woman', 'children': 'child'}.get(word, word.removesuffix('s') if len(word) > 3 else word)


def differs(truth: float, value: float) -> bool:
    """Return whether `value` is surely not `truth`: exactly for counts and years, beyond `RELAXED` for measured values."""
    whole = truth == int(truth) and value == int(value)
    if whole and (abs(truth) < COUNTED or int(truth) in YEARS):
        return truth != value
    return abs(truth - value) > RELAXED * abs(truth) * (1 + 1e-9)  # the tolerance itself belongs to the right answer


def compare_amounts(truth: Amount, other: Amount, *, percent: bool) -> bool | None:
    """Return whether two amounts are the same, None where that cannot be told. `percent`: the question asks for one, so 50 may be 50%."""
    alike = [[_same(truth, a, other, b) for b in other.values] for a in truth.values]
    unlike_units = truth.dimension != other.dimension
    if {truth.dimension, other.dimension} == {'data', ''}:  # 5 B are bytes beside 5 kB, and a billion beside others
        return None
    if unlike_units and truth.dimension and other.dimension and None in alike[0]:
        return None
    if alike[0][0]:
        return True
    if unlike_units and 'share' in (truth.dimension, other.dimension) and not differs(float(truth.values[0]), float(other.values[0])):
        return True if percent else None
    if any(map(any, alike)) or unlike_units and (_in_another_unit(truth, other) or not _SETS.isdisjoint((truth.dimension, other.dimension))):
        return None
    rough = (truth.rough or other.rough) and abs(truth.values[0] - other.values[0]) <= abs(truth.values[0]) * ROUGH
    return None if rough else False


def _same(truth: Amount, a: Fraction, other: Amount, b: Fraction) -> bool | None:
    """Return whether one reading of each is the same amount, None where their units have nothing in common."""
    if (truth.exact or other.exact) and truth.dimension == other.dimension:
        whole = a == int(a) and b == int(b)
        return a * truth.factor == b * other.factor if whole else math.isclose(a * truth.factor, b * other.factor, rel_tol=ROUNDED)
    if truth.dimension == other.dimension and truth.dimension != 'share':
        return not differs(float(a), _float(b * other.factor / truth.factor))
    if 'share' in (truth.dimension, other.dimension):
        if {truth.dimension, other.dimension} <= {'share', ''}:
            return not differs(_float(a * truth.factor), _float(b * other.factor))
        return None
    if not (truth.dimension and other.dimension):
        return not differs(float(a), _float(b))
    warm, other_warm = celsius(a, truth.dimension), celsius(b, other.dimension)
    if warm is not None and other_warm is not None:
        return abs(float(warm - other_warm)) <= max(0.6, RELAXED * abs(float(warm)))  # rounded to whole degrees on the way
    return None


def _in_another_unit(truth: Amount, other: Amount) -> bool:
    """Return whether the amount without a unit would be the other one in another unit of its dimension: 120 for 12 cm."""
    a, b = (truth, other) if truth.dimension else (other, truth)
    if b.dimension or a.dimension not in FACTORS:
        return False
    return any(math.isclose(a.values[0] * a.factor, b.values[0] * factor, rel_tol=1e-3) for factor in FACTORS[a.dimension])


def _float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
