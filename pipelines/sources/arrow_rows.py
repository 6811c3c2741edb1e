"""Rows of Parquet files and of the .arrow files `datasets.save_to_disk` writes, a range at a time."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import UserError

BATCH_ROWS = 64  # decoded at once; a row may hold pictures


def row_groups(source: str, path: Path) -> list[int]:
    """Return the rows of each row group of a Parquet file or each record batch of an .arrow file; reads no row."""
    try:
        if path.suffix == '.parquet':
            with pq.ParquetFile(path) as file:
                return [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        return [batch.num_rows for batch in _arrow_batches(path)]
    except (pa.ArrowException, OSError) as e:
        raise UserError(f'source {source}: expected {path.suffix} data in {path}, found: {e}; is the download complete?') from e


def read_rows(path: Path, first: int, n: int) -> Iterator[tuple[int, dict]]:
    """Yield (ordinal, row) of rows `first` to `first + n`."""
    seen = 0
    for batch in _parquet_batches(path, first, first + n) if path.suffix == '.parquet' else _arrow_batches(path):
        if isinstance(batch, int):  # rows that were skipped unread
            seen += batch
            continue
        start, stop = max(first - seen, 0), min(first + n - seen, batch.num_rows)
        for at in range(start, stop, BATCH_ROWS):
            rows = batch.slice(at, min(BATCH_ROWS, stop - at)).to_pylist()
            yield from ((seen + at + i, row) for i, row in enumerate(rows))
        seen += batch.num_rows
        if seen >= first + n:
            return


def _parquet_batches(path: Path, start: int, stop: int) -> Iterator[pa.RecordBatch | int]:
    seen = 0
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            n = file.metadata.row_group(group).num_rows
            if seen < stop and seen + n > start:
                yield from file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group])
            else:
                yield n
            seen += n


def _arrow_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the batches of an Arrow stream (what `datasets` writes) or file; mapped, so that a batch passed over costs nothing."""
    with pa.memory_map(str(path)) as mapped:
        if mapped.read(6) == b'ARROW1':
            reader = pa.ipc.open_file(mapped)
            yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            mapped.seek(0)
            yield from pa.ipc.open_stream(mapped)
