"""Texts looked up among many others by runs of n units, a whole shard of them at once: hashes and arrays, no pair of texts that share no rare run.

A text that holds at least the share s of a question's g runs misses at most (1 - s) g of them, so it holds one of any (1 - s) g + 1: each question
is listed under so many of its rarest runs alone (the prefix filter of Chaudhuri, Ganti and Kaushik, ICDE 2006), and a text is looked at where it
holds one of these. Hashes only propose: two runs of one hash are told apart when the texts are compared.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

MOST_ASKING = 256  # questions listed under one run: what so many hold tells none of them apart
SLOTS_PER_RUN = 16  # of the table at which most runs of a text fail
MOST_SLOTS = 1 << 25  # 32 MB
_FACTORS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)


class Vocabulary:
    """The units of questions as numbers from 1 on; 0 stands for every other."""

    def __init__(self, questions: Iterable[Sequence[str]]) -> None:
        self._numbers = {unit: number for number, unit in enumerate(dict.fromkeys(unit for units in questions for unit in units), 1)}
        self._mixed = _mixed(np.arange(len(self._numbers) + 1, dtype=np.uint64))

    def encode(self, units: Sequence[str]) -> np.ndarray:
        """Return int32[len(units)]: the number of each unit."""
        return np.fromiter(map(self._numbers.get, units, itertools.repeat(0)), np.int32, len(units))

    def runs(self, units: np.ndarray, n: int) -> np.ndarray:
        """Return uint64[len(units) - n + 1]: a hash of each n encoded units in a row, the sum of theirs times 1, f, f², ..."""
        return _runs_of(self._mixed[units], n)

    def wholes(self, units: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return uint64[texts]: the hash of each whole text of `lengths` units, which is that of a run of as many; no text is empty."""
        starts = np.cumsum(lengths) - lengths
        powers = np.array([power(k) for k in range(int(lengths.max(initial=0)))], np.uint64)
        return np.add.reduceat(self._mixed[units] * powers[np.arange(len(units)) - np.repeat(starts, lengths)], starts) if len(lengths) else powers


class Slots:
    """Hashes looked up among those that are known: most are told by one bit of a table not to be there."""

    def __init__(self, keys: np.ndarray) -> None:
        self.keys = np.unique(keys)  # uint64[K], ascending
        bits = min(MOST_SLOTS, SLOTS_PER_RUN * max(1, len(self.keys))).bit_length()
        self._shift = np.uint64(64 - bits)
        self._taken = np.zeros(1 << bits, bool)
        self._taken[self.keys >> self._shift] = True

    def places(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (int64[F], int64[F]): where the hashes stand that are known, and which of `keys` each of them is."""
        at = np.flatnonzero(self._taken[hashes >> self._shift])
        key = np.searchsorted(self.keys, hashes[at])
        known = key < len(self.keys)
        known[known] = self.keys[key[known]] == hashes[at[known]]
        return at[known], key[known]


class WordRuns:
    """Questions, each a list of at least n units, by their rare runs."""

    def __init__(self, questions: Sequence[Sequence[str]], n: int, least: float, vocabulary: Vocabulary) -> None:
        self._n, self._least, self._vocabulary = n, least, vocabulary
        self._runs, of_question = self._distinct([vocabulary.encode(units) for units in questions])
        self._bounds = np.searchsorted(of_question, np.arange(len(questions) + 1)).tolist()
        keys, self._starts, self._asking = self._listed(of_question)
        self._slots = Slots(keys)

    def find(self, units: np.ndarray, bounds: np.ndarray, some: np.ndarray, *, of: np.ndarray) -> Iterator[tuple[int, list[tuple[float, int]]]]:
        """Yield (text, [(share, question), ...]) of the encoded texts that hold enough of a question's runs, highest shares first.

        Text k is units[bounds[k]:bounds[k + 1]]. `some` bool[texts]: in these only the questions `of` bool[questions] are looked for.
        """
        runs = self._vocabulary.runs(units, self._n)
        at, key = self._slots.places(runs)
        text = np.searchsorted(bounds, at, 'right') - 1
        whole = at + self._n <= bounds[text + 1]
        text, key = text[whole], key[whole]
        n_asking = self._starts[key + 1] - self._starts[key]
        text = np.repeat(text, n_asking)
        question = self._asking[np.repeat(self._starts[key] - np.cumsum(n_asking) + n_asking, n_asking) + np.arange(n_asking.sum())]
        wanted = ~some[text] | of[question]
        pairs = np.unique(np.stack([text[wanted], question[wanted]], axis=1), axis=0)
        held_by, firsts = np.unique(pairs[:, 0], return_index=True)  # the pairs are sorted
        for a_text, near in zip(held_by.tolist(), np.split(pairs[:, 1], firsts[1:]), strict=True) if len(pairs) else ():
            held = set(runs[bounds[a_text] : bounds[a_text + 1] - self._n + 1].tolist())  # one with an unknown unit has a hash that no question has
            shares = [(self._share(a_question, held), a_question) for a_question in near.tolist()]
            enough = sorted((-share, a_question) for share, a_question in shares if share >= self._least)
            if enough:
                yield a_text, [(-share, a_question) for share, a_question in enough]

    def _share(self, question: int, held: set[int]) -> float:
        runs = self._runs[self._bounds[question] : self._bounds[question + 1]].tolist()
        return len(held.intersection(runs)) / len(runs)

    def _distinct(self, questions: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the runs of all questions, each once for a question, the rarest of a question first; and which question each is of."""
        of_unit = np.repeat(np.arange(len(questions)), [len(question) for question in questions])
        runs = self._vocabulary.runs(np.concatenate([np.empty(0, np.int32), *questions]), self._n)
        of_question = of_unit[: len(runs)]
        whole = of_question == of_unit[len(of_unit) - len(runs) :]
        runs, of_question = runs[whole], of_question[whole]
        pairs = np.lexsort((runs, of_question))
        runs, of_question = runs[pairs], of_question[pairs]
        first = np.ones(len(runs), bool)
        first[1:] = (runs[1:] != runs[:-1]) | (of_question[1:] != of_question[:-1])
        runs, of_question = runs[first], of_question[first]
        _, which, n_times = np.unique(runs, return_inverse=True, return_counts=True)
        rarest = np.lexsort((runs, n_times[which], of_question))
        return runs[rarest], of_question[rarest]

    def _listed(self, of_question: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (keys uint64[K], starts int64[K + 1], asking int32[A]): the questions listed under each of their rarest runs."""
        n_runs = np.bincount(of_question) if len(of_question) else np.zeros(0, np.int64)
        rank = np.arange(len(of_question)) - np.repeat(np.cumsum(n_runs) - n_runs, n_runs)
        needed = np.floor((1 - self._least) * n_runs + 1e-9) + 1
        listed = np.flatnonzero(rank < np.repeat(needed, n_runs))
        listed = listed[np.lexsort((of_question[listed], self._runs[listed]))]
        keys, n_asking = np.unique(self._runs[listed], return_counts=True)
        listed = listed[np.repeat(n_asking <= MOST_ASKING, n_asking)]
        keys, n_asking = keys[n_asking <= MOST_ASKING], n_asking[n_asking <= MOST_ASKING]
        return keys, np.concatenate([np.zeros(1, np.int64), np.cumsum(n_asking)]), of_question[listed].astype(np.int32)


def _runs_of(mixed: np.ndarray, n: int) -> np.ndarray:
    """Return the hashes of runs of n from those of single units: a long run is two of half its length, and one unit where that is odd."""
    if n == 1:
        return mixed
    half = _runs_of(mixed, n // 2)
    even = half[: -(n // 2)] + half[n // 2 :] * power(n // 2)
    return even[:-1] + mixed[n - 1 :] * power(n - 1) if n % 2 else even


def power(k: int) -> np.uint64:
    """Return the k-th power of the factor of a run's hash."""
    return np.uint64(pow(_FACTORS[0], k, 2**64))


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Return a hash of each number that looks like chance; equal numbers have equal ones."""
    mixed = numbers * np.uint64(_FACTORS[0])
    for shift, factor in ((30, _FACTORS[1]), (27, _FACTORS[2])):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
