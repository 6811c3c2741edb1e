"""Questions of benchmarks in other words: samples of text alone that ask what an item of text alone asks, with its numbers and its answer.

Word runs (word_runs.py) find what was copied; a question that was reworded keeps none. But it keeps its numbers: what has SOME_NUMBERS is looked up
by them, whatever its words or language. Of what has fewer, content words are looked up one by one, whatever their order: runs of one stem, of
which a sample must hold half of a question's, by the same prefix filter; that is exact containment, which MinHash estimates. Then
curation/texts/rewording.py compares.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.texts.meaning import Closeness, closeness
from curation.texts.numbers_told import numbers_told
from curation.texts.rewording import CANDIDATE, SOME_NUMBERS, Rewording, asked, reworded, stem, stems, tells
from curation.texts.textmatch import units
from curation.texts.turns import answer_to
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.benchmark_texts import item_texts
from pipelines.mix.encoded_turns import TurnEncoder
from pipelines.mix.flat_turns import FlatTurns, flat_turns
from pipelines.mix.questions import without_marks
from pipelines.mix.word_runs import Vocabulary, WordRuns

COMPARED = 16  # items, for one question of a sample
ROWS_AT_ONCE = 2000
PARAPHRASES = pa.schema([
    ('row', pa.int32()), ('sample_id', pa.string()), ('bench', pa.string()), ('sure', pa.bool_()), ('evidence', pa.string())])  # fmt: skip


class _Stems(Vocabulary):
    """Stems of content words as numbers; 0 stands for every other."""

    def encode(self, units: Sequence[str]) -> np.ndarray:
        return super().encode([stem(unit) for unit in units])


class Paraphrases:
    """Looks questions up among the items of text alone of some benchmarks."""

    def __init__(self, items: list[dict], meant: Closeness | None = None) -> None:
        self._meant = meant
        self._items = [item for item in items if not item['pictures'] and tells(asked(without_marks(item['question'])))]
        self._numbers = [asked(without_marks(item['question'])).numbers for item in self._items]
        self._by_numbers: defaultdict[tuple[Fraction, ...], list[int]] = defaultdict(list)  # small ones in words passed over or not
        for at, numbers in enumerate(self._numbers):
            for key in numbers.partial_keys():
                if len(key) >= SOME_NUMBERS:
                    self._by_numbers[key].append(at)
        self._by_words = [at for at, numbers in enumerate(self._numbers) if len(numbers.told) < SOME_NUMBERS]
        few = [stems(units(without_marks(self._items[at]['question']))) for at in self._by_words]
        self._encoder = TurnEncoder(_Stems(few))
        self._runs = WordRuns(few, 1, CANDIDATE, Vocabulary(few))

    def find(self, turns: FlatTurns, shows: np.ndarray) -> Iterator[tuple[int, Rewording, dict]]:
        """Yield (row, what it is, evidence) of the rows that ask an item in other words; `shows` bool[rows]: those that show pictures ask none."""
        if not self._items or not len(turns):
            return
        encoded = self._encoder.encode(turns)
        skipped = np.array([role != 'user' for role in turns.roles], bool) | shows[turns.row_of]
        likely = dict(self._runs.find(encoded.units, encoded.bounds, skipped, of=np.zeros(len(self._by_words), bool)))
        best: dict[int, tuple[Rewording, dict]] = {}
        for turn in np.flatnonzero(~skipped).tolist():
            row = int(turns.row_of[turn])
            first, stop = int(turns.bounds[row]), int(turns.bounds[row + 1])
            answered = first + answer_to(turns.roles[first:stop], turn - first)
            text = turns.texts[turn]
            for at in self._candidates(text, likely.get(turn, [])):
                item = self._items[at]
                asks, answer = without_marks(item['question']), turns.texts[answered]
                found = reworded(asks, item['answers'], text, answer, self._meant) if answered != turn else None
                if found and (row not in best or found is Rewording.SURE and best[row][0] is Rewording.NEAR):
                    best[row] = found, {'bench': item['bench'], 'item_id': item['item_id'], 'evidence': str(found), 'turn': turn - first}
        yield from ((row, *found) for row, found in sorted(best.items()))

    def _candidates(self, text: str, likely: Sequence[tuple[float, int]]) -> list[int]:
        """Return items that may be asked by a text: of those with its numbers, or with hardly any, the ones that have most of its words.

        A benchmark may have hundreds of items of one template, which no word tells apart: so numbers are looked at first.
        """
        numbers = numbers_told(units(text))
        by_words = [self._by_words[item] for _, item in likely] if len(numbers.told) - len(numbers.small) < SOME_NUMBERS else []
        found = [item for item in by_words if self._numbers[item].same(numbers)][:COMPARED]
        by_numbers = [*dict.fromkeys(item for key in numbers.partial_keys() for item in self._by_numbers.get(key, []))]
        if len(by_numbers) > COMPARED:
            mine = asked(text).stems
            by_numbers = sorted(by_numbers, key=lambda item: -len(mine & asked(without_marks(self._items[item]['question'])).stems))
        return [*found, *by_numbers[:COMPARED]]


@lru_cache(maxsize=1)
def paraphrases_of(benches: tuple[Table, ...], meaning: bool) -> Paraphrases:
    """Return the look-up among the items of some benchmarks."""
    return Paraphrases(item_texts(benches), closeness if meaning else None)


@dataclass(frozen=True)
class FindParaphrases(Step):
    """Writes `part` (PARAPHRASES) of each part of a source's samples, and counts `hit/BENCH/paraphrase` and `hit/BENCH/near paraphrase`."""

    TABLE = 'paraphrases'
    VERSION = 3

    samples: Table
    benches: tuple[Table, ...]
    meaning: bool = False

    def label(self) -> str:
        return f'paraphrases{self.samples.label.removeprefix("samples")}'

    def shards(self) -> list[str]:
        return [str(path) for path in self.samples.parts()]

    @cached_property
    def _look_up(self) -> Paraphrases:
        return paraphrases_of(self.benches, self.meaning)

    def process(self, shard: str, writer: ShardWriter) -> None:
        writer.write('part', PARAPHRASES.empty_table())
        first, counts = 0, Counter[str]()
        with pq.ParquetFile(shard) as file:
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=['sample_id', 'turns', 'images'], use_threads=False):
                shows = np.diff(batch['images'].offsets.to_numpy()) > 0
                for row, found, evidence in self._look_up.find(flat_turns(batch['turns']), shows):
                    told = {'row': first + row, 'sample_id': batch['sample_id'][row].as_py(), 'bench': evidence['bench'],
                            'sure': found is Rewording.SURE, 'evidence': json.dumps(evidence, sort_keys=True)}  # fmt: skip
                    writer.write('part', pa.Table.from_pylist([told], PARAPHRASES))
                    counts[f'hit/{evidence["bench"]}/{found}'] += 1
                first += batch.num_rows
        writer.counts.update(counts)
