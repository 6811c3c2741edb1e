"""The pixels of a picture as a viewer shows them: decoded in full, upright, RGB, transparency on white."""

import struct
import zlib

import numpy as np
from PIL import Image

FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF')
ORIENTATION_TAG = 0x0112  # EXIF 2.32, table 4
# What Pillow 12.3's readers raise on damaged bytes; DecompressionBombError and its warning are handled apart.
DECODE_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, KeyError, AttributeError, RuntimeError,
    OverflowError, ZeroDivisionError, struct.error, zlib.error,
)  # fmt: skip
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


def decode_rgb(image: Image.Image) -> Image.Image:
    """Return an opened picture decoded in full: RGB, upright, transparency on white."""
    return as_rgb(upright(image))


def upright(image: Image.Image) -> Image.Image:
    """Return an opened picture decoded in full and turned as its EXIF orientation says; damaged EXIF says nothing."""
    orientation = image_orientation(image)
    image.load()
    turn = UPRIGHT.get(orientation) if image.format != 'TIFF' else None  # Pillow turns TIFF itself when it loads
    return image if turn is None else image.transpose(turn)


def image_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 where there is none or it makes no sense."""
    if 'exif' not in image.info and image.format != 'TIFF':
        return 1
    try:
        found = image.getexif().get(ORIENTATION_TAG, 1)
    except DECODE_ERRORS:
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def as_rgb(image: Image.Image) -> Image.Image:
    """Return a loaded picture of any mode as RGB, transparency on white."""
    if image.mode in ('I', 'F'):  # 32-bit values, where Pillow would clip at 255: stretch them to 0..255
        values = np.asarray(image, np.float64)
        low, spread = values.min(), np.ptp(values) or 1.0
        return Image.fromarray(((values - low) * (255 / spread)).astype(np.uint8)).convert('RGB')
    if image.mode.startswith('I;16'):  # keep the high byte
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert('RGB')
    if image.has_transparency_data:
        rgba = image.convert('RGBA')
        return Image.alpha_composite(Image.new('RGBA', rgba.size, 'white'), rgba).convert('RGB')
    return image if image.mode == 'RGB' else image.convert('RGB')
