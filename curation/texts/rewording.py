"""Is one question another in other words? The numbers, the content words and the answer tell, in whatever order they stand.

A question that asks with all the same numbers, in most of the same content words, for the same answer is the same one reworded, also where names were
exchanged. A question of the same template with other numbers is another question, whatever else is the same: of such nothing is ever `sure`.
"""

import enum
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from curation.answers.comparing import same_amount
from curation.answers.exact_match import same_answer
from curation.answers.exclusive import exclude
from curation.answers.final import final_answer
from curation.answers.kinds import NEGATIONS
from curation.answers.number_words import SCALES
from curation.answers.wording import said
from curation.texts.meaning import Closeness
from curation.texts.numbers_told import Numbers, digits_that_tell, number_of_word, numbers_told
from curation.texts.signs import operators
from curation.texts.textmatch import units

LEAST_STEMS, FEW_STEMS = 6, 3  # content words of a question of which there is enough to tell; with numbers, which count as words do
CANDIDATE = 0.5  # share of a question's content words, at least, from which two are compared
ALIKE = 0.75  # of the words of both, where numbers tell little
SOME_NUMBERS, MANY_NUMBERS = 2, 3
MANY_DIGITS = 7  # of many numbers and the answer, without zeros at their ends: such meet by chance in 1 of a million pairs of word problems
SOME_WORDS = 0.2  # of the content words; 2 of 100 pairs of strangers share so many
CLOSE = 0.9  # cosine: of 1,000 pairs of strangers one is so close (curation/texts/meaning.py)
END_CHARS = 500  # of an answer, in which it ends
STEM = 5  # letters: "sells", "selling" and "sell" are one
_STOP_WORDS = (
    'a an the and or but if then than so of in on at to for from by with as is are was were be been being am do does did has have had will would can '
    'could shall should may might must it its they them their he she his her him you your we our us i me my this that these those there here what '
    'which who whom whose when where why how many much some any each every all both more most less least other another such into over per up out '
    'about after before between during also just only very one ones please find calculate determine compute answer question following given')
_STOP = frozenset(_STOP_WORDS.split())
_ENDING = re.compile(r'(?:ies|ing|ed|es|s|ly|er)$')


class Rewording(enum.StrEnum):
    """What a question is to another."""

    SURE = 'paraphrase'
    NEAR = 'near paraphrase'


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it is compared: stems of its content words, its numbers, its words that may deny."""

    stems: frozenset[str]
    numbers: Numbers
    words: frozenset[str]


@lru_cache(maxsize=4096)  # a question of a benchmark is compared with many
def asked(text: str) -> Asked:
    """Return what of a question is compared."""
    words = units(text)
    return Asked(frozenset(stems(words)), numbers_told(words), frozenset(words))


def stems(words: Iterable[str]) -> list[str]:
    """Return the stems of the content words among words of the loose form; numbers are none."""
    return [found for word in words if (found := stem(word))]


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return the stem of a word, '' of one that carries no content or is a number."""
    if word in _STOP or word in SCALES or number_of_word(word) is not None:
        return ''
    return (_ENDING.sub('', word) if len(word) > STEM else word.removesuffix('s') if len(word) > 2 else word)[:STEM]


def tells(one: Asked) -> bool:
    """Return whether a question says enough to be known again: content words, or with two numbers or more both together. Letters are no words."""
    words, numbers = sum(len(stem) > 1 for stem in one.stems), len({*one.numbers.told})
    return words >= (max(FEW_STEMS, LEAST_STEMS - numbers) if numbers >= SOME_NUMBERS else LEAST_STEMS)


def reworded(question: str, answers: Sequence[str], other: str, answer: str, meant: Closeness | None = None) -> Rewording | None:
    """Return what `other`, which is answered by `answer`, is to a question with its right answers (none: they are not published); None: another.

    With `meant`, what shares few words is compared by its meaning.
    """
    one, two = asked(question), asked(other)
    common = len(one.stems & two.stems)
    held, alike = common / max(1, len(one.stems)), common / max(1, len(one.stems | two.stems))
    if not tells(one) or not one.numbers.same(two.numbers):
        return None
    answered = _same_answer(question, answers, answer)
    if held < CANDIDATE:  # in wholly other words or another language: many numbers, and the answer
        found = _by_numbers(one, two, held, answers) if answered else None
    elif answered and (len(one.numbers.told) >= SOME_NUMBERS or alike >= ALIKE and not _tell_apart(one.words, two.words)):
        found = Rewording.SURE
    else:
        found = Rewording.NEAR if alike >= ALIKE else None
    same = answered and operators(question) == operators(other)
    if same and found is not Rewording.SURE and meant and len(one.numbers.told) >= SOME_NUMBERS and meant(question, other) >= CLOSE:
        return Rewording.SURE
    return Rewording.NEAR if found is Rewording.SURE and not same else found


def _by_numbers(one: Asked, two: Asked, held: float, answers: Sequence[str]) -> Rewording | None:
    """Return what the same answer and many numbers make of two questions that share few words."""
    results = [number for right in answers if (number := number_of_word(right.strip().rstrip('.'))) is not None and number not in one.numbers.told]
    if len(one.numbers.told) < MANY_NUMBERS or digits_that_tell((*one.numbers.told, *results[:1])) < MANY_DIGITS:
        return None
    if held >= SOME_WORDS:
        return Rewording.SURE
    return Rewording.NEAR if one.numbers.told == two.numbers.told else None


def _same_answer(question: str, answers: Sequence[str], answer: str) -> bool:
    return any(_says(right, answer, question) for right in answers)


def _says(right: str, answer: str, question: str) -> bool:
    """Return whether an answer is the right one, to the last digit: near values belong to near questions."""
    if number_of_word(right.strip().rstrip('.')) is not None:
        return _ends_in(answer, right)
    if not any(map(str.isdigit, right)):
        return same_answer(right, answer, question)
    final = final_answer(answer)
    value = final.value if final and not final.others else answer
    return said(right) == said(value) or same_amount(right, value)


def _ends_in(answer: str, right: str) -> bool:
    """Return whether the right answer is a number, and the last one that an answer in words names."""
    number = number_of_word(right.strip().rstrip('.'))
    named = [found for word in units(answer[-END_CHARS:]) if (found := number_of_word(word)) is not None] if number is not None else []
    return bool(named) and named[-1] == number


def _tell_apart(one: frozenset[str], other: frozenset[str]) -> bool:
    """Return whether a word of one text alone denies, or excludes one of the other's."""
    mine, theirs = one - other, other - one
    return bool((mine | theirs) & NEGATIONS) or any(exclude(a, b) for a in mine for b in theirs)
