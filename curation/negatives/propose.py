"""Wrong answers by rule, without a model: of the same type, form and length as the right one, grammatical, the same on every machine."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, islice

from curation.answers.final import final_answer
from curation.answers.kinds import ARTICLES, YEAR, AnswerType, answer_type, option_of, options_of, tokens, yes_or_no
from curation.answers.options import named_options, named_within, numbered_options
from curation.answers.shield import SHIELD, shielded
from curation.english.attributes import GROUP
from curation.english.grammar import article_for, is_english, like, replaced
from curation.english.negation import answered_otherwise, negated
from curation.english.remembered import remembered
from curation.english.senses import asked_for, swaps
from curation.negatives.distractors import differ, distractor, is_glossed, may_be_right, other_answer, other_attribute, other_date, other_number
from curation.negatives.even import even_draw, weighted_draw
from curation.negatives.numbers import MONTHS, other_digits, other_number_word, other_year, pick
from curation.negatives.solutions import MARKER, Rule, other_figure, other_final, stated
from curation.negatives.soundness import drawn
from curation.verdicts.lateness import SEEN, WORD, words_in
from schemas.records import Reason

OPTION_CHARS = 300  # a longer answer that holds an option's word says more than that
FIGURE_CHARS = 300  # what is longer is no figure and no formula
_TOO_LATE = f'its final answer stands behind {SEEN} words and signs or more, where trainers cut: a model must write a wrong one'
_WORD = re.compile(r"[^\W\d_]+")
_NUMBER_OF_OPTION = re.compile(r'\(?(?P<label>\d{1,2})[).]*(?:\s+(?P<text>\S.*?))?')
_SO = re.compile(r'[.,;!]\s+(?:and )?(?:so|therefore|thus|hence|consequently)\b,?', re.IGNORECASE)
_LETTER_FIRST = re.compile(r'\W*[A-Ha-h][).:]')


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
    wrong too rarely, would give the triple away. Of a worked solution the final answer changes and nothing before it.
    """
    answer = answer.strip()
    kind_of_answer = answer_type(answer, question)
    rules = RULES[kind_of_answer]
    if kind_of_answer in (AnswerType.CAPTION, AnswerType.ENTITY) and (final := final_answer(answer)) and final.value != answer:
        if differs_late(answer, final.spans[0][0]):
            return Reason.NO_NEGATIVE, _TOO_LATE
        rules = (_change_final,)
    for rule in rules if yes_or_no(answer) or len(answer) > 200 else (_swap_named, *rules):
        text = drawn(sample_id, partial(_by, rule, question, answer, pool), answer)
        if text and not may_be_right(text, answer) and not _first_differs_late(answer, text):
            return Negative(text, 'incorrect', rule.__name__.strip('_'))
    return Reason.NO_NEGATIVE, f'no rule changes an answer of type {kind_of_answer} like {answer[:120]!r}'


def _by(rule: Rule, question: str, answer: str, pool: Sequence[str], sample_id: str) -> str | None:
    return rule(sample_id, question, answer, pool)


def _first_differs_late(answer: str, text: str) -> bool:
    return len(answer) >= SEEN and differs_late(answer, len(os.path.commonprefix((answer, text))))


def differs_late(answer: str, at: int) -> bool:
    """Return whether SEEN words and signs or more stand before the one at character `at` of `answer`."""
    return at >= SEEN and words_in(answer[:at + 1]) > SEEN


@remembered
def _seen(answer: str) -> str:
    """Return what of `answer` a rule may change, in its place: nothing that must stay, nothing behind SEEN words and signs."""
    seen = shielded(answer)
    concludes = max((found.end() for found in _SO.finditer(seen)), default=0)  # what leads to it is no answer
    seen = SHIELD * concludes + seen[concludes:]
    if len(answer) <= SEEN:
        return seen
    end = next((piece.end() for piece in islice(WORD.finditer(answer), SEEN - 1, None)), len(answer))
    return seen[:end] + SHIELD * (len(seen) - end)


def _change_final(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    found = final_answer(answer)
    if found is None:
        return None
    text = other_final(sample_id, question, answer, pool, found=stated(found, answer, question), by_type=_other_value)
    after = final_answer(text) if text else None
    return text if after and not may_be_right(after.value, found.value) else None


def _other_value(sample_id: str, question: str, value: str, pool: Sequence[str]) -> str | None:
    """Return another answer for a final answer that stands alone."""
    for rule in (_swap_named, *RULES[answer_type(value, question)]):
        text = drawn(sample_id, partial(_by, rule, question, value, pool), value)
        if text and not may_be_right(text, value) and len(text) <= 2 * len(value) + 20:
            return text
    return None


def _swap_named(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    """Return another of the options that the question names in words, where the answer is one of them."""
    options = named_options(question, answer.rstrip('.'))
    if option_of(answer, question):
        return None
    if numbered := _swap_numbered(sample_id, question, answer):
        return numbered
    if not options:
        return _swap_within(sample_id, question, answer, pool)
    own = tuple(tokens(answer))
    plain = {tuple(tokens(option)): option for option in options}
    if all(tuple(tokens(option)) == own or may_be_right(option, answer) for option in options):
        return None
    said = [plain[words] for text in pool if (words := tuple(tokens(text))) in plain]
    found = even_draw(f'named\0{sample_id}', plain[own], [*options, *said], _other_option)
    return _articled(answer, found) if found else None


def _swap_numbered(sample_id: str, question: str, answer: str) -> str | None:
    """Return another of the options that the question numbers, where the answer names one by its number: '(1)', '2. Ohio'."""
    options = numbered_options(question) if answer[:1].isdigit() or answer[:1] == '(' else {}
    named = _NUMBER_OF_OPTION.fullmatch(answer)
    if not named or named['label'] not in options or named['text'] and tokens(named['text']) != tokens(options[named['label']]):
        return None
    other = even_draw(f'numbered\0{sample_id}', named['label'], list(options), differ)
    assert other is not None, 'there are two at least'
    changed = replaced(answer, *named.span('label'), other)
    return changed[:-len(named['text'])] + options[other] if named['text'] else changed


def _swap_within(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    """Return a sentence with the option that it names replaced by another: 'It is linear.'"""
    found = named_within(question, answer) if len(answer) <= OPTION_CHARS else None
    if found is None:
        return None
    start, end, options = found
    said = answer[start:end]
    other = _swap_named(sample_id, question, said, pool) if tokens(said) else None
    return replaced(answer, start, end, other) if other else None


def _other_option(one: str, other: str) -> bool:
    return not may_be_right(one, other)


def _articled(answer: str, option: str) -> str:
    """Return `option` with an article where `answer` has one, with its capital and its full stop."""
    first, _, rest = option.partition(' ')
    bare = rest if first.casefold() in ARTICLES and rest else option
    article = answer.partition(' ')[0].casefold()
    if article in ARTICLES and ' ' in answer:
        bare = f'{article if article == "the" else article_for(bare)} {bare}'
    return like(answer, bare) + ('.' if answer.endswith('.') and not option.endswith('.') else '')


def _flip_yes_no(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    said = yes_or_no(answer)
    if said is None:
        return None
    tail = answered_otherwise(answer, _seen(answer), said)
    if tail is None:
        return None
    word = _WORD.search(answer)
    assert word is not None, 'it begins with yes or no'
    return answer[:word.start()] + like(word[0], 'no' if said == 'yes' else 'yes') + tail


def _swap_option(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    letter, options = option_of(answer, question), options_of(question)
    if letter is None:
        return None
    letters = sorted(options) or list('ABCD')
    right = [other for text in pool if (other := option_of(text, '')) in letters]  # a letter is wrong as often as it is right
    chosen = even_draw(f'option\0{sample_id}', letter, [*letters, *right], differ)
    assert chosen is not None
    words = tokens(answer)
    if words and words == tokens(options.get(letter, '')) and words != [letter.casefold()] and not _LETTER_FIRST.match(answer):
        return options[chosen]  # the answer is the option's text
    swapped = re.sub(rf'(?<![^\W\d_]){letter}(?![^\W\d_])', chosen, answer, count=1, flags=re.IGNORECASE)
    if answer.strip(' ().') and answer.strip(' ().')[0].islower():
        swapped = swapped.replace(chosen, chosen.lower(), 1)
    own = options.get(letter, '')
    return swapped.replace(own, options[chosen]) if own and own in swapped else swapped


def _shift_date(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    year = YEAR.search(answer)
    if year:
        return answer[:year.start()] + other_year(sample_id, year[0], answer[year.end():]) + answer[year.end():]
    for word in _WORD.finditer(answer):
        name = next((m for m in MONTHS if m == word[0].casefold() or (len(word[0]) == 3 and m[:3] == word[0].casefold())), None)
        short = len(word[0]) == 3 and word[0].casefold() != 'may'
        if name:
            moved_name = MONTHS[(MONTHS.index(name) + 1 + pick(sample_id, 'month', 11)) % 12][:3 if short else None]
            return answer[:word.start()] + like(word[0], moved_name) + answer[word.end():]
    return None


def _change_number(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    if len(answer) <= FIGURE_CHARS and is_glossed(answer):
        return None
    seen = MARKER.sub(lambda found: SHIELD * len(found[0]), _seen(answer), count=1) if answer[:1].isdigit() else _seen(answer)
    if re.search(r'\d', seen):
        return other_digits(sample_id, answer, seen, pool)
    return other_number_word(sample_id, answer) if len(answer.split()) <= 3 else None


def _change_attribute(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    """Return `answer` with one attribute word replaced by another of its group, rather by one that the pool's answers hold as often."""
    words = tokens(answer)
    if not is_english(answer) or (len(words) == 1 and not asked_for(words[0], question)):
        return None
    said = frozenset(words) | frozenset(tokens(question))
    found = swaps(answer, _seen(answer), said)
    common = Counter(chain.from_iterable(map(_attributes, [*pool, answer]))) if found else Counter()
    moves = {swap: min(1.0, common[swap.new] / max(1, common[swap.old])) for swap in found}  # as many go one way as the other
    return weighted_draw(f'change\0{sample_id}', list(moves), list(moves.values())).made(answer) if moves else None


@lru_cache(maxsize=16_384)  # samples that are asked alike look at the same answers again and again
def _attributes(text: str) -> tuple[str, ...]:
    return tuple(word for word in map(str.casefold, _WORD.findall(text)) if word in GROUP)


def _change_figure(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    if len(answer) > FIGURE_CHARS or is_glossed(answer):
        return None
    if shielded(answer).strip(SHIELD) == '' and '$' not in answer and '\\' not in answer and '(' not in answer:
        return None
    clock = other_digits(sample_id, answer, answer, pool) if ':' in answer and answer[:1].isdigit() else None
    return clock or other_figure(sample_id, question, answer, pool, by_type=_other_value)


def _negate(sample_id: str, question: str, answer: str, pool: Sequence[str]) -> str | None:
    return negated(answer, _seen(answer)) if is_english(answer) and not yes_or_no(answer) else None


RULES = {
    AnswerType.YES_NO: (_flip_yes_no, distractor),
    AnswerType.OPTION: (_swap_option,),
    AnswerType.DATE: (other_date, _shift_date, _change_number, distractor),
    AnswerType.NUMBER: (other_number, _change_number, _change_figure),
    AnswerType.ENTITY: (_flip_yes_no, other_attribute, other_answer, _change_attribute, _change_figure, distractor, _change_number),
    AnswerType.CAPTION: (_flip_yes_no, _change_attribute, _change_number, _negate, distractor),
}
