"""Members of zip and tar archives, read in place: nothing is unpacked, nothing is held in memory but the member that is read.

Where members lie stands in one array of 56 bytes a member, found in one pass; with an `index` folder it is kept there and mapped by every worker.
Of members with one name the last counts, as after unpacking. Only plain members are read: links, devices and sparse or encrypted files never.
"""

import errno
import hashlib
import itertools
import os
import shlex
import struct
import zipfile
import zlib
from array import array
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from pipelines.sources.tar_samples import PLAIN, BadTar, members
from schemas.arrays import keep, kept
from schemas.disk import is_file

SUFFIXES = ('.zip', '.tar')
MAX_ZIP_MEMBERS = 5_000_000  # the largest published image set of the mix has 1.2 M pictures
# of int64, one after the other: two halves of the name's hash (the first is searched), offset, bytes stored, bytes, check sum, how it is stored
COLUMNS = 7
_NO_PLACES = np.zeros((0, COLUMNS), np.int64)
_STORED, _DEFLATED, _ENCRYPTED, _NOT_PLAIN = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, -1, -2
_REFUSED = {_ENCRYPTED: 'is encrypted', _NOT_PLAIN: 'is not a plain file but a link, a device or sparse'}
_INT64 = 2**63 - 1
_HALVES = struct.Struct('<qq')
_LOCAL_BYTES = 30  # of a zip member's own header, before its name
_SLACK = 1.01  # deflate makes no data larger than this


class BadArchive(Exception):
    """The file, or one member of it, is none that can be read; says why. What the disk refuses for the moment is an OSError."""


class TooManyBytes(Exception):
    """A member is larger than the bound; at most the bound was read."""


def stamp_of(about: os.stat_result) -> tuple[int, int, int, int]:
    """Return what tells one state of a file from another without reading it: `tar -x`, `cp -p` and `rsync -t` keep the first two."""
    return about.st_size, about.st_mtime_ns, about.st_ino & _INT64, about.st_ctime_ns


def archive_of(root: str) -> tuple[str, str]:
    """Return (archive, folder in it) of an image root such as `a/images.zip` or `a/images.zip/inner`; ('', '') for a folder on disk."""
    path = PurePosixPath(root)
    for part in (path, *path.parents):
        if part.suffix in SUFFIXES and is_file(part):
            inner = path.relative_to(part).as_posix()
            return str(part), '' if inner == '.' else f'{inner}/'
    return '', ''


class Archive:
    """The members of one archive by name."""

    def __init__(self, path: str, index: str = '') -> None:
        self.path, self._index = path, index
        self._last: tuple[str | None, list[list[int]]] = None, []

    @cached_property
    def _file(self) -> IO[bytes]:
        return open(self.path, 'rb', buffering=0)

    @cached_property
    def _places(self) -> np.ndarray:
        stamp = stamp_of(os.stat(self.path))
        return _kept_places(self.path, self._index, stamp) if self._index else _scan(self.path)

    @cached_property
    def _names(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the two columns by which a name is found, as plain arrays: a look at a mapped one costs ten times as much."""
        plain = np.asarray(self._places)
        return plain[:, 0], plain[:, 1]

    def count(self) -> int:
        """Return how many members there are, found now if not before; raises BadArchive."""
        return len(self._places)

    def has(self, name: str) -> bool:
        """Return whether there is a member of this name; raises BadArchive."""
        return bool(self._places_of(name))

    def have(self, names: list[str]) -> np.ndarray:
        """Return bool[N]: whether there are members of these names; raises BadArchive."""
        high, low = self._names
        keys = np.array([_key(name) for name in names], np.int64).reshape(-1, 2)
        if not len(high) or not len(keys):
            return np.zeros(len(keys), bool)
        first = np.minimum(np.searchsorted(high, keys[:, 0]), len(high) - 1)
        near = high[first] == keys[:, 0]
        found = near & (low[first] == keys[:, 1])
        for at in np.flatnonzero(near & ~found).tolist():  # two names that share 64 bits
            found[at] = self.has(names[at])
        return found

    def _places_of(self, name: str) -> list[list[int]]:
        asked, found = self._last  # whether it is there is asked, then its bytes
        if asked != name:
            high, low = _key(name)
            keys = self._names[0]
            first = stop = int(keys.searchsorted(high))
            while stop < len(keys) and keys[stop] == high:
                stop += 1
            found = [place for place in self._places[first:stop].tolist() if place[1] == low] if stop > first else []
            self._last = name, found
        return found

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Return a member's bytes, None where there is no such member; raises BadArchive or TooManyBytes."""
        found = self._places_of(name)
        if not found:
            return None
        _, _, at, stored, size, crc, how = found[-1]
        if how in _REFUSED:
            raise BadArchive(f'member {name[:200]!r} {_REFUSED[how]}')
        if size > max_bytes or stored > max_bytes * _SLACK + _LOCAL_BYTES:
            raise TooManyBytes(f'{size} bytes, more than {max_bytes}')
        if self.path.endswith('.tar'):
            return self._at(at, size)
        data = self._of_zip(at, stored, how, max_bytes)
        if zlib.crc32(data) != crc:
            raise BadArchive(f'member {name[:200]!r} does not have the check sum that the archive says')
        return data

    def _of_zip(self, at: int, stored: int, how: int, max_bytes: int) -> bytes:
        header = self._at(at, _LOCAL_BYTES)
        if header[:4] != b'PK\3\4':
            raise BadArchive(f'no member at offset {at}; is the archive damaged?')
        data = self._at(at + _LOCAL_BYTES + int.from_bytes(header[26:28], 'little') + int.from_bytes(header[28:30], 'little'), stored)
        if how == _STORED:
            return data
        if how != _DEFLATED:
            raise BadArchive(f'a member compressed by method {how}; expected stored or deflated: pack it again with zip')
        opened = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = opened.decompress(data, max_bytes + 1)
        except zlib.error as e:
            raise BadArchive(str(e)) from e
        if len(data) > max_bytes:  # the archive's directory lied about the size
            raise TooManyBytes(f'more than {max_bytes} bytes')
        if not opened.eof:
            raise BadArchive('a member that ends too early')
        return data

    def _at(self, offset: int, n: int) -> bytes:
        try:
            data = os.pread(self._file.fileno(), n, offset)  # many threads read one archive
        except OSError as e:
            raise _damage(self.path, e) from e
        if len(data) < n:
            raise BadArchive(f'expected {n} bytes at offset {offset}, found {len(data)}; is the archive whole?')
        return data


@lru_cache(maxsize=64)  # steps, sources and archives of a build; mapped, so that they take no memory of their own
def _kept_places(path: str, index: str, stamp: tuple[int, ...]) -> np.ndarray:
    """Return the places of an archive as it is now, by `stamp`: found once for all builds, opened once for all steps and sources of a process."""
    key = hashlib.sha256('\n'.join(map(str, (os.path.realpath(path), *stamp))).encode()).hexdigest()
    at = Path(index) / f'{key[:32]}.members.npy'
    places = kept(at, _NO_PLACES)
    if places is None:
        keep(at, places := _scan(path))
    return places


def _damage(path: str, error: OSError) -> OSError | BadArchive:
    """Return what an error means: damage, where the archive itself names places that no file has (EINVAL); else what it says."""
    if error.errno is not None and error.errno != errno.EINVAL:
        return error
    return BadArchive(f'{os.path.basename(path)}: {error.strerror or error}')


def _key(name: str) -> tuple[int, int]:
    high, low = _HALVES.unpack_from(hashlib.sha256(name.encode('utf-8', 'surrogateescape')).digest())
    return high, low


def _scan(path: str) -> np.ndarray:
    """Return int64[N, COLUMNS] in the order of their keys; raises BadArchive for a file that is no archive."""
    try:
        flat = array('q', itertools.chain.from_iterable(_of_tar(path) if path.endswith('.tar') else _of_directory(path)))
    except OverflowError as e:  # zip64 can say so
        raise BadArchive(f'{os.path.basename(path)}: a member of more than 2**63 bytes') from e
    found = np.frombuffer(flat, np.int64).reshape(-1, COLUMNS)
    return np.asfortranarray(found[np.lexsort((found[:, 1], found[:, 0]))])  # stable: equal names stay in the archive's order


def _of_directory(path: str) -> Iterator[tuple[int, ...]]:
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.filelist
    except OSError as e:
        raise _damage(path, e) from e
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as e:
        raise BadArchive(f'{os.path.basename(path)}: {e}') from e
    if len(listed) > MAX_ZIP_MEMBERS:
        raise BadArchive(f'{os.path.basename(path)} has {len(listed)} members, more than {MAX_ZIP_MEMBERS}')
    for member in listed:
        if not member.filename.endswith('/'):  # is_dir stumbles over an empty name
            how = _ENCRYPTED if member.flag_bits & 1 else member.compress_type
            for name in _names(member):
                yield *_key(name.removeprefix('./')), member.header_offset, member.compress_size, member.file_size, member.CRC, how


def _names(member: zipfile.ZipInfo) -> list[str]:
    """Return a member's name; two where it is UTF-8 without the flag that says so, as many programs write it, or DOS's letters (cp437)."""
    if member.flag_bits & 0x800 or member.filename.isascii():
        return [member.filename]
    try:
        return [member.filename, member.filename.encode('cp437').decode()]
    except UnicodeError:
        return [member.filename]


def _of_tar(path: str) -> Iterator[tuple[int, ...]]:
    try:
        with open(path, 'rb') as handle:
            for member in members(handle, 0, os.path.getsize(path)):
                how = _STORED if member.kind in PLAIN else _NOT_PLAIN
                yield *_key(member.name.removeprefix('./')), member.data, member.size, member.size, 0, how
    except OSError as e:
        raise _damage(path, e) from e
    except BadTar as e:
        raise BadArchive(f'{os.path.basename(path)}: expected an uncompressed tar, found {e}') from e


def unpack_first(path: Path, into: Path) -> str:
    """Return what a message says of an archive that is not read as it is."""
    return f'unpack it first: tar -xf {shlex.quote(str(path))} -C {shlex.quote(str(into))}'
