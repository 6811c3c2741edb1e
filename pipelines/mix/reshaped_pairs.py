"""Pictures of the mix that show each other flipped, turned, cropped or framed: near-duplicates that no hash of the pictures themselves tells.

Every picture is opened and expanded into the hashes of its forms (curation/pictures/expanded.py), which are looked up in the index of all; the
COMPARED nearest by 256 bits that are no near-duplicates already are laid on it, and pixels decide (curation/pictures/aligned.py). So the cost grows
with the number of pictures: opening and expanding each, and COMPARED comparisons at most. Of a picture with more copies than that the nearest count.
Flips and turns go both ways: a picture is compared with better ones alone. Of a crop only the whole picture knows, so it is looked for among all.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.pictures.registered import Looked
from pipelines.engine.engine import Engine
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.copies import CANDIDATES, PICTURES_AT_ONCE, Candidates
from pipelines.mix.duplicates import JOIN_BITS, JOIN_BITS_256, RESHAPED_PAIRS
from pipelines.mix.hash_join import HashJoin
from pipelines.sources.images import ImageStore
from schemas.recipe import Recipe
from schemas.telling import tell_news

COMPARED = 16
A_SHARD = 32 * PICTURES_AT_ONCE  # pictures: half a minute
BOTH_WAYS = {'flip', 'turn'}


def find_reshaped(recipe: Recipe, engine: Engine, index: Table, hashes: Table, *, pairs: Table, store: ImageStore) -> tuple[Table, ...]:
    """Return a table of RESHAPED_PAIRS where the recipe asks for it, and say how many were compared."""
    if not recipe.duplicates.transforms:
        return ()
    transforms = tuple(sorted(set(recipe.duplicates.transforms)))
    found = engine.run(FindReshaped(index, hashes, pairs, transforms, JOIN_BITS, JOIN_BITS_256, store))
    counts = found.counts()
    compared, same, left = (counts.get(name, 0) for name in ('compared', 'found', 'left'))
    tell_news(f'near-duplicates in other shapes ({", ".join(transforms)}): {compared} pairs of pictures opened by the hash of a form; '
              f'{same} show the same picture; {left} were left, farther than the {COMPARED} nearest of their picture')
    return (found,)


def markdown_reshaped(recipe: Recipe, n: int) -> str:
    """Return what the card says of the members of stars that show their survivor in another shape; '' where nobody looked."""
    if not recipe.duplicates.transforms:
        return ''
    transforms = ', '.join(sorted(set(recipe.duplicates.transforms)))
    return f'## Near-duplicates in other shapes\n\n{n} picture(s) show a larger one of the mix in another shape (looked for: {transforms}).'


@dataclass(frozen=True)
class FindReshaped(Step):
    """Writes `part` (RESHAPED_PAIRS): image numbers i < j that are one picture in different shapes, each pair once a shard, and how i lies in j.

    Counts `compared`, `found`, and `left`: candidates beyond COMPARED.
    """

    TABLE = 'reshaped_pairs'
    VERSION = 4

    index: Table
    hashes: Table
    pairs: Table
    transforms: tuple[str, ...]
    bits: int
    bits256: int
    store: Place[ImageStore]

    def shards(self) -> list[tuple[int, int]]:
        n = len(np.load(self.index.path / 'is_document.npy', mmap_mode='r'))
        return [(start, min(start + A_SHARD, n)) for start in range(0, n, A_SHARD)]

    @cached_property
    def _join(self) -> HashJoin:
        return HashJoin(self.index, self.hashes, self.store)

    @cached_property
    def _known(self) -> np.ndarray:
        """Return int64[P] in ascending order: the pairs that near hashes tell, i << 32 | j."""
        known = [np.empty(0, np.int64)]
        for path in self.pairs.parts():
            i, j = (column.to_numpy() for column in pq.read_table(path, columns=['i', 'j']).columns)
            known.append(i << 32 | j)
        return np.sort(np.concatenate(known))

    def process(self, shard: tuple[int, int], writer: ShardWriter) -> None:
        writer.write('part', RESHAPED_PAIRS.empty_table())
        found = dict[tuple[int, int], str]()
        for start in range(*shard, PICTURES_AT_ONCE):
            self._look(range(start, min(start + PICTURES_AT_ONCE, shard[1])), found, writer)
        rows = [{'i': i, 'j': j, 'how': how} for (i, j), how in sorted(found.items())]
        writer.write('part', pa.Table.from_pylist(rows, RESHAPED_PAIRS))
        writer.counts['found'] += len(rows)

    def _look(self, numbers: range, found: dict[tuple[int, int], str], writer: ShardWriter) -> None:
        """Compare some pictures with those that may show them, and put what they show into `found`."""
        looked = [Looked(self._join.pictures.open(number)) for number in numbers]
        candidates = Candidates(self._join, self.bits, self.bits256, self.transforms).of(looked, CANDIDATES)
        todo = defaultdict[int, dict[int, int]](dict)
        for at, number in enumerate(numbers):
            near = self._unknown(number, candidates.near[at])
            writer.counts['left'] += max(0, len(near) - COMPARED)
            for other, form in near[:COMPARED]:
                todo[other][at] = form
        for other, of_other in sorted(todo.items()):
            picture = looked[other - numbers[0]] if other in numbers else Looked(self._join.pictures.open(other))
            for at, form in of_other.items():
                pair = min(other, numbers[at]), max(other, numbers[at])
                if pair not in found:
                    writer.counts['compared'] += 1
                    if (how := candidates.same(at, picture, form)) is not None:
                        found[pair] = (how if numbers[at] == pair[0] else how.back()).told()

    def _unknown(self, number: int, near: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the candidates of a picture that its own hash does not tell, of flips and turns only the better ones: nearest first."""
        both_ways = set(self.transforms) <= BOTH_WAYS
        some = [(other, form) for other, form in near if other < number or (other > number and not both_ways)]
        keys = np.array([min(number, other) << 32 | max(number, other) for other, _ in some], np.int64)
        at = np.searchsorted(self._known, keys)
        known = self._known[np.minimum(at, len(self._known) - 1)] == keys if len(self._known) else np.zeros(len(keys), bool)
        return [candidate for candidate, is_known in zip(some, known.tolist(), strict=True) if not is_known]

    def teardown(self) -> None:
        if '_join' in self.__dict__:
            self._join.close()
