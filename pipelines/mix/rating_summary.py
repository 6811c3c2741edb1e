"""What became of the ratings of a mix: of each source and question how many samples were rated, how the ratings lie, and what is too low."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.given_ratings import with_proposals
from pipelines.mix.rated import RATED, Drop, highest, reason_for
from schemas.rating import NEEDS_PICTURE
from schemas.records import PROPOSALS, RATINGS

BINS = 20
# samples: in the mix; low: of all that were rated, in the mix or not, those below `below`; several: rated by more than one; agree: alike
SUMMARY = pa.schema([
    ('source', pa.string()), ('ask', pa.string()), ('samples', pa.int64()), ('rated', pa.int64()), ('unreadable', pa.int64()),
    ('left_out', pa.int64()), ('below', pa.float64()), ('low', pa.int64()), ('median', pa.float64()), ('several', pa.int64()), ('agree', pa.int64()),
    ('low_edge', pa.float64()), ('high_edge', pa.float64()), ('bins', pa.list_(pa.int64())),
])  # fmt: skip
SIDE = 0.5  # where opinions are compared that no threshold divides


@dataclass(frozen=True)
class SummarizeRatings(Step):
    """Writes `part` (SUMMARY), and `ratings` (RATINGS, with PROPOSALS where there are any): all that was rated, for the snapshot. One shard."""

    TABLE = 'rating_summary'
    VERSION = 1

    plan: Table
    features: Table
    ratings: tuple[Table, ...]
    given_ratings: tuple[Table, ...]
    drop: tuple[Drop, ...]
    asks: tuple[str, ...]  # told also where nothing was rated; others are those of files

    def process(self, shard: int, writer: ShardWriter) -> None:
        sizes = [pq.read_metadata(path).num_rows for path in self.features.parts()]
        starts = np.append(0, np.cumsum(sizes))
        sources = pa.concat_tables([pq.read_table(path, columns=['source']) for path in self.features.parts()])['source']
        codes = sources.combine_chunks().dictionary_encode()
        numbers, names = codes.indices.to_numpy(), codes.dictionary.to_pylist()
        kept = self._placed(starts, 'part')
        left_out = {reason: self._placed(starts, 'out', reason) for reason in {str(reason_for(drop.ask)) for drop in self.drop}}
        columns = [*RATINGS.names, 'part', 'row', 'source', 'scores']
        none = pa.schema([RATED.field(name) for name in columns]).empty_table()
        rows = pa.concat_tables([none, *(table for one in (*self.ratings, *self.given_ratings) for table in one.batches(columns=columns))])
        found = []
        for ask in dict.fromkeys((*self.asks, *pc.unique(rows['ask']).to_pylist())):
            of_ask = rows.filter(pc.equal(rows['ask'], ask))
            out = left_out.get(str(reason_for(ask)), np.zeros(int(starts[-1]), bool))
            for number, source in enumerate(names):
                mine = numbers == number
                some = of_ask.filter(pc.equal(of_ask['source'], source))
                if mine.any():
                    found.append(self._row(some, starts, source, ask, kept=kept & mine, out=out & mine))
        writer.write('part', pa.Table.from_pylist(sorted(found, key=lambda row: (row['source'], row['ask'])), SUMMARY))
        order = [(name, 'ascending') for name in ('part', 'row', 'ask', 'by')]
        told = with_proposals(rows.sort_by(order).select([*RATINGS.names, 'scores']))
        writer.write('ratings', told.cast(pa.schema([*RATINGS, *list(PROPOSALS)[: told.num_columns - len(RATINGS)]])))

    def _placed(self, starts: np.ndarray, kind: str, reason: str = '') -> np.ndarray:
        """Return bool[N]: the samples that the plan names."""
        found = pq.read_table(self.plan.parts(kind)[0], filters=[('reason', '=', reason)] if reason else None)
        placed = np.zeros(int(starts[-1]), bool)
        placed[starts[found['part'].to_numpy()] + found['row'].to_numpy()] = True
        return placed

    def _row(self, some: pa.Table, starts: np.ndarray, source: str, ask: str, *, kept: np.ndarray, out: np.ndarray) -> dict:
        scored = some.filter(pc.is_valid(some['score']))
        scores = highest(scored, starts, len(kept))
        is_rated = ~np.isnan(scores)
        values = scores[is_rated]
        below = next((drop.below for drop in self.drop if (drop.ask, drop.source) == (ask, source)), None)
        edges = edges_of(ask, values)
        several, agree = _opinions(scored, starts, SIDE if below is None else below)
        return {
            'source': source, 'ask': ask, 'samples': int(kept.sum()), 'rated': int((kept & is_rated).sum()),
            'unreadable': int(some.num_rows - scored.num_rows), 'left_out': int((out & is_rated).sum()),
            'below': below, 'low': None if below is None else int((values < below).sum()),
            'median': float(np.median(values)) if len(values) else None, 'several': several, 'agree': agree,
            'low_edge': float(edges[0]), 'high_edge': float(edges[-1]), 'bins': np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0].tolist(),
        }  # fmt: skip


def edges_of(ask: str, values: np.ndarray) -> np.ndarray:
    """Return float64[BINS + 1], the edges of a histogram: of 0 to 1 for probabilities, else of what there is."""
    if ask == NEEDS_PICTURE or (len(values) and (values.min() < 0 or values.max() > 1)):
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        return np.linspace(low, high if high > low else low + 1, BINS + 1)
    return np.linspace(0, 1, BINS + 1)


def _opinions(scored: pa.Table, starts: np.ndarray, side: float) -> tuple[int, int]:
    """Return how many samples several have rated, and of how many of these all say that they are on the same side."""
    places = starts[scored['part'].to_numpy()] + scored['row'].to_numpy()
    is_low = scored['score'].to_numpy() < side
    _, at, counts = np.unique(places, return_inverse=True, return_counts=True)
    low = np.bincount(at, weights=is_low, minlength=len(counts))
    several = counts > 1
    return int(several.sum()), int((several & ((low == 0) | (low == counts))).sum())


def read_summary(table: Table) -> list[dict]:
    """Return the rows of SUMMARY."""
    return list(_rows(table))


def _rows(table: Table) -> Iterator[dict]:
    for part in table.batches():
        yield from part.to_pylist()
