"""Near-duplicate stars of a build's images: hashes joined within a distance, each near pair confirmed, survivors chosen by total order."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.confirm import same_colours, same_picture
from curation.hamming import build_index, distance256, iter_pairs, open_index, rows_by_code
from curation.stars import stars
from pipelines.image_index import ImageIndex
from pipelines.images import ImageStore
from pipelines.steps import Engine, ShardStep
from pipelines.tables import ShardWriter, Table, fingerprint
from schemas.recipe import Duplicates
from schemas.records import STARS

VERSION = 1
BLOCK_CODES = 65_536  # distinct hashes a shard asks for; about 3 s of join
CROWD = 64  # images with one and the same hash that are all compared; of more, the first CROWD stand for the rest
PAIRS_AT_ONCE = 1 << 18  # row pairs filtered at a time, about 100 MB of temporaries
PAIRS = pa.schema([('i', pa.int64()), ('j', pa.int64()), ('distance', pa.int32())])


@dataclass(frozen=True, slots=True)
class Stars:
    """The finished stars: `survivor.npy` int64[U] beside the table, and what the manifest says of them."""

    path: Path
    fingerprint: str
    hashes: Path  # the Hamming index, for other joins
    about: dict


def find(rules: Duplicates, engine: Engine, index: Table, store: ImageStore) -> Stars:
    """Return the stars of all images of `index`."""
    hashes = engine.table('hashes', fingerprint('hashes', VERSION, index.fingerprint))
    engine.make(hashes, IndexHashes(str(index.path)), [0])
    n_codes = len(np.load(hashes.path / 'codes.npy', mmap_mode='r'))
    blocks = [(start, min(start + BLOCK_CODES, n_codes)) for start in range(0, n_codes, BLOCK_CODES)]
    bits = rules.model_dump(exclude={'max_per_near_duplicate'})
    pairs = engine.table('pairs', fingerprint('pairs', VERSION, bits, hashes.fingerprint))
    engine.make(pairs, FindPairs(str(index.path), str(hashes.path), store, rules), blocks)
    table = engine.table('stars', fingerprint('stars', VERSION, pairs.fingerprint))
    done = engine.make(table, MakeStars(str(index.path), [str(path) for path in pairs.parts()]), [0])
    return Stars(table.path, table.fingerprint, hashes.path, {name: done['counts'][name] for name in ('images', 'members', 'stars')})


@dataclass
class IndexHashes(ShardStep):
    """Writes the Hamming index of all images beside an empty table."""

    index: str

    def process(self, shard: int, writer: ShardWriter) -> None:
        build_index(ImageIndex(Path(self.index)).phash64, writer.folder)


@dataclass
class FindPairs(ShardStep):
    """Writes `part` (PAIRS): confirmed near pairs of image numbers i < j found by one block of codes."""

    index: str
    hashes: str
    store: ImageStore
    rules: Duplicates

    def setup(self) -> None:
        self._images = ImageIndex(Path(self.index))
        self._join = open_index(Path(self.hashes))
        self._rows, self._starts = rows_by_code(self._join)
        self._refs = pq.read_table(sorted(Path(self.index).glob('part-*.parquet'))[0], columns=['ref'])['ref']
        self._bytes = lru_cache(maxsize=256)(self._read)

    def process(self, shard: tuple[int, int], writer: ShardWriter) -> None:
        for i, j in self._near(shard):
            keep = np.fromiter((self._same(a, b) for a, b in zip(i.tolist(), j.tolist(), strict=True)), bool, len(i))
            distance = np.bitwise_count(self._images.phash64[i] ^ self._images.phash64[j])[keep].astype(np.int32)
            writer.write('part', pa.table({'i': i[keep], 'j': j[keep], 'distance': distance}, PAIRS))

    def _near(self, block: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (i, j), i < j, whose hashes and colours agree."""
        for i, j in self._expanded(block):
            low, high = np.minimum(i, j), np.maximum(i, j)
            document = self._images.is_document[low] | self._images.is_document[high]
            near64 = np.bitwise_count(self._images.phash64[low] ^ self._images.phash64[high]) <= np.where(
                document, self.rules.document_bits, self.rules.photo_bits
            )
            near256 = distance256(self._images.phash256[low], self._images.phash256[high]) <= np.where(
                document, self.rules.document_bits_256, self.rules.photo_bits_256
            )
            agree = near64 & near256
            low, high = low[agree], high[agree]
            agree = same_colours(self._images.thumb[low], self._images.thumb[high])
            yield low[agree], high[agree]

    def _expanded(self, block: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for code in range(*block):
            rows = self._rows[self._starts[code] : self._starts[code + 1]]
            if len(rows) > 1:
                yield from _products(rows[:CROWD], rows, same=True)
        most = max(self.rules.photo_bits, self.rules.document_bits)
        for found in iter_pairs(self._join, slice(*block), most):
            yield from self._cross(found.i, found.j)

    def _cross(self, i: np.ndarray, j: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the row pairs of code pairs: the first CROWD rows of one with all rows of the other, both ways."""
        sizes = np.diff(self._starts)
        single = (sizes[i] == 1) & (sizes[j] == 1)
        yield self._rows[self._starts[i[single]]], self._rows[self._starts[j[single]]]
        for a, b in zip(i[~single].tolist(), j[~single].tolist(), strict=True):
            of_a, of_b = (self._rows[self._starts[code] : self._starts[code + 1]] for code in (a, b))
            yield from _products(of_a[:CROWD], of_b)
            if len(of_a) > CROWD:
                yield from _products(of_a[CROWD:], of_b[:CROWD])

    def _same(self, i: int, j: int) -> bool:
        """Return whether a near pair shows the same picture on aligned pixels."""
        return same_picture(self._bytes(i), self._bytes(j))

    def _read(self, number: int) -> bytes:
        return self.store.read(self._refs[number].as_py())


def _products(some: np.ndarray, rows: np.ndarray, *, same: bool = False) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(rows), PAIRS_AT_ONCE // len(some)):
        run = rows[start : start + PAIRS_AT_ONCE // len(some)]
        i, j = np.repeat(some, len(run)), np.tile(run, len(some))
        wanted = i < j if same else np.ones(len(i), bool)
        yield i[wanted], j[wanted]


@dataclass
class MakeStars(ShardStep):
    """Writes `part` (STARS: every member that is not its own survivor) and survivor.npy int64[U]. One shard."""

    index: str
    pairs: list[str]

    def process(self, shard: int, writer: ShardWriter) -> None:
        images = ImageIndex(Path(self.index))
        n = len(images.image_id)
        found = pa.concat_tables([PAIRS.empty_table(), *(pq.read_table(path, schema=PAIRS) for path in self.pairs)]).to_pandas()
        found = found.drop_duplicates(['i', 'j'])
        survivor, distance = stars(n, found['i'].to_numpy(), found['j'].to_numpy(), found['distance'].to_numpy())
        np.save(writer.folder / 'survivor.npy', survivor)
        members = np.flatnonzero(survivor != np.arange(n))
        rows = {'image_id': [images.id(m) for m in members], 'survivor_id': [images.id(survivor[m]) for m in members], 'distance': distance[members]}
        writer.write('part', pa.table(rows, STARS))
        sizes = Counter(survivor[members].tolist())
        writer.counts.update({'images': n, 'members': len(members), 'stars': len(sizes)})
