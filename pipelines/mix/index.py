"""The distinct images of a build as arrays that every worker memory-maps, and the way from a reference to its image.

An image's number is its place in the total order (pixels descending, then id): the lowest number of a star survives.

There is one index of hashes, made by one method (curation/phash.py): the phash of every image, then once more each drawing whose steady hash
differs, under that. Two images are near if any hash of one is near any hash of the other.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from curation.hamming import distance256, words256
from curation.select import CODE, REASONS, lot
from pipelines.engine.steps import ShardStep
from pipelines.engine.tables import ShardWriter
from schemas.records import IMAGE_FACTS, REJECTIONS, Reason

VERSION = 2
ARRAYS = ('ref_key', 'ref_number', 'image_id', 'is_document', 'n_bytes', 'phash64', 'phash256', 'of_image', 'thumb')


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
        phash64, steady64 = (distinct[name].to_numpy(np.uint64) for name in ('phash64', 'steady64'))
        phash256, steady256 = (words256(distinct[name].tolist()) for name in ('phash256', 'steady256'))
        twice = np.flatnonzero((phash64 != steady64) | (phash256 != steady256).any(axis=1))
        arrays = {
            'ref_key': keys[by_key],
            'ref_number': numbers[by_key].astype(np.int64),
            'image_id': np.array([bytes.fromhex(i) for i in distinct['image_id']], 'V32'),
            'is_document': (distinct['kind'] == 'document').to_numpy(bool),
            'n_bytes': distinct['n_bytes'].to_numpy(np.int64),
            'phash64': np.concatenate([phash64, steady64[twice]]),
            'phash256': np.concatenate([phash256, steady256[twice]]),
            'of_image': np.concatenate([np.arange(len(distinct)), twice]),
            'thumb': np.frombuffer(b''.join(distinct['thumb']), np.uint8).reshape(-1, 192),
        }
        for name in ARRAYS:
            np.save(writer.folder / f'{name}.npy', arrays[name])
        writer.write('part', pa.Table.from_pandas(distinct, schema=IMAGE_FACTS, preserve_index=False))


def _concat(paths: list[str], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables([schema.empty_table(), *(pq.read_table(path, schema=schema) for path in paths)])


class ImageIndex:
    """The arrays, memory-mapped: `image_id` V32[U], `is_document` bool[U], `n_bytes` int64[U], `thumb` uint8[U, 192]; and of the hashes
    `phash64` uint64[H], `phash256` uint64[H, 4], `of_image` int64[H], the first U of which are the images' own, in their order."""

    def __init__(self, folder: Path) -> None:
        arrays = {name: np.load(folder / f'{name}.npy', mmap_mode='r') for name in ARRAYS}
        self.ref_key, self.ref_number = arrays['ref_key'], arrays['ref_number']
        self.image_id, self.is_document, self.n_bytes, self.thumb = (arrays[name] for name in ('image_id', 'is_document', 'n_bytes', 'thumb'))
        self.phash64, self.phash256, self.of_image = arrays['phash64'], arrays['phash256'], arrays['of_image']

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

    def apart(self, a: int, b: int) -> tuple[int, int]:
        """Return by how many of 64 and of 256 bits two images differ, by the hashes in which they are nearest."""
        i, j = (np.array(pair) for pair in zip(*itertools.product(self._hashes(a), self._hashes(b)), strict=True))
        narrow = np.bitwise_count(self.phash64[i] ^ self.phash64[j]).astype(int)
        wide = distance256(self.phash256[i], self.phash256[j]).astype(int)
        nearest = int((4 * narrow + wide).argmin())  # a quarter of the bits: what 1 of 64 is, 4 of 256 are
        return int(narrow[nearest]), int(wide[nearest])

    def _hashes(self, number: int) -> list[int]:
        n = len(self.image_id)
        return [number, *(n + np.flatnonzero(self.of_image[n:] == number)).tolist()]
