"""A disk that fails for the moment, in this process: the places where pictures are asked for and opened say so, for names that a test chooses."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pipelines.sources import images
from schemas import disk

MOMENTS = ('EIO', 'EMFILE', 'ENFILE', 'ESTALE', 'ENOMEM', 'EACCES', 'EPERM', 'ETIMEDOUT', 'ENOTCONN', 'EHOSTDOWN', 'EAGAIN', 'ENODEV')
NEVER_THERE = ('ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EISDIR')


def refusal(name: str, path: object = None) -> OSError:
    number = getattr(errno, name)
    return OSError(number, os.strerror(number), path) if path is not None else OSError(number, os.strerror(number))


class Broken:
    """A file that opens, and whose bytes do not come."""

    def __init__(self, handle: object, name: str) -> None:
        self._handle, self._name = handle, name

    def __enter__(self) -> 'Broken':
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()

    def fileno(self) -> int:
        return self._handle.fileno()

    def seek(self, *_: object) -> int:
        return 0

    def read(self, *_: object) -> bytes:
        raise refusal(self._name)


@contextmanager
def failing(name: str, *endings: str, at: str = 'open') -> Iterator[None]:
    """Let the disk refuse the files whose paths end so, with this error: when they are opened, read, or asked for (`stat`)."""
    def hit(path: object) -> bool:
        return str(path).endswith(endings)

    def opened(path: object, *args: object, **kwargs: object) -> object:
        if at == 'open' and hit(path):
            raise refusal(name, path)
        return Broken(open(path, *args, **kwargs), name) if at == 'read' and hit(path) else open(path, *args, **kwargs)

    def asked(real: Callable) -> Callable:
        def status(path: object, **options: object) -> os.stat_result | None:
            if hit(path):
                if getattr(errno, name) in disk.NOT_THERE:
                    return None
                raise refusal(name, path)
            return real(path, **options)

        return status

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(images, 'open', opened, raising=False)
        if at == 'stat':
            patched.setattr(images, 'status', asked(images.status))
        yield
