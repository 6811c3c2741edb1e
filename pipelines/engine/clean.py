"""Removal of the tables that no build of a working folder uses any more; a working folder held, so that no build runs in it meanwhile."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import Timeout
from rich.filesize import decimal

from pipelines.engine.locks import held, lock_of, no_locks
from pipelines.engine.step import FINGERPRINT_DIGITS
from pipelines.engine.tables import SHARD_TEMPORARY
from pipelines.engine.uses import all_uses
from schemas.errors import UserError

LOCK = '.lock-'  # how the names of the files begin that a running build holds
ASKING = '.lock-models'  # held by a build that asks models
_GONE = '.gone-'  # how the name of a folder begins that is being removed


def prune(work: Path, *, of_gone: bool = False) -> Iterator[str]:
    """Remove the tables that no build of a working folder uses any more; yield a line for each, and one on what that freed.

    A build uses what its last run asked for. One whose OUT is not there (removed, or on a disk that is not mounted) keeps its tables unless
    `of_gone`. Replies stay. Raises UserError for a folder that is no build's, or in use.
    """
    if not is_work(work):
        raise UserError(f'{work}: expected the working folder of a build, found none; nothing was removed')
    with idle(work):
        yield from _prune(work, of_gone=of_gone)


def _prune(work: Path, *, of_gone: bool) -> Iterator[str]:
    for gone in [uses for uses in all_uses(work) if not uses.out.is_dir()]:
        if of_gone:
            gone.forget()
        else:
            yield f'kept: the tables of {gone.out} ({gone.kind}), which is not there; --yes removes them too'
    freed = 0
    for table in unused(work):
        paths = [table] if table.is_dir() and table.parent != work else [path for path in table.iterdir() if path.is_file()]
        size = sum(path.stat().st_size for top in paths for path in (top.rglob('*') if top.is_dir() else [top]) if path.is_file())
        for path in paths:
            remove(path)
        with contextlib.suppress(OSError):  # there are others of its name
            (work / table.relative_to(work).parts[0]).rmdir()
        freed += size
        yield f'{table.relative_to(work)}: {decimal(size)}'
    for leftover in [*work.glob(f'*/*/{SHARD_TEMPORARY}'), *work.glob(f'*/{_GONE}*')]:  # of killed writers, and of a killed removal
        remove(leftover)
    yield f'{work}: removed tables of {decimal(freed)} that no build uses any more'


def unused(work: Path) -> Iterator[Path]:
    """Yield the folder of each table that no build uses, also of those directly below their name, where earlier versions made them."""
    used = {key for uses in all_uses(work) for key in uses.keys}
    yield from sorted(path.parent for path in work.glob('*/_PLAN.json'))
    for table in sorted(path for path in work.glob('*/*') if re.fullmatch(f'[0-9a-f]{{{FINGERPRINT_DIGITS}}}', path.name) and path.is_dir()):
        if f'{table.parent.name}/{table.name}' not in used:
            yield table


@contextlib.contextmanager
def idle(work: Path) -> Iterator[None]:
    """Hold a working folder alone; raises UserError while a build runs in it, or somebody looks at what it made."""
    with contextlib.ExitStack() as stack:
        try:
            for lock in sorted({*_locks(work), work / ASKING}):
                stack.enter_context(lock_of(lock).acquire(blocking=False))
            stack.enter_context(held(work))
        except Timeout as e:
            raise UserError(f'{work}: {_who(Path(e.lock_file))} is running in this folder; wait for it or stop it, then try again') from e
        except OSError as e:
            if e.filename is None:  # the lock's refusal names no file
                raise no_locks(work, e) from e
            raise
        yield


def _who(lock: Path) -> str:
    return 'a build' if lock.name.startswith(LOCK) else 'a gallery, or another verb that looks at it,'


def remove(path: Path) -> None:
    """Remove a file, or a folder as a whole: a half-removed table would look finished. What a kill leaves of it, the next removal takes.

    Of a link only the link goes: what it leads to was put there by somebody.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    gone = path.parent / f'{_GONE}{path.name}'
    shutil.rmtree(gone, ignore_errors=True)
    os.rename(path, gone)
    shutil.rmtree(gone)


def is_work(folder: Path) -> bool:
    """Return whether a folder is the working folder of builds."""
    return bool(_locks(folder))


def _locks(work: Path) -> list[Path]:
    return sorted(work.glob(f'{LOCK}*'))  # every build makes one; a work/ without is somebody else's
