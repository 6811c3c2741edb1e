"""One benchmark item before its pictures are opened, and how annotation files of benchmarks are found and read."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from curation.rows.values import LETTERS
from pipelines.sources.completeness import check_whole
from pipelines.sources.containers import Malformed, chunks, rows
from schemas.disk import globbed, is_file
from schemas.errors import UserError

MAX_CELL_BYTES = 100_000_000  # of a table of text: a picture in base64
MAX_OBJECT_BYTES = 500_000_000  # a JSON object is read whole; the largest published one (SEED-Bench.json) has 15 MB
_LISTS = ('questions', 'data', 'test', 'items', 'rows', 'examples')  # which of several lists of an object holds its rows
_QUESTIONS = ('question', 'query', 'problem', 'prompt')  # an object with one of these is a row itself


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a benchmark.

    `options` are texts without letters. `answer` is the letter of the right option where there are options, else the text; '' where it
    is not published. `question` holds neither options nor marks of images, unless `<image>` stands where each image belongs.
    `images` are bytes, or paths below one of the layout's image roots. `meta` is what scoring needs besides, as JSON values; its `answers`
    are all that are accepted where there are several. `lacks` names what the row should have and has not (`answers`, `options`).
    `read` says which fields were taken for what, `unread` which were not, where a layout does not know them beforehand.
    """

    item_id: str
    question: str
    answer: str
    options: tuple[str, ...] = ()
    images: tuple[str | bytes, ...] = ()
    meta: dict = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


class Row(dict):
    """A row of an annotation file that knows where it stands: to ask for a field that it has not is a mistake of the data, told with its place."""

    def __init__(self, values: Mapping, place: str) -> None:
        super().__init__(values)
        self.place = place

    def __missing__(self, name: str) -> object:
        raise UserError(f'{self.place}: expected the field `{name}`, found {", ".join(f"`{key}`" for key in self)[:400] or "no fields"}')


def letter(index: object) -> str:
    """Return 'A' for 0 or '0', and so on, '' for null; raises ValueError for what is no index of an option."""
    if index is None:
        return ''
    number = int(str(index))
    if not 0 <= number < len(LETTERS):
        raise ValueError(f'expected an index of an option, found {index!r}')
    return LETTERS[number]


def picked(row: dict, *names: str) -> dict:
    """Return those of the named fields that a row has a value for."""
    return {name: row[name] for name in names if row.get(name) is not None}


def find(folder: Path, *patterns: str) -> list[Path]:
    """Return the files of the first pattern that matches any, sorted; raises UserError where none does."""
    if found := find_any(folder, *patterns):
        return found
    raise UserError(f'expected {" or ".join(patterns)} in {folder}, found none')


def find_any(folder: Path, *patterns: str) -> list[Path]:
    """Return the files of the first pattern that matches any, sorted; none where none does. What systems and editors leave behind is no file."""
    for pattern in patterns:
        found = sorted(path for path in globbed(folder, pattern) if is_file(path) and not _is_left_behind(path.relative_to(folder)))
        if found:
            return found
    return []


def _is_left_behind(path: Path) -> bool:
    return any(part.startswith('.') or part == '__MACOSX' for part in path.parts)


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a list, a mapping or lines of JSON, of Parquet, Arrow, CSV or TSV.

    Raises UserError for a row that is none, or a file that did not arrive whole.
    """
    check_whole(path)
    if path.suffix == '.json' and _is_one_object(path):
        yield from _read_wrapped(path)
    else:
        cells = path.suffix in ('.csv', '.tsv')  # an empty one is null
        for chunk in chunks('benchmark', path.parent, path.name):
            for ordinal, row in rows(chunk, path.parent):
                if isinstance(row, Malformed):
                    raise UserError(f'{path}#{ordinal}: expected a row, found {row.found}')
                yield Row({name: None if value == '' else value for name, value in row.items()} if cells else row, f'{path}#{ordinal}')


def _is_one_object(path: Path) -> bool:
    """Return whether a file holds one JSON object, which is read whole, rather than a list or lines of objects."""
    if path.stat().st_size > MAX_OBJECT_BYTES:
        return False
    with open(path, encoding='utf-8-sig') as handle:
        if not handle.read(4096).lstrip().startswith('{'):  # a list may be one line of a gigabyte
            return False
        handle.seek(0)
        first = next((line for line in handle if line.strip()), '')
        if not any(line.strip() for line in handle):
            return True
    try:
        return not isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return True


def _read_wrapped(path: Path) -> Iterator[Row]:
    """Yield the rows of a JSON object: a list in it ({'data': [...]}), of several those that ask ({'train': [...], 'test': [...]}),

    its values where these are objects ({id: row}) or columns, else itself.
    """
    found = read_object(path)
    lists = {key: value for key, value in found.items() if isinstance(value, list) and value and all(isinstance(row, dict) for row in value)}
    asking = [key for key, some in lists.items() if any(str(name).casefold() in (*_QUESTIONS, 'text', 'instruction', 'input') for name in some[0])]
    names = asking or [key for key in lists if len(lists) == 1 or key in _LISTS][:1]
    if names and not any(key in found for key in _QUESTIONS):
        yield from (Row(row, f'{path}#{key}/{ordinal}') for key in names for ordinal, row in enumerate(lists[key]))
    elif found and all(isinstance(row, dict) for row in found.values()):
        yield from (Row({'id': key, **row}, f'{path}#{key}') for key, row in found.items())
    elif found and all(isinstance(column, list) for column in found.values()) and len({len(column) for column in found.values()}) == 1:
        columns = zip(*found.values(), strict=True)  # {question: [...], answer: [...]}
        yield from (Row(dict(zip(found, cells, strict=True)), f'{path}#{ordinal}') for ordinal, cells in enumerate(columns))
    elif found:
        yield Row(found, f'{path}#0')


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
    """Return the pictures in a cell: bytes, struct{bytes, path}, a path, or a list of these; none for null."""
    if value is None:
        return ()
    if isinstance(value, dict):
        return (value['bytes'],) if value.get('bytes') is not None else picture(value.get('path'))
    if isinstance(value, list):
        return tuple(image for one in value for image in picture(one))
    if isinstance(value, bytes):
        return (value,)
    if isinstance(value, str) and value:
        return ((value if '/' in value else value.replace('\\', '/')).removeprefix('./'),)
    raise ValueError(f'expected a picture, found {type(value).__name__}')


def from_base64(text: str) -> bytes:
    """Return the bytes behind base64 text; raises ValueError for anything else."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as e:
        raise ValueError(f'expected base64, found {text[:20]!r}') from e
