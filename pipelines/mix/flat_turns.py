"""The turns of many rows as columns: all texts one after the other, and where each row's begin."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from curation.texts.plain import Column
from schemas.records import TURNS

BYTES_AT_ONCE = 1_000_000  # of text, or one row; what is worked out of them is some 30 times as large


@dataclass(frozen=True)
class FlatTurns:
    """The turns of some rows; those of row k have the places bounds[k] to bounds[k + 1]."""

    column: pa.StringArray  # the texts
    roles: list[str]
    bounds: np.ndarray  # int64[rows + 1]

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @cached_property
    def texts(self) -> list[str]:
        """Return the texts."""
        return self.column.to_pylist()

    @cached_property
    def plain(self) -> Column:
        """Return the texts as bytes, to be read all at once."""
        return Column(self.column)

    @cached_property
    def row_of(self) -> np.ndarray:
        """Return int64[turns]: which row each turn is of."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))

    def row(self, row: int) -> list[dict]:
        """Return the turns of a row (role, text)."""
        return [{'role': self.roles[at], 'text': self.texts[at]} for at in range(self.bounds[row], self.bounds[row + 1])]

    def blocks(self) -> Iterator['FlatTurns']:
        """Yield the same rows, so many at once that what is worked out of their texts finds room."""
        ends, start = np.cumsum(self.n_bytes()), 0
        while start < len(self):
            done = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, done + BYTES_AT_ONCE, 'right')))
            first, last = self.bounds[start], self.bounds[stop]
            yield FlatTurns(self.column[first:last], self.roles[first:last], self.bounds[start : stop + 1] - first)
            start = stop

    def n_bytes(self) -> np.ndarray:
        """Return int64[rows]: the bytes of each row's texts."""
        return np.diff(_byte_bounds(self.column)[self.bounds])


def flat_turns(turns: pa.ListArray) -> FlatTurns:
    """Return a column of turns as it lies in a table of samples."""
    offsets = turns.offsets.to_numpy().astype(np.int64)
    inner = turns.flatten()
    roles = inner.field('role').dictionary_encode()
    return FlatTurns(inner.field('text'), np.array(roles.dictionary.to_pylist(), object)[roles.indices.to_numpy()].tolist(), offsets - offsets[0])


def turns_of(rows: Sequence[list[dict]]) -> FlatTurns:
    """Return the turns of rows that are given one by one."""
    return flat_turns(pa.array(rows, TURNS))


def _byte_bounds(texts: pa.StringArray) -> np.ndarray:
    return np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
