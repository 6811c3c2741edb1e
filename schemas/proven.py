"""The bytes of a file, proven to be those that a manifest vouches for before one of them is handed on.

The size first, then one pass of sha256; what is read afterwards comes from the same open file, so that another one put in its place is not
believed, and one that was written to meanwhile is looked at again at the end. A process remembers what it proved by size, time and inode.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import UserError
from schemas.inside import InsideFile, open_file

AT_ONCE = 1 << 20  # bytes held while a file is hashed
LFS = b'version https://git-lfs'
SETTLED_NS = 100_000_000  # a file written to later than this before it was looked at may be written to again within one tick of the clock (4 ms)
AHEAD_NS = 3600 * 10**9  # a server's clock may be ahead of ours; a time beyond that was unpacked or set, and the next write leaves another
Stamp = tuple[int, ...]
_proven: dict[Stamp, str] = {}  # what the file of a stamp was found to hold; 300 bytes a file


@contextmanager
def proven(path: Path, sha256: str, n_bytes: int) -> Iterator[InsideFile]:
    """Give a file open for reading whose bytes have this sha256, and had it still when the block ended; memory does not grow with the file.

    Raises UserError for other bytes and for what is no plain file or may not be read, PendingWork where it cannot be read for the moment.
    """
    with open_file(path) as file:
        _prove(file, sha256, n_bytes)
        yield file
        _prove(file, sha256, n_bytes)


def prove(path: Path, sha256: str, n_bytes: int) -> Path:
    """Return `path` if its bytes have this sha256, for who reads it by name at once; raises as `proven` does."""
    with proven(path, sha256, n_bytes):
        return path


def opened(path: Path, n_bytes: int) -> InsideFile:
    """Return a file of this size open for reading, its bytes not yet proven: for what nobody gets to see; raises UserError for another size."""
    file = open_file(path)
    try:
        _refuse_size(file, n_bytes)
    except BaseException:
        file.close()
        raise
    return file


def _prove(file: InsideFile, sha256: str, n_bytes: int) -> None:
    _refuse_size(file, n_bytes)
    stamp, now = _stamp(file), time.time_ns()
    found = _proven.get(stamp) or sha256_of(file)
    if found != sha256:
        raise UserError(f'{file.path}: expected sha256 {sha256[:12]}..., found {found[:12]}...; it changed since it was sealed: copy it again '
                        'from where it came, `phantom verify` names the rows')  # fmt: skip
    if _stamp(file) == stamp and not any(now - SETTLED_NS <= at < now + AHEAD_NS for at in stamp[-2:]):  # else another look next time
        _proven[stamp] = found


def _refuse_size(file: InsideFile, n_bytes: int) -> None:
    found = os.fstat(file.fileno()).st_size
    if found != n_bytes:
        file.seek(0)
        what = ', a pointer of Git LFS: run `git lfs pull`' if file.read(len(LFS)) == LFS else '; it changed since it was sealed: copy it again'
        raise UserError(f'{file.path}: expected {n_bytes:,} bytes, found {found:,}{what}')


def _stamp(file: InsideFile) -> Stamp:
    about = os.fstat(file.fileno())
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def sha256_of(file: InsideFile) -> str:
    """Return the sha256 hex of all bytes of an open file."""
    at = file.tell()
    file.seek(0)
    digest, buffer = hashlib.sha256(), bytearray(AT_ONCE)
    while n := file.readinto(buffer):
        digest.update(memoryview(buffer)[:n])
    file.seek(at)
    return digest.hexdigest()
