"""Near-duplicate stars of a build's images: hashes joined within a distance, pairs with a document confirmed on pixels, survivors by total order.

The join is made once at JOIN_BITS (or the recipe's thresholds, if larger) and its pairs kept with their distances: a lower
threshold makes the stars again and neither joins nor opens a picture. What is exact and what is bounded:

- every pair of images with different 64-bit hashes within the distance is found, by their phash or by the steady hash of drawings;
- of more than CROWD = 64 images with one and the same hash, the first CROWD (by resolution) stand for the rest;
- photos need near hashes of both lengths and equal colours, no picture is opened; of an image with more than CROWD better ones near it in one
  block of the join (frames of one film) the pairs with the CROWD best are kept, among which its survivor is;
- as soon as one of a pair is a document, aligned pixels must agree. Of the documents near an image in one block of the join, the
  DOCUMENTS_COMPARED = 8 nearest better ones are opened, so that 100,000 pages of one form cost 800,000 comparisons, not 5,000,000,000. An image
  whose copy is farther (by 256 bits) than so many look-alikes stays a star of its own.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.pictures.confirm import same_colours
from curation.selection.hamming import build_index, distance256, iter_pairs, nearest_each
from curation.selection.stars import stars
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.hash_join import HashJoin
from pipelines.mix.index import ImageIndex
from pipelines.sources.images import ImageStore
from schemas.recipe import Duplicates
from schemas.records import STARS

JOIN_BITS, JOIN_BITS_256 = 7, 64  # pairs are kept up to here even where the recipe asks for less
BITS = ('photo_bits', 'document_bits', 'photo_bits_256', 'document_bits_256')  # of the recipe's section: what decides on pictures
DOCUMENTS_COMPARED = 8
PENDING_PAIRS = 1 << 21  # pairs held before those that count are picked, 64 MB
BLOCK_CODES = 65_536  # distinct hashes a shard asks for; about 3 s of join
CROWD = 64  # images of one hash, or near one image, that all count; of more, the first CROWD (by resolution) stand for the rest
PAIRS_AT_ONCE = 1 << 18  # row pairs filtered at a time, about 100 MB of temporaries
PAIRS = pa.schema([('i', pa.int64()), ('j', pa.int64()), ('distance', pa.int32()), ('distance256', pa.int32())])
RESHAPED_PAIRS = pa.schema([('i', pa.int64()), ('j', pa.int64()), ('how', pa.string())])  # reshaped_pairs.py
RESHAPED = 65  # what stands for their distance of hashes in a star: beyond any, so that a picture joins the survivor that is near to it as it is


def join_bits(rules: Duplicates) -> tuple[int, int]:
    """Return up to how many of 64 and of 256 bits pairs are joined for these thresholds."""
    return max(JOIN_BITS, rules.photo_bits, rules.document_bits), max(JOIN_BITS_256, rules.photo_bits_256, rules.document_bits_256)


@dataclass(frozen=True)
class IndexHashes(Step):
    """Writes the Hamming index of all hashes of all images, and no rows."""

    TABLE = 'hashes'
    VERSION = 4

    index: Table

    def process(self, shard: int, writer: ShardWriter) -> None:
        build_index(ImageIndex(self.index.path).phash64, writer.folder)


@dataclass(frozen=True)
class FindPairs(Step):
    """Writes `part` (PAIRS): near pairs of image numbers i < j found by one block of codes, those with a document confirmed."""

    TABLE = 'pairs'
    VERSION = 4

    index: Table
    hashes: Table
    bits: int
    bits256: int
    store: Place[ImageStore]

    def shards(self) -> list[tuple[int, int]]:
        n = len(np.load(self.hashes.path / 'codes.npy', mmap_mode='r'))
        return [(start, min(start + BLOCK_CODES, n)) for start in range(0, n, BLOCK_CODES)]

    @cached_property
    def _join(self) -> HashJoin:
        return HashJoin(self.index, self.hashes, self.store)

    def process(self, shard: tuple[int, int], writer: ShardWriter) -> None:
        writer.write('part', PAIRS.empty_table())
        photos, documents = Pending(_best), Pending(_nearest)
        for pairs in self._near(shard):
            document = self._join.images.is_document[pairs['i']] | self._join.images.is_document[pairs['j']]
            photos.add({name: values[~document] for name, values in pairs.items()})
            documents.add({name: values[document] for name, values in pairs.items()})
        kept = photos.picked()
        writer.write('part', _table(kept, np.ones(len(kept['i']), bool)))
        kept = documents.picked()
        same = np.fromiter(self._join.pictures.same(list(zip(kept['i'].tolist(), kept['j'].tolist(), strict=True))), bool, len(kept['i']))
        writer.write('part', _table(kept, same))

    def _near(self, block: tuple[int, int]) -> Iterator[dict[str, np.ndarray]]:
        """Yield the columns of PAIRS, i < j, of images whose hashes and colours agree."""
        for a, b in _gathered(self._expanded(block)):
            distance = np.bitwise_count(self._join.images.phash64[a] ^ self._join.images.phash64[b])
            wide = distance256(self._join.images.phash256[a], self._join.images.phash256[b])
            one, other = self._join.images.of_image[a], self._join.images.of_image[b]
            i, j = np.minimum(one, other), np.maximum(one, other)
            near = (distance <= self.bits) & (wide <= self.bits256) & (i != j)
            near[near] = same_colours(self._join.images.thumb[i[near]], self._join.images.thumb[j[near]])
            yield {'i': i[near], 'j': j[near], 'distance': distance[near].astype(np.int32), 'distance256': wide[near].astype(np.int32)}

    def _expanded(self, block: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield pairs of hashes, by number in the index, that the join finds."""
        rows_in_order, starts = self._join.by_code
        sizes = np.diff(starts[block[0] : block[1] + 1])
        for code in (block[0] + np.flatnonzero(sizes > 1)).tolist():
            rows = rows_in_order[starts[code] : starts[code + 1]]
            yield from _products(rows[:CROWD], rows, same=True)
        for found in iter_pairs(self._join.codes, slice(*block), self.bits):
            yield from self._cross(found.i, found.j)

    def _cross(self, i: np.ndarray, j: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the row pairs of code pairs: the first CROWD rows of one with all rows of the other, both ways."""
        rows, starts = self._join.by_code
        sizes = np.diff(starts)
        single = (sizes[i] == 1) & (sizes[j] == 1)
        yield rows[starts[i[single]]], rows[starts[j[single]]]
        for a, b in zip(i[~single].tolist(), j[~single].tolist(), strict=True):
            of_a, of_b = (rows[starts[code] : starts[code + 1]] for code in (a, b))
            yield from _products(of_a[:CROWD], of_b)
            if len(of_a) > CROWD:
                yield from _products(of_a[CROWD:], of_b[:CROWD])

    def teardown(self) -> None:
        if '_join' in self.__dict__:
            self._join.close()


def _gathered(batches: Iterator[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the same pairs in batches of PAIRS_AT_ONCE or more: most codes have two images, and so do most matches."""
    held: list[tuple[np.ndarray, np.ndarray]] = []
    n = 0
    for batch in batches:
        held.append(batch)
        n += len(batch[0])
        if n >= PAIRS_AT_ONCE:
            yield np.concatenate([i for i, _ in held]), np.concatenate([j for _, j in held])
            held, n = [], 0
    if held:
        yield np.concatenate([i for i, _ in held]), np.concatenate([j for _, j in held])


def _table(pairs: dict[str, np.ndarray], keep: np.ndarray) -> pa.Table:
    return pa.table({name: values[keep] for name, values in pairs.items()}, PAIRS)


class Pending:
    """Pairs as they are found, of which `pick` keeps some for each image; about PENDING_PAIRS are held."""

    def __init__(self, pick: Callable[[list[dict[str, np.ndarray]]], dict[str, np.ndarray]]) -> None:
        self._pick = pick
        self._held: list[dict[str, np.ndarray]] = [{name: np.empty(0, np.int64) for name in PAIRS.names}]
        self._n = 0

    def add(self, pairs: dict[str, np.ndarray]) -> None:
        """Take some more pairs, each found once."""
        self._held.append(pairs)
        self._n += len(pairs['i'])
        if self._n >= PENDING_PAIRS:
            self._held = [self._pick(self._held)]
            self._n = len(self._held[0]['i']) // 2  # or it would pick at every turn once so many are to be kept

    def picked(self) -> dict[str, np.ndarray]:
        """Return those that are kept."""
        return self._pick(self._held)


def _best(found: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the pairs of each image with the CROWD best images near it, image by image."""
    pairs = {name: np.concatenate([part[name] for part in found]) for name in PAIRS.names}
    kept = nearest_each(pairs['j'], by=(pairs['i'],), most=CROWD)
    return {name: values[kept] for name, values in pairs.items()}


def _nearest(found: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the DOCUMENTS_COMPARED nearest better images of each image, image by image; of a pair found twice the nearer hashes."""
    pairs = {name: np.concatenate([part[name] for part in found]) for name in PAIRS.names}
    once = nearest_each(pairs['j'] << 32 | pairs['i'], by=(pairs['distance256'], pairs['distance']), most=1)
    pairs = {name: values[once] for name, values in pairs.items()}
    kept = nearest_each(pairs['j'], by=(pairs['distance256'], pairs['distance'], pairs['i']), most=DOCUMENTS_COMPARED)
    return {name: values[kept] for name, values in pairs.items()}


def _products(some: np.ndarray, rows: np.ndarray, *, same: bool = False) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(rows), PAIRS_AT_ONCE // len(some)):
        run = rows[start : start + PAIRS_AT_ONCE // len(some)]
        i, j = np.repeat(some, len(run)), np.tile(run, len(some))
        wanted = i < j if same else np.ones(len(i), bool)
        yield i[wanted], j[wanted]


@dataclass(frozen=True)
class MakeStars(Step):
    """Writes `part` (STARS: every member that is not its own survivor) and survivor.npy int64[U]. One shard.

    Counts `reshaped` where `reshaped` pairs are given: the members that show their survivor in another shape.
    """

    TABLE = 'stars'
    VERSION = 4

    index: Table
    pairs: Table
    photo_bits: int
    photo_bits_256: int
    document_bits: int
    document_bits_256: int
    reshaped: tuple[Table, ...] = ()

    def process(self, shard: int, writer: ShardWriter) -> None:
        images = ImageIndex(self.index.path)
        n = len(images.image_id)
        found = pa.concat_tables([PAIRS.empty_table(), *(pq.read_table(path, schema=PAIRS) for path in self.pairs.parts())])
        i, j, distance, wide = (found[name].to_numpy() for name in PAIRS.names)
        document = images.is_document[i] | images.is_document[j]
        near = (distance <= np.where(document, self.document_bits, self.photo_bits)) & (
            wide <= np.where(document, self.document_bits_256, self.photo_bits_256)
        )
        i, j, distance = i[near], j[near], distance[near]
        if self.reshaped:
            others = pa.concat_tables([pq.read_table(path, schema=RESHAPED_PAIRS) for table in self.reshaped for path in table.parts()])
            i, j = (np.concatenate([some, others[name].to_numpy()]) for some, name in ((i, 'i'), (j, 'j')))
            distance = np.concatenate([distance, np.full(others.num_rows, RESHAPED, np.int32)])
        survivor, to_survivor = stars(n, i, j, distance)
        np.save(writer.folder / 'survivor.npy', survivor)
        members = np.flatnonzero(survivor != np.arange(n))
        of = [images.id(s) for s in survivor[members]]
        writer.write('part', pa.table({'image_id': [images.id(m) for m in members], 'survivor_id': of, 'distance': to_survivor[members]}, STARS))
        sizes = Counter(survivor[members].tolist())
        writer.counts.update({'images': n, 'members': len(members), 'stars': len(sizes)})
        if self.reshaped:
            writer.counts['reshaped'] += int((to_survivor[members] == RESHAPED).sum())
