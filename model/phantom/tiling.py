"""Images as square tiles: bounded decoding, dynamic tiling 1-6 with a thumbnail, ImageNet normalisation."""

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from schemas.pixels import read_rgb

# ImageNet statistics, as in the released build_transform.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
MARGIN_PX = 10  # between pictures joined for one question, black, as in the released evaluation


def decode_image(data: bytes | None) -> Image.Image:
    """The picture that curation saw, RGB; raises BadImage. The size is checked before any pixel is decoded."""
    return read_rgb(data)


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
