"""Questions of benchmarks that are shorter than a word run: found where they are all that is asked, in a turn or on a line of examples."""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from curation.texts.signs import bare, signed
from curation.texts.textmatch import units
from curation.texts.turns import answer_to
from pipelines.mix.encoded_turns import EncodedTurns
from pipelines.mix.questions import Question, without_marks
from pipelines.mix.word_runs import Slots, Vocabulary

RUN = 3  # units, by which a question inside a longer text is looked for
_NUMBERED = r'(?:[Qq]|Question|QUESTION|Problem|User|Human|Input|问题?|問題?|質問|題目)[ \t]{0,4}\d{0,6}[ \t]{0,4}'
_LABEL = rf'{_NUMBERED}[:.)：]'
_IN_NUMBER = re.compile(rf'(?:^|\s){_NUMBERED}\.\d')  # "Q1.5 m or 2 m?": what is asked begins in the midst of a unit
_ANSWER = r'(?:[Aa]|Answer|ANSWER)[ \t]{0,4}[:：]'
_ASKED = re.compile(  # blanks bounded: a text may be a megabyte of them
    rf'(?:^|\s){_LABEL}\s{{0,20}}(\S[^\n]{{0,200}}?)(?=\s{{0,20}}(?:\n|$|\s{_ANSWER}))|^[ \t]{{0,20}}([^\s?？][^\n?？]{{0,200}}[?？])[ \t]{{0,20}}$',
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A short question that a row asks: in which turn, and what follows, in signed form."""

    question: Question
    turn: int
    answer: list[str]


class ShortQuestions:
    """Short questions by their loose form, the few of one form told apart by their signs."""

    def __init__(self, by_form: Mapping[str, Sequence[Question]], vocabulary: Vocabulary) -> None:
        self._by_form, self._vocabulary = by_form, vocabulary
        encoded = [vocabulary.encode(form.split(' ')) for form in by_form]
        lengths = np.array([len(form) for form in encoded], np.int64)
        self._longest = int(lengths.max(initial=0))
        self._wholes = Slots(vocabulary.wholes(np.concatenate([np.empty(0, np.int32), *encoded]), lengths))
        self._rarest = {n: Slots(runs) for n, runs in self._rarest_runs(encoded).items()}

    def _rarest_runs(self, forms: Sequence[np.ndarray]) -> dict[int, np.ndarray]:
        """Return, by their length, runs of RUN units or of all units of a form: of each form the one that fewest have."""
        runs = [self._vocabulary.runs(form, min(RUN, len(form))).tolist() for form in forms]
        times = Counter(run for of_form in runs for run in set(of_form))
        found = defaultdict(list)
        for form, of_form in zip(forms, runs, strict=True):
            found[min(RUN, len(form))].append(min((times[run], run) for run in of_form)[1])
        return {n: np.array(of, np.uint64) for n, of in found.items()}

    def likely(self, encoded: EncodedTurns, shows: np.ndarray) -> np.ndarray:
        """Return bool[rows]: may ask one, and `shows` no picture; `asked` yields nothing of the others."""
        found = np.zeros(len(encoded.turns), bool)
        if self._by_form:
            row_of, is_last = encoded.turns.row_of, np.zeros(len(encoded.plain), bool)
            is_last[encoded.turns.bounds[1:] - 1] = True
            lengths, alone = np.diff(encoded.bounds), ~shows[row_of]
            short = alone & (lengths > 0) & (lengths <= self._longest)
            for some, of in ((short, np.arange(len(row_of))), (short & ~is_last, row_of)):
                found[self._asked_whole(encoded, np.flatnonzero(some), row_of, of)] = True
            found[row_of[self._asked_on_lines(encoded, np.flatnonzero(alone))]] = True
        return found

    def _asked_whole(self, encoded: EncodedTurns, some: np.ndarray, row_of: np.ndarray, of: np.ndarray) -> np.ndarray:
        """Return the rows in which some turns, those of equal `of` read as one text, are a question."""
        lengths = np.diff(encoded.bounds)[some]
        firsts = np.flatnonzero(np.diff(of[some], prepend=-1))
        together = np.add.reduceat(lengths, firsts) if len(firsts) else lengths
        return row_of[some[firsts[self._wholes.places(self._vocabulary.wholes(encoded.of(some), together))[0]]]]

    def _asked_on_lines(self, encoded: EncodedTurns, some: np.ndarray) -> list[int]:
        """Return those turns of some that have lines, and hold the rarest run of a question, or units of which a line has others."""
        found = ~encoded.plain[some]
        for at in np.flatnonzero(encoded.decimal[some]).tolist():
            found[at] |= _IN_NUMBER.search(without_marks(encoded.turns.texts[some[at]])) is not None
        units, bounds = encoded.of(some), np.append(0, np.cumsum(np.diff(encoded.bounds)[some]))
        for n, slots in self._rarest.items():
            at, _ = slots.places(self._vocabulary.runs(units, n))
            turn = np.searchsorted(bounds, at, 'right') - 1
            found[turn[at + n <= bounds[turn + 1]]] = True
        return [at for at in some[found].tolist() if _has_lines(encoded.turns.texts[at])]

    def asked(self, turns: Sequence[dict], forms: Sequence[str]) -> Iterator[Asked]:
        """Yield those that are a whole turn, all turns but the last, or asked on a line; `forms`: the loose form of each turn, '' of a long one."""
        if not self._by_form:
            return
        for at, form in enumerate(forms):
            if form in self._by_form:
                yield from self._same_signs(form, at, turns[at]['text'], _behind(turns, at))
        form = ' '.join(filter(None, forms[:-1])) if len(turns) > 2 else ''
        if form in self._by_form:
            yield from self._same_signs(form, 0, '\n'.join(turn['text'] for turn in turns[:-1]), turns[-1]['text'])
        for at, turn in enumerate(turns):
            if _has_lines(turn['text']):
                yield from self._on_lines(turns, at)

    def _on_lines(self, turns: Sequence[dict], at: int) -> Iterator[Asked]:
        text = without_marks(turns[at]['text'])
        lines = list(_ASKED.finditer(text))
        for line, following in itertools.zip_longest(lines, lines[1:]):
            form = ' '.join(units(line[1] or line[2]))
            if form in self._by_form:
                answer = text[line.end() : following.start()] if following else f'{text[line.end() :]}\n{_behind(turns, at)}'
                yield from self._same_signs(form, at, line[1] or line[2], answer)

    def _same_signs(self, form: str, turn: int, text: str, answer: str) -> Iterator[Asked]:
        asked = signed(without_marks(text)), bare(without_marks(text))
        for question in self._by_form[form]:
            if asked == (question.signed, question.bare):
                yield Asked(question, turn, signed(without_marks(answer)))


def _behind(turns: Sequence[dict], turn: int) -> str:
    """Return the text of the turns behind one, up to its answer."""
    until = answer_to([other['role'] for other in turns], turn)
    return '\n'.join(other['text'] for other in turns[turn + 1 : until + 1])


def _has_lines(text: str) -> bool:
    """Return whether anything in a text says where a line, or a question behind a label, begins."""
    return ':' in text or '\n' in text or '：' in text
