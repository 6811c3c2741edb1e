"""Whether what a map lays on each other is one picture: grey, JPEG, mild colours and contrast are forgiven, and on photos text laid over a tenth.

Photos must agree in their structure: of the 16 x 16 blocks that show any, in either picture, STRUCTURE must run alike. So two scenes before
one background, or frames of a game, are two. A block of another colour and the same structure is a thing that was recoloured.
Pages, charts and drawings (`image_kind`) must agree everywhere, in regions and in strokes, as copies of them have to in any case: a text laid
over one cannot be told from a page that says another word, and is another picture.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curation.pictures.confirm import LUMA, regions_differ, strokes_differ
from curation.pictures.images import image_kind
from curation.pictures.registered import LEAST_FEATURES, Looked, Map, Registration, registrations, scaled, whole_maps
from curation.pictures.sharp import laid_exactly, lost_nothing
from curation.pictures.tints import GREY, has_tint, tint_slope, tints_differ

PHOTO_PX, FINE_PX = 256, 800  # longer side at which photos, and strokes of documents, are compared
LEAST_PX = 24  # shorter side of what both show, at the size it is compared
LEAST_SHARE = 0.2  # of the first picture: half of either side is a quarter
BLOCK_PX = 16
STRUCTURED = 6.0  # standard deviation of brightness in a block, in grey levels
ALIKE = 0.6  # correlation of a block's brightness in both
STRUCTURE = 0.8  # of structured blocks that must run alike ...
LIKELY = 0.5  # ... and of documents, to be looked at closely
# Of 1,661 copies of pages, charts and drawings one had a mark more alone than 14 (170), of 595 maps of other pages and charts none less than 42
MOST_ALONE, ALONE_PX, NEAR_PX = 30.0, 8, 2  # grey levels, squares of so many pixels, and how far off the other may have it
FILTERS = (Image.Resampling.BOX, Image.Resampling.LANCZOS)  # by which a smaller copy of a document may have been made
CHANGED = 24.0  # grey levels of a block's mean colour
MOST_CHANGED, MOST_RECOLOURED = 0.16, 0.035  # of all blocks; a text over a tenth of the area touches more blocks than that
# Of brightness * contrast + chroma * colour + offset: what is mild
CONTRAST, COLOUR, OFFSET = (0.7, 1.45), (0.55, 1.8), 64.0
DRAWN_COLOUR = (0.7, 1.4)  # of a drawing: brown is red 2.1 times, and one coloured thing decides on the slope of all
LEAST_OF_DRAWING = 0.9  # of one drawing, without borders, must lie in the other: a thing that is its own mirror image lays one half on the other
GREY_CONTRAST, GREY_OFFSET = (0.93, 1.07), 10.0  # of a drawing without its colours: nothing else may have changed
FITTED_EVERY = 2  # pixel of a row and of a column: brightness, contrast and colours of all pictures follow from a quarter of their pixels
RIM_PX = 6
SLIDES_PX = 1.0  # of the other: a drawing that lies elsewhere on its ground is another
COARSE_PX = 128  # of maps that may be some way off
REFINED_PX, REFINED_STEPS, REFINED_GAIN = 480, 20, 1e-4  # longer side, and the ends of ECC (Evangelidis and Psarakis, TPAMI 2008)


@dataclass(frozen=True)
class Aligned:
    """What two pictures show of each other: float32[H, W, 3] each, and bool[H, W], where both have pixels."""

    a: NDArray[np.float32]
    b: NDArray[np.float32]
    seen: NDArray[np.bool_]


def agree(a: Looked, b: Looked, to_b: Map, *, whole: bool = False) -> bool:
    """Return whether `a`, or what `b` shows of it, and `b` under the map are one picture; a map of the whole slides by no more than SLIDES_PX."""
    aligned = _aligned(a, b, to_b, PHOTO_PX)
    if aligned is None:
        return False
    if not _is_document(aligned):
        return _photos_agree(aligned)
    if not _likely(aligned) or _overlap(a, b, to_b) < LEAST_OF_DRAWING:
        return False
    refined = _refined(a, b, to_b)
    if _redrawn(a, b, refined):
        return False
    if not whole or np.abs((refined - to_b) @ _corners(a)).max() <= SLIDES_PX:
        to_b = refined
    filters = FILTERS if abs(np.linalg.det(to_b[:, :2])) < 0.9 or max(a.rgb.size) > FINE_PX else FILTERS[:1]
    return any(_documents_agree(fine) for shrinks in filters if (fine := _aligned(a, b, to_b, FINE_PX, shrinks)))


def _overlap(a: Looked, b: Looked, to_b: Map) -> float:
    """Return how much of the smaller picture lies in the other, both without borders."""
    of_a, of_b = (np.array(list(itertools.product((box[0], box[2]), (box[1], box[3]))))[[0, 1, 3, 2]] for box in (a.inside, b.inside))
    first, second = (np.asarray(some, np.float32) for some in (of_a @ to_b[:, :2].T + to_b[:, 2], of_b))
    common, _ = cv2.intersectConvexConvex(first, second)
    return float(common) / max(1.0, min(cv2.contourArea(first), cv2.contourArea(second)))


def _corners(picture: Looked) -> NDArray[np.float64]:
    width, height = picture.rgb.size
    return np.array([[0.0, width - 1, 0, width - 1], [0, 0, height - 1, height - 1], [1, 1, 1, 1]])


def _aligned(a: Looked, b: Looked, to_b: Map, longest_px: int, shrinks: Image.Resampling = Image.Resampling.BOX) -> Aligned | None:
    """Return both at the size of that which shows less of it, None where they share too little."""
    height, width = a.pixels.shape[:2]
    scale = min(1.0, math.sqrt(abs(np.linalg.det(to_b[:, :2]))), longest_px / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(a.rgb.resize(size, shrinks)) if size != (width, height) else a.pixels
    back = np.array([[width / size[0], 0, width / size[0] / 2 - 0.5], [0, height / size[1], height / size[1] / 2 - 0.5], [0, 0, 1]])
    to_b = (np.vstack([to_b, [0, 0, 1]]) @ back)[:2]
    shrink = math.sqrt(abs(np.linalg.det(to_b[:, :2])))
    pixels = b.pixels
    if shrink > 1.2:  # a warp looks at single pixels: shrunk first, as the other is
        to = max(1, round(pixels.shape[1] / shrink)), max(1, round(pixels.shape[0] / shrink))
        of = np.array([to[0] / pixels.shape[1], to[1] / pixels.shape[0]])
        pixels = np.asarray(cv2.resize(pixels, to, interpolation=cv2.INTER_AREA), np.uint8)
        to_b = np.column_stack([to_b[:, :2] * of[:, None], (to_b[:, 2] + 0.5) * of - 0.5])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(pixels, to_b, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.warpAffine(np.ones(pixels.shape[:2], np.uint8), to_b, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP) > 0
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not len(rows) or seen.mean() < LEAST_SHARE or min(len(rows), len(columns)) < LEAST_PX:
        return None
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return Aligned(small[box].astype(np.float32), warped[box].astype(np.float32), seen[box])


def _is_document(aligned: Aligned) -> bool:
    greys = (Image.fromarray(np.clip(pixels @ LUMA, 0, 255).astype(np.uint8)) for pixels in (aligned.a, aligned.b))
    return 'document' in map(image_kind, greys)


def _recoloured(aligned: Aligned, *, document: bool) -> NDArray[np.float32] | None:
    """Return `a` in the brightness, contrast and colours of `b`, float32[H, W, 3]; None where that is no mild change."""
    few = slice(None, None, FITTED_EVERY), slice(None, None, FITTED_EVERY)
    seen = aligned.seen[few]
    pixels_a, pixels_b = aligned.a[few][seen], aligned.b[few][seen]
    bright_a, bright_b = pixels_a @ LUMA, pixels_b @ LUMA
    chroma_a, chroma_b = _chroma(pixels_a), _chroma(pixels_b)
    used = np.ones(len(bright_a), bool)
    gain, offset = 1.0, 0.0
    for _ in range(3):  # what was laid over is left out of the second look
        gain, offset = _line(bright_a[used], bright_b[used])
        off = np.abs(gain * bright_a + offset - bright_b)
        used = off <= max(12.0, float(np.percentile(off, 80)))
    if document:
        drawn_a, drawn_b = (np.where(aligned.seen[..., None], _chroma(pixels), 0).astype(np.float32) for pixels in (aligned.a, aligned.b))
        is_grey, had_colours = not has_tint(drawn_b), has_tint(drawn_a)
    else:
        is_grey, had_colours = _most(chroma_b) <= GREY, _most(chroma_a) > GREY
    colour = 0.0 if is_grey else 1.0 if not had_colours else tint_slope(drawn_a, drawn_b) if document else _slope(chroma_a[used], chroma_b[used])
    contrast = GREY_CONTRAST if document and is_grey and had_colours else CONTRAST
    if not contrast[0] <= gain <= contrast[1] or abs(offset) > (GREY_OFFSET if contrast is GREY_CONTRAST else OFFSET):
        return None
    mild = DRAWN_COLOUR if document else COLOUR
    if not is_grey and had_colours and not mild[0] <= colour / gain <= mild[1]:
        return None
    bright = aligned.a @ LUMA
    return np.clip(colour * aligned.a + ((gain - colour) * bright + offset)[..., None], 0, 255)


def _chroma(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(pixels - (pixels @ LUMA)[..., None], np.float32)


def _most(chroma: NDArray[np.float32]) -> float:
    """Return how far from grey the most coloured pixels of float32[N, 3] are, in grey levels."""
    return float(np.percentile(np.maximum(chroma.max(axis=1), -chroma.min(axis=1)), 98))


def _line(x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[float, float]:
    """Return gain and offset of the line through (x, y) with the least squares."""
    spread = float(x.var())
    gain = float(((x - x.mean()) * (y - y.mean())).mean()) / spread if spread > 1 else 1.0
    return gain, float(y.mean() - gain * x.mean())


def _slope(x: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    return float((x * y).sum() / max(1.0, float((x * x).sum())))


@dataclass(frozen=True)
class _Structure:
    """Of the blocks that both show, bool each: which run alike, show something in either picture, and changed their mean colour."""

    alike: NDArray[np.bool_]
    structured: NDArray[np.bool_]
    changed: NDArray[np.bool_]


def _structure(a: NDArray[np.float32], b: NDArray[np.float32], seen: NDArray[np.bool_]) -> _Structure:
    both = _blocks(seen.astype(np.float32)) >= 0.99
    changed = np.abs(np.stack([_blocks(a[..., band] - b[..., band])[both] for band in range(3)])).max(axis=0, initial=0) > CHANGED
    bright_a, bright_b = a @ LUMA, b @ LUMA
    mean_a, mean_b = _blocks(bright_a), _blocks(bright_b)
    spread_a, spread_b = _blocks(bright_a**2) - mean_a**2, _blocks(bright_b**2) - mean_b**2
    together = _blocks(bright_a * bright_b) - mean_a * mean_b
    alike = together > ALIKE * np.sqrt(np.maximum(spread_a * spread_b, 1e-6))
    return _Structure(alike[both], (np.maximum(spread_a, spread_b) > STRUCTURED**2)[both], changed)


def _photos_agree(aligned: Aligned) -> bool:
    expected = _recoloured(aligned, document=False)
    if expected is None:
        return False
    found = _structure(expected, aligned.b, aligned.seen)
    recoloured = found.changed & (found.alike | ~found.structured)
    n = len(found.alike)
    return bool(
        found.structured.any()
        and (found.structured & found.alike).sum() >= STRUCTURE * found.structured.sum()
        and found.changed.sum() <= max(1.0, MOST_CHANGED * n)
        and recoloured.sum() <= max(1.0, MOST_RECOLOURED * n)
    )


def _likely(aligned: Aligned) -> bool:
    """Return whether two documents may be one, before the map is refined: half of their structure runs alike, blurred, and no mark stands alone."""
    a, b = (np.asarray(cv2.GaussianBlur(pixels, (0, 0), 2.0), np.float32) for pixels in (aligned.a, aligned.b))
    found = _structure(a, b, aligned.seen)
    return bool((found.structured & found.alike).sum() >= LIKELY * found.structured.sum()) and _most_alone(aligned) <= MOST_ALONE


def _most_alone(aligned: Aligned) -> float:
    """Return by how much a place of one document, as a mean, is brighter or darker than all within NEAR_PX of it in the other: grey levels."""
    rim = np.ones((2 * NEAR_PX + 3, 2 * NEAR_PX + 3), np.uint8)
    inner = cv2.erode(aligned.seen.astype(np.uint8), rim, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    if not inner.any():
        return 0.0
    a, b = (pixels @ LUMA for pixels in (aligned.a, aligned.b))
    gain = float(b[aligned.seen].std() / max(1.0, a[aligned.seen].std()))
    a = (a - a[aligned.seen].mean()) * gain + b[aligned.seen].mean()
    a, b = (np.asarray(cv2.GaussianBlur(some, (0, 0), 0.7), np.float32) for some in (a, b))
    near = np.ones((2 * NEAR_PX + 1, 2 * NEAR_PX + 1), np.uint8)
    alone = [np.maximum(one - cv2.dilate(other, near), cv2.erode(other, near) - one) for one, other in ((a, b), (b, a))]
    return float(cv2.boxFilter(np.where(inner, np.maximum(0, np.maximum(*alone)), 0), cv2.CV_32F, (ALONE_PX, ALONE_PX)).max())


def _blocks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the means of the BLOCK_PX blocks of float32[H, W], half of them apart; a picture smaller than that is one block."""
    size = min(BLOCK_PX, *values.shape)
    step = max(1, size // 2)
    means = np.asarray(cv2.boxFilter(values, cv2.CV_32F, (size, size), anchor=(0, 0)), np.float32)
    return means[: values.shape[0] - size + 1 : step, : values.shape[1] - size + 1 : step]


def _documents_agree(aligned: Aligned) -> bool:
    expected = _recoloured(aligned, document=True)
    if expected is None:
        return False
    seen = cv2.erode(aligned.seen.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0  # the rim is half of another pixel
    a, b = (np.where(seen[..., None], pixels, 255).astype(np.float32) for pixels in (expected, aligned.b))
    return not regions_differ(a - b) and not strokes_differ(a @ LUMA, b @ LUMA) and not tints_differ(_chroma(a), _chroma(b))


def _redrawn(a: Looked, b: Looked, to_b: Map) -> bool:
    """Return whether two documents that lie on each other pixel for pixel differ in a thing, and no mild change of all colours explains it."""
    laid = laid_exactly(a, b, to_b)
    if laid is None:
        return False
    exact = Aligned(a.pixels.astype(np.float32), laid[0].astype(np.float32), laid[1])
    if not lost_nothing(exact.a - exact.b, exact.seen):
        return False
    expected = _recoloured(exact, document=True)
    return expected is None or lost_nothing(expected - exact.b, exact.seen)


def _refined(a: Looked, b: Looked, to_b: Map, longest_px: int = REFINED_PX) -> Map:
    """Return the map to a fraction of a pixel: strokes that lie beside each other would differ."""
    small_a, small_b = (min(1.0, longest_px / max(picture.rgb.size)) for picture in (a, b))
    near = math.sqrt(abs(np.linalg.det(to_b[:, :2]))) * small_b / small_a  # pixels of one for a pixel of the other
    first, second = _soft(a, small_a, max(1.0, 1 / near)), _soft(b, small_b, max(1.0, near))
    rim = min(RIM_PX, min(first.shape) // 8)  # blurred with what lies beside it in the other
    first = np.ascontiguousarray(first[rim : len(first) - rim, rim : first.shape[1] - rim])
    there, here = scaled(small_b), np.array([[1.0, 0, -rim], [0, 1, -rim], [0, 0, 1]]) @ scaled(small_a)
    start = there @ np.vstack([to_b, [0, 0, 1]]) @ np.linalg.inv(here)
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, REFINED_STEPS, REFINED_GAIN)
    try:
        whole = np.full(second.shape, 255, np.uint8)
        _, found = cv2.findTransformECC(first, second, start[:2].astype(np.float32), cv2.MOTION_AFFINE, until, whole, 1)
    except cv2.error:  # it says so where the two do not correlate
        return to_b
    return (np.linalg.inv(there) @ np.vstack([found, [0, 0, 1]]) @ here)[:2]


def _soft(picture: Looked, scale: float, blur: float) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(picture.pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 0.6 * blur), np.uint8)


def same_under_a_map(a: Looked, b: Looked, likely: Iterable[Map] = ()) -> Registration | None:
    """Return how `a` lies in `b`, or what `b` shows of it, if the two show one picture; None if not. `likely` are maps that may be some way off.

    Where either picture is plain, only all of both are laid on each other: a shape on white is a part of many.
    """
    if a.is_plain or len(b.features[0]) < LEAST_FEATURES:
        return next((found for found in whole_maps(a, b) if agree(a, b, found.to_other, whole=True)), None)
    near = (Registration(_refined(a, b, to_b, COARSE_PX), 0, bool(np.linalg.det(to_b[:, :2]) < 0)) for to_b in likely)
    tried = itertools.chain(registrations(a, b), whole_maps(a, b), near)
    return next((found for found in tried if agree(a, b, found.to_other)), None)
