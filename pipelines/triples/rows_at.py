"""The rows of a mix that models are asked about, read as they are needed."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from pipelines.snapshot.mix_rows import MixRow, mix_rows


def rows_at(mix: Sequence[str], places: Iterable[tuple[int, int]], *, pixels: bool) -> Iterator[MixRow]:
    """Yield the mix row at each (file, row), which ascend, as often as it is asked for; pictures, with `pixels`, of one row at a time."""
    for file, some in groupby(places, key=itemgetter(0)):
        numbers = [number for _, number in some]
        rows = mix_rows(mix[file], sorted(set(numbers)), pixels=pixels)
        for row, (_, same) in zip(rows, groupby(numbers), strict=True):
            for _ in same:
                yield row
