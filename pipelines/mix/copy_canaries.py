"""Canaries of a benchmark's pictures: changed in every shape, hidden among each other, and looked for by the code that looks for copies.

Up to PLANTED different pictures of the benchmarks for each kind. Found by picture alone means: its hash is near that of a form, and pixels agree;
found means: so, or its sample asks what the benchmark asks, and pixels agree. What cannot be told is not planted and is counted: of pictures of
nearly one tone and of plain ones no part, of documents no text laid over them. A kind of which fewer are found than `contamination.min_recall` stops
the build where the upper end of the interval lies below, too: of few pictures nothing can be said, and that is said.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.pictures.confirm import open_to_compare
from curation.pictures.images import ImageFacts, ImageLimits, inspect_image
from curation.pictures.registered import Looked
from curation.pictures.reshaped import SHAPES, reshaped
from curation.selection.hamming import build_index, rows_by_code, words256
from curation.selection.select import lot
from pipelines.engine.engine import Engine
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.copies import Candidates, distinct_pictures
from pipelines.mix.picture_canaries import is_faint
from pipelines.snapshot.copies import CopyRecall, print_copies
from pipelines.snapshot.mix_rows import read_rows
from schemas.errors import UserError
from schemas.recipe import Contamination, Recipe

PLANTED = 64  # pictures of each kind
LOOKED_AT = 4 * PLANTED  # pictures, before fewer are planted
PARTS = ('crop', 'border', 'letterbox', 'caption', 'overlay')  # of which a plain picture cannot be told
MIN_SIDE_PX, SMALLER = 64, {'quarter': 160, 'collage': 128}  # shorter side
TOGETHER = 8  # pictures whose copies are hidden among each other
Drawn = tuple[str, tuple[str, ...], tuple[str, ...]]  # id of a picture, the kinds it is planted in, and those it cannot be told of
CHECKED = pa.schema([('kind', pa.string()), ('id', pa.string()), ('found', pa.bool_()), ('by_picture', pa.bool_())])


@dataclass(frozen=True)
class CheckCopies(Step):
    """Writes `part` (CHECKED): whether each copy was found; counts `passed/<kind>`, the pictures that were not planted."""

    TABLE = 'copy_recall'
    VERSION = 6

    benches: tuple[Table, ...]
    bits: int
    bits256: int
    seed: str
    limits: ImageLimits

    def shards(self) -> list[tuple[Drawn, ...]]:
        """Return the pictures to plant, TOGETHER at once: what is done with the picture itself is done once for all shapes."""
        drawn = list(self._drawn())
        return [tuple(drawn[at : at + TOGETHER]) for at in range(0, len(drawn), TOGETHER)] or [()]

    def _drawn(self) -> Iterator[Drawn]:
        """Yield pictures by lot, each with the kinds it is planted in, until of every kind there are PLANTED or LOOKED_AT were looked at."""
        n = Counter[str]()
        for image_id, data in self._pictures(sorted(self._where, key=lambda name: lot(f'{self.seed}/copy/{name}'))[:LOOKED_AT]):
            wanted = [kind for kind in SHAPES if n[kind] < PLANTED]
            if not wanted:
                return
            looked, facts = Looked(open_to_compare(data)), self._facts[image_id]
            planted = tuple(kind for kind in wanted if _can_be_told(kind, looked, data, facts))
            n.update(planted)
            yield image_id, planted, tuple(kind for kind in wanted if kind not in planted)

    @cached_property
    def _where(self) -> dict[str, tuple[Table, tuple[int, int]]]:
        """Return, for every different picture, the first benchmark that shows it, and where: row and place."""
        return {image_id: (table, shown[0]) for table in reversed(self.benches) for image_id, shown in distinct_pictures(table)}

    @cached_property
    def _facts(self) -> dict[str, dict]:
        columns = ['image_id', 'width', 'height', 'thumb', 'kind']
        parts = (pq.read_table(path, columns=columns) for table in self.benches for path in table.parts('pictures'))
        return {row['image_id']: row for part in parts for row in part.to_pylist()}

    def _pictures(self, image_ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        for image_id in image_ids:
            table, (row, at) = self._where[image_id]
            (path,) = table.parts('items')
            ((_, item),) = read_rows(str(path), [row], ['images'])
            yield image_id, item['images'][at]['bytes']

    def process(self, shard: tuple[Drawn, ...], writer: ShardWriter) -> None:
        looked = [Looked(open_to_compare(data)) for _, data in self._pictures(image_id for image_id, *_ in shard)]
        planted = list[tuple[int, str, bytes, ImageFacts]]()
        for at, (image_id, kinds, passed) in enumerate(shard):
            writer.counts.update(f'passed/{kind}' for kind in passed)
            beside = [looked[at - back].rgb for back in range(1, min(4, len(looked)))]
            for kind in kinds:
                copy = reshaped(looked[at].rgb, kind, image_id, beside)
                found = inspect_image(copy, self.limits)
                if isinstance(found, ImageFacts):
                    planted.append((at, kind, copy, found))
                else:
                    writer.counts[f'passed/{kind}'] += 1  # such a copy is in no mix
        with tempfile.TemporaryDirectory() as folder:
            join = _Planted(Path(folder), [facts for *_, facts in planted])
            candidates = Candidates(join, self.bits, self.bits256).of(looked, len(planted))
        near, rows = [dict(some) for some in candidates.near], []
        for number, (at, kind, copy, _) in enumerate(planted):
            form = near[at].get(number, -1)
            seen = candidates.same(at, Looked(open_to_compare(copy)), form) is not None
            rows.append({'kind': kind, 'id': shard[at][0], 'found': seen, 'by_picture': seen and form >= 0})
        writer.write('part', pa.Table.from_pylist(rows, CHECKED))


def _can_be_told(kind: str, looked: Looked, data: bytes, facts: dict) -> bool:
    if min(facts['width'], facts['height']) < SMALLER.get(kind, MIN_SIDE_PX) or is_faint(data, facts['thumb']):
        return False
    if kind == 'overlay' and facts['kind'] == 'document':
        return False
    return kind not in PARTS or not looked.is_plain


class _Planted:
    """The copies as an index that candidates are looked up in."""

    def __init__(self, folder: Path, facts: list[ImageFacts]) -> None:
        keys = [(number, *key) for number, some in enumerate(facts) for key in some.hashes()]
        self.codes = build_index(np.array([key64 for _, key64, _ in keys], np.uint64), folder)
        self.by_code = rows_by_code(self.codes)
        self.images = SimpleNamespace(of_image=np.array([number for number, *_ in keys], np.int64), phash256=words256([key for *_, key in keys]))


def check_copies(recipe: Recipe, engine: Engine, benches: tuple[Table, ...]) -> list[CopyRecall]:
    """Return the recall of every kind, printed; [] without pictures. Raises UserError where one is surely below what the recipe asks for."""
    benches = tuple(bench for bench in benches if distinct_pictures(bench))
    if not benches:
        return []
    rules, limits = recipe.contamination, ImageLimits(**recipe.images.model_dump())
    table = engine.run(CheckCopies(benches, rules.image_bits, rules.image_bits_256, recipe.mix.seed, limits))
    rows, counts = table.read().to_pylist(), table.counts()
    recalls = []
    for kind in SHAPES:
        planted = [row for row in rows if row['kind'] == kind]
        found, by_picture = (sum(row[name] for row in planted) for name in ('found', 'by_picture'))
        recalls.append(CopyRecall(kind, len(planted), found, by_picture, counts.get(f'passed/{kind}', 0), rules.min_recall))
    print_copies(recalls)
    refuse_missed(recalls, rules)
    return recalls


def refuse_missed(recalls: list[CopyRecall], rules: Contamination) -> None:
    """Raise UserError naming the kinds of copies that would be missed."""
    missed = [recall for recall in recalls if recall.failed]
    if missed:
        told = ', '.join(f'{r.kind} {r.found} of {r.planted} ({r.found / r.planted:.2f}, at most {r.interval[1]:.2f})' for r in missed)
        raise UserError(
            f'canaries: expected {rules.min_recall:g} of the copies of benchmark pictures in each shape to be found (contamination.min_recall), '
            f'found {told}; such copies would stay in the mix: raise image_bits {rules.image_bits} and image_bits_256 {rules.image_bits_256}, or '
            'lower min_recall to build in spite of that, which the card then says'
        )
