"""The numbers that a text names: in digits or spelled, in order. What a rewording keeps, and a question of the same template does not.

Small numbers in words come and go when a text is reworded ("cut in two", "a pair of painters", "both days"), so they may stand in one text alone;
those in digits, and greater ones, may not.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations

from curation.answers.number_words import SCALES, SMALL, spelled_number

SMALL_UP_TO = 12
LONGEST = 12  # words of one spelled number that are looked at
PASSED_OVER = 3  # small numbers in words that may come and go in one text
_DECIMAL_COMMA = re.compile(r'\d+,\d{1,2}')  # 2,50 of other languages; a comma of thousands has three digits behind it


@dataclass(frozen=True, slots=True)
class Numbers:
    """All numbers of a text in order, and those of them that are small and in words."""

    told: tuple[Fraction, ...]
    small: tuple[Fraction, ...] = ()

    def key(self) -> tuple[Fraction, ...]:
        """Return what is equal for the same numbers in another order."""
        return tuple(sorted(self.told))

    def partial_keys(self) -> set[tuple[Fraction, ...]]:
        """Return the keys that are left when small ones are passed over: none of them, some, up to PASSED_OVER."""
        some = [left for n in range(1 + min(PASSED_OVER, len(self.small))) for left in set(combinations(sorted(self.small), n))]
        return {tuple(sorted((Counter(self.told) - Counter(left)).elements())) for left in some}

    def same(self, other: 'Numbers') -> bool:
        """Return whether both name the same numbers, in any order; small ones in words may stand in one of the two alone."""
        return self.key() in other.partial_keys() or other.key() in self.partial_keys()


def numbers_told(words: Sequence[str]) -> Numbers:
    """Return the numbers among words of the loose form; `one` is often no number, and none here where it stands alone."""
    told, small, at = [], [], 0
    while at < len(words):
        number, n = number_of_word(words[at]), 1
        spelled = words[at] in SMALL or words[at] in SCALES and words[at] != 'dozen'
        if spelled and (found := spelled_number([*words[at : at + LONGEST]])):
            number, n = found
            number = None if number == 1 else number
        if number is not None:
            told.append(number)
            small += [number] if spelled and number <= SMALL_UP_TO else []
        at += n
    return Numbers(tuple(told), tuple(small))


@lru_cache(maxsize=65_536)
def number_of_word(word: str) -> Fraction | None:
    """Return the number that a word of the loose form is, in digits or spelled; None where it is none, or `one`, which is often no number."""
    if word in SMALL:
        return Fraction(SMALL[word]) if word != 'one' else None
    digits = word.rstrip('.').replace(',', '.' if _DECIMAL_COMMA.fullmatch(word) else '')
    try:
        return Fraction(digits) if digits[:1].isdigit() and digits.isascii() and len(digits) < 20 and '/' not in digits else None
    except ValueError:
        return None


def digits_that_tell(numbers: Sequence[Fraction]) -> int:
    """Return how many digits the numbers have, zeros at their ends left out: 200, 50 and 10 meet by chance, 217, 53 and 11 seldom do."""
    return sum(len(str(abs(number.numerator)).rstrip('0')) for number in numbers)
