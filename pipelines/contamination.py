"""Which samples stand in a benchmark: its pictures joined with the mix's by hash and pixels, its questions and answers by shared word runs."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.confirm import same_picture
from curation.formats import IMAGE
from curation.hamming import distance256, matches_within, open_index, rows_by_code, words256
from curation.images import ImageFault, ImageLimits, inspect_image
from curation.textmatch import contaminated, ngrams, overlap
from pipelines.benches import read_bench
from pipelines.image_index import ImageIndex
from pipelines.images import ImageStore
from pipelines.steps import Engine, ShardStep
from pipelines.tables import ShardWriter, Table, fingerprint
from schemas.recipe import Contamination, Recipe
from schemas.records import BENCH_ITEMS, rows_table

VERSION = 1
ITEMS_COMPARED = 16  # benchmark items that share most word runs with a sample's question: these are compared in full
ITEMS_AT_ONCE = 64  # each may hold several pictures
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
        self._having = defaultdict(list)
        for at, item in enumerate(self._items):
            for gram in ngrams(item['question'], self.rules.ngram_words):
                self._having[gram].append(at)

    def verdict(self, texts: list[str], numbers: list[int]) -> dict | None:
        """Return what was found of the sample in a benchmark if that contaminates it, else None. `texts` are its turns, the last one the answer."""
        question, answer = ' '.join(texts[:-1]).replace(IMAGE, ' '), texts[-1]
        if numbers:
            hits = [hit for number in numbers for hit in self._by_number.get(number, ())]
            if not hits:
                return None
            distance, bench, item_id = min(hits)
            return self._joint(self._items[self._at[bench, item_id]], question, answer, distance)
        shared = Counter(at for gram in ngrams(question, self.rules.ngram_words) for at in self._having.get(gram, ()))
        likeliest = [at for _, at in sorted((-n, at) for at, n in shared.items())[:ITEMS_COMPARED]]
        found = [hit for at in likeliest if (hit := self._joint(self._items[at], question, answer, None))]
        return max(found, key=_overlaps) if found else None

    def _joint(self, item: dict, question: str, answer: str, distance: int | None) -> dict | None:
        """Return the evidence that a sample repeats `item`; `distance` of their pictures, None for a sample of text alone."""
        n, least = self.rules.ngram_words, self.rules.min_overlap
        question_overlap, answer_overlap = overlap(item['question'], question, n), overlap(item['answer'], answer, n)
        evidence = contaminated(
            image_hit=distance is not None, question_hit=question_overlap >= least, answer_hit=answer_overlap >= least, has_image=distance is not None
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


def find(recipe: Recipe, root: Path, engine: Engine, index: Table, hashes: Path, stamps: dict[str, str], store: ImageStore) -> Hits:
    """Return the look-up for all benchmarks of a recipe, none included."""
    named = [(bench.name, str(root / bench.path), bench.format) for bench in recipe.contamination.benchmarks]
    bench = engine.table('bench', fingerprint('bench', VERSION, [(name, layout) for name, _, layout in named], stamps))
    engine.make(bench, ReadBenchmark(recipe.images.max_bytes), named)
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
    """Writes `items` (BENCH_ITEMS) and `part` (their texts alone) of one benchmark."""

    max_bytes: int

    def process(self, shard: tuple[str, str, str], writer: ShardWriter) -> None:
        name, folder, layout = shard
        items = read_bench(name, layout, Path(folder), self.max_bytes)
        while run := list(itertools.islice(items, ITEMS_AT_ONCE)):
            rows = rows_table(run, BENCH_ITEMS)
            writer.write('items', rows)
            writer.write('part', rows.select(['bench', 'item_id', 'question', 'answer']))


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
        self._refs = pq.read_table(sorted(Path(self.index).glob('part-*.parquet'))[0], columns=['ref'])['ref']

    def process(self, shard: str, writer: ShardWriter) -> None:
        writer.write('part', IMAGE_HITS.empty_table())
        with pq.ParquetFile(shard) as file:
            for batch in file.iter_batches(batch_size=ITEMS_AT_ONCE, columns=['bench', 'item_id', 'images']):
                hits = [hit for item in batch.to_pylist() for image in item['images'] for hit in self._of_image(item, image['bytes'])]
                writer.write('part', pa.Table.from_pylist(hits, IMAGE_HITS))

    def _of_image(self, item: dict, data: bytes) -> Iterator[dict]:
        """Yield a hit for every image of the mix near one benchmark picture; one that cannot be decoded matches nothing."""
        facts = inspect_image(data, self.limits)
        if isinstance(facts, ImageFault):
            return
        found = matches_within(self._join, np.array([facts.phash64], np.uint64), self.rules.image_bits)
        for code, distance in zip(found.j.tolist(), found.distance.tolist(), strict=True):
            numbers = self._rows[self._starts[code] : self._starts[code + 1]]
            near = distance256(self._images.phash256[numbers], words256([facts.phash256])) <= self.rules.image_bits_256
            for number in numbers[near].tolist():
                if same_picture(self.store.read(self._refs[number].as_py()), data):
                    yield {'number': number, 'bench': item['bench'], 'item_id': item['item_id'], 'distance': distance}
