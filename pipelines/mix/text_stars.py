"""Clusters of nearly equal texts at a threshold: each is near the first of its cluster, as pictures are near their survivor; no chains."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.selection.stars import stars
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.near_texts import NEAR

# Of each sample that is near the first of a cluster: places among all samples, names and sources of both.
TEXT_STARS = pa.schema([
    ('place', pa.int64()), ('first', pa.int64()), ('sample_id', pa.string()), ('source', pa.string()), ('first_id', pa.string()),
    ('first_source', pa.string()), ('jaccard', pa.float64()),
])  # fmt: skip


@dataclass(frozen=True)
class MakeTextStars(Step):
    """Writes `part` (TEXT_STARS) and counts `members/SOURCE/SOURCE of the first`, and clusters. One shard."""

    TABLE = 'text_stars'
    VERSION = 1

    near: Table
    features: Table
    least: float

    def process(self, shard: int, writer: ShardWriter) -> None:
        found = pa.concat_tables([NEAR.empty_table(), *(pq.ParquetFile(path).read(use_threads=False) for path in self.near.parts())])
        alike = found['jaccard'].to_numpy()
        near = alike >= self.least
        i, j, alike = found['i'].to_numpy()[near], found['j'].to_numpy()[near], alike[near]
        places = np.union1d(i, j)
        first, apart = stars(len(places), np.searchsorted(places, i), np.searchsorted(places, j), np.rint(1e6 * (1 - alike)).astype(np.int64))
        names = self._names(places)
        members = np.flatnonzero(first != np.arange(len(places)))
        rows = [{'place': int(places[at]), 'first': int(places[first[at]]), 'sample_id': names[at][0], 'source': names[at][1],
                 'first_id': names[first[at]][0], 'first_source': names[first[at]][1], 'jaccard': 1 - int(apart[at]) / 1e6}
                for at in members.tolist()]  # fmt: skip
        writer.write('part', pa.Table.from_pylist(rows, TEXT_STARS))
        writer.counts['clusters'] = len({row['first'] for row in rows})
        for row in rows:
            writer.counts[f'members/{row["source"]}/{row["first_source"]}'] += 1

    def _names(self, places: np.ndarray) -> list[tuple[str, str]]:
        """Return (sample id, source) of samples by their places, ascending."""
        names: list[tuple[str, str]] = []
        start = 0
        for path in self.features.parts():
            stop = start + pq.read_metadata(path).num_rows
            mine = places[slice(*np.searchsorted(places, [start, stop]).tolist())] - start
            names += _read(path, mine) if len(mine) else []
            start = stop
        return names


def _read(path: Path, rows: np.ndarray) -> list[tuple[str, str]]:
    some = pq.ParquetFile(path).read(['sample_id', 'source'], use_threads=False).take(pa.array(rows))
    return list(zip(some['sample_id'].to_pylist(), some['source'].to_pylist(), strict=True))
