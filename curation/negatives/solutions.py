"""A worked solution made wrong: its final answer is another one, in every place that states it, and not a word before it is changed."""

import re
from collections.abc import Callable, Sequence

from curation.answers.final import Final, final_answer
from curation.answers.kinds import option_of, options_of
from curation.answers.shield import SHIELD, structure_shielded
from curation.english.grammar import like
from curation.negatives.distractors import is_glossed
from curation.negatives.numbers import change_at, pick

Rule = Callable[[str, str, str, Sequence[str]], str | None]
_MARKUP = re.compile(r'^(?:\$+|\\\(|\\\[|\\(?:text(?:bf|rm|it)?|mathrm|mathbf|mathit)\{|[{*_"“\'‘\s])+|(?:\$+|\\\)|\\\]|[}*_"”\'’\s.])+$')
_LETTERED = re.compile(r'^\(?(?:option |choice )?\(?(?P<letter>[A-H])(?:\)|\.|:|\}| )')
_FINAL_DIGITS = re.compile(r'(?<![A-Za-z\d_.])(?:\d{1,3}(?:,\d{3}){1,9}(?!\d)|\d{1,3}(?:\{,\}\d{3}){1,9}|\d{1,31})(?:\.\d{1,15})?(?!\d|st\b'
    r'|nd\b|rd\b|th\b)')
_SMALL_PLACE = re.compile(r'(?:[_^]\{?[-−]?|\\sqrt\[|[_^]\{[^{}]*)$')
_FIGURE = re.compile(r'[\W_]*\d')
_ORDINAL = re.compile(r'(\d{1,2})(?:st|nd|rd|th)\b')
MARKER = re.compile(r'\d{1,2}[.)]\s+(?=[^\W\d])')
_DOTTED = re.compile(r'v?(?:\d{1,3}\.){2,}\d{1,3}')  # a version, a section, an address
_FORMULA = re.compile(r'\\[a-zA-Z]|\$.+\$|[\^=]|\d[a-z]\b|\d\s*[-+*/!()]|[-+*/(]\s*\d')
NEAR = 8  # so far off is another part of a version or an address at most
_EQUALS = re.compile(r'=|≈|\\approx|\\Rightarrow')


def other_final(sample_id: str, question: str, answer: str, pool: Sequence[str], *, found: Final, by_type: Rule) -> str | None:
    """Return `answer` with another final answer, None where no rule finds a wrong one. `by_type` changes a bare value as an answer of its own."""
    values = [_core(value.value) for text in pool if (value := final_answer(text))] or [text for text in pool if len(text) <= len(found.value) + 40]
    changes = _changes(sample_id, question, found.value, values, by_type)
    if not changes:
        return None
    text = answer
    for start, end in reversed(found.spans):
        said = _replaced(answer[start:end], changes)
        if said is None:
            return None
        text = text[:start] + said + text[end:]
    return text


def stated(found: Final, answer: str, question: str) -> Final:
    """Return `found` with the places that state the same option otherwise: in a box its text, at the end its letter."""
    options = options_of(question)
    letter = option_of(_core(found.value), question)
    if not letter or letter not in options:
        return found
    same = [span for span in found.others if option_of(_core(answer[slice(*span)]), question) == letter]
    return Final(found.value, tuple(sorted((*found.spans, *same))))


def other_figure(sample_id: str, question: str, answer: str, pool: Sequence[str], *, by_type: Rule) -> str | None:
    """Return an answer that is a figure or a formula with one number changed: 2\\sqrt{3}, x = 5, 3:4, 2nd, (C) 12 with its letter."""
    core = _core(answer)
    if (named := _LETTERED.match(core)) and len(core.strip(' ().}')) > 1:
        changes = _other_letter(sample_id, question, core, named['letter'], pool, by_type)
        return _replaced(answer, changes) if changes else None
    if MARKER.match(answer):
        return None  # the place in a list, no figure of the answer
    if _DOTTED.fullmatch(answer):
        before, _, last = answer.rpartition('.')
        step = 1 + pick(sample_id, 'dotted', min(NEAR, max(1, 255 - int(last))))
        return f'{before}.{int(last) + step if int(last) < 255 else int(last) - step}'
    if ordinal := _ORDINAL.search(answer):
        number = (int(ordinal[1]) + pick(sample_id, 'ordinal', 3)) % 10 + 1
        ending = {1: 'st', 2: 'nd', 3: 'rd'}.get(number, 'th')
        return f'{answer[:ordinal.start()]}{number}{ending}{answer[ordinal.end():]}'
    return _other_digits(sample_id, answer) if _FORMULA.search(answer) or _FIGURE.match(answer) else None


def _core(value: str) -> str:
    core = _MARKUP.sub('', value)
    end = value.rfind(core) + len(core)
    while core.count('{') > core.count('}') and value[end:end + 1] == '}':  # of \sqrt{3} it is no markup around
        core, end = core + '}', end + 1
    return core


def _changes(sample_id: str, question: str, value: str, values: Sequence[str], by_type: Rule) -> list[tuple[str, str]]:
    """Return (piece, piece in its place) for what makes `value` another one."""
    core = _core(value)
    letter, options = option_of(core, question), options_of(question)
    if letter and letter in options and core.strip(' ().') in (letter, options[letter]):
        other = by_type(sample_id, question, letter, [named for text in values if (named := option_of(text, question))])
        return [(letter, other), (options[letter], options[other])] if other and other in options else []
    bare = _LETTERED.match(core)
    if bare and len(core.strip(' ().}')) > 1 and (made := _other_letter(sample_id, question, core, bare['letter'], values, by_type)):
        return made
    if SHIELD not in structure_shielded(core):
        changed = by_type(sample_id, question, core, values)
        return [(core, changed)] if changed else []
    changed = None if is_glossed(core) else _other_digits(sample_id, core)
    return [(core, changed)] if changed else []


def _other_letter(sample_id: str, question: str, core: str, letter: str, values: Sequence[str], by_type: Rule) -> list[tuple[str, str]]:
    """Return the changes of a letter and of the text behind it: '(B) 12', '(B)}\\ 12'; without the options' texts a number behind it changes too."""
    options = options_of(question)
    other = by_type(sample_id, question, letter, [named for text in values if (named := option_of(text, question))])
    if other is None or not other.isalpha():
        return []
    if letter in options and options[letter] in core[1:]:
        return [(letter, other), (options[letter], options[other])]
    rest = core[core.index(letter) + 1:]
    changed = _other_digits(sample_id, rest)
    if changed is None:
        return [(letter, other)] if not re.search(r'\w', _MARKUP.sub('', rest)) else []
    return [(letter, other), (rest, changed)]


def _other_digits(sample_id: str, value: str) -> str | None:
    """Return a formula with one number changed: behind its last equals sign, no index or power where there is another."""
    seen = structure_shielded(value)
    behind = max((found.end() for found in _EQUALS.finditer(value)), default=0)
    numbers = list(_FINAL_DIGITS.finditer(seen, behind))
    numbers.sort(key=lambda found: _place(value, *found.span()))  # stable: else the first
    for number in numbers:
        braced = '{,}' in number[0]
        start, end = number.span()
        plain = value[:start] + number[0].replace('{,}', ',') + value[end:] if braced else value
        changed = change_at(sample_id, plain, plain, start, end - 2 * number[0].count('{,}'))
        if changed is not None:
            return changed.replace(',', '{,}') if braced else changed
    return None


def _place(value: str, start: int, end: int) -> int:
    if value[start:end] == '10' and value[end:].lstrip('}').startswith('^'):
        return 2  # a power of ten stays one
    return int(_SMALL_PLACE.search(value[:start]) is not None)


def _replaced(stated: str, changes: list[tuple[str, str]]) -> str | None:
    """Return one statement of the final answer with the changes in it, None where it lacks a piece that it must say."""
    text, done = stated, 0
    for old, new in changes:
        at = re.search(rf'(?<![^\W_]){re.escape(old)}(?![^\W_])', text, re.IGNORECASE)
        new = like(at[0], new) if at and at[0] != old else new
        if at is None:
            at, new = _first_number(text, old, new)
        if at is not None:
            text, done = text[:at.start()] + new + text[at.end():], done + 1
    return text if done else None


def _first_number(text: str, old: str, new: str) -> tuple[re.Match[str] | None, str]:
    """Return where `text` states the number in which `old` and `new` differ: the answer is 12 cm, in a box 12."""
    a, b = (_FINAL_DIGITS.findall(side) for side in (old, new))
    differ = [(x, y) for x, y in zip(a, b, strict=False) if x != y]
    if len(a) != len(b) or len(differ) != 1:
        return None, new
    return re.search(rf'(?<![\w.]){re.escape(differ[0][0])}(?![\d])', text), differ[0][1]
