"""Rows of a mix and of the tables beside it, found by where they stand and held as Arrow: no row becomes a Python value."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.disk import readable
from schemas.errors import UserError

BUFFER_BYTES = 1_000_000  # of each column, read from the file at a time


class MixGroups:
    """Rows of a mix's files, read a row group at a time; the last one stays, since the next place mostly lies in it, too."""

    def __init__(self, paths: Sequence[str], columns: list[str]) -> None:
        self._paths, self._columns = paths, columns
        self._held: tuple[tuple[int, int], pa.Table] | None = None

    def take(self, files: np.ndarray, rows: np.ndarray) -> Iterator[tuple[slice, pa.Table]]:
        """Yield, for places (file, row) that ascend, those of one row group after the other with their rows, never more than it has.

        Raises UserError for a picture that is not the one that its id names.
        """
        for file in np.unique(files).tolist():
            first, last = np.searchsorted(files, [file, file + 1])
            path = self._paths[file]
            with readable(path), pq.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False) as opened:
                ends = np.cumsum([0, *(opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups))])
                for group in np.unique(np.searchsorted(ends, rows[first:last], 'right') - 1).tolist():
                    start, stop = first + np.searchsorted(rows[first:last], ends[[group, group + 1]])
                    of_group = self._group(opened, file, group)
                    for at in range(start, stop, of_group.num_rows):  # a row that is asked for often is not held so often at once
                        some = slice(at, min(stop, at + of_group.num_rows))
                        found = of_group.take(pa.array(rows[some] - ends[group])).combine_chunks()
                        if 'images' in self._columns:
                            refuse_other_pictures(path, rows[some], found)
                        yield some, found
                    del of_group

    def _group(self, opened: pq.ParquetFile, file: int, group: int) -> pa.Table:
        if self._held is None or self._held[0] != (file, group):
            self._held = None  # before the next one is read
            self._held = (file, group), opened.read_row_group(group, columns=self._columns, use_threads=False)
        return self._held[1]


def refuse_other_pictures(path: str, rows: np.ndarray, found: pa.Table) -> None:
    """Raise UserError where a picture of a snapshot's row is not the one that its id names; `rows` are their numbers in the file."""
    images, ids = (whole(found[name]) for name in ('images', 'image_ids'))
    named = ids.flatten().to_pylist()
    shas = [hashlib.sha256(data).hexdigest() for data in _values(images.flatten().field('bytes'))]
    at = -1 if shas == named else next((at for at, (sha, image_id) in enumerate(zip(shas, named, strict=False)) if sha != image_id), -1)
    if at >= 0:
        row = rows[int(np.searchsorted(np.cumsum(pc.list_value_length(ids)), at, 'right'))]
        raise UserError(f'{path}, row {row}: expected a picture with sha256 {str(named[at])[:12]}..., found {shas[at][:12]}...; '
                        'it changed since it was sealed: `phantom verify` names all such rows; remove it and build it again')


def whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, which is not copied where it is one."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _values(column: pa.BinaryArray) -> Iterator[memoryview]:
    """Yield the values of a column, none of which is copied; null as none."""
    _, offsets, data = column.buffers()
    places = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1] if len(column) else ()
    view = memoryview(data or b'')
    yield from (view[start:stop] for start, stop in pairwise(places))


class Parts:
    """Rows of the parts of some tables, by part and place; what the last block needed stays open, since the next one mostly needs it, too."""

    def __init__(self, paths: Sequence[Path], columns: list[str]) -> None:
        self._paths, self._columns = paths, columns
        self._held: dict[int, pa.Table] = {}

    def take(self, parts: np.ndarray, at: np.ndarray) -> pa.Table:
        """Return the rows at these places, in this order."""
        wanted = np.unique(parts).tolist()
        self._held = {part: self._held[part] if part in self._held else self._read(part) for part in wanted}
        if len(wanted) == 1:
            return self._held[wanted[0]].take(pa.array(at))
        firsts = np.cumsum([0, *(self._held[part].num_rows for part in wanted)])
        together = pa.concat_tables(self._held.values())
        return together.take(pa.array(firsts[np.searchsorted(wanted, parts)] + at))

    def _read(self, part: int) -> pa.Table:
        return pq.read_table(self._paths[part], columns=self._columns, use_threads=False)
