"""Where each reply key is stored: sorted numpy arrays plus what was added lately; about 20 bytes a key."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

MERGE_AT = 50_000  # recent entries kept in a dict before they are merged into the arrays


class KeyIndex:
    """Reply key -> places (file, offset or row). Holds the first 64 bits of a key; readers compare the whole key."""

    def __init__(self) -> None:
        self._heads = np.empty(0, np.uint64)
        self._files = np.empty(0, np.uint32)
        self._places = np.empty(0, np.uint64)
        self._recent: dict[int, list[tuple[int, int]]] = {}
        self._n_recent = 0
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}

    def add(self, name: str, entries: Iterable[tuple[str, int]]) -> None:
        """Add (key, place) pairs of file `name`."""
        number = self._number(name)
        for key, place in entries:
            self._recent.setdefault(int(key[:16], 16), []).append((number, place))
            self._n_recent += 1
        if self._n_recent > MERGE_AT:
            self._merge_recent()

    def add_sorted(self, name: str, heads: np.ndarray, places: np.ndarray) -> None:
        """Add a whole file: uint64[N] key heads and their places."""
        files = np.full(len(heads), self._number(name), np.uint32)
        self._merge(heads, files, places.astype(np.uint64))

    def drop(self, name: str) -> None:
        """Forget file `name`."""
        self._merge_recent()
        keep = self._files != self._numbers.pop(name)
        self._heads, self._files, self._places = self._heads[keep], self._files[keep], self._places[keep]

    def find(self, keys: Iterable[str]) -> dict[str, list[tuple[str, int]]]:
        """Return, per file name, the (key, place) pairs where a key of `keys` may stand."""
        keys = list(keys)
        found: dict[str, list[tuple[str, int]]] = defaultdict(list)
        heads = np.array([int(key[:16], 16) for key in keys], np.uint64)
        first, last = np.searchsorted(self._heads, heads, 'left'), np.searchsorted(self._heads, heads, 'right')
        for key, head, lo, hi in zip(keys, heads.tolist(), first.tolist(), last.tolist(), strict=True):
            for number, place in self._recent.get(head, ()):
                found[self._names[number]].append((key, place))
            for at in range(lo, hi):
                found[self._names[self._files[at]]].append((key, int(self._places[at])))
        return found

    def distinct(self) -> int:
        """Return the number of distinct keys."""
        self._merge_recent()
        return len(np.unique(self._heads))

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self._names)
            self._names.append(name)
        return self._numbers[name]

    def _merge_recent(self) -> None:
        rows = [(head, number, place) for head, places in self._recent.items() for number, place in places]
        self._recent, self._n_recent = {}, 0
        if rows:
            heads, files, places = zip(*rows, strict=True)
            self._merge(np.array(heads, np.uint64), np.array(files, np.uint32), np.array(places, np.uint64))

    def _merge(self, heads: np.ndarray, files: np.ndarray, places: np.ndarray) -> None:
        heads = np.concatenate([self._heads, heads])
        order = np.argsort(heads, kind='stable')
        self._heads = heads[order]
        self._files = np.concatenate([self._files, files])[order]
        self._places = np.concatenate([self._places, places])[order]
