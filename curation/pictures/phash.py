"""imagehash's phash at 8x8 and 16x16 bits, of a full picture or of one decoded at reduced scale, and a steadier hash of drawings.

A phash shrinks the grey picture to 32x32 (64x64) pixels with a Lanczos window, takes the two-dimensional DCT and keeps, for
the 8x8 (16x16) lowest frequencies, whether each is above their median. imagehash does so with Pillow and SciPy. Here both sizes
come from one pass over the pixels, as matrix products; that, and the reduced scale even more, moves each frequency a little.

Bits whose frequency lies near the median may change then, always in pairs, since half of them are 1. Where more than few lie so
near, a full picture is hashed as imagehash does it, rounding errors included, and in place of one at reduced scale the full one
is hashed. So hashes are within 2 of 64 and 6 of 256 bits of imagehash's, but for 1 in 400 harshly edited photos
(figures: benchmarks/README.md).

`steady64` and `steady256` are for drawings. In a symmetrical one (an icon, a shape on white) half of the frequencies are zero, the
median is one of them, and rounding errors decide imagehash's bits: a copy at half size is up to 24 of 64 bits away. Where
TIED_SHARE of the frequencies lie within TIE of the median, a steady bit is 1 only above median + TIE; elsewhere these are the
phash again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.float32]

LANCZOS_WINDOW = 3.0  # pixels of the smaller picture to each side
SIDES = {8: 32, 16: 64}  # bits a side: pixels a side, imagehash's highfreq_factor of 4
BAND_PX = 16  # new pixels made in one product; the windows of so few miss most of the picture, which saves half of the time
CACHED_PX = 1024  # sides up to which the bands are kept: about 40 float32 a pixel, so 45 MB at the very most
ROWS_PX = 1 << 17  # pixels turned into float32 at a time: 512 KB stay in the processor's cache, and the allocator keeps them
ONE_THREAD = 1 << 18  # multiplications up to which OpenBLAS starts no threads (its interface/gemm.c: 65,536 * 4)
TIE = {8: 60.0, 16: 120.0}  # units of Doubt.near; what JPEG q30 and half size move a frequency that is zero
TIED_SHARE = 1 / 8  # of the bits: 128 of 129 charts are below, symmetrical drawings on white above


@dataclass(frozen=True, slots=True)
class Phash:
    """The hashes, first bit highest; the steady ones are equal to the others where nothing is tied."""

    bits64: bytes
    bits256: bytes
    steady64: bytes
    steady256: bytes


@dataclass(frozen=True, slots=True)
class Band:
    """How BAND_PX neighbours among the new pixels are made: `line[seen] @ weights`."""

    seen: slice  # of the old pixels: those within any one's Lanczos window
    weights: Pixels  # float32[seen, BAND_PX]


@dataclass(frozen=True, slots=True)
class Doubt:
    """How many frequencies may lie how near to the median, per bits a side, for a hash to count."""

    near: dict[int, float]  # units of the unnormalised DCT of 32 x 32 (64 x 64) pixels of 0..255
    most: dict[int, int]


# Our rounding of the small pictures and Pillow's differ in some pixels by a grey level: frequencies near the median moved by 1
# and 4 in nine photos of ten, by 6 and 10 in 99 of 100.
FULL = Doubt(near={8: 8.0, 16: 16.0}, most={8: 3, 16: 7})
# Frequencies near the median moved by 15 and 45 in the median photo, by 50 and 133 in one of a hundred. Most of that is rounding to
# whole grey levels, which only imagehash does: more pixels (scale 1/2) gain nothing, more `near` only more full pictures.
SCALED = Doubt(near={8: 30.0, 16: 40.0}, most={8: 3, 16: 7})


def phash(grey: Image.Image) -> Phash:
    """Return the hashes of a full picture of mode L."""
    return _hashes(_sure(grey, SIDES))


def phash_of_scaled(grey: Image.Image, extent: tuple[float, float], full: Callable[[], Image.Image]) -> Phash:
    """Return the hashes of a picture of mode L at reduced scale; one that may be too far from the full picture's is the hash of `full()`.

    Its scene ends at `extent` (x, y) in its pixels: a JPEG of 427 rows has 214 at half scale, of which the scene fills
    213.5. Taken for 214, a hundredth of the pictures of such sizes moves over 6 of 256 bits.
    """
    above = _quick(grey, extent, SIDES, SCALED, _clip)
    if unsure := {side: n_px for side, n_px in SIDES.items() if side not in above}:
        above |= _sure(full(), unsure)
    return _hashes(above)


def _sure(grey: Image.Image, sides: dict[int, int]) -> dict[int, NDArray[np.float64]]:
    """Return the frequencies less their median of a full picture, for each of `sides`."""
    quick = _quick(grey, grey.size, sides, FULL, _round)
    return {side: quick[side] if side in quick else _as_imagehash(grey, side) for side in sides}


def _quick(
    grey: Image.Image, extent: tuple[float, float], sides: dict[int, int], doubt: Doubt, stored: Callable[[Pixels], Pixels]
) -> dict[int, NDArray[np.float64]]:
    """Return the same for those of `sides` of which no more than `doubt` says lie near the median."""
    pixels = np.asarray(grey)
    height, width = pixels.shape
    step = max(1, ROWS_PX // width)
    ends = np.cumsum([0, *sides.values()]).tolist()  # the lines of all sizes stand side by side
    narrow = np.empty((height, ends[-1]), np.float32)
    for at in range(0, height, step):
        strip = pixels[at : at + step].astype(np.float32)
        for n_px, first in zip(sides.values(), ends, strict=False):
            shrunk(strip, shrinking(width, n_px, extent[0]), narrow[at : at + step, first : first + n_px])
    stored(narrow)
    found = {}
    for (side, n_px), first in zip(sides.items(), ends, strict=False):
        low = low_frequencies(stored(lowered(narrow[:, first : first + n_px], shrinking(height, n_px, extent[1]))), side)
        above = low - _median(low)
        if np.count_nonzero(np.abs(above) < doubt.near[side]) <= doubt.most[side]:
            found[side] = above
    return found


def _as_imagehash(grey: Image.Image, side: int) -> NDArray[np.float64]:
    import scipy.fft  # takes a quarter of a second; most programmes come without

    n_px = SIDES[side]
    small = np.asarray(grey.resize((n_px, n_px), Image.Resampling.LANCZOS), np.float64)
    low = scipy.fft.dct(scipy.fft.dct(small, axis=0), axis=1)[:side, :side].ravel()
    return low - _median(low)


def _hashes(above: dict[int, NDArray[np.float64]]) -> Phash:
    """Return the hashes of the frequencies less their median."""
    bits, steady = {}, {}
    for side, much in above.items():
        is_tied = np.count_nonzero(np.abs(much) < TIE[side]) >= TIED_SHARE * much.size
        bits[side] = np.packbits(much > 0).tobytes()
        steady[side] = np.packbits(much > TIE[side]).tobytes() if is_tied else bits[side]
    return Phash(bits[8], bits[16], steady[8], steady[16])


def _median(low: NDArray[np.float64]) -> float:
    """Return the median of an even number of values; a third of the time of np.median."""
    half = low.size // 2
    ordered = np.partition(low, (half - 1, half))
    return float(ordered[half - 1] + ordered[half]) / 2


def shrunk(lines: Pixels, bands: tuple[Band, ...], out: Pixels) -> None:
    """Write every line shrunk to `out`, float32[len(lines), BAND_PX * len(bands)], in products so small that OpenBLAS stays on the calling thread.

    Callers hash on several threads already: with OpenBLAS's own threads on a busy machine of four cores, a picture took
    39 ms of processor time instead of 0.6.
    """
    for at, band in enumerate(bands):
        seen, new = lines[:, band.seen], out[:, at * BAND_PX : (at + 1) * BAND_PX]
        strip = max(1, ONE_THREAD // band.weights.size)
        whole = len(lines) // strip * strip if len(lines) > strip else 0
        if whole:
            np.matmul(seen[:whole].reshape(-1, strip, len(band.weights)), band.weights, out=new[:whole].reshape(-1, strip, BAND_PX))
        if whole < len(lines):
            np.matmul(seen[whole:], band.weights, out=new[whole:])


def lowered(columns: Pixels, bands: tuple[Band, ...]) -> Pixels:
    """Return float32[BAND_PX * len(bands), W]: every column of float32[H, W] shrunk, in products as small."""
    n_columns = columns.shape[1]
    out = np.empty((BAND_PX * len(bands), n_columns), np.float32)
    for at, band in enumerate(bands):
        seen, new = columns[band.seen], out[at * BAND_PX : (at + 1) * BAND_PX]
        some = max(1, ONE_THREAD // band.weights.size)
        for first in range(0, n_columns, some):
            np.matmul(band.weights.T, seen[:, first : first + some], out=new[:, first : first + some])
    return out


def low_frequencies(pixels: NDArray[np.float32], side: int) -> NDArray[np.float64]:
    """Return the side * side lowest frequencies of the unnormalised DCT-II of a square picture, row by row."""
    basis = dct_basis(len(pixels), side)
    return (basis @ pixels.astype(np.float64) @ basis.T).ravel()


@lru_cache(maxsize=4)
def dct_basis(n_px: int, side: int) -> NDArray[np.float64]:
    """Return the first `side` rows of the unnormalised DCT-II: float64[side, n_px]."""
    return 2 * np.cos(np.pi / n_px * np.outer(np.arange(side), np.arange(n_px) + 0.5))


def shrinking(n_px: int, size: int, extent: float) -> tuple[Band, ...]:
    """Return what shrinks the first `extent` of `n_px` pixels to `size`."""
    return _kept_shrinking(n_px, size, extent) if n_px <= CACHED_PX else _shrinking(n_px, size, extent)


def _shrinking(n_px: int, size: int, extent: float) -> tuple[Band, ...]:
    dense = lanczos(n_px, size, extent)
    return tuple(_band(dense[at : at + BAND_PX]) for at in range(0, size, BAND_PX))


def _band(weights: Pixels) -> Band:
    seen = np.flatnonzero(weights.any(axis=0))
    part = slice(int(seen[0]), int(seen[-1]) + 1)
    return Band(part, np.ascontiguousarray(weights[:, part].T))


_kept_shrinking = lru_cache(maxsize=512)(_shrinking)


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
    return _clip(np.rint(values, out=values))


def _clip(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `values` within 0..255: what a picture at reduced scale is stored as, where rounding would only add noise."""
    return np.minimum(np.maximum(values, 0, out=values), 255, out=values)  # a third of the time of np.clip, of so few
