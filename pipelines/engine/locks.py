"""A lock that a process holds on a file, and that is gone with the process, however it ends."""

from pathlib import Path

from filelock import FileLock


def lock_of(path: Path) -> FileLock:
    """Return the lock; `acquire(blocking=False)` raises filelock.Timeout while another process holds it, OSError where files are not locked.

    Never a lock by the mere existence of a file, to which filelock would fall back: a killed holder would leave it behind.
    """
    return FileLock(path, fallback_to_soft=False)
