"""imagehash's phash at 8x8 and 16x16 bits, both from one pass over the pixels.

A phash shrinks the grey picture to 32x32 (64x64) pixels with a Lanczos window, takes the two-dimensional DCT and keeps,
for the 8x8 (16x16) lowest frequencies, whether each is above their median. Pillow shrinks in two passes and rounds
after each; so do we, by matrix products. Given the same grey picture the bits are imagehash's, but for one case.

In a symmetrical drawing (an icon, a shape on white) half of the frequencies are zero, the median is one of them, and
imagehash lets rounding decide the bits: a copy at half size is up to 24 of 64 bits away. So with `steady`, which is for
drawings, pages and charts, where TIED_SHARE of the frequencies lie within TIE of the median a bit is 1 only above
median + TIE. Of copies at half size and at JPEG q30, at 7 and 64 bits, this finds 1.00 and 1.00 of 300 emoji (imagehash's
bits: 0.87 and 0.87) and 1.00 and 0.99 of 250 easy-vqa shapes (0.96 and 0.94); it moved more than 2 and 6 bits in 1 of 126
charts.

From a picture that was decoded at reduced scale, frequencies shift a little, and bits whose frequency lies near the
median change. Where many lie so near, `sure` is False and the caller hashes the full picture instead (9 %). Measured on
612 JPEGs of about 100 KB cut from 40 real photos at six sizes, shorter side 104 to 213 px once reduced: the 557 sure ones
all within 2 of 64 and 6 of 256 bits of imagehash; of all 612, 8 are not.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LANCZOS_WINDOW = 3.0  # pixels of the smaller picture to each side
SIDES = {8: 32, 16: 64}  # bits a side: pixels a side, imagehash's highfreq_factor of 4
CACHED_PX = 1024  # sides up to which the shrinking matrix is kept: 96 float32 a pixel, so 100 MB at the very most
ROWS_PX = 1 << 20  # pixels turned into float32 at a time
ONE_THREAD = 1 << 18  # multiplications up to which OpenBLAS starts no threads (its interface/gemm.c: 65,536 * 4)
NEAR_MEDIAN = 40.0  # of the DCT's units (32 x 32 or 64 x 64 pixels of 0..255, unnormalised); see the module's docstring
MAX_NEAR = {8: 3, 16: 9}  # bits this near to the median that still count as sure
TIE = {8: 60.0, 16: 120.0}  # in the same units: what JPEG q30 and half size move a frequency that is zero
TIED_SHARE = 1 / 8  # of the bits: 125 of 126 charts are below, symmetrical drawings on white above


@dataclass(frozen=True, slots=True)
class Phash:
    """Both hashes, first bit highest, and whether few bits are near a coin toss."""

    bits64: bytes
    bits256: bytes
    sure: bool


def phash(grey: Image.Image, extent: tuple[float, float] | None = None, *, steady: bool = False) -> Phash:
    """Return both hashes of a picture of mode L, whose scene ends at `extent` (x, y) in its pixels: its size if None.

    `steady` keeps tied bits at 0, see the module's docstring.

    A JPEG of 427 rows has 214 at half scale, of which the scene fills 213.5. Taken for 214, a hundredth of the pictures
    of such sizes moves over 6 of 256 bits.
    """
    pixels = np.asarray(grey)
    height, width = pixels.shape
    across, down = extent or (width, height)
    columns, rows = shrinking(width, across), shrinking(height, down)
    step = max(1, ROWS_PX // width)
    strips = (pixels[at : at + step].astype(np.float32) for at in range(0, height, step))
    narrow = np.concatenate([_round(product(strip, columns)) for strip in strips])
    packed, sure = {}, True
    for (side, n_px), start in zip(SIDES.items(), (0, 32), strict=True):
        part = slice(start, start + n_px)
        low = low_frequencies(_round(product(rows[:, part].T, narrow[:, part])), side)
        middle = np.partition(low, (low.size // 2 - 1, low.size // 2))[low.size // 2 - 1 : low.size // 2 + 1].mean()
        is_tied = steady and (np.abs(low - middle) < TIE[side]).sum() >= TIED_SHARE * low.size
        packed[side] = np.packbits(low > middle + TIE[side] * is_tied).tobytes()
        sure &= int((np.abs(low - middle) < NEAR_MEDIAN).sum()) <= MAX_NEAR[side]
    return Phash(packed[8], packed[16], sure)


def product(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a @ b, done in strips of `a` so small that OpenBLAS stays on the calling thread.

    Callers hash on several threads already: with OpenBLAS's own threads on a busy machine of four cores, a picture took
    39 ms of processor time instead of 0.6.
    """
    strip = max(1, ONE_THREAD // b.size)
    whole = len(a) // strip * strip
    out = np.empty((len(a), b.shape[1]), np.float32)
    if whole:
        np.matmul(a[:whole].reshape(-1, strip, a.shape[1]), b, out=out[:whole].reshape(-1, strip, b.shape[1]))
    if whole < len(a):
        np.matmul(a[whole:], b, out=out[whole:])
    return out


def low_frequencies(pixels: NDArray[np.float32], side: int) -> NDArray[np.float64]:
    """Return the side * side lowest frequencies of the unnormalised DCT-II of a square picture, row by row.

    Rounded to 1e-6: frequencies that are zero in exact arithmetic (flat and symmetric drawings) must compare as equal
    on every machine.
    """
    basis = dct_basis(len(pixels), side)
    return np.round(basis @ pixels.astype(np.float64) @ basis.T, 6).ravel()


@lru_cache(maxsize=4)
def dct_basis(n_px: int, side: int) -> NDArray[np.float64]:
    """Return the first `side` rows of the unnormalised DCT-II: float64[side, n_px]."""
    return 2 * np.cos(np.pi / n_px * np.outer(np.arange(side), np.arange(n_px) + 0.5))


def shrinking(n_px: int, extent: float) -> NDArray[np.float32]:
    """Return float32[n_px, 32 + 64]: the weights that shrink the first `extent` of `n_px` pixels to 32 and to 64."""
    return _kept_shrinking(n_px, extent) if n_px <= CACHED_PX else _shrinking(n_px, extent)


def _shrinking(n_px: int, extent: float) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.concatenate([lanczos(n_px, size, extent) for size in SIDES.values()]).T)


_kept_shrinking = lru_cache(maxsize=256)(_shrinking)


def lanczos(n_px: int, size: int, extent: float) -> NDArray[np.float32]:
    """Return float32[size, n_px]: each new pixel's weights, as Pillow's resize with LANCZOS and box 0..extent has them."""
    scale = extent / size
    stretch = max(scale, 1.0)
    reach = LANCZOS_WINDOW * stretch
    centre = (np.arange(size)[:, None] + 0.5) * scale
    first = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    at = first + np.arange(int(2 * reach) + 2)
    inside = at < np.minimum((centre + reach + 0.5).astype(np.int64), n_px)
    x = (at - centre + 0.5) / stretch
    weight = np.where(inside & (np.abs(x) < LANCZOS_WINDOW), np.sinc(x) * np.sinc(x / LANCZOS_WINDOW), 0.0)
    dense = np.zeros((size, n_px), np.float32)
    line = np.broadcast_to(np.arange(size)[:, None], at.shape)
    dense[line[inside], at[inside]] = (weight / weight.sum(axis=1, keepdims=True))[inside]
    return dense


def _round(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `values` as Pillow stores them between its two passes: whole grey levels from 0 to 255."""
    return np.clip(np.rint(values, out=values), 0, 255, out=values)
