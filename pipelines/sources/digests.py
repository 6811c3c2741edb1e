"""The sha256 of files by their status (size, times, inode): who was read once and not touched since is not read again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from schemas.arrays import keep, kept

Status = tuple[int, ...]
_ROW = np.dtype([('key', 'i8'), ('status', 'i8', 4), ('sha', 'V32')])
_NONE = np.zeros(0, _ROW)


class Digests:
    """What was read so far, by a number for each file; kept in `path` for the next build, or nowhere (None)."""

    def __init__(self, path: Path | None) -> None:
        rows = kept(path, _NONE) if path is not None else None
        self._path, self._fresh = path, False
        self._found: dict[int, tuple[Status, bytes]] = {
            row['key'].item(): (tuple(row['status'].tolist()), row['sha'].tobytes()) for row in (_NONE if rows is None else rows)
        }

    def of(self, key: int, status: Status, read: Callable[[], bytes]) -> bytes:
        """Return the sha256 of a file that has this status; `read` gives it where it is not known."""
        known = self._found.get(key)
        if known is None or known[0] != status:
            known = self._found[key] = (status, read())
            self._fresh = True
        return known[1]

    def keep(self) -> None:
        """Write what is known, whole or not at all."""
        if self._path is None or not self._fresh:
            return
        keep(self._path, np.array([(key, status, sha) for key, (status, sha) in sorted(self._found.items())], _ROW))
