"""One benchmark item before its pictures are opened, and how annotation files of benchmarks are found and read."""

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.sources.completeness import check_whole
from pipelines.sources.containers import Malformed, chunks, rows
from schemas.errors import UserError

MAX_OBJECT_BYTES = 500_000_000  # a JSON object is read whole; the largest published one (SEED-Bench.json) has 15 MB
LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a benchmark.

    `options` are texts without letters. `answer` is the letter of the right option where there are options, else the text; '' where it
    is not published. `question` holds neither options nor marks of images, unless `<image>` stands where each image belongs.
    `images` are bytes, or paths below one of the layout's image roots. `meta` is what scoring needs besides, as JSON values.
    """

    item_id: str
    question: str
    answer: str
    options: tuple[str, ...] = ()
    images: tuple[str | bytes, ...] = ()
    meta: dict = field(default_factory=dict)


def letter(index: object) -> str:
    """Return 'A' for 0 or '0', and so on; raises ValueError for what is no index of an option."""
    number = int(str(index))
    if not 0 <= number < len(LETTERS):
        raise ValueError(f'expected an index of an option, found {index!r}')
    return LETTERS[number]


def picked(row: dict, *names: str) -> dict:
    """Return those of the named fields that a row has a value for."""
    return {name: row[name] for name in names if row.get(name) is not None}


def find(folder: Path, *patterns: str) -> list[Path]:
    """Return the files of the first pattern that matches any, sorted; raises UserError where none does."""
    for pattern in patterns:
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        if found:
            return found
    raise UserError(f'expected {" or ".join(patterns)} in {folder}, found none')


def read_rows(path: Path) -> Iterator[dict]:
    """Yield the rows of a .json list, .jsonl or .parquet file; raises UserError for a row that is none, or a file that did not arrive whole."""
    check_whole(path)
    for chunk in chunks('benchmark', path.parent, path.name):
        for ordinal, row in rows(chunk, path.parent):
            if isinstance(row, Malformed):
                raise UserError(f'{path}#{ordinal}: expected an object, found {row.found}')
            yield row


def read_object(path: Path) -> dict:
    """Return the JSON object in a file, or a list as {'questions': list}; raises UserError for anything else."""
    check_whole(path)
    if path.stat().st_size > MAX_OBJECT_BYTES:
        raise UserError(f'{path}: expected at most {MAX_OBJECT_BYTES} bytes, found {path.stat().st_size}')
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as e:
        raise UserError(f'{path}: expected JSON, found: {e}; is the download complete?') from e
    if isinstance(found, list):
        return {'questions': found}
    if not isinstance(found, dict):
        raise UserError(f'{path}: expected a JSON object, found {type(found).__name__}')
    return found


def picture(value: object) -> tuple[str | bytes, ...]:
    """Return the picture in a cell: bytes, struct{bytes, path}, or a path; none for null."""
    if value is None:
        return ()
    if isinstance(value, dict):
        return (value['bytes'],) if value.get('bytes') is not None else picture(value.get('path'))
    if isinstance(value, bytes):
        return (value,)
    if isinstance(value, str) and value:
        return (value.removeprefix('./'),)
    raise ValueError(f'expected a picture, found {type(value).__name__}')


def from_base64(text: str) -> bytes:
    """Return the bytes behind base64 text; raises ValueError for anything else."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as e:
        raise ValueError(f'expected base64, found {text[:20]!r}') from e
