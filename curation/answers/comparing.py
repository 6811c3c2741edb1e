"""Does an answer say the same as the right one? Equal, different, or not to be told without a judge.

What has a value is compared by value, in whatever notation: numbers, amounts with units, dates, times, lists, options, yes and no. Words are told
apart only where they are members of one closed class (red, blue): of two other phrases no program knows whether one paraphrases the other.
"""

import enum
import math
import re
from functools import lru_cache

from curation.answers.amounts import MAX_CHARS as AMOUNT_CHARS
from curation.answers.amounts import amount_of, compare_amounts
from curation.answers.exclusive import exclude, spelt_alike
from curation.answers.kinds import options_of
from curation.answers.lists import items_of, pair_of, same_pair
from curation.answers.moments import compare_dates, compare_times, times_of
from curation.answers.notation import plain_formula
from curation.answers.number_words import ordinal_of
from curation.answers.polarity import is_plain, polarity_of
from curation.answers.readings import same_place, values_of
from curation.answers.wording import said, unwrapped

MAX_CHARS = 200  # a longer answer is prose or a formula: equal words or nothing
LETTER_CHARS = 60  # of an answer that names an option by its letter, where the question lists none
_LEAD = re.compile(
    r"(?:(?:so|thus|hence|therefore),? )?"
    r"(?:(?:the |my )?(?:final |correct |right )?(?:answer|result|value|solution|option|choice)(?: is|:| =|s are| would be)?"
    r"|it(?: is|'s)|they are|there (?:is|are)|that(?: is|'s)|this is)(?: option| choice| answer)?:?\s+(?=\S)|(?:answer|a): ?(?=\S)",
    re.IGNORECASE)
_NAMED = re.compile(r'[^\W\d_](?:_?\w)? ?[=≈] ?(?=[^=])')
_LETTER = re.compile(r'[(\[]?([A-Ha-h])(?:[)\].:]+|\s[-–](?=\s)|$)\s*(.*)', re.DOTALL)
_LETTERS = re.compile(r'(?:[(\[]?[A-H][)\]]?(?:\s*[,;&]\s*|\s+and\s+|\s*))+')
_DECADE = re.compile(r"(?:the )?(?:early |mid[- ]|late )?(?P<digits>\d\d\d0|\d0)['’]?s|(?:the )?(?:twent|thirt|fort|fift|sixt|sevent|eight|ninet)ies")
_ORDERED = re.compile(
    r'\b(?:order|sequence|sorted?|rank(?:ed|ing)?|respectively|coordinates?|arrange|ascending|descending|from .{1,40} to)\b', re.IGNORECASE)
_INDENTED = re.compile(r'\n[ \t]+\S')
_BLANKS = re.compile(r'\s*([^\w\s])\s*')  # around a sign
_PERCENT = re.compile(r'%|\bper ?cent', re.IGNORECASE)


class Relation(enum.StrEnum):
    """What can be said of two answers."""

    EQUAL = 'equal'
    DIFFERS = 'differs'
    UNTOLD = 'cannot tell'


def compare(truth: str, answer: str, *, question: str = '') -> tuple[Relation, str]:
    """Return how `answer` stands to the right answer `truth`, and by what that was told."""
    if said(truth) == said(answer):
        return Relation.EQUAL, 'equal to the computed answer'
    if max(len(truth), len(answer)) > MAX_CHARS:
        return Relation.UNTOLD, 'other words, too long to be compared by program'
    if _INDENTED.search(truth) or _INDENTED.search(answer):
        return Relation.UNTOLD, 'code, of which a program knows only whether it is equal'
    if (by_option := _by_option(truth, answer, question)) is not None:
        return by_option
    if (by_polarity := _by_polarity(said(truth), said(_core(answer)), said(answer))) is not None:
        return by_polarity
    return _flat(_core(truth), _core(answer), question)


def named_options(answer: str, question: str) -> set[str]:
    """Return the letters of the options of a question that an answer names, none where it names none."""
    return _option(answer, options_of(question))


def same_amount(one: str, other: str) -> bool:
    """Return whether both answers name the same amount, to the last digit; a missing unit matches any."""
    if max(len(one), len(other)) > 2 * AMOUNT_CHARS:
        return False
    a, b = values_of(_core(one))[0], values_of(_core(other))[0]
    if a is None or b is None or a.dimension != b.dimension and a.dimension and b.dimension:
        return False
    alike = a.dimension == b.dimension or 'share' in (a.dimension, b.dimension)
    values = (a.values[0] * a.factor, b.values[0] * b.factor) if alike else (a.values[0], b.values[0])
    return math.isclose(*values, rel_tol=1e-9)


def _relation(same: bool | None, what: str) -> tuple[Relation, str]:
    if same is None:
        return Relation.UNTOLD, f'{what} that one of the answers leaves open'
    return (Relation.EQUAL, f'the same {what}') if same else (Relation.DIFFERS, f'another {what}')


def _chosen(right: set[str], given: set[str]) -> tuple[Relation, str]:
    named = f'computed option {", ".join(sorted(right))}'
    return (Relation.EQUAL, f'the {named}') if right == given else (Relation.DIFFERS, f'not the {named}')


@lru_cache(maxsize=16_384)
def _core(answer: str) -> str:
    """Return an answer without what leads to it: `The answer is`, `x =`, `\\boxed{}`."""
    text = unwrapped(plain_formula(unwrapped(answer.strip())))
    while lead := _LEAD.match(text):
        text = unwrapped(text[lead.end() :])
    named = _NAMED.match(text)
    return unwrapped(text[named.end() :]) if named else text


def _by_polarity(truth: str, answer: str, whole: str) -> tuple[Relation, str] | None:
    if not is_plain(truth):
        first = polarity_of(truth) if truth.startswith(('yes', 'no')) else None
        other = polarity_of(whole) if first is not None and whole.startswith(('yes', 'no')) else None
        return (Relation.DIFFERS, 'the opposite of the computed yes or no') if first is not None and other is not None and first != other else None
    said_yes = polarity_of(whole)
    said_yes = polarity_of(answer) if said_yes is None else said_yes
    if truth in ('right', 'wrong') and exclude(truth, answer):  # a direction
        return Relation.DIFFERS, 'another word of a closed class'
    if said_yes is None:
        return (Relation.UNTOLD, 'neither yes nor no in words that a program knows')
    if polarity_of(truth) == said_yes:
        return Relation.EQUAL, 'the computed yes or no'
    return Relation.DIFFERS, 'the opposite of the computed yes or no'


def _by_option(truth: str, answer: str, question: str) -> tuple[Relation, str] | None:
    options = options_of(question)
    right, given = _option(truth, options), _option(answer, options)
    if right and given and len(right) == len(given) and (options or len(right) > 1 or min(len(_core(truth)), len(_core(answer))) <= 1):
        return _chosen(right, given)
    if not options or not right:
        return None
    if given:
        return (Relation.DIFFERS, 'other options') if not right & given else (Relation.UNTOLD, 'more or fewer options')
    meant = {letter for letter, text in options.items() if _flat(text, _core(answer), '')[0] == Relation.EQUAL}
    if meant:
        return _chosen(right, meant)
    if len(right) > 1:
        return Relation.UNTOLD, 'no option in words that a program knows'
    return _flat(_core(options[next(iter(right))]), _core(answer), '')


def _option(answer: str, options: dict[str, str]) -> set[str]:
    """Return the letters of the options that an answer names, by letter, by text, or by both where they agree."""
    if len(answer) > (MAX_CHARS if options else LETTER_CHARS):
        return set()
    core = _core(answer)
    if len(core) > 1 and _LETTERS.fullmatch(core):
        letters = re.findall('[A-H]', core)
        rising = all(a < b for a, b in zip(letters, letters[1:]))
        parted = not core.isalpha() or options and rising and said(core) not in map(said, options.values())  # else it may be a word: CAFE
        if parted and (not options or set(letters) <= options.keys()):
            return set(letters)
    if found := _LETTER.fullmatch(core):
        letter, text = found[1].upper(), found[2]
        if not options and (not text or found[1].isupper()) or not text and letter in options:
            return {letter}
        if text and letter in options:
            return {letter} if _flat(options[letter], text, '')[0] == Relation.EQUAL else set()  # or it is another option's words
    words = said(core)
    return next(({letter} for letter, text in options.items() if said(text) == words), set())


def _flat(truth: str, answer: str, question: str) -> tuple[Relation, str]:
    """Compare by value, by list, then by words."""
    if (by_decade := _by_decade(truth.casefold(), answer.casefold())) is not None:
        return by_decade
    a, b = values_of(truth), values_of(answer)
    found: list[tuple[Relation, str]] = []
    if a[0] and b[0]:
        found.append(_relation(compare_amounts(a[0], b[0], percent=bool(_PERCENT.search(question))), 'amount'))
    if a[1] and b[1]:
        found.append(_relation(compare_dates(a[1], b[1]), 'date'))
    if a[2] and b[2]:
        found.append(_relation(compare_times(a[2], b[2]), 'time'))
    if not found and a[3] and b[3]:
        found.append(_relation(same_place(a[3], b[3]), 'place in an order'))
    if (by_list := _by_list(truth, answer, question)) is not None:
        comma = by_list[0] == Relation.EQUAL and (a[0] is None) != (b[0] is None)  # 1,2 beside 1, 2
        found.append((Relation.UNTOLD, 'a list or a decimal comma') if comma else by_list)
    for relation in (Relation.EQUAL, Relation.UNTOLD, Relation.DIFFERS):
        told = next((one for one in found if one[0] == relation), None)
        if told and relation == Relation.EQUAL and any(one[0] == Relation.DIFFERS for one in found):
            return Relation.UNTOLD, 'equal in one reading, not in another'
        if told:
            return told
    return _by_words(said(truth), said(answer))


def _by_decade(truth: str, answer: str) -> tuple[Relation, str] | None:
    if truth[-1:] != 's' and answer[-1:] != 's' or not (_DECADE.fullmatch(truth) or _DECADE.fullmatch(answer)):
        return None
    a, b = (found['digits'] if (found := _DECADE.fullmatch(text)) else None for text in (truth, answer))
    if a is None or b is None or a != b and a[-2:] == b[-2:]:
        return Relation.UNTOLD, 'a decade in words or without its century'
    return _relation(a == b, 'decade')


def _by_list(truth: str, answer: str, question: str) -> tuple[Relation, str] | None:
    """Compare two lists: as many things, each equal to one of the other; in brackets or where the question asks for an order, in this order."""
    if (a := pair_of(truth)) and (b := pair_of(answer)):
        same = same_pair(a, b)
        if not (times_of(truth) and times_of(answer)):
            return _relation(same, 'pair of numbers')
        return (Relation.UNTOLD, 'a time or a ratio') if same else None
    (kind, items), (other_kind, others) = items_of(truth), items_of(answer)
    if len(items) < 2 or len(others) < 2:
        return None
    ordered = kind in ('(', '[') and other_kind in ('(', '[')
    if ordered and kind != other_kind:
        return Relation.UNTOLD, 'lists in other brackets'
    told = [[_flat(item, other, '')[0] if item != other else Relation.EQUAL for other in others] for item in items]
    if ordered:
        if len(items) != len(others) or any(told[i][i] == Relation.DIFFERS for i in range(len(items))):
            return Relation.DIFFERS, 'another list'
        is_same = all(told[i][i] == Relation.EQUAL for i in range(len(items)))
        return (Relation.EQUAL, 'the same list') if is_same else (Relation.UNTOLD, 'lists of other words')
    if any(all(one == Relation.DIFFERS for one in row) for row in (*told, *zip(*told, strict=True))):
        return Relation.DIFFERS, 'another list'
    if len(items) != len(others) or not _paired(told):
        return Relation.UNTOLD, 'lists that a program cannot pair'
    same_order = all(told[i][i] == Relation.EQUAL for i in range(len(items)))
    if same_order or not (_ORDERED.search(question) or '(' in (kind, other_kind) or '[' in (kind, other_kind)):
        return Relation.EQUAL, 'the same list'
    return Relation.UNTOLD, 'the same things in another order'


def _paired(told: list[list[Relation]]) -> bool:
    free = set(range(len(told)))
    for row in told:
        match = next((i for i in sorted(free) if row[i] == Relation.EQUAL), None)
        if match is None:
            return False
        free.remove(match)
    return True


def _by_words(truth: str, answer: str) -> tuple[Relation, str]:
    if not truth or not answer:
        return Relation.UNTOLD, 'nothing to compare'
    a, b = spelt_alike(truth), spelt_alike(answer)
    if a == b or '\n' not in truth + answer and _BLANKS.sub(r'\1', truth) == _BLANKS.sub(r'\1', answer):
        return Relation.EQUAL, 'the same in another spelling or word'
    if re.sub(r'\bnot (?:an? |the )?', '', b) == a != b or re.sub(r'\bnot (?:an? |the )?', '', a) == b != a:
        return Relation.DIFFERS, 'the negation of the computed answer'
    if len(a) == len(b) == 1 and a.upper() != a and b.upper() != b:  # a Chinese word is no letter
        return Relation.DIFFERS, 'another letter'
    if (by_one := _by_what_is_other(a.split(), b.split())) is not None:
        return by_one
    return Relation.UNTOLD, f'no program can tell {truth[:80]!r} and {answer[:80]!r} apart'


def _by_what_is_other(a: list[str], b: list[str]) -> tuple[Relation, str] | None:
    """Tell two texts by what they do not have in common, where that is but numbers, or one word of a closed class."""
    other = [(one, two) for one, two in zip(a, b, strict=False) if one != two]
    if len(a) != len(b) or not other:
        return None
    amounts = [(amount_of(one.strip('.,;:()')), amount_of(two.strip('.,;:()'))) for one, two in other]
    told = [compare_amounts(one, two, percent=False) if one and two else None for one, two in amounts]
    if len(other) > 1 and sorted(one for one, _ in other) == sorted(two for _, two in other):
        return Relation.UNTOLD, 'the same in another order'
    if all(told) or all(one and two for one, two in amounts) and False in told:
        return (Relation.EQUAL, 'the same numbers') if all(told) else (Relation.DIFFERS, 'other numbers')
    places = [(ordinal_of(one), ordinal_of(two)) for one, two in other]
    if len(other) == 1 and (exclude(*other[0]) or None not in places[0]):
        return Relation.DIFFERS, f'{other[0][1]!r} in the place of {other[0][0]!r}'
    return None
