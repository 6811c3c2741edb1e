"""Wrong answers by rule, without a model: of the same type, form and length as the right one, the same on every machine."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from curation.answers import WORD_NUMBERS, AnswerType, answer_type, option_of, options_of, same_number, tokens, yes_or_no
from curation.distractors import (
    ATTRIBUTES,
    GROUP,
    NEAREST,
    YEAR,
    YEARS,
    differ,
    distractor,
    like,
    notation,
    other_answer,
    other_attribute,
    other_date,
    other_number,
)
from curation.even import even_draw, weighted_draw
from schemas.records import Reason

MONTHS = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december']
_WORD = re.compile(r"[^\W\d_]+")
_DIGITS = re.compile(r'(?<![\w.])\d[\d,]{0,30}(?:\.\d{1,15})?(?![\w])')  # bounded: no float holds a number of 400 digits
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
    """Return a wrong answer chosen by the hash of `sample_id`, or (NO_NEGATIVE, why).

    `pool`: right answers to like questions, each as often as it is right: wrong ones are drawn as often, for an answer that is never right, or
    wrong too rarely, would give the triple away.
    """
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
    return _WORD.sub(lambda m: like(m[0], flipped), answer, count=1)


def _swap_option(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    letter, options = option_of(answer, question), options_of(question)
    if letter is None:
        return None
    letters = sorted(options) or list('ABCD')
    right = [other for text in pool if (other := option_of(text, '')) in letters]  # a letter is wrong as often as it is right
    chosen = even_draw(f'option\0{sample_id}', letter, [*letters, *right], differ)
    assert chosen is not None
    if tokens(answer) == tokens(options.get(letter, '')) and len(tokens(answer)) > 0 and tokens(answer) != [letter.casefold()]:
        return options[chosen]  # the answer is the option's text
    swapped = re.sub(rf'(?<![^\W\d_]){letter}(?![^\W\d_])', chosen, answer, count=1, flags=re.IGNORECASE)
    if answer.strip(' ().') and answer.strip(' ().')[0].islower():
        swapped = swapped.replace(chosen, chosen.lower(), 1)
    own = options.get(letter, '')
    return swapped.replace(own, options[chosen]) if own and own in swapped else swapped


def _shift_date(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    year = YEAR.search(answer)
    if year:
        shift = 1 + pick(sample_id, 'year', YEARS)
        moved = int(year[0]) + (shift if pick(sample_id, 'forward', 2) else -shift)
        return answer[:year.start()] + str(moved) + answer[year.end():]
    for word in _WORD.finditer(answer):
        name = next((m for m in MONTHS if m == word[0].casefold() or (len(word[0]) == 3 and m[:3] == word[0].casefold())), None)
        if name:
            moved_name = MONTHS[(MONTHS.index(name) + 1 + pick(sample_id, 'month', 11)) % 12][:len(word[0]) if len(word[0]) == 3 else None]
            return answer[:word.start()] + like(word[0], moved_name) + answer[word.end():]
    return None


def _change_number(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    """Return `answer` with its last number changed by 10 to 50 % (counts: by 1 to 3), in the same notation and as round as it was.

    It stays below the largest right number of this notation in the pool: larger ones would all be wrong.
    """
    found = list(_DIGITS.finditer(answer))
    if not found:
        return _change_word_number(sample_id, answer)
    digits = found[-1]
    known = [last[-1] for text in pool if notation(text.strip()) == notation(answer) and (last := _DIGITS.findall(text))]
    most = max((_plain(number) for number in known), default=math.inf) if len(known) >= NEAREST else math.inf
    return answer[:digits.start()] + _changed(sample_id, digits[0], most) + answer[digits.end():]


def _plain(digits: str) -> float:
    return float(digits.replace(',', ''))


def _changed(sample_id: str, digits: str, most: float) -> str:
    places = len(digits.partition('.')[2])
    plain = digits.replace(',', '').replace('.', '')
    zeros = len(plain) - len(plain.rstrip('0')) if plain.strip('0') else 0
    scale = 10.0 ** (places - zeros)
    units = round(_plain(digits) * scale)  # whole units of the last place that is not 0, so that the notation stays
    span = (1, 3) if units < 10 else (max(1, -(-units // 10)), units // 2)
    step = span[0] + pick(sample_id, 'number', span[1] - span[0] + 1)
    down = (pick(sample_id, 'down', 2) or (units + step) / scale > most) and units - step > 0
    changed = units - step if down else units + step
    text = f'{changed / scale:,.{places}f}' if ',' in digits else f'{changed / scale:.{places}f}'
    return text.zfill(len(digits)) if digits.startswith('0') and places == 0 else text


def _change_word_number(sample_id: str, answer: str) -> str | None:
    for word in _WORD.finditer(answer):
        if word[0].casefold() in WORD_NUMBERS:
            names = [name for name in list(WORD_NUMBERS)[1:11] if name != word[0].casefold()]
            return answer[:word.start()] + like(word[0], names[pick(sample_id, 'word', len(names))]) + answer[word.end():]
    return None


def _change_attribute(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    """Return `answer` with one attribute word replaced by another of its group, rather by one that the pool's answers hold as often."""
    said = set(tokens(answer)) | set(tokens(question))
    common = Counter(word.casefold() for text in [*pool, answer] for word in _WORD.findall(text))
    moves: dict[str, float] = {}
    for word in _WORD.finditer(answer):
        group = ATTRIBUTES[GROUP[word[0].casefold()]] if word[0].casefold() in GROUP else ()
        others = [other for other in group if other != word[0].casefold()]
        # a colour that is in the picture's text may be true of something else
        for other in ([w for w in others if w not in said] if len(group) > 2 else []) or others:
            # as many go one way as the other
            moves[answer[:word.start()] + like(word[0], other) + answer[word.end():]] = min(1.0, common[other] / common[word[0].casefold()])
    return weighted_draw(f'change\0{sample_id}', list(moves), list(moves.values())) if moves else None


def _negate(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    """Return `answer` with its first auxiliary verb negated, or its 'not' taken out."""
    if re.search(r'\bnot\s', answer):
        return re.sub(r'\bnot\s', '', answer, count=1)
    return _AUXILIARY.sub(r'\1 not', answer, count=1) if _AUXILIARY.search(answer) else None


RULES = {
    AnswerType.YES_NO: (_flip_yes_no,),
    AnswerType.OPTION: (_swap_option,),
    AnswerType.DATE: (other_date, _shift_date, _change_number, distractor),
    AnswerType.NUMBER: (other_number, _change_number),
    AnswerType.ENTITY: (other_attribute, other_answer, _change_attribute, distractor, _change_number),
    AnswerType.CAPTION: (_change_attribute, _change_number, _negate, distractor),
}
