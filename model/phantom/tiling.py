"""Images as square tiles: bounded decoding, dynamic tiling 1-6 with a thumbnail, ImageNet normalisation."""

import io
import math
import struct

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

# ImageNet statistics, as in the released build_transform.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
MARGIN_PX = 10  # between pictures joined for one question, black, as in the released evaluation
MAX_PIXELS = 64_000_000  # decoded pixels of one image; 64 MP is 192 MB as RGB
FORMATS = ('PNG', 'JPEG', 'WEBP', 'GIF', 'BMP', 'TIFF')


class BadImage(ValueError):
    """Bytes that are not an image we decode; the message says why."""


def decode_image(data: bytes | None) -> Image.Image:
    """RGB image of the bytes; raises BadImage. The size is checked before any pixel is decoded."""
    if not data:
        raise BadImage('no image bytes')
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
    except UnidentifiedImageError as e:
        raise BadImage(f'not one of {", ".join(FORMATS)}') from e
    except Image.DecompressionBombError as e:
        raise BadImage(f'expected at most {MAX_PIXELS} pixels, found many more') from e
    except (OSError, ValueError) as e:
        raise BadImage(f'does not open: {e}') from e
    if width * height > MAX_PIXELS:
        raise BadImage(f'expected at most {MAX_PIXELS} pixels, found {width} x {height}')
    try:
        return image.convert('RGB')
    except (OSError, SyntaxError, EOFError, struct.error, ValueError) as e:
        raise BadImage(f'does not decode: {e}') from e


def choose_grid(width: int, height: int, *, tile: int, min_tiles: int, max_tiles: int) -> tuple[int, int]:
    """Columns and rows whose aspect ratio is nearest; at equal distance the larger grid, if the image fills half."""
    grids = [
        (columns, rows)
        for columns in range(1, max_tiles + 1)
        for rows in range(1, max_tiles + 1)
        if min_tiles <= columns * rows <= max_tiles
    ]
    best, best_gap = (1, 1), math.inf
    for columns, rows in sorted(grids, key=math.prod):
        gap = abs(width / height - columns / rows)
        fills_half = width * height > 0.5 * tile * tile * columns * rows
        if gap < best_gap or (gap == best_gap and fills_half):
            best, best_gap = (columns, rows), gap
    return best


def split_tiles(image: Image.Image, *, tile: int, min_tiles: int, max_tiles: int, thumbnail: bool) -> list[Image.Image]:
    """Tiles of `tile` pixels a side in reading order, then the thumbnail if there is more than one."""
    columns, rows = choose_grid(*image.size, tile=tile, min_tiles=min_tiles, max_tiles=max_tiles)
    wide = image.resize((columns * tile, rows * tile))
    tiles = [
        wide.crop((x * tile, y * tile, (x + 1) * tile, (y + 1) * tile)) for y in range(rows) for x in range(columns)
    ]
    return tiles + [image.resize((tile, tile))] if thumbnail and len(tiles) > 1 else tiles


def normalise(tiles: list[Image.Image]) -> Tensor:
    """float[N, 3, H, W] of RGB tiles, in ImageNet units."""
    pixels = torch.from_numpy(np.stack([np.asarray(tile, dtype=np.uint8) for tile in tiles]))
    pixels = pixels.permute(0, 3, 1, 2).float() / 255
    return (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def join_images(images: list[Image.Image]) -> Image.Image:
    """One picture with all of them side by side, middles aligned; a single one stays as it is."""
    if len(images) == 1:
        return images[0]
    width = sum(image.width for image in images) + MARGIN_PX * (len(images) - 1)
    joined = Image.new('RGB', (width, max(image.height for image in images)))
    left = 0
    for image in images:
        joined.paste(image, (left, (joined.height - image.height) // 2))
        left += image.width + MARGIN_PX
    return joined
