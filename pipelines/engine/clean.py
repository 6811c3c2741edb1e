"""Removal of what a build made. Only folders that are a build's are touched, and a sealed snapshot only when that is asked for."""

import fcntl
import shutil
from pathlib import Path

from schemas.errors import UserError
from schemas.snapshot import MANIFEST, open_snapshot

_WORK = ('work', '.mix.partial', '.triples.partial')
_SNAPSHOTS = ('mix', 'triples')


def clean_build(folder: Path, *, with_snapshots: bool) -> str:
    """Return a sentence on what was removed; raises UserError for a folder that holds no build."""
    locks = sorted((folder / 'work').glob('.lock-*'))  # every build makes one; a work/ without is somebody else's
    sealed = [folder / name for name in _SNAPSHOTS if (folder / name / MANIFEST).is_file()]
    if not (locks or sealed):
        raise UserError(f'{folder}: expected a build (work/, mix/ or triples/), found none; nothing was removed')
    for lock in locks:
        _refuse_running(lock)
    for snapshot in sealed if with_snapshots else []:
        open_snapshot(snapshot)  # a folder of that name which is no snapshot of ours is not ours to remove
    doomed = [folder / name for name in _WORK if name != 'work' or locks] + (sealed if with_snapshots else [])
    removed = [path for path in doomed if path.exists()]
    for path in removed:
        shutil.rmtree(path)
    kept = '' if with_snapshots or not sealed else f'; kept sealed: {", ".join(path.name for path in sealed)} (--yes removes them too)'
    return f'{folder}: removed {", ".join(path.name for path in removed) or "nothing"}{kept}'


def _refuse_running(lock: Path) -> None:
    with lock.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise UserError(f'{lock.parent}: a build is running in this folder; wait for it or stop it, then clean again') from e
