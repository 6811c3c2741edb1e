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
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.confirm import open_to_compare, same_colours
from curation.formats import IMAGE
from curation.hamming import HammingIndex, distance256, matches_within, nearest_each, open_index, rows_by_code, words256
from curation.images import ImageFacts, ImageLimits, inspect_image
from curation.textmatch import accepted_answers, contaminated, ngrams, normalise, overlap
from pipelines.benches.items import read_bench
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.compare import THREADS, Pictures
from pipelines.mix.index import ImageIndex
from pipelines.snapshot.mix_rows import read_rows
from pipelines.sources.images import ImageStore
from schemas.recipe import Contamination, Recipe
from schemas.records import BENCH_ITEMS, STRINGS, rows_table

ITEMS_COMPARED = 16  # different questions of benchmarks
DOCUMENTS_COMPARED = 64
ITEMS_AT_ONCE = 64  # or fewer, that hold ...
BYTES_AT_ONCE = 32_000_000  # ... so much of pictures
ITEM_TEXTS = pa.schema([('bench', pa.string()), ('item_id', pa.string()), ('question', pa.string()), ('answers', STRINGS)])
IMAGE_HITS = pa.schema([('number', pa.int64()), ('bench', pa.string()), ('item_id', pa.string()), ('distance', pa.int32())])


@dataclass(frozen=True, slots=True)
class TextRules:
    """What of the recipe's contamination rules decides on texts."""

    ngram_words: int
    min_overlap: float


def text_rules(rules: Contamination) -> TextRules:
    """Return the rules on texts."""
    return TextRules(rules.ngram_words, rules.min_overlap)


class BenchmarkTexts:
    """Looks texts up among the items of benchmarks. Their questions are indexed by word runs when a text is looked up by itself."""

    def __init__(self, items: list[dict], rules: TextRules) -> None:
        self._items = items  # rows of ITEM_TEXTS
        self._rules = rules
        self._at = {(item['bench'], item['item_id']): at for at, item in enumerate(items)}

    @cached_property
    def _asking(self) -> dict[str, list[int]]:
        """Return the items by their normalised question."""
        asking = defaultdict(list)
        for at, item in enumerate(self._items):
            asking[normalise(item['question'])].append(at)
        return asking

    @cached_property
    def _having(self) -> dict[int, list[str]]:
        """Return the questions by their word runs."""
        having: defaultdict[int, list[str]] = defaultdict(list)
        for question in self._asking:
            for gram in ngrams(question, self._rules.ngram_words):
                having[gram].append(question)
        return having

    def by_text(self, texts: list[str]) -> dict | None:
        """Return what was found of a sample without pictures if that contaminates it, else None. `texts` are its turns, the last one the answer."""
        question, answer = _exchange(texts)
        found = [hit for at in self._likely(question) if (hit := self._joint(self._items[at], question, answer, None))]
        return max(found, key=_overlaps) if found else None

    def by_picture(self, texts: list[str], hits: list[tuple[int, str, str]]) -> dict | None:
        """Return the same of a sample whose pictures are those of some items: each hit is (distance, bench, item id)."""
        distance, bench, item_id = min(hits)
        return self._joint(self._items[self._at[bench, item_id]], *_exchange(texts), distance)

    def _likely(self, question: str) -> Iterator[int]:
        """Yield the items whose questions share most word runs with `question`; of those with equal question and answers the first."""
        shared = Counter(other for gram in ngrams(question, self._rules.ngram_words) for other in self._having.get(gram, ()))
        for _, other in sorted((-n, other) for other, n in shared.items())[:ITEMS_COMPARED]:
            by_answers = {tuple(self._items[at]['answers']): at for at in reversed(self._asking[other])}
            yield from sorted(by_answers.values())

    def _joint(self, item: dict, question: str, answer: str, distance: int | None) -> dict | None:
        """Return the evidence that a sample repeats `item`; `distance` of their pictures, None for a sample of text alone."""
        n, least = self._rules.ngram_words, self._rules.min_overlap
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


def _exchange(texts: list[str]) -> tuple[str, str]:
    return ' '.join(texts[:-1]).replace(IMAGE, ' '), texts[-1]


def item_texts(benches: Iterable[Table]) -> list[dict]:
    """Return what is compared of the texts of some benchmarks, rows of ITEM_TEXTS."""
    return [row for table in benches for path in table.parts() for row in pq.read_table(path).to_pylist()]


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
    VERSION = 3

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
    def _images(self) -> ImageIndex:
        return ImageIndex(self.index.path)

    @cached_property
    def _join(self) -> HammingIndex:
        return open_index(self.hashes.path)

    @cached_property
    def _by_code(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows, code by code, and where those of each code start."""
        return rows_by_code(self._join)

    @cached_property
    def _pictures(self) -> Pictures:
        return Pictures(self.index, self.store)

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
        found = matches_within(self._join, np.array([key64 for _, key64, _ in keys], np.uint64), self.bits)
        bounds = np.searchsorted(found.i, np.arange(len(keys) + 1))
        near: list[list[tuple[np.ndarray, ...]]] = [[] for _ in asked]
        for (at, _, key256), start, stop in zip(keys, bounds[:-1], bounds[1:], strict=True):
            near[at].append(self._images_behind(found.j[start:stop], found.distance[start:stop], key256))
        for (item, data, facts), parts in zip(asked, near, strict=True):
            for number, distance in self._same(data, facts, *(np.concatenate(part) for part in zip(*parts, strict=True))):
                yield {'number': number, 'bench': item['bench'], 'item_id': item['item_id'], 'distance': distance}

    def _images_behind(self, codes: np.ndarray, distances: np.ndarray, key256: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (numbers, distances of 64 bits, of 256 bits) of the images behind `codes` that are near by 256 bits too."""
        rows, starts = self._by_code
        runs = [rows[starts[code] : starts[code + 1]] for code in codes]
        hashes = np.concatenate([np.empty(0, np.int64), *runs])
        distance = np.repeat(distances, [len(run) for run in runs])
        wide = distance256(self._images.phash256[hashes], words256([key256]))
        near = wide <= self.bits256
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
        if '_pool' in self.__dict__:
            self._pool.shutdown()
        if '_pictures' in self.__dict__:
            self._pictures.close()
