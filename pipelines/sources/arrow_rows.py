"""Rows of Parquet files and of the .arrow files `datasets.save_to_disk` writes, a range at a time."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources.malformed import Malformed
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


def read_rows(path: Path, first: int, n: int) -> Iterator[tuple[int, dict | Malformed]]:
    """Yield (ordinal, row) of rows `first` to `first + n`; a row with text that is no UTF-8 comes as Malformed."""
    seen = 0
    for batch in _parquet_batches(path, first, first + n) if path.suffix == '.parquet' else _arrow_batches(path):
        if isinstance(batch, int):  # rows that were skipped unread
            seen += batch
            continue
        start, stop = max(first - seen, 0), min(first + n - seen, batch.num_rows)
        for at in range(start, stop, BATCH_ROWS):
            yield from enumerate(_rows(batch.slice(at, min(BATCH_ROWS, stop - at))), seen + at)
        seen += batch.num_rows
        if seen >= first + n:
            return


def _rows(batch: pa.RecordBatch) -> list[dict | Malformed]:
    try:
        return batch.to_pylist()
    except UnicodeDecodeError as e:
        if batch.num_rows == 1:
            return [Malformed(f'text that is no UTF-8: {e}')]
        return [row for at in range(batch.num_rows) for row in _rows(batch.slice(at, 1))]


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
