"""Whether two pictures with near-equal hashes show the same thing: colours for all, aligned pixels for documents.

A phash sees neither colour nor a changed digit. `same_colours` asks the stored thumbnails and opens no picture,
`same_picture` opens both. Thresholds were set so that JPEG at quality 30, half size and both together pass; figures on
other pictures: benchmarks/near_duplicate_recall.py.
"""


import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curation.pictures.images import colour_thumb, image_kind
from schemas.pixels import MOST_PIXELS, read_rgb

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's convert('L')
# All in grey levels of 255. Each is just above the largest value seen over 880 re-encoded and resized copies of charts,
# text pages and easy-vqa pictures (JPEG q30, q60; half, 0.75 and 1.5 times the size; half at q30).
CELL_CHROMA = 64.0  # one cell of the 8 x 8 thumbnail, colour without brightness
MEAN_CHROMA = 16.0  # the mean over the thumbnail
STROKE = 37.0  # brightness of 3 x 3 px: a stroke of a letter, seen 35.7
STROKE_FLOOR = 12.0  # a stroke that changed by less is never reported
STROKE_TIMES = 2.6  # the largest change of a stroke against the 95th percentile of all, plus 4: seen 2.4
REGION = 24.0  # 16 x 16 px, colour with and without brightness: a bar, a shape; seen 22.8
FINE_PX, COARSE_PX = 1024, 512  # longer side at which strokes and regions are compared
THUMBS_AT_ONCE = 2048  # of each side, so that they stay in the processor's cache: five times as quick
EDGE = 10.0  # standard deviation of brightness from which a 3 x 3 block holds an edge


def same_colours(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return bool[P]: whether thumbnails uint8[P, 192] in `a` and `b` have the same colours; brightness may differ."""
    same = np.empty(len(a), bool)
    for at in range(0, len(a), THUMBS_AT_ONCE):
        some = slice(at, at + THUMBS_AT_ONCE)
        differing = np.subtract(a[some], b[some], dtype=np.float32).reshape(-1, 64, 3)
        red, green, blue = (differing[..., band] for band in range(3))
        bright = red * LUMA[0] + green * LUMA[1] + blue * LUMA[2]
        chroma = np.maximum(np.maximum(np.abs(red - bright), np.abs(green - bright)), np.abs(blue - bright))
        same[some] = (chroma.max(axis=1) <= CELL_CHROMA) & (chroma.mean(axis=1) <= MEAN_CHROMA)
    return same


def same_picture(a: bytes, b: bytes) -> bool:
    """Return whether two pictures that passed `inspect_image` and have near hashes are one: see the module's docstring.

    Two photos are one if their colours agree; as soon as one of the two is a document, aligned pixels must agree too.
    """
    first, second = open_to_compare(a), open_to_compare(b)
    thumbs = [np.frombuffer(colour_thumb(rgb), np.uint8).reshape(1, -1) for rgb in (first, second)]
    if not same_colours(*thumbs)[0]:
        return False
    kinds = {image_kind(rgb.convert('L')) for rgb in (first, second)}
    return kinds == {'photo'} or same_pixels(first, second)


def open_to_compare(data: bytes) -> Image.Image:
    """Return a picture as `same_pixels` wants it: RGB, upright, the longer side at most FINE_PX (so 3 MB at most)."""
    rgb = read_rgb(data, max_pixels=MOST_PIXELS)
    scale = FINE_PX / max(rgb.size)
    if scale >= 1:
        return rgb
    width, height = (max(1, round(side * scale)) for side in rgb.size)
    return rgb.resize((width, height), Image.Resampling.LANCZOS)


def same_pixels(a: Image.Image, b: Image.Image) -> bool:
    """Return whether two opened pictures agree on aligned pixels."""
    if a.size == b.size and a.tobytes() == b.tobytes():
        return True
    coarse = _aligned(a, b, COARSE_PX)
    if coarse is None or regions_differ(np.asarray(coarse[0], np.float32) - np.asarray(coarse[1], np.float32)):
        return False
    fine = _aligned(a.convert('L'), b.convert('L'), FINE_PX)
    return fine is not None and not strokes_differ(*(np.asarray(grey, np.float32) for grey in fine))


def strokes_differ(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    """Return whether a 3 x 3 block of brightness float32[H, W] changed more than re-encoding or resizing explains."""
    changed = np.abs(block_means(a - b, 3))
    largest = float(changed.max(initial=0.0))
    if largest > STROKE:
        return True
    edges = np.maximum(_block_spread(a, 3), _block_spread(b, 3)) > EDGE
    usual = float(np.percentile(changed[edges], 95)) if edges.any() else 0.0
    return largest > STROKE_FLOOR and largest > STROKE_TIMES * (usual + 4.0)


def regions_differ(difference: NDArray[np.float32]) -> bool:
    """Return whether some 16 x 16 block (every 4 px) of a difference float32[H, W, 3] changed colour or brightness."""
    height, width = (size // 4 * 4 for size in difference.shape[:2])
    cells = difference[:height, :width].reshape(height // 4, 4, width // 4, 4, 3).mean(axis=(1, 3))
    blocks = block_means(cells, min(4, *cells.shape[:2]))
    chroma = blocks - (blocks @ LUMA)[..., None]
    return max(float(np.abs(blocks).max()), float(np.abs(chroma).max())) > REGION


def block_means(values: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return the mean of every size x size block (all offsets) of float32[H, W, ...]: float32[H - size + 1, ...]."""
    height, width = len(values) - size + 1, values.shape[1] - size + 1
    rows = np.sum([values[at : at + height] for at in range(size)], axis=0)
    return np.sum([rows[:, at : at + width] for at in range(size)], axis=0) / np.float32(size * size)


def _block_spread(values: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    return np.sqrt(np.maximum(block_means(values * values, size) - block_means(values, size) ** 2, 0))


def _aligned(a: Image.Image, b: Image.Image, longest_px: int) -> list[Image.Image] | None:
    """Return both at the size of the smaller one (at most `longest_px`), None where their shapes differ by over 2 %."""
    if abs(a.width * b.height - b.width * a.height) > 0.02 * a.width * b.height:
        return None
    smaller = min(a, b, key=_area)
    scale = min(1.0, longest_px / max(smaller.size))
    size = max(4, round(smaller.width * scale)), max(4, round(smaller.height * scale))
    return [image if image.size == size else image.resize(size, Image.Resampling.LANCZOS) for image in (a, b)]


def _area(image: Image.Image) -> int:
    return image.width * image.height
