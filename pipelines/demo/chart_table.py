"""A small table that one chart shows, and helpers that make such tables from the packaged ones."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal['bar', 'barh', 'line', 'pie', 'grouped', 'lines']


@dataclass(frozen=True, slots=True)
class ChartTable:
    """What one chart shows: labels along one axis, one or two series of values, and the words to ask about them."""

    name: str
    origin: str
    kind: Kind
    title: str
    # one value, as in "what is {measure} in 1990?"; of two series, {series} stands for the series' name
    measure: str
    # one label and several, as in "which year has the highest ...", "how many years ..."
    label_word: str
    labels_word: str
    # what goes between measure and label: in, for, of
    preposition: str
    labels: tuple[str, ...]
    series: tuple[tuple[str, tuple[float, ...]], ...]
    decimals: int
    axis: str = ''

    def __post_init__(self) -> None:
        assert 2 <= len(self.labels) == len(set(self.labels)), self.name
        assert all(len(values) == len(self.labels) for _, values in self.series), self.name
        assert len(self.series) == (2 if self.kind in ('grouped', 'lines') else 1), self.name

    def text(self, value: float) -> str:
        """Return a value as the chart prints it."""
        return f'{value:.{self.decimals}f}'

    def measure_of(self, number: int) -> str:
        """Return the words for the value of one series."""
        return self.measure.format(series=self.series[number][0])


def table(
    name: str, origin: str, kind: Kind, *, values: Sequence[tuple[str, float]], decimals: int = 0, **words: Any
) -> ChartTable:
    """Return a table of one series; values are rounded here, so that questions and pictures see the same numbers."""
    numbers = tuple(round(value, decimals) for _, value in values)
    return ChartTable(
        name=name, origin=origin, kind=kind, labels=tuple(label for label, _ in values),
        series=(('', numbers),), decimals=decimals, **words,
    )  # fmt: skip


def pair_table(
    name: str, origin: str, kind: Kind, *, labels: Iterable[str], first: tuple[str, Sequence[float]],
    second: tuple[str, Sequence[float]], decimals: int = 0, **words: Any,
) -> ChartTable:  # fmt: skip
    """Return a table of two series."""
    series = tuple((label, tuple(round(value, decimals) for value in values)) for label, values in (first, second))
    return ChartTable(
        name=name, origin=origin, kind=kind, labels=tuple(labels), series=series, decimals=decimals, **words
    )


def means(rows: Iterable[dict[str, Any]], key: str, value: str) -> list[tuple[str, float]]:
    """Return the mean of one column per value of another, in order of first appearance; empty cells are left out."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        if row[value] not in ('', 'NA', None):
            groups.setdefault(str(row[key]), []).append(float(row[value]))
    return [(name, math.fsum(numbers) / len(numbers)) for name, numbers in groups.items()]


def sums(rows: Iterable[dict[str, Any]], key: str, value: str) -> list[tuple[str, float]]:
    """Return the sum of one column per value of another, in order of first appearance."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        groups.setdefault(str(row[key]), []).append(float(row[value]))
    return [(name, math.fsum(numbers)) for name, numbers in groups.items()]


def counts(rows: Iterable[dict[str, Any]], key: str) -> list[tuple[str, float]]:
    """Return how many rows there are per value of a column, in order of first appearance."""
    return sums([{key: row[key], 'one': 1} for row in rows], key, 'one')


def largest(values: Iterable[tuple[str, float]], n: int) -> list[tuple[str, float]]:
    """Return the `n` largest, ties by label."""
    return sorted(values, key=_by_value_then_label)[:n]


def _by_value_then_label(pair: tuple[str, float]) -> tuple[float, str]:
    return -pair[1], pair[0]
