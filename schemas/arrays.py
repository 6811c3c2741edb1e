"""Arrays kept in a file between builds: written whole or not at all, and none where the file is cut, was changed or holds something else.

Behind the array, where numpy does not look, stands a check sum of it and of what it is about, so that the file of another one is none either.
Files of earlier versions have none: what is in them is found anew.
"""

import os
import zlib
from pathlib import Path

import numpy as np

from schemas.publish import drafted, make_folder

_MARK = b'phantom crc32 '  # and 8 digits
_TRAILER_BYTES = len(_MARK) + 8
_BLOCK_BYTES = 1 << 20


def keep(path: Path, array: np.ndarray, about: str = '') -> None:
    """Write an array, whole or not at all; its folder is made."""
    make_folder(path.parent)
    with drafted(path) as draft:
        with open(draft, 'wb') as handle:
            np.save(handle, array)
        with open(draft, 'r+b') as handle:
            n_bytes = os.fstat(handle.fileno()).st_size
            found = _sum(handle.fileno(), n_bytes, about)
            handle.seek(n_bytes)
            handle.write(_MARK + found)


def kept(path: Path, like: np.ndarray, about: str = '') -> np.ndarray | None:
    """Return the mapped array that was kept, of the type and the columns of `like`; None where there is none that can be read."""
    try:
        if not _is_whole(path, about):
            return None
        found = np.load(path, mmap_mode='r')
    except Exception:  # of a damaged file numpy raises what its parts raise: EOFError, ValueError, TokenError, BadZipFile, MemoryError, ...
        return None
    same = isinstance(found, np.ndarray) and (found.dtype, found.shape[1:]) == (like.dtype, like.shape[1:]) and found.ndim == like.ndim
    return found if same else None


def _is_whole(path: Path, about: str) -> bool:
    with open(path, 'rb') as handle:
        n_bytes = os.fstat(handle.fileno()).st_size - _TRAILER_BYTES
        return n_bytes > 0 and os.pread(handle.fileno(), _TRAILER_BYTES, n_bytes) == _MARK + _sum(handle.fileno(), n_bytes, about)


def _sum(file: int, n_bytes: int, about: str) -> bytes:
    found, at = zlib.crc32(about.encode()), 0
    while at < n_bytes and (block := os.pread(file, min(_BLOCK_BYTES, n_bytes - at), at)):
        found, at = zlib.crc32(block, found), at + len(block)
    return b'%08x' % found
