"""The hashes that a picture would have flipped, turned, cropped, or with a border: about 1,300, from one small grey picture and no other.

A phash is the low frequencies of a picture, which of a window of it are a product of two small matrices; those of flips and turns are the same ones
with other signs, transposed. A border adds nothing but to the mean. So all are matrix products over BASE_PX squared, in a few ms. They are phashes
within what the grid of windows (STEP of a side) and the recipe's bits leave room for; what they propose is compared on pixels.
"""

import itertools
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BASE_PX = 128  # squared, of which windows are taken
STEP, LEAST_AREA = 0.04, 0.8  # of crop windows: steps of a side, and the share of the area that is left
BORDERS = (0.03, 0.06, 0.1, 0.15, 0.2, 0.25)  # on all sides, of the shorter side
BARS = (0.06, 0.1, 0.14, 0.18, 0.23, 0.28)  # above or below, of the height
SHAPES = (1.0, 4 / 3, 16 / 9, 3 / 4, 9 / 16)  # width / height of letterboxes
TONES = (0.0, 255.0)  # of borders
FLAT = 2.0  # grey levels: root of the sum of squares of the low frequencies without the mean, below which it shows nothing; charts of lines have 3
SIDE = {64: 8, 256: 16}
RATIOS, PROJECTIONS = 256, 8192  # kept of those made, 16 MB and 64 MB: pictures of a mix have sides of any ratio

TRANSFORMS = ('flip', 'turn', 'crop', 'border')  # what forms are made by
Window = tuple[float, float, float, float]  # left, top, right, bottom in parts of the sides; beyond 0 and 1 lies a border


@dataclass(frozen=True)
class Expanded:
    """The low frequencies of every form of a picture: float32[F, 16, 16]."""

    frequencies: NDArray[np.float32]
    windows: list[Window]  # forms / positions
    positions: tuple[int, ...] = tuple(range(8))  # mirrored along x (1), along y (2), and then axes exchanged (4)

    @cached_property
    def narrow(self) -> NDArray[np.uint64]:
        """Return the 64-bit hash of each form, uint64[F]."""
        return _bits(self.frequencies[:, :8, :8]).view('>u8').astype(np.uint64).ravel()

    def wide(self, forms: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return the 256-bit hashes of some forms, uint64[K, 4]."""
        return _bits(self.frequencies[forms]).view('>u8').astype(np.uint64)

    def to_other(self, form: int, of: tuple[int, int], other: tuple[int, int]) -> NDArray[np.float64]:
        """Return the map [2, 3] from a pixel of the picture, of this size, to one of another that shows it in a form; the grid is STEP wide."""
        at, number = divmod(form, len(self.windows))
        kind = self.positions[at]
        left, top, right, bottom = self.windows[number]
        unit = np.diag([1 / of[0] / (right - left), 1 / of[1] / (bottom - top)])
        first = np.array([(0.5 / of[0] - left) / (right - left), (0.5 / of[1] - top) / (bottom - top)])
        if kind >= 4:
            unit, first = unit[::-1].copy(), first[::-1].copy()
        for axis, is_mirrored in enumerate((kind % 2 == 1, kind % 4 >= 2)):
            if is_mirrored:
                unit[axis], first[axis] = -unit[axis], 1 - first[axis]
        return np.column_stack([unit * np.array(other)[:, None], first * other - 0.5])


def expanded(rgb: Image.Image, inside: tuple[int, int, int, int], transforms: Collection[str] = TRANSFORMS) -> Expanded:
    """Return the forms of a picture; `inside` is where it is without its own border. Windows that show nothing are left out.

    `transforms`: some of TRANSFORMS. Without `crop` and `border` the only window is the whole picture, and as it is it is no form.
    """
    base = np.asarray(rgb.convert('L').resize((BASE_PX, BASE_PX), Image.Resampling.BOX), np.float32)
    windows = [(window, tone) for kind, window, tone in _windows(rgb.width / rgb.height) if kind in ('whole', *transforms)]
    width, height = rgb.size
    own = inside[0] / width, inside[1] / height, inside[2] / width, inside[3] / height
    if own != (0, 0, 1, 1) and 'border' in transforms:
        windows.append((own, 0.0))
    across = {(window[0], window[2]) for window, _ in windows}
    by_tone = {tone: {x: (base - tone) @ _projection(*x).T for x in across} for tone in TONES}
    low: NDArray[np.float32] = np.stack([_projection(window[1], window[3]) @ by_tone[tone][window[0], window[2]] for window, tone in windows])
    low[:, 0, 0] += np.array([tone for _, tone in windows], np.float32)
    power = np.sqrt((low[:, :8, :8] ** 2).sum(axis=(1, 2)) - low[:, 0, 0] ** 2)
    shown = np.flatnonzero((power > FLAT) & (base.std() > FLAT / 2))  # a border alone would be seen round a picture that shows nothing
    positions = _positions(transforms)
    return Expanded(np.concatenate(_lying(low[shown], positions)), [windows[at][0] for at in shown], positions)


def _positions(transforms: Collection[str]) -> tuple[int, ...]:
    if {'flip', 'turn'} <= set(transforms):
        own = tuple(range(1, 8))
    else:
        own = (*((1, 2) if 'flip' in transforms else ()), *((3, 5, 6) if 'turn' in transforms else ()))
    return (0, *own) if {'crop', 'border'} & set(transforms) else own


def _lying(low: NDArray[np.float32], positions: tuple[int, ...]) -> list[NDArray[np.float32]]:
    """Return the frequencies of windows in some positions: the signs of the odd ones turn along an axis that is mirrored."""
    signs, exchanged = np.where(np.arange(low.shape[1]) % 2, -1.0, 1.0).astype(np.float32), low.transpose(0, 2, 1)
    same = np.ones_like(signs)
    return [(exchanged if at >= 4 else low) * (signs if at % 2 else same) * (signs if at % 4 >= 2 else same)[:, None] for at in positions]


def _bits(low: NDArray[np.float32]) -> NDArray[np.uint8]:
    flat = low.reshape(len(low), low.shape[1] * low.shape[2])
    return np.packbits(flat > np.median(flat, axis=1, keepdims=True), axis=1)


@lru_cache(PROJECTIONS)
def _projection(start: float, stop: float) -> NDArray[np.float32]:
    """Return float32[16, BASE_PX]: the low frequencies of what lies between `start` and `stop`, each the mean over its length times a cosine."""
    length = stop - start
    edges = np.clip(np.arange(BASE_PX + 1) / BASE_PX, max(0.0, start), min(1.0, stop))
    angle = np.pi * np.arange(1, SIDE[256])[:, None] * (edges - start) / length
    waves = np.diff(np.sin(angle), axis=1) / (np.pi * np.arange(1, SIDE[256])[:, None])
    return np.vstack([np.diff(edges) / length, waves]).astype(np.float32)


@lru_cache(RATIOS)
def _windows(shape: float) -> tuple[tuple[str, Window, float], ...]:
    """Return the windows of a picture of this width / height: what each is of (`whole`, `crop`, `border`), and the tone of what lies beyond it."""
    steps = [round(k * STEP, 3) for k in range(int((1 - LEAST_AREA) / STEP + 1.5))]
    cuts = [(first, last) for first, last in itertools.product(steps, steps) if first + last <= 1 - LEAST_AREA + 1e-9]
    crops = [(left, top, 1 - right, 1 - bottom) for (left, right), (top, bottom) in itertools.product(cuts, cuts)
             if (1 - left - right) * (1 - top - bottom) >= LEAST_AREA - 1e-9]
    short = min(shape, 1.0)
    borders: list[Window] = [(-p * short / shape, -p * short, 1 + p * short / shape, 1 + p * short) for p in BORDERS]
    borders += [window for p in BARS for window in ((0.0, -p, 1.0, 1.0), (0.0, 0.0, 1.0, 1 + p))]
    for target in SHAPES:
        wide, high = max(target / shape, 1.0) - 1, max(shape / target, 1.0) - 1
        if 0.02 < wide + high < 1.5:
            borders.append((-wide / 2, -high / 2, 1 + wide / 2, 1 + high / 2))
    within = [('crop' if window != (0, 0, 1, 1) else 'whole', window, 0.0) for window in crops]
    return (*within, *(('border', window, tone) for window in borders for tone in TONES))
