"""Which of the pictures that share a question with a benchmark's are opened: all, or where a question is everybody's, those of the likeliest tones.

"What is in the picture?" may be asked of a million pictures and about five hundred of a benchmark: of these pairs an image is compared with the
PLACES pictures, and a picture with the IMAGES images, whose tones are most alike. So no more than PLACES pairs for an image and IMAGES for a picture
of a benchmark are opened, however common a question is, and the rest is counted. Tones are those of the 8 x 8 thumbnail in order, the same whichever
way a picture lies, and of a quarter of it, for one picture of a collage; grey, JPEG, size and a text over a tenth hardly move them.
Borders, bars, crops and other contrast do: these copies are found by the hashes of forms, which see no collage. A crop below four fifths has neither.
Ranking a pair costs a tenth of a microsecond, opening one 20 ms.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from curation.selection.hamming import nearest_each

PLACES, IMAGES = 64, 128
ROWS_AT_ONCE = 1 << 21  # pairs ranked at a time: 16 MB a temporary
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass
class AskedPairs:
    """For each picture of a benchmark by place: the numbers of the images to open, and how many share a question in all."""

    opened: dict[int, list[int]] = field(default_factory=dict)
    shared: dict[int, int] = field(default_factory=dict)


def asked_pairs(
    wanted: Mapping[int, Iterable[str]], about: Mapping[str, Sequence[int]], images: NDArray[np.uint8], pictures: NDArray[np.uint8]
) -> AskedPairs:
    """Return the pairs to open. `wanted`: the questions of each image by number; `about`: the places of the pictures that a question is about.

    `images` uint8[N, 192] and `pictures` uint8[P, 192]: the thumbnails, by number and by place.
    """
    groups = defaultdict[tuple[str, ...], list[int]](list)  # images of the same questions are ranked together
    for number in sorted(wanted):
        groups[tuple(sorted(wanted[number]))].append(number)
    ordered = [(_places(questions, about), np.array(numbers, np.int64)) for questions, numbers in sorted(groups.items(), key=lambda group: group[1])]
    shared = np.zeros(len(pictures), np.int64)
    for places, numbers in ordered:
        shared[places] += len(numbers)
    tones, nearest = Tones.of(pictures), _Nearest()
    for places, numbers in ordered:
        many = len(places) > PLACES or bool((shared[places] > IMAGES).any())  # else all are opened, and nobody asks how far they are
        step = max(1, ROWS_AT_ONCE // max(1, len(places)))
        for some in (numbers[start : start + step] for start in range(0, len(numbers), step)):
            apart = tones.apart(images[some], places) if many else np.zeros((len(some), len(places)), np.int64)
            image, picture = np.nonzero(_near(apart))
            nearest.add(places[picture], some[image], apart[image, picture])
    opened = defaultdict[int, list[int]](list)
    for place, number in zip(*nearest.picked(), strict=True):
        opened[place].append(number)
    return AskedPairs({place: sorted(some) for place, some in opened.items()}, {place: n for place, n in enumerate(shared.tolist()) if n})


def _places(questions: Iterable[str], about: Mapping[str, Sequence[int]]) -> NDArray[np.int64]:
    return np.array(sorted({place for question in questions for place in about.get(question, ())}), np.int64)


def _near(apart: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return bool[N, P]: which pictures are among the PLACES nearest of an image, of equally far ones the first."""
    if apart.shape[1] <= PLACES:
        return np.ones(apart.shape, bool)
    keys = apart << 32 | np.arange(apart.shape[1])
    return np.asarray(keys <= np.partition(keys, PLACES - 1, axis=1)[:, PLACES - 1 : PLACES])


class _Nearest:
    """Of pairs that come in any order the IMAGES nearest of each picture, of equally far ones those of the lower numbers."""

    def __init__(self) -> None:
        self._held = [np.empty((3, 0), np.int64)]  # place, number, distance
        self._n = self._kept = 0

    def add(self, place: NDArray[np.int64], number: NDArray[np.int64], apart: NDArray[np.int64]) -> None:
        self._held.append(np.stack([place, number, apart]))
        self._n += len(place)
        if self._n > 2 * self._kept + ROWS_AT_ONCE:
            self._pick()

    def picked(self) -> tuple[list[int], list[int]]:
        """Return (places, numbers)."""
        self._pick()
        return self._held[0][0].tolist(), self._held[0][1].tolist()

    def _pick(self) -> None:
        every = np.concatenate(self._held, axis=1)
        self._held = [every[:, nearest_each(every[0], by=(every[2], every[1]), most=IMAGES)]]
        self._n = self._kept = self._held[0].shape[1]


@dataclass(frozen=True)
class Tones:
    """The brightness of thumbnails in ascending order: of all 64 cells, float32[P, 64], and of 16, as a quarter of a collage has them."""

    all: NDArray[np.float32]
    few: NDArray[np.float32]

    @classmethod
    def of(cls, thumbs: NDArray[np.uint8]) -> 'Tones':
        """Return those of thumbnails uint8[P, 192]."""
        bright = _bright(thumbs)
        few = bright.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
        return cls(np.sort(bright.reshape(-1, 64), axis=1), np.sort(few, axis=1))

    def apart(self, images: NDArray[np.uint8], places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return int64[N, P]: how far the tones of images uint8[N, 192], or of their nearest quarter, are from those at some places."""
        bright = _bright(images)
        nearest = cdist(np.sort(bright.reshape(-1, 64), axis=1), self.all[places], 'cityblock')
        for top, left in ((0, 0), (0, 4), (4, 0), (4, 4)):
            quarter = np.sort(bright[:, top : top + 4, left : left + 4].reshape(-1, 16), axis=1)
            np.minimum(nearest, 4 * cdist(quarter, self.few[places], 'cityblock'), out=nearest)
        return np.rint(nearest).astype(np.int64)


def _bright(thumbs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32[N, 8, 8] of thumbnails uint8[N, 192]."""
    return (thumbs.reshape(-1, 64, 3).astype(np.float32) @ LUMA).reshape(-1, 8, 8)
