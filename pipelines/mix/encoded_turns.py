"""Turns as numbers of units: those of plain texts for a whole column at once (curation/texts/plain.py), the others text by text."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from curation.texts.textmatch import units
from pipelines.mix.flat_turns import FlatTurns
from pipelines.mix.questions import without_marks
from pipelines.mix.word_runs import Vocabulary

REMEMBERED, REMEMBERED_CHARS = 8192, 4_000  # texts that are not plain, and their length: contexts and instructions come back


@dataclass(frozen=True, slots=True)
class EncodedTurns:
    """Turns of rows as numbers of units: turn k is units[bounds[k]:bounds[k + 1]]."""

    turns: FlatTurns
    units: np.ndarray  # int32[U]
    bounds: np.ndarray  # int64[turns + 1]
    plain: np.ndarray  # bool[turns]: what it says is said by each part of it, too, that is cut between units
    decimal: np.ndarray  # bool[turns]: plain, and a point or comma stands in one of its numbers

    def of(self, some: np.ndarray) -> np.ndarray:
        """Return the units of some turns, one turn after the other."""
        lengths = np.diff(self.bounds)[some]
        return self.units[np.repeat(self.bounds[some] - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())]


class TurnEncoder:
    """Reads the loose form of turns in numbers of a vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._remembered = lru_cache(REMEMBERED)(self._encode)

    def encode(self, turns: FlatTurns) -> EncodedTurns:
        """Return the turns as numbers; marks of pictures are not read."""
        found = turns.plain.units()
        numbers, lengths = self._vocabulary.encode(found.distinct)[found.codes], found.lengths
        if not found.plain.all():
            others = np.flatnonzero(~found.plain)
            of_others = [self._of_turn(turns.texts[at]) for at in others.tolist()]
            lengths[others] = [len(of_turn) for of_turn in of_others]
            plain = np.repeat(found.plain, lengths)
            numbers, of_plain = np.empty(len(plain), np.int32), numbers
            numbers[plain], numbers[~plain] = of_plain, np.concatenate(of_others)
        bounds = np.append(0, np.cumsum(lengths))
        return EncodedTurns(turns, numbers, bounds, found.plain, found.decimal)

    def _of_turn(self, text: str) -> np.ndarray:
        return self._remembered(text) if len(text) <= REMEMBERED_CHARS else self._encode(text)

    def _encode(self, text: str) -> np.ndarray:
        return self._vocabulary.encode(units(without_marks(text)))
