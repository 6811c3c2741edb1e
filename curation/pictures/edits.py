"""Planted edits of a picture: what canaries and the recall benchmark look for again."""

import hashlib
import io
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from schemas.pixels import MOST_PIXELS, read_rgb

QUALITY = 85  # JPEG quality of an edited picture where the edit does not say one
FOUND = ('copy', 'half', 'jpeg_q30')  # a build fails if fewer than 0.95 of these are found again
BRIGHTER = 1.2
BLUR_PX = 2.0  # radius of the Gaussian
PAD_SHARE = 0.10  # of each side, in white
WATERMARK_ALPHA = 128  # of 255


def edit(image: bytes, name: str, seed: str) -> bytes:
    """Return the edited picture: the very bytes for 'copy', a JPEG else. Equal arguments give equal bytes.

    `seed` (say, the image id) decides where a crop lies and what a watermark says. Raises KeyError for an unknown name.
    """
    change = EDITS[name]
    if change is None:
        return image
    rgb = read_rgb(image, max_pixels=MOST_PIXELS)
    lot = hashlib.sha256(f'{name}/{seed}'.encode()).digest()
    quality = int(name.removeprefix('jpeg_q')) if name.startswith('jpeg_q') else QUALITY
    out = io.BytesIO()
    change(rgb, lot).save(out, 'JPEG', quality=quality)
    return out.getvalue()


def _same(image: Image.Image, _: bytes) -> Image.Image:
    return image


def _resize(share: float) -> Callable[[Image.Image, bytes], Image.Image]:
    def change(image: Image.Image, _: bytes) -> Image.Image:
        size = max(1, round(image.width * share)), max(1, round(image.height * share))
        return image.resize(size, Image.Resampling.LANCZOS)

    return change


def _crop(share: float) -> Callable[[Image.Image, bytes], Image.Image]:
    def change(image: Image.Image, lot: bytes) -> Image.Image:
        """Cut `share` of width and of height away, divided between the two sides by the first bytes of `lot`."""
        cut_x, cut_y = round(image.width * share), round(image.height * share)
        left, top = cut_x * lot[0] // 255, cut_y * lot[1] // 255
        return image.crop((left, top, left + image.width - cut_x, top + image.height - cut_y))

    return change


def _pad(image: Image.Image, _: bytes) -> Image.Image:
    x, y = round(image.width * PAD_SHARE), round(image.height * PAD_SHARE)
    padded = Image.new('RGB', (image.width + 2 * x, image.height + 2 * y), 'white')
    padded.paste(image, (x, y))
    return padded


def _brighter(image: Image.Image, _: bytes) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(BRIGHTER)


def _blur(image: Image.Image, _: bytes) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(BLUR_PX))


def _watermark(image: Image.Image, lot: bytes) -> Image.Image:
    """Lay grey half-transparent text of a fifth of the shorter side over the middle."""
    mask = Image.new('L', (64, 12), 0)
    ImageDraw.Draw(mask).text((1, 0), lot.hex()[:10].upper(), fill=WATERMARK_ALPHA)
    height = max(1, min(image.size) // 5)
    width = max(1, min(image.width, height * 64 // 12))
    stamp = mask.resize((width, height), Image.Resampling.BICUBIC)
    marked = image.copy()
    marked.paste((200, 200, 200), ((image.width - width) // 2, (image.height - height) // 2), stamp)
    return marked


def _flip(image: Image.Image, _: bytes) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _rotate(image: Image.Image, _: bytes) -> Image.Image:
    return image.transpose(Image.Transpose.ROTATE_90)


EDITS: dict[str, Callable[[Image.Image, bytes], Image.Image] | None] = {
    'copy': None, 'half': _resize(0.5), 'three_quarters': _resize(0.75), 'jpeg_q30': _same, 'jpeg_q60': _same,
    'crop_2': _crop(0.02), 'crop_5': _crop(0.05), 'crop_10': _crop(0.10), 'crop_20': _crop(0.20), 'pad': _pad,
    'brighter': _brighter, 'blur': _blur, 'watermark': _watermark, 'flip': _flip, 'rotate_90': _rotate,
}  # fmt: skip
