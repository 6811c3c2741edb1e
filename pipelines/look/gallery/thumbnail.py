"""A picture made small for the grid, and how large it is."""

import io

from schemas.pixels import DECODE_ERRORS, MOST_PIXELS, BadImage, open_picture, read_rgb

SIDE_PX = 320  # twice the middle size of a tile, for screens of two pixels a point
QUALITY = 80  # of JPEG


def thumbnail(data: bytes) -> bytes | None:
    """Return the picture as a JPEG of at most SIDE_PX, None for bytes that are none or that nobody should decode."""
    try:
        small = read_rgb(data)
    except BadImage:
        return None
    small.thumbnail((SIDE_PX, SIDE_PX))
    out = io.BytesIO()
    small.save(out, 'JPEG', quality=QUALITY)
    return out.getvalue()


def longer_side(data: bytes | None) -> int | None:
    """Return the longer side of a picture in pixels, from its header; None of bytes that are none, or that nobody should open."""
    try:
        with open_picture(data, max_pixels=MOST_PIXELS) as image:
            return max(image.size)
    except (BadImage, *DECODE_ERRORS):
        return None
