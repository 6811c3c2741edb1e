"""Samples of a WebDataset tar: members that share a name up to its first dot, read in place; nothing is unpacked to disk.

Members of one sample stand one after the other. A key that comes back later makes each of its runs malformed, none is taken for a whole sample.
Hidden files (`._x` and __MACOSX/ of a Mac) are passed over and counted.

Only plain members are read. A link, a device, a sparse file, an absolute path or `..` makes its sample malformed, never followed.
"""

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from curation.rows.webdataset import HIDDEN, JSON, NO_PICTURE, TEXTS, is_hidden, is_picture, kind_of
from pipelines.sources.json_records import refuse_deep
from schemas.errors import UserError

BLOCK = 512
MAX_MEMBERS = 10_000_000
MAX_NAME_BYTES = 65_536  # of a long-name or PAX header, read into memory
PLAIN = (b'0', b'\0')
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL, _FOLDER, _SPARSE = b'L', b'K', b'x', b'g', b'5', b'S'


class BadTar(ValueError):
    """The bytes are no tar archive that can be read; says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of the archive; offsets are bytes from the start of the file."""

    name: str
    start: int  # of its first header
    data: int
    size: int
    kind: bytes

    @property
    def stop(self) -> int:
        """Return where the next member starts."""
        return self.data + -(-self.size // BLOCK) * BLOCK

    @property
    def key(self) -> str:
        """Return the name up to the first dot after the last slash."""
        folder, slash, base = self.name.rpartition('/')
        return folder + slash + base.partition('.')[0]

    @property
    def extension(self) -> str:
        """Return what follows that dot, in lower case."""
        return self.name.rpartition('/')[2].partition('.')[2].lower()


@dataclass(frozen=True, slots=True)
class Sample:
    """Where the members of one sample stand, and what the whole archive says of it. As two numbers: ~start where torn, ~stop where bare."""

    start: int
    stop: int
    torn: bool = False  # its key comes again
    bare: bool = False  # it has no picture, and other samples have

    @classmethod
    def at(cls, start: int, stop: int) -> 'Sample':
        """Return the sample of two numbers of `sample_spans`."""
        return cls(max(start, ~start), max(stop, ~stop), start < 0, stop < 0)


def sample_spans(source: str, path: Path, most: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield the two numbers of every sample, or of the first ones, in file order; raises UserError for a file that is no tar."""
    stops, keys, pictures = array('q'), array('Q'), bytearray()
    last = None
    try:
        with open(path, 'rb') as handle:
            for member in members(handle, 0, path.stat().st_size):
                if not is_hidden(member.name):
                    if member.key != last:
                        if most is not None and len(keys) == most:
                            break
                        last = member.key
                        stops.append(0)
                        keys.append(int.from_bytes(hashlib.blake2b(last.encode('utf-8', 'surrogateescape'), digest_size=8).digest(), 'little'))
                        pictures.append(0)
                    pictures[-1] |= is_picture(member.extension)
                if stops:  # a hidden member belongs to the sample before it, the first ones to the first sample
                    stops[-1] = member.stop
    except BadTar as e:
        raise UserError(f'source {source}: expected an uncompressed tar in {path}, found {e}; is the download complete?') from e
    times, some, start = Counter(keys) if len(set(keys)) < len(keys) else {}, any(pictures), 0
    for stop, key, pictured in zip(stops, keys, pictures, strict=True):
        yield ~start if times and times[key] > 1 else start, ~stop if some and not pictured else stop
        start = stop


def read_sample(handle: BinaryIO, sample: Sample) -> dict:
    """Return {'__key__': ..., extension: content} of the members of a sample: JSON parsed, text decoded, anything else bytes.

    Raises BadTar for members that are not plain files inside the archive, ValueError for JSON or text that is none.
    """
    row: dict = {}
    for member in members(handle, sample.start, sample.stop):
        if is_hidden(member.name):
            row[HIDDEN] = row.get(HIDDEN, 0) + 1
            continue
        path = PurePosixPath(member.name)
        shown = _shown(member.name)
        if sample.torn:
            raise BadTar(f'members of {_shown(member.key)} stand in several places of the archive; '
                         'pack it again in the order of names: tar --sort=name -cf')
        if member.kind not in PLAIN:
            raise BadTar(f'a member of type {member.kind!r}, not a plain file: {shown}')
        if path.is_absolute() or '..' in path.parts or '\0' in member.name:
            raise BadTar(f'a member that leaves the archive: {shown}')
        if member.extension in row:
            raise BadTar(f'two members named {shown}: the key {_shown(member.key)} ends at the first dot of a name, '
                         f'the extension {_shown(member.extension)} is read in lower case')
        handle.seek(member.data)
        row['__key__'] = member.key
        row[member.extension] = _content(member.extension, handle.read(member.size))
    if sample.bare:
        row[NO_PICTURE] = True
    return row


def _shown(name: str) -> str:
    return repr(name[:200])  # bytes that are no UTF-8 as \\udcf6


def _content(extension: str, data: bytes) -> object:
    kind = kind_of(extension)
    if kind == JSON:
        refuse_deep(data)
        return json.loads(data)
    return data.decode() if kind in TEXTS else data


def members(handle: BinaryIO, start: int, stop: int) -> Iterator[Member]:
    """Yield the members between two offsets, folders left out; raises BadTar. Contents are passed over, not read."""
    at, first, long_name, n = start, start, None, 0
    while at < stop:
        handle.seek(at)
        header = handle.read(BLOCK)
        if not header.strip(b'\0'):
            return  # two blank blocks end an archive
        kind, size = header[156:157], _checked_size(header, at)
        data = at + BLOCK + (_more_headers(handle, header) if kind == _SPARSE else 0)
        if data + size > stop:
            raise BadTar(f'a member of {size} bytes at offset {at} that ends after the file')
        at = data + -(-size // BLOCK) * BLOCK
        handle.seek(data)
        if kind in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
            if size > MAX_NAME_BYTES:
                raise BadTar(f'a name of {size} bytes at offset {data - BLOCK}, more than {MAX_NAME_BYTES}')
            if kind == _LONG_NAME:
                long_name = _text(handle.read(size))
            elif kind == _PAX:
                long_name = _pax_path(handle.read(size)) or long_name
            continue
        n += 1
        if n > MAX_MEMBERS:
            raise BadTar(f'more than {MAX_MEMBERS} members')
        if kind != _FOLDER:
            yield Member(long_name or _name(header), first, data, size, kind)
        first, long_name = at, None


def _more_headers(handle: BinaryIO, header: bytes) -> int:
    """Return the bytes of the blocks that go on with the map of a sparse member."""
    n, more = 0, header[482]
    while more:
        block = handle.read(BLOCK)
        n, more = n + BLOCK, len(block) == BLOCK and block[504]
    return n


def _checked_size(header: bytes, at: int) -> int:
    """Return the size a header declares, in bytes; raises BadTar where its checksum does not hold."""
    try:
        if len(header) < BLOCK or int(_text(header[148:156]).strip() or '0', 8) != sum(header) - sum(header[148:156]) + 8 * 32:
            raise BadTar(f'no member header at offset {at}')
        if header[124] & 0x80:  # base 256, for members of 8 GiB and more
            return int.from_bytes(header[125:136], 'big')
        return int(_text(header[124:136]).strip() or '0', 8)
    except ValueError as e:
        raise BadTar(f'no member header at offset {at}') from e


def _name(header: bytes) -> str:
    prefix = _text(header[345:500]) if header[257:263] == b'ustar\0' else ''
    return f'{prefix}/{_text(header[:100])}' if prefix else _text(header[:100])


def _text(field: bytes) -> str:
    return field.partition(b'\0')[0].decode('utf-8', 'surrogateescape')  # as file names on disk: what is no UTF-8 keeps its bytes


def _pax_path(records: bytes) -> str | None:
    """Return the path of a PAX header's records (`LENGTH key=value\\n`); raises BadTar for one that restates the size."""
    path = None
    while records:
        length = records.partition(b' ')[0]
        if not length.isdigit() or int(length) < 5:
            raise BadTar('a PAX header that cannot be read')
        key, _, value = records[len(length) + 1:int(length)].rstrip(b'\n').partition(b'=')
        if key == b'path':
            path = value.decode('utf-8', 'surrogateescape')
        if key == b'size' or key.startswith(b'GNU.sparse'):
            raise BadTar('a member whose real size stands in a PAX header')
        records = records[int(length):]
    return path
