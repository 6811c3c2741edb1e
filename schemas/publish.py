"""How a file appears: written beside its place, flushed to the disk, renamed, and the folder flushed, so that it is whole or not there, also after
a power cut. The one place for this; what a file vouches for (counts, a manifest) is published before it.

A small file that vouches for others or says what nothing else says carries a check sum of itself (`publish_checked`): one that was emptied, cut,
zeroed or changed is told from one that was written.
"""

import ctypes
import errno
import glob
import json
import os
import secrets
import shutil
import socket
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from schemas.json_text import strict

NAME_BYTES = 255  # of a name on the usual file systems
FLUSHED_ONE_BY_ONE = 8  # files; of more the whole file system is flushed in one go, where the system can: a thousand flushes take seconds
LEFTOVER_S = 24 * 3600.0  # a draft that nobody wrote to for so long is a killed writer's, on whichever machine it ran
NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES})  # of file systems that flush files only
CRC = 'crc'


def draft_of(path: Path) -> Path:
    """Return a name beside `path` that no other process has, on this machine or another one: a dot, its name, host and a random part."""
    ending = f'.{socket.gethostname()[:32]}-{secrets.token_hex(6)}.tmp'
    stem = f'.{path.name}'.encode()[: NAME_BYTES - len(ending.encode())].decode(errors='ignore')
    return path.with_name(stem + ending)


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Give a path to write a file to, which becomes `path` when the block ends well; nothing is left of one that fails.

    What is no file but takes bytes (/dev/null, /dev/stdout, a pipe) stays and takes them.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        yield path
        return
    with _replacing(path) as draft:
        yield draft
        sync(draft)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a path at which something is to be made, which becomes `path` when the block ends well; nothing is left of what fails."""
    draft = draft_of(path)
    try:
        yield draft
        os.replace(draft, path)
        sync_names(path.parent)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def publish_bytes(path: Path, data: bytes) -> None:
    """Write `data` whole or not at all."""
    with drafted(path) as draft:
        draft.write_bytes(data)


def publish_json(path: Path, value: object) -> None:
    """Write `value` whole or not at all, as strict JSON: a number that could not be told (NaN) is null."""
    publish_bytes(path, _text(value))


def publish_checked(path: Path, value: dict[str, Any], *, flush: bool = True) -> None:
    """Write a JSON object whole or not at all, with the check sum of itself by which `read_checked` knows it.

    Without `flush` a power cut may undo or damage it: for what is flushed later, or is simply written again.
    """
    value = json.loads(_text(value))
    data = _text({**value, CRC: _sum_of(value)})
    if flush:
        publish_bytes(path, data)
    else:
        place_bytes(path, data, path.parent)


def read_checked(path: Path) -> dict[str, Any] | None:
    """Return the object of a file that `publish_checked` wrote, None where there is none or it was damaged since.

    Earlier versions wrote no check sum: such a file is believed if it holds an object.
    """
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    said = value.pop(CRC, None)
    return value if said in (None, _sum_of(value)) else None


def publish_link(path: Path, target: str) -> None:
    """Make `path` a symbolic link to `target`, in the place of another one; raises OSError where something else lies there."""
    if path.exists() and not path.is_symlink():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    with _replacing(path) as draft:
        os.symlink(target, draft)


def publish_folder(draft: Path, folder: Path) -> None:
    """Make the folder `draft` appear as `folder`, with all that is in it on the disk; raises OSError where another one is there."""
    found = list(os.walk(draft))
    sync_all(Path(at, name) for at, _, names in found for name in names)
    for at, _, _ in found:
        sync_names(Path(at))
    os.rename(draft, folder)
    sync_names(folder.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those it lies in, on the disk too: what is flushed in a folder whose own name was lost is lost with it."""
    missing = [path for path in (folder, *folder.parents) if not path.is_dir()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in reversed(missing):
        sync_names(path.parent)


def holds_something(folder: Path) -> bool:
    """Return whether anything lies where a new folder is to be: an empty one may be there."""
    return folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))


@contextmanager
def drafted_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to fill, which becomes `folder` when the block ends well; nothing is left of one that fails. An empty `folder` may be there."""
    for leftover in folder.parent.glob(f'.{glob.escape(folder.name)}.*.tmp'):
        if _is_leftover(leftover):
            shutil.rmtree(leftover, ignore_errors=True)
    draft = draft_of(folder)
    draft.mkdir(parents=True)
    try:
        yield draft
        publish_folder(draft, folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def place_bytes(path: Path, data: bytes, drafts: Path) -> None:
    """Write `data` whole or not at all, but not yet to the disk: that is for `sync_all`, before anything vouches for it. The draft is in `drafts`."""
    draft = drafts / draft_of(path).name
    try:
        draft.write_bytes(data)
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def sync_all(paths: Iterable[Path]) -> None:
    """Return once many files, their names and those of their folders are on the disk."""
    paths = list(paths)
    if sync_files(paths):
        return
    folders = {path.parent for path in paths}
    for folder in sorted(folders | {folder.parent for folder in folders}):
        sync_names(folder)


def sync_files(paths: list[Path]) -> bool:
    """Return, once the bytes of many files are on the disk, whether all names are, too: they are where the whole file system was flushed."""
    if len(paths) > FLUSHED_ONE_BY_ONE and _flush_file_system(paths[0]):
        return True
    for path in paths:
        sync(path)
    return False


def sync(path: Path) -> None:
    """Return once a file's bytes are on the disk; an OSError names the file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as e:
        e.filename = path
        raise
    finally:
        os.close(descriptor)


def sync_names(folder: Path) -> None:
    """Return once the names in a folder are on the disk, as far as its file system can do that."""
    try:
        sync(folder)
    except OSError as e:
        if e.errno not in NO_FOLDER_SYNC:
            raise


def sweep(folder: Path) -> None:
    """Remove the drafts of killed writers in a folder, known by their age: other processes and machines may be writing theirs."""
    for draft in folder.glob('.*.tmp'):
        with suppress(OSError):  # just published, or swept by another process
            if draft.is_file() and _is_leftover(draft):
                draft.unlink()


def _is_leftover(draft: Path) -> bool:
    return draft.stat().st_mtime < time.time() - LEFTOVER_S


def _flush_file_system(path: Path) -> bool:
    """Return whether all that was written to the file system of `path` is on the disk; Linux can tell so."""
    try:
        syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if syncfs(descriptor) == 0:
            return True
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    finally:
        os.close(descriptor)


def _text(value: object) -> bytes:
    return json.dumps(strict(value), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


def _sum_of(value: dict[str, Any]) -> str:
    return f'{zlib.crc32(json.dumps(value, sort_keys=True).encode()):08x}'  # the plain form, which C writes: thousands are read at each start
