"""Every benchmark layout by its name in the recipe: the function that reads it, where its pictures lie, and what a whole copy has.

Numbers of items are those of the papers and of the cards on the Hub that docs/benchmarks.md names; None where we know no sure one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.benches.layouts import answers, choices, folder, maths, yes_no
from pipelines.benches.layouts.item import Item, find_any

Part = Callable[[Item], str]


def _always(item: Item) -> bool:
    return True


def _never(item: Item) -> bool:
    return False


def _blind(item: Item) -> bool:
    return str(item.meta.get('visual_input')) == '0'


def _text_only(item: Item) -> bool:
    return item.item_id.startswith('testmini_text_only/')


def _first_of_id(item: Item) -> str:
    return item.item_id.partition('/')[0]


def _none(folder: Path) -> list[Path]:
    return []


def _files(pattern: str) -> Callable[[Path], list[Path]]:
    def found(folder: Path) -> list[Path]:
        return find_any(folder, pattern)

    return found


def _named(field: str) -> Part:
    def part(item: Item) -> str:
        return str(item.meta.get(field, '')).replace(' ', '_')

    return part


@dataclass(frozen=True, slots=True)
class Layout:
    """One published layout. Of `image_roots` those that exist are tried in order; `..` is ours, never the data's."""

    items: Callable[[Path], Iterator[Item]]
    image_roots: tuple[str, ...] = ('.',)
    n_items: int | None = None  # of a whole copy
    parts: tuple[str, ...] = ()  # splits or tasks that lie in files of their own; an item says by `part` which it is of
    part: Part = _first_of_id
    shards: Callable[[Path], list[Path]] = _none  # of the files that are read those whose names may count them (x-00000-of-00005)
    answers: Literal['all', 'some', 'may be none'] = 'all'  # which items publish one
    options: bool = False  # whether most items have some
    may_be_blind: Callable[[Item], bool] = _never  # whether an item has no picture by design
    fewest: int | None = None  # items of a whole copy that was published before, where it had fewer: POPE's random split had 2,910, not 3,000


LAYOUTS: dict[str, Layout] = {
    'folder': Layout(folder.folder_items, folder.IMAGE_ROOTS, shards=folder.folder_files, answers='some', may_be_blind=_always),
    'sqa': Layout(choices.sqa, ('images', '.'), 2017, shards=_files('**/test-*.parquet'), options=True),
    'ai2d': Layout(choices.ai2d, n_items=3088, shards=_files('**/test-*.parquet'), options=True),
    'chartqa': Layout(
        answers.chartqa, ('test/png', 'png', 'ChartQA Dataset/test/png'), 2500, ('human', 'augmented'), _named('split'), _files('**/test-*.parquet')),
    'seed': Layout(choices.seed, ('SEED-Bench-image', '.'), shards=_files('**/test-*.parquet'), options=True),
    'seed-2-plus': Layout(choices.seed_2_plus, ('.', 'text_rich'), options=True),
    'pope': Layout(
        yes_no.pope, ('val2014', 'images', '../coco2014/val2014', '../coco/val2014', '.'), 9000, yes_no.POPE_SPLITS, _named('category'),
        _files('data/test-*.parquet'), fewest=8910),
    'hallusionbench': Layout(yes_no.hallusionbench, yes_no.FIGURES, 1129, shards=_files('**/*image-*.parquet'), may_be_blind=_blind),
    'mme': Layout(yes_no.mme, ('.',), 2374, yes_no.MME_TASKS, _named('category'), _files('**/test-*.parquet')),
    'mathvista': Layout(maths.mathvista, ('.', 'data'), 1000, shards=_files('**/testmini-*.parquet')),
    'mmbench': Layout(choices.mmbench, shards=_files('**/*.parquet'), answers='may be none', options=True),
    'mm-vet': Layout(answers.mm_vet, ('images',), 218, shards=_files('**/test-*.parquet')),
    'mm-vet-v2': Layout(answers.mm_vet_v2, ('images',), 517),
    'llava-w': Layout(answers.llava_w, ('images',), 60, answers='may be none'),
    'llava-wilder': Layout(answers.llava_wilder, shards=_files('**/*.parquet')),
    'blink': Layout(choices.blink, ('.',), 1901, choices.BLINK_TASKS, _named('sub_task'), _files('**/val-*.parquet'), options=True),
    'cv-bench': Layout(choices.cv_bench, ('.',), 2638, ('2D', '3D'), _named('type'), _files('**/test*.parquet'), options=True),
    'visualwebbench': Layout(answers.visualwebbench, ('.',), 1536, answers.WEB_TASKS, _named('task'), _files('**/*.parquet')),
    'mmstar': Layout(choices.mmstar, n_items=1500, shards=_files('**/*.parquet'), options=True),
    'mathverse': Layout(
        maths.mathverse, ('images', '.'), 4728, maths.MATHVERSE_PARTS, shards=_files('**/testmini*.parquet'), may_be_blind=_text_only),
    'mathvision': Layout(maths.mathvision, ('.', 'images'), 3040, ('test',), _named('split'), _files('**/test-*.parquet')),
}
