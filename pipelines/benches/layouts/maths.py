"""Mathematics benchmarks with pictures, as published."""

import re
from collections.abc import Iterator
from pathlib import Path

from pipelines.benches.layouts.item import Item, find, letter, picked, picture, read_rows

_MARKS = re.compile(r'\s*<image\d*>\s*')


def mathvista(folder: Path) -> Iterator[Item]:
    """Yield MathVista's testmini: parquet with pid, question, image, decoded_image, choices, unit, precision, answer, question_type, ...

    Columns as on huggingface.co/datasets/AI4Math/MathVista.
    The published answer of a multiple-choice question is the option's text; it is kept as meta `answer_text`.
    """
    for path in find(folder, 'testmini-*.parquet', 'data/testmini-*.parquet', 'testmini*.parquet'):
        for row in read_rows(path):
            options = tuple(row.get('choices') or ())
            answer = letter(options.index(row['answer'])) if row['answer'] in options else row['answer']
            yield Item(str(row['pid']), row['question'], answer, options, picture(row.get('decoded_image')) or picture(row['image']), {
                'answer_text': row['answer'], **picked(row, 'question_type', 'answer_type', 'precision', 'unit', 'query', 'metadata')})


def mathverse(folder: Path) -> Iterator[Item]:
    """Yield MathVerse's testmini.json and testmini_text_only.json: sample_index, problem_version, question (with options), image, answer, ...

    Fields as on huggingface.co/datasets/AI4Math/MathVerse; pictures in images/. Text-only rows have no picture; their indices start again.
    """
    for path in find(folder, 'testmini*.json'):
        for row in read_rows(path):
            images = picture(row.get('image')) if path.stem == 'testmini' else ()
            yield Item(f'{path.stem}/{row["sample_index"]}', row['question'], row['answer'], images=images, meta=picked(
                row, 'problem_index', 'problem_version', 'question_type', 'metadata', 'query_wo', 'query_cot', 'question_for_eval'))


def mathvision(folder: Path) -> Iterator[Item]:
    """Yield MathVision's test split: parquet with id, question, options, image, decoded_image, answer, solution, level, subject.

    Columns and the marks `<image1>`, ... in its questions: huggingface.co/datasets/MathLLMs/MathVision, test split of 3,040.
    """
    for path in find(folder, 'mathvision.parquet', 'data/test-*.parquet', 'test-*.parquet'):
        for row in read_rows(path):
            question, images = _MARKS.sub(' ', row['question']).strip(), picture(row.get('decoded_image')) or picture(row['image'])
            yield Item(str(row['id']), question, str(row['answer']), tuple(row.get('options') or ()), images,
                       picked(row, 'solution', 'level', 'subject'))
