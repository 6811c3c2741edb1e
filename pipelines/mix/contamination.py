"""Which pictures of the mix stand in a benchmark: joined by hash and pixels. Texts are looked up in benchmark_texts.py.

The join finds every image of the mix within the distance. Photos need near hashes of both lengths and equal colours; as soon as one of the two is
a document, aligned pixels must agree, looked at for the DOCUMENTS_COMPARED nearest images of each benchmark picture.
"""

import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.pictures.confirm import open_to_compare, same_colours
from curation.pictures.images import ImageFacts, ImageLimits, inspect_image
from curation.selection.hamming import distance256, matches_within, nearest_each, words256
from curation.texts.textmatch import accepted_answers
from pipelines.benches.compared import HEAD_BYTES, NOT_COMPARED, Compared, faults, head_fault, shown
from pipelines.benches.items import read_bench
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.compare import THREADS
from pipelines.mix.hash_join import HashJoin
from pipelines.mix.questions import ITEM_TEXTS
from pipelines.snapshot.mix_rows import read_rows
from pipelines.sources.images import ImageStore
from schemas.errors import UserError
from schemas.publish import publish_json
from schemas.recipe import Recipe
from schemas.records import BENCH_ITEMS, IMAGE_FACTS, rows_table

DOCUMENTS_COMPARED = 64
ITEMS_AT_ONCE = 64  # or fewer, that hold ...
BYTES_AT_ONCE = 32_000_000  # ... so much of pictures
COMPARED = 'compared-00000.json'
BENCH_PICTURES = pa.schema([('row', pa.int64()), ('at', pa.int32()), *(some for some in IMAGE_FACTS if some.name not in ('ref', 'source'))])
IMAGE_HITS = pa.schema([('number', pa.int64()), ('bench', pa.string()), ('item_id', pa.string()), ('distance', pa.int32())])


def read_benchmarks(recipe: Recipe, root: Path, stamps: dict[str, str]) -> list['ReadBenchmark']:
    """Return the step that reads each benchmark of a recipe; `stamps` tell one state of its files from another."""
    limits = ImageLimits(**recipe.images.model_dump())
    return [
        ReadBenchmark(bench.name, bench.format, stamps[bench.name], limits, bench.fields(), str(root / bench.path))
        for bench in recipe.contamination.benchmarks
    ]


def check_complete(recipe: Recipe, tables: Sequence[Table]) -> dict[str, dict]:
    """Return what is compared of each benchmark, for manifest and card; raises UserError listing all that is lacking and not accepted."""
    found = {bench.name: compared_of(table) for bench, table in zip(recipe.contamination.benchmarks, tables, strict=True)}
    lacking = [fault for bench in recipe.contamination.benchmarks for fault in faults(bench, found[bench.name])]
    if lacking:
        raise UserError('\n'.join(lacking))
    return {bench.name: {**shown(found[bench.name]), 'accepted': list(bench.accept)} for bench in recipe.contamination.benchmarks}


def compared_of(table: Table) -> Compared:
    """Return what is compared of a benchmark that was read."""
    return Compared.from_json(json.loads((table.path / COMPARED).read_text('utf-8')))


@dataclass(frozen=True)
class ReadBenchmark(Step):
    """Writes `items` (BENCH_ITEMS), `part` (ITEM_TEXTS), `pictures` (BENCH_PICTURES) and compared-00000.json of one benchmark."""

    TABLE = 'bench'
    VERSION = 6

    name: str
    layout: str
    stamp: str
    limits: ImageLimits
    columns: dict[str, str]
    folder: Place[str]

    RISKY = True

    def label(self) -> str:
        return f'bench {self.name}'

    def process(self, shard: int, writer: ShardWriter) -> None:
        compared = Compared(self.layout)
        write_items(
            read_bench(self.name, self.layout, Path(self.folder), self.limits.max_bytes, columns=self.columns, compared=compared, pictured=False),
            writer, self.limits, compared)  # fmt: skip
        compared.finish(Path(self.folder))
        publish_json(writer.folder / COMPARED, compared.as_json())


def write_items(items: Iterable[dict], writer: ShardWriter, limits: ImageLimits | None = None, compared: Compared | None = None) -> None:
    """Write BENCH_ITEMS rows as `items`, what is compared of their texts as `part`, of their pictures as `pictures`; all exist if there are none.

    A picture that does not decode is counted as lacking, one that the rules on pictures keep out of every mix as left out.
    """
    first, limits, compared = 0, limits or ImageLimits(), compared or Compared('folder')
    with ThreadPoolExecutor(THREADS) as pool:
        for run in itertools.chain([[]], item_runs(items)):
            writer.write('items', rows_table(run, BENCH_ITEMS))
            writer.write('part', rows_table([_texts(item) for item in run], ITEM_TEXTS))
            places = [(first + row, at, image['bytes']) for row, item in enumerate(run) for at, image in enumerate(item['images'])]
            distinct = list(dict.fromkeys(data for *_, data in places))  # POPE asks six questions about each picture
            inspected = dict(zip(distinct, pool.map(inspect_image, distinct, itertools.repeat(limits)), strict=True))
            rows = []
            for row, at, data in places:
                if isinstance(found := inspected[data], ImageFacts):
                    rows.append({'row': row, 'at': at, **asdict(found)})
                elif found.reason in NOT_COMPARED:
                    why = head_fault(data[:HEAD_BYTES]) or f'{found.reason}: {found.detail}'
                    compared.lack('pictures', f'item {run[row - first]["item_id"]}: {why}')
                else:
                    compared.left_out += 1
            writer.write('pictures', rows_table(rows, BENCH_PICTURES))
            first += len(run)


def _texts(item: dict) -> dict:
    meta = json.loads(item['meta'])  # of canaries it is a list
    answers = [*accepted_answers(item['answer'], item['options']), *(meta.get('answers', ()) if isinstance(meta, dict) else ())]
    pictures = [hashlib.sha256(image['bytes']).hexdigest() for image in item['images']]
    return {**{name: item[name] for name in ('bench', 'item_id', 'question')}, 'answers': list(dict.fromkeys(answers)), 'pictures': pictures}


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
    VERSION = 5

    items: Table
    index: Table
    hashes: Table
    bits: int
    bits256: int
    store: Place[ImageStore]

    def label(self) -> str:
        return f'{self.TABLE}{self.items.label.removeprefix("bench")}'

    def shards(self) -> list[tuple[str, str]]:
        return [(str(items), str(pictures)) for items, pictures in zip(self.items.parts('items'), self.items.parts('pictures'), strict=True)]

    @cached_property
    def _join(self) -> HashJoin:
        return HashJoin(self.index, self.hashes, self.store)

    def process(self, shard: tuple[str, str], writer: ShardWriter) -> None:
        writer.write('part', IMAGE_HITS.empty_table())
        facts: dict[int, dict[int, ImageFacts]] = defaultdict(dict)
        for found in pq.read_table(shard[1]).to_pylist():
            row, at = found.pop('row'), found.pop('at')
            facts[row][at] = ImageFacts(**found)
        items = read_rows(shard[0], list(range(pq.read_metadata(shard[0]).num_rows)), ['bench', 'item_id', 'images'])
        numbered = ({**item, 'facts': facts[row]} for row, item in items)
        for run in item_runs(numbered):
            pictures = [(item, item['images'][at]['bytes'], found) for item in run for at, found in item['facts'].items()]
            writer.write('part', pa.Table.from_pylist(list(self._hits(pictures)), IMAGE_HITS))

    def _hits(self, asked: list[tuple[dict, bytes, ImageFacts]]) -> Iterator[dict]:
        """Yield a hit for every image of the mix near a picture of a benchmark."""
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
        others = self._join.images.image_id[numbers[at]] != np.frombuffer(bytes.fromhex(facts.image_id), 'V32')  # of one hash, its own first
        at = at[nearest_each(np.zeros(len(at), np.int64), by=(others, wide[at], distance[at], numbers[at]), most=DOCUMENTS_COMPARED)]
        if len(at):
            same = np.fromiter(self._join.pictures.same_as(open_to_compare(data), numbers[at].tolist()), bool, len(at))
            yield from zip(numbers[at[same]].tolist(), distance[at[same]].tolist(), strict=True)

    def teardown(self) -> None:
        if '_join' in self.__dict__:
            self._join.close()
