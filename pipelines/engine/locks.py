"""Locks that are gone with the process that holds them, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from schemas.errors import UserError


def lock_of(path: Path) -> FileLock:
    """Return the lock on a file; `acquire(blocking=False)` raises Timeout while another process holds it, OSError where files are not locked.

    Never a lock by the mere existence of a file, to which filelock would fall back: a killed holder would leave it behind.
    """
    return FileLock(path, fallback_to_soft=False)


def no_locks(folder: Path, refusal: OSError) -> UserError:
    """Return the error for a folder in which files cannot be locked."""
    return UserError(
        f'{folder}: expected a file system that locks files, found: {refusal.strerror}; mount it with locks (NFS: its lock service '
        'running), or choose another --work, on a file system that has them'
    )


@contextmanager
def held(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a folder itself, which leaves nothing in it: alone, or `shared` with others who only use it; raises Timeout where others are in the way.

    Where only files are locked it is not held.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError as e:
        os.close(descriptor)
        raise Timeout(str(folder)) from e
    except OSError:  # some network file systems
        pass
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def in_use(*folders: Path) -> Iterator[None]:
    """Use some folders for longer, those that are there: `clean` removes none of them meanwhile; raises UserError while it does just that."""
    with ExitStack() as stack:
        for folder in folders:
            if folder.is_dir():
                try:
                    stack.enter_context(held(folder, shared=True))
                except Timeout as e:
                    raise UserError(f'{folder}: expected a folder to look at, found one that is just being removed by phantom clean') from e
        yield
