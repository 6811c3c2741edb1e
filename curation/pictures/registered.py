"""Where one picture lies in another: matching ORB features that one similarity, mirrored or not, carries over.

Flips, turns, crops, borders, captions, collages and sizes are all one such map; grey, JPEG and mild colours leave the features where they are. Of 12
drawn pictures in 13 changed forms each had 63 features or more in common with its own and 11 at most with any other. Pages and charts of one layout
register just as well whatever word differs: what the map lays on each other is compared in curation/pictures/aligned.py.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

LONGEST_PX = 512  # longer side at which features are looked for; smaller pictures are enlarged
FEATURES, CELLS = 800, 2  # of a picture, and into how many cells a side they are spread: a quarter of a collage has 200
RIM_PX = 31  # of a picture, in which ORB finds nothing
CORNER = 5  # grey levels by which a corner stands out: soft photos have few of 20, OpenCV's own choice
RATIO = 0.8  # of the best match's distance to the next one's (Lowe, IJCV 2004, section 7.1)
REACH_PX = 4.0  # that a feature may lie off the map
LEAST_INLIERS = 9  # more is asked of the pixels
LEAST_SCALE, MOST_SCALE = 0.15, 6.0  # of the map, at LONGEST_PX
SURE_INLIERS = 30  # of a straight map, to be looked at before the mirrored one is sought: false ones have a third

LEAST_FEATURES, PLACES, LEAST_PLACES = 40, 8, 25  # in all, and of 8 x 8 places those that must have some
STAMP_PX, STAMP_ALIKE = 32, 0.85  # squared, and the correlation of brightness there, from which whole pictures are looked at closely
SHAPE = 0.03  # by which the sides' ratio may be another, and a pixel
BORDER = 16  # grey levels that a border of one colour may differ by

Grey = NDArray[np.uint8]
Features = tuple[NDArray[np.float32], Grey]  # places, descriptions
Map = NDArray[np.float64]  # [2, 3]: a pixel of the first picture to one of the second, in pixels of theirs


@dataclass(frozen=True)
class Looked:
    """One picture with its features. `rgb` is at most 1,024 px long, as pictures are opened to be compared."""

    rgb: Image.Image

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """Return uint8[H, W, 3]."""
        return np.asarray(self.rgb)

    @cached_property
    def _grey(self) -> Grey:
        grey = np.asarray(self.rgb.convert('L'))
        how = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(grey, None, fx=self.scale, fy=self.scale, interpolation=how), np.uint8)

    @property
    def scale(self) -> float:
        """Return by what the picture is enlarged before features are looked for."""
        return LONGEST_PX / max(self.rgb.size)

    @cached_property
    def features(self) -> Features:
        """Return (float32[K, 2] in pixels at LONGEST_PX, uint8[K, 32]); K may be 0."""
        return _features(self._grey)

    @cached_property
    def stamp(self) -> NDArray[np.float32]:
        """Return the brightness of the picture at STAMP_PX squared."""
        return _stamp(self.rgb)

    @cached_property
    def inside(self) -> tuple[int, int, int, int]:
        """Return where the picture is without borders of one colour."""
        return _inside(self.pixels)

    @cached_property
    def is_plain(self) -> bool:
        """Return whether the picture shows too little, or in too few places, to be told from others by a part of it: a shape on white is in many."""
        points, _ = self.features
        places = np.floor(points * PLACES / np.array(self._grey.shape[::-1])).astype(np.int64)
        return len(points) < LEAST_FEATURES or len(np.unique(places[:, 0] * PLACES + places[:, 1])) < LEAST_PLACES

    @cached_property
    def mirrored(self) -> Features:
        """Return the features of the picture seen in a mirror, at their places in the picture itself."""
        points, found = _features(np.ascontiguousarray(self._grey[:, ::-1]))
        return np.column_stack([self._grey.shape[1] - 1 - points[:, 0], points[:, 1]]).astype(np.float32), found


def _features(grey: Grey) -> Features:
    cv2.setNumThreads(1)  # every core has a process of its own
    orb = cv2.ORB.create(FEATURES // CELLS**2, fastThreshold=CORNER)
    keys, found = orb.compute(grey, [key for cell in _cells(grey.shape) for key in _keys(orb, grey, *cell)])
    if found is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 32), np.uint8)
    return np.array([key.pt for key in keys], np.float32).reshape(-1, 2), np.asarray(found, np.uint8)


def _cells(shape: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
    """Yield (top, bottom, left, right) of CELLS x CELLS cells, which have equally many features: in a collage the richest picture would have all."""
    rows, columns = (np.linspace(0, side, CELLS + 1).round().astype(int).tolist() for side in shape)
    for (top, bottom), (left, right) in itertools.product(itertools.pairwise(rows), itertools.pairwise(columns)):
        yield top, bottom, left, right


def _keys(orb: cv2.ORB, grey: Grey, top: int, bottom: int, left: int, right: int) -> list[cv2.KeyPoint]:
    above, before = max(0, top - RIM_PX), max(0, left - RIM_PX)
    keys = orb.detect(np.ascontiguousarray(grey[above : bottom + RIM_PX, before : right + RIM_PX]), None)
    for key in keys:
        key.pt = (key.pt[0] + before, key.pt[1] + above)
    return [key for key in keys if left <= key.pt[0] < right and top <= key.pt[1] < bottom]


@dataclass(frozen=True)
class Registration:
    """How a picture lies in another."""

    to_other: Map
    inliers: int
    mirrored: bool

    def told(self) -> str:
        """Return it in words, for evidence: whether mirrored, how far turned, at which size."""
        turned = round(self.turn) % 360
        told = ['mirrored' if self.mirrored else '', f'turned by {turned}°' if turned else '', f'{self.scale:.2f} x the size']
        return ', '.join(filter(None, told))

    def back(self) -> 'Registration':
        """Return how the other lies in this one."""
        return Registration(np.linalg.inv(np.vstack([self.to_other, [0, 0, 1]]))[:2], self.inliers, self.mirrored)

    @property
    def scale(self) -> float:
        """Return how many pixels of the other one pixel is long."""
        return math.sqrt(abs(np.linalg.det(self.to_other[:, :2])))

    @property
    def turn(self) -> float:
        """Return by how many degrees it is turned, of -180 to 180, after it was mirrored."""
        across = -self.to_other[:, 0] if self.mirrored else self.to_other[:, 0]
        return math.degrees(math.atan2(across[1], across[0]))


def registrations(a: Looked, b: Looked) -> Iterator[Registration]:
    """Yield the likely maps from `a` to `b`, straight and mirrored, that of most inliers first; none where the two have too little in common."""
    straight = _registered(a.features, b.features, (a, b), mirrored=False)
    sure = straight is not None and straight.inliers >= SURE_INLIERS
    if straight is not None and sure:
        yield straight  # and what is seen in a mirror, which costs as much again, is mostly not asked for
    mirrored = _registered(a.mirrored, b.features, (a, b), mirrored=True)
    yield from sorted((one for one in (None if sure else straight, mirrored) if one is not None), key=lambda one: -one.inliers)


def whole_maps(a: Looked, b: Looked) -> Iterator[Registration]:
    """Yield the maps that lay all of `a`, flipped and turned, on all of `b`, on `b` without its borders, or on a half or a quarter of it: those under
    which the two look alike. For pictures with too few features: drawings and small ones.
    """
    for left, top, right, bottom in dict.fromkeys([(0, 0, *b.rgb.size), b.inside, *_tiles(*b.rgb.size)]):
        size = right - left, bottom - top
        if min(size) < STAMP_PX // 2:
            continue
        other = _stamp(b.rgb.crop((left, top, right, bottom)))
        for number, turned in enumerate(_dihedral(a.stamp)):
            on_its_side = number % 2 == 1
            width, height = a.rgb.size[::-1] if on_its_side else a.rgb.size
            if abs(width * size[1] - height * size[0]) > SHAPE * width * size[1] + max(width, height) or not _alike(turned, other):
                continue
            yield Registration(_whole_map(number, a.rgb.size, (left, top), size), 0, number >= 4)


def _tiles(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (left, top, right, bottom) of the halves and quarters of a sheet."""
    x, y = width // 2, height // 2
    yield from ((left, top, right, bottom) for left, right in ((0, x), (x, width), (0, width)) for top, bottom in ((0, y), (y, height), (0, height)))


def _dihedral(pixels: NDArray) -> list[NDArray]:
    """Return a square turned by 0, 90, 180, 270 degrees against the clock, then its mirror image so."""
    return [np.rot90(some, turns) for some in (pixels, pixels[:, ::-1]) for turns in range(4)]


def _whole_map(number: int, of: tuple[int, int], corner: tuple[int, int], size: tuple[int, int]) -> Map:
    turn = np.linalg.matrix_power(np.array([[0.0, 1.0], [-1.0, 0.0]]), number % 4) @ np.diag([-1.0 if number >= 4 else 1.0, 1.0])
    unit = np.diag(size) @ turn @ np.diag([1 / of[0], 1 / of[1]])
    middle = np.array(corner) + (np.array(size) - 1) / 2
    return np.column_stack([unit, middle - unit @ ((np.array(of) - 1) / 2)])


def _stamp(rgb: Image.Image) -> NDArray[np.float32]:
    return np.asarray(rgb.convert('L').resize((STAMP_PX, STAMP_PX), Image.Resampling.BOX), np.float32)


def _alike(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    spread = float(a.std() * b.std())
    return spread > 0 and float(((a - a.mean()) * (b - b.mean())).mean()) >= STAMP_ALIKE * spread


def strongest(bands: NDArray[Any]) -> NDArray[Any]:
    """Return the largest of three bands, [H, W] of [H, W, 3]; max(axis=2) says the same and takes nine times as long."""
    return np.maximum(np.maximum(bands[..., 0], bands[..., 1]), bands[..., 2])


def _inside(pixels: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Return (left, top, right, bottom) of a picture without its borders: lines of the colour of its first corner, but for what JPEG adds."""
    off = strongest(np.abs(pixels.astype(np.int16) - pixels[0, 0].astype(np.int16))) > BORDER
    rows, columns = np.flatnonzero(off.mean(axis=1) > 0.01), np.flatnonzero(off.mean(axis=0) > 0.01)
    if not len(rows) or not len(columns):
        return 0, 0, pixels.shape[1], pixels.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _registered(of_a: Features, of_b: Features, pictures: tuple[Looked, Looked], mirrored: bool) -> Registration | None:
    (points_a, found_a), (points_b, found_b) = of_a, of_b
    if min(len(points_a), len(points_b)) < LEAST_INLIERS:
        return None
    at, to = _matched(found_a, found_b)
    if len(at) < LEAST_INLIERS:
        return None
    a, b = pictures
    here, there = points_a[at], points_b[to]
    flip = np.array([[-1.0, 0, a._grey.shape[1] - 1], [0, 1, 0], [0, 0, 1]]) if mirrored else np.eye(3)
    seen = np.column_stack([a._grey.shape[1] - 1 - here[:, 0], here[:, 1]]).astype(np.float32) if mirrored else here
    similar, inlier = cv2.estimateAffinePartial2D(seen, there, method=cv2.RANSAC, ransacReprojThreshold=REACH_PX)
    if similar is None or int(inlier.sum()) < LEAST_INLIERS:
        return None
    if not LEAST_SCALE <= math.hypot(similar[0, 0], similar[1, 0]) <= MOST_SCALE:
        return None
    whole = np.linalg.inv(scaled(b.scale)) @ np.vstack([similar, [0, 0, 1]]) @ flip @ scaled(a.scale)
    return Registration(whole[:2], int(inlier.sum()), mirrored)


def scaled(scale: float) -> NDArray[np.float64]:
    """Return the map [3, 3] from a pixel of a picture to one of the same resized; centres of pixels are whole numbers."""
    return np.array([[scale, 0, 0.5 * scale - 0.5], [0, scale, 0.5 * scale - 0.5], [0, 0, 1]])


def _matched(a: Grey, b: Grey) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (int64[M], int64[M]): the features of `a` that are clearly nearer to one of `b` than to any other, and that one."""
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(a, b, k=2)
    good = [(best.queryIdx, best.trainIdx) for best, *next_ in pairs if next_ and best.distance < RATIO * next_[0].distance]
    both = np.array(good, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]
