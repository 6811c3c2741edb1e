"""CSV and TSV: each line becomes a row, its cells under the names that a recipe knows, its pictures looked for."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pipelines.sources.containers import parser, spans
from pipelines.sources.convert.rows import LeftOut, Pictures, Row
from pipelines.sources.csv_records import csv_header
from pipelines.sources.malformed import Malformed
from schemas.errors import UserError
from schemas.records import Reason
from schemas.source import MEANT, ROLES

NAMED = 12  # columns in a message
FILE_NAMES = ('file_name', 'filename', 'image_file', 'path')  # the first is what `datasets` calls it in metadata.csv
Roles = Mapping[str, list[str]]  # question -> [columns]


def roles_of(columns: tuple[str, ...] | list[str], given: Roles, where: object) -> dict[str, list[str]]:
    """Return which columns are question, answer, image, ...: those that are `given`, else those whose names say it.

    Raises UserError where a given column is not there, two columns may be meant, or question and answer are not all named.
    """
    if lost := [name for names in given.values() for name in names if name not in columns]:
        raise UserError(f'--column: expected columns of {where}, found {lost[:NAMED]}; it has {list(columns)[:NAMED]}')
    taken = {name for names in given.values() for name in names}
    found = {role: list(names) for role, names in given.items()}
    meant: dict[str, list[str]] = {}
    for name in columns:
        role = 'image' if name.lower() in FILE_NAMES else name.lower() if name.lower() in ROLES else MEANT.get(name.lower())
        if role and role not in found and name not in taken and role != 'ignore':
            meant.setdefault(role, []).append(name)
    if unclear := {role: names for role, names in meant.items() if len(names) > 1}:
        raise UserError(f'{where}: expected one column for each of {sorted(unclear)}, found {unclear}; say which: --column ROLE=NAME')
    found |= meant
    if missing := [role for role in ('question', 'answer') if role not in found]:
        raise UserError(f'{where}: expected columns for {" and ".join(missing)}, found {list(columns)[:NAMED]}; '
                        f'say which: --column {missing[0]}=NAME')
    return found


def table_rows(path: Path, pictures: Pictures | None, roles: Roles) -> Iterator[Row | LeftOut]:
    """Yield a row for each line of a table, in its order."""
    parse = parser(path.name, path)
    with open(path, 'rb') as handle:
        for ordinal, span in enumerate(spans(path.name, path)):
            yield _row(f'{path.name}#{ordinal}', parse(handle, *span), pictures, roles)


def table_columns(path: Path) -> tuple[str, ...]:
    """Return the columns of a table by its header."""
    return csv_header(path.name, path).columns


def written_roles(roles: Roles) -> dict[str, str]:
    """Return the `columns` of the recipe for the rows that are written: what is read goes by the name of its role."""
    return {role: role for role in ('image', 'question', 'answer', 'options', 'system') if role in roles} | {'id': 'id'}


def _row(where: str, cells: dict | Malformed, pictures: Pictures | None, roles: Roles) -> Row | LeftOut:
    if isinstance(cells, Malformed):
        return LeftOut('row', where, Reason.RECORD_MALFORMED, cells.found)
    for role, reason in (('question', Reason.EMPTY_QUESTION), ('answer', Reason.EMPTY_ANSWER)):
        if not ''.join(cells[name] for name in roles[role]).strip():
            return LeftOut('row', where, reason, f'nothing in {", ".join(roles[role])}')
    names = [pictures.inside(cells[name].strip()) for name in roles.get('image', ()) if cells[name].strip()] if pictures else []
    if pictures and not names:
        return LeftOut('row', where, Reason.IMAGE_REFERENCE_NULL, f'no picture in {", ".join(roles["image"])}')
    for name in names:
        if pictures and (fault := pictures.fault(name)):
            return LeftOut('row', where, *fault)
    said: dict[str, object] = {'id': cells[roles['id'][0]] if 'id' in roles else where}
    if names:
        said['image'] = names if len(names) > 1 else names[0]
    for role in ('question', 'answer', 'options', 'system'):
        if role in roles:
            said[role] = _cell([cells[name] for name in roles[role]], role)
    return Row(said)


def _cell(values: list[str], role: str) -> object:
    """Return a cell as it stands; of several the options, or question and what stands below it."""
    return values if role == 'options' and len(values) > 1 else '\n'.join(value for value in values if value.strip() or len(values) == 1)
