"""The bytes that a server or a browser is given of a picture, so that it shows what `schemas.pixels` decodes."""

import io
from dataclasses import dataclass

from PIL import Image

from schemas.pixels import DECODE_ERRORS, MOST_PIXELS, BadImage, decode_rgb, image_orientation, open_picture, refuse_moment

MEDIA_TYPES = {'JPEG': 'image/jpeg', 'PNG': 'image/png', 'WEBP': 'image/webp', 'GIF': 'image/gif', 'BMP': 'image/bmp'}
_PLAIN_MODES = ('1', 'L', 'P', 'RGB')
_TURNED_LATE = (b'eXIf', b'XML:com.adobe.xmp', b'Raw profile type ')  # what may stand behind the pixels of a PNG


@dataclass(frozen=True, slots=True)
class Shown:
    """What is given, and what was done to the stored picture for it: '' for nothing."""

    media_type: str
    data: bytes
    how: str = ''


def as_shown(data: bytes, max_px: int | None = None) -> Shown:
    """Return the stored bytes where every reader shows them alike, else a PNG of the picture, its longer side at most `max_px`.

    Raises BadImage for bytes that are no picture of a known format, or cost too much to decode: whoever is sent them decodes them too.
    """
    with open_picture(data, max_pixels=MOST_PIXELS) as image:
        try:
            if is_plain(image, data) and (max_px is None or max(image.size) <= max_px):
                return Shown(MEDIA_TYPES[image.format or ''], data)
            return _as_png(image, max_px)
        except DECODE_ERRORS as e:
            refuse_moment(e)
            raise BadImage(f'does not decode: {e}') from e


def is_plain(image: Image.Image, data: bytes) -> bool:
    """Return whether any reader shows an opened picture alike: of 8 bits, no transparency, not turned, in a format that all know."""
    if image.format not in MEDIA_TYPES or image.mode not in _PLAIN_MODES or image.has_transparency_data:
        return False
    if image.format == 'PNG' and not any(mark in data for mark in _TURNED_LATE):  # else it must be decoded to be asked
        return True
    return image_orientation(image) == 1


def _as_png(image: Image.Image, max_px: int | None) -> Shown:
    rgb = decode_rgb(image)
    before, scale = rgb.size, min(1.0, (max_px or max(rgb.size)) / max(rgb.size))
    if scale < 1:
        rgb = rgb.resize((max(1, round(before[0] * scale)), max(1, round(before[1] * scale))), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    rgb.save(out, 'PNG')
    resized = f' -> {rgb.width}x{rgb.height}' if rgb.size != before else ''
    return Shown('image/png', out.getvalue(), f'{before[0]}x{before[1]}{resized} png')
