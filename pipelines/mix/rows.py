"""The rows of the mix snapshot, image bytes included, one output shard at a time."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.spread import REFERENCES
from pipelines.snapshot.parquet import cut_row_groups, write_row_groups
from pipelines.snapshot.spread import Blocks, block_starts
from pipelines.sources.images import ImageStore, ImageTooManyBytes, ImageUnavailable
from schemas.errors import UserError
from schemas.records import IMAGES


@dataclass(frozen=True)
class WriteMix(Step):
    """Writes `part` (MIX_ROWS) of one output shard: its blocks of the spread rows one after the other, with their pictures."""

    TABLE = 'mix_rows'
    VERSION = 2

    plan: Table
    spread: Table
    store: Place[ImageStore]
    schema: Place[pa.Schema]  # MIX_ROWS and what `datasets` adds, which takes seconds to import: made once, by the programme

    def shards(self) -> range:
        return range(self.plan.counts()['shards'])

    @cached_property
    def _blocks(self) -> Blocks:
        return Blocks(self.spread)

    @cached_property
    def _of_shard(self) -> np.ndarray:
        """Return the output shard of each block."""
        shards = pq.read_table(self.plan.parts()[0], columns=['shard'])['shard'].to_numpy()
        return shards[block_starts(shards)[:-1]]

    def process(self, shard: int, writer: ShardWriter) -> None:
        write_row_groups(writer, map(self._with_pictures, cut_row_groups(self._runs(shard))), self.schema)

    def _runs(self, shard: int) -> Iterator[tuple[pa.Table, np.ndarray]]:
        for rows in self._blocks.rows(np.flatnonzero(self._of_shard == shard).tolist()):
            yield rows, rows['n_bytes'].to_numpy()

    def _with_pictures(self, rows: pa.Table) -> pa.Table:
        """Return MIX_ROWS; equal pictures are neighbours, so each is read about once."""
        ids, references = rows['image_ids'].combine_chunks(), rows[REFERENCES].combine_chunks()
        lengths = pc.list_value_length(ids)
        assert lengths.equals(pc.list_value_length(references)), 'a sample has an id for each of its pictures'
        names, read = ids.flatten(), dict[str, bytes]()
        for image_id, reference in zip(names.to_pylist(), references.flatten().to_pylist(), strict=True):
            if image_id not in read:
                read[image_id] = picture_bytes(self.store, reference, image_id)
        data = pa.array([read[image_id] for image_id in names.to_pylist()], pa.binary())
        picture = pa.StructArray.from_arrays([data, names], fields=list(IMAGES.value_type))
        images = pa.ListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32()), picture, type=IMAGES)
        return rows.append_column('images', images).select(self.schema.names).cast(self.schema)


def picture_bytes(store: ImageStore, reference: str, image_id: str) -> bytes:
    """Return the bytes behind a reference; raises UserError where they are not those that were looked at."""
    try:
        data = store.read(reference)
    except (ImageUnavailable, ImageTooManyBytes) as e:
        raise UserError(f'image {reference}: it was there when it was checked and is not now ({e}); restore it or build again') from e
    if hashlib.sha256(data).hexdigest() != image_id:
        raise UserError(f'image {reference}: expected sha256 {image_id}, found other bytes; it changed during the build: build again')
    return data
