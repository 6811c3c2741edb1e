"""Which pictures of the mix stand in a benchmark: joined by hash and pixels. Texts are looked up in benchmark_texts.py.

The join finds every image of the mix within the distance. Photos need near hashes of both lengths and equal colours; as soon as one of the two is
a document, aligned pixels must agree, looked at for the DOCUMENTS_COMPARED nearest images of each benchmark picture.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.confirm import open_to_compare, same_colours
from curation.hamming import distance256, matches_within, nearest_each, words256
from curation.images import ImageFacts, ImageLimits, inspect_image
from curation.textmatch import accepted_answers
from pipelines.benches.items import read_bench
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.compare import THREADS
from pipelines.mix.hash_join import HashJoin
from pipelines.mix.questions import ITEM_TEXTS
from pipelines.snapshot.mix_rows import read_rows
from pipelines.sources.images import ImageStore
from schemas.recipe import Recipe
from schemas.records import BENCH_ITEMS, rows_table

DOCUMENTS_COMPARED = 64
ITEMS_AT_ONCE = 64  # or fewer, that hold ...
BYTES_AT_ONCE = 32_000_000  # ... so much of pictures
IMAGE_HITS = pa.schema([('number', pa.int64()), ('bench', pa.string()), ('item_id', pa.string()), ('distance', pa.int32())])


def read_benchmarks(recipe: Recipe, root: Path, stamps: dict[str, str]) -> list['ReadBenchmark']:
    """Return the step that reads each benchmark of a recipe; `stamps` tell one state of its files from another."""
    return [
        ReadBenchmark(bench.name, bench.format, stamps[bench.name], recipe.images.max_bytes, str(root / bench.path))
        for bench in recipe.contamination.benchmarks
    ]


@dataclass(frozen=True)
class ReadBenchmark(Step):
    """Writes `items` (BENCH_ITEMS) and `part` (ITEM_TEXTS) of one benchmark; raises UserError for one that is not whole."""

    TABLE = 'bench'
    VERSION = 4

    name: str
    layout: str
    stamp: str
    max_bytes: int
    folder: Place[str]

    def label(self) -> str:
        return f'bench {self.name}'

    def process(self, shard: int, writer: ShardWriter) -> None:
        write_items(read_bench(self.name, self.layout, Path(self.folder), self.max_bytes), writer)


def write_items(items: Iterable[dict], writer: ShardWriter) -> None:
    """Write BENCH_ITEMS rows as `items`, and what is compared of their texts as `part`; both exist even if there are none."""
    for run in itertools.chain([[]], item_runs(items)):
        texts = [
            {
                'bench': i['bench'], 'item_id': i['item_id'], 'question': i['question'], 'answers': accepted_answers(i['answer'], i['options']),
                'pictures': [hashlib.sha256(image['bytes']).hexdigest() for image in i['images']],
            }
            for i in run
        ]
        writer.write('items', rows_table(run, BENCH_ITEMS))
        writer.write('part', rows_table(texts, ITEM_TEXTS))


def item_runs(items: Iterable[dict]) -> Iterator[list[dict]]:
    """Yield items in lists of bounded length and bytes."""
    run: list[dict] = []
    size = 0
    for item in items:
        run.append(item)
        size += sum(len(image['bytes']) for image in item['images'])
        if len(run) == ITEMS_AT_ONCE or size >= BYTES_AT_ONCE:
            yield run
            run, size = [], 0
    if run:
        yield run


@dataclass(frozen=True)
class MatchBenchmark(Step):
    """Writes `part` (IMAGE_HITS): images of the mix that show a picture of a benchmark."""

    TABLE = 'bench_hits'
    VERSION = 3

    items: Table
    index: Table
    hashes: Table
    limits: ImageLimits
    bits: int
    bits256: int
    store: Place[ImageStore]

    def label(self) -> str:
        return f'{self.TABLE}{self.items.label.removeprefix("bench")}'

    def shards(self) -> list[str]:
        return [str(path) for path in self.items.parts('items')]

    @cached_property
    def _join(self) -> HashJoin:
        return HashJoin(self.index, self.hashes, self.store)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(THREADS)

    def process(self, shard: str, writer: ShardWriter) -> None:
        writer.write('part', IMAGE_HITS.empty_table())
        items = read_rows(shard, list(range(pq.read_metadata(shard).num_rows)), ['bench', 'item_id', 'images'])
        for run in item_runs(item for _, item in items):
            pictures = [(item, image['bytes']) for item in run for image in item['images']]
            writer.write('part', pa.Table.from_pylist(list(self._hits(pictures)), IMAGE_HITS))

    def _hits(self, pictures: list[tuple[dict, bytes]]) -> Iterator[dict]:
        """Yield a hit for every image of the mix near a picture of a benchmark; one that cannot be decoded matches nothing."""
        inspected = self._pool.map(inspect_image, [data for _, data in pictures], itertools.repeat(self.limits))
        asked = [(item, data, facts) for (item, data), facts in zip(pictures, inspected, strict=True) if isinstance(facts, ImageFacts)]
        if not asked:
            return
        keys = [(at, key64, key256) for at, (*_, facts) in enumerate(asked) for key64, key256 in facts.hashes()]
        found = matches_within(self._join.codes, np.array([key64 for _, key64, _ in keys], np.uint64), self.bits)
        bounds = np.searchsorted(found.i, np.arange(len(keys) + 1))
        near: list[list[tuple[np.ndarray, ...]]] = [[] for _ in asked]
        for (at, _, key256), start, stop in zip(keys, bounds[:-1], bounds[1:], strict=True):
            near[at].append(self._images_behind(found.j[start:stop], found.distance[start:stop], key256))
        for (item, data, facts), parts in zip(asked, near, strict=True):
            for number, distance in self._same(data, facts, *(np.concatenate(part) for part in zip(*parts, strict=True))):
                yield {'number': number, 'bench': item['bench'], 'item_id': item['item_id'], 'distance': distance}

    def _images_behind(self, codes: np.ndarray, distances: np.ndarray, key256: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (numbers, distances of 64 bits, of 256 bits) of the images behind `codes` that are near by 256 bits too."""
        rows, starts = self._join.by_code
        runs = [rows[starts[code] : starts[code + 1]] for code in codes]
        hashes = np.concatenate([np.empty(0, np.int64), *runs])
        distance = np.repeat(distances, [len(run) for run in runs])
        wide = distance256(self._join.images.phash256[hashes], words256([key256]))
        near = wide <= self.bits256
        return self._join.images.of_image[hashes[near]], distance[near], wide[near]

    def _same(self, data: bytes, facts: ImageFacts, numbers: np.ndarray, distance: np.ndarray, wide: np.ndarray) -> Iterator[tuple[int, int]]:
        """Yield (image number, distance) of those near images that show the picture in `data`, each once."""
        once = nearest_each(numbers, by=(wide, distance), most=1)
        numbers, distance, wide = numbers[once], distance[once], wide[once]
        thumb = np.frombuffer(facts.thumb, np.uint8)
        near = same_colours(self._join.images.thumb[numbers], np.broadcast_to(thumb, (len(numbers), len(thumb))))
        document = self._join.images.is_document[numbers] | (facts.kind == 'document')
        yield from zip(numbers[near & ~document].tolist(), distance[near & ~document].tolist(), strict=True)
        at = np.flatnonzero(near & document)
        at = at[nearest_each(np.zeros(len(at), np.int64), by=(wide[at], distance[at], numbers[at]), most=DOCUMENTS_COMPARED)]
        if len(at):
            same = np.fromiter(self._join.pictures.same_as(open_to_compare(data), numbers[at].tolist()), bool, len(at))
            yield from zip(numbers[at[same]].tolist(), distance[at[same]].tolist(), strict=True)

    def teardown(self) -> None:
        if '_pool' in self.__dict__:
            self._pool.shutdown()
        if '_join' in self.__dict__:
            self._join.close()
