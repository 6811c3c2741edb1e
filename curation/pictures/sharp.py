"""Pictures of which no encoder lost anything, laid on each other pixel for pixel: nothing is to be forgiven there but a change of all colours.

JPEG changes a little everywhere around what it changes much: of pages, charts and drawings at qualities 30 to 98, at least 1.08 pixels by less than
STRONG for each by more; of 180 drawings in which one thing was redrawn at most 0.42 (soft edges). So a dot of a few pixels, or a duller line, that no
sum over a place can tell from JPEG's losses, is told in pictures that nothing was lost of.
Two filters that shrink one drawing differ at its edges alone, too, but to both sides: around what was redrawn colours are off one way (1.00 of what
they are off at all, in each of 179), in 113 of 2,700 pairs of filters that look as if nothing was lost at most 0.74.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.pictures.registered import Looked, Map, strongest

TURNED = 0.02  # of the linear part of a map, from a turn by quarters or a mirror
SLID_PX = 0.75  # at the corners: found maps are some tenths of a pixel off
STRONG = 16  # grey levels of a channel
AROUND_PX = 17  # window around what differs: two blocks of JPEG
WEAK = 0.6  # pixels there that differ by less than STRONG, for each that differs by more
EQUAL = 0.5  # share of all pixels
ONE_WAY, ONE_WAY_PX = 0.9, 5  # of what colours are off in a window of so many pixels
ROUNDED = 1.5  # grey levels that are equal: fitted colours are no whole numbers


def laid_exactly(a: Looked, b: Looked, to_b: Map) -> tuple[NDArray[np.uint8], NDArray[np.bool_]] | None:
    """Return what `b` shows at the pixels of `a`, uint8[H, W, 3], and where it shows any, bool[H, W]; None where no turn or mirror is meant."""
    height, width = a.pixels.shape[:2]
    exact = _exact(to_b, width, height)
    if exact is None:
        return None
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(b.pixels, exact, (width, height), flags=flags)
    seen = cv2.warpAffine(np.ones(b.pixels.shape[:2], np.uint8), exact, (width, height), flags=flags) > 0
    return np.asarray(shown, np.uint8), seen


def lost_nothing(apart: NDArray[np.float32], seen: NDArray[np.bool_]) -> bool:
    """Return whether two pictures that are so far apart, float32[H, W, 3], differ in some things, and around these in next to nothing."""
    off = strongest(np.abs(apart))
    strong = seen & (off >= STRONG)
    if not strong.any() or (off[seen] <= ROUNDED).mean() < EQUAL:
        return False
    around = cv2.dilate(strong.astype(np.uint8), np.ones((AROUND_PX, AROUND_PX), np.uint8)) > 0
    if (around & seen & (off > ROUNDED) & ~strong).sum() > WEAK * strong.sum():
        return False
    one_way, at_all = (strongest(np.abs(cv2.blur(some, (ONE_WAY_PX, ONE_WAY_PX))))[strong] for some in (apart, np.abs(apart)))
    return bool((one_way / at_all).mean() >= ONE_WAY)


def _exact(to_b: Map, width: int, height: int) -> NDArray[np.float64] | None:
    """Return the map from pixels to pixels that is meant, float64[2, 3]; None where there is none so near."""
    linear = np.rint(to_b[:, :2])
    if np.abs(linear - to_b[:, :2]).max() > TURNED or not (np.abs(linear).sum(axis=0) == 1).all():
        return None
    corners = np.array([[0, width - 1, 0, width - 1], [0, 0, height - 1, height - 1]])
    slide = to_b[:, :2] @ corners + to_b[:, 2:] - linear @ corners
    exact = np.column_stack([linear, np.rint(slide.mean(axis=1))])
    return exact if np.abs(slide - exact[:, 2:]).max() <= SLID_PX else None
