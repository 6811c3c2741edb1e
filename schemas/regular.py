"""Files that people name, read whole and bounded: a FIFO would be waited for without end, a device never ends."""

import os
import stat
from pathlib import Path

_KINDS = ((stat.S_ISDIR, 'a folder'), (stat.S_ISFIFO, 'a FIFO'), (stat.S_ISSOCK, 'a socket'), (stat.S_ISCHR, 'a device'), (stat.S_ISBLK, 'a device'))


def read_regular(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file; raises OSError for one that cannot be opened, ValueError for anything else, or more than `most` bytes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise ValueError(f'{next((kind for of, kind in _KINDS if of(mode)), "something else")}, not a file')
    with open(descriptor, 'rb') as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f'more than {most:,} bytes')
    return data
