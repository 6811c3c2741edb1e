"""Rows of an annotation file, in chunks: JSON lists, JSON Lines, Parquet, Arrow and WebDataset tars. Nothing is loaded whole.

JSON and tar files are scanned once for the byte ranges of their records; workers then take ranges of them.
"""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipelines.sources.arrow_rows import read_rows, row_groups
from pipelines.sources.json_records import json_spans
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
    spans: bytes = b''  # int64[n, 2] byte ranges of JSON and tar records; Parquet and Arrow need none


@dataclass(frozen=True, slots=True)
class Malformed:
    """A row that is no record: what was found instead."""

    found: str


def chunks(source: str, root: Path, file: str) -> Iterator[Chunk]:
    """Yield the chunks of one annotation file, in file order; raises UserError for a file that is no known container."""
    path = root / file
    if path.name.endswith(('.tar.gz', '.tgz', '.tar.bz2', '.tar.xz')):
        raise UserError(f'source {source}: expected an unpacked file, found {path}; unpack it first: tar -xf {path.name} -C {path.parent}')
    if not path.is_file():
        raise UserError(f'source {source}: expected annotations at {path}, found none; check `root` and `annotations`')
    match path.suffix:
        case '.parquet' | '.arrow':
            groups = row_groups(source, path)
            n = max(CHUNK_RECORDS, max(groups, default=0) // CHUNKS_PER_GROUP)
            for first in range(0, sum(groups), n):
                yield Chunk(source, file, first, min(n, sum(groups) - first))
        case '.jsonl' | '.json':
            yield from _spanned(source, file, json_spans(source, path))
        case '.tar':
            yield from _spanned(source, file, sample_spans(source, path))
        case other:
            raise UserError(f'source {source}: expected .json, .jsonl, .parquet, .arrow or .tar, found {path.name} ({other or "no suffix"})')


def _spanned(source: str, file: str, spans: Iterator[tuple[int, int]]) -> Iterator[Chunk]:
    first = 0
    while run := list(itertools.islice(spans, CHUNK_RECORDS)):
        yield Chunk(source, file, first, len(run), np.array(run, np.int64).tobytes())
        first += len(run)


def rows(chunk: Chunk, root: Path) -> Iterator[tuple[int, dict | Malformed]]:
    """Yield (ordinal, row) of a chunk; a row that is no JSON object or no safe tar sample comes as Malformed."""
    path = root / chunk.file
    if path.suffix in ('.parquet', '.arrow'):
        yield from read_rows(path, chunk.first, chunk.n)
        return
    with open(path, 'rb') as handle:
        for offset, (start, stop) in enumerate(np.frombuffer(chunk.spans, np.int64).reshape(-1, 2).tolist()):
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
    except (ValueError, RecursionError) as e:
        return Malformed(f'no sample of a tar: {e}'[:300])


def parse_record(data: bytes) -> dict | Malformed:
    """Return the JSON object in `data`, or what is there instead."""
    try:
        row = json.loads(data.decode('utf-8-sig'))
    except (ValueError, RecursionError) as e:
        return Malformed(f'not JSON: {e}; begins {data[:60]!r}')
    return row if isinstance(row, dict) else Malformed(f'a JSON {type(row).__name__}, not an object')
