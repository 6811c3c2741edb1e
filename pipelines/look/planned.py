"""The steps of a build that would run or be skipped: its own programmes run over a mirror of the working folder, up to the first that must be made.

The mirror is a folder of links that is gone afterwards: nothing is written to OUT or its working folder, and no model is asked. What follows a
table that is not made yet depends on its rows, so it is only told what of it the last run made.
"""

import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pipelines.engine.engine import Engine
from pipelines.engine.step import Step
from pipelines.engine.tables import Table
from pipelines.engine.uses import Uses
from pipelines.mix.programme import Folders, build_mix
from schemas.publish import publish_checked, read_checked
from schemas.recipe import Recipe
from schemas.snapshot import KINDS
from schemas.telling import hushed

BY_FILE = ('stamps', 'offsets', 'ledger')  # of a working folder: where a plan adds or replaces files, each is a link of its own
OWN = ('builds', 'peers', 'progress')  # of which a plan has its own
LAST = 'digests'  # is made just before a snapshot is sealed, which a plan does not do


class Stopped(Exception):  # noqa: N818  (no error: a plan ends so)
    """What follows depends on what is not made yet."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A table of a build: whether it is there, and if not, why it is another one than that of the last run ('' where it is new)."""

    kind: str  # mix | triples
    label: str
    done: bool
    why: str = ''


@dataclass(frozen=True, slots=True)
class Plan:
    """What a build would do: its steps as far as they can be told, those of the last run behind them, and which snapshots are sealed already."""

    steps: tuple[PlannedStep, ...]
    further: tuple[str, ...]
    sealed: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Return whether nothing is left to do."""
        return not self.further and all(step.done for step in self.steps)


@dataclass
class Planning(Engine):
    """An engine that makes nothing and says what it would make."""

    dry: ClassVar[bool] = True
    real: Path = field(default=Path())  # working folder of the build
    kind: str = 'mix'
    steps: list[PlannedStep] = field(default_factory=list)

    @property
    def disk(self) -> Path:
        return next(path for path in (self.real, *self.real.parents) if path.is_dir())

    def mend(self, tables: object) -> None:
        """Leave what is damaged as it is."""

    @contextmanager
    def asking(self) -> Iterator[None]:
        """End the plan: whoever asks has something to make."""
        raise Stopped
        yield

    def _finish(self, steps: list[Step], tables: tuple[Table, ...]) -> None:
        found = [PlannedStep(self.kind, table.label, table.done() is not None) for table in tables]
        found = [step if step.done else PlannedStep(self.kind, step.label, done=False, why='; '.join(self._why(table)))
                 for step, table in zip(found, tables, strict=True)]
        self.steps += found
        if not all(step.done for step in found) or any(step.TABLE == LAST for step in steps):
            raise Stopped


def plan_build(recipe: Recipe, root: Path, out: Path, work: Path, *, mix_only: bool = False) -> Plan:
    """Return what a build of a resolved recipe would do; raises UserError for what it would refuse before it asks a model."""
    with_triples = bool(recipe.generate) and not mix_only
    kinds = KINDS if with_triples else KINDS[:1]
    sealed = []
    with tempfile.TemporaryDirectory(prefix='phantom-plan-') as folder, hushed(), redirect_stdout(io.StringIO()):
        here, there = _mirror(work, out, Path(folder))
        engine = Planning(here, real=work)
        try:
            mix = build_mix(recipe, Folders(root, there), engine)
            sealed.append('mix')
            if with_triples:
                from pipelines.triples.programme import build_triples

                engine.kind = 'triples'
                build_triples(recipe, mix, there, engine)
                sealed.append('triples')
        except Stopped:
            pass
    return Plan(tuple(engine.steps), tuple(_further(engine.steps, work, out, [kind for kind in kinds if kind not in sealed])), tuple(sealed))


def _further(steps: Sequence[PlannedStep], work: Path, out: Path, kinds: Sequence[str]) -> Iterator[str]:
    """Yield the labels of tables that the last run made of those snapshots that are not sealed, and the plan did not come to."""
    known = {(step.kind, step.label) for step in steps}
    for kind in kinds:
        yield from dict.fromkeys(label for label in Uses(work, out, kind).labels if (kind, label) not in known)


def _mirror(work: Path, out: Path, folder: Path) -> tuple[Path, Path]:
    """Return a working folder and an OUT below `folder` through which those of a build are seen and not changed."""
    here, there = folder / 'work', folder / 'out'
    here.mkdir()
    there.mkdir()
    for kind in KINDS:
        if (out / kind).is_dir():
            (there / kind).symlink_to(out / kind)
        _copy_note(Uses(work, out, kind).path, Uses(here, there, kind).path)
    for path in sorted(work.iterdir()) if work.is_dir() else ():
        if path.name in BY_FILE:
            _link_files(path, here / path.name)
        elif path.is_dir() and path.name not in OWN:
            (here / path.name).symlink_to(path)
    return here, there


def _link_files(path: Path, link: Path) -> None:
    if path.is_dir():
        link.mkdir()
        for each in path.iterdir():
            _link_files(each, link / each.name)
    else:
        link.symlink_to(path)


def _copy_note(path: Path, copy: Path) -> None:
    if (note := read_checked(path)) is not None:
        copy.parent.mkdir(exist_ok=True)
        publish_checked(copy, note, flush=False)
