"""Another right answer of the pool in the place of this one: of its type and form, near it, and as often wrong as it is right elsewhere."""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

from curation.answers.kinds import YEAR, AnswerType, answer_type, is_unparted, notation, number_of, options_of, same_number, tokens
from curation.answers.synonyms import may_be_same
from curation.english.attributes import GROUP
from curation.english.grammar import like
from curation.english.senses import asked_for
from curation.negatives.even import even_draw
from curation.negatives.numbers import YEARS
from curation.verdicts.judging import contained

NEAREST = 8  # the distractor is drawn among this many pool answers closest in length, where answers hardly repeat
VALUE_CHARS = 120  # a longer answer is a solution with its steps
CLOSED = 2  # an answer set is closed where its texts come up this often on average: wrong numbers are then drawn from it, not made


# The same said again: 100 (i.e., all values), 5/14, or approximately 35.7%.
_GLOSS = re.compile(
    r'\s*(?:\((?:i\.e|that is|or |none|no |all )|,? (?:or|and) (?:equivalently|approximately|about|an equivalent)\b|, or (?=[\d$\\])'
    r'|,? (?:i\.e\.|namely|that is,)|\s[≈≡]\s)')
# That there is nothing of the kind: no integer solutions, it is not possible.
_NOTHING = re.compile(
    r'^(?:there (?:is|are) )?(?:none|no (?:\w+ ){0,3}(?:solutions?|values?|numbers?|integers?|roots?|zeros?|points?|pairs?|answers?))\b'
    r'|\b(?:does|do|can) ?not exist\b|\b(?:not possible|impossible)\b|\bno such\b', re.IGNORECASE)


def is_glossed(answer: str) -> bool:
    """Return whether an answer says the same twice, so that one number of it cannot change alone."""
    return _GLOSS.search(answer) is not None


def other_number(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    """Return another right number of a closed set, in the same notation and as near as a changed one would be; None for an open set."""
    alike = [text for text in map(str.strip, pool) if notation(text) == notation(answer)]
    if len(set(alike)) * CLOSED > len(alike):
        return None
    return even_draw(f'number\0{sample_id}', answer, alike, _near_numbers)


def _near_numbers(one: str, other: str) -> bool:
    a, b = number_of(one), number_of(other)
    if a is None or b is None or a[1] != b[1]:  # no value, or another unit
        return False
    most, apart = max(abs(a[0]), abs(b[0])), abs(a[0] - b[0])
    return 0 < most / 10 <= apart <= max(3.0, most / 2)


def other_date(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    """Return another right date of a closed set in the same notation: a month, a near year; None for an open set."""
    alike = [text for text in map(str.strip, pool) if notation(text) == notation(answer) and _type_and_words(text, '')[0] == AnswerType.DATE]
    if len(set(alike)) * CLOSED > len(alike):
        return None
    return even_draw(f'date\0{sample_id}', answer, alike, _near_dates)


def _near_dates(one: str, other: str) -> bool:
    a, b = YEAR.search(one), YEAR.search(other)
    return tokens(one) != tokens(other) and (a is None or b is None or abs(int(a[0]) - int(b[0])) <= YEARS)


def other_attribute(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    """Return another right answer of the pool that excludes `answer`, itself an attribute word: 'square' only where squares are asked for."""
    word, asked = ' '.join(tokens(answer)), set(tokens(question))
    said = [other for text in pool if GROUP.get(other := ' '.join(tokens(text)), -1) == GROUP.get(word) and other not in asked]
    found = even_draw(f'attribute\0{sample_id}', word, said, _exclude) if asked_for(word, question) else None
    return like(answer, found) if found else None


def differ(one: str, other: str) -> bool:
    """Return whether two words are not the same."""
    return one != other


def other_answer(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    """Return another right answer of a closed set; None for an open set."""
    fitting = _fitting(question, answer, pool)
    if len(set(fitting)) * CLOSED > len(fitting):
        return None
    found = even_draw(f'answer\0{sample_id}', answer, fitting, _may_stand_for)
    return _cased(answer, found) if found else None


def _may_stand_for(one: str, other: str) -> bool:
    short, long = sorted((len(one), len(other)))
    return long <= 2 * short + NEAREST and _exclude(one, other)


@lru_cache(maxsize=65_536)  # samples that are asked alike look at the same answers again and again
def _exclude(one: str, other: str) -> bool:
    return not may_be_right(one, other) and not contained(one, other) and not contained(other, one)


def may_be_right(one: str, other: str) -> bool:
    """Return whether one answer may be right where the other is: equal, the same number, or the same thing in other words."""
    if tokens(one) == tokens(other) or same_number(one, other) or may_be_same(one, other):
        return True
    if max(len(one), len(other)) > VALUE_CHARS:
        return False  # a solution may say so on its way
    if (a := _GLOSS.split(one, maxsplit=1)[0]) != one or _GLOSS.search(other):
        return may_be_right(a, _GLOSS.split(other, maxsplit=1)[0])
    return bool(_NOTHING.search(one) and _NOTHING.search(other))


@lru_cache(maxsize=65_536)
def _type_and_words(text: str, question: str) -> tuple[AnswerType, frozenset[str], bool]:
    return answer_type(text, question), frozenset(tokens(text)), is_unparted(text)


def distractor(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    """Return the right answer to another question of the same source: same type, near in length, drawn by hash."""
    by_length = sorted(set(_fitting(question, answer, pool)), key=lambda text: (abs(len(text) - len(answer)), _rank(sample_id, text)))
    near = list(islice((other for other in by_length if _exclude(answer, other)), NEAREST))
    return _cased(answer, min(near, key=lambda text: _rank(sample_id, text))) if near else None


def _fitting(question: str, answer: str, pool: Sequence[str]) -> list[str]:
    """Return the answers of the pool that are of the type of `answer` and not just words of the question."""
    asked = set(tokens(question))
    offering = question if options_of(question) else ''  # of another question the type of an answer does not depend
    wanted, own, script = _type_and_words(answer, offering)
    any_words = wanted != AnswerType.ENTITY or own <= asked
    typed = ((other, *_type_and_words(other, offering)) for other in map(str.strip, pool) if other)
    found = [other for other, kind, words, as_written in typed if kind == wanted and as_written == script and (any_words or not words <= asked)]
    if wanted != AnswerType.ENTITY:
        return found
    form = _form(answer)  # of a time the others are times, of a ratio ratios, and no number stands for a name
    return [other for other in found if _form(other) == form]


def _form(text: str) -> str:
    return notation(text) if any(map(str.isdigit, text)) else ''


def _cased(answer: str, found: str) -> str:
    """Return words of the pool with the first letter of `answer`; an acronym, an address or a formula stands as it is written."""
    return like(answer, found) if found.replace(' ', '').isalpha() and not (answer.isupper() or found.isupper()) else found


def _rank(sample_id: str, text: str) -> bytes:
    return hashlib.sha256(f'{sample_id}\0{text}'.encode()).digest()
