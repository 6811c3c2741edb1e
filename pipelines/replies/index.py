"""Where each reply key is stored: sorted numpy arrays plus what was added lately; about 20 bytes a key."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

MERGE_AT = 50_000  # recent entries kept in a dict before they become a run
RATIO = 2  # a run is at least so many times as long as the next, so that a key is moved as often as its store doubles, and a look-up sees few runs


@dataclass(frozen=True, slots=True)
class _Run:
    """Some keys in order, with the numbers of their files and their places there."""

    heads: np.ndarray
    files: np.ndarray
    places: np.ndarray

    def chosen(self, which: np.ndarray) -> '_Run':
        return _Run(self.heads[which], self.files[which], self.places[which])


class KeyIndex:
    """Reply key -> places (file, offset or row). Holds the first 64 bits of a key; readers compare the whole key."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []  # the longest first
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
            self._settle_recent()

    def add_sorted(self, name: str, heads: np.ndarray, places: np.ndarray) -> None:
        """Add a whole file: uint64[N] key heads and their places."""
        self._push(heads, np.full(len(heads), self._number(name), np.uint32), places)

    def drop(self, names: Collection[str]) -> None:
        """Forget some files."""
        self._settle_recent()
        gone = np.array([self._numbers.pop(name) for name in names], np.uint32)
        self._runs = [run.chosen(~np.isin(run.files, gone)) for run in self._runs] if len(gone) else self._runs

    def find(self, keys: Iterable[str]) -> dict[str, list[tuple[str, int]]]:
        """Return, per file name, the (key, place) pairs where a key of `keys` may stand."""
        keys = list(keys)
        found: dict[str, list[tuple[str, int]]] = defaultdict(list)
        heads = np.array([int(key[:16], 16) for key in keys], np.uint64)
        for key, head in zip(keys, heads.tolist(), strict=True):
            for number, place in self._recent.get(head, ()):
                found[self._names[number]].append((key, place))
        for run in self._runs:
            first, last = np.searchsorted(run.heads, heads, 'left'), np.searchsorted(run.heads, heads, 'right')
            for which in np.flatnonzero(last > first).tolist():
                for at in range(first[which], last[which]):
                    found[self._names[run.files[at]]].append((keys[which], int(run.places[at])))
        return found

    def distinct(self) -> int:
        """Return the number of distinct keys."""
        self._settle_recent()
        return len(np.unique(np.concatenate([run.heads for run in self._runs]))) if self._runs else 0

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self._names)
            self._names.append(name)
        return self._numbers[name]

    def _settle_recent(self) -> None:
        rows = [(head, number, place) for head, places in self._recent.items() for number, place in places]
        self._recent, self._n_recent = {}, 0
        if rows:
            heads, files, places = zip(*rows, strict=True)
            self._push(np.array(heads, np.uint64), np.array(files, np.uint32), np.array(places, np.uint64))

    def _push(self, heads: np.ndarray, files: np.ndarray, places: np.ndarray) -> None:
        """Add a run, and merge the last ones as long as they are of like length."""
        run = _Run(heads, files, places.astype(np.uint64))
        self._runs.append(run.chosen(np.argsort(heads, kind='stable')))
        while len(self._runs) > 1 and len(self._runs[-2].heads) < RATIO * len(self._runs[-1].heads):
            self._runs[-2:] = [merged(*self._runs[-2:])]


def merged(one: _Run, other: _Run) -> _Run:
    """Return two runs as one; two rows that are in order each are sorted in one pass."""
    both = _Run(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in ('heads', 'files', 'places')))
    return both.chosen(np.argsort(both.heads, kind='stable'))
