"""Multiple-choice benchmarks as published.

Where nothing else is named, the layout is the one the paper's authors read:
github.com/ByungKwanLee/Phantom, config.py and loader/create_eval_dataset.py.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from pipelines.benches.layouts.item import Item, find, from_base64, letter, picked, picture, read_object, read_rows
from pipelines.sources.completeness import check_whole

_OPTIONS = re.compile(r'\n?Options:\s*(?=A:)')


def sqa(folder: Path) -> Iterator[Item]:
    """Yield ScienceQA's test questions with a picture: problems.json {id: {question, choices, answer, hint, image, ...}}, pid_splits.json.

    Pictures at (images/)test/<id>/image.png.
    """
    problems = read_object(find(folder, 'problems.json')[0])
    for key in read_object(find(folder, 'pid_splits.json')[0])['test']:
        row = problems[key]
        if row['image'] is not None:
            yield Item(key, row['question'], letter(row['answer']), tuple(row['choices']), (f'test/{key}/{row["image"]}',),
                       picked(row, 'hint', 'subject', 'topic', 'category', 'skill', 'grade'))


def ai2d(folder: Path) -> Iterator[Item]:
    """Yield AI2D's test questions: the authors' ai2d_test.json, or questions/*.json with ai2d_test_ids.csv as in ai2d-all.zip.

    Where `abcLabel` is set, the options are letters drawn over the picture in abc_images/.
    """
    for name, question, about in _ai2d_rows(folder):
        drawn = f'abc_images/{name}'
        image = drawn if about['abcLabel'] and (folder / drawn).is_file() else f'images/{name}'
        options = tuple(map(str, about['answerTexts']))
        yield Item(about['questionId'], question, letter(about['correctAnswer']), options, (image,), picked(about, 'abcLabel'))


def _ai2d_rows(folder: Path) -> Iterator[tuple[str, str, dict]]:
    path = find(folder, 'ai2d_test.json', 'questions/*.json')
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
    """Yield SEED-Bench's image questions: SEED-Bench.json {questions, question_type}, pictures in SEED-Bench-image/<data_id>."""
    found = read_object(find(folder, 'SEED-Bench.json')[0])
    types = {number: name for name, number in found.get('question_type', {}).items()}
    for row in found['questions']:
        if row['data_type'] == 'image':
            yield _seed_item(row, {'question_type': types.get(row['question_type_id'], str(row['question_type_id']))})


def seed_2_plus(folder: Path) -> Iterator[Item]:
    """Yield SEED-Bench-2-Plus: SEED-Bench-2-plus-text-rich.json, a list or {questions}; `question_image_type` is chart, map or web."""
    for row in read_object(find(folder, 'SEED-Bench-2-plus-text-rich.json', 'SEED-Bench-2-plus*.json')[0])['questions']:
        yield _seed_item(row, picked(row, 'question_image_type'))


def _seed_item(row: dict, meta: dict) -> Item:
    options = tuple(str(row[key]) for key in sorted(row) if key.startswith('choice_'))
    return Item(str(row['question_id']), row['question'], row['answer'], options, (row['data_id'],), meta)


def mmbench(folder: Path) -> Iterator[Item]:
    """Yield every MMBench .tsv: index, question, hint, A..D, answer (dev only), category, l2-category, image in base64.

    Columns as on huggingface.co/datasets/HuggingFaceM4/MMBench. An index of a million and more asks the same with its options turned round.
    VLMEvalKit's editions save space by naming another row's index instead of repeating its picture.
    """
    csv.field_size_limit(100_000_000)
    for path in find(folder, '*.tsv'):
        check_whole(path)
        pictures: dict[str, bytes] = {}
        with open(path, newline='', encoding='utf-8') as handle:
            for row in csv.DictReader(handle, delimiter='\t'):
                image = pictures[row['image']] if row['image'] in pictures else from_base64(row['image'])
                pictures[row['index']] = image
                row = {key: value for key, value in row.items() if value not in (None, '', 'nan')}
                options = tuple(row[key] for key in 'ABCD' if key in row)
                meta = {'file': path.stem, **picked(row, 'hint', 'category', 'l2-category', 'source', 'split')}
                yield Item(f'{path.stem}/{row["index"]}', row['question'], row.get('answer', ''), options, (image,), meta)


def mmstar(folder: Path) -> Iterator[Item]:
    """Yield MMStar: mmstar.parquet with index, question, image, answer (a letter), category, l2_category.

    Columns as on huggingface.co/datasets/Lin-Chen/MMStar. The options stand in the question, after `Options:`; it is kept whole as meta `query`.
    """
    for path in find(folder, 'mmstar.parquet', '**/*.parquet'):
        for row in read_rows(path):
            question, options = _split_options(row['question'])
            yield Item(str(row['index']), question, row['answer'], options, picture(row['image']),
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
            yield Item(row['idx'], row['question'], row['answer'].strip('()'), tuple(row['choices']), images, picked(row, 'sub_task', 'prompt'))


def cv_bench(folder: Path) -> Iterator[Item]:
    """Yield CV-Bench: test.parquet, or test_2d and test_3d, with idx, type, task, image, question, choices, answer `(A)`, prompt, source."""
    for path in find(folder, 'test.parquet', 'test*.parquet'):
        for row in read_rows(path):
            yield Item(str(row['idx']), row['question'], row['answer'].strip('()'), tuple(row['choices']), picture(row['image']),
                       picked(row, 'type', 'task', 'prompt', 'source', 'source_dataset'))
