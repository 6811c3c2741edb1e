"""A look into annotation files without reading them: the first and the last record, some between, and how many there are."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from pipelines.sources.arrow_rows import read_rows, row_groups
from pipelines.sources.containers import MAX_RECORD_BYTES, Malformed, parse_record
from pipelines.sources.json_records import is_lines, json_spans, line_spans, list_spans
from pipelines.sources.tar_samples import read_sample, sample_spans
from schemas.errors import UserError

COUNTED_JSON_BYTES = 64_000_000  # a larger JSON list is not counted: the scan runs at 100 MB/s
COUNTED_LINES_BYTES = 1_000_000_000  # lines count at about 1 GB/s
COUNTED_TARS = 8
_WINDOW = 2_000_000  # bytes read at one place at most; a record of text fits
_TRIES = 2_000  # brackets tried in a window: a record has few, an attack as many as bytes
_FIRST_WINDOW = 32_000  # ... and at first


@dataclass(frozen=True, slots=True)
class Peek:
    """What was seen of one source's files."""

    first: dict | Malformed
    last: dict | Malformed
    between: list[dict]
    n_records: int | None  # exact, or None: not counted
    about: int | None = None  # size divided by the mean size of the records seen, where they were not counted


def peek(source: str, root: Path, files: list[str], n_between: int) -> Peek:
    """Return a look at the files as one list; raises UserError for a file that is no known container, or an empty one."""
    paths = [root / file for file in files]
    looks = [_look(source, path, max(1, n_between // len(paths))) for path in _spread(paths, n_between + 2)]
    between = [row for look in looks for row in look.between]
    counts = [_count(source, path, path.stat().st_size, len(paths)) for path in paths]
    known = [n for n in counts if n is not None]
    if len(known) == len(counts):
        return Peek(looks[0].first, looks[-1].last, between, sum(known))
    mean = sum(look.about or look.n_records or 0 for look in looks) / len(looks)
    return Peek(looks[0].first, looks[-1].last, between, None, round(mean * len(paths)))


def _spread(items: list, n: int) -> list:
    """Return at most n items, evenly spaced, the first and the last among them."""
    if len(items) <= n:
        return items
    return [items[round(i * (len(items) - 1) / (n - 1))] for i in range(n)]


def _count(source: str, path: Path, size: int, n_files: int) -> int | None:
    if path.suffix in ('.parquet', '.arrow'):
        return sum(row_groups(source, path))
    if path.suffix == '.tar':
        return sum(1 for _ in sample_spans(source, path)) if n_files <= COUNTED_TARS else None
    if path.suffix == '.jsonl' or is_lines(path):
        return sum(1 for _ in line_spans(path)) if size <= COUNTED_LINES_BYTES else None
    return sum(1 for _ in list_spans(source, path)) if size <= COUNTED_JSON_BYTES else None


def _look(source: str, path: Path, n: int) -> Peek:
    match path.suffix:
        case '.parquet' | '.arrow':
            return _look_rows(source, path, n)
        case '.tar':
            return _look_tar(source, path, n)
        case '.json' | '.jsonl':
            return _look_json(source, path, n)
    raise UserError(f'source {source}: expected .json, .jsonl, .parquet, .arrow or .tar, found {path.name}')


def _look_rows(source: str, path: Path, n: int) -> Peek:
    groups = row_groups(source, path)
    if not sum(groups):
        raise UserError(f'source {source}: expected records in {path}, found none')
    starts = [sum(groups[:i]) for i in range(len(groups))]  # a row group's first row is the cheap one
    try:
        between = [row for start in _spread(starts, n) for _, row in read_rows(path, start, max(1, n // len(starts)))]
        (_, last), = read_rows(path, sum(groups) - 1, 1)
    except (pa.ArrowException, OSError) as e:
        raise UserError(f'source {source}: expected rows in {path}, found: {e}; the file is damaged, fetch it again') from e
    return Peek(between[0], last, [row for row in between if isinstance(row, dict)], sum(groups))


def _look_tar(source: str, path: Path, n: int) -> Peek:
    spans = list(sample_spans(source, path))
    if not spans:
        raise UserError(f'source {source}: expected samples in {path}, found none')
    with open(path, 'rb') as handle:
        seen = []
        for start, stop in _spread(spans, n + 2):
            try:
                seen.append(read_sample(handle, start, stop) if stop - start <= MAX_RECORD_BYTES else Malformed(f'a sample of {stop - start} bytes'))
            except (ValueError, RecursionError) as e:
                seen.append(Malformed(f'no sample of a tar: {e}'))
    return Peek(seen[0], seen[-1], [row for row in seen if isinstance(row, dict)], len(spans))


def _look_json(source: str, path: Path, n: int) -> Peek:
    size = path.stat().st_size
    with open(path, 'rb') as handle:
        span = next(json_spans(source, path), None)
        if span is None:
            raise UserError(f'source {source}: expected records in {path}, found none')
        handle.seek(span[0])
        first = parse_record(handle.read(min(span[1] - span[0], MAX_RECORD_BYTES)))
        lines = path.suffix == '.jsonl' or is_lines(path)
        keys = set(first) if isinstance(first, dict) else set()
        places = [span[0] + (size - span[0]) * i // (n + 1) for i in range(n + 1)]
        seen = {}
        for place in places:
            row, start, stop = _record_near(handle, place, keys, lines=lines and place > span[0])
            if row is not None:
                seen[start] = row, stop - start  # a short file gives the same record from several places
        last = _last_line(handle, size) if lines else _last_of_list(handle, size)
    mean = sum(length for _, length in seen.values()) / len(seen) if seen else size
    return Peek(first, last, [row for row, _ in seen.values()], None, round(size / max(mean, 1)))


def _record_near(handle: BinaryIO, place: int, keys: set[str], *, lines: bool) -> tuple[dict | None, int, int]:
    """Return the first whole record after an offset and its byte range; None where none is seen. An inner object shares few of `keys`."""
    window = _FIRST_WINDOW
    while True:
        handle.seek(place)
        data = handle.read(window)
        row, start, stop = _whole_line(data) if lines else _whole_object(data, keys)
        if row is not None or window >= _WINDOW or len(data) < window:
            return row, place + start, place + stop
        window *= 8


def _whole_line(data: bytes) -> tuple[dict | None, int, int]:
    start = data.find(b'\n') + 1
    stop = data.find(b'\n', start)
    row = parse_record(data[start:stop]) if 0 < start < stop else None
    return (row, start, stop) if isinstance(row, dict) else (None, 0, 0)


def _whole_object(data: bytes, keys: set[str]) -> tuple[dict | None, int, int]:
    begin = next((i for i, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)  # the window may cut a character
    text = data[begin:].decode('utf-8', 'ignore')
    for row, start, stop in _objects(text):
        if 2 * len(keys & row.keys()) >= max(1, len(keys)):
            before = begin + len(text[:start].encode('utf-8', 'surrogatepass'))
            return row, before, before + len(text[start:stop].encode('utf-8', 'surrogatepass'))
    return None, 0, 0


def _objects(text: str) -> Iterator[tuple[dict, int, int]]:
    decoder = json.JSONDecoder()
    at = text.find('{')
    for _ in range(_TRIES):
        if at < 0:
            return
        try:
            row, stop = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find('{', at + 1)
            continue
        yield row, at, stop
        at = text.find('{', stop)


def _last_line(handle: BinaryIO, size: int) -> dict | Malformed:
    window = _WINDOW
    while b'\n' not in (tail := _tail(handle, size, window).rstrip()) and window < min(size, MAX_RECORD_BYTES):
        window *= 8
    return parse_record(tail[tail.rfind(b'\n') + 1:])


def _last_of_list(handle: BinaryIO, size: int) -> dict | Malformed:
    """Return the last element of a list: the only object that begins somewhere in the tail and ends where the list does."""
    tail = _tail(handle, size).rstrip()
    if not tail.endswith(b']'):
        return Malformed(f'a list that does not end with "]" but {tail[-20:]!r}; is the download complete?')
    text = tail[:-1].rstrip().decode('utf-8', 'ignore')
    decoder = json.JSONDecoder()
    at = text.rfind('{')
    for _ in range(10 * _TRIES):  # once a file, not once a place
        if at < 0:
            break
        try:
            row, stop = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            stop = -1
        if stop == len(text):
            return row
        at = text.rfind('{', 0, at)
    return Malformed(f'a list whose last element is no object; it ends {text[-40:]!r}')


def _tail(handle: BinaryIO, size: int, window: int = _WINDOW) -> bytes:
    handle.seek(max(0, size - window), os.SEEK_SET)
    return handle.read(window)
