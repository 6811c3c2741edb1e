"""Mathematics benchmarks with pictures, as published."""

import re
from collections.abc import Iterator
from pathlib import Path

from pipelines.benches.layouts.item import Item, find, find_any, letter, picked, picture, read_rows
from pipelines.benches.layouts.values import text

MATHVERSE_PARTS = ('testmini', 'testmini_text_only')
_MATHVERSE_FILES = ('{}.json', '{}.parquet', '{}/*.parquet', 'data/{}-*.parquet')
_MATHVISION_FILES = ('data/{}-*.parquet', '{}-*.parquet', 'data/{}.jsonl', '{}.jsonl')
_MARKS = re.compile(r'\s*<image\d*>\s*')


def mathvista(folder: Path) -> Iterator[Item]:
    """Yield MathVista's testmini: parquet with pid, question, image, decoded_image, choices, unit, precision, answer, question_type, ...

    Columns as on huggingface.co/datasets/AI4Math/MathVista; or testmini.json, there annot_testmini.json, {pid: row} with pictures in images/.
    The published answer of a multiple-choice question is the option's text; it is kept as meta `answer_text`.
    """
    in_json = ('annot_testmini.json', 'data/annot_testmini.json', 'testmini.json', 'data/testmini.json')
    for path in find(folder, 'testmini-*.parquet', 'data/testmini-*.parquet', 'testmini*.parquet', *in_json):
        for row in read_rows(path):
            options, said = tuple(map(text, row.get('choices') or ())), text(row['answer'])
            answer = letter(options.index(said)) if said in options else said
            key = text(row.get('pid')) or text(row['id'])
            yield Item(key, row['question'], answer, options, picture(row.get('decoded_image')) or picture(row['image']), {
                'answer_text': said, **picked(row, 'question_type', 'answer_type', 'precision', 'unit', 'query', 'metadata')})


def mathverse(folder: Path) -> Iterator[Item]:
    """Yield MathVerse's testmini and testmini_text_only, .json or .parquet: sample_index, problem_version, question, image, answer, ...

    Fields as on huggingface.co/datasets/AI4Math/MathVerse, options stand in the question; pictures of the .json files in images/. Text-only
    rows have no picture; their indices start again.
    """
    parts = {part: find_any(folder, *(pattern.format(part) for pattern in _MATHVERSE_FILES)) for part in MATHVERSE_PARTS}
    if not any(parts.values()):
        find(folder, *(pattern.format('testmini*') for pattern in _MATHVERSE_FILES))
    for part, path in ((part, path) for part, files in parts.items() for path in files):
        for row in read_rows(path):
            images = picture(row.get('image')) if part == 'testmini' else ()
            yield Item(f'{part}/{row["sample_index"]}', row['question'], text(row['answer']), images=images, meta=picked(
                row, 'problem_index', 'problem_version', 'question_type', 'metadata', 'query_wo', 'query_cot', 'question_for_eval'))


def mathvision(folder: Path) -> Iterator[Item]:
    """Yield MathVision's test split, else its testmini: id, question, options, image, decoded_image, answer, solution, level, subject.

    Parquet as on huggingface.co/datasets/MathLLMs/MathVision (test split of 3,040), or data/test.jsonl as in github.com/mathllm/MATH-V, pictures
    in images/. Marks `<image1>`, ... stand in its questions, and in some options, which have no text then.
    """
    whole = ('mathvision.parquet', *(pattern.format('test') for pattern in _MATHVISION_FILES))
    for path in find(folder, *whole, *(pattern.format('testmini') for pattern in _MATHVISION_FILES)):
        split = 'testmini' if path.name.startswith('testmini') else 'test'
        for row in read_rows(path):
            question, images = row['question'] and _without_marks(row['question']), picture(row.get('decoded_image')) or picture(row.get('image'))
            options = tuple(_without_marks(text(option)) for option in row.get('options') or ())
            meta = {'split': split, **picked(row, 'solution', 'level', 'subject')}
            yield Item(str(row['id']), question, text(row['answer']), options, images, meta)


def _without_marks(said: str) -> str:
    return _MARKS.sub(' ', said).strip()
