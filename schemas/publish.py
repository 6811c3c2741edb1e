"""How a file appears: written beside its place, flushed to the disk, renamed, and the folder flushed, so that it is whole or not there, also after
a power cut. The one place for this; what a file vouches for (counts, a manifest) is published before it.
"""

import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from schemas.json_text import strict

NAME_BYTES = 255  # of a name on the usual file systems


def draft_of(path: Path) -> Path:
    """Return a name beside `path` that no other process has, on this machine or another one: a dot, its name, host and a random part."""
    ending = f'.{socket.gethostname()[:32]}-{secrets.token_hex(6)}.tmp'
    stem = f'.{path.name}'.encode()[: NAME_BYTES - len(ending.encode())].decode(errors='ignore')
    return path.with_name(stem + ending)


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Give a path to write a file to, which becomes `path` when the block ends well; nothing is left of one that fails."""
    draft = draft_of(path)
    try:
        yield draft
        sync(draft)
        os.replace(draft, path)
        sync(path.parent)
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
    text = json.dumps(strict(value), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    publish_bytes(path, text.encode())


def publish_folder(draft: Path, folder: Path) -> None:
    """Make the folder `draft` appear as `folder`, with all that is in it on the disk; raises OSError where another one is there."""
    for at, _, names in os.walk(draft, topdown=False):
        for name in names:
            sync(Path(at, name))
        sync(Path(at))
    os.rename(draft, folder)
    sync(folder.parent)


def sync(path: Path) -> None:
    """Return once a file's bytes, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
