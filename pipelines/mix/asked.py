"""Which pictures of the mix are shown with a question that a benchmark asks about one: the first road to copies that no hash finds.

A question is asked where its loose form stands: a long one as enough of its word runs anywhere in a turn, a short one as a whole turn, or all of a
line or sentence of one. So instructions before and behind it, options and labels hide nothing. It only proposes: pictures decide (copies.py).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.selection.select import KEPT
from curation.texts.textmatch import units
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.benchmark_texts import TextRules
from pipelines.mix.encoded_turns import TurnEncoder
from pipelines.mix.flat_turns import FlatTurns, flat_turns
from pipelines.mix.index import ImageIndex, References
from pipelines.mix.questions import without_marks
from pipelines.mix.word_runs import Slots, Vocabulary, WordRuns

ASKED_PICTURES = pa.schema([('number', pa.int64()), ('question', pa.string())])  # of an image; in loose form
SENTENCE = re.compile(r'(?:[.?!:;]\s)|[\n。？！：；]')
LONGEST = 4_000  # characters of a turn whose sentences are looked at
TOGETHER = 3  # sentences in a row that are one question at most


class PicturedQuestions:
    """The questions that benchmarks ask about pictures, by their loose form."""

    def __init__(self, benches: tuple[Table, ...], rules: TextRules) -> None:
        asked = dict.fromkeys(form for table in benches for form, _ in pictured(table) if form)
        forms = [form.split(' ') for form in asked]
        n = rules.ngram_words
        self._long, self._short = [form for form in forms if len(form) >= n], {' '.join(form) for form in forms if len(form) < n}
        self._vocabulary = Vocabulary(forms)
        self._encoder = TurnEncoder(self._vocabulary)
        self._runs = WordRuns(self._long, n, rules.min_overlap, self._vocabulary)
        self._lengths = sorted({len(form) for form in forms if len(form) < n})
        encoded = {k: [self._vocabulary.encode(form) for form in forms if len(form) == k] for k in self._lengths}
        self._slots = {k: Slots(np.concatenate([self._vocabulary.runs(form, k) for form in some])) for k, some in encoded.items()}

    def find(self, turns: FlatTurns) -> Iterator[tuple[int, str]]:
        """Yield (row, question) for every question that a row asks, each once."""
        encoded = self._encoder.encode(turns)
        none = np.zeros(len(turns), bool)
        for row, found in self._runs.find(encoded.units, encoded.bounds[turns.bounds], none, of=np.zeros(len(self._long), bool)):
            yield from ((row, ' '.join(self._long[question])) for _, question in found)
        likely = set[int]()
        for k, slots in self._slots.items():
            at, _ = slots.places(self._vocabulary.runs(encoded.units, k))
            turn = np.searchsorted(encoded.bounds, at, 'right') - 1
            likely |= set(turn[at + k <= encoded.bounds[turn + 1]].tolist())
        rows = turns.row_of
        pairs = ((int(rows[at]), question) for at in sorted(likely) for question in sorted(self._asked(turns.texts[at])))
        yield from dict.fromkeys(pairs)

    def _asked(self, text: str) -> set[str]:
        """Return the short questions that a turn, a line or sentences of it, is."""
        text = without_marks(text)
        whole = ' '.join(units(text))
        found = {whole} & self._short
        if len(text) <= LONGEST:
            parts = [of_part for part in SENTENCE.split(text) if (of_part := ' '.join(units(part)))]
            for n in range(1, TOGETHER + 1):
                found |= {' '.join(parts[at : at + n]) for at in range(len(parts) - n + 1)} & self._short
        return found


def pictured(table: Table) -> Iterator[tuple[str, int]]:
    """Yield (question in loose form, row) for each item of a benchmark that shows pictures."""
    row = 0
    for path in table.parts():
        for item in pq.read_table(path, columns=['question', 'pictures']).to_pylist():
            if item['pictures']:
                yield ' '.join(units(without_marks(item['question']))), row
            row += 1


@dataclass(frozen=True)
class FindAsked(Step):
    """Writes `part` (ASKED_PICTURES): the pictures that one source shows with a question of a benchmark's picture."""

    TABLE = 'asked_pictures'
    VERSION = 1

    samples: Table
    references: Table
    index: Table
    benches: tuple[Table, ...]
    rules: TextRules

    def label(self) -> str:
        return f'{self.TABLE}{self.samples.label.removeprefix("samples")}'

    def shards(self) -> list[str]:
        return [str(path) for path in self.samples.parts()]

    @cached_property
    def _questions(self) -> PicturedQuestions:
        return PicturedQuestions(self.benches, self.rules)

    @cached_property
    def _images(self) -> tuple[References, ImageIndex]:
        return References(self.references), ImageIndex(self.index.path)

    def process(self, shard: str, writer: ShardWriter) -> None:
        found = dict[tuple[int, str], None]()
        with pq.ParquetFile(shard) as file:
            for group in range(file.num_row_groups):
                samples = file.read_row_group(group, columns=['turns', 'images'], use_threads=False)
                shows = np.flatnonzero(np.asarray(pc.list_value_length(samples['images'])) > 0)
                samples, first = samples.take(pa.array(shows)), 0
                for turns in flat_turns(samples['turns'].combine_chunks()).blocks():
                    asked = list(self._questions.find(turns))
                    images = samples['images'].slice(first, len(turns)).to_pylist() if asked else []
                    found |= dict.fromkeys((number, question) for row, question in asked for number in self._numbers(images[row]))
                    first += len(turns)
        rows = [{'number': number, 'question': question} for number, question in sorted(found)]
        writer.write('part', pa.Table.from_pylist(rows, ASKED_PICTURES))

    def _numbers(self, images: list[str]) -> list[int]:
        references, index = self._images
        at = references.find(images)
        return index.numbers(references.image_id[at[references.reason[at] == KEPT]]).tolist()
