"""Image bytes by reference: folders, zip and tar files stay where they are, embedded bytes are packed once by image id.

A reference is `<source>/<relative path>` or `<source>/sha256:<image id>`. It is opened only below its source's roots.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np

from curation.rows.references import other_names
from pipelines.sources.archives import Archive, BadArchive, TooManyBytes, archive_of, stamp_of
from pipelines.sources.waits import each
from schemas.disk import is_folder, of_the_moment, readable, real_path, status
from schemas.errors import DamagedPicture, Unreadable
from schemas.publish import place_bytes

PACKED = 'sha256:'
# states of a picture that is not there, of one that lies in no folder of the recipe, and of one of which the disk says nothing for the moment
NOTHING, OUTSIDE, UNREADABLE = (0, 0, 0, 0), (-1, -1, -1, -1), (-2, -2, -2, -2)
_IMAGE_ID = re.compile('[0-9a-f]{64}')
IN_FLIGHT = 32  # files that a slow disk is asked for at once: of 0.5 ms each, 1.2 M in 20 s
AT_ONCE = 50  # files to a task, which costs as much as five looks
_FOLDERS_KEPT = 10_000  # real paths of folders, some 200 bytes each: pictures of a folder mostly follow each other


class ImageUnavailable(Exception):
    """There are no bytes behind a reference; says why. Where the disk only does not give them now, it is Unreadable."""


class LeadsOut(ImageUnavailable):
    """A reference leads out of the folders of the recipe: into `where`, which messages about this machine alone may name."""

    def __init__(self, told: str, where: str = '') -> None:
        super().__init__(told)
        self.where = where


class ImageTooManyBytes(Exception):
    """The bytes behind a reference are more than the bound; nothing was read."""


@dataclass
class ImageStore:
    """Opens references. `roots` maps a source to its folders, archives and folders in archives (`images.zip/inner`); `packed` holds
    embedded bytes by image id, `index` (a folder, or '') where the members of archives lie.

    A link is followed where it stays in its root or leads into another folder that the recipe names for pictures, of whichever source. What is
    said of a picture names no folder: rejections are part of a snapshot's identity, and folders differ between machines.

    A picture is missing if its roots are there and do not have it; where the disk refuses to say, or a root is gone that was there when the build
    began (a disk that is not mounted any more), Unreadable is raised.
    """

    roots: dict[str, tuple[str, ...]]
    packed: str
    max_bytes: int
    other_extensions: frozenset[str] = frozenset()  # sources whose pictures may lie under another extension than their annotations say
    index: str = ''
    linked: tuple[str, ...] = ()  # further folders into which links may lead
    filled: frozenset[str] = frozenset()  # roots that held something when the build began
    give_up: bool = False  # whether a build goes on without a picture that the disk does not give; the next build looks at it anew
    _archives: dict[str, tuple[Archive | None, str]] = field(default_factory=dict, repr=False, compare=False)
    _real_folders: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def __getstate__(self) -> dict:
        kept = {name: value for name, value in self.__dict__.items() if name != '_folders_of_recipe'}
        return {**kept, '_archives': {}, '_real_folders': {}}

    def read(self, reference: str) -> bytes:
        """Return the original bytes; raises ImageUnavailable or ImageTooManyBytes, and Unreadable for what may pass."""
        try:
            return self._read(reference)
        except (OSError, MemoryError):
            with readable(reference):
                raise

    def _read(self, reference: str) -> bytes:
        source, _, name = reference.partition('/')
        if name.startswith(PACKED):
            return self._read_packed(name.removeprefix(PACKED))
        leading_out = None
        for root, name_there in self._places(source, name):
            archive, inner = self._archive(root)
            try:
                data = self._read_member(archive, inner + name_there) if archive else self._read_file(*self._below(root, name_there))
            except LeadsOut as e:
                leading_out = leading_out or e
                continue
            if data is not None:
                return data
        self._refuse_gone(reference)
        raise leading_out or ImageUnavailable(f'no file {name[:200]!r} in {len(self.roots.get(source, ()))} image root(s)')

    def _read_packed(self, image_id: str) -> bytes:
        if not _IMAGE_ID.fullmatch(image_id):
            raise ImageUnavailable(f'no image id: {(PACKED + image_id)[:200]!r}')
        path = str(packed_path(Path(self.packed), image_id))
        data = self._read_file(path, status(path))
        if data is None and not is_folder(self.packed):
            raise _gone(f'{PACKED}{image_id}', self.packed)
        if data is None:
            raise ImageUnavailable(f'no packed picture {image_id}')
        return whole(image_id, data)

    def stamp(self, reference: str) -> str:
        """Return size and modification time of the file or archive behind a reference; '' where there is none, or packed by content."""
        return said(self.status(reference))

    def status(self, reference: str) -> tuple[int, int, int, int]:
        """Return size, modification time, inode and change time of the file or archive behind a reference: NOTHING where there is none.

        OUTSIDE where a link leads out of the roots; NOTHING also for what is packed by content, which cannot change. UNREADABLE where the disk
        does not say so now.
        """
        try:
            return self._status(reference)
        except Unreadable:
            return UNREADABLE
        except (OSError, MemoryError) as e:
            if not of_the_moment(e):
                raise
            return UNREADABLE

    def _status(self, reference: str) -> tuple[int, int, int, int]:
        source, _, name = reference.partition('/')
        if name.startswith(PACKED):
            return NOTHING
        at = NOTHING
        for root, name_there in self._places(source, name):
            archive, inner = self._archive(root)
            try:
                if archive and not self._has_member(archive, inner + name_there):
                    continue
                found = status(archive.path) if archive else self._below(root, name_there)[1]
            except LeadsOut:
                at = OUTSIDE
            except BadArchive:
                continue
            else:
                if found is not None:
                    return stamp_of(found)
        self._refuse_gone(reference)
        return at

    def statuses(self, references: Sequence[str]) -> np.ndarray:
        """Return int64[R, 4]: `status` of many references. Members of an archive cost one look at the archive; a slow disk is asked for many files
        at once."""
        found = np.zeros((len(references), 4), np.int64)
        of_sources: dict[str, list[int]] = {}
        for at, reference in enumerate(references):
            of_sources.setdefault(reference.partition('/')[0], []).append(at)
        for source, places in of_sources.items():
            archived = self._archived(source, [references[at].partition('/')[2] for at in places])
            found[places] = archived
            left = [places[at] for at in np.flatnonzero(~archived.any(axis=1))]
            for at, one in zip(left, each(self.status, [references[at] for at in left], IN_FLIGHT, AT_ONCE), strict=True):
                found[at] = one
        return found

    def _archived(self, source: str, names: list[str]) -> np.ndarray:
        """Return int64[N, 4]: the status of the names that lie in a source's archives before its folders, zeros for those that `status` must find."""
        found = np.zeros((len(names), 4), np.int64)
        if source in self.other_extensions:
            return found
        left = np.array([at for at, name in enumerate(names) if not name.startswith(PACKED)], np.int64)
        for root in self.roots.get(source, ()):
            archive, inner = self._archive(root)
            if archive is None or not len(left):
                break
            try:
                there = archive.have([inner + names[at] for at in left.tolist()])
                about = status(archive.path) if there.any() else None
            except (BadArchive, OSError, MemoryError):
                break  # for `status` to say what it means
            if about is not None:
                found[left[there]] = stamp_of(about)
                left = left[~there]
            elif there.any():
                break
        return found

    def names(self, source: str, name: str) -> tuple[str, ...]:
        """Return the names under which a picture of a source may lie, as its annotations say it first."""
        return (name, *(other_names(name) if source in self.other_extensions else ()))

    def _places(self, source: str, name: str) -> list[tuple[str, str]]:
        return [(root, name_there) for name_there in self.names(source, name) for root in self.roots.get(source, ())]

    def _below(self, root: str, name: str) -> tuple[str, os.stat_result | None]:
        """Return the real path of what `name` means below a folder, and the status of what lies there, if anything does.

        Raises LeadsOut where that is in no folder of the recipe.
        """
        if '\0' in name:
            raise LeadsOut(f'{name[:200]!r} leads out of its root')
        folder, last = os.path.split(os.path.join(root, name))
        path = os.path.join(self._real(folder), last)
        found = status(path, follow=False)
        is_link = last in ('', '.', '..') or (found is not None and stat.S_ISLNK(found.st_mode))
        if is_link:
            path = real_path(path)
        if not is_inside(path, self._real(root)):
            self._refuse_outside(root, name, path)
        return path, status(path) if is_link else found

    def _refuse_outside(self, root: str, name: str, path: str) -> None:
        if not is_inside(os.path.normpath(os.path.join(root, name)), os.path.normpath(root)):
            raise LeadsOut(f'{name[:200]!r} leads out of its root')
        if not any(is_inside(path, other) for other in self._folders_of_recipe):
            raise LeadsOut(f'{name[:200]!r} is a link that leads out of its root; name the folder that it leads to under `images` as well',
                           os.path.dirname(path))

    @cached_property
    def _folders_of_recipe(self) -> tuple[str, ...]:
        """Return the real paths of all folders that links may lead to: the image roots of every source, and the Hub cache's blobs behind them."""
        named = (*self.linked, *(root for roots in self.roots.values() for root in roots))
        roots = {real_path(root) for root in named if is_folder(root)}
        return tuple(sorted(roots | {blobs for root in roots for blobs in hub_blobs(root)}))

    def _real(self, folder: str) -> str:
        found = self._real_folders.get(folder)
        if found is None:
            if len(self._real_folders) >= _FOLDERS_KEPT:
                self._real_folders.clear()
            found = real_path(folder)
            if is_folder(found):  # a name that means nothing yet may become a link
                self._real_folders[folder] = found
        return found

    def _read_file(self, path: str, found: os.stat_result | None) -> bytes | None:
        """Return the bytes of a plain file, by its status, None where none is there: what is no plain file is never opened."""
        if found is None or not stat.S_ISREG(found.st_mode):
            return None
        try:
            with open(path, 'rb') as handle:
                return self._bounded(handle, os.fstat(handle.fileno()).st_size)
        except OSError as e:
            if of_the_moment(e):
                raise
            return None  # removed meanwhile

    def _refuse_gone(self, reference: str) -> None:
        """Raise Unreadable where a root is not there, or is empty and was not when the build began: its disk is not mounted any more."""
        for root in dict.fromkeys(root for roots in self.roots.values() for root in roots):
            if self._archive(root)[0] is not None:
                continue
            if not is_folder(root) or (root in self.filled and not _holds_something(root)):
                raise _gone(reference, root)

    def _archive(self, root: str) -> tuple[Archive | None, str]:
        """Return the archive that a root lies in, and the folder in it; (None, '') for a folder on disk."""
        if root not in self._archives:
            path, inner = archive_of(root)
            self._archives[root] = (Archive(path, self.index) if path else None, inner)
        return self._archives[root]

    def faults(self) -> Iterator[str]:
        """Yield a sentence for each archive that cannot be read; finds the members of all others. Raises Unreadable for what may pass."""
        for source, roots in self.roots.items():
            for root in roots:
                try:
                    with readable(root):
                        archive, _ = self._archive(root)
                        if archive:
                            archive.count()
                except BadArchive as e:
                    yield f'source {source}: images: {e}; is the download complete?'

    def _read_member(self, archive: Archive, name: str) -> bytes | None:
        try:
            return archive.read(name, self.max_bytes)
        except TooManyBytes as e:
            raise ImageTooManyBytes(str(e)) from e
        except BadArchive as e:
            raise ImageUnavailable(f'{os.path.basename(archive.path)}: {e}') from e
        except FileNotFoundError as e:
            raise _gone(name, archive.path) from e

    def _has_member(self, archive: Archive, name: str) -> bool:
        try:
            return archive.has(name)
        except FileNotFoundError as e:
            raise _gone(name, archive.path) from e

    def _bounded(self, handle: IO[bytes], size: int) -> bytes:
        if size > self.max_bytes:
            raise ImageTooManyBytes(f'{size} bytes, more than {self.max_bytes}')
        data = handle.read(self.max_bytes + 1)
        if len(data) > self.max_bytes:  # it grew meanwhile
            raise ImageTooManyBytes(f'more than {self.max_bytes} bytes')
        return data


def _gone(reference: str, root: str) -> Unreadable:
    return Unreadable([f'{reference} ({root} was there when the build began, and is gone or empty)'], ['see that its disk is mounted'])


def _holds_something(folder: str) -> bool:
    with os.scandir(folder) as entries:
        return next(entries, None) is not None


def filled(roots: Iterable[str]) -> frozenset[str]:
    """Return the folders among some image roots that hold something."""
    found = set()
    for root in roots:
        with readable(root):
            if is_folder(root) and _holds_something(root):
                found.add(root)
    return frozenset(found)


def said(at: tuple[int, int, int, int]) -> str:
    """Return size and modification time of a status as text, '' where there is nothing."""
    known = {NOTHING: '', OUTSIDE: 'leads out', UNREADABLE: 'unreadable'}
    return known[at] if at in known else f'{at[0]}:{at[1]}'


def is_inside(path: str, folder: str) -> bool:
    """Return whether a path is a folder or lies below it, both without links and dots."""
    return (path + os.sep).startswith(folder.rstrip(os.sep) + os.sep)


def hub_blobs(root: str) -> Iterator[str]:
    """Yield `blobs/` beside the `snapshots/` that a folder lies in: the Hub's cache keeps there what its snapshots link to."""
    for path in (Path(root), *Path(root).parents):
        if path.parent.name == 'snapshots' and (blobs := path.parent.parent / 'blobs').is_dir():
            yield str(blobs)


def packed_path(folder: Path, image_id: str) -> Path:
    """Return where embedded bytes of this id lie."""
    return folder / image_id[:2] / image_id


def whole(image_id: str, data: bytes) -> bytes:
    """Return packed bytes; raises DamagedPicture where they are not those of their name."""
    if hashlib.sha256(data).hexdigest() != image_id:
        raise DamagedPicture(f'packed picture {image_id}: expected the bytes that it is named by, found {len(data)} others; run phantom build again '
                             'as before: it is made anew from its source, nothing is asked twice')
    return data


def pack(folder: Path, data: bytes) -> str:
    """Keep embedded bytes once, under their sha256; return the name part of their reference."""
    image_id = hashlib.sha256(data).hexdigest()
    path = packed_path(folder, image_id)
    if not (path.is_file() and path.stat().st_size == len(data)):
        path.parent.mkdir(parents=True, exist_ok=True)
        place_bytes(path, data, folder)  # to the disk before the samples that refer to it, all of a shard in one go
    return PACKED + image_id


def as_note(store: ImageStore) -> dict[str, Any]:
    """Return where a build's pictures lie, as JSON, for who looks at them later."""
    return {'roots': {k: list(v) for k, v in store.roots.items()}, 'other_extensions': sorted(store.other_extensions), 'max_bytes': store.max_bytes}


def from_note(note: dict[str, Any], work: Path) -> ImageStore:
    """Return where the pictures of the build lie that used the working folder `work`."""
    roots = {name: tuple(paths) for name, paths in note['roots'].items()}
    return ImageStore(roots, str(work / 'images'), note['max_bytes'], frozenset(note['other_extensions']), str(work / 'offsets'))
