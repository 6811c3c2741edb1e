"""Colour JPEGs decoded by libjpeg-turbo itself, without a copy on the way: the pixels that Pillow has, to the last bit, in two thirds of its time.

It refuses what libjpeg warns of, among it data that end early, so that all that is not plainly whole is left to Pillow, which is watched
(curation/pictures/watched.py) and says what is wrong. Size, scans and work were bounded before, by the bytes alone.
"""

import simplejpeg
from PIL import Image, ImageFile

from schemas.jpeg_scans import ARITHMETIC, Jpeg, missing_of

SCALES = (8, 4, 2)  # a JPEG can be decoded at one of these parts of its sides in less time


def scale_of(size: tuple[int, int], shortest_px: int) -> int:
    """Return by what a picture's sides may be divided, so that both stay at least so long: 8, 4, 2 or 1."""
    shorter = min(size)
    return next((scale for scale in SCALES if shorter >= scale * shortest_px), 1)


def is_for_turbo(image: ImageFile.ImageFile, jpeg: Jpeg | None) -> bool:
    """Return whether an opened picture is a JPEG of three colours whose markers tell of all its coefficients."""
    return jpeg is not None and image.format in ('JPEG', 'MPO') and image.mode == 'RGB' and jpeg.frame not in ARITHMETIC and not missing_of(jpeg)


def decode_turbo(data: bytes, size: tuple[int, int], scale: int = 1) -> Image.Image | None:
    """Return a JPEG of this size as RGBX at 1 / `scale`, not turned; None for one that is not plainly whole, or not of this size."""
    width, height = -(-size[0] // scale), -(-size[1] // scale)
    least = (height, width) if scale > 1 else (0, 0)
    try:
        if simplejpeg.decode_jpeg_header(data)[:2] != (size[1], size[0]):  # before so much memory is taken for it
            return None
        pixels = simplejpeg.decode_jpeg(data, 'RGBX', min_height=least[0], min_width=least[1])
    except (ValueError, RuntimeError):  # what libjpeg calls an error, or warns of; or it has no memory, which Pillow tells from damage
        return None
    return Image.frombuffer('RGBX', (width, height), pixels, 'raw', 'RGBX', 0, 1) if pixels.shape[:2] == (height, width) else None
