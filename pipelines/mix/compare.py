"""Pairs of a build's pictures compared on aligned pixels: each opened by its reference, those last used kept open."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from PIL import Image

from curation.pictures.confirm import open_to_compare, same_pixels
from pipelines.engine.tables import Table
from pipelines.sources.images import ImageStore, ImageTooManyBytes, ImageUnavailable
from schemas.disk import readable
from schemas.errors import UserError

KEPT_OPEN = 64  # pictures of at most 3 MB each
THREADS = 4  # Pillow releases the interpreter lock while it decodes and resizes
PAIRS_IN_FLIGHT = 1024


class Pictures:
    """The pictures of an index by number, opened to be compared."""

    def __init__(self, index: Table, store: ImageStore) -> None:
        self._refs = index.read(columns=['ref'])['ref']
        self._store = store
        self._pool = ThreadPoolExecutor(THREADS)
        self.open = lru_cache(maxsize=KEPT_OPEN)(self._open)

    def same(self, pairs: list[tuple[int, int]]) -> Iterator[bool]:
        """Yield for each pair whether its pictures agree; pairs that share a picture should be neighbours."""
        for start in range(0, len(pairs), PAIRS_IN_FLIGHT):
            yield from self._pool.map(self._same, pairs[start : start + PAIRS_IN_FLIGHT])

    def same_as(self, other: Image.Image, numbers: list[int]) -> Iterator[bool]:
        """Yield for each number whether its picture agrees with `other`, a picture opened to be compared."""
        for start in range(0, len(numbers), PAIRS_IN_FLIGHT):
            opened = self._pool.map(self.open, numbers[start : start + PAIRS_IN_FLIGHT])
            yield from (same_pixels(picture, other) for picture in opened)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _same(self, pair: tuple[int, int]) -> bool:
        return same_pixels(self.open(pair[0]), self.open(pair[1]))

    def _open(self, number: int) -> Image.Image:
        reference = self._refs[number].as_py()
        try:
            with readable(reference):
                return open_to_compare(self._store.read(reference))
        except (ImageUnavailable, ImageTooManyBytes, OSError, SyntaxError) as e:
            raise UserError(f'image {reference}: it was there when it was checked and is not now ({e}); restore it or build again') from e
