"""A picture decoded to be looked at: what its header says, its colours, its brightness; a larger JPEG at reduced scale, where nothing needs more."""

import io
from dataclasses import dataclass
from functools import partial

from PIL import Image, ImageFile

from curation.pictures.turbo import decode_turbo, is_for_turbo, scale_of
from curation.pictures.whole import load_whole
from schemas.picture_work import Work
from schemas.pixels import decode_rgb, image_orientation

DRAFT_PX = 104  # a JPEG is decoded at the smallest of 1/1, 1/2, 1/4, 1/8 that leaves both sides this long


@dataclass(frozen=True, slots=True)
class Decoded:
    """One picture, upright: `size`, `format` and `mode` as stored, `colours` in RGB or RGBX."""

    size: tuple[int, int]
    format: str  # Pillow's name
    mode: str
    orientation: int  # EXIF 1..8
    data: bytes
    colours: Image.Image
    scale: int = 1  # of which the sides of `colours` are a part

    @property
    def extent(self) -> tuple[float, float]:
        """Return where the scene ends in `colours`: a JPEG of 427 rows has 214 at half scale, of which it fills 213.5."""
        return self.size[0] / self.scale, self.size[1] / self.scale

    def full(self) -> Image.Image:
        """Return the colours at full scale, of a JPEG at reduced scale decoded once more."""
        if self.scale == 1:
            return self.colours
        if self.mode == 'RGB' and (colours := decode_turbo(self.data, self.size)) is not None:
            return colours
        with Image.open(io.BytesIO(self.data), formats=('JPEG',)) as again:
            return decode_rgb(again)

    def full_grey(self) -> Image.Image:
        """Return the brightness at full scale."""
        return self.full().convert('L')


def decode_plain(data: bytes, size: tuple[int, int]) -> Decoded | None:
    """Return a plain JPEG (schemas/plain_jpeg.py) of this size decoded; None where it is not plainly whole, which Pillow is to say."""
    scale = scale_of(size, DRAFT_PX)
    colours = decode_turbo(data, size, scale)
    return None if colours is None else Decoded(size, 'JPEG', 'RGB', 1, data, colours, scale)


def decode_opened(image: ImageFile.ImageFile, data: bytes, work: Work) -> Decoded:
    """Return an opened picture decoded; raises TooCostly, CutShort where its data end early, and what Pillow raises."""
    work.check_decoding()
    size, image_format = image.size, image.format or ''
    orientation = image_orientation(image)
    decoded = partial(Decoded, size, image_format, image.mode, orientation, data)
    scale = scale_of(size, DRAFT_PX) if image_format in ('JPEG', 'MPO') and orientation == 1 else 1
    if orientation == 1 and is_for_turbo(image, work.jpeg) and (colours := decode_turbo(data, size, scale)) is not None:
        return decoded(colours, scale)
    if scale > 1:
        image.draft(None, (DRAFT_PX, DRAFT_PX))
    scale = scale if image.size != size else 1
    load_whole(image, data, work.jpeg)
    return decoded(decode_rgb(image), scale)
