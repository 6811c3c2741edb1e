"""Rows of an annotation file, in chunks: JSON of any shape, JSON Lines, CSV, TSV, Parquet, Arrow and WebDataset tars. Nothing is loaded whole.

JSON, CSV and tar files are scanned once for the byte ranges of their records. With an `index` folder the ranges are written there, 16 bytes a record,
and neither a later run nor the driver's memory pays for them again; workers map the part they need.
"""

import hashlib
import itertools
import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipelines.sources.apart import read_rows, row_groups
from pipelines.sources.archives import stamp_of
from pipelines.sources.completeness import PACKED, unpacking
from pipelines.sources.csv_records import SUFFIXES as CSV
from pipelines.sources.csv_records import csv_header, csv_row, csv_spans, no_utf8
from pipelines.sources.json_records import ALL, Reading, json_spans, refuse_deep
from pipelines.sources.malformed import MAX_RECORD_BYTES, Malformed
from pipelines.sources.tar_samples import Sample, read_sample, sample_spans
from schemas.arrays import keep, kept
from schemas.disk import is_file, readable
from schemas.errors import UserError
from schemas.quick_json import loads

CHUNK_RECORDS = 500  # at least, but for a file's last: what is done once a shard costs as much as twenty records
MOST_TIMES = 4  # as many, of a long file ...
CHUNK_BYTES = 8_000_000  # ... of short records
CHUNKS = 16  # at least, before they grow
_NAMED = 8  # files in a message
_SCAN = 2  # up whenever the same file would give other byte ranges
CHUNKS_PER_GROUP = 50  # at most: a chunk in the middle of a row group decodes the group from its start
ARROW = ('.parquet', '.arrow')
JSON = ('.json', '.jsonl', '.ndjson', '.jsonlines')
SUFFIXES = (*ARROW, *JSON, *CSV, '.tar')
_ENTRY = re.compile(rb'(?:\xef\xbb\xbf)?\s*"')  # of a mapping: a key stands first
_BOM = b'\xef\xbb\xbf'
_READ_BYTES = 1 << 20  # at once, of a chunk's records
_NO_RANGES = np.zeros((0, 2), np.int64)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of records of one file."""

    source: str
    file: str  # relative to the recipe's root
    first: int  # ordinal of the first record
    n: int
    spans: bytes = b''  # int64[n, 2] byte ranges of JSON and tar records; Parquet and Arrow need none ...
    index: str = ''  # ... or the .npy file that has the ranges of the whole file
    n_bytes: int = 0  # about, in the file


def chunks(source: str, root: Path, file: str, index: Path | None = None, reading: Reading = ALL) -> Iterator[Chunk]:
    """Yield the chunks of one annotation file, in file order; raises UserError for a file that is no known container.

    `index` is a folder for byte ranges, named by the file's path and stamp, and by what decides which they are.
    """
    with readable(root / file):
        yield from _chunks(source, root, file, index, reading)


def _chunks(source: str, root: Path, file: str, index: Path | None, reading: Reading) -> Iterator[Chunk]:
    path = root / file
    if not is_file(path):
        raise UserError(f'source {source}: expected annotations at {path}, found none; check `root` and `annotations`')
    try:
        check_known(path)
    except UserError as e:
        raise UserError(f'source {source}: {e}') from e
    if path.suffix.lower() in ARROW:
        groups = row_groups(source, path, reading.fields)
        of_row = path.stat().st_size / max(1, sum(groups))
        n = max(CHUNK_RECORDS, max(groups, default=0) // CHUNKS_PER_GROUP, min(chunk_records(sum(groups)), int(CHUNK_BYTES / of_row)))
        for first in range(0, sum(groups), n):
            taken = min(n, sum(groups) - first)
            yield Chunk(source, file, first, taken, n_bytes=int(taken * of_row))
    else:
        yield from _spanned(source, file, spans(source, path, reading), _index_file(path, index, reading))


def no_records(source: str, files: list[str]) -> str:
    """Return what is said of a source without a record."""
    more = f' and {len(files) - _NAMED} more' if len(files) > _NAMED else ''
    return f'source {source}: expected records in {", ".join(files[:_NAMED])}{more}, found none'


def check_known(path: Path) -> None:
    """Raise UserError for a file whose name says no container that is read, with how to unpack one that is packed."""
    suffix = path.suffix.lower()
    if suffix != '.tar' and path.name.lower().endswith(PACKED):
        raise UserError(f'expected an unpacked file, found {path}; {unpacking(path)}')
    if suffix not in SUFFIXES:
        raise UserError(f'expected {", ".join(SUFFIXES)}, found {path.name} ({suffix or "no suffix"})')


def spans(source: str, path: Path, reading: Reading = ALL) -> Iterator[tuple[int, int]]:
    """Yield the byte range of every record of a JSON, CSV, TSV or tar file; raises UserError for one that is none, or not whole."""
    suffix = path.suffix.lower()
    if suffix in CSV:
        return csv_spans(source, path)
    return sample_spans(source, path) if suffix == '.tar' else json_spans(source, path, reading)


def _index_file(path: Path, folder: Path | None, reading: Reading) -> Path | None:
    if folder is None:
        return None
    shape = f'{_SCAN}\n{sorted(reading.keys)}\n{reading.splits}'
    key = hashlib.sha256('\n'.join(map(str, (path.resolve(), *stamp_of(path.stat()), shape))).encode('utf-8', 'surrogateescape')).hexdigest()
    return folder / f'{key[:32]}.npy'


def _spanned(source: str, file: str, spans: Iterator[tuple[int, int]], index: Path | None) -> Iterator[Chunk]:
    found = kept(index, _NO_RANGES) if index is not None else None
    if found is None:
        found = np.frombuffer(array('q', itertools.chain.from_iterable(spans)), np.int64).reshape(-1, 2)
        if index is not None:
            keep(index, found)
    places = np.maximum(found, ~found)  # of tar samples one may be turned, see Sample
    ends = np.cumsum(places[:, 1] - places[:, 0])
    first = 0
    for stop in _cuts(ends):
        n_bytes = int(ends[stop - 1] - (ends[first - 1] if first else 0))
        ranges = found[first:stop].tobytes() if index is None else b''
        yield Chunk(source, file, first, stop - first, ranges, '' if index is None else str(index), n_bytes)
        first = stop


def _cuts(ends: np.ndarray) -> Iterator[int]:
    """Yield behind which records a file is cut into chunks, from the bytes up to the end of each."""
    most, at = chunk_records(len(ends)), 0
    while at < len(ends):
        enough = int(np.searchsorted(ends, (ends[at - 1] if at else 0) + CHUNK_BYTES, 'right'))
        at = min(len(ends), at + max(CHUNK_RECORDS, min(most, enough - at)))
        yield at


def chunk_records(n: int) -> int:
    """Return how many of n records are one chunk, or shard: of few CHUNK_RECORDS, so that all cores have some; of many more: fewer files."""
    return max(CHUNK_RECORDS, min(n // CHUNKS, MOST_TIMES * CHUNK_RECORDS))


def _ranges(chunk: Chunk) -> list[tuple[int, int]]:
    found = np.load(chunk.index, mmap_mode='r')[chunk.first:chunk.first + chunk.n] if chunk.index else np.frombuffer(chunk.spans, np.int64)
    return [(start, stop) for start, stop in found.reshape(-1, 2).tolist()]


def rows(chunk: Chunk, root: Path, fields: frozenset[str] | None = None) -> Iterator[tuple[int, dict | Malformed]]:
    """Yield (ordinal, row) of a chunk; a row that is no JSON object, no whole CSV record or no safe tar sample comes as Malformed.

    Of Parquet and Arrow rows only `fields` are converted, see `read_rows`. Raises UserError for a file that is damaged inside.
    """
    for ordinal, row in raw_rows(chunk, root, fields):
        yield ordinal, parse_record(row) if isinstance(row, bytes) else row


def raw_rows(chunk: Chunk, root: Path, fields: frozenset[str] | None = None) -> Iterator[tuple[int, bytes | dict | Malformed]]:
    """Yield (ordinal, row) as `rows` does, the records of a JSON file as their bytes, which `parse_record` reads."""
    with readable(root / chunk.file):
        yield from _rows(chunk, root, fields)


def _rows(chunk: Chunk, root: Path, fields: frozenset[str] | None) -> Iterator[tuple[int, bytes | dict | Malformed]]:
    path = root / chunk.file
    suffix = path.suffix.lower()
    if suffix in ARROW:
        yield from read_rows(chunk.source, path, chunk.first, chunk.n, fields)
        return
    with open(path, 'rb') as handle:
        if suffix == '.tar':
            found: Iterator[bytes | dict | Malformed] = (_sample(handle, start, stop) for start, stop in _ranges(chunk))
        elif suffix in CSV:
            header = csv_header(chunk.source, path)
            found = (data if isinstance(data, Malformed) else csv_row(data, header) for data in _records(handle, _ranges(chunk)))
        else:
            found = _records(handle, _ranges(chunk))
        yield from enumerate(found, chunk.first)


def _records(handle: BinaryIO, ranges: list[tuple[int, int]]) -> Iterator[bytes | Malformed]:
    """Yield the bytes of each range, many read at once; one beyond MAX_RECORD_BYTES is not read."""
    block, at, last = b'', 0, ranges[-1][1] if ranges else 0
    for start, stop in ranges:
        if stop - start > MAX_RECORD_BYTES:
            yield Malformed(f'a record of {stop - start} bytes, more than {MAX_RECORD_BYTES}')
            continue
        if not at <= start <= stop <= at + len(block):
            handle.seek(start)
            block, at = handle.read(max(stop - start, min(last - start, _READ_BYTES))), start
        yield block[start - at:stop - at]


def parser(source: str, path: Path) -> Callable[[BinaryIO, int, int], dict | Malformed]:
    """Return what reads the record of a byte range of a JSON, CSV, TSV or tar file; one beyond MAX_RECORD_BYTES is not read."""
    suffix = path.suffix.lower()
    if suffix == '.tar':
        return _sample
    if suffix in CSV:
        header = csv_header(source, path)
        return lambda handle, start, stop: _bounded(handle, start, stop, lambda data: csv_row(data, header))
    return lambda handle, start, stop: _bounded(handle, start, stop, parse_record)


def _bounded(handle: BinaryIO, start: int, stop: int, parse: Callable[[bytes], dict | Malformed]) -> dict | Malformed:
    (data,) = _records(handle, [(start, stop)])
    return data if isinstance(data, Malformed) else parse(data)


def _sample(handle: BinaryIO, start: int, stop: int) -> dict | Malformed:
    sample = Sample.at(start, stop)
    if sample.stop - sample.start > MAX_RECORD_BYTES:
        return Malformed(f'a sample of {sample.stop - sample.start} bytes, more than {MAX_RECORD_BYTES}')
    try:
        return read_sample(handle, sample)
    except (ValueError, RecursionError) as e:
        return Malformed(f'no sample of a tar: {e}'[:300])


def parse_record(data: bytes) -> dict | Malformed:
    """Return the JSON object in `data`, the one behind a key with the key as its `id`, or what is there instead."""
    try:
        refuse_deep(data)
        row = _entry(data) if _ENTRY.match(data) else loads(data)
    except UnicodeDecodeError as e:
        return Malformed(f'not JSON: {no_utf8(e)}; begins {data[:60]!r}')
    except ValueError as e:
        return Malformed(f'not JSON: {e}; begins {data[:60]!r}')
    return row if isinstance(row, dict) else Malformed(f'a JSON {type(row).__name__}, not an object')


def _entry(data: bytes) -> object:
    """Return the row of an entry `"id": {...}` of a mapping, or the text that stands there alone."""
    try:
        ((key, row),) = loads(b'{%b}' % data.removeprefix(_BOM)).items()
    except ValueError:
        return loads(data)
    return {'id': key, **row} if isinstance(row, dict) else row
