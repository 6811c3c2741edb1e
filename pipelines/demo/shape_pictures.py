"""easy-vqa's pictures with their questions, handed out so that planted ones are far from all others."""

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from pipelines.demo import pictures
from pipelines.demo.parts import ranked
from pipelines.demo.tables import package_file

# of 64: planted pictures stay this far from every other one, so that what happens to them is theirs alone. The
# project's near-duplicate threshold is 7; a JPEG or resized copy moves a 64 px shape by up to 4
ISOLATION_BITS = 12
PALETTE: dict[str, pictures.Colour] = {
    'black': (0, 0, 0), 'blue': (0, 0, 255), 'brown': (165, 42, 42), 'gray': (128, 128, 128),
    'green': (0, 255, 0), 'red': (255, 0, 0), 'teal': (0, 128, 128), 'yellow': (255, 255, 0),
}  # fmt: skip


@dataclass(frozen=True)
class ShapePicture:
    """One easy-vqa picture with its questions."""

    split: str
    number: int
    questions: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        return f'{self.split}{self.number}'

    @cached_property
    def data(self) -> bytes:
        return package_file('easy_vqa', f'data/{self.split}/images/{self.number}.png').read_bytes()

    @cached_property
    def image(self) -> Image.Image:
        return pictures.opened(self.data)

    @cached_property
    def bits(self) -> np.ndarray:
        return pictures.phash(self.image)

    def colour(self) -> str:
        """Return the name of the shape's colour, '' when the picture is not one plain shape on a plain ground."""
        shape = pictures.plain_colours(self.image)[1]
        return next((name for name, colour in PALETTE.items() if colour == shape), '')


def shape_pictures(split: str) -> list[ShapePicture]:
    questions: dict[int, list[tuple[str, str]]] = {}
    for question, answer, number in json.loads(package_file('easy_vqa', f'data/{split}/questions.json').read_text('utf-8')):
        questions.setdefault(number, []).append((question, answer))
    found = [ShapePicture(split, number, tuple(dict.fromkeys(asked))) for number, asked in sorted(questions.items())]
    return ranked(found, f'shapes/{split}', _name_of)


def _name_of(picture: ShapePicture) -> str:
    return picture.name


class Sheet:
    """Hands out pictures: isolated ones for planting first, then the plain rest that stays clear of them."""

    def __init__(self, candidates: list[ShapePicture]) -> None:
        self._left = list(candidates)
        self._planted: list[np.ndarray] = []

    def isolated(self, n: int) -> list[ShapePicture]:
        """Return `n` pictures far from all handed out by this method before."""
        taken: list[ShapePicture] = []
        for picture in self._left:
            if len(taken) == n:
                break
            if picture.colour() and self._is_clear(picture):
                taken.append(picture)
                self._planted.append(picture.bits)
        self._drop(taken)
        return taken

    def plain(self, n: int) -> list[ShapePicture]:
        """Return `n` pictures far from the planted ones; among themselves they may be alike, as real ones are."""
        taken: list[ShapePicture] = []
        for picture in self._left:
            if len(taken) == n:
                break
            if self._is_clear(picture):
                taken.append(picture)
        self._drop(taken)
        return taken

    def _is_clear(self, picture: ShapePicture) -> bool:
        return not self._planted or int((np.stack(self._planted) != picture.bits).sum(1).min()) >= ISOLATION_BITS

    def _drop(self, taken: list[ShapePicture]) -> None:
        names = {picture.name for picture in taken}
        self._left = [picture for picture in self._left if picture.name not in names]
