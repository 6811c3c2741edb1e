"""Wrong answers by rule, without a model: of the same type, form and length as the right one, the same on every machine."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from curation.answers import (
    WORD_NUMBERS,
    AnswerType,
    answer_type,
    option_of,
    options_of,
    same_number,
    tokens,
    yes_or_no,
)
from curation.judging import contained
from schemas.records import Reason

# Words that exclude each other: putting one in another's place makes a caption wrong in one checkable detail.
ATTRIBUTES = (
    ('red', 'blue', 'green', 'yellow', 'orange', 'purple', 'pink', 'brown', 'black', 'white', 'gray', 'teal'),
    ('circle', 'rectangle', 'triangle', 'square'),
    ('left', 'right'), ('top', 'bottom'), ('upper', 'lower'), ('above', 'below'), ('inside', 'outside'),
    ('front', 'back'), ('before', 'after'), ('first', 'last'), ('early', 'late'),
    ('large', 'small'), ('big', 'little'), ('tall', 'short'), ('wide', 'narrow'), ('old', 'young'),
    ('higher', 'lower'), ('highest', 'lowest'), ('more', 'fewer'), ('most', 'least'), ('greater', 'smaller'),
    ('increase', 'decrease'), ('increases', 'decreases'), ('increased', 'decreased'), ('increasing', 'decreasing'),
    ('rises', 'falls'), ('rose', 'fell'), ('maximum', 'minimum'), ('positive', 'negative'), ('even', 'odd'),
    ('man', 'woman'), ('boy', 'girl'), ('male', 'female'), ('day', 'night'), ('indoors', 'outdoors'), ('open', 'closed'),
    ('full', 'empty'), ('light', 'dark'), ('hot', 'cold'), ('wet', 'dry'), ('sunny', 'rainy'), ('north', 'south'), ('east', 'west'),
    ('one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'),
    ('always', 'never'), ('true', 'false'), ('possible', 'impossible'), ('parallel', 'perpendicular'),
)
MONTHS = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december']
NEAREST = 8  # the distractor is drawn among this many pool answers closest in length
_WORD = re.compile(r"[^\W\d_]+")
_DIGITS = re.compile(r'(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w])')
_AUXILIARY = re.compile(r'\b(is|are|was|were|can|does|do|did|has|have|will)\b(?!\s+not\b|n[\'’]t)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Negative:
    """A wrong answer, its kind, and the rule that made it."""

    text: str
    kind: str
    rule: str


def propose_negative(
    sample_id: str, question: str, answer: str, *, pool: Sequence[str] = ()
) -> Negative | tuple[Reason, str]:
    """Return a wrong answer chosen by the hash of `sample_id`, or (NO_NEGATIVE, why). `pool`: right answers to like questions."""
    answer = answer.strip()
    kind_of_answer = answer_type(answer, question)
    for rule in RULES[kind_of_answer]:
        text = rule(sample_id, question, answer, pool)
        if text and tokens(text) != tokens(answer) and not same_number(text, answer):
            return Negative(text, 'incorrect', rule.__name__.strip('_'))
    return Reason.NO_NEGATIVE, f'no rule changes an answer of type {kind_of_answer} like {answer[:120]!r}'


def pick(sample_id: str, salt: str, count: int) -> int:
    """Return a number below `count` that depends on the id and the salt only."""
    return int.from_bytes(hashlib.sha256(f'{salt}\0{sample_id}'.encode()).digest()[:8]) % count


def _flip_yes_no(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    said = yes_or_no(answer)
    if said is None:
        return None
    flipped = 'no' if said == 'yes' else 'yes'
    return _WORD.sub(lambda m: _like(m[0], flipped), answer, count=1)


def _swap_option(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    letter, options = option_of(answer, question), options_of(question)
    if letter is None:
        return None
    letters = sorted(options) or list('ABCD')
    others = [other for other in letters if other != letter]
    chosen = others[pick(sample_id, 'option', len(others))]
    if tokens(answer) == tokens(options.get(letter, '')) and len(tokens(answer)) > 0 and tokens(answer) != [letter.casefold()]:
        return options[chosen]  # the answer is the option's text
    swapped = re.sub(rf'(?<![^\W\d_]){letter}(?![^\W\d_])', chosen, answer, count=1, flags=re.IGNORECASE)
    if answer.strip(' ().') and answer.strip(' ().')[0].islower():
        swapped = swapped.replace(chosen, chosen.lower(), 1)
    own = options.get(letter, '')
    return swapped.replace(own, options[chosen]) if own and own in swapped else swapped


def _shift_date(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    year = re.search(r'\b(1[5-9]|20)\d{2}\b', answer)
    if year:
        shift = 1 + pick(sample_id, 'year', 9)
        moved = int(year[0]) + (shift if pick(sample_id, 'forward', 2) else -shift)
        return answer[:year.start()] + str(moved) + answer[year.end():]
    for word in _WORD.finditer(answer):
        name = next((m for m in MONTHS if m == word[0].casefold() or (len(word[0]) == 3 and m[:3] == word[0].casefold())), None)
        if name:
            moved_name = MONTHS[(MONTHS.index(name) + 1 + pick(sample_id, 'month', 11)) % 12][:len(word[0]) if len(word[0]) == 3 else None]
            return answer[:word.start()] + _like(word[0], moved_name) + answer[word.end():]
    return None


def _change_number(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    """Return `answer` with its last number changed by 10 to 50 % (counts: by 1 to 3), in the same notation."""
    found = list(_DIGITS.finditer(answer))
    if not found:
        return _change_word_number(sample_id, answer)
    digits = found[-1]
    return answer[:digits.start()] + _changed(sample_id, digits[0]) + answer[digits.end():]


def _changed(sample_id: str, digits: str) -> str:
    places = len(digits.partition('.')[2])
    scale = 10 ** places
    units = round(float(digits.replace(',', '')) * scale)  # whole units of the last place, so that the notation stays
    span = (1, 3) if units < 10 else (max(1, -(-units // 10)), units // 2)
    step = span[0] + pick(sample_id, 'number', span[1] - span[0] + 1)
    down = pick(sample_id, 'down', 2) and units - step > 0
    changed = units - step if down else units + step
    text = f'{changed / scale:,.{places}f}' if ',' in digits else f'{changed / scale:.{places}f}'
    return text.zfill(len(digits)) if digits.startswith('0') and places == 0 else text


def _change_word_number(sample_id: str, answer: str) -> str | None:
    for word in _WORD.finditer(answer):
        if word[0].casefold() in WORD_NUMBERS:
            names = [name for name in list(WORD_NUMBERS)[1:11] if name != word[0].casefold()]
            return answer[:word.start()] + _like(word[0], names[pick(sample_id, 'word', len(names))]) + answer[word.end():]
    return None


def _change_attribute(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    """Return `answer` with one attribute word replaced by another of its group."""
    places = [(word, group) for word in _WORD.finditer(answer) for group in ATTRIBUTES if word[0].casefold() in group]
    if not places:
        return None
    word, group = places[pick(sample_id, 'place', len(places))]
    said = set(tokens(answer)) | set(tokens(question)) if len(group) > 2 else set()
    others = [w for w in group if w != word[0].casefold()]
    fresh = [w for w in others if w not in said] or others  # a colour that is in the picture's text may be true of something else
    return answer[:word.start()] + _like(word[0], fresh[pick(sample_id, 'attribute', len(fresh))]) + answer[word.end():]


def distractor(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    """Return the right answer to another question of the same source: same type, near in length, drawn by hash."""
    wanted, own = answer_type(answer, question), set(tokens(question))
    fitting = [
        other for other in {text.strip() for text in pool}
        if other and answer_type(other, question) == wanted and tokens(other) != tokens(answer)
        and not contained(answer, other) and not contained(other, answer)
        and not (set(tokens(other)) <= own and wanted == AnswerType.ENTITY and not set(tokens(answer)) <= own)
    ]
    fitting.sort(key=lambda text: (abs(len(text) - len(answer)), _rank(sample_id, text)))
    near = fitting[:NEAREST]
    return _like(answer, min(near, key=lambda text: _rank(sample_id, text))) if near else None


def _negate(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    """Return `answer` with its first auxiliary verb negated, or its 'not' taken out."""
    if re.search(r'\bnot\s', answer):
        return re.sub(r'\bnot\s', '', answer, count=1)
    return _AUXILIARY.sub(r'\1 not', answer, count=1) if _AUXILIARY.search(answer) else None


RULES = {
    AnswerType.YES_NO: (_flip_yes_no,),
    AnswerType.OPTION: (_swap_option,),
    AnswerType.DATE: (_shift_date, _change_number, distractor),
    AnswerType.NUMBER: (_change_number,),
    AnswerType.ENTITY: (_change_attribute, distractor, _change_number),
    AnswerType.CAPTION: (_change_attribute, _change_number, _negate, distractor),
}


def _rank(sample_id: str, text: str) -> bytes:
    return hashlib.sha256(f'{sample_id}\0{text}'.encode()).digest()


def _like(model: str, word: str) -> str:
    """Return `word` capitalised as `model` is, where a single word or a whole answer was replaced."""
    if model.isupper() and len(model) > 1:
        return word.upper()
    if model[:1].isupper() and word[:1].islower():
        return word[:1].upper() + word[1:]
    return word[:1].lower() + word[1:] if model.islower() and word[:1].isupper() and word[1:].islower() and ' ' not in word else word
