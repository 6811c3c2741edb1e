"""Where the working folder of a build lies, when that is not OUT/work: OUT remembers it, for who looks later or cleans."""

import hashlib
import os
from pathlib import Path

from schemas.publish import publish_bytes

NOTE = '.work'  # in OUT: the way from there to the working folder


def remember_work(out: Path, work: Path) -> None:
    """Note in OUT which working folder its build uses."""
    note, way = out / NOTE, os.path.relpath(work, out)
    if way == 'work':
        note.unlink(missing_ok=True)
    elif not note.is_file() or note.read_text('utf-8') != way:
        publish_bytes(note, way.encode())


def work_of(out: Path) -> Path:
    """Return the working folder of the build of OUT, there or not."""
    try:
        return Path(os.path.normpath(out.resolve() / (out / NOTE).read_bytes().decode()))
    except (OSError, ValueError):
        return out / 'work'


def name_of(work: Path, out: Path) -> str:
    """Return what the build of OUT is called in the names of its files in a working folder; OUT/work may move with OUT."""
    return hashlib.sha256(os.path.relpath(out, work).encode()).hexdigest()[:12]
