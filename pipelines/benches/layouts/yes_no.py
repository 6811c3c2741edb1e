"""Yes/no benchmarks as published. Answers are 'Yes' and 'No'."""

from collections.abc import Iterator
from pathlib import Path

from pipelines.benches.layouts.item import Item, find, find_any, picked, picture, read_rows
from pipelines.benches.layouts.values import text
from schemas.errors import UserError

POPE_SPLITS = ('random', 'popular', 'adversarial')
# MME's fourteen tasks: ten of perception, four of cognition (its eval_tool/calculation.py names them)
MME_TASKS = ('existence', 'count', 'position', 'color', 'posters', 'celebrity', 'scene', 'landmark', 'artwork', 'OCR',
             'commonsense_reasoning', 'numerical_calculation', 'text_translation', 'code_reasoning')
FIGURES = ('hallusion_bench', 'data', '.')  # HallusionBench's image roots
_MME_IMAGES = ('.jpg', '.png', '.jpeg')


def pope(folder: Path) -> Iterator[Item]:
    """Yield POPE's three splits: coco_pope_<split>.json, which is JSON Lines of question_id, image, text, label.

    Pictures are COCO's val2014, found beside or in the folder. Or Parquet with question_id, question, answer, image, category, as on
    huggingface.co/datasets/lmms-lab/POPE.
    """
    names = {split: f'coco_pope_{split}.json' for split in POPE_SPLITS}
    files = {split: find_any(folder, name, f'output/coco/{name}', f'coco/{name}') for split, name in names.items()}
    if not any(files.values()):
        for row in (row for path in find(folder, 'data/test-*.parquet', '**/*.parquet', *names.values()) for row in read_rows(path)):
            split = row['category']
            yield Item(f'{split}/{row["question_id"]}', row['question'], text(row['answer']).capitalize(), images=picture(row['image']),
                       meta={'category': split})
    for split, row in ((split, row) for split, paths in files.items() for path in paths[:1] for row in read_rows(path)):
        yield Item(f'{split}/{row["question_id"]}', row['text'], text(row['label']).capitalize(), images=(row['image'],), meta={'category': split})


def hallusionbench(folder: Path) -> Iterator[Item]:
    """Yield HallusionBench.json: category, subcategory, set_id, figure_id, question_id, question, gt_answer `0|1`, filename `./VS/...` or null.

    Fields as on huggingface.co/datasets/lmms-lab/HallusionBench, where data/image-*.parquet and non_image-*.parquet have the picture in `image`;
    those of the file lie below hallusion_bench/. Rows without a picture ask the same blind.
    Some names end in png where the file ends in PNG, or the other way round (github.com/ByungKwanLee/Phantom, test.py).
    """
    for row in (row for path in find(folder, 'HallusionBench.json', 'data/*image-*.parquet', '*image-*.parquet') for row in read_rows(path)):
        key = '_'.join(str(row[part]) for part in ('category', 'subcategory', 'visual_input', 'set_id', 'figure_id', 'question_id'))
        inside = picture(row.get('image'))
        images = inside or ((_figure(folder, row['filename'].removeprefix('./')),) if row.get('filename') else ())
        said = text(row['gt_answer'])
        yield Item(key, row['question'], ('No', 'Yes')[int(said)] if said else '', images=images, meta=picked(
            row, 'category', 'subcategory', 'visual_input', 'set_id', 'figure_id', 'question_id', 'gt_answer_details'))


def _figure(folder: Path, name: str) -> str:
    other = name[:-3] + ('PNG' if name.endswith('png') else 'png')
    is_other = any((folder / root / other).is_file() for root in FIGURES) and not any((folder / root / name).is_file() for root in FIGURES)
    return other if is_other else name


def mme(folder: Path) -> Iterator[Item]:
    """Yield MME: <task>/<name>.txt with lines `question<TAB>Yes`, beside <name>.jpg; or in questions_answers_YN/ and images/.

    Or Parquet with question_id, image, question, answer, category, as on huggingface.co/datasets/lmms-lab/MME; there two rows have one id.
    """
    bases = (folder / sub for sub in ('.', 'MME_Benchmark', 'MME_Benchmark_release_version'))
    base = next((base for base in bases if any((base / task).is_dir() for task in MME_TASKS)), None)
    if base is None:
        tables = find_any(folder, '**/test-*.parquet')
        if not tables:
            raise UserError(f'expected a folder for each MME task ({", ".join(MME_TASKS[:3])}, ...) in {folder}, found none')
        yield from _mme_rows(tables)
        return
    for task in MME_TASKS:
        for path in find_any(base / task, 'questions_answers_YN/*.txt', '*.txt'):
            pictures = base / task / 'images' if path.parent.name == 'questions_answers_YN' else path.parent
            named = [pictures / (path.stem + end) for end in _MME_IMAGES]
            image = next((image for image in named if image.is_file()), named[0])
            yield from _mme_items(task, path, image.relative_to(folder).as_posix())


def _mme_rows(tables: list[Path]) -> Iterator[Item]:
    for row in (row for path in tables for row in read_rows(path)):
        yield Item(str(row['question_id']), row['question'], text(row['answer']), images=picture(row['image']), meta={'category': row['category']})


def _mme_items(task: str, path: Path, image: str) -> Iterator[Item]:
    lines = [line for line in path.read_text('utf-8').splitlines() if line.strip()]
    for number, line in enumerate(lines):
        question, tab, answer = line.partition('\t')
        if not tab or answer.strip() not in ('Yes', 'No'):
            raise UserError(f'{path}: expected lines of question, tab, Yes or No, found {line[:80]!r}')
        yield Item(f'{task}/{path.stem}/{number}', question.strip(), answer.strip(), images=(image,), meta={'category': task})
