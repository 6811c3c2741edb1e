"""What it costs to open and to decode a picture, counted from its bytes before any decoder sees them: the same number on every machine.

One unit is one sample (of one colour, in one scan) that a decoder passes over, about a nanosecond. Other work is counted as so many samples, by
what it took with Pillow 12.3 on one core: a JPEG of 12 megapixels has 18 to 170 million units. What is not named here costs what its pixels cost,
which are bounded anyway. How long the worst picture below the bound takes: docs/pictures.md.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from schemas.jpeg_scans import ARITHMETIC, Jpeg, read_jpeg
from schemas.tags import Tags, read_tags

# 40 passes over 50 megapixels. libjpeg's own progressive script (jcparam.c) passes 14 times over a pixel of a colour picture, 8 times where
# colours have half the sides, 24 times over one of four colours.
MAX_WORK = 2_000_000_000
STEP = 10_000  # a segment, chunk, block, tag or strip that Python reads one by one, in 1 to 10 microseconds
JUNK = 300  # a byte between two segments of a JPEG, skipped in Python
COPIED = 8  # bytes that are copied once more
TAG_BYTE = 16  # a byte of a tag's value: read twice, copied, unpacked, and held in memory
INFLATED = 4  # a byte of compressed text
MOST_INFLATED = 1032  # bytes that one byte of deflate can become (zlib's technical details)
MAX_TEXT = 1 << 20  # PngImagePlugin.MAX_TEXT_CHUNK, at which Pillow stops
RUN_BYTE = 500  # a byte of a run-length coded BMP, read in Python
RUN_PIXEL = 150  # a pixel of one
CODED = 8  # a sample by arithmetic coding against one by Huffman's
TIFF_SCANS = 100  # at which libtiff stops (tif_jpeg.c)
TOO_LARGE_A_TILE = 8  # a sample of a tile larger than the picture: made and held in memory for nothing
_STRIP_OFFSETS, _TILE_OFFSETS, _JPEGS = 273, 324, (6, 7)  # tags of a TIFF; compressions


class TooCostly(ValueError):
    """Bytes that take more work to open or to decode than a picture of the largest size can need; the message has the figures."""


@dataclass(frozen=True, slots=True)
class Work:
    """Units of work to open a picture, and to decode it, with what makes most of each, in words."""

    opening: int = 0
    opened: str = ''
    decoding: int = 0
    decoded: str = ''
    jpeg: Jpeg | None = None  # of a JPEG: read once, used again when it is decoded

    def check_opening(self) -> None:
        """Raise TooCostly for what must not be opened."""
        _check(self.opening, self.opened)

    def check_decoding(self) -> None:
        """Raise TooCostly for what must not be decoded."""
        _check(self.decoding, self.decoded)


def picture_work(data: bytes) -> Work:
    """Return what it costs to open and to decode the picture in `data`; nothing for bytes of a format that has no more work than pixels."""
    return next((count(data) for magic, count in COUNTS.items() if data.startswith(magic)), Work())


def tags_work(exif: bytes) -> int:
    """Return what it costs to read EXIF data."""
    found = read_tags(exif.removeprefix(b'Exif\0\0'))
    return _of_tags(found) if found else 0


def _check(units: int, told: str) -> None:
    if units > MAX_WORK:
        raise TooCostly(f'{units} units of work, at most {MAX_WORK}: {told}')


def _jpeg(data: bytes) -> Work:
    jpeg = read_jpeg(data)
    tags = sum(map(tags_work, (b''.join(jpeg.exif), jpeg.further)))
    copied = sum(len(part) * (len(jpeg.exif) - i) for i, part in enumerate(jpeg.exif))  # each is put behind the ones before
    opening = STEP * jpeg.segments + JUNK * jpeg.junk + tags + copied // COPIED
    samples = 64 * sum(jpeg.blocks(component) for scan in jpeg.scans for component in scan.components)
    coding, decoding = (' of arithmetic coding', CODED * samples) if jpeg.frame in ARITHMETIC else ('', samples)
    return Work(
        opening, f'{jpeg.segments} segments, {jpeg.junk} bytes between them, {tags} units for tags',
        decoding, f'{len(jpeg.scans)} scans{coding} of {jpeg.width} x {jpeg.height} pixels', jpeg,
    )  # fmt: skip


def _png(data: bytes) -> Work:
    chunks = inflated = 0
    at = 8
    while at + 8 <= len(data) and STEP * chunks + INFLATED * inflated <= MAX_WORK:
        length, name = struct.unpack_from('>I4s', data, at)
        chunks += 1
        inflated += min(MAX_TEXT, MOST_INFLATED * length) if name in (b'zTXt', b'iTXt', b'iCCP') else 0
        at += 12 + length
    return Work(STEP * chunks + INFLATED * inflated, f'{chunks} chunks, of which text and profiles may become {inflated} bytes')


def _gif(data: bytes) -> Work:
    """Count what Pillow reads to tell an animation: all blocks up to the second picture. A comment is put together piece by piece."""
    units, blocks, comment, pictures = 0, 0, 0, 0
    at = 13 + _palette(data, 10)
    while at < len(data) and pictures < 2 and data[at] != 0x3B and units <= MAX_WORK:
        kind, said = data[at], data[at : at + 2] == b'!\xfe'
        pictures += kind == 0x2C
        at += {0x21: 2, 0x2C: 11 + _palette(data, at + 9)}.get(kind, 1)
        blocks, units = blocks + 1, units + STEP
        while kind in (0x21, 0x2C) and at < len(data) and data[at] and units <= MAX_WORK:
            comment += data[at] if said else 0
            blocks, units = blocks + 1, units + STEP + (comment // COPIED if said else 0)
            at += 1 + data[at]
        at += kind in (0x21, 0x2C)
    return Work(units, f'{blocks} blocks, a comment of {comment} bytes')


def _palette(data: bytes, at: int) -> int:
    """Return the bytes of the palette that the flags of a GIF announce."""
    flags = data[at] if at < len(data) else 0
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _bmp(data: bytes) -> Work:
    if len(data) < 34 or data[14] == 12 or struct.unpack_from('<I', data, 30)[0] not in (1, 2):
        return Work()
    width, height = struct.unpack_from('<ii', data, 18)
    units = RUN_BYTE * len(data) + RUN_PIXEL * abs(width * height)
    return Work(decoding=units, decoded=f'{len(data)} bytes of run-length coding for {width} x {height} pixels')


def _tiff(data: bytes) -> Work:
    """Count what libtiff makes of each strip or tile, whose size is the file's to say, however small the picture."""
    found = read_tags(data)
    if found is None:
        return Work()
    tiled = _TILE_OFFSETS in found.tags and _STRIP_OFFSETS not in found.tags
    offsets = _TILE_OFFSETS if tiled else _STRIP_OFFSETS
    n = min(found.tags[offsets].count, len(data)) if offsets in found.tags else 0
    opening = _of_tags(found) + STEP * n
    told = f'{found.n_tags} tags of {found.n_bytes} bytes, {n} strips or tiles'
    if opening > MAX_WORK:
        return Work(opening, told)
    width, height = found.first(256, 0), found.first(257, 0)
    across, rows = (found.first(322, width), found.first(323, height)) if tiled else (width, min(found.first(278, height), height))
    colours = found.first(277, 1) if found.first(284, 1) == 1 else 1
    scans = _scans_of_one(found, offsets, data) if found.first(259, 1) in _JPEGS else 1
    larger = TOO_LARGE_A_TILE if across * rows > max(width * height, 1 << 20) else 1
    decoded = f'{n} strips or tiles of {across} x {rows} pixels, each of up to {scans} scans, of a picture of {width} x {height} pixels'
    return Work(opening, told, n * across * rows * colours * scans * larger, decoded)


def _scans_of_one(found: Tags, offsets: int, data: bytes) -> int:
    """Return how many scans the JPEG in one strip may have: all in the file but one for each other strip."""
    distinct = len(set(found.numbers(offsets)))
    return max(1, min(TIFF_SCANS, data.count(b'\xff\xda') - distinct + 1))


def _of_tags(found: Tags) -> int:
    return STEP * found.n_tags + TAG_BYTE * found.n_bytes


COUNTS: dict[bytes, Callable[[bytes], Work]] = {b'\xff\xd8\xff': _jpeg, b'\x89PNG': _png, b'GIF8': _gif, b'BM': _bmp, b'II': _tiff, b'MM': _tiff}
