"""Removal of what a build made. Only folders that are a build's are touched, and a sealed snapshot only when that is asked for."""

import shutil
from pathlib import Path

from schemas.errors import UserError
from schemas.snapshot import MANIFEST, open_snapshot

_WORK = ('work', '.mix.partial', '.triples.partial')
_SNAPSHOTS = ('mix', 'triples')


def clean_build(folder: Path, *, with_snapshots: bool) -> str:
    """Return a sentence on what was removed; raises UserError for a folder that holds no build."""
    if not any((folder / name).exists() for name in (*_WORK, *_SNAPSHOTS)):
        raise UserError(f'{folder}: expected a build (work/, mix/ or triples/), found none; nothing was removed')
    sealed = [folder / name for name in _SNAPSHOTS if (folder / name / MANIFEST).is_file()]
    for snapshot in sealed if with_snapshots else []:
        open_snapshot(snapshot)  # a folder of that name which is no snapshot of ours is not ours to remove
    doomed = [folder / name for name in _WORK] + (sealed if with_snapshots else [])
    removed = [path for path in doomed if path.exists()]
    for path in removed:
        shutil.rmtree(path)
    kept = '' if with_snapshots or not sealed else f'; kept sealed: {", ".join(path.name for path in sealed)} (--yes removes them too)'
    return f'{folder}: removed {", ".join(path.name for path in removed) or "nothing"}{kept}'
