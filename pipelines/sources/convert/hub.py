"""A folder of Parquet from the Hub: read where it lies, so only the recipe's entry is made. Format and columns by the names of its columns."""

from dataclasses import dataclass
from pathlib import Path

from curation.rows.named_pictures import FIELDS
from pipelines.sources.apart import row_groups
from pipelines.sources.convert.table import Roles, roles_of
from pipelines.sources.files import annotation_files
from pipelines.sources.peek import peek
from schemas.errors import UserError

_CHATS = {'messages': 'messages', 'conversations': 'llava', 'conversation': 'messages', 'texts': 'messages'}  # column -> format that reads it
DATA = 'data'  # what the link to the folder is called


@dataclass(frozen=True, slots=True)
class InPlace:
    """The entry's own keys, and the rows of each file."""

    entry: dict[str, object]
    rows: dict[str, int]


def read_in_place(folder: Path, root: Path, given: Roles) -> InPlace:
    """Return how a recipe reads a folder, which lies below `root` as `data`.

    Raises UserError for one that is no Parquet, and for columns whose names do not say enough.
    """
    files = annotation_files(DATA, root)
    if strange := [file for file in files if not file.lower().endswith(('.parquet', '.arrow'))]:
        raise UserError(f'{folder}: expected Parquet, found {strange[0].removeprefix(DATA + "/")}, which a recipe reads as it is (docs/formats.md)')
    first = peek(folder.name, root, files, 1).first
    columns = list(first) if isinstance(first, dict) else []
    counted = {file.removeprefix(f'{DATA}/'): sum(row_groups(folder.name, root / file)) for file in files}
    chat = next((name for name in _CHATS if name in columns), '')
    if chat and not given:
        return InPlace({'format': _CHATS[chat]}, counted)
    pictures = {} if 'image' in given else {'image': [name for name in FIELDS if name in columns][:1]}
    roles = roles_of(columns, {**given, **({} if not pictures.get('image') else pictures)}, folder)
    return InPlace({'format': 'columns', 'columns': {role: names[0] if len(names) == 1 else names for role, names in roles.items()}}, counted)
