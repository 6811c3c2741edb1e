"""Whether the data of a picture reach to its last pixel. Decoders fill the rest in silence: a JPEG with grey, a PNG with black.

GIF, BMP and WebP need no look: Pillow's readers refuse what ends early, whatever sizes and end marks say. What is seen: docs/pictures.md.
"""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin

from curation.pictures.watched import CutShort, load_jpeg
from schemas.jpeg_scans import Jpeg, read_jpeg
from schemas.pixels import DECODE_ERRORS

PIECE = 1 << 20  # bytes inflated at a time
# The passes of an interlaced PNG: every so manieth row and column, from which on (PNG 1.2, section 2.6).
ADAM7 = ((8, 8, 0, 0), (8, 8, 0, 4), (8, 4, 4, 0), (4, 4, 0, 2), (4, 2, 2, 0), (2, 2, 0, 1), (2, 1, 1, 0))
END = b'\xff\xd9'  # of a JPEG
STRIPS, TILES, STRIP_SIZES, TILE_SIZES, TABLES = 273, 324, 279, 325, 347  # tags of a TIFF
WIDTH, HEIGHT, ROWS, TILE_WIDTH, TILE_LENGTH = 256, 257, 278, 322, 323


def load_whole(image: ImageFile.ImageFile, data: bytes, jpeg: Jpeg | None) -> None:
    """Decode an opened picture (`jpeg`: what its markers say, where it is one), drafts as such; raises CutShort where its data end early."""
    if jpeg is not None and image.format in ('JPEG', 'MPO'):
        load_jpeg(image, data, jpeg)
        return
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _check_strips(image, data)
    image.load()
    if image.format == 'PNG':
        _check_rows(image, data)


def _check_rows(image: ImageFile.ImageFile, data: bytes) -> None:
    """Raise CutShort where the compressed rows of a PNG end before its last one, which Pillow leaves at zero: only then they are counted."""
    bottom = np.asarray(image.crop((0, max(0, image.height - 2), *image.size)))  # of an interlaced one either row may be the last pass's
    if all(row.any() for row in bottom):
        return
    expected, found = _bytes_of_rows(data), 0
    inflate = zlib.decompressobj()
    for part in _pixel_data(data):
        while part and found < expected and not inflate.eof:
            found += len(inflate.decompress(part, PIECE))
            part = inflate.unconsumed_tail
    if found < expected:
        raise CutShort(f'the data end early: {found} bytes of rows, expected {expected}')


def _pixel_data(data: bytes) -> Iterator[bytes]:
    """Yield the parts of a PNG's compressed pixels, up to the next chunk of another kind."""
    at, begun = 8, False
    while at + 8 <= len(data):
        length, name = struct.unpack_from('>I4s', data, at)
        if name == b'IDAT':
            begun = True
            yield data[at + 8 : at + 8 + length]
        elif begun:
            return
        at += 12 + length


def _bytes_of_rows(data: bytes) -> int:
    """Return how many bytes the rows of a PNG have once they are inflated, each behind the byte of its filter (PNG 1.2, sections 2.3 and 8.2)."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from('>IIBBBBB', data, 16)
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes = ADAM7 if interlaced else ((1, 1, 0, 0),)
    sizes = ((-(-(width - left) // across), -(-(height - top) // down)) for down, across, top, left in passes)
    return sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns > 0 and rows > 0)


def _check_strips(image: TiffImagePlugin.TiffImageFile, data: bytes) -> None:
    """Raise CutShort where a strip or tile of a TIFF is nowhere, or a JPEG that is too small or whose data end early.

    libtiff shows what libjpeg fills in, and of a JPEG smaller than its strip whatever lay in memory: other pixels each time.
    """
    tags = image.tag_v2
    offsets = tags.get(STRIPS, tags.get(TILES, ()))
    nowhere = sum(offset == 0 for offset in offsets)
    if nowhere:
        raise CutShort(f'the data end early: {nowhere} of {len(offsets)} strips or tiles are nowhere')
    if image.info.get('compression') != 'jpeg':
        return
    tables = tags.get(TABLES, b'')[:-2]  # without its end marker, the strip without its start marker: one JPEG
    width, height = (tags[TILE_WIDTH], tags[TILE_LENGTH]) if TILES in tags else (tags[WIDTH], min(tags.get(ROWS, tags[HEIGHT]), tags[HEIGHT]))
    sizes = tags.get(STRIP_SIZES, tags.get(TILE_SIZES, ()))
    for number, (offset, size) in enumerate(zip(offsets, sizes, strict=False), 1):
        strip = data[offset : offset + size]
        rows = height if TILES in tags else min(height, tags[HEIGHT] - (number - 1) % -(-tags[HEIGHT] // height) * height)
        try:
            _watch((tables + strip[2:] if tables else strip) + END, width, rows)  # libtiff sets an end mark, too
        except CutShort as cut:
            raise CutShort(f'strip or tile {number} of {len(offsets)}: {cut}') from cut
        except DECODE_ERRORS:  # libtiff may still read it, or says what is wrong
            return


def _watch(strip: bytes, width: int, rows: int) -> None:
    with Image.open(io.BytesIO(strip), formats=('JPEG',)) as image:
        if image.width < width or image.height < rows:
            raise CutShort(f'a JPEG of {image.width} x {image.height} pixels, expected {width} x {rows}')
        image.draft(None, (1, 1))
        load_jpeg(image, strip, read_jpeg(strip))
