"""A look into annotation files without reading them: the first and the last record, some between of every file, and how many there are.

Records are read as the build reads them. Of large JSON files, whose records cannot be found without a scan, some are seen through windows.
"""

import itertools
import json
import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeVar

from pipelines.sources.apart import read_rows, row_groups
from pipelines.sources.containers import ARROW, CSV, MAX_RECORD_BYTES, check_known, no_records, parse_record, parser, spans
from pipelines.sources.json_records import ALL, Reading, is_lines, json_spans
from pipelines.sources.malformed import Malformed
from pipelines.sources.tar_samples import sample_spans
from schemas.disk import readable
from schemas.errors import UserError

COUNTED_JSON_BYTES = 64_000_000  # of a source's JSON files that are no JSON Lines; larger ones are not counted: the scan runs at 100 MB/s
COUNTED_LINES_BYTES = 1_000_000_000  # of JSON Lines, CSV and TSV; lines count at about 1 GB/s
COUNTED_TARS = 8
AT_LEAST = 3  # records of every file
MAX_FILES = 2_000  # looked into: a source of one file a record has more, and they are spread evenly
WINDOW = 2_000_000  # bytes read at one place at most; a record of text fits
_TRIES = 2_000  # brackets tried in a window: a record has few, an attack as many as bytes
FIRST_WINDOW = 32_000  # ... and at first
Row = dict | Malformed
T = TypeVar('T')


@dataclass
class Look:
    """What was seen of one file: rows in file order, the first among them, and the last where that is cheap to know."""

    file: str
    rows: list[Row] = field(default_factory=list)
    last: Row | None = None
    n_records: int | None = None  # exact, or None: not counted
    about: int | None = None  # size divided by the mean size of the records seen, where they were not counted


@dataclass(frozen=True, slots=True)
class Peek:
    """What was seen of one source's files."""

    looks: list[Look]  # of the files that hold records
    empty: list[str]  # files looked into that hold none
    n_records: int | None  # exact, or None: not counted
    about: int | None = None

    @property
    def first(self) -> Row:
        """Return the first record."""
        return self.looks[0].rows[0]

    @property
    def last(self) -> Row:
        """Return the last record, or the last one seen."""
        look = self.looks[-1]
        return look.rows[-1] if look.last is None else look.last

    @property
    def between(self) -> list[dict]:
        """Return the records seen, in the order of the files."""
        return [row for look in self.looks for row in look.rows if isinstance(row, dict)]


def peek(source: str, root: Path, files: list[str], n_between: int, reading: Reading = ALL, *, glance: bool = False) -> Peek:
    """Return a look at the files as one list; raises UserError for a file that is no known container, or where none holds a record.

    At a `glance` a large object that wraps its records is not scanned to its end, so that it is not known to be whole.
    """
    sizes = {file: (root / file).stat().st_size for file in files}
    for file in files:
        check_known(root / file)
    lines = {file for file in files if _is_lines(root / file)}
    counted = _counted(sizes, lines)
    n_each = max(AT_LEAST, n_between // len(files))
    looked = _spread(files, MAX_FILES)
    ends = {looked[0], looked[-1]}
    looks = []
    for file in looked:
        with readable(root / file):
            looks.append(_look(source, root, file, n_each, reading, counted=file in counted, ends=file in ends, glance=glance))
    full = [look for look in looks if look.rows]
    if not full:
        raise UserError(no_records(source, files))
    empty = [look.file for look in looks if not look.rows]
    known = [look.n_records for look in looks if look.n_records is not None]
    if len(known) == len(files):
        return Peek(full, empty, sum(known))
    mean = sum(look.n_records if look.n_records is not None else look.about or 0 for look in looks) / len(looks)
    return Peek(full, empty, None, round(mean * len(files)))


def _spread(items: Sequence[T], n: int) -> list[T]:
    """Return at most n items, evenly spaced, the first and the last among them."""
    if len(items) <= n:
        return list(items)
    return [items[round(i * (len(items) - 1) / (n - 1))] for i in range(n)]


def _is_lines(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in CSV or (suffix not in (*ARROW, '.tar') and is_lines(path))


def _counted(sizes: dict[str, int], lines: set[str]) -> set[str]:
    """Return the files whose records are counted: kinds that are quick to count, or small altogether."""
    tars = [file for file in sizes if Path(file).suffix.lower() == '.tar']
    rows = [file for file in sizes if Path(file).suffix.lower() in ARROW]
    documents = [file for file in sizes if file not in lines and file not in tars and file not in rows]
    return {*rows, *(tars if len(tars) <= COUNTED_TARS else ()),
            *(lines if sum(sizes[file] for file in lines) <= COUNTED_LINES_BYTES else ()),
            *(documents if sum(sizes[file] for file in documents) <= COUNTED_JSON_BYTES else ())}


def _look(source: str, root: Path, file: str, n: int, reading: Reading, *, counted: bool, ends: bool, glance: bool) -> Look:
    path, suffix = root / file, Path(file).suffix.lower()
    if suffix in ARROW:
        return _look_rows(source, path, file, n, reading, ends=ends)
    if counted:
        places = array('q', itertools.chain.from_iterable(spans(source, path, reading)))
        return _look_at(source, path, file, [(places[2 * i], places[2 * i + 1]) for i in _spread(range(len(places) // 2), n + 2)], len(places) // 2)
    if suffix == '.tar':
        return _look_at(source, path, file, list(sample_spans(source, path, None if ends else n)), None)
    if suffix in CSV:
        return _look_at(source, path, file, list(itertools.islice(spans(source, path), n)), None)
    return _look_json(source, path, file, n, reading, glance=glance)


def _look_at(source: str, path: Path, file: str, places: list[tuple[int, int]], n_records: int | None) -> Look:
    """Return the rows at some byte ranges."""
    if not places:
        return Look(file, n_records=0)
    parse = parser(source, path)
    with open(path, 'rb') as handle:
        rows = [parse(handle, start, stop) for start, stop in places]
    mean = sum(max(stop, ~stop) - max(start, ~start) for start, stop in places) / len(places)
    return Look(file, rows, rows[-1], n_records, round(path.stat().st_size / max(mean, 1)))


def _look_rows(source: str, path: Path, file: str, n: int, reading: Reading, *, ends: bool) -> Look:
    groups = row_groups(source, path, reading.fields)
    if not sum(groups):
        return Look(file, n_records=0)
    starts = [sum(groups[:i]) for i in range(len(groups)) if groups[i]]  # a row group's first row is the cheap one
    rows: dict[int, Row] = {}
    for start in _spread(starts, n):
        rows.update(read_rows(source, path, start, max(1, n // len(starts)), reading.fields))
    if ends:  # it costs the decoding of a row group
        rows.update(read_rows(source, path, sum(groups) - 1, 1, reading.fields))
    return Look(file, [rows[at] for at in sorted(rows)], rows.get(sum(groups) - 1), sum(groups))


def _look_json(source: str, path: Path, file: str, n: int, reading: Reading, *, glance: bool) -> Look:
    """Return a look through windows at a large list or at JSON Lines; records that are wrapped in an object are found by their keys."""
    size = path.stat().st_size
    with open(path, 'rb') as handle:
        span = (_first_in_head(handle, size, reading) if glance else None) or next(json_spans(source, path, reading), None)
        if span is None:
            return Look(file, n_records=0)
        handle.seek(span[0])
        first = parse_record(handle.read(min(span[1] - span[0], MAX_RECORD_BYTES)))
        lines = is_lines(path)
        keys = set(first) if isinstance(first, dict) else set()
        places = [span[0] + (size - span[0]) * i // (n + 1) for i in range(n + 1)]
        seen: dict[int, tuple[Row, int]] = {span[0]: (first, span[1] - span[0])}
        for place in places[1:]:
            row, start, stop = record_near(handle, place, keys, lines=lines)
            if row is not None:
                seen[start] = row, stop - start  # a short file gives the same record from several places
        handle.seek(0)
        listed = handle.read(FIRST_WINDOW).removeprefix(b'\xef\xbb\xbf').lstrip().startswith(b'[')
        last = _last_line(handle, size) if lines else _last_of_list(handle, size) if listed else None
    mean = sum(length for _, length in seen.values()) / len(seen)
    return Look(file, [row for row, _ in seen.values()], last, None, round(size / max(mean, 1)))


def _first_in_head(handle: BinaryIO, size: int, reading: Reading) -> tuple[int, int] | None:
    """Return the byte range of the first record that an object wraps; None where the file is no object, or none is seen near its beginning."""
    head = handle.read(min(WINDOW, size // 2))
    text = head.decode('utf-8', 'ignore')
    if not reading.keys or not text.lstrip('\ufeff \t\r\n').startswith('{'):
        return None
    for row, start, stop in objects_in(text):
        if reading.keys & row.keys():
            return len(text[:start].encode('utf-8', 'surrogatepass')), len(text[:stop].encode('utf-8', 'surrogatepass'))
    return None


def record_near(handle: BinaryIO, place: int, keys: set[str], *, lines: bool) -> tuple[dict | None, int, int]:
    """Return the first whole record after an offset and its byte range; None where none is seen. An inner object shares few of `keys`."""
    window = FIRST_WINDOW
    while True:
        handle.seek(place)
        data = handle.read(window)
        row, start, stop = _whole_line(data) if lines else _whole_object(data, keys)
        if row is not None or window >= WINDOW or len(data) < window:
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
    for row, start, stop in objects_in(text):
        if 2 * len(keys & row.keys()) >= max(1, len(keys)):
            before = begin + len(text[:start].encode('utf-8', 'surrogatepass'))
            return row, before, before + len(text[start:stop].encode('utf-8', 'surrogatepass'))
    return None, 0, 0


def objects_in(text: str) -> Iterator[tuple[dict, int, int]]:
    decoder = json.JSONDecoder()
    at = text.find('{')
    for _ in range(_TRIES):
        if at < 0:
            return
        try:
            row, stop = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as e:
            if isinstance(e, json.JSONDecodeError) and e.msg.startswith('Unterminated'):
                text = text[:e.pos]  # what is behind stands in a string that never ends
            at = text.find('{', at + 1)
            continue
        yield row, at, stop
        at = text.find('{', stop)


def _last_line(handle: BinaryIO, size: int) -> dict | Malformed:
    window = WINDOW
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


def _tail(handle: BinaryIO, size: int, window: int = WINDOW) -> bytes:
    handle.seek(max(0, size - window), os.SEEK_SET)
    return handle.read(window)
