"""Removal of what a build made. Only folders that are a build's are touched, and a sealed snapshot only when that is asked for."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import Timeout

from pipelines.engine.locks import lock_of
from pipelines.engine.tables import STEP
from pipelines.engine.uses import all_uses
from schemas.errors import UserError
from schemas.snapshot import MANIFEST, open_snapshot

LOCK = '.lock-'  # how the names of the files begin that a running build holds
_WORK = ('work', '.mix.partial', '.triples.partial')
_SNAPSHOTS = ('mix', 'triples')


def clean_build(folder: Path, *, with_snapshots: bool) -> str:
    """Return a sentence on what was removed; raises UserError for a folder that holds no build."""
    locks = _locks(folder / 'work')
    sealed = [folder / name for name in _SNAPSHOTS if (folder / name / MANIFEST).is_file()]
    if not (locks or sealed):
        raise UserError(f'{folder}: expected a build (work/, mix/ or triples/), found none; nothing was removed')
    _refuse_running([*locks, *_locks(folder)])
    for snapshot in sealed if with_snapshots else []:
        open_snapshot(snapshot)  # a folder of that name which is no snapshot of ours is not ours to remove
    doomed = [folder / name for name in _WORK if name != 'work' or locks] + (sealed if with_snapshots else [])
    for lock in _locks(folder):
        lock.unlink()
    removed = [path for path in doomed if path.exists()]
    for path in removed:
        shutil.rmtree(path)
    kept = '' if with_snapshots or not sealed else f'; kept sealed: {", ".join(path.name for path in sealed)} (--yes removes them too)'
    return f'{folder}: removed {", ".join(path.name for path in removed) or "nothing"}{kept}'


def prune(work: Path) -> Iterator[str]:
    """Remove the tables that no build of a working folder uses any more; yield a line for each, and one on what that freed.

    A build uses what its last run asked for; one whose OUT is gone uses nothing. Replies stay. Raises UserError for a folder that is none, or
    that is in use.
    """
    if not (locks := _locks(work)):
        raise UserError(f'{work}: expected the working folder of a build, found none; nothing was removed')
    _refuse_running(locks)
    freed = 0
    for name, paths in unused(work):
        size = sum(path.stat().st_size for path in paths)
        yield f'{name}: {size / 1e6:,.1f} MB'
        for path in paths:
            path.unlink()
        freed += size
        with contextlib.suppress(OSError):  # it holds tables that are used
            (work / name).rmdir()
    yield f'{work}: removed tables of {freed / 1e6:,.1f} MB that no build uses any more'


def unused(work: Path) -> Iterator[tuple[str, list[Path]]]:
    """Yield name and files of each table that no build uses, also of those that stand in no folder of their own, as earlier versions made them."""
    used = {key for uses in all_uses(work) if uses.out.is_dir() for key in uses.keys}
    made = [path.parent for pattern in ('*/_PLAN.json', f'*/*/{STEP}') for path in work.glob(pattern)]
    for table in sorted(made):
        name = table.relative_to(work).as_posix()
        if name not in used:
            yield name, sorted(path for path in table.iterdir() if path.is_file())


def _locks(work: Path) -> list[Path]:
    return sorted(work.glob(f'{LOCK}*'))  # every build makes one; a work/ without is somebody else's


def _refuse_running(locks: list[Path]) -> None:
    for lock in locks:
        try:
            with lock_of(lock).acquire(blocking=False):
                pass
        except Timeout as e:
            raise UserError(f'{lock.parent}: a build is running in this folder; wait for it or stop it, then clean again') from e
