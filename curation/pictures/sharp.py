"""Whether a thing was redrawn in a picture that is otherwise the same to the bit.

Where no encoder lost anything, nothing is to be forgiven: pictures that a turn or a mirror lays on each other pixel for pixel, whose ground is equal
around what differs, were drawn twice. JPEG changes the blocks around, another size every edge; neither is looked at here. So a dot of a few pixels,
or a duller line, that no sum over a place can tell from JPEG's losses is told.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.pictures.registered import Looked, Map

TURNED = 0.02  # of the linear part of a map, from a turn by quarters or a mirror
SLID_PX = 0.75  # at the corners: found maps are some tenths of a pixel off
STRONG = 16  # grey levels of a channel
AROUND_PX = 17  # window around what differs: two blocks of JPEG
EQUAL_AROUND, EQUAL = 0.6, 0.9  # share of pixels that are equal, around what differs and in all


def redrawn(a: Looked, b: Looked, to_b: Map) -> bool:
    """Return whether `b`, or what it shows of `a`, is `a` to the bit but for some things that differ by STRONG and more."""
    exact = _exact(to_b, a.pixels.shape[1], a.pixels.shape[0])
    if exact is None:
        return False
    height, width = a.pixels.shape[:2]
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(b.pixels, exact, (width, height), flags=flags)
    seen = cv2.warpAffine(np.ones(b.pixels.shape[:2], np.uint8), exact, (width, height), flags=flags) > 0
    off = np.where(seen, np.abs(a.pixels.astype(np.int16) - warped).max(axis=2), 0)
    strong = off >= STRONG
    if not strong.any() or (off[seen] == 0).mean() < EQUAL:
        return False
    around = (cv2.dilate(strong.astype(np.uint8), np.ones((AROUND_PX, AROUND_PX), np.uint8)) > 0) & seen
    return bool((off[around] == 0).mean() >= EQUAL_AROUND)


def _exact(to_b: Map, width: int, height: int) -> NDArray[np.float64] | None:
    """Return the map from pixels to pixels that is meant, float64[2, 3]; None where there is none so near."""
    linear = np.rint(to_b[:, :2])
    if np.abs(linear - to_b[:, :2]).max() > TURNED or not (np.abs(linear).sum(axis=0) == 1).all():
        return None
    corners = np.array([[0, width - 1, 0, width - 1], [0, 0, height - 1, height - 1]])
    slide = to_b[:, :2] @ corners + to_b[:, 2:] - linear @ corners
    exact = np.column_stack([linear, np.rint(slide.mean(axis=1))])
    return exact if np.abs(slide - exact[:, 2:]).max() <= SLID_PX else None
