"""What a disk says of a file: it is there, it is not there, or nothing for the moment. The last is no verdict on the file.

`os.path.isfile`, `exists`, `islink` and `realpath` answer "no" to each refusal; what is asked here tells a failing disk from a missing file.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from schemas.errors import Unreadable

# What says for good that no file of this name is there: open(2) and stat(2). Anything else may pass: a disk, a network, a permission, a limit.
NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR})
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})  # said of what is written, never of what is read
_NO_DATA = 'lost+found'  # of ext file systems, in the top folder of each
_NETWORK = (errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH)
_REMEDIES = {
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), 'raise the limit of open files (ulimit -n)'),
    **dict.fromkeys((errno.EACCES, errno.EPERM), 'get the permission to read'),
    errno.ENOMEM: 'make more memory free, or use fewer processes',
    **dict.fromkeys(_NETWORK, 'see that the network disk is mounted and well'),
}


def of_the_moment(error: BaseException) -> bool:
    """Return whether an error says nothing about the file itself: the system's own refusals, but for NOT_THERE, and a lack of memory.

    What libraries raise for damaged data are OSErrors, too, but without a number of the system's.
    """
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None and error.errno not in NOT_THERE)


def raise_moment(error: BaseException) -> None:
    """Raise an error of the moment again, before it is taken for a fault of the data."""
    if of_the_moment(error):
        raise error


def said(error: BaseException) -> str:
    """Return the system's words for an error of the moment."""
    if isinstance(error, MemoryError):
        return 'not enough memory'
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)


def remedy(error: BaseException) -> str:
    """Return what to do about an error of the moment."""
    number = errno.ENOMEM if isinstance(error, MemoryError) else error.errno if isinstance(error, OSError) else None
    return _REMEDIES.get(number or 0, 'see to the disk')


@contextmanager
def readable(what: object) -> Iterator[None]:
    """Raise Unreadable, which names `what`, in place of an error of the moment; other errors pass."""
    try:
        yield
    except (OSError, MemoryError) as e:
        if not of_the_moment(e) or getattr(e, 'errno', None) in FULL:
            raise
        raise unreadable(what, e) from e


def unreadable(what: object, error: BaseException) -> Unreadable:
    """Return the error that says of a file, in the system's words, that it cannot be read at the moment."""
    at = getattr(error, 'filename', None)
    where = f', at {os.fsdecode(at)}' if isinstance(at, str | bytes | os.PathLike) and os.fsdecode(at) != str(what) else ''
    return Unreadable([f'{what} ({said(error)}{where})'], [remedy(error)])


def status(path: str | os.PathLike, *, follow: bool = True) -> os.stat_result | None:
    """Return the status of a file, None where none is there or can be; raises OSError for errors of the moment."""
    try:
        return os.stat(path, follow_symlinks=follow)
    except OSError as e:
        if of_the_moment(e):
            raise
    except ValueError:  # a NUL in the name, or half a surrogate pair
        pass
    return None


def is_file(path: str | os.PathLike) -> bool:
    """Return whether a plain file is there; raises OSError for errors of the moment."""
    found = status(path)
    return found is not None and stat.S_ISREG(found.st_mode)


def is_folder(path: str | os.PathLike) -> bool:
    """Return whether a folder is there; raises OSError for errors of the moment."""
    found = status(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def real_path(path: str) -> str:
    """Return a path without links, of one that is not there as far as it is; raises OSError for errors of the moment."""
    try:
        return os.path.realpath(path, strict=True)
    except OSError as e:
        if of_the_moment(e):
            raise
        return os.path.realpath(path)
    except ValueError:  # as in `status`
        return os.path.normpath(path)


def globbed(folder: Path, pattern: str) -> list[Path]:
    """Return what `Path.glob` finds, sorted; raises OSError for a folder that cannot be listed, which `glob` passes over, ValueError for `a**`."""
    parts = PurePosixPath(pattern).parts
    if any('**' in part and part != '**' for part in parts):
        raise ValueError(f'`**` must stand alone between slashes, found {pattern}')
    return sorted(set(_matched(folder, parts)))


def _matched(at: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    if not parts:
        yield at
    elif parts[0] == '**':
        yield from _matched(at, parts[1:])
        for entry in _entries(at):
            if entry.is_dir(follow_symlinks=False):
                yield from _matched(at / entry.name, parts)
    elif set(parts[0]) & set('*?['):
        for entry in _entries(at):
            if fnmatchcase(entry.name, parts[0]) and (len(parts) == 1 or is_folder(entry.path)):
                yield from _matched(at / entry.name, parts[1:])
    elif status(at / parts[0]) is not None:
        yield from _matched(at / parts[0], parts[1:])


def _entries(folder: Path) -> list[os.DirEntry]:
    """Return what lies in a folder, nothing where no folder is there; nothing either of one that nobody reads and its owner keeps closed."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as e:
        if of_the_moment(e) and not (e.errno == errno.EACCES and (folder.name == _NO_DATA or folder.name.startswith('.'))):
            raise
        return []
