"""A picture for a browser: what a model is shown of it, and the same as a data URL, for a page that is one file."""

import base64
import io

from PIL import Image

from pipelines.snapshot.rows import media_type
from schemas.pixels import DECODE_ERRORS, CostlyImage, read_rgb
from schemas.shown import as_shown

MAX_SIDE_PX = 1024  # larger pictures are shown smaller
MAX_BYTES = 400_000  # of a picture shown as it is


def for_browser(data: bytes) -> tuple[str, bytes]:
    """Return (media type, bytes) that a browser shows as a model sees the picture; bytes that cannot be decoded are left as they are.

    Of bytes that would take a browser minutes it is a line that says so.
    """
    try:
        shown = as_shown(data)
    except CostlyImage as e:
        return 'text/plain', str(e).encode()
    except DECODE_ERRORS:
        return media_type(data), data
    return shown.media_type, shown.data


def inline_picture(data: bytes) -> str:
    """Return the data URL of a picture, made smaller where it is large; '' for bytes that are none."""
    try:
        shown = as_shown(data)
        kind, small = shown.media_type, shown.data
        if len(small) > MAX_BYTES:
            kind, small = 'image/jpeg', _smaller(read_rgb(data))
    except DECODE_ERRORS:
        return ''
    return f'data:{kind};base64,{base64.b64encode(small).decode()}'


def _smaller(rgb: Image.Image) -> bytes:
    rgb.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    out = io.BytesIO()
    rgb.save(out, 'JPEG', quality=88)
    return out.getvalue()
