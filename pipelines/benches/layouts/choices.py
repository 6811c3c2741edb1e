"""Multiple-choice benchmarks as published.

Where nothing else is named, the layout is the one the paper's authors read:
github.com/ByungKwanLee/Phantom, config.py and loader/create_eval_dataset.py.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pipelines.benches.layouts.item import MAX_CELL_BYTES, Item, Row, find, find_any, from_base64, letter, picked, picture, read_object, read_rows
from pipelines.benches.layouts.values import text
from pipelines.sources.completeness import check_whole

_AI2D_FILES = ('ai2d_test.json', 'questions/*.json')
BLINK_TASKS = (  # arXiv 2404.12390
    'Art_Style', 'Counting', 'Forensic_Detection', 'Functional_Correspondence', 'IQ_Test', 'Jigsaw', 'Multi-view_Reasoning', 'Object_Localization',
    'Relative_Depth', 'Relative_Reflectance', 'Semantic_Correspondence', 'Spatial_Relation', 'Visual_Correspondence',
    'Visual_Similarity')  # fmt: skip
_OPTIONS = re.compile(r'\n?Options:\s*(?=A:)')


def sqa(folder: Path) -> Iterator[Item]:
    """Yield ScienceQA's test questions with a picture: problems.json {id: {question, choices, answer, hint, image, ...}}, pid_splits.json.

    Pictures at (images/)test/<id>/image.png. Or the test split in Parquet, as on huggingface.co/datasets/derek-thomas/ScienceQA.
    """
    if not find_any(folder, 'problems.json') and (tables := find_any(folder, '**/test-*.parquet')):
        for ordinal, row in enumerate(row for path in tables for row in read_rows(path)):
            if row['image'] is not None:
                yield _sqa_item(str(ordinal), row, picture(row['image']))
        return
    problems = read_object(find(folder, 'problems.json')[0])
    for key in read_object(find(folder, 'pid_splits.json')[0])['test']:
        row = Row(problems[key], f'problems.json#{key}')
        if row['image'] is not None:
            yield _sqa_item(key, row, (f'test/{key}/{row["image"]}',))


def _sqa_item(key: str, row: dict, images: tuple[str | bytes, ...]) -> Item:
    return Item(key, row['question'], letter(row['answer']), tuple(map(text, row['choices'])), images,
                picked(row, 'hint', 'subject', 'topic', 'category', 'skill', 'grade'))


def ai2d(folder: Path) -> Iterator[Item]:
    """Yield AI2D's test questions: the authors' ai2d_test.json, or questions/*.json with ai2d_test_ids.csv as in ai2d-all.zip.

    Where `abcLabel` is set, the options are letters drawn over the picture in abc_images/.
    Or Parquet with question, options, answer (an index) and image, as on huggingface.co/datasets/lmms-lab/ai2d.
    """
    if not find_any(folder, *_AI2D_FILES) and (tables := find_any(folder, '**/test-*.parquet')):
        for ordinal, row in enumerate(row for path in tables for row in read_rows(path)):
            yield Item(str(ordinal), row['question'], letter(row['answer']), tuple(map(text, row['options'])), picture(row['image']))
        return
    for name, question, about in _ai2d_rows(folder):
        drawn = f'abc_images/{name}'
        image = drawn if about['abcLabel'] and (folder / drawn).is_file() else f'images/{name}'
        options = tuple(map(text, about['answerTexts']))
        yield Item(str(about['questionId']), question, letter(about['correctAnswer']), options, (image,), picked(about, 'abcLabel'))


def _ai2d_rows(folder: Path) -> Iterator[tuple[str, str, dict]]:
    path = find(folder, *_AI2D_FILES)
    if path[0].name == 'ai2d_test.json':
        for row in read_rows(path[0]):
            yield row['imageName'], row['question'], row['metadata']
        return
    test = set(find(folder, 'ai2d_test_ids.csv')[0].read_text('utf-8').split())
    for file in path:
        if file.name.partition('.')[0] in test:
            found = read_object(file)
            for question, about in found['questions'].items():
                yield found['imageName'], question, about


def seed(folder: Path) -> Iterator[Item]:
    """Yield SEED-Bench's image questions: SEED-Bench.json {questions, question_type}, pictures in SEED-Bench-image/<data_id>.

    Or the same columns with the pictures in Parquet, as on huggingface.co/datasets/lmms-lab/SEED-Bench.
    """
    if not find_any(folder, 'SEED-Bench.json') and (tables := find_any(folder, '**/test-*.parquet')):
        for row in (row for path in tables for row in read_rows(path) if row['data_type'] == 'image'):
            yield replace(_seed_item(row, {'question_type': str(row['question_type_id'])}), images=picture(row['image']))
        return
    found = read_object(find(folder, 'SEED-Bench.json')[0])
    types = {number: name for name, number in found.get('question_type', {}).items()}
    for ordinal, row in enumerate(found['questions']):
        row = Row(row, f'SEED-Bench.json#{ordinal}')
        if row['data_type'] == 'image':
            yield _seed_item(row, {'question_type': types.get(row['question_type_id'], str(row['question_type_id']))})


def seed_2_plus(folder: Path) -> Iterator[Item]:
    """Yield SEED-Bench-2-Plus: SEED-Bench-2-plus-text-rich.json, a list or {questions}; `question_image_type` is chart, map or web."""
    path = find(folder, 'SEED-Bench-2-plus-text-rich.json', 'SEED-Bench-2-plus*.json')[0]
    for ordinal, row in enumerate(read_object(path)['questions']):
        yield _seed_item(Row(row, f'{path.name}#{ordinal}'), picked(row, 'question_image_type'))


def _seed_item(row: dict, meta: dict) -> Item:
    options = tuple(text(row[key]) for key in sorted(row) if key.startswith('choice_'))
    return Item(str(row['question_id']), row['question'], text(row['answer']), options, (row['data_id'],), meta)


def mmbench(folder: Path) -> Iterator[Item]:
    """Yield every MMBench .tsv: index, question, hint, A..D, answer (dev only), category, l2-category, image in base64.

    Columns as on huggingface.co/datasets/HuggingFaceM4/MMBench. An index of a million and more asks the same with its options turned round.
    VLMEvalKit's editions save space by naming another row's index instead of repeating its picture. Or Parquet with the same columns, as on
    huggingface.co/datasets/lmms-lab/MMBench.
    """
    if not find_any(folder, '*.tsv') and (tables := find_any(folder, '**/*.parquet')):
        for path in tables:
            for found in read_rows(path):
                name = '_'.join(path.relative_to(folder).parent.parts + (path.stem.partition('-')[0],))
                yield _mmbench_item(name, {key: text(value) for key, value in found.items() if key != 'image'}, picture(found['image']))
        return
    csv.field_size_limit(MAX_CELL_BYTES)
    for path in find(folder, '*.tsv'):
        check_whole(path)
        pictures: dict[str, bytes] = {}
        with open(path, newline='', encoding='utf-8') as handle:
            for row in csv.DictReader(handle, delimiter='\t'):
                image = pictures[row['image']] if row['image'] in pictures else from_base64(row['image'])
                pictures[row['index']] = image
                yield _mmbench_item(path.stem, row, (image,))


def _mmbench_item(file: str, row: dict, images: tuple[str | bytes, ...]) -> Item:
    about = {key.replace('L2', 'l2'): value for key, value in row.items() if key and value not in (None, '', 'nan')}
    row = Row(about, f'{file}#{row.get("index")}')
    options = tuple(row[key] for key in 'ABCD' if key in row)
    meta = {'file': file, **picked(row, 'hint', 'category', 'l2-category', 'source', 'split')}
    return Item(f'{file}/{row["index"]}', row['question'], row.get('answer', ''), options, images, meta)


def mmstar(folder: Path) -> Iterator[Item]:
    """Yield MMStar: mmstar.parquet with index, question, image, answer (a letter), category, l2_category.

    Columns as on huggingface.co/datasets/Lin-Chen/MMStar. The options stand in the question, after `Options:`; it is kept whole as meta `query`.
    """
    for path in find(folder, 'mmstar.parquet', '**/*.parquet'):
        for row in read_rows(path):
            question, options = _split_options(row['question'])
            yield Item(str(row['index']), question, text(row['answer']), options, picture(row['image']),
                       {'query': row['question'], **picked(row, 'category', 'l2_category', 'meta_info')})


def _split_options(text: str) -> tuple[str, tuple[str, ...]]:
    found = _OPTIONS.search(text)
    if not found:
        return text, ()
    options = re.split(r',?\s*\b[A-Z]: ', ' ' + text[found.end():])[1:]
    return text[:found.start()].strip(), tuple(option.strip() for option in options)


def blink(folder: Path) -> Iterator[Item]:
    """Yield BLINK's validation split: <task>/val-*.parquet with idx, sub_task, question, prompt, image_1..4, choices, answer `(A)`."""
    for path in find(folder, '*/val-*.parquet', 'val-*.parquet'):
        for row in read_rows(path):
            images = tuple(image for n in range(1, 5) for image in picture(row.get(f'image_{n}')))
            options = tuple(map(text, row['choices']))
            yield Item(str(row['idx']), row['question'], text(row['answer']).strip('()'), options, images, picked(row, 'sub_task', 'prompt'))


def cv_bench(folder: Path) -> Iterator[Item]:
    """Yield CV-Bench: test.parquet, or test_2d and test_3d, with idx, type, task, image, question, choices, answer `(A)`, prompt, source."""
    for path in find(folder, 'test.parquet', 'test*.parquet', '**/test*.parquet'):
        for row in read_rows(path):
            yield Item(str(row['idx']), row['question'], text(row['answer']).strip('()'), tuple(map(text, row['choices'])), picture(row['image']),
                       picked(row, 'type', 'task', 'prompt', 'source', 'source_dataset'))
