"""The distinct images of a build as arrays that every worker memory-maps, and the way from a reference to its image.

An image's number is its place in the total order (pixels descending, then id): the lowest number of a star survives.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from curation.hamming import words256
from curation.select import CODE, REASONS, lot
from pipelines.steps import ShardStep
from pipelines.tables import ShardWriter
from schemas.records import IMAGE_FACTS, REJECTIONS, Reason

VERSION = 1
ARRAYS = ('ref_key', 'ref_number', 'image_id', 'is_document', 'n_bytes', 'phash64', 'phash256', 'thumb')


@dataclass
class IndexImages(ShardStep):
    """Writes `part` (IMAGE_FACTS of each distinct image, in number order) and the arrays of ImageIndex. One shard: narrow columns only."""

    parts: list[str]
    rejections: list[str]

    def process(self, shard: int, writer: ShardWriter) -> None:
        facts = _concat(self.parts, IMAGE_FACTS).to_pandas()
        facts['pixels'] = facts['width'].astype('int64') * facts['height']
        distinct = facts.sort_values(['pixels', 'image_id', 'ref'], ascending=[False, True, True]).drop_duplicates('image_id')
        distinct = distinct.drop(columns='pixels').reset_index(drop=True)
        number = pd.Series(distinct.index, index=distinct['image_id'])
        faults = _concat(self.rejections, REJECTIONS).to_pandas()
        numbers = np.concatenate([number.reindex(facts['image_id']).to_numpy(np.int64), [-1 - CODE[Reason(r)] for r in faults['reason']]])
        keys = np.array([lot(ref) for ref in [*facts['ref'], *faults['id']]], np.uint64)
        by_key = np.argsort(keys, kind='stable')
        assert len(np.unique(keys)) == len(keys), 'two references share 64 bits of sha256'
        arrays = {
            'ref_key': keys[by_key],
            'ref_number': numbers[by_key].astype(np.int64),
            'image_id': np.array([bytes.fromhex(i) for i in distinct['image_id']], 'V32'),
            'is_document': (distinct['kind'] == 'document').to_numpy(bool),
            'n_bytes': distinct['n_bytes'].to_numpy(np.int64),
            'phash64': distinct['phash64'].to_numpy(np.uint64),
            'phash256': words256(distinct['phash256'].tolist()),
            'thumb': np.frombuffer(b''.join(distinct['thumb']), np.uint8).reshape(-1, 192),
        }
        for name in ARRAYS:
            np.save(writer.folder / f'{name}.npy', arrays[name])
        writer.write('part', pa.Table.from_pandas(distinct, schema=IMAGE_FACTS, preserve_index=False))


def _concat(paths: list[str], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables([schema.empty_table(), *(pq.read_table(path, schema=schema) for path in paths)])


class ImageIndex:
    """The arrays, memory-mapped: `image_id` V32[U], `is_document` bool[U], `n_bytes` int64[U], `phash64` uint64[U],
    `phash256` uint64[U, 4], `thumb` uint8[U, 192]."""

    def __init__(self, folder: Path) -> None:
        self.ref_key, self.ref_number, self.image_id, self.is_document, self.n_bytes, self.phash64, self.phash256, self.thumb = (
            np.load(folder / f'{name}.npy', mmap_mode='r') for name in ARRAYS
        )

    def number(self, reference: str) -> int | Reason:
        """Return the number of the image behind a reference, or the reason why there is none."""
        key = np.uint64(lot(reference))
        at = int(np.searchsorted(self.ref_key, key))
        assert self.ref_key[at:at + 1] == key, f'{reference} was never listed'
        number = int(self.ref_number[at])
        return number if number >= 0 else REASONS[-1 - number]

    def id(self, number: int) -> str:
        """Return the image id (sha256 hex) of an image number."""
        return self.image_id[number].tobytes().hex()
