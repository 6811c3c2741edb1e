"""Files as others publish them become the folder of a source: rows, a link to the pictures, a recipe, and books in which every input row stands."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from curation.pictures.images import ImageLimits
from pipelines.sources.convert.coco import COLUMNS as OF_COCO
from pipelines.sources.convert.coco import caption_rows
from pipelines.sources.convert.hub import DATA, read_in_place
from pipelines.sources.convert.rows import LeftOut, Pictures, Row
from pipelines.sources.convert.table import Roles, roles_of, table_columns, table_rows, written_roles
from pipelines.sources.convert.vqa import COLUMNS as OF_VQA
from pipelines.sources.convert.vqa import vqa_rows
from pipelines.sources.json_records import keys_of
from pipelines.sources.usable import look_at_source
from schemas.errors import UserError
from schemas.json_text import json_line, strict
from schemas.publish import drafted_folder, holds_something, publish_json
from schemas.recipe import ImageRules, Source
from schemas.refusals import refused

ROWS, PICTURES, RECIPE, BOOKS, LEFT_OUT = 'rows.jsonl', 'pictures', 'recipe.yaml', 'books.json', 'left_out.jsonl'
KNOWN = ('a CSV or TSV, COCO captions (images, annotations), VQA questions with their annotations, or a folder of Parquet; what a recipe reads as it '
         'is, it need not be given: docs/formats.md')  # fmt: skip
TABLES = ('.csv', '.tsv')
UNITS = {'table': 'row', 'coco': 'annotation', 'vqa': 'question'}  # what a row is made of


@dataclass(frozen=True, slots=True)
class Job:
    """What is converted, and what the entry is to say."""

    inputs: list[Path]
    out: Path
    name: str
    images: Path | None = None
    columns: Roles = field(default_factory=dict)
    licence: str = 'unknown'


def convert(job: Job) -> tuple[str, dict[str, Any]]:
    """Write the folder `job.out`, whole or not at all; return the recipe's text and the books.

    Raises UserError for what is none of the known kinds, for an `out` that holds anything, and where nothing of the rows can be used.
    """
    out = job.out.resolve()
    if holds_something(out):
        raise UserError(f'{out}: expected an empty or no folder to write, found one that holds something; choose another --out')
    try:
        with drafted_folder(out) as draft:
            books, entry = _fill(job, draft)
            _refuse_useless(job, draft, entry)
            text = _recipe(job, out, entry)
            (draft / RECIPE).write_text(text, 'utf-8')
            publish_json(draft / BOOKS, books)
    except OSError as e:
        raise refused(e, out) from e
    return text, books


def _fill(job: Job, draft: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write rows, or a link to what is read in place; return the books and the entry."""
    kind = _kind(job.inputs)
    if kind == 'hub':
        [folder] = job.inputs
        (draft / DATA).symlink_to(folder.resolve())
        found = read_in_place(folder, draft, job.columns)
        return {'in': sum(found.rows.values()), 'in_place': found.rows}, {**found.entry, 'annotations': [DATA]}
    rows, columns, pictures = _rows(job, kind)
    entry: dict[str, Any] = {'format': 'columns', 'annotations': [ROWS], 'columns': columns}
    if pictures:
        (draft / PICTURES).symlink_to(pictures.folder.resolve())
        entry['images'] = [PICTURES]
    return _write(rows, draft, UNITS[kind]), entry


def _rows(job: Job, kind: str) -> tuple[Iterable[Row | LeftOut], dict[str, str], Pictures | None]:
    """Return the rows, the `columns` of their recipe, and where the pictures lie."""
    if kind == 'table':
        [path] = job.inputs
        roles = roles_of(table_columns(path), job.columns, path)
        of_table = Pictures(_absolute(job.images or path.parent)) if 'image' in roles else None
        return table_rows(path, of_table, roles), written_roles(roles), of_table
    if job.images is None:
        raise UserError(f'--images: expected the folder of the pictures that {job.inputs[0].name} is about, found none')
    pictures = Pictures(_absolute(job.images))
    if kind == 'coco':
        return caption_rows(job.inputs[0], pictures), OF_COCO, pictures
    questions, annotations = sorted(job.inputs, key=lambda path: 'questions' not in keys_of(path))
    return vqa_rows(questions, annotations, pictures), OF_VQA, pictures


def _absolute(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError(f'--images {folder}: expected a folder of pictures, found none')
    return folder.absolute()


def _kind(inputs: list[Path]) -> str:
    """Return what some files are, by their names and keys."""
    if missing := [path for path in inputs if not path.exists()]:
        raise UserError(f'{missing[0]}: expected a file or folder to convert, found none')
    suffixes = [path.suffix.lower() for path in inputs]
    if len(inputs) == 1 and inputs[0].is_dir():
        return 'hub'
    if len(inputs) == 1 and suffixes[0] in TABLES:
        return 'table'
    if suffixes in (['.json'], ['.json', '.json']):
        keys = [set(keys_of(path)) for path in inputs]
        if len(keys) == 1 and {'images', 'annotations'} <= keys[0]:
            return 'coco'
        if len(keys) == 2 and sorted(('questions' in one, 'annotations' in one) for one in keys) == [(False, True), (True, False)]:
            return 'vqa'
    raise UserError(f'{", ".join(map(str, inputs[:3]))}: expected {KNOWN}')


def _write(rows: Iterable[Row | LeftOut], draft: Path, unit: str) -> dict[str, Any]:
    """Write every row, and everything that is left out with its reason; return the books: of each `unit` that came in one or the other."""
    reasons: dict[str, Counter[str]] = {unit: Counter()}
    written = 0
    with open(draft / ROWS, 'w', encoding='utf-8') as kept, open(draft / LEFT_OUT, 'w', encoding='utf-8') as left:
        for row in rows:
            if isinstance(row, Row):
                kept.write(json_line(strict(row.said)))
                written += 1
                continue
            reasons.setdefault(row.unit, Counter())[row.reason] += 1
            left.write(json_line(strict({'unit': row.unit, 'id': row.id, 'reason': row.reason, 'detail': row.detail})))
    return {'unit': unit, 'in': written + reasons[unit].total(), 'written': written, 'left_out': reasons}


def _refuse_useless(job: Job, draft: Path, entry: dict[str, Any]) -> None:
    """Raise UserError where a recipe would refuse what was written."""
    source = Source.model_validate({**entry, 'licence': job.licence})
    found = look_at_source(job.name, source, draft, ImageLimits(**ImageRules().model_dump()))
    if found.faults:
        told = '; '.join(found.faults).replace(f'{draft}/', '')
        first = next(iter((draft / LEFT_OUT).read_text('utf-8').splitlines()), '') if (draft / LEFT_OUT).is_file() else ''
        raise UserError(f'{told}{f"; the first that was left out: {first[:300]}" if first else ""}; nothing was written')


def _recipe(job: Job, out: Path, entry: dict[str, Any]) -> str:
    """Return a whole recipe of the one source."""
    told = {'format': entry['format'], 'annotations': entry['annotations'], **entry, 'licence': job.licence}
    head = yaml.safe_dump({'name': job.name, 'root': str(out)}, sort_keys=False, allow_unicode=True, width=1000)
    return f'{head}sources:\n  {job.name}: {yaml.safe_dump(told, sort_keys=False, allow_unicode=True, default_flow_style=True, width=1000)}'
