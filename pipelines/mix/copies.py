"""Pictures of benchmarks that the mix shows in another shape: flipped, turned, cropped, framed, in a screenshot, grey, small, in a collage.

Two roads lead to a candidate: its sample asks what the benchmark asks (asked.py), or its hash is that of a form of the benchmark's picture
(curation/pictures/expanded.py), the only ones of which so many are made: benchmarks are small. The pictures decide, laid on each other
(curation/pictures/aligned.py). What is bounded: of one benchmark's picture the CANDIDATES nearest by hash are opened, and of the pairs that a common
question makes those of the likeliest tones (asked_pairs.py).
"""

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.pictures.aligned import same_under_a_map
from curation.pictures.confirm import open_to_compare
from curation.pictures.expanded import TRANSFORMS, Expanded, expanded
from curation.pictures.registered import Looked, Registration
from curation.selection.hamming import HammingIndex, distance256, matches_within, nearest_each
from pipelines.engine.engine import Engine
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.asked import ASKED_PICTURES, FindAsked, pictured
from pipelines.mix.asked_pairs import IMAGES, PLACES, AskedPairs, asked_pairs
from pipelines.mix.benchmark_texts import text_rules
from pipelines.mix.hash_join import HashJoin
from pipelines.snapshot.mix_rows import read_rows
from pipelines.sources.images import ImageStore
from schemas.recipe import Recipe
from schemas.telling import tell_news

CANDIDATES = 64
COUNTED = ('asked', 'unopened', 'hashed', 'found')
PICTURES_AT_ONCE = 32  # of a benchmark, held open: 5 MB each at most
FAR = 257  # what stands for a distance of hashes where pixels decided: beyond any
COPY_HITS = pa.schema([('number', pa.int64()), ('bench', pa.string()), ('item_id', pa.string()), ('distance', pa.int32()), ('copy', pa.string())])
Candidate = tuple[int, int]  # number of an image, and in which form its hash was found, -1 for none


def find_copies(
    recipe: Recipe, engine: Engine, benches: tuple[Table, ...], hits: tuple[Table, ...], sources: tuple[tuple[Table, ...], tuple[Table, ...]],
    index: tuple[Table, Table], store: ImageStore,
) -> tuple[Table, ...]:
    """Return a table of COPY_HITS for each benchmark that has pictures, and say how many were opened; `sources`: samples and references of each."""
    rules = recipe.contamination
    shown = [(bench, found) for bench, found in zip(benches, hits, strict=True) if distinct_pictures(bench)]
    pictured_benches = tuple(bench for bench, _ in shown)
    if not shown:
        return ()
    asked = engine.run_each(FindAsked(*of_source, index[0], pictured_benches, text_rules(rules)) for of_source in zip(*sources, strict=True))
    found = engine.run_each(MatchCopies(bench, *index, asked, known, rules.image_bits, rules.image_bits_256, store) for bench, known in shown)
    n = sum((Counter({name: table.counts().get(name, 0) for name in COUNTED}) for table in found), Counter())
    tell_news(f'copies of benchmark pictures in other shapes: {n["asked"]} pairs of pictures opened since a sample asks what the benchmark asks, '
              f'{n["hashed"]} by the hash of a form; {n["found"]} are copies')
    if n['unopened']:
        tell_news(f'copies of benchmark pictures in other shapes: {n["unopened"]} pairs with a question in common were not opened, since it is '
                  f'asked of too many: of each benchmark picture the {IMAGES} images of the likeliest tones were, {PLACES} pairs of an image at most')
    return found


@dataclass(frozen=True)
class MatchCopies(Step):
    """Writes `part` (COPY_HITS): images of the mix that show a picture of a benchmark in another shape, which its hash alone did not tell.

    Counts `asked` and `hashed`, the pairs that were opened by either road, `found`, and `unopened`: pairs of one question that were too many.
    """

    TABLE = 'copy_hits'
    VERSION = 6

    items: Table
    index: Table
    hashes: Table
    asked: tuple[Table, ...]
    hits: Table
    bits: int
    bits256: int
    store: Place[ImageStore]

    def label(self) -> str:
        return f'{self.TABLE}{self.items.label.removeprefix("bench")}'

    def shards(self) -> list[tuple[int, int]]:
        n = len(self._pictures)
        return [(start, min(start + PICTURES_AT_ONCE, n)) for start in range(0, n, PICTURES_AT_ONCE)] or [(0, 0)]

    @cached_property
    def _join(self) -> HashJoin:
        return HashJoin(self.index, self.hashes, self.store)

    @cached_property
    def _pictures(self) -> list[tuple[str, list[tuple[int, int]]]]:
        return distinct_pictures(self.items)

    @cached_property
    def _asked(self) -> AskedPairs:
        """Return, for a picture of the benchmark, the numbers of images that are shown with a question about it and are opened."""
        rows: defaultdict[str, list[int]] = defaultdict(list)
        for form, row in pictured(self.items):
            rows[form].append(row)
        of_row: defaultdict[int, list[int]] = defaultdict(list)
        for place, (_, shown) in enumerate(self._pictures):
            for row, _ in shown:
                of_row[row].append(place)
        about = {form: sorted({place for row in some for place in of_row[row]}) for form, some in rows.items()}
        forms, wanted = {form: form for form in about}, defaultdict[int, set[str]](set)  # each text is held once
        for table in self.asked:
            for path in table.parts():
                found = pq.read_table(path, schema=ASKED_PICTURES).to_pydict()
                for number, question in zip(found['number'], found['question'], strict=True):
                    if question in forms:
                        wanted[number].add(forms[question])
        return asked_pairs(wanted, about, self._join.images.thumb, self._thumbs) if wanted else AskedPairs()

    @cached_property
    def _thumbs(self) -> np.ndarray:
        """Return uint8[P, 192]: the thumbnails of the benchmark's pictures by place."""
        rows = [row for path in self.items.parts('pictures') for row in pq.read_table(path, columns=['image_id', 'thumb']).to_pylist()]
        thumbs = {row['image_id']: row['thumb'] for row in rows}
        return np.frombuffer(b''.join(thumbs[image_id] for image_id, _ in self._pictures), np.uint8).reshape(-1, 192)

    @cached_property
    def _known(self) -> dict[str, set[int]]:
        """Return, for an item, the numbers of the images that the hash alone found."""
        known: defaultdict[str, set[int]] = defaultdict(set)
        for path in self.hits.parts():
            for row in pq.read_table(path).to_pylist():
                known[row['item_id']].add(row['number'])
        return known

    def process(self, shard: tuple[int, int], writer: ShardWriter) -> None:
        writer.write('part', COPY_HITS.empty_table())
        pictures = self._pictures[slice(*shard)]
        wanted = {row for _, shown in pictures for row, _ in shown}
        (path,) = self.items.parts('items')
        items = dict(read_rows(str(path), sorted(wanted), ['bench', 'item_id', 'images'])) if wanted else {}
        looked = [Looked(open_to_compare(items[shown[0][0]]['images'][shown[0][1]]['bytes'])) for _, shown in pictures]
        candidates = Candidates(self._join, self.bits, self.bits256).of(looked, CANDIDATES)
        todo = defaultdict[int, dict[int, int]](dict)
        for at, (_, shown) in enumerate(pictures):
            known = set[int]().union(*(self._known.get(items[row]['item_id'], ()) for row, _ in shown))
            opened = self._asked.opened.get(shard[0] + at, [])
            asked = set(opened) - known
            writer.counts['unopened'] += self._asked.shared.get(shard[0] + at, 0) - len(opened)
            for number, form in [*((number, -1) for number in sorted(asked)), *candidates.near[at]]:
                if number not in known:
                    todo[number][at] = max(form, todo[number].get(at, -1))
            writer.counts['asked'] += len(asked)
            writer.counts['hashed'] += len({number for number, _ in candidates.near[at]} - known)
        for number, of_number in sorted(todo.items()):
            other = Looked(self._join.pictures.open(number))
            for at, form in of_number.items():
                if (how := candidates.same(at, other, form)) is not None:
                    writer.counts['found'] += 1
                    rows = dict.fromkeys(row for row, _ in pictures[at][1])
                    writer.write('part', pa.Table.from_pylist([_hit(number, items[row], how.told()) for row in rows], COPY_HITS))

    def teardown(self) -> None:
        if '_join' in self.__dict__:
            self._join.close()


def _hit(number: int, item: dict, how: str) -> dict:
    return {'number': number, 'bench': item['bench'], 'item_id': item['item_id'], 'distance': FAR, 'copy': how}


def distinct_pictures(items: Table) -> list[tuple[str, list[tuple[int, int]]]]:
    """Return the different pictures of a benchmark by id, in order of appearance: (id, [(row of the item, place in it), ...])."""
    shown: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for path in items.parts('pictures'):
        for row in pq.read_table(path, columns=['row', 'at', 'image_id']).to_pylist():
            shown[row['image_id']].append((row['row'], row['at']))
    return list(shown.items())


class Joined(Protocol):
    """What candidates are looked up in: a HashJoin, or the planted copies."""

    @property
    def codes(self) -> HammingIndex: ...

    @property
    def by_code(self) -> tuple[np.ndarray, np.ndarray]: ...

    @property
    def images(self) -> Any: ...


class Candidates:
    """Which images of an index may show some pictures, by the hashes of their forms; and whether they do."""

    def __init__(self, join: Joined, bits: int, bits256: int, transforms: Collection[str] = TRANSFORMS) -> None:
        self._join, self._bits, self._bits256, self._transforms = join, bits, bits256, transforms
        self._looked: list[Looked] = []
        self._forms: list[Expanded] = []
        self._hashes: list[np.ndarray] = []
        self.near: list[list[Candidate]] = []

    def of(self, looked: list[Looked], most: int) -> 'Candidates':
        """Return itself with `near`, for each picture: the `most` nearest images, each with its nearest form."""
        return self.expand(looked).probe(most)

    def expand(self, looked: list[Looked]) -> 'Candidates':
        """Return itself with the hashes of the forms of some pictures."""
        self._looked, self._forms = looked, [expanded(one.rgb, one.inside, self._transforms) for one in looked]
        self._hashes = [one.narrow for one in self._forms]
        return self

    def probe(self, most: int) -> 'Candidates':
        """Return itself with `near`, looked up by these hashes."""
        self.near = [[] for _ in self._looked]
        if not self._looked:
            return self
        starts = np.cumsum([0, *map(len, self._hashes)])
        found = matches_within(self._join.codes, np.concatenate(self._hashes), self._bits)
        for at in range(len(self._looked)):
            lo, hi = np.searchsorted(found.i, (starts[at], starts[at + 1]))
            self.near[at] = self._images(self._forms[at], found.i[lo:hi] - starts[at], found.j[lo:hi], most)
        return self

    def _images(self, forms: Expanded, form: np.ndarray, code: np.ndarray, most: int) -> list[Candidate]:
        rows, starts = self._join.by_code
        sizes = starts[code + 1] - starts[code]
        form = np.repeat(form, sizes)
        hashes = rows[np.repeat(starts[code] - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())] if len(sizes) else np.empty(0, np.int64)
        images = self._join.images
        different, which = np.unique(form, return_inverse=True)
        wide = distance256(images.phash256[hashes], forms.wide(different)[which]) if len(form) else np.empty(0, np.uint16)
        near = wide <= self._bits256
        number, form, wide = images.of_image[hashes[near]], form[near], wide[near]
        once = nearest_each(number, by=(wide, form), most=1)
        number, form, wide = number[once], form[once], wide[once]
        best = nearest_each(np.zeros(len(number), np.int64), by=(wide, number), most=most)
        return list(zip(number[best].tolist(), form[best].tolist(), strict=True))

    def same(self, at: int, other: Looked, form: int) -> Registration | None:
        """Return how picture `at` lies in another one, None if that does not show it. `form`: the one whose hash is near, -1 for none."""
        mine = self._looked[at]
        likely = [self._forms[at].to_other(form, mine.rgb.size, other.rgb.size)] if form >= 0 else []
        return same_under_a_map(mine, other, likely)
