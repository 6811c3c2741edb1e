"""Pictures drawn for the tests of images, hashes, edits and confirmation."""

import io

import numpy as np
from PIL import Image, ImageDraw


def photo(seed: int = 0, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A picture like a photo: noise at every scale, in colour."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size[1], size[0], 3))
    for cells in (3, 6, 12, 24, 48):
        layer = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        total += np.asarray(layer.resize(size, Image.Resampling.BICUBIC), float) / cells**0.6
    total -= total.min()
    return Image.fromarray((total * (255 / total.max())).astype(np.uint8))


def chart(
    heights: tuple[int, ...] = (30, 80, 55, 95, 20), title: str = 'Sales in 1987',
    colour: tuple[int, int, int] = (31, 119, 180)
) -> Image.Image:
    """A bar chart of 640 x 480 px; a height of 1 is 3 px."""
    image = Image.new('RGB', (640, 480), 'white')
    draw = ImageDraw.Draw(image)
    draw.text((250, 30), title, fill='black', font_size=18)
    draw.line((60, 80, 60, 420, 600, 420), fill='black')
    for at, height in enumerate(heights):
        draw.rectangle((90 + at * 100, 419 - 3 * height, 150 + at * 100, 419), fill=colour)
        draw.text((105 + at * 100, 430), str(height), fill='black', font_size=12)
    return image


def encoded(image: Image.Image, format: str = 'PNG', **options) -> bytes:
    """The bytes of `image` in a file format."""
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()
