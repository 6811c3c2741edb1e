"""What a shard's files were when they were written: size and two check sums (CRC-32) of each, by which a later run knows them again.

`ends`, of the first and the last ENDS_BYTES, is compared whenever a table is asked for: it costs one short look at each file, and none at one that
nobody touched since this process looked. `whole` is compared before something new is made of a table, or this process reads it, which reads it
anyhow. So a byte that flipped in the middle of a large file is found when it would matter, and not before.
"""

import errno
import json
import os
import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

ENDS_BYTES = 32 << 10
BLOCK_BYTES = 1 << 20
UNREADABLE = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})  # what a disk or file system says of blocks that it lost

_looked: dict[str, tuple[tuple, bool, str]] = {}  # path -> its state and what was said of it, whether all bytes were compared, the fault found


def written(path: Path) -> list[int]:
    """Return size and check sums of a file: of its ends, of the whole."""
    with open(path, 'rb') as file:
        n_bytes = os.fstat(file.fileno()).st_size
        return [n_bytes, _ends(file.fileno(), n_bytes), _whole(file.fileno())]


def fault_of(path: Path, said: list[int], *, whole: bool = False) -> str:
    """Return what differs in a file from what `written` said of it, '' where nothing does; of the bytes only the ends are read unless `whole`."""
    try:
        about = os.stat(path)
        state = (about.st_size, about.st_mtime_ns, about.st_ino, about.st_ctime_ns, tuple(said))
        before = _looked.get(str(path))
        if before and before[0] == state and (before[2] or before[1] or not whole):
            return before[2]
        fault = _fault_of(path, said, whole)
        _looked[str(path)] = state, whole, fault
        return fault
    except FileNotFoundError:
        return f'{path.name} is missing'
    except OSError as e:
        if e.errno not in UNREADABLE:
            raise
        return f'{path.name} cannot be read ({e.strerror})'


def fault_of_unsaid(path: Path, rows: int | None = None) -> str:
    """Return what is wrong with a file of which an earlier version said no more than its rows, '' where it seems whole: it opens, by its footer
    or header, and is as long as that says."""
    try:
        about = os.stat(path)
        state = (about.st_size, about.st_mtime_ns, about.st_ino, about.st_ctime_ns, rows)
        before = _looked.get(str(path))
        if before and before[0] == state:
            return before[2]
        fault = '' if _opens(path, rows) else f'{path.name} {_length(about.st_size)}, which are no whole file'
        _looked[str(path)] = state, False, fault
        return fault
    except FileNotFoundError:
        return f'{path.name} is missing'


def _fault_of(path: Path, said: list[int], whole: bool) -> str:
    with open(path, 'rb') as file:
        n_bytes = os.fstat(file.fileno()).st_size
        if n_bytes != said[0]:
            return f'{path.name} {_length(n_bytes)}, expected {said[0]}'
        same = _whole(file.fileno()) == said[2] if whole else _ends(file.fileno(), n_bytes) == said[1]
        return '' if same else f'{path.name} holds other bytes than were written'


def _length(n_bytes: int) -> str:
    return f'has {n_bytes} bytes' if n_bytes else 'is empty, 0 bytes'


def _ends(file: int, n_bytes: int) -> int:
    first = os.pread(file, ENDS_BYTES, 0)
    last = max(len(first), n_bytes - ENDS_BYTES)
    return zlib.crc32(os.pread(file, n_bytes - last, last), zlib.crc32(first))


def _whole(file: int) -> int:
    found = at = 0
    while block := os.pread(file, BLOCK_BYTES, at):
        found, at = zlib.crc32(block, found), at + len(block)
    return found


def _opens(path: Path, rows: int | None) -> bool:
    try:
        if path.suffix == '.parquet':
            return rows in (None, pq.read_metadata(path).num_rows)
        if path.suffix == '.npy':
            np.load(path, mmap_mode='r')
        elif path.suffix == '.json':
            json.loads(path.read_bytes())
        return True
    except FileNotFoundError:
        raise
    except Exception:  # of a damaged file numpy and Arrow raise what their parts raise: ValueError, EOFError, TokenError, MemoryError, ...
        return False
