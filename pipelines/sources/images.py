"""Image bytes by reference: folders, zip and tar files stay where they are, embedded bytes are packed once by image id.

A reference is `<source>/<relative path>` or `<source>/sha256:<image id>`. It is opened only below its source's roots.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from curation.references import other_names
from pipelines.sources.archives import Archive, BadArchive, TooManyBytes, archive_of

PACKED = 'sha256:'
_IMAGE_ID = re.compile('[0-9a-f]{64}')


class ImageUnavailable(Exception):
    """The bytes behind a reference cannot be had; says why."""


class ImageTooManyBytes(Exception):
    """The bytes behind a reference are more than the bound; nothing was read."""


@dataclass
class ImageStore:
    """Opens references. `roots` maps a source to its folders, archives and folders in archives (`images.zip/inner`); `packed` holds
    embedded bytes by image id, `index` (a folder, or '') where the members of archives lie.

    What it says of a picture names no folder: rejections are part of a snapshot's identity, and folders differ between machines.
    """

    roots: dict[str, tuple[str, ...]]
    packed: str
    max_bytes: int
    other_extensions: frozenset[str] = frozenset()  # sources whose pictures may lie under another extension than their annotations say
    index: str = ''
    _archives: dict[str, tuple[Archive | None, str]] = field(default_factory=dict)

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_archives': {}}

    def read(self, reference: str) -> bytes:
        """Return the original bytes; raises ImageUnavailable or ImageTooManyBytes."""
        source, _, name = reference.partition('/')
        if name.startswith(PACKED):
            if not _IMAGE_ID.fullmatch(name.removeprefix(PACKED)):
                raise ImageUnavailable(f'no image id: {name[:200]!r}')
            return self._read_file(packed_path(Path(self.packed), name.removeprefix(PACKED)))
        for root, name_there in self._places(source, name):
            archive, inner = self._archive(root)
            data = self._read_member(archive, inner + name_there) if archive else self._read_below(root, name_there)
            if data is not None:
                return data
        raise ImageUnavailable(f'no file {name[:200]!r} in {len(self.roots.get(source, ()))} image root(s)')

    def stamp(self, reference: str) -> str:
        """Return size and modification time of the file or archive behind a reference; '' where there is none, or packed by content."""
        source, _, name = reference.partition('/')
        for root, name_there in () if name.startswith(PACKED) else self._places(source, name):
            archive, inner = self._archive(root)
            try:
                if archive and not archive.has(inner + name_there):
                    continue
                found = os.stat(archive.path if archive else os.path.join(root, name_there))
            except (BadArchive, OSError, ValueError):
                continue
            return f'{found.st_size}:{found.st_mtime_ns}'
        return ''

    def names(self, source: str, name: str) -> tuple[str, ...]:
        """Return the names under which a picture of a source may lie, as its annotations say it first."""
        return (name, *(other_names(name) if source in self.other_extensions else ()))

    def _places(self, source: str, name: str) -> list[tuple[str, str]]:
        return [(root, name_there) for name_there in self.names(source, name) for root in self.roots.get(source, ())]

    def _read_below(self, root: str, name: str) -> bytes | None:
        real_root = os.path.realpath(root)
        path = os.path.realpath(os.path.join(real_root, name))
        if not path.startswith(real_root + os.sep):
            raise ImageUnavailable(f'{name[:200]!r} leads out of its root')
        return self._read_file(Path(path)) if os.path.isfile(path) else None

    def _read_file(self, path: Path) -> bytes:
        try:
            with open(path, 'rb') as handle:
                return self._bounded(handle, os.fstat(handle.fileno()).st_size)
        except OSError as e:
            raise ImageUnavailable(f'{path.name}: {e.strerror}') from e

    def _archive(self, root: str) -> tuple[Archive | None, str]:
        """Return the archive that a root lies in, and the folder in it; (None, '') for a folder on disk."""
        if root not in self._archives:
            path, inner = archive_of(root)
            self._archives[root] = (Archive(path, self.index) if path else None, inner)
        return self._archives[root]

    def faults(self) -> Iterator[str]:
        """Yield a sentence for each archive that cannot be read; finds the members of all others."""
        for source, roots in self.roots.items():
            for root in roots:
                archive, _ = self._archive(root)
                try:
                    if archive:
                        archive.count()
                except BadArchive as e:
                    yield f'source {source}: images: {e}; is the download complete?'

    def _read_member(self, archive: Archive, name: str) -> bytes | None:
        try:
            return archive.read(name, self.max_bytes)
        except TooManyBytes as e:
            raise ImageTooManyBytes(str(e)) from e
        except (BadArchive, OSError) as e:
            raise ImageUnavailable(f'{os.path.basename(archive.path)}: {e}') from e

    def _bounded(self, handle: IO[bytes], size: int) -> bytes:
        if size > self.max_bytes:
            raise ImageTooManyBytes(f'{size} bytes, more than {self.max_bytes}')
        data = handle.read(self.max_bytes + 1)
        if len(data) > self.max_bytes:  # it grew meanwhile
            raise ImageTooManyBytes(f'more than {self.max_bytes} bytes')
        return data


def packed_path(folder: Path, image_id: str) -> Path:
    """Return where embedded bytes of this id lie."""
    return folder / image_id[:2] / image_id


def pack(folder: Path, data: bytes) -> str:
    """Keep embedded bytes once, under their sha256; return the name part of their reference."""
    image_id = hashlib.sha256(data).hexdigest()
    path = packed_path(folder, image_id)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f'.{image_id}.{os.getpid()}.tmp')
        temporary.write_bytes(data)
        os.replace(temporary, path)
    return PACKED + image_id


def as_note(store: ImageStore) -> dict[str, Any]:
    """Return where a build's pictures lie, as JSON, for who looks at them later."""
    return {'roots': {k: list(v) for k, v in store.roots.items()}, 'other_extensions': sorted(store.other_extensions), 'max_bytes': store.max_bytes}


def from_note(note: dict[str, Any], work: Path) -> ImageStore:
    """Return where the pictures of the build lie that used the working folder `work`."""
    roots = {name: tuple(paths) for name, paths in note['roots'].items()}
    return ImageStore(roots, str(work / 'images'), note['max_bytes'], frozenset(note['other_extensions']), str(work / 'offsets'))
