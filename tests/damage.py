"""What disks, power cuts and people do to a file: each as a function of its path. The time of the last change is kept, as a failing disk keeps it."""

import os
from collections.abc import Callable
from pathlib import Path


def _written(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        about = path.stat()
        data = change(path.read_bytes())
        path.unlink()  # others may be linked to it
        path.write_bytes(data)
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))

    return damage


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x20]) + data[middle + 1 :] if data else b'?'


DAMAGE: dict[str, Callable[[Path], None]] = {
    'removed': Path.unlink,
    'emptied': _written(lambda data: b''),
    'cut in half': _written(lambda data: data[: len(data) // 2]),
    'zeroed': _written(lambda data: bytes(len(data))),
    'zeroed at its end': _written(lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2)),
    'longer': _written(lambda data: data + b'\0' * 4096),
    'with a flipped bit': _written(_flipped),
    'something else': _written(lambda data: b'not what was here before'),
}
