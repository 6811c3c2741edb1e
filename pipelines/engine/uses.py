"""Which tables of a working folder a build uses: a note for each OUT and kind, so that people can look and what nobody uses can go."""

import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipelines.engine.tables import Table, write_json
from schemas.errors import UserError

FOLDER = 'builds'


class Uses:
    """The note of one build: its tables in the order they were asked for, and what it says of itself. Another OUT is another build."""

    def __init__(self, work: Path, out: Path, kind: str) -> None:
        self.work, self.kind = work, kind
        place = os.path.relpath(out, work)  # OUT/work moves with OUT
        self._path = work / FOLDER / f'{kind}-{hashlib.sha256(place.encode()).hexdigest()[:12]}.json'
        self._note: dict[str, Any] = {'out': place, 'tables': [], 'about': {}}
        if self._path.is_file():
            self._note = json.loads(self._path.read_text())
        self._before = dict(self._note['tables'])
        self._now: dict[str, str] = {}

    @property
    def out(self) -> Path:
        """Return the folder of the build."""
        return Path(os.path.normpath(self.work / self._note['out']))

    @property
    def about(self) -> dict[str, Any]:
        """Return what the build noted of itself besides: where its pictures lie, what it sealed last."""
        return self._note['about']

    def tables(self, name: str) -> list[Table]:
        """Return the tables of this name, in the order of the build."""
        return [Table(self.work / key, label) for label, key in self._note['tables'] if key.partition('/')[0] == name]

    @property
    def keys(self) -> set[str]:
        """Return the keys of all tables that the build uses."""
        return {key for _, key in self._note['tables']}

    def before(self, label: str) -> str | None:
        """Return the key of the table that was called so when this build ran last."""
        return self._before.get(label)

    def note(self, tables: Iterable[Table]) -> None:
        """Note some tables of the build that runs; those of the run before stay noted until it seals."""
        self._now.update((table.label or table.name, table.key) for table in tables)
        self._write({**self._before, **self._now})

    def tell(self, **about: Any) -> None:
        """Note something else of the build."""
        self._write(dict(self._note['tables']), **about)

    def seal(self, **about: Any) -> None:
        """Note that the build was sealed from just the tables of this run."""
        self._write(self._now, **about)

    def _write(self, tables: dict[str, str], **about: Any) -> None:
        note = {**self._note, 'tables': [list(pair) for pair in tables.items()], 'about': {**self.about, **about}}
        if note != self._note:
            self._note = note
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path, note)


def all_uses(work: Path, kind: str = '*') -> Iterator[Uses]:
    """Yield the note of every build of a working folder."""
    for path in sorted((work / FOLDER).glob(f'{kind}-*.json')):
        out = os.path.normpath(work / json.loads(path.read_text())['out'])
        yield Uses(work, Path(out), path.name.partition('-')[0])


def uses_of(work: Path, out: Path | None, kind: str) -> Uses:
    """Return the note of the build of `out`, or of the only one there; raises UserError where there is none, or several to choose from."""
    found = list(all_uses(work, kind))
    here = [uses for uses in found if out is not None and uses.out == out.resolve()]
    if len(here or found) != 1:
        others = f'those of {", ".join(str(uses.out) for uses in found)}' if found else 'none'
        raise no_tables(work, out or work.parent, f'the tables of a finished {kind}, found {others}')
    return (here or found)[0]


def no_tables(work: Path, out: Path, what: str) -> UserError:
    """Return the error for tables that are not there."""
    return UserError(
        f'{work}: expected {what}; they were cleaned or never made: build again with phantom build RECIPE --out {shlex.quote(str(out))} '
        '(a sealed snapshot stays as it is), or name the build that is meant, and with --work its working folder'
    )
