"""Questions of benchmarks that are shorter than a word run: found where they are all that is asked, in a turn or on a line of examples."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from curation.texts.signs import bare, signed
from curation.texts.textmatch import units
from curation.texts.turns import answer_to
from pipelines.mix.questions import Question, without_marks

_LABEL = r'(?:[Qq]|Question|QUESTION|Problem|User|Human|Input|问题?|問題?|質問|題目)[ \t]{0,4}\d{0,6}[ \t]{0,4}[:.)：]'
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

    def __init__(self, by_form: Mapping[str, Sequence[Question]]) -> None:
        self._by_form = by_form

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
            if ':' in turn['text'] or '\n' in turn['text'] or '：' in turn['text']:
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
