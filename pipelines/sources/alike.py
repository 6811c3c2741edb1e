"""Ends of the records of a list that are written alike: guessed from how the first two are parted, and each proven by parsing what lies between.

An object that is whole JSON ends where it ends, whatever its texts hold; so a guess that is proven is what a scan of every sign would find.
"""

import mmap
import re
from collections.abc import Iterator

import orjson

BLOCK_BYTES = 1 << 22
_FIRST_BYTES = 1 << 15
_BEFORE = re.compile(rb'\}[ \t\r\n]{0,99},\Z')  # the end of a record, at its comma
_BEHIND = re.compile(rb'[ \t\r\n]{0,99}\{[ \t\r\n]{0,99}"[^"\\]{0,99}"')  # the beginning of the next one, with its first name
_GUESSES = 4  # where objects inside a record may begin as records do


def parting(data: mmap.mmap, start: int) -> bytes:
    """Return what stands between a record and the one that begins at a byte, with the signs beside it; b'' where these are no two objects."""
    before, behind = _BEFORE.search(data[max(0, start - 101):start]), _BEHIND.match(data, start)
    return before[0] + behind[0] if before and behind else b''


def starts(data: mmap.mmap, start: int, between: bytes) -> Iterator[int]:
    """Yield where the records behind the one that begins at a byte begin, as long as they are parted so and proven."""
    comma = between.index(b',')
    at, block, n_bytes = start, b'', _FIRST_BYTES  # of the block, and what stands there
    while True:
        end = _end(block, start - at, between)
        if end >= 0:
            start = at + end + comma + 1
            yield start
            continue
        if at == start and block and (n_bytes == BLOCK_BYTES or at + len(block) == len(data)):
            return
        n_bytes = min(2 * n_bytes, BLOCK_BYTES)
        at, block = start, data[start:start + n_bytes]
        data.madvise(mmap.MADV_DONTNEED, 0, at // mmap.PAGESIZE * mmap.PAGESIZE)


def _end(block: bytes, start: int, between: bytes) -> int:
    """Return where the object that begins in a block ends, -1 where that cannot be proven."""
    stop = start
    for _ in range(_GUESSES):
        stop = block.find(between, stop)
        if stop < 0:
            return -1
        try:
            return stop if isinstance(orjson.loads(block[start:stop + 1]), dict) else -1
        except orjson.JSONDecodeError:
            stop += 1
    return -1
