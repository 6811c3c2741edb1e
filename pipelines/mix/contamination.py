"""Which samples stand in a benchmark: its pictures joined with the mix's by hash and pixels, its questions and answers by shared word runs.

The join finds every image of the mix within the distance. Photos need near hashes of both lengths and equal colours; as soon as one of the two is
a document, aligned pixels must agree, looked at for the DOCUMENTS_COMPARED nearest images of each benchmark picture. A sample of text alone is
compared in full with the ITEMS_COMPARED items whose questions share most word runs with its own, equal questions counted once; an item that
does not publish its answer is matched by its question alone, if that has at least `ngram_words` words (a shorter one is a template).
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.confirm import open_to_compare, same_colours
from curation.formats import IMAGE
from curation.hamming import distance256, matches_within, nearest_each, open_index, rows_by_code, words256
from curation.images import ImageFacts, ImageLimits, inspect_image
from curation.textmatch import accepted_answers, contaminated, ngrams, normalise, overlap
from pipelines.benches.items import read_bench
from pipelines.engine.steps import Engine, ShardStep
from pipelines.engine.tables import ShardWriter, Table, fingerprint
from pipelines.mix.compare import THREADS, Pictures
from pipelines.mix.index import ImageIndex
from pipelines.snapshot.mix_rows import read_rows
from pipelines.sources.images import ImageStore
from schemas.recipe import Contamination, Recipe
from schemas.records import BENCH_ITEMS, STRINGS, rows_table

VERSION = 3
ITEMS_COMPARED = 16  # different questions of benchmarks
DOCUMENTS_COMPARED = 64
ITEMS_AT_ONCE = 64  # or fewer, that hold ...
BYTES_AT_ONCE = 32_000_000  # ... so much of pictures
ITEM_TEXTS = pa.schema([('bench', pa.string()), ('item_id', pa.string()), ('question', pa.string()), ('answers', STRINGS)])
IMAGE_HITS = pa.schema([('number', pa.int64()), ('bench', pa.string()), ('item_id', pa.string()), ('distance', pa.int32())])


@dataclass
class BenchmarkHits:
    """Looks a sample up in the benchmarks; made on each worker from two small tables."""

    items: list[str]  # texts of every benchmark
    image_hits: list[str]
    rules: Contamination

    def setup(self) -> None:
        """Load the image hits and index the questions of all items by their word runs."""
        self._items = [row for path in self.items for row in pq.read_table(path).to_pylist()]
        self._at = {(item['bench'], item['item_id']): at for at, item in enumerate(self._items)}
        self._by_number = defaultdict(list)
        for path in self.image_hits:
            for row in pq.read_table(path).to_pylist():
                self._by_number[row['number']].append((row['distance'], row['bench'], row['item_id']))
        self._asking = defaultdict(list)  # normalised question -> items
        for at, item in enumerate(self._items):
            self._asking[normalise(item['question'])].append(at)
        self._having = defaultdict(list)  # word run -> questions
        for question in self._asking:
            for gram in ngrams(question, self.rules.ngram_words):
                self._having[gram].append(question)

    def verdict(self, texts: list[str], numbers: list[int]) -> dict | None:
        """Return what was found of the sample in a benchmark if that contaminates it, else None. `texts` are its turns, the last one the answer."""
        question, answer = ' '.join(texts[:-1]).replace(IMAGE, ' '), texts[-1]
        if numbers:
            hits = [hit for number in numbers for hit in self._by_number.get(number, ())]
            if not hits:
                return None
            distance, bench, item_id = min(hits)
            return self._joint(self._items[self._at[bench, item_id]], question, answer, distance)
        found = [hit for at in self._likely(question) if (hit := self._joint(self._items[at], question, answer, None))]
        return max(found, key=_overlaps) if found else None

    def _likely(self, question: str) -> Iterator[int]:
        """Yield the items whose questions share most word runs with `question`; of those with equal question and answers the first."""
        shared = Counter(other for gram in ngrams(question, self.rules.ngram_words) for other in self._having.get(gram, ()))
        for _, other in sorted((-n, other) for other, n in shared.items())[:ITEMS_COMPARED]:
            by_answers = {tuple(self._items[at]['answers']): at for at in reversed(self._asking[other])}
            yield from sorted(by_answers.values())

    def _joint(self, item: dict, question: str, answer: str, distance: int | None) -> dict | None:
        """Return the evidence that a sample repeats `item`; `distance` of their pictures, None for a sample of text alone."""
        n, least = self.rules.ngram_words, self.rules.min_overlap
        question_overlap = overlap(item['question'], question, n)
        answer_overlap = max(overlap(accepted, answer, n) for accepted in item['answers'])
        published = any(normalise(accepted) for accepted in item['answers'])
        if not published and distance is None and len(normalise(item['question']).split()) < n:
            return None
        evidence = contaminated(
            image_hit=distance is not None,
            question_hit=question_overlap >= least,
            answer_hit=answer_overlap >= least if published else None,
            has_image=distance is not None,
        )
        if not evidence:
            return None
        return {
            'bench': item['bench'],
            'item_id': item['item_id'],
            'evidence': evidence,
            'image_distance': distance,
            'question_overlap': round(question_overlap, 3),
            'answer_overlap': round(answer_overlap, 3),
        }


def _overlaps(hit: dict) -> float:
    return hit['question_overlap'] + hit['answer_overlap']


@dataclass(frozen=True, slots=True)
class Hits:
    """The finished look-up, and the fingerprint of what it depends on."""

    reader: BenchmarkHits
    fingerprint: str


def read_items(recipe: Recipe, root: Path, engine: Engine, stamps: dict[str, str]) -> Table:
    """Return the table of all benchmarks' items, none included; raises UserError for a benchmark that is not whole."""
    named = [(bench.name, str(root / bench.path), bench.format) for bench in recipe.contamination.benchmarks]
    bench = engine.table('bench', fingerprint('bench', VERSION, [(name, layout) for name, _, layout in named], stamps))
    engine.make(bench, ReadBenchmark(recipe.images.max_bytes), named)
    return bench


def find(recipe: Recipe, bench: Table, engine: Engine, index: Table, hashes: Path, store: ImageStore) -> Hits:
    """Return the look-up for the items of `bench`."""
    rules = recipe.contamination.model_dump(include={'image_bits', 'image_bits_256'})
    found = engine.table('bench_hits', fingerprint('bench_hits', VERSION, rules, recipe.images.model_dump(), bench.fingerprint, index.fingerprint))
    limits = ImageLimits(**recipe.images.model_dump())
    engine.make(
        found, MatchBenchmark(str(index.path), str(hashes), store, limits, recipe.contamination), [str(path) for path in bench.parts('items')]
    )
    reader = BenchmarkHits([str(path) for path in bench.parts()], [str(path) for path in found.parts()], recipe.contamination)
    return Hits(reader, fingerprint(found.fingerprint, recipe.contamination.model_dump(exclude={'action'})))


@dataclass
class ReadBenchmark(ShardStep):
    """Writes `items` (BENCH_ITEMS) and `part` (ITEM_TEXTS) of one benchmark."""

    max_bytes: int

    def process(self, shard: tuple[str, str, str], writer: ShardWriter) -> None:
        name, folder, layout = shard
        write_items(read_bench(name, layout, Path(folder), self.max_bytes), writer)


def write_items(items: Iterable[dict], writer: ShardWriter) -> None:
    """Write BENCH_ITEMS rows as `items`, and what is compared of their texts as `part`; both exist even if there are none."""
    for run in itertools.chain([[]], item_runs(items)):
        texts = [
            {'bench': i['bench'], 'item_id': i['item_id'], 'question': i['question'], 'answers': accepted_answers(i['answer'], i['options'])}
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


@dataclass
class MatchBenchmark(ShardStep):
    """Writes `part` (IMAGE_HITS): images of the mix that show a picture of one benchmark."""

    index: str
    hashes: str
    store: ImageStore
    limits: ImageLimits
    rules: Contamination

    def setup(self) -> None:
        self._images = ImageIndex(Path(self.index))
        self._join = open_index(Path(self.hashes))
        self._rows, self._starts = rows_by_code(self._join)
        self._pictures = Pictures(Path(self.index), self.store)
        self._pool = ThreadPoolExecutor(THREADS)

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
        found = matches_within(self._join, np.array([key64 for _, key64, _ in keys], np.uint64), self.rules.image_bits)
        bounds = np.searchsorted(found.i, np.arange(len(keys) + 1))
        near: list[list[tuple[np.ndarray, ...]]] = [[] for _ in asked]
        for (at, _, key256), start, stop in zip(keys, bounds[:-1], bounds[1:], strict=True):
            near[at].append(self._images_behind(found.j[start:stop], found.distance[start:stop], key256))
        for (item, data, facts), parts in zip(asked, near, strict=True):
            for number, distance in self._same(data, facts, *(np.concatenate(part) for part in zip(*parts, strict=True))):
                yield {'number': number, 'bench': item['bench'], 'item_id': item['item_id'], 'distance': distance}

    def _images_behind(self, codes: np.ndarray, distances: np.ndarray, key256: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (numbers, distances of 64 bits, of 256 bits) of the images behind `codes` that are near by 256 bits too."""
        runs = [self._rows[self._starts[code] : self._starts[code + 1]] for code in codes]
        hashes = np.concatenate([np.empty(0, np.int64), *runs])
        distance = np.repeat(distances, [len(run) for run in runs])
        wide = distance256(self._images.phash256[hashes], words256([key256]))
        near = wide <= self.rules.image_bits_256
        return self._images.of_image[hashes[near]], distance[near], wide[near]

    def _same(self, data: bytes, facts: ImageFacts, numbers: np.ndarray, distance: np.ndarray, wide: np.ndarray) -> Iterator[tuple[int, int]]:
        """Yield (image number, distance) of those near images that show the picture in `data`, each once."""
        once = nearest_each(numbers, by=(wide, distance), most=1)
        numbers, distance, wide = numbers[once], distance[once], wide[once]
        thumb = np.frombuffer(facts.thumb, np.uint8)
        near = same_colours(self._images.thumb[numbers], np.broadcast_to(thumb, (len(numbers), len(thumb))))
        document = self._images.is_document[numbers] | (facts.kind == 'document')
        yield from zip(numbers[near & ~document].tolist(), distance[near & ~document].tolist(), strict=True)
        at = np.flatnonzero(near & document)
        at = at[nearest_each(np.zeros(len(at), np.int64), by=(wide[at], distance[at], numbers[at]), most=DOCUMENTS_COMPARED)]
        if len(at):
            same = np.fromiter(self._pictures.same_as(open_to_compare(data), numbers[at].tolist()), bool, len(at))
            yield from zip(numbers[at[same]].tolist(), distance[at[same]].tolist(), strict=True)

    def teardown(self) -> None:
        self._pool.shutdown()
        self._pictures.close()
