"""The one way from stored bytes to the picture that everyone is shown: upright, 8-bit RGB, transparency on white.

Curation hashes and judges this picture, the judge is sent it, the gallery shows it, the trainer and a checkpoint's tiles are cut from it. What is
done with each stored form: docs/pictures.md. Colour profiles are not applied, as in `datasets` and the usual trainers.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import (  # noqa: F401  the readers are loaded now: later, with no more files to open, Pillow would go on without them
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from schemas.disk import raise_moment
from schemas.picture_work import MAX_WORK, TooCostly, picture_work, tags_work

FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF')
MAX_PIXELS = 64_000_000  # decoded pixels of one picture where nobody says otherwise; 64 MP is 192 MB as RGB
MOST_PIXELS = 178_956_970  # at which Pillow speaks of a bomb, whatever a recipe allows
ORIENTATION_TAG = 0x0112  # EXIF 2.32, table 4
# What Pillow 12.3's readers raise on damaged bytes; DecompressionBombError and its warning are handled apart.
DECODE_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, KeyError, AttributeError, RuntimeError,
    OverflowError, ZeroDivisionError, AssertionError, struct.error, zlib.error,
)  # fmt: skip
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_TURNED_BY = ('exif', 'Raw profile type exif', 'xmp', 'XML:com.adobe.xmp')  # of Pillow's `info`: what may say how a picture is turned
_MEMORY = 'out of memory'  # how Pillow's decoders begin to say so, in an OSError without a number, also of sizes that overflow
_ROOM = 512 << 20  # bytes that can be had: then the bytes of the picture are at fault
DEPTHS = (8, 10, 12, 16)  # bits of what scanners, cameras and medical devices store in 16
OUTLIERS = 1 / 1000  # of the pixels, one at least, at either end, that may be hot pixels or fill values and decide nothing then


class BadImage(ValueError):
    """Bytes that are not a picture we decode; the message says why."""


class CostlyImage(BadImage):
    """Bytes that take more work to decode than a picture can need: nothing for a browser either."""


def refuse_moment(error: BaseException) -> None:
    """Raise what a decoder met that says nothing about the bytes: the system's own refusals, and a lack of memory, as MemoryError."""
    raise_moment(error)
    if isinstance(error, OSError) and str(error).startswith(_MEMORY):
        bytearray(_ROOM)  # raises MemoryError where that much is not to be had


def read_rgb(data: bytes | None, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Return the picture in `data` as everyone is shown it; raises BadImage. Size and work are bounded before any pixel is decoded."""
    with open_picture(data, max_pixels=max_pixels) as image:
        try:
            return decode_rgb(image)
        except DECODE_ERRORS as e:
            refuse_moment(e)
            raise BadImage(f'does not decode: {e}') from e


@contextmanager
def open_picture(data: bytes | None, *, max_pixels: int = MAX_PIXELS) -> Iterator[ImageFile.ImageFile]:
    """Yield the picture in `data`, opened and not yet decoded; raises BadImage. Size and work are bounded: the one way to open what a stranger wrote.

    What a decoder meets that says nothing about the bytes (no memory, no more files to open) is raised as it is.
    """
    if not data:
        raise BadImage('no image bytes')
    try:
        work = picture_work(data)
        work.check_opening()
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except TooCostly as e:
        raise CostlyImage(f'costs too much: {e}') from e
    except UnidentifiedImageError as e:
        raise BadImage(f'not one of {", ".join(FORMATS)}') from e
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise BadImage(f'expected at most {max_pixels} pixels, found many more') from e
    except DECODE_ERRORS as e:
        refuse_moment(e)
        raise BadImage(f'does not open: {e}') from e
    with image:
        if image.width * image.height > max_pixels:
            raise BadImage(f'expected at most {max_pixels} pixels, found {image.width} x {image.height}')
        try:
            work.check_decoding()
        except TooCostly as e:
            raise CostlyImage(f'costs too much: {e}') from e
        yield image


def decode_rgb(image: Image.Image) -> Image.Image:
    """Return an opened picture decoded in full: RGB, upright, transparency on white. Of several frames or pages it is the first."""
    return as_rgb(upright(image))


def upright(image: Image.Image) -> Image.Image:
    """Return an opened picture decoded in full and turned as it says it is to be."""
    orientation = image_orientation(image)
    image.load()
    turn = UPRIGHT.get(orientation) if image.format != 'TIFF' else None  # Pillow turns TIFF itself when it loads
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.info = {name: said for name, said in turned.info.items() if name not in _TURNED_BY}  # so that nobody turns it once more
    return turned


def image_orientation(image: Image.Image) -> int:
    """Return the orientation that an opened picture's EXIF says, else its XMP; 1 where there is none, it is damaged or it makes no sense.

    As `PIL.ImageOps.exif_transpose` has it, by which `datasets` turns pictures. A PNG is decoded first: it may say so behind its pixels.
    """
    if image.format == 'PNG':
        image.load()
    if image.format != 'TIFF' and not any(name in image.info for name in _TURNED_BY):
        return 1
    try:
        if tags_work(_exif_of(image)) > MAX_WORK:
            return 1  # tags that name the same bytes over and over: gigabytes once they are read
        found = image.getexif().get(ORIENTATION_TAG, 1)
    except DECODE_ERRORS as e:
        refuse_moment(e)
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _exif_of(image: Image.Image) -> bytes:
    """Return the EXIF data that Pillow is about to read; a profile in a PNG's text is hexadecimal, behind three lines (PNG's extensions, 1.2.0)."""
    stored = image.info.get('exif', b'')
    text = '' if stored else image.info.get('Raw profile type exif', '')
    return bytes.fromhex(''.join(text.split('\n')[3:])) if text else stored


def as_rgb(image: Image.Image) -> Image.Image:
    """Return a loaded picture of any mode as RGB, transparency on white."""
    if image.mode in ('I', 'F') or image.mode.startswith('I;16'):
        return _as_grey(image).convert('RGB')
    if image.mode == 'La':
        image = image.convert('LA')
    if image.has_transparency_data:
        rgba = _of_8_bits(image).convert('RGBA')
        return Image.alpha_composite(Image.new('RGBA', rgba.size, 'white'), rgba).convert('RGB')
    return image if image.mode == 'RGB' else image.convert('RGB')


def _of_8_bits(image: Image.Image) -> Image.Image:
    """Return the picture with its transparent colour as Pillow decodes colours: of 16-bit PNG the high bytes."""
    clear = image.info.get('transparency')
    if isinstance(clear, tuple) and max(clear) > 255:
        image = image.copy()
        image.info['transparency'] = tuple(band >> 8 for band in clear)
    return image


def _as_grey(image: Image.Image) -> Image.Image:
    """Return grey values of 16 or 32 bits as 8 bits; what is no number (NaN) is black, a value that stands for transparent white."""
    values = np.asarray(image)
    grey = _of_depth(values) if image.mode != 'F' else _stretched(values)
    clear = image.info.get('transparency')
    if isinstance(clear, int):
        grey[values == clear] = 255
    return Image.fromarray(grey)


def _of_depth(values: NDArray) -> NDArray[np.uint8]:
    """Return whole numbers by their bits: the highest eight of the smallest of DEPTHS that holds them; stretched where they are no such numbers."""
    low, high = _ends(values)
    depth = next((bits for bits in DEPTHS if low >= 0 and high < 1 << bits), None)
    if depth is None:
        return _stretched(values)
    return (np.clip(values, 0, (1 << depth) - 1) >> (depth - 8)).astype(np.uint8)


def _stretched(values: NDArray) -> NDArray[np.uint8]:
    """Return values of no known scale as 0..255 from end to end: float pictures are kept from 0 to 1, in metres, in kelvins."""
    low, high = _ends(values)
    with np.errstate(over='ignore', invalid='ignore'):
        share = (np.asarray(values, np.float64) - low) / ((high - low) or 1.0)
    return (np.clip(np.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0), 0, 1) * 255).astype(np.uint8)


def _ends(values: NDArray) -> tuple[float, float]:
    """Return the least and the largest value but for outliers: OUTLIERS that lie further from the rest than the rest is wide.

    Where the rest is one value there are none: thin lines on an even ground are what is drawn.
    """
    finite = values[np.isfinite(values)].astype(np.float64) if values.dtype.kind == 'f' else values.ravel()  # a range may be past float32
    if not finite.size:
        return 0.0, 0.0
    k = min(max(1, int(finite.size * OUTLIERS)), (finite.size - 1) // 2)
    ordered = np.partition(finite, (k, finite.size - 1 - k))
    low, high = float(ordered[k]), float(ordered[finite.size - 1 - k])
    width = high - low or np.inf
    near = finite[(finite >= low - width) & (finite <= high + width)]
    return float(near.min()), float(near.max())
