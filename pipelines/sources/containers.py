"""Rows of an annotation file, in chunks: JSON lists, JSON Lines and Parquet. Nothing is loaded whole.

A JSON list is scanned once for the byte ranges of its records; workers then take ranges of it.
"""

import itertools
import json
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from schemas.errors import UserError

CHUNK_RECORDS = 500
MAX_RECORD_BYTES = 64_000_000  # a JSON record beyond is not data but an accident or an attack
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},"]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of records of one file."""

    source: str
    file: str  # relative to the recipe's root
    first: int  # ordinal of the first record
    n: int
    spans: bytes = b''  # int64[n, 2] byte ranges of JSON records; Parquet needs none


@dataclass(frozen=True, slots=True)
class Malformed:
    """A row that is no record: what was found instead."""

    found: str


def chunks(source: str, root: Path, file: str) -> Iterator[Chunk]:
    """Yield the chunks of one annotation file, in file order; raises UserError for a file that is no known container."""
    path = root / file
    if path.name.endswith(('.tar.gz', '.tgz')):
        raise UserError(f'source {source}: expected an unpacked file, found {path}; unpack it first: tar -xzf {path.name} -C {path.parent}')
    if not path.is_file():
        raise UserError(f'source {source}: expected annotations at {path}, found none; check `root` and `annotations`')
    match path.suffix:
        case '.parquet':
            n_rows = pq.ParquetFile(path).metadata.num_rows
            for first in range(0, n_rows, CHUNK_RECORDS):
                yield Chunk(source, file, first, min(CHUNK_RECORDS, n_rows - first))
        case '.jsonl' | '.json':
            spans = _line_spans(path) if path.suffix == '.jsonl' else _list_spans(source, path)
            for number, run in enumerate(_runs(spans)):
                yield Chunk(source, file, number * CHUNK_RECORDS, len(run), np.array(run, np.int64).tobytes())
        case other:
            raise UserError(f'source {source}: expected .json, .jsonl or .parquet, found {path.name} ({other or "no suffix"})')


def _runs(spans: Iterator[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    while run := list(itertools.islice(spans, CHUNK_RECORDS)):
        yield run


def rows(chunk: Chunk, root: Path) -> Iterator[tuple[int, dict | Malformed]]:
    """Yield (ordinal, row) of a chunk; a row that is no JSON object comes as Malformed."""
    path = root / chunk.file
    if path.suffix == '.parquet':
        yield from _parquet_rows(chunk, path)
        return
    with open(path, 'rb') as handle:
        for offset, (start, stop) in enumerate(np.frombuffer(chunk.spans, np.int64).reshape(-1, 2).tolist()):
            if stop - start > MAX_RECORD_BYTES:
                yield chunk.first + offset, Malformed(f'a record of {stop - start} bytes, more than {MAX_RECORD_BYTES}')
                continue
            handle.seek(start)
            yield chunk.first + offset, _parse(handle.read(stop - start))


def _parse(data: bytes) -> dict | Malformed:
    try:
        row = json.loads(data)
    except (ValueError, RecursionError) as e:
        return Malformed(f'not JSON: {e}; begins {data[:60]!r}')
    return row if isinstance(row, dict) else Malformed(f'a JSON {type(row).__name__}, not an object')


def _parquet_rows(chunk: Chunk, path: Path) -> Iterator[tuple[int, dict]]:
    start, stop, seen = chunk.first, chunk.first + chunk.n, 0
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            n = file.metadata.row_group(group).num_rows
            if seen < stop and seen + n > start:
                for batch in file.iter_batches(batch_size=64, row_groups=[group]):
                    for row in batch.to_pylist():
                        if start <= seen < stop:
                            yield seen, row
                        seen += 1
            else:
                seen += n


def _line_spans(path: Path) -> Iterator[tuple[int, int]]:
    start = 0
    with open(path, 'rb') as handle:
        for line in handle:
            if line.strip():
                yield start, start + len(line)
            start += len(line)


def _list_spans(source: str, path: Path) -> Iterator[tuple[int, int]]:
    """Yield the byte range of every element of a top-level JSON list: one pass of a regular expression over the mapped file."""
    with open(path, 'rb') as handle:
        head = handle.read(4096).lstrip(b'\xef\xbb\xbf \t\r\n')
        if not head.startswith(b'['):
            raise UserError(f'source {source}: expected a JSON list in {path}, found {head[:20]!r} first; JSON Lines files end in .jsonl')
        with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            depth, start = 0, 0
            for token in _TOKENS.finditer(data):
                match token[0]:
                    case b'[' | b'{':
                        depth += 1
                        start = token.end() if depth == 1 else start
                    case b',' | b']' | b'}':
                        if depth == 1:
                            if data[start:token.start()].strip():
                                yield start, token.start()
                            start = token.end()
                        depth -= token[0] != b','
                    case b'"':
                        break  # a string that never ends: reported below
                if depth == 0:
                    return
            raise UserError(f'source {source}: expected a whole JSON list in {path}, found its end with {depth} bracket(s) open; '
                            'is the download complete?')
