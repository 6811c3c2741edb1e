"""The rows of the mix but for their pictures, written from where samples and features lie to where the plan wants them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.messages import messages_of
from pipelines.snapshot.parquet import rows_at_once
from pipelines.snapshot.spread import BlockWriter, block_starts, in_groups
from schemas.records import MIX_ROWS, STRINGS

OF_SAMPLE = ('sample_id', 'source', 'category', 'licence', 'file', 'ordinal')
OF_FEATURES = ('image_ids', 'cluster_ids', 'content_sha', 'contamination', 'n_bytes')
REFERENCES = 'references'  # of the pictures, instead of the pictures
SPREAD = pa.schema([field for field in MIX_ROWS if field.name != 'images'] + [pa.field(REFERENCES, STRINGS)])


@dataclass(frozen=True)
class SpreadMix(Step):
    """Writes blocks of SPREAD: the kept rows of some parts of the samples, each once, in the blocks of the output that they stand in."""

    TABLE = 'spread'
    VERSION = 2

    plan: Table
    samples: tuple[Table, ...]
    features: Table
    revisions: dict[str, str]
    answers: Mapping[str, str]

    def shards(self) -> list[tuple[int, int]]:
        return in_groups(len(self._parts), pq.read_metadata(self.plan.parts()[0]).num_rows)

    @cached_property
    def _parts(self) -> list[tuple[Path, Path]]:
        """Return each part of the samples, and that of the features which is aligned with it."""
        return list(zip((path for table in self.samples for path in table.parts()), self.features.parts(), strict=True))

    def process(self, shard: tuple[int, int], writer: ShardWriter) -> None:
        first, stop = shard
        plan = pq.read_table(self.plan.parts()[0], columns=['shard', 'part', 'row'])
        part, row = plan['part'].to_numpy(), plan['row'].to_numpy()
        blocks = BlockWriter(writer, block_starts(plan['shard'].to_numpy()), SPREAD)
        places = np.flatnonzero((part >= first) & (part < stop))
        places = places[np.lexsort((row[places], part[places]))]
        cuts = np.searchsorted(part[places], np.arange(first, stop + 1))
        for number in range(first, stop):
            mine = places[cuts[number - first] : cuts[number - first + 1]]
            for rows, at in self._rows(number, row[mine]):
                blocks.write(rows, mine[at])
        blocks.close()

    def _rows(self, part: int, wanted: np.ndarray) -> Iterator[tuple[pa.Table, slice]]:
        """Yield (SPREAD, which of them) for wanted rows, ascending, of one part."""
        if not len(wanted):
            return
        with pq.ParquetFile(self._parts[part][1]) as file:
            features = file.read(list(OF_FEATURES), use_threads=False)  # narrow; shards are what runs at once
        with pq.ParquetFile(self._parts[part][0]) as file:
            start = 0
            for batch in file.iter_batches(rows_at_once(file), use_threads=False):
                at = slice(*np.searchsorted(wanted, [start, start + batch.num_rows]).tolist())
                yield self._table(batch.take(pa.array(wanted[at] - start)), features.take(wanted[at])), at
                start += batch.num_rows

    def _table(self, samples: pa.RecordBatch, features: pa.Table) -> pa.Table:
        source = samples['source']
        columns = {
            'messages': messages_of(samples['turns']), REFERENCES: samples['images'],
            'revision': _by_source(source, self.revisions), 'answers': _by_source(source, self.answers),
            **{name: samples[name] for name in OF_SAMPLE}, **{name: features[name] for name in OF_FEATURES},
        }  # fmt: skip
        return pa.table(columns, SPREAD)


def _by_source(source: pa.StringArray, values: Mapping[str, str]) -> pa.StringArray:
    return pa.array(values.values(), pa.string()).take(pc.index_in(source, pa.array(values, pa.string())))
