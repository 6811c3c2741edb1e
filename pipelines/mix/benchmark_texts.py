"""Texts looked up among the items of benchmarks, wherever in a row they stand: any turn, a context, an example inside a question, told by an answer.

Word runs of the loose form propose; the signed form (curation/texts/signs.py) is the second look, and one of three rules speaks:
- equal question: a long one (curation/texts/leaks.py) stands in a row word for word and sign for sign, whatever is answered or shown, and is
  no template;
- text: enough runs of question and answer, this behind its question, in a sample of text alone. A short question must be all that is asked;
  an answer that is not published is not needed, unless the question is shorter than a run;
- near: enough runs of a long question, and none of the above. That is reported, nothing more.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from curation.texts.leaks import LEAST_WORDS
from curation.texts.signs import holds, share, signed
from curation.texts.textmatch import contaminated, units
from curation.texts.turns import Row
from pipelines.engine.tables import Table
from pipelines.mix.encoded_turns import EncodedTurns, TurnEncoder
from pipelines.mix.flat_turns import FlatTurns, turns_of
from pipelines.mix.questions import Question, different_questions, without_marks
from pipelines.mix.short_questions import Asked, ShortQuestions
from pipelines.mix.word_runs import Vocabulary, WordRuns
from schemas.recipe import Contamination

QUESTIONS_COMPARED = 64  # of benchmarks, for one row
ITEMS_REMEMBERED = 4096  # in signed form: one picture of a benchmark is shown by many rows


@dataclass(frozen=True, slots=True)
class TextRules:
    """What of the recipe's contamination rules decides on texts."""

    ngram_words: int
    min_overlap: float


def text_rules(rules: Contamination) -> TextRules:
    """Return the rules on texts."""
    return TextRules(rules.ngram_words, rules.min_overlap)


@dataclass(frozen=True, slots=True)
class Found:
    """What the texts of one row hold of benchmarks, as evidence."""

    joint: dict | None = None  # question and answer: contaminates a sample of text alone
    equal: list[dict] = field(default_factory=list)  # long questions by `question`, their digest: contaminate if the mix has no template of it
    near: dict | None = None


NOTHING = Found()


class BenchmarkTexts:
    """Looks the turns of rows up among the items of benchmarks."""

    def __init__(self, items: list[dict], rules: TextRules) -> None:
        self._items = items  # rows of ITEM_TEXTS
        self._at = {(item['bench'], item['item_id']): at for at, item in enumerate(items)}
        self._n, self._least = min(rules.ngram_words, LEAST_WORDS), rules.min_overlap  # no run is longer than a question that speaks by itself
        short: dict[str, list[Question]] = defaultdict(list)
        self._questions = []
        for question in different_questions(items):
            if len(question.loose) < self._n:
                short[' '.join(question.loose)].append(question)
            else:
                self._questions.append(question)
        vocabulary = Vocabulary([*(question.loose for question in self._questions), *(form.split(' ') for form in short)])
        self._encoder = TurnEncoder(vocabulary)
        self._signed = lru_cache(ITEMS_REMEMBERED)(self._signed_item)
        self._short = ShortQuestions(dict(short), vocabulary)
        self._alone = np.array([question.is_long and not question.is_template for question in self._questions], bool)
        self._runs = WordRuns([question.loose for question in self._questions], self._n, self._least, vocabulary)

    def find(self, turns: FlatTurns, shows: np.ndarray) -> list[Found]:
        """Return what each row holds; `shows` bool[rows]: whether it shows pictures, so that only long questions tell."""
        found = [NOTHING] * len(turns)
        if self._items and len(turns):
            encoded = self._encoder.encode(turns)
            long = dict(self._runs.find(encoded.units, encoded.bounds[turns.bounds], shows, of=self._alone))
            short = set(np.flatnonzero(self._short.likely(encoded, shows)).tolist())
            for at in long.keys() | short:
                found[at] = self._find(encoded, at, long.get(at, []), is_short=at in short, shows=bool(shows[at]))
        return found

    def _find(self, encoded: EncodedTurns, row: int, long: list[tuple[float, int]], *, is_short: bool, shows: bool) -> Found:
        turns = encoded.turns.row(row)
        short = list(self._short.asked(turns, self._forms(encoded, row))) if is_short else []
        likely = [(kept, self._questions[question]) for kept, question in long[:QUESTIONS_COMPARED]]
        return self._judge(turns, likely, short, shows=shows) if likely or short else NOTHING

    def _forms(self, encoded: EncodedTurns, row: int) -> list[str]:
        """Return the loose form of each turn of a row, '' of one that is no shorter than a run."""
        turns, lengths = encoded.turns, np.diff(encoded.bounds)
        places = range(turns.bounds[row], turns.bounds[row + 1])
        return [' '.join(units(without_marks(turns.texts[at]))) if lengths[at] < self._n else '' for at in places]

    def _judge(self, turns: list[dict], likely: list[tuple[float, Question]], short: list[Asked], *, shows: bool) -> Found:
        """Return what the rules say of the questions that a row asks, or is likely to hold."""
        joint = [hit for asked in short if (hit := self._joint(asked.question, 1.0, asked.turn, [asked.answer]))]
        equal: list[dict] = []
        near: list[dict] = []
        row = Row([{**turn, 'text': without_marks(turn['text'])} for turn in turns]) if likely else None
        for kept, question in likely:
            assert row is not None
            ends = row.find(question.signed)
            if ends and question.is_long and not question.is_template:
                told = self._told(question.items[0][0], 'equal question', row.turn(ends[0] - 1), 1.0)
                equal.append(told | {'question': question.digest})
            hit = None if shows else self._in_row(row, question, ends)
            joint += [hit] if hit else []
            if question.is_long and not ends and not hit:
                near.append(self._told(question.items[0][0], 'near', None, kept))
        return Found(max(joint, key=_overlaps) if joint else None, equal, near[0] if near and not joint else None)

    def _in_row(self, row: Row, question: Question, ends: list[int]) -> dict | None:
        """Return the evidence that a row holds most of a question, and the answer behind it or as its last turn; `ends`: where all of it stands."""
        kept = 1.0 if ends else row.share(question.signed, self._n)
        if kept < self._least:
            return None
        ends = ends or row.ends(question.signed, self._n)
        return self._joint(question, kept, row.turn(ends[0] - 1) if ends else 0, [*(row.behind(end) for end in ends), row.last])

    def _joint(self, question: Question, kept: float, turn: int, told: list[list[str]]) -> dict | None:
        """Return the best evidence that an item's answer stands in one of the texts `told`, where `kept` of its question stands before it."""
        found = []
        for at, answers in question.items:
            if not answers and len(question.loose) < self._n:
                continue  # a template, for all that is known
            overlap = max((holds(text, answer, self._n, self._least) for answer in answers for text in told), default=0.0)
            if rule := contaminated(image_hit=False, question_hit=True, answer_hit=overlap >= self._least if answers else None, has_image=False):
                found.append(self._told(at, rule, turn, kept, overlap))
        return max(found, key=_overlaps) if found else None

    def by_text(self, texts: list[str]) -> dict | None:
        """Return what contaminates a sample of text alone, None for nothing. `texts` are its turns, the last one the answer."""
        return self.by_texts([texts])[0]

    def by_texts(self, samples: list[list[str]]) -> list[dict | None]:
        """Return what contaminates each of some samples of text alone."""
        rows = [[{'role': 'user' if at else 'assistant', 'text': text} for at, text in zip(range(len(texts) - 1, -1, -1), texts, strict=True)]
                for texts in samples]  # fmt: skip
        return [found.joint or next(iter(found.equal), None) for found in self.find(turns_of(rows), np.zeros(len(rows), bool))]

    def by_picture(self, texts: list[str], hits: list[tuple]) -> dict:
        """Return the evidence of a sample whose pictures are those of some items: each hit is (distance, bench, item id).

        A fourth text says how the picture lies in the sample's, where pixels found it and no hash.
        """
        distance, bench, item_id, *copy = min(hits)
        at = self._at[bench, item_id]
        asked, answers = self._signed(at)
        of_texts = [signed(without_marks(text)) for text in texts]
        kept = share(asked, [unit for of_text in of_texts for unit in of_text], self._n)
        told = of_texts[-1] if '<image' not in texts[-1] else signed(texts[-1])
        overlap = max((holds(told, answer, self._n, self._least) for answer in answers), default=0.0)
        rule = contaminated(image_hit=True, question_hit=kept >= self._least, answer_hit=None, has_image=True)
        evidence = self._told(at, rule, None, kept, overlap)
        return evidence | ({'evidence': rule.replace('image', 'copy'), 'copy': copy[0]} if any(copy) else {'image_distance': distance})

    def _signed_item(self, at: int) -> tuple[list[str], list[list[str]]]:
        """Return question and answers of an item in signed form."""
        item = self._items[at]
        return signed(without_marks(item['question'])), [signed(answer) for answer in item['answers']]

    def _told(self, at: int, rule: str, turn: int | None, question_overlap: float, answer_overlap: float = 0.0) -> dict[str, Any]:
        item = self._items[at]
        return {
            'bench': item['bench'], 'item_id': item['item_id'], 'evidence': rule, 'turn': turn, 'image_distance': None,
            'question_overlap': round(question_overlap, 3), 'answer_overlap': round(answer_overlap, 3),
        }  # fmt: skip


def _overlaps(hit: dict) -> float:
    return hit['question_overlap'] + hit['answer_overlap']


@lru_cache(maxsize=1)  # every source of a worker looks into the same
def texts_of(benches: tuple[Table, ...], rules: TextRules) -> BenchmarkTexts:
    """Return the look-up of texts among the items of some benchmarks."""
    return BenchmarkTexts(item_texts(benches), rules)


def item_texts(benches: Iterable[Table]) -> list[dict]:
    """Return what is compared of the texts of some benchmarks, rows of ITEM_TEXTS."""
    return [row for table in benches for path in table.parts() for row in pq.read_table(path).to_pylist()]
