"""Which tables of a working folder a build uses: a note for each OUT and kind, so that people can look and what nobody uses can go."""

import os
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipelines.engine.place import name_of
from pipelines.engine.tables import Table
from schemas.errors import UserError
from schemas.publish import publish_checked, read_checked

FOLDER = 'builds'
DAMAGED = ('expected the note of the tables that a build uses, found a file that is damaged; run that build again, '
           'which writes it anew and makes nothing that is there')


class Uses:
    """The note of one build: its tables in the order they were asked for, and what it says of itself. Another OUT is another build."""

    def __init__(self, work: Path, out: Path, kind: str) -> None:
        self.work, self.kind = work.resolve(), kind
        place = os.path.relpath(out.resolve(), self.work)  # OUT/work moves with OUT
        self.path = self.work / FOLDER / f'{kind}-{name_of(self.work, out.resolve())}.json'
        self._note: dict[str, Any] = {'out': place, 'tables': [], 'about': {}}
        self._note |= _read(self.path) or {}  # of a note that a disk damaged the next run of this build writes another
        self._before: list[list[str]] = self._note['tables']  # label and key
        self._now: dict[str, str] = {}  # key -> label

    @property
    def out(self) -> Path:
        """Return the folder of the build."""
        return Path(os.path.normpath(self.work / self._note['out']))

    @property
    def about(self) -> dict[str, Any]:
        """Return what the build noted of itself besides: where its pictures lie, what it sealed last."""
        return self._note['about']

    def tables(self, name: str) -> list[Table]:
        """Return the tables of this name, the latest of each label, in the order of the build."""
        latest = {label: Table(self.work / key, label) for label, key in self._note['tables'] if key.partition('/')[0] == name}
        return list(latest.values())

    @property
    def keys(self) -> set[str]:
        """Return the keys of all tables that the build uses."""
        return {key for _, key in self._note['tables']}

    def fault(self) -> str:
        """Return what is wrong with the note, '' where nothing is, or there is none."""
        return f'{self.path}: {DAMAGED}' if self.path.exists() and _read(self.path) is None else ''

    @property
    def labels(self) -> list[str]:
        """Return what people call these tables, in the order in which they were asked for."""
        return [label for label, _ in self._note['tables']]

    @property
    def in_order(self) -> list[str]:
        """Return the same in the order in which they were asked for."""
        return [key for _, key in self._note['tables']]

    def before(self, table: Table) -> str | None:
        """Return the key of the table that stood in this one's place when the build ran last: of the same label, of several in the same turn."""
        turn = [key for key, label in self._now.items() if label == table.label]
        then = [key for label, key in self._before if label == table.label]
        at = turn.index(table.key) if table.key in turn else 0
        return then[at] if at < len(then) else None

    def note(self, tables: Iterable[Table]) -> None:
        """Note some tables of the build that runs; those of the run before stay noted until it seals."""
        self._now.update((table.key, table.label or table.name) for table in tables)
        then = [pair for pair in self._before if pair[1] not in self._now]
        self._write([*then, *([label, key] for key, label in self._now.items())])

    def tell(self, **about: Any) -> None:
        """Note something else of the build."""
        self._write(self._note['tables'], **about)

    def seal(self, **about: Any) -> None:
        """Note that the build was sealed from just the tables of this run."""
        self._write([[label, key] for key, label in self._now.items()], **about)

    def forget(self) -> None:
        """Remove the note: the build uses nothing any more."""
        self.path.unlink()

    def _write(self, tables: list[list[str]], **about: Any) -> None:
        note = {**self._note, 'tables': tables, 'about': {**self.about, **about}}
        if note != self._note:
            self._note = note
            self.path.parent.mkdir(parents=True, exist_ok=True)
            publish_checked(self.path, note, flush=False)


def _read(path: Path) -> dict[str, Any] | None:
    note = read_checked(path)
    return note if note and note.keys() >= {'out', 'tables', 'about'} else None


def all_uses(work: Path, kind: str = '*') -> Iterator[Uses]:
    """Yield the note of every build of a working folder; raises UserError for one that is damaged: which tables are used is not known then."""
    work = work.resolve()
    for path in sorted((work / FOLDER).glob(f'{kind}-*.json')):
        if (note := _read(path)) is None:
            raise UserError(f'{path}: {DAMAGED}, or remove the file')
        yield Uses(work, Path(os.path.normpath(work / note['out'])), path.name.partition('-')[0])


def uses_of(work: Path, out: Path | None, kind: str) -> Uses:
    """Return the note of the build of `out`, or of the only one there; raises UserError where there is none, or several to choose from."""
    found = list(all_uses(work, kind))
    meant = found if out is None else [uses for uses in found if uses.out == out.resolve()]
    if len(meant) != 1:
        others = f'those of {", ".join(str(uses.out) for uses in found)}' if found else 'none'
        raise no_tables(work, out or work.parent, f'the tables of a finished {kind}, found {others}')
    return meant[0]


def no_tables(work: Path, out: Path, what: str) -> UserError:
    """Return the error for tables that are not there."""
    return UserError(
        f'{work}: expected {what}; they were cleaned, damaged or never made: build again with phantom build RECIPE --out {shlex.quote(str(out))} '
        '(a sealed snapshot stays as it is), or name the build that is meant, and with --work its working folder'
    )
