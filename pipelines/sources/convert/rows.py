"""What every kind of file is made into: rows of question, answer and pictures, or what was left out and why. Nothing is loaded whole."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from curation.rows.references import is_safe, say_unsafe
from pipelines.sources.containers import Malformed, parser
from pipelines.sources.json_records import list_spans
from schemas.disk import is_file
from schemas.records import Reason


@dataclass(frozen=True, slots=True)
class Row:
    """One row to write, under the names of a recipe's columns."""

    said: dict[str, object]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One input row that is not written: what it is (`row`, `annotation`, `question`, `image`), which, and why."""

    unit: str
    id: str
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Pictures:
    """The folder of the pictures; rows name files in it."""

    folder: Path

    def fault(self, name: str) -> tuple[Reason, str] | None:
        """Return why a picture cannot be named, None where it lies there; a link that leads out of the folder is none of its files."""
        if not is_safe(name):
            return Reason.IMAGE_REFERENCE_UNSAFE, say_unsafe(name)
        path = self.folder / name
        if not is_file(path):
            return Reason.IMAGE_MISSING, f'expected {name} in {self.folder}, found none'
        if not path.resolve().is_relative_to(self.folder.resolve()):
            return Reason.IMAGE_REFERENCE_UNSAFE, f'expected {name} in {self.folder}, found a link that leads out of it'
        return None

    def inside(self, name: str) -> str:
        """Return a picture's name as it is below the folder: of an absolute path into it the rest, separators as here."""
        with suppress(ValueError):
            return Path(name).relative_to(self.folder).as_posix() if name.startswith('/') else name.replace('\\', '/').removeprefix('./')
        return name


def records(path: Path, key: str) -> Iterator[tuple[int, dict | Malformed]]:
    """Yield (ordinal, record) of the list under a key of a JSON object."""
    with open(path, 'rb') as handle:
        parse = parser(path.name, path)
        for ordinal, (start, stop) in enumerate(list_spans(path.name, path, key)):
            yield ordinal, parse(handle, start, stop)


def text_of(value: object) -> str:
    """Return a text as it stands, '' for anything else."""
    return value if isinstance(value, str) else ''
