"""The images of a build as arrays that every worker memory-maps: of each source the way from a reference to its image, and the distinct images.

An image's number is its place in the total order (pixels descending, then id): the lowest number of a star survives.

There is one index of hashes, made by one method (curation/pictures/phash.py): the phash of every image, then once more each drawing whose steady hash
differs, under that. Two images are near if any hash of one is near any hash of the other.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import DTypeLike, NDArray

from curation.selection.hamming import distance256
from curation.selection.select import CODE, KEPT, lots
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from schemas.records import IMAGE_FACTS, REJECTIONS, Reason

ARRAYS = ('image_id', 'sorted_id', 'sorted_number', 'is_document', 'phash64', 'phash256', 'of_image', 'thumb')
REFERENCE_ARRAYS = ('key', 'image_id', 'n_bytes', 'reason')


@dataclass(frozen=True)
class IndexReferences(Step):
    """Writes the arrays of References for a source. One shard: narrow columns only."""

    TABLE = 'references'
    VERSION = 2  # of the reasons' numbers too: up when the closed list changes

    images: Table

    def label(self) -> str:
        return f'references{self.images.label.removeprefix("image_facts")}'

    def process(self, shard: int, writer: ShardWriter) -> None:
        facts = _concat([self.images], 'part', pa.schema([IMAGE_FACTS.field(name) for name in ('ref', 'image_id', 'n_bytes')]))
        faults = _concat([self.images], 'rejections', pa.schema([REJECTIONS.field(name) for name in ('id', 'reason')]))
        n, lost = facts.num_rows, faults.num_rows
        key = lots([*facts['ref'].to_pylist(), *faults['id'].to_pylist()])
        order = np.argsort(key, kind='stable')
        assert len(np.unique(key)) == n + lost, 'two references share 64 bits of sha256'
        arrays = {
            'key': key,
            'image_id': np.array([bytes.fromhex(i) for i in facts['image_id'].to_pylist()] + [b''] * lost, 'V32'),
            'n_bytes': np.concatenate([facts['n_bytes'].to_numpy(), np.zeros(lost, np.int64)]),
            'reason': np.array([KEPT] * n + [CODE[Reason(reason)] for reason in faults['reason'].to_pylist()], np.int16),
        }
        for name in REFERENCE_ARRAYS:
            np.save(writer.folder / f'{name}.npy', arrays[name][order])


class References:
    """What is behind the references of one source: `image_id` V32[R], `n_bytes` int64[R], and `reason` int16[R], why there is none (else KEPT)."""

    def __init__(self, table: Table) -> None:
        self._key, self.image_id, self.n_bytes, self.reason = (np.load(table.path / f'{name}.npy', mmap_mode='r') for name in REFERENCE_ARRAYS)

    def find(self, references: list[str]) -> np.ndarray:
        """Return int64[K]: where the references stand in the arrays."""
        keys = lots(references)
        at = np.searchsorted(self._key, keys)
        assert (self._key[np.minimum(at, len(self._key) - 1)] == keys).all() if len(keys) else True, 'a reference was never listed'
        return at


@dataclass(frozen=True)
class IndexImages(Step):
    """Writes `part` (IMAGE_FACTS of each distinct image, in number order) and the arrays of ImageIndex. One shard: narrow columns only."""

    TABLE = 'index'
    VERSION = 3

    images: tuple[Table, ...]

    def process(self, shard: int, writer: ShardWriter) -> None:
        distinct = _distinct(_concat(self.images, 'part', IMAGE_FACTS))
        phash64, steady64 = (distinct[name].to_numpy() for name in ('phash64', 'steady64'))
        phash256, steady256 = (_fixed(distinct[name], '>u8', 4).astype(np.uint64) for name in ('phash256', 'steady256'))
        twice = np.flatnonzero((phash64 != steady64) | (phash256 != steady256).any(axis=1))
        image_id = _ids(distinct['image_id'])
        by_id = np.argsort(image_id.view('S32'), kind='stable')
        arrays = {
            'image_id': image_id,
            'sorted_id': image_id.view('S32')[by_id],
            'sorted_number': by_id,
            'is_document': pc.equal(distinct['kind'], 'document').to_numpy(),
            'phash64': np.concatenate([phash64, steady64[twice]]),
            'phash256': np.concatenate([phash256, steady256[twice]]),
            'of_image': np.concatenate([np.arange(distinct.num_rows), twice]),
            'thumb': _fixed(distinct['thumb'], np.uint8, 192),
        }
        for name in ARRAYS:
            np.save(writer.folder / f'{name}.npy', arrays[name])
        writer.write('part', distinct)


def _distinct(facts: pa.Table) -> pa.Table:
    """Return the facts of each distinct image once, in number order, under the first of its references by name."""
    pixels = pc.multiply(facts['width'].cast(pa.int64()), facts['height'].cast(pa.int64()))
    keys = pa.table({'pixels': pixels, 'image_id': facts['image_id'], 'ref': facts['ref']})
    order = pc.sort_indices(keys, [('pixels', 'descending'), ('image_id', 'ascending'), ('ref', 'ascending')]).to_numpy()
    ids = _ids(facts['image_id'])[order]
    return facts.take(order[np.r_[True, ids[1:] != ids[:-1]][: len(ids)]])  # copies of one image are neighbours: all have its size


def _ids(hexadecimal: pa.ChunkedArray) -> np.ndarray:
    """Return V32[N] for ids in hexadecimal digits."""
    return np.frombuffer(b''.join(bytes.fromhex(''.join(chunk.to_pylist())) for chunk in hexadecimal.chunks), 'V32')


def _fixed(values: pa.ChunkedArray, dtype: DTypeLike, n: int) -> NDArray:
    """Return dtype[N, n] of binary values that all have one length."""
    width = values.type.byte_width
    parts = (chunk.buffers()[1][chunk.offset * width : (chunk.offset + len(chunk)) * width] for chunk in values.chunks)
    return np.frombuffer(b''.join(parts), dtype).reshape(-1, n)


def _concat(tables: tuple[Table, ...] | list[Table], kind: str, schema: pa.Schema) -> pa.Table:
    paths = [path for table in tables for path in table.parts(kind)]
    return pa.concat_tables([schema.empty_table(), *(pq.read_table(path, columns=schema.names).cast(schema) for path in paths)])


class ImageIndex:
    """The arrays, memory-mapped: `image_id` V32[U], `is_document` bool[U], `thumb` uint8[U, 192]; and of the hashes `phash64` uint64[H],
    `phash256` uint64[H, 4], `of_image` int64[H], the first U of which are the images' own, in their order."""

    def __init__(self, folder: Path) -> None:
        arrays = {name: np.load(folder / f'{name}.npy', mmap_mode='r') for name in ARRAYS}
        self.image_id, self.is_document, self.thumb = (arrays[name] for name in ('image_id', 'is_document', 'thumb'))
        self.phash64, self.phash256, self.of_image = arrays['phash64'], arrays['phash256'], arrays['of_image']
        self._sorted_id, self._sorted_number = arrays['sorted_id'], arrays['sorted_number']

    def numbers(self, image_ids: np.ndarray) -> np.ndarray:
        """Return int64[K], the numbers of images by their ids V32[K]."""
        return self._sorted_number[np.searchsorted(self._sorted_id, image_ids.view('S32'))]

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
