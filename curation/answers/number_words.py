"""Numbers in English words, ordinals and Roman numerals: `twenty-five`, `one and a half million`, `three quarters`, `1st`, `IV`."""

import re
from fractions import Fraction

_ONES = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve', 'thirteen', 'fourteen', 'fifteen',
         'sixteen', 'seventeen', 'eighteen', 'nineteen')  # fmt: skip
_TENS = ('twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety')
SMALL = {word: n for n, word in enumerate(_ONES)} | {word: 20 + 10 * n for n, word in enumerate(_TENS)} | {'nil': 0, 'nought': 0, 'fourty': 40}
SCALES = {'hundred': 100, 'thousand': 1000, 'million': 10**6, 'billion': 10**9, 'trillion': 10**12, 'dozen': 12}
_PARTS = {'half': 2, 'halves': 2, 'third': 3, 'quarter': 4, 'fourth': 4, 'fifth': 5, 'sixth': 6, 'seventh': 7, 'eighth': 8, 'ninth': 9, 'tenth': 10,
          'hundredth': 100, 'thousandth': 1000}  # fmt: skip
PARTS = _PARTS | {f'{word}s': n for word, n in _PARTS.items() if word not in ('half', 'halves')}
_ORDINALS = ('zeroth', 'first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh', 'eighth', 'ninth', 'tenth', 'eleventh', 'twelfth',
             'thirteenth', 'fourteenth', 'fifteenth', 'sixteenth', 'seventeenth', 'eighteenth', 'nineteenth')  # fmt: skip
ORDINALS = {word: n for n, word in enumerate(_ORDINALS)} | {f'{word[:-1]}ieth': 20 + 10 * n for n, word in enumerate(_TENS)}
_NTH = re.compile(r'(?:the )?(?:(?:no\.?|number|#) ?(\d{1,6})|(\d{1,6}) ?(?:st|nd|rd|th))')
_ROMAN = re.compile(r'M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})')
_ROMAN_VALUES = {'I': 1, 'V': 5, 'X': 10, 'L': 50, 'C': 100, 'D': 500, 'M': 1000}


def spelled_number(words: list[str]) -> tuple[Fraction, int] | None:
    """Return (value, how many words it takes) of the number that `words`, in lower case, begin with; None where it is read in several ways."""
    total, current, at, found = Fraction(0), Fraction(0), 0, False
    while at < len(words):
        word = words[at]
        if word in SMALL:
            if found and current % 100 and not (SMALL[word] < 10 and current % 10 == 0 and current % 100 >= 20):
                return None  # two numbers in a row: `nineteen ninety` is a year, `one fifty` a price
            current, found = current + SMALL[word], True
        elif word in SCALES and (found or word in ('hundred', 'thousand', 'million', 'dozen')):
            current = (current if found else Fraction(1)) * SCALES[word]
            if SCALES[word] >= 1000:
                total, current = total + current, Fraction(0)
            found = True
        elif word in PARTS and (found or word in ('half', 'quarter')) and not (total + current == 0 and found):
            whole = total + current if found else Fraction(1)
            return whole / PARTS[word], at + 1
        elif word in ('and', 'a', 'an') and at + 1 < len(words):
            ahead = _and_part(words, at)
            if ahead is not None and found:
                return total + current + ahead[0], ahead[1]
            one = words[at + 1] in SCALES or words[at + 1] in ('half', 'third', 'quarter', 'fifth', 'tenth')
            if not (words[at + 1] in SMALL if word == 'and' else one) or word != 'and' and found:
                break
            if word != 'and' and words[at + 1] in PARTS:
                return Fraction(1, PARTS[words[at + 1]]), at + 2
        elif word == 'point' and found:
            digits = [str(SMALL[w]) for w in words[at + 1 :] if w in SMALL and SMALL[w] < 10]
            return (total + current + Fraction(int(''.join(digits)), 10 ** len(digits)), at + 1 + len(digits)) if digits else None
        else:
            break
        at += 1
    return (total + current, at) if found else None


def _and_part(words: list[str], at: int) -> tuple[Fraction, int] | None:
    """Return what `and a half`, `and three quarters` adds, and where it ends."""
    rest = words[at + 1 :]
    if words[at] != 'and' or len(rest) < 2:
        return None
    count = 1 if rest[0] in ('a', 'an') else SMALL.get(rest[0], 0)
    return (Fraction(count, PARTS[rest[1]]), at + 3) if count and rest[1] in PARTS else None


def ordinal_of(text: str) -> int | None:
    """Return the place that an answer names: `1st`, `the first`, `twenty-first`, `No. 1`."""
    found = _NTH.fullmatch(text)
    if found:
        return int(found[1] or found[2])
    tens, _, ones = text.removeprefix('the ').replace('-', ' ').partition(' ')
    if ones:
        return SMALL[tens] + ORDINALS[ones] if SMALL.get(tens, 0) >= 20 and 0 < ORDINALS.get(ones, 0) < 10 else None
    return ORDINALS.get(tens)


def roman_of(text: str) -> int | None:
    """Return the value of a Roman numeral in capitals, or in small letters where there are several."""
    numeral = text.upper() if text.islower() and len(text) > 1 else text
    if not numeral or len(numeral) > 12 or not _ROMAN.fullmatch(numeral):
        return None
    values = [_ROMAN_VALUES[letter] for letter in numeral]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))
