"""A picture as a data URL, for a page that is one file."""

import base64
import io

from PIL import Image

from curation.pixels import DECODE_ERRORS, FORMATS
from pipelines.snapshot.rows import media_type

MAX_SIDE_PX = 1024  # larger pictures are shown smaller
MAX_BYTES = 400_000  # of a picture shown as it is
SHOWN_AS_IT_IS = ('image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/bmp')


def inline_picture(data: bytes) -> str:
    """Return the data URL of a picture, made smaller where it is large; '' for bytes that are none."""
    kind = media_type(data)
    if len(data) > MAX_BYTES or kind not in SHOWN_AS_IT_IS:
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
                out = io.BytesIO()
                image.convert('RGB').save(out, 'JPEG', quality=88)
        except (Image.DecompressionBombError, *DECODE_ERRORS):
            return ''
        data, kind = out.getvalue(), 'image/jpeg'
    return f'data:{kind};base64,{base64.b64encode(data).decode()}'
