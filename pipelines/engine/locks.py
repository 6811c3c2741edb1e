"""Locks that are gone with the process that holds them, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


def lock_of(path: Path) -> FileLock:
    """Return the lock on a file; `acquire(blocking=False)` raises Timeout while another process holds it, OSError where files are not locked.

    Never a lock by the mere existence of a file, to which filelock would fall back: a killed holder would leave it behind.
    """
    return FileLock(path, fallback_to_soft=False)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder itself, which leaves nothing in it; raises Timeout while another process does. Where only files are locked it is not held."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as e:
        os.close(descriptor)
        raise Timeout(str(folder)) from e
    except OSError:  # some network file systems
        pass
    try:
        yield
    finally:
        os.close(descriptor)
