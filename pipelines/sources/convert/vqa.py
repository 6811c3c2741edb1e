"""VQA pairs: a file of questions and a file of annotations become rows of question, answer and picture, joined by question_id.

The layout is that of visualqa.org (Data format), which OK-VQA and others share: the answer is `multiple_choice_answer`, of ten people's the most
frequent one, as the file itself says it; the ten stay behind. Where a file lacks it, the most frequent of `answers` is taken, the first of equals.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.sources.containers import parser
from pipelines.sources.convert.rows import LeftOut, Pictures, Row, records, text_of
from pipelines.sources.json_records import list_spans
from pipelines.sources.malformed import Malformed
from schemas.records import Reason

COLUMNS = {'image': 'image', 'question': 'question', 'answer': 'answer', 'id': 'id'}
_NUMBER = re.compile(r'(\d+)\D*\.\w+$')  # the last one of a file's name: COCO_val2014_000000000042.jpg


@dataclass(frozen=True, slots=True)
class Found:
    """Where the annotation of a question lies in its file, and which one it is."""

    ordinal: int
    start: int
    stop: int


def vqa_rows(questions: Path, annotations: Path, pictures: Pictures) -> Iterator[Row | LeftOut]:
    """Yield a row for each question that has an answer and a picture, in the file's order; then the annotations that no question asks for."""
    numbered = _by_number(pictures.folder)
    answers: dict[object, Found] = {}
    yield from _index(annotations, answers)
    with open(annotations, 'rb') as handle:
        parse = parser(annotations.name, annotations)
        for ordinal, question in records(questions, 'questions'):
            where = f'{questions.name}#{ordinal}'
            if isinstance(question, Malformed) or not isinstance(question.get('question_id'), int | str):
                found = question.found if isinstance(question, Malformed) else f'expected a question_id, found {sorted(question)[:12]}'
                yield LeftOut('question', where, Reason.RECORD_MALFORMED, found)
            elif (at := answers.pop(question['question_id'], None)) is None:
                told = f'no annotation has question_id {question["question_id"]!r:.80}, or an earlier question has it too'
                yield LeftOut('question', where, Reason.RECORD_MALFORMED, told)
            else:
                yield _row(where, question, parse(handle, at.start, at.stop), (numbered, pictures))
    for number, at in answers.items():
        yield LeftOut('annotation', f'{annotations.name}#{at.ordinal}', Reason.RECORD_MALFORMED, f'no question has question_id {number!r:.80}')


def _index(annotations: Path, answers: dict[object, Found]) -> Iterator[LeftOut]:
    """Fill in where each question's annotation lies; yield those that belong to none, or come twice."""
    with open(annotations, 'rb') as handle:
        parse = parser(annotations.name, annotations)
        for ordinal, (start, stop) in enumerate(list_spans(annotations.name, annotations, 'annotations')):
            record = parse(handle, start, stop)
            number = record.get('question_id') if isinstance(record, dict) else None
            if not isinstance(number, int | str) or number in answers:
                told = record.found if isinstance(record, Malformed) else f'expected a question_id of its own, found {number!r:.80}'
                yield LeftOut('annotation', f'{annotations.name}#{ordinal}', Reason.RECORD_MALFORMED, told)
            else:
                answers[number] = Found(ordinal, start, stop)


def _row(where: str, question: dict, annotation: dict | Malformed, places: tuple[dict[int, list[str]], Pictures]) -> Row | LeftOut:
    asked = text_of(question.get('question'))
    answer = _answer(annotation) if isinstance(annotation, dict) else ''
    if not asked.strip():
        return LeftOut('question', where, Reason.EMPTY_QUESTION, 'no question')
    if not answer.strip():
        return LeftOut('question', where, Reason.EMPTY_ANSWER, 'no multiple_choice_answer, and no answers')
    numbered, pictures = places
    number = question.get('image_id')
    names = numbered.get(number, []) if isinstance(number, int) else [f'{number}']
    if len(names) != 1:
        found = f'{len(names)} ({", ".join(names[:3])})' if names else 'none'
        told = f'expected one file in {pictures.folder} whose name ends with the number {number!r:.80}, found {found}'
        return LeftOut('question', where, Reason.IMAGE_MISSING, told)
    if fault := pictures.fault(names[0]):
        return LeftOut('question', where, *fault)
    return Row({'id': str(question['question_id']), 'image': names[0], 'question': asked, 'answer': answer})


def _answer(annotation: dict) -> str:
    if answer := text_of(annotation.get('multiple_choice_answer')):
        return answer
    given = annotation.get('answers')
    said = [text_of(one.get('answer')) for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    return next((answer for answer, _ in Counter(filter(str.strip, said)).most_common(1)), '')


def _by_number(folder: Path) -> dict[int, list[str]]:
    """Return the files of a folder by the last number in their names."""
    found: dict[int, list[str]] = {}
    for name in sorted(path.name for path in folder.iterdir()):
        if (match := _NUMBER.search(name)) and len(match[1]) < 20:
            found.setdefault(int(match[1]), []).append(name)
    return found
