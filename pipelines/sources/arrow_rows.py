"""Rows of Parquet files and of the .arrow files `datasets.save_to_disk` writes, a range at a time; only columns that are asked for are converted."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources.arrow_cells import Want, is_plain, presence, values, wanted
from pipelines.sources.arrow_sizes import cell_bytes
from pipelines.sources.json_records import MAX_DEPTH
from pipelines.sources.malformed import MAX_RECORD_BYTES, UNREAD, Damaged, Malformed

BATCH_ROWS = 64  # decoded at once; a row may hold pictures ...
_BATCH_BYTES = 4_000_000  # ... and where it holds little, as many as make this
_BUFFER_BYTES = 1_000_000  # of each column, read from the file at a time; else a column of a row group is read whole, however few rows are taken
_MOST_ROWS = 512  # equal values are stored once, and may be large
_LOOK_BYTES = 4096  # a row's share of a column that nobody asked for, at most: it is decoded where only so can be told in which rows it is empty
_LOOK_VALUES = 64  # ... and values
_VALUE_BYTES = 8  # of a place in a list
_RUN_BYTES = 16_000_000  # of the rows that are handed on together, if it is not one
_FEW_ROWS = 1_000_000  # in any file; in a larger one at most a row a byte: data differ by more
_PACKED = 100  # times smaller than what is unpacked: a dictionary whose values may be repeated in each row, which no size tells
_REPEATED_BYTES = MAX_RECORD_BYTES  # ... of them, at once
_UNPACKED, _UNPACKED_BYTES = 1000, 250_000_000  # what some rows may unpack to: times their whole file, or bytes; columns of one value pack well


def row_groups(path: Path, fields: frozenset[str] | None = None) -> list[int]:
    """Return the rows of each row group of a Parquet file or each record batch of an .arrow file; of `fields` one column may be looked at, no row.

    Raises Damaged, also for more rows than any data have that fit into so many bytes.
    """
    if path.suffix.lower() == '.parquet':
        with _parquet(path) as file:
            groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    else:
        want = wanted(fields)
        groups = [batch.num_rows for batch in _arrow_batches(path, want, counting=True)]
    n_bytes = path.stat().st_size
    if sum(groups) > max(_FEW_ROWS, n_bytes) or min(groups, default=0) < 0:
        raise Damaged(f'{sum(groups)} rows in {n_bytes} bytes')
    return groups


def all_bytes(path: Path) -> int:
    """Return the bytes of all rows as they are decoded, by what the file says of itself."""
    if path.suffix.lower() != '.parquet':
        return path.stat().st_size
    with _parquet(path) as file:
        return sum(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups))


def read_rows(path: Path, first: int, n: int, fields: frozenset[str] | None = None) -> Iterator[tuple[int, dict | Malformed]]:
    """Yield (ordinal, row) of rows `first` to `first + n`; a row whose text is no UTF-8, or whose value Python cannot hold, comes as Malformed.

    Of a column that is none of `fields` (dotted paths reach into structs) a row has UNREAD, or None where it is empty. Without `fields` all columns
    are converted, and Malformed stands where a value cannot be. Raises Damaged, pa.ArrowException, OSError and MemoryError for a damaged file.
    """
    for run in read_runs(path, first, n, fields):
        yield from run


def read_runs(path: Path, first: int, n: int, fields: frozenset[str] | None = None) -> Iterator[list[tuple[int, dict | Malformed]]]:
    """Yield what `read_rows` does, some rows at a time: at least one, and no more than make _RUN_BYTES."""
    want = wanted(fields)
    seen, unpacked, most = 0, 0, max(_UNPACKED_BYTES, _UNPACKED * path.stat().st_size)
    for batch, known in _parquet_batches(path, first, first + n, want) if path.suffix.lower() == '.parquet' else _mapped_batches(path, want):
        if isinstance(batch, int):  # rows that were skipped unread
            seen += batch
            continue
        start, stop = max(first - seen, 0), min(first + n - seen, batch.num_rows)
        for at in range(start, stop, BATCH_ROWS):
            some = batch.slice(at, min(BATCH_ROWS, stop - at))
            sizes = _sizes(some, want)
            unpacked += int(sizes.sum())
            if unpacked > most:
                raise Damaged(f'rows that take more than {most} bytes once they are unpacked, of a file of {path.stat().st_size}')
            for begin, end in _runs(sizes):
                yield list(enumerate(_bounded_rows(some.slice(begin, end - begin), int(sizes[begin]), want, known), seen + at + begin))
        seen += batch.num_rows
        if seen >= first + n:
            return


def _sizes(batch: pa.RecordBatch, want: Want) -> np.ndarray:
    """Return int64[N], the bytes of the rows of a batch by the columns that are read; raises Damaged for one that would not survive a look."""
    total = np.zeros(batch.num_rows, np.int64)
    for i, name in enumerate(batch.schema.names):
        if want is None or name in want:
            total += cell_bytes(batch.column(i), None if want is None else want[name])
    return total


def _runs(sizes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield the runs of rows that are converted together; one that is too large is alone."""
    begin, total = 0, 0
    for at, size in enumerate(sizes.tolist()):
        if at > begin and total + size > _RUN_BYTES:
            yield begin, at
            begin, total = at, 0
        total += size
    if len(sizes):
        yield begin, len(sizes)


def _bounded_rows(batch: pa.RecordBatch, n_bytes: int, want: Want, known: dict[str, bool]) -> list[dict | Malformed]:
    if batch.num_rows == 1 and n_bytes > MAX_RECORD_BYTES:
        return [Malformed(f'a record of {n_bytes} bytes, more than {MAX_RECORD_BYTES}')]
    return _rows(batch, want, known)


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


def _parquet(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True)


def _parquet_batches(path: Path, start: int, stop: int, want: Want) -> Iterator[tuple[pa.RecordBatch | int, dict[str, bool]]]:
    seen = 0
    with _parquet(path) as file:
        _refuse_deep(file.schema_arrow, want)
        leaves = None if want is None else _leaves(file)
        for group in range(file.num_row_groups):
            n = file.metadata.row_group(group).num_rows
            if seen < stop and seen + n > start:
                yield from _group(file, group, leaves, want)
            else:
                yield n, {}
            seen += n


def _group(file: pq.ParquetFile, group: int, leaves: dict[str, range] | None, want: Want) -> Iterator[tuple[pa.RecordBatch, dict[str, bool]]]:
    """Yield the batches of a row group. Where a column that is only looked at cannot be decoded, it holds something from there on."""
    about, done = file.metadata.row_group(group), 0
    for look in (True, False):
        columns, known = (None, {}) if leaves is None or want is None else _choose(about, leaves, file.schema_arrow, want, look=look)
        at = 0
        try:
            for batch in file.iter_batches(batch_size=_batch_rows(about, columns), row_groups=[group], columns=columns):
                at += batch.num_rows
                if at > done:
                    yield batch.slice(max(0, done - at + batch.num_rows)), known
                    done = at
            break
        except (pa.ArrowException, OSError, MemoryError):
            if not look or want is None or leaves is None:
                raise
    if done != about.num_rows:
        raise Damaged(f'{done} rows where row group {group} says {about.num_rows}')


def _refuse_deep(schema: pa.Schema, want: Want) -> None:
    for field in schema:
        if (want is None or field.name in want) and _depth(field.type) > MAX_DEPTH:
            raise Damaged(f'column {field.name}: lists and structs more than {MAX_DEPTH} deep')


def _depth(kind: pa.DataType) -> int:
    depth, kinds = 0, [kind]
    while kinds and depth <= MAX_DEPTH:
        depth, kinds = depth + 1, [inner.field(i).type for inner in kinds for i in range(inner.num_fields)]
    return depth


def _is_bytes(leaf: pq.ColumnChunkMetaData) -> bool:
    return leaf.path_in_schema.endswith('bytes')  # of pictures


def _batch_rows(group: pq.RowGroupMetaData, columns: list[str] | None) -> int:
    """Return how many rows are decoded at once, by what the file says of the bytes of the columns that are read; raises Damaged for too many."""
    leaves = [group.column(i) for i in range(group.num_columns)]
    if columns is not None:
        tops = {name.partition('.')[0] for name in columns}
        leaves = [leaf for leaf in leaves if leaf.path_in_schema.partition('.')[0] in tops]
    n_bytes = sum(leaf.total_uncompressed_size for leaf in leaves)
    for leaf in leaves:
        if leaf.num_values * _VALUE_BYTES > MAX_RECORD_BYTES * group.num_rows:
            raise Damaged(f'column {leaf.path_in_schema}: {leaf.num_values} values in {group.num_rows} rows')
    if n_bytes > _PACKED * sum(leaf.total_compressed_size for leaf in leaves) and n_bytes > _BATCH_BYTES:
        return max(1, _REPEATED_BYTES // n_bytes)  # each row may be all of it
    if any(leaf.num_values > _LOOK_VALUES * group.num_rows or _is_bytes(leaf) for leaf in leaves) or n_bytes == 0:
        return max(1, min(BATCH_ROWS, MAX_RECORD_BYTES * group.num_rows // max(1, n_bytes)))
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


def _choose(
    group: pq.RowGroupMetaData, leaves: dict[str, range], schema: pa.Schema, want: dict, *, look: bool
) -> tuple[list[str], dict[str, bool]]:
    """Return the columns to decode of a row group, and of the others whether they hold something: from their statistics, without a `look`."""
    read, known = [], {}
    for name, numbers in leaves.items():
        if name in want:
            read += _paths(name, schema.field(name).type, want[name])
            continue
        about = [group.column(i) for i in numbers]
        there = _told(about)
        if look and there is None and sum(one.total_uncompressed_size for one in about) <= _LOOK_BYTES * group.num_rows \
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
    try:
        return _told_by([leaf.statistics for leaf in leaves], leaves)
    except (pa.ArrowException, ValueError, OverflowError):  # a bound that Python cannot hold
        return None


def _told_by(stats: list[pq.Statistics | None], leaves: list[pq.ColumnChunkMetaData]) -> bool | None:
    if all(one is not None and one.has_null_count and one.null_count == leaf.num_values for one, leaf in zip(stats, leaves, strict=True)):
        return False
    one = stats[0]
    if len(leaves) > 1 or '.' in leaves[0].path_in_schema or one is None or not one.has_null_count or one.null_count:
        return None
    return True if leaves[0].physical_type != 'BYTE_ARRAY' or (one.has_min_max and one.min not in ('', b'')) else None


def _mapped_batches(path: Path, want: Want) -> Iterator[tuple[pa.RecordBatch, dict[str, bool]]]:
    """Yield the batches of an .arrow file, those columns that are read known to be sound but for their offsets."""
    for batch in _arrow_batches(path, want):
        sound = [i for i, name in enumerate(batch.schema.names) if _is_sound(batch.column(i), name, want)]
        known = {name: True for i, name in enumerate(batch.schema.names) if i not in sound}
        yield batch.select(sound) if known else batch, known


def _is_sound(column: pa.Array, name: str, want: Want) -> bool:
    """Return whether a column's buffers are all there; raises ArrowInvalid for one that is read."""
    try:
        column.validate()
    except pa.ArrowException:
        if want is None or name in want:
            raise
        return False
    return True


def _arrow_batches(path: Path, want: Want, *, counting: bool = False) -> Iterator[pa.RecordBatch]:
    """Yield the batches of an Arrow stream (what `datasets` writes) or file; mapped, so that a batch passed over costs nothing.

    For `counting` one column is enough, if it is one that is read.
    """
    with pa.memory_map(str(path)) as mapped:
        if is_file := mapped.read(6) == b'ARROW1':
            schema = pa.ipc.open_file(mapped).schema
        else:
            mapped.seek(0)
            schema = pa.ipc.open_stream(mapped).schema
            mapped.seek(0)
        _refuse_deep(schema, want)
        some = [i for i, name in enumerate(schema.names) if want is None or name in want][:1] if counting else []
        options = pa.ipc.IpcReadOptions(included_fields=some)  # none: all
        if is_file:
            reader = pa.ipc.open_file(mapped, options=options)
            yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            yield from pa.ipc.open_stream(mapped, options=options)
