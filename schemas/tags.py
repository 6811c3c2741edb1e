"""Directories of TIFF tags (TIFF 6.0, section 2), also in EXIF and MPF data, read without their values: what it costs to read them."""

from collections.abc import Iterator
from dataclasses import dataclass

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # bytes of a value by its type
FURTHER = (0x8769, 0x8825, 0xA005)  # tags that lead to directories which Pillow reads too: EXIF, GPS, interoperability


@dataclass(frozen=True, slots=True)
class Tag:
    """One entry of a directory: what it is, and where its values lie."""

    tag: int
    kind: int
    count: int
    at: int

    @property
    def size(self) -> int:
        return self.count * SIZES.get(self.kind, 0)


@dataclass(frozen=True, slots=True)
class Tags:
    """The first directory of a TIFF or of EXIF data."""

    data: bytes
    big_endian: bool
    tags: dict[int, Tag]
    n_tags: int  # entries, also of the directories that lead on, repeated ones too
    n_bytes: int  # of values that lie outside the entries: many may name the same

    def first(self, tag: int, default: int) -> int:
        """Return the first value of a tag of whole numbers."""
        return next(self.numbers(tag), default)

    def numbers(self, tag: int) -> Iterator[int]:
        """Yield the values of a tag of whole numbers, as many as lie in the data."""
        entry = self.tags.get(tag)
        size = SIZES.get(entry.kind, 0) if entry else 0
        for i in range(entry.count if entry and size else 0):
            value = self.data[entry.at + i * size : entry.at + (i + 1) * size] if entry else b''
            if len(value) < size:
                return
            yield int.from_bytes(value, 'big' if self.big_endian else 'little')


def read_tags(data: bytes) -> Tags | None:
    """Return the first directory of `data`, a TIFF or EXIF data without its name; None where there is none."""
    big_endian = data[:2] == b'MM'
    large = len(data) > 3 and 43 in data[2:4]  # BigTIFF
    if len(data) < 8 or data[:2] not in (b'II', b'MM'):
        return None
    start = _number(data, 8, 8, big_endian) if large else _number(data, 4, 4, big_endian)
    tags, n_tags, n_bytes = _directory(data, start, big_endian=big_endian, large=large)
    found = Tags(data, big_endian, tags, n_tags, n_bytes)
    for tag in FURTHER:
        at = found.first(tag, 0)
        if at:
            _, more_tags, more_bytes = _directory(data, at, big_endian=big_endian, large=large)
            n_tags, n_bytes = n_tags + more_tags, n_bytes + more_bytes
    return Tags(data, big_endian, tags, n_tags, n_bytes)


def _directory(data: bytes, start: int, *, big_endian: bool, large: bool) -> tuple[dict[int, Tag], int, int]:
    """Return the entries of a directory, their number, and the bytes outside that they name, each counted as far as the data reach."""
    entry_size, held, head = (20, 8, 8) if large else (12, 4, 2)
    n = min(_number(data, start, head, big_endian), max(len(data) - start, 0) // entry_size + 1)
    tags, outside = {}, 0
    for at in range(start + head, start + head + n * entry_size, entry_size):
        count = _number(data, at + 4, held, big_endian)
        entry = Tag(_number(data, at, 2, big_endian), _number(data, at + 2, 2, big_endian), count, at + 4 + held)
        if entry.size > held:
            entry = Tag(entry.tag, entry.kind, count, _number(data, entry.at, held, big_endian))
            outside += min(entry.size, len(data))
        tags[entry.tag] = entry
    return tags, n, outside


def _number(data: bytes, at: int, size: int, big_endian: bool) -> int:
    return int.from_bytes(data[at : at + size], 'big' if big_endian else 'little')
