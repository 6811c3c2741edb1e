"""Which samples of a mix models rate: those that nothing else leaves out, of each source the lowest lots where the recipe bounds them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.selection.select import KEPT, MixRules, select
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.rows import picture_bytes
from pipelines.mix.selection import keys_of, read_narrow_features
from pipelines.snapshot.mix_rows import MixRow, read_rows
from pipelines.sources.images import ImageStore
from schemas.records import Turn

GROUP_ROWS = 2048  # samples to a shard of ratings
PICKED = pa.schema([('part', pa.int32()), ('row', pa.int32()), ('sample_id', pa.string()), ('source', pa.string()), ('lot', pa.uint64())])


@dataclass(frozen=True)
class PickRated(Step):
    """Writes `part` (PICKED by part and row, GROUP_ROWS to a row group). Quotas come later: who is out leaves his place. One shard."""

    TABLE = 'rated_picks'
    VERSION = 1

    features: Table
    sources: list[str]
    categories: dict[str, str]  # source -> category
    licences: list[str]
    drop_contaminated: bool
    max_samples: dict[str, int]

    def process(self, shard: int, writer: ShardWriter) -> None:
        narrow = read_narrow_features(self.features.parts())
        keys = keys_of(narrow, sources=self.sources, categories=self.categories, licences=self.licences)
        most = {self.sources.index(name): n for name, n in self.max_samples.items()}
        picked = select(keys, MixRules(self.drop_contaminated, None, most)) == KEPT
        rows = pa.Table.from_pandas(narrow.table.loc[picked, PICKED.names], PICKED, preserve_index=False)
        for start in range(0, max(1, rows.num_rows), GROUP_ROWS):
            writer.write('part', rows.slice(start, GROUP_ROWS))


def n_groups(picks: Table) -> int:
    """Return how many row groups the picks have, 0 where nothing was picked."""
    about = pq.read_metadata(picks.parts()[0])
    return about.num_row_groups if about.num_rows else 0


@dataclass(frozen=True, slots=True)
class Samples:
    """Opens samples of a mix by their places (part, row) among the features."""

    samples: tuple[str, ...]  # the parts, in the order of those of the features
    features: tuple[str, ...]
    store: ImageStore

    def at(self, places: Sequence[tuple[int, int]], *, pixels: bool) -> Iterator[MixRow]:
        """Yield the sample at each place, which ascend; with `pixels` with the bytes of its pictures, of one sample at a time.

        Raises UserError where a picture is not what it was when it was looked at.
        """
        parts = np.array([part for part, _ in places], np.int64)
        for part in np.unique(parts).tolist():
            rows = [row for place, row in places if place == part]
            said = read_rows(self.samples[part], rows, ['sample_id', 'source', 'turns', 'images'])
            shown = read_rows(self.features[part], rows, ['image_ids'])
            for (_, sample), (_, about) in zip(said, shown, strict=True):
                *turns, answer = (Turn(turn['role'], turn['text']) for turn in sample['turns'])
                images = zip(about['image_ids'], sample['images'], strict=True) if pixels else ()
                read = tuple((image_id, picture_bytes(self.store, reference, image_id)) for image_id, reference in images)
                yield MixRow(sample['sample_id'], sample['source'], '', tuple(turns), answer.text, tuple(about['image_ids']), read)


def samples_of(samples: tuple[Table, ...], features: Table, store: ImageStore) -> Samples:
    """Return what opens samples of some tables."""
    return Samples(tuple(str(path) for table in samples for path in table.parts()), tuple(map(str, features.parts())), store)
