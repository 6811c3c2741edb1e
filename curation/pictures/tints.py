"""Whether two drawings laid on each other have other colours somewhere: what is thin fills no region, and brightness may hide its strokes.

A thin line's colour is never where it was drawn: JPEG spreads it over 16 pixels, shrinking over its neighbours. What stays is how much of a colour
a place holds. So chroma is added up over PLACE cells of CELL_PX, without what the ground around has, and the sums of both pictures are compared.
Bounds were set on `python -m benchmarks.recoloured --set` and the shapes of copies; figures on other drawings: docs/copies.md.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.pictures.registered import strongest

CELL_PX, PLACE, GROUND = 4, 8, 15  # pixels of a cell's side; cells of a place's side, and of that whose median is the chroma of the ground
GREY = 4.0  # chroma of a cell, in grey levels, of a picture without colours (JPEG has some)
STRONG = 4.0  # of a place, from which it tells by how much colours differ
TINT, TINT_SHARE = 2.5, 0.35  # by which the chroma of a place may be another: grey levels above what places usually are off, and the share of it
USUAL, MOST_USUAL = 75, 1.0  # the percentile that is usual (JPEG at quality 30 moves all), and at most so many grey levels: a grid is in most places
MANY = 400  # cells of a picture that has a usual at all: in a smaller one a thing is half of it
GROUND_TIMES = 0.5, 8.0  # bytes for a grey level where medians of chroma, up to 226, and of its differences are taken

Chroma = NDArray[np.float32]  # [H, W, 3]: of pixels, cells or places


def has_tint(chroma: Chroma) -> bool:
    """Return whether some cell has a colour, however small a part of the picture it is."""
    return float(np.abs(_cells(chroma)).max(initial=0)) > GREY


def tint_slope(a: Chroma, b: Chroma) -> float:
    """Return by what the colours of most places of `a` are to be multiplied for those of `b`; 1 where neither has any but the ground's."""
    summed_a, summed_b = (_summed(_above_ground(_cells(chroma), GROUND_TIMES[0])) for chroma in (a, b))
    power = (summed_a**2).sum(axis=2)
    strong = power > STRONG**2
    return float(np.median((summed_a * summed_b).sum(axis=2)[strong] / power[strong])) if strong.any() else 1.0


def tints_differ(a: Chroma, b: Chroma) -> bool:
    """Return whether some place has another colour."""
    cells_a, cells_b = _cells(a), _cells(b)
    off = strongest(np.abs(_summed(_above_ground(cells_a - cells_b, GROUND_TIMES[1]))))
    holds = np.maximum(*(strongest(_summed(np.abs(_above_ground(cells, GROUND_TIMES[0])))) for cells in (cells_a, cells_b)))
    usual = min(MOST_USUAL, float(np.percentile(off, USUAL))) if off.size > MANY else 0.0
    return bool((off > np.maximum(TINT + usual, TINT_SHARE * holds)).any())


def _cells(chroma: Chroma) -> Chroma:
    size = max(1, chroma.shape[1] // CELL_PX), max(1, chroma.shape[0] // CELL_PX)
    return np.asarray(cv2.resize(chroma, size, interpolation=cv2.INTER_AREA), np.float32)


def _above_ground(cells: Chroma, times: float) -> Chroma:
    """Return cells less the median of those around; nothing at the rim, into which JPEG spreads what lies beside it in the other picture."""
    in_bytes = np.clip(np.rint(cells * times) + 128, 0, 255).astype(np.uint8)  # medians of more than 5 x 5 are for bytes only
    above: Chroma = np.asarray(cells - (cv2.medianBlur(in_bytes, GROUND).astype(np.float32) - 128) / times, np.float32)
    above[[0, -1]], above[:, [0, -1]] = 0, 0
    return above


def _summed(cells: Chroma) -> Chroma:
    return np.asarray(cv2.blur(cells, (PLACE, PLACE), borderType=cv2.BORDER_CONSTANT), np.float32)
