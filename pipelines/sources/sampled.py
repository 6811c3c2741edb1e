"""A seeded sample of a source's records as chunks that its reader takes: found in a bounded part of the files, however large these are.

A small source is scanned, so that each of its records is known by its number. Of a larger one records are found at seeded places: of JSON and JSON
Lines at any byte, of Parquet and Arrow in any row group but not far from its beginning, of CSV near the beginning of a file, of tars at the beginning
of some. A record found at a byte has no number: minus the byte stands for it.
"""

import itertools
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.filesize import decimal

from curation.selection.select import lot, share
from pipelines.sources.apart import row_bytes, row_groups
from pipelines.sources.containers import ARROW, CSV, Chunk, spans
from pipelines.sources.json_records import Reading, is_lines
from pipelines.sources.peek import MAX_FILES, WINDOW, objects_in, record_near
from pipelines.sources.read import Selected, of_source
from pipelines.sources.reading import reading_of
from pipelines.sources.tar_samples import sample_spans
from schemas.recipe import Source

WHOLE_BYTES = 32_000_000  # of a source's files together: scanned, in a third of a second
SMALL_BYTES = 2_000_000  # of one file among large ones: scanned, too; a window of a larger one is never all of it
HEAD_BYTES = 8_000_000  # looked at of a CSV file
SKIPPED_BYTES = 4_000_000  # decoded of a row group before the rows that are taken
TAKEN_BYTES = 64_000_000  # of a JSON file, of Parquet and Arrow rows and of tar samples together: they may hold pictures
_LIST = re.compile(rb'(?:\xef\xbb\xbf)?\s*\[\s*\{')
SHARDS = 8  # tar and CSV files looked into
PLACES = 16  # row groups looked into


@dataclass(frozen=True, slots=True)
class Sampled:
    """Records to read, as a reader of sources takes them. `told` says how they were found, '' where every record was known."""

    selected: tuple[Selected, ...]
    n: int  # records
    told: str = ''


@dataclass(frozen=True, slots=True)
class Known:
    """Every record of a small source that its `subset` leaves."""

    chunks: list[Selected]

    def numbers(self) -> Iterator[tuple[str, int]]:
        """Yield (file, number in it) of each record, in the order of the build."""
        for selected in self.chunks:
            for ordinal in _ordinals(selected):
                yield selected.chunk.file, ordinal

    def take(self, wanted: set[tuple[str, int]]) -> Sampled:
        """Return the records of these files and numbers."""
        found = []
        for selected in self.chunks:
            some = [ordinal for ordinal in _ordinals(selected) if (selected.chunk.file, ordinal) in wanted]
            if some:
                found.append(_narrow(selected.chunk, some))
        return Sampled(tuple(itertools.chain.from_iterable(found)), len(wanted))


def known_records(name: str, source: Source, root: Path, seed: str) -> Known | None:
    """Return the records of a resolved source, None where its files are too many or too large; raises UserError for one without a record."""
    if len(source.annotations) > MAX_FILES or sum((root / file).stat().st_size for file in source.annotations) > WHOLE_BYTES:
        return None
    return Known([selected for selected in of_source(name, source, root, seed, None) if selected.ordinals is None or selected.ordinals])


def sample_records(name: str, source: Source, root: Path, n: int, seed: str) -> Sampled:
    """Return at most `n` records of a resolved source, drawn by the seed; what is read is bounded by constants and `n`, never by the files."""
    sizes = [(root / file).stat().st_size for file in source.annotations]
    ends = list(itertools.accumulate(sizes))
    draws = [(i + share(f'{seed}/preview/{name}/{i}')) / n for i in range(n)]
    by_file: dict[str, list[float]] = defaultdict(list)  # file -> where in it, as shares of its bytes
    for draw in draws:
        at = bisect_right(ends, draw * ends[-1])
        at = min(at, len(ends) - 1)
        by_file[source.annotations[at]].append((draw * ends[-1] - ends[at] + sizes[at]) / max(1, sizes[at]))
    find = partial(_find, name, root=root, reading=reading_of(source), seed=seed)
    found: list[Selected] = []
    told: dict[str, None] = {}
    for kind, files in sorted(_by_kind(by_file).items()):
        some, how = find(kind, files)
        found += some
        told[how] = None
    records = sum(s.chunk.n if s.ordinals is None else len(s.ordinals) // 8 for s in found)
    return Sampled(tuple(found), records, f'{records:,} records {"; ".join(told)}; all files hold {decimal(ends[-1])}')


def _by_kind(by_file: dict[str, list[float]]) -> dict[str, dict[str, list[float]]]:
    kinds: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for file, places in by_file.items():
        suffix = Path(file).suffix.lower()
        kinds['rows' if suffix in ARROW else 'csv' if suffix in CSV else 'tar' if suffix == '.tar' else 'json'][file] = places
    return kinds


def _find(name: str, kind: str, files: dict[str, list[float]], *, root: Path, reading: Reading, seed: str) -> tuple[list[Selected], str]:
    if kind == 'rows':
        found = _of_rows(name, root, _some(files, PLACES, seed), reading)
        return found, f'of row groups drawn at random, each read near its beginning ({len(files)} file(s))'
    if kind == 'json':
        found = [one for file, places in files.items() for one in _of_json(name, root, file, places, reading)]
        return found, f'at random places of {len(files)} file(s)'
    some = _some(files, SHARDS, seed)
    n = sum(map(len, files.values()))
    each = -(-n // len(some))
    if kind == 'tar':
        found = [one for file in some for one in _of_tar(name, root, file, each, len(some))]
        return found, f'at the beginning of {len(some)} tar file(s) drawn at random'
    read = [one for file in some for one in _of_csv(name, root, file, each, seed)]
    return read, f'of the first {decimal(HEAD_BYTES)} of {len(some)} file(s)'


def _some(files: dict[str, list[float]], n: int, seed: str) -> dict[str, list[float]]:
    """Return at most `n` of the files, those with the lowest lots."""
    return dict(sorted(files.items(), key=_Lot(seed))[:n])


@dataclass(frozen=True, slots=True)
class _Lot:
    seed: str

    def __call__(self, item: tuple[str, list[float]]) -> int:
        return lot(f'{self.seed}/preview/{item[0]}')


def _of_json(name: str, root: Path, file: str, places: list[float], reading: Reading) -> Iterator[Selected]:
    path = root / file
    size = path.stat().st_size
    if size <= SMALL_BYTES:
        yield from _of_spans(name, file, list(spans(name, path, reading)), places)
        return
    seen = set()
    with open(path, 'rb') as handle:
        head = handle.read(min(WINDOW, size // 2))
        lines = not _LIST.match(head) and is_lines(path)  # which reads a line, and a list may be one
        keys = set[str]() if lines else _keys(head, reading)
        row, start, stop = record_near(handle, int(places[0] * size), keys, lines=lines)
        window = min(WINDOW, 8 * (stop - start)) if row is not None else WINDOW  # read at a place, at most
        for place in places[:: max(1, -(-len(places) * window // TAKEN_BYTES))]:
            row, start, stop = record_near(handle, int(place * size), keys, lines=lines)
            if row is not None and start not in seen:
                seen.add(start)
                yield Selected(Chunk(name, file, -start, 1, _as_bytes([(start, stop)])), None)


def _keys(head: bytes, reading: Reading) -> set[str]:
    """Return the names in the first object that has one by which a record is known."""
    rows = (row for row, _, _ in objects_in(head.decode('utf-8', 'ignore')))
    return next((set(row) for row in rows if not reading.keys or reading.keys & row.keys()), set())


def _of_csv(name: str, root: Path, file: str, n: int, seed: str) -> list[Selected]:
    head = list(itertools.takewhile(_in_head, spans(name, root / file)))
    return list(_of_spans(name, file, head, [share(f'{seed}/preview/{file}/{i}') for i in range(n)]))


def _in_head(span: tuple[int, int]) -> bool:
    return span[0] < HEAD_BYTES


def _of_tar(name: str, root: Path, file: str, n: int, of_files: int) -> Iterator[Selected]:
    head: list[tuple[int, int]] = []
    taken = 0
    for start, stop in sample_spans(name, root / file, n):
        taken += max(stop, ~stop) - max(start, ~start)
        if head and taken > TAKEN_BYTES // of_files:
            break
        head.append((start, stop))
    return _of_spans(name, file, head, [(i + 0.5) / len(head) for i in range(len(head))])


def _of_spans(name: str, file: str, found: list[tuple[int, int]], places: Iterable[float]) -> Iterator[Selected]:
    """Yield the records at these shares of a list of byte ranges, once each."""
    for ordinal in sorted({min(int(place * len(found)), len(found) - 1) for place in places}) if found else ():
        yield Selected(Chunk(name, file, ordinal, 1, _as_bytes([found[ordinal]])), None)


def _of_rows(name: str, root: Path, files: dict[str, list[float]], reading: Reading) -> list[Selected]:
    """Return rows of some row groups: as many places as PLACES allows, and at each the rows that follow."""
    n = sum(map(len, files.values()))
    found = []
    for file, places in files.items():
        groups = row_groups(name, root / file, reading.fields)
        starts = np.cumsum([0, *groups])
        mean = max(1.0, row_bytes(name, root / file) / max(1, sum(groups)))
        some = places[:: max(1, -(-n // PLACES))]
        run = max(1, min(-(-len(places) // len(some)), int(TAKEN_BYTES / PLACES / mean)))
        taken: set[int] = set()
        for place in some if sum(groups) else ():
            row = min(int(place * sum(groups)), sum(groups) - 1)
            group = int(np.searchsorted(starts, row, 'right')) - 1
            first = int(starts[group]) + (row - int(starts[group])) % max(1, min(groups[group], int(SKIPPED_BYTES / mean)))
            taken |= set(range(first, min(first + run, int(starts[group + 1]))))
        found += [_rows(name, file, some) for some in _runs(sorted(taken))]
    return found


def _runs(numbers: list[int]) -> Iterator[list[int]]:
    """Yield the runs of consecutive numbers."""
    for _, some in itertools.groupby(enumerate(numbers), _offset):
        yield [number for _, number in some]


def _offset(numbered: tuple[int, int]) -> int:
    return numbered[1] - numbered[0]


def _rows(name: str, file: str, run: list[int]) -> Selected:
    return Selected(Chunk(name, file, run[0], len(run)), None)


def _narrow(chunk: Chunk, ordinals: list[int]) -> list[Selected]:
    """Return the records of a chunk with these numbers."""
    if not chunk.spans:  # rows of a batch are decoded together
        return [Selected(chunk, np.array(ordinals, np.int64).tobytes())]
    places = np.frombuffer(chunk.spans, np.int64).reshape(-1, 2)
    return [Selected(Chunk(chunk.source, chunk.file, run[0], len(run), places[run[0] - chunk.first:][:len(run)].tobytes()), None)
            for run in _runs(ordinals)]


def _ordinals(selected: Selected) -> list[int]:
    chunk = selected.chunk
    return list(range(chunk.first, chunk.first + chunk.n)) if selected.ordinals is None else np.frombuffer(selected.ordinals, np.int64).tolist()


def _as_bytes(found: list[tuple[int, int]]) -> bytes:
    return np.array(found, np.int64).tobytes()
