"""Rows of many files brought into an order of their own, whatever that is: each file is read once, each row written and read once more.

Who reads the files writes each row to the block of the output that it belongs to (`BlockWriter`); who writes the output takes block after block,
in order (`Blocks`). A block is some thousand rows, so both hold little; the scratch files are the rows once more, compressed (LZ4).
"""

from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np
import pyarrow as pa

from pipelines.engine.tables import ShardWriter, Table

GROUPS = 16  # shards at most in which files are read: so many scratch files does each block come from, however many files there are
GROUP_ROWS = 8192  # that are worth a shard of their own, which costs 3 ms
BLOCK_ROWS = 8192  # of text and ids, about 1 kB a row ...
BLOCKS = 8  # ... or fewer, so that the text of one output file, which may be all that it holds, is not held at once
LEAST_ROWS = 512
CHUNK_BYTES = 64_000_000  # sorted at a time, and held twice for that; the more, the fewer and longer runs there are
PLACE = '_place'  # of a row in the output, all files in a row
_LZ4 = pa.ipc.IpcWriteOptions(compression='lz4', use_threads=False)  # shards are what runs at once


def in_groups(n_parts: int, n_rows: int) -> list[tuple[int, int]]:
    """Return the first part, and that after the last, of runs of about as many parts; how many runs is for the rows that are taken."""
    cuts = np.linspace(0, n_parts, min(GROUPS, n_parts, 1 + n_rows // GROUP_ROWS) + 1).astype(int).tolist()
    return list(zip(cuts, cuts[1:], strict=False))


def block_starts(shards: np.ndarray) -> np.ndarray:
    """Return the place of the first row of each block, and that after the last row, for rows whose output shard is given; a block is of one shard."""
    assert (np.diff(shards) >= 0).all(), 'the places of an output shard follow each other'
    edges = np.flatnonzero(np.diff(shards, prepend=-1, append=-1)) if len(shards) else np.zeros(1, np.int64)
    starts = [np.arange(start, stop, min(BLOCK_ROWS, max(LEAST_ROWS, -(-(stop - start) // BLOCKS))))
              for start, stop in zip(edges.tolist(), edges[1:].tolist(), strict=False)]
    return np.concatenate([*starts, edges[-1:]])


class BlockWriter:
    """Writes rows, as they come, to the blocks that they belong to: `blocks-*.arrow`, with the block of each of its batches in `blocks-*.npy`."""

    def __init__(self, writer: ShardWriter, starts: np.ndarray, schema: pa.Schema) -> None:
        self._writer, self._starts, self._schema = writer, starts, schema.append(pa.field(PLACE, pa.int64()))
        self._waiting: list[pa.Table] = []
        self._bytes = 0
        self._written: list[int] = []
        self._file = pa.ipc.new_file(writer.folder / f'blocks-{writer.index:05d}.arrow', self._schema, options=_LZ4)

    def write(self, rows: pa.Table, places: np.ndarray) -> None:
        """Add rows, given where in the output they stand."""
        self._waiting.append(rows.append_column(PLACE, pa.array(places, pa.int64())).cast(self._schema))
        self._bytes += rows.nbytes
        self._writer.counts['rows/blocks'] += rows.num_rows
        if self._bytes >= CHUNK_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what waits, and which block each batch is of."""
        self._flush()
        self._file.close()
        np.save(self._writer.folder / f'blocks-{self._writer.index:05d}.npy', np.array(self._written, np.int32))

    def _flush(self) -> None:
        if self._waiting:
            rows, self._waiting, self._bytes = pa.concat_tables(self._waiting), [], 0
            places = rows[PLACE].to_numpy()
            order = np.argsort(places)
            rows, places = rows.take(order).combine_chunks(), places[order]
            cuts = np.searchsorted(places, self._starts)
            for block in np.flatnonzero(np.diff(cuts)).tolist():
                self._file.write_table(rows.slice(cuts[block], cuts[block + 1] - cuts[block]))
                self._written += [block] * (self._file.stats.num_record_batches - len(self._written))


class Blocks:
    """The blocks that BlockWriters of one table wrote. Its files are opened once, and of each only the batches of a block are read."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @cached_property
    def _files(self) -> list[tuple[pa.ipc.RecordBatchFileReader, np.ndarray, np.ndarray]]:
        """Return each file, its batches in the order of their blocks, and those blocks."""
        found = []
        for path in sorted(self._table.path.glob('blocks-*.arrow')):
            blocks = np.load(path.with_suffix('.npy'))
            order = np.argsort(blocks, kind='stable')
            found.append((pa.ipc.open_file(pa.memory_map(str(path))), order, blocks[order]))
        return found

    def rows(self, numbers: Iterable[int]) -> Iterator[pa.Table]:
        """Yield the rows of some blocks in the order of their places; a block without rows yields nothing."""
        for number in numbers:
            found = []
            for file, order, blocks in self._files:
                first, stop = np.searchsorted(blocks, [number, number + 1])
                found += [file.get_batch(int(i)) for i in order[first:stop]]
            if found:
                rows = pa.Table.from_batches(found)
                yield rows.take(np.argsort(rows[PLACE].to_numpy())).drop_columns(PLACE)
