"""Files of a folder that came from elsewhere: opened only where they are plain files in it, never a link, a pipe or a device; and how a file that
cannot be read is told. Of links those are files that the Hub's client keeps in its cache: they lead to the blobs beside them and nowhere else.
"""

import errno
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from schemas.errors import PendingWork, UserError

# What a disk says when it may say something else in a minute; all other refusals stay until somebody mends them.
OF_THE_MOMENT = frozenset({
    errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ENOMEM, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ENOBUFS,
    errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH,
})  # fmt: skip
KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISLNK, 'a link'), (stat.S_ISDIR, 'a folder'), (stat.S_ISFIFO, 'a pipe'), (stat.S_ISSOCK, 'a socket'),
    (stat.S_ISCHR, 'a device'), (stat.S_ISBLK, 'a device'),
)  # fmt: skip
ODD = frozenset('\\*?[]{}')  # a pattern, for some readers
COPY = 'copy the snapshot with its files in it (cp -rL, or hf download --local-dir)'


class Closed(UserError):
    """A file that is there and may not be read by who asks: nothing is known of it."""


class InsideFile(io.FileIO):
    """A file open for reading, whose failures to read are told by its name: a UserError, or PendingWork where it may pass."""

    def __init__(self, path: Path, descriptor: int):
        super().__init__(descriptor, 'rb')
        self.path = path

    def read(self, size: int | None = -1) -> bytes:
        """Return at most `size` bytes; none at the end."""
        try:
            return super().read(-1 if size is None else size) or b''
        except OSError as e:
            raise unreadable(self.path, e) from e

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` as far as the file goes."""
        try:
            return super().readinto(buffer) or 0
        except OSError as e:
            raise unreadable(self.path, e) from e


def is_inside(name: str) -> bool:
    """Return whether a file's name can only lie in the folder that it is looked for in: no `..`, no root, nothing that is read in two ways."""
    parts = name.split('/')
    return not any(part in ('', '.', '..') for part in parts) and not ODD & set(name) and name.isprintable() and len(name.encode()) < 1000


def kind_of(path: Path) -> str:
    """Return '' for a plain file, else what lies there in words ('none' for nothing); raises UserError where that cannot be told."""
    try:
        mode = os.lstat(path).st_mode
    except OSError as e:
        if e.errno in (errno.ENOENT, errno.ENOTDIR):
            return 'none'
        raise unreadable(path, e) from e
    if stat.S_ISLNK(mode) and hub_blob(path) is not None:
        return ''
    return next((told for is_one, told in KINDS if is_one(mode)), '')


def hub_blob(path: Path) -> Path | None:
    """Return the plain file that a link in the Hub's cache stands for, REPO/snapshots/REVISION/... -> REPO/blobs/...; None for any other link."""
    repo = next((parent.parent for parent in path.absolute().parents if parent.name == 'snapshots'), None)
    target = os.path.realpath(path)
    if repo is None or os.path.dirname(target) != os.path.realpath(repo / 'blobs'):
        return None
    try:
        return Path(target) if stat.S_ISREG(os.lstat(target).st_mode) else None
    except OSError:
        return None


def refuse_strange(folder: Path, name: str) -> None:
    """Raise UserError where a name in a folder is there, but not as a plain file in plain folders. Nothing is opened."""
    path = folder
    for part in (parts := name.split('/')):
        path = path / part
        found, wanted = kind_of(path), 'a folder' if part is not parts[-1] else ''
        if found == 'none':
            return
        if found != wanted:
            raise UserError(f'{path}: expected {wanted or "a file"} of the snapshot, found {found or "a file"}; {COPY}')


def open_file(path: Path) -> InsideFile:
    """Return a plain file open for reading; raises UserError for what is none or cannot be read, PendingWork where that may pass."""
    if found := kind_of(path):
        told = 'none; copy the snapshot again from where it came' if found == 'none' else f'{found}; {COPY}'
        raise UserError(f'{path}: expected a file of the snapshot, found {told}')
    try:
        # it may be another by now: a pipe must not block
        descriptor = os.open(hub_blob(path) or path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        raise unreadable(path, e) from e
    file = InsideFile(path, descriptor)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise UserError(f'{path}: expected a file of the snapshot, found something else by now; {COPY}')
    return file


def unreadable(path: Path, error: OSError) -> UserError:
    """Return what to raise for a file that is there and cannot be read: who may mend that, and how."""
    told = f'{path}: expected to read this file, found: {error.strerror or error}'
    if error.errno in OF_THE_MOMENT:
        return PendingWork(f'{told}; that may pass: look after the disk and run the same command again; if it stays, copy the file again')
    if error.errno in (errno.EACCES, errno.EPERM):
        return Closed(f'{told}; ask its owner for the right to read it (chmod a+r), then run the same command again')
    return UserError(f'{told}; copy it again from where it came')
