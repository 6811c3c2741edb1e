"""Canaries of a benchmark's pictures: changed in every shape, hidden among each other, and looked for by the code that looks for copies.

Up to PLANTED different pictures of the benchmarks for each kind. Found by picture alone means: its hash is near that of a form, and pixels agree;
found means: so, or its sample asks what the benchmark asks, and pixels agree. What cannot be told is not planted and is counted: of pictures of
nearly one tone and of plain ones no part, of documents no text laid over them. A kind of which fewer are found than `contamination.min_recall` stops
the build where the upper end of the interval lies below, too: of few pictures nothing can be said, and that is said.
"""

import tempfile
from collections.abc import Iterator
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
from pipelines.mix.copies import PICTURES_AT_ONCE, Candidates, distinct_pictures
from pipelines.mix.picture_canaries import is_faint
from pipelines.snapshot.copies import CopyRecall, print_copies
from pipelines.snapshot.mix_rows import read_rows
from schemas.errors import UserError
from schemas.recipe import Contamination, Recipe

PLANTED = 64  # pictures of each kind
LOOKED_AT = 4 * PLANTED  # pictures, before fewer are planted
PARTS = ('crop', 'border', 'letterbox', 'caption', 'overlay')  # of which a plain picture cannot be told
MIN_SIDE_PX, SMALLER = 64, {'quarter': 160, 'collage': 128}  # shorter side
CHECKED = pa.schema([('kind', pa.string()), ('id', pa.string()), ('found', pa.bool_()), ('by_picture', pa.bool_())])


@dataclass(frozen=True)
class CheckCopies(Step):
    """Writes `part` (CHECKED): whether each copy of one kind was found; counts `passed/<kind>`, the pictures that were not planted."""

    TABLE = 'copy_recall'
    VERSION = 1

    benches: tuple[Table, ...]
    bits: int
    bits256: int
    seed: str
    limits: ImageLimits

    def shards(self) -> list[str]:
        return list(SHAPES)

    @cached_property
    def _drawn(self) -> list[tuple[Table, str, tuple[int, int]]]:
        """Return the different pictures by lot: the benchmark, the id, and where it stands."""
        places = {image_id: (table, shown[0]) for table in reversed(self.benches) for image_id, shown in distinct_pictures(table)}
        return [(places[image_id][0], image_id, places[image_id][1]) for image_id in sorted(places, key=lambda name: lot(f'{self.seed}/copy/{name}'))]

    def process(self, shard: str, writer: ShardWriter) -> None:
        writer.write('part', CHECKED.empty_table())
        planted = list(self._planted(shard, writer))
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            join = _Planted(Path(folder), [facts for *_, facts in planted])
            for start in range(0, len(planted), PICTURES_AT_ONCE):
                some = planted[start : start + PICTURES_AT_ONCE]
                candidates = Candidates(join, self.bits, self.bits256).of([looked for _, looked, _, _ in some], len(planted))
                for at, (image_id, _, data, _) in enumerate(some):
                    form = dict(candidates.near[at]).get(start + at, -1)
                    found = candidates.same(at, Looked(open_to_compare(data)), form) is not None
                    rows.append({'kind': shard, 'id': image_id, 'found': found, 'by_picture': found and form >= 0})
        writer.write('part', pa.Table.from_pylist(rows, CHECKED))

    def _planted(self, kind: str, writer: ShardWriter) -> Iterator[tuple[str, Looked, bytes, ImageFacts]]:
        """Yield (id, picture, its copy, facts of the copy)."""
        pictures, n = self._pictures(), 0
        others: list[Looked] = []
        for image_id, data, facts in pictures:
            if n == PLANTED:
                return
            looked = Looked(open_to_compare(data))
            others = [*others[-3:], looked]
            if not self._can_be_told(kind, looked, data, facts):
                writer.counts[f'passed/{kind}'] += 1
                continue
            beside = [other.rgb for other in others[:-1]]
            copy = reshaped(looked.rgb, kind, image_id, beside)
            found = inspect_image(copy, self.limits)
            if not isinstance(found, ImageFacts):
                writer.counts[f'passed/{kind}'] += 1  # such a copy is in no mix
                continue
            n += 1
            yield image_id, looked, copy, found

    def _pictures(self) -> Iterator[tuple[str, bytes, dict]]:
        facts = {row['image_id']: row for table in self.benches for path in table.parts('pictures')
                 for row in pq.read_table(path, columns=['image_id', 'width', 'height', 'thumb', 'kind']).to_pylist()}  # fmt: skip
        for table, image_id, (row, at) in self._drawn[:LOOKED_AT]:
            (path,) = table.parts('items')
            ((_, item),) = read_rows(str(path), [row], ['images'])
            yield image_id, item['images'][at]['bytes'], facts[image_id]

    def _can_be_told(self, kind: str, looked: Looked, data: bytes, facts: dict) -> bool:
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
    recalls = []
    for kind, path in zip(SHAPES, table.parts(), strict=True):
        rows = pq.read_table(path).to_pylist()
        passed = table.counts().get(f'passed/{kind}', 0)
        found, by_picture = (sum(row[name] for row in rows) for name in ('found', 'by_picture'))
        recalls.append(CopyRecall(kind, len(rows), found, by_picture, passed, rules.min_recall))
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
