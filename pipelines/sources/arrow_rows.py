"""Rows of Parquet files and of the .arrow files `datasets.save_to_disk` writes, a range at a time; only columns that are asked for are converted."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources.arrow_cells import Want, is_plain, presence, values, wanted
from pipelines.sources.malformed import UNREAD, Malformed
from schemas.disk import raise_moment
from schemas.errors import UserError

BATCH_ROWS = 64  # decoded at once; a row may hold pictures ...
_BATCH_BYTES = 4_000_000  # ... and where it holds little, as many as make this
_BUFFER_BYTES = 1_000_000  # of each column, read from the file at a time; else a column of a row group is read whole, however few rows are taken
_MOST_ROWS = 512  # equal values are stored once, and may be large
_LOOK_BYTES = 4096  # a row's share of a column that nobody asked for, at most: it is decoded where only so can be told in which rows it is empty
_LOOK_VALUES = 64  # ... and values


def row_groups(source: str, path: Path) -> list[int]:
    """Return the rows of each row group of a Parquet file or each record batch of an .arrow file; reads no row."""
    try:
        if path.suffix.lower() == '.parquet':
            with pq.ParquetFile(path) as file:
                return [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        return [batch.num_rows for batch in _arrow_batches(path)]
    except (pa.ArrowException, OSError) as e:
        raise_moment(e)
        raise UserError(f'source {source}: expected {path.suffix} data in {path}, found: {e}; is the download complete?') from e


def read_rows(path: Path, first: int, n: int, fields: frozenset[str] | None = None) -> Iterator[tuple[int, dict | Malformed]]:
    """Yield (ordinal, row) of rows `first` to `first + n`; a row whose text is no UTF-8, or whose value Python cannot hold, comes as Malformed.

    Of a column that is none of `fields` (dotted paths reach into structs) a row has UNREAD, or None where it is empty. Without `fields` all columns
    are converted, and Malformed stands where a value cannot be.
    """
    want = wanted(fields)
    seen = 0
    for batch, known in _parquet_batches(path, first, first + n, want) if path.suffix.lower() == '.parquet' else _all_known(path):
        if isinstance(batch, int):  # rows that were skipped unread
            seen += batch
            continue
        start, stop = max(first - seen, 0), min(first + n - seen, batch.num_rows)
        for at in range(start, stop, BATCH_ROWS):
            yield from enumerate(_rows(batch.slice(at, min(BATCH_ROWS, stop - at)), want, known), seen + at)
        seen += batch.num_rows
        if seen >= first + n:
            return


def _rows(batch: pa.RecordBatch, want: Want, known: dict[str, bool]) -> list[dict | Malformed]:
    """Return the rows of a batch; `known` are columns that are not in it and whether they hold something."""
    try:
        columns = [_column(batch, i, name, want) for i, name in enumerate(batch.schema.names)]
    except UnicodeDecodeError as e:
        if batch.num_rows == 1:
            return [Malformed(f'text that is no UTF-8: {e}')]
        return [row for at in range(batch.num_rows) for row in _rows(batch.slice(at, 1), want, known)]
    names = (*batch.schema.names, *known)
    columns += [[UNREAD if there else None] * batch.num_rows for there in known.values()]
    rows: list[dict | Malformed] = [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)] or [{}] * batch.num_rows
    for name, column, field in zip(names, columns, batch.schema, strict=False):
        if want is not None and name in want and not is_plain(field.type):
            rows = [_spoilt(name, cell) or row for cell, row in zip(column, rows, strict=True)]
    return rows


def _spoilt(name: str, cell: object) -> Malformed | None:
    return Malformed(f'column {name}: {cell.found}') if isinstance(cell, Malformed) else None


def _column(batch: pa.RecordBatch, i: int, name: str, want: Want) -> list:
    if want is None or name in want:
        return values(batch.column(i), None if want is None else want[name])
    return [UNREAD if there else None for there in presence(batch.column(i))]


def _parquet_batches(path: Path, start: int, stop: int, want: Want) -> Iterator[tuple[pa.RecordBatch | int, dict[str, bool]]]:
    seen = 0
    with pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
        leaves = None if want is None else _leaves(file)
        for group in range(file.num_row_groups):
            about = file.metadata.row_group(group)
            n = about.num_rows
            if seen < stop and seen + n > start:
                columns, known = (None, {}) if leaves is None or want is None else _choose(about, leaves, file.schema_arrow, want)
                for batch in file.iter_batches(batch_size=_batch_rows(about, columns), row_groups=[group], columns=columns):
                    yield batch, known
            else:
                yield n, {}
            seen += n


def _is_bytes(leaf: pq.ColumnChunkMetaData) -> bool:
    return leaf.path_in_schema.endswith('bytes')  # of pictures


def _batch_rows(group: pq.RowGroupMetaData, columns: list[str] | None) -> int:
    """Return how many rows are decoded at once, by what the file says of the bytes of the columns that are read."""
    leaves = [group.column(i) for i in range(group.num_columns)]
    if columns is not None:
        tops = {name.partition('.')[0] for name in columns}
        leaves = [leaf for leaf in leaves if leaf.path_in_schema.partition('.')[0] in tops]
    n_bytes = sum(leaf.total_uncompressed_size for leaf in leaves)
    if any(leaf.num_values > _LOOK_VALUES * group.num_rows or _is_bytes(leaf) for leaf in leaves) or n_bytes == 0:
        return BATCH_ROWS
    return min(_MOST_ROWS, max(BATCH_ROWS, _BATCH_BYTES * group.num_rows // n_bytes))


def _leaves(file: pq.ParquetFile) -> dict[str, range] | None:
    """Return the numbers of the physical columns of each column; None where they cannot be told apart, so that all is read."""
    found, at = {}, 0
    for field in file.schema_arrow:
        found[field.name] = range(at, at := at + _n_leaves(field.type))
    return found if at == file.metadata.num_columns and len(found) == len(file.schema_arrow) else None


def _n_leaves(kind: pa.DataType) -> int:
    if isinstance(kind, pa.BaseExtensionType):
        return _n_leaves(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _n_leaves(kind.value_type)
    return sum(_n_leaves(kind.field(i).type) for i in range(kind.num_fields)) or 1


def _choose(group: pq.RowGroupMetaData, leaves: dict[str, range], schema: pa.Schema, want: dict) -> tuple[list[str], dict[str, bool]]:
    """Return the columns to decode of a row group, and of the others whether they hold something: from their statistics, without a look."""
    read, known = [], {}
    for name, numbers in leaves.items():
        if name in want:
            read += _paths(name, schema.field(name).type, want[name])
            continue
        about = [group.column(i) for i in numbers]
        there = _told(about)
        if there is None and sum(one.total_uncompressed_size for one in about) <= _LOOK_BYTES * group.num_rows \
                and all(one.num_values <= _LOOK_VALUES * group.num_rows for one in about):
            read.append(about[0].path_in_schema)
        else:
            known[name] = there is not False
    return read, known


def _paths(name: str, kind: pa.DataType, want: Want) -> list[str]:
    if want is None or not pa.types.is_struct(kind):
        return [name]
    inside = {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}
    return [path for inner, of in inside.items() if inner in want for path in _paths(f'{name}.{inner}', of, want[inner])] or [name]


def _told(leaves: list[pq.ColumnChunkMetaData]) -> bool | None:
    """Return whether all rows (True) or none (False) hold something in a column, None where that cannot be said of all alike."""
    stats = [leaf.statistics for leaf in leaves]
    if all(one is not None and one.has_null_count and one.null_count == leaf.num_values for one, leaf in zip(stats, leaves, strict=True)):
        return False
    one = stats[0]
    if len(leaves) > 1 or '.' in leaves[0].path_in_schema or one is None or not one.has_null_count or one.null_count:
        return None
    return True if leaves[0].physical_type != 'BYTE_ARRAY' or (one.has_min_max and one.min not in ('', b'')) else None


def _all_known(path: Path) -> Iterator[tuple[pa.RecordBatch, dict[str, bool]]]:
    for batch in _arrow_batches(path):
        yield batch, {}


def _arrow_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the batches of an Arrow stream (what `datasets` writes) or file; mapped, so that a batch passed over costs nothing."""
    with pa.memory_map(str(path)) as mapped:
        if mapped.read(6) == b'ARROW1':
            reader = pa.ipc.open_file(mapped)
            yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            mapped.seek(0)
            yield from pa.ipc.open_stream(mapped)
