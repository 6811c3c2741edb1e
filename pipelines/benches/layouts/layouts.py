"""Every benchmark layout by its name in the recipe: the function that reads it, and where its pictures lie relative to its folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.benches.layouts import answers, choices, maths, yes_no
from pipelines.benches.layouts.item import Item, find, picture, read_rows


@dataclass(frozen=True, slots=True)
class Layout:
    """One published layout. Of `image_roots` those that exist are tried in order; `..` is ours, never the data's."""

    items: Callable[[Path], Iterator[Item]]
    image_roots: tuple[str, ...] = ('.',)


def folder_items(folder: Path) -> Iterator[Item]:
    """Yield the rows of every .json, .jsonl and .parquet file: question, answer, and optionally id, options, image or images."""
    files = [path for path in find(folder, '*.*') if path.suffix in ('.json', '.jsonl', '.parquet')] or find(folder, '*.json', '*.jsonl', '*.parquet')
    for ordinal, row in enumerate(row for path in files for row in read_rows(path)):
        images = row.get('images') or [row.get('image')]
        yield Item(str(row.get('id', ordinal)), str(row['question']), str(row.get('answer', '')),
                   tuple(str(option) for option in row.get('options') or []), tuple(image for value in images for image in picture(value)))


LAYOUTS: dict[str, Layout] = {
    'folder': Layout(folder_items),
    'sqa': Layout(choices.sqa, ('images', '.')),
    'ai2d': Layout(choices.ai2d),
    'chartqa': Layout(answers.chartqa, ('test/png', 'png')),
    'seed': Layout(choices.seed, ('SEED-Bench-image', '.')),
    'seed-2-plus': Layout(choices.seed_2_plus, ('.', 'text_rich')),
    'pope': Layout(yes_no.pope, ('val2014', 'images', '../coco2014/val2014', '../coco/val2014', '.')),
    'hallusionbench': Layout(yes_no.hallusionbench, yes_no.FIGURES),
    'mme': Layout(yes_no.mme),
    'mathvista': Layout(maths.mathvista, ('.', 'data')),
    'mmbench': Layout(choices.mmbench),
    'mm-vet': Layout(answers.mm_vet, ('images',)),
    'mm-vet-v2': Layout(answers.mm_vet_v2, ('images',)),
    'llava-w': Layout(answers.llava_w, ('images',)),
    'llava-wilder': Layout(answers.llava_wilder),
    'blink': Layout(choices.blink),
    'cv-bench': Layout(choices.cv_bench),
    'visualwebbench': Layout(answers.visualwebbench),
    'mmstar': Layout(choices.mmstar),
    'mathverse': Layout(maths.mathverse, ('images', '.')),
    'mathvision': Layout(maths.mathvision, ('.', 'images')),
}
