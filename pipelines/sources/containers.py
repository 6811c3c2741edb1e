"""Rows of an annotation file, in chunks: JSON lists, JSON Lines, Parquet, Arrow and WebDataset tars. Nothing is loaded whole.

JSON and tar files are scanned once for the byte ranges of their records. With an `index` folder the ranges are written there, 16 bytes a record,
and neither a later run nor the driver's memory pays for them again; workers map the part they need.
"""

import hashlib
import itertools
import json
import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from pipelines.sources.archives import stamp_of, unpack_first
from pipelines.sources.arrow_rows import read_rows, row_groups
from pipelines.sources.json_records import json_spans, refuse_deep
from pipelines.sources.malformed import Malformed
from pipelines.sources.tar_samples import read_sample, sample_spans
from schemas.errors import UserError

CHUNK_RECORDS = 500
CHUNKS_PER_GROUP = 50  # at most: a chunk in the middle of a row group decodes the group from its start
MAX_RECORD_BYTES = 64_000_000  # a record beyond is not data but an accident or an attack


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of records of one file."""

    source: str
    file: str  # relative to the recipe's root
    first: int  # ordinal of the first record
    n: int
    spans: bytes = b''  # int64[n, 2] byte ranges of JSON and tar records; Parquet and Arrow need none ...
    index: str = ''  # ... or the .npy file that has the ranges of the whole file


def chunks(source: str, root: Path, file: str, index: Path | None = None) -> Iterator[Chunk]:
    """Yield the chunks of one annotation file, in file order; raises UserError for a file that is no known container.

    `index` is a folder for byte ranges, named by the file's path and stamp.
    """
    path = root / file
    if path.name.endswith(('.tar.gz', '.tgz', '.tar.bz2', '.tar.xz')):
        raise UserError(f'source {source}: expected an unpacked file, found {path}; {unpack_first(path, path.parent)}')
    if not path.is_file():
        raise UserError(f'source {source}: expected annotations at {path}, found none; check `root` and `annotations`')
    match path.suffix:
        case '.parquet' | '.arrow':
            groups = row_groups(source, path)
            n = max(CHUNK_RECORDS, max(groups, default=0) // CHUNKS_PER_GROUP)
            for first in range(0, sum(groups), n):
                yield Chunk(source, file, first, min(n, sum(groups) - first))
        case '.jsonl' | '.json':
            yield from _spanned(source, file, json_spans(source, path), _index_file(path, index))
        case '.tar':
            yield from _spanned(source, file, sample_spans(source, path), _index_file(path, index))
        case other:
            raise UserError(f'source {source}: expected .json, .jsonl, .parquet, .arrow or .tar, found {path.name} ({other or "no suffix"})')


def _index_file(path: Path, folder: Path | None) -> Path | None:
    if folder is None:
        return None
    key = hashlib.sha256('\n'.join(map(str, (path.resolve(), *stamp_of(path.stat())))).encode()).hexdigest()
    return folder / f'{key[:32]}.npy'


def _spanned(source: str, file: str, spans: Iterator[tuple[int, int]], index: Path | None) -> Iterator[Chunk]:
    if index is not None:
        n = len(_load(index) if index.is_file() else _write_index(index, spans))
        for first in range(0, n, CHUNK_RECORDS):
            yield Chunk(source, file, first, min(CHUNK_RECORDS, n - first), index=str(index))
        return
    first = 0
    while run := list(itertools.islice(spans, CHUNK_RECORDS)):
        yield Chunk(source, file, first, len(run), np.array(run, np.int64).tobytes())
        first += len(run)


def _write_index(index: Path, spans: Iterator[tuple[int, int]]) -> np.ndarray:
    """Return int64[N, 2], written to `index` whole or not at all."""
    flat = array('q', itertools.chain.from_iterable(spans))
    found = np.frombuffer(flat, np.int64).reshape(-1, 2)
    index.parent.mkdir(parents=True, exist_ok=True)
    temporary = index.with_name(f'.{index.name}.{os.getpid()}.tmp')
    with open(temporary, 'wb') as handle:
        np.save(handle, found)
    os.replace(temporary, index)
    return found


def _load(index: str | Path) -> np.ndarray:
    return np.load(index, mmap_mode='r')


def _ranges(chunk: Chunk) -> list[tuple[int, int]]:
    found = _load(chunk.index)[chunk.first:chunk.first + chunk.n] if chunk.index else np.frombuffer(chunk.spans, np.int64).reshape(-1, 2)
    return [(start, stop) for start, stop in found.tolist()]


def rows(chunk: Chunk, root: Path) -> Iterator[tuple[int, dict | Malformed]]:
    """Yield (ordinal, row) of a chunk; a row that is no JSON object or no safe tar sample comes as Malformed.

    Raises UserError for a Parquet or Arrow file that is damaged inside.
    """
    path = root / chunk.file
    if path.suffix in ('.parquet', '.arrow'):
        try:
            yield from read_rows(path, chunk.first, chunk.n)
        except (pa.ArrowException, OSError) as e:
            raise UserError(f'source {chunk.source}: expected rows {chunk.first} to {chunk.first + chunk.n} of {path}, found: {e}; '
                            'the file is damaged, fetch it again') from e
        return
    with open(path, 'rb') as handle:
        for offset, (start, stop) in enumerate(_ranges(chunk)):
            if stop - start > MAX_RECORD_BYTES:
                yield chunk.first + offset, Malformed(f'a record of {stop - start} bytes, more than {MAX_RECORD_BYTES}')
            elif path.suffix == '.tar':
                yield chunk.first + offset, _sample(handle, start, stop)
            else:
                handle.seek(start)
                yield chunk.first + offset, parse_record(handle.read(stop - start))


def _sample(handle: BinaryIO, start: int, stop: int) -> dict | Malformed:
    try:
        return read_sample(handle, start, stop)
    except ValueError as e:
        return Malformed(f'no sample of a tar: {e}'[:300])


def parse_record(data: bytes) -> dict | Malformed:
    """Return the JSON object in `data`, or what is there instead."""
    try:
        refuse_deep(data)
        row = json.loads(data.decode('utf-8-sig'))
    except ValueError as e:
        return Malformed(f'not JSON: {e}; begins {data[:60]!r}')
    return row if isinstance(row, dict) else Malformed(f'a JSON {type(row).__name__}, not an object')
