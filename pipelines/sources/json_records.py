"""Byte ranges of the records of a JSON file, whatever its shape. One or two passes over the mapped file; nothing is loaded whole.

Shapes: a list; one object a line; objects one after the other; a list or a mapping inside an object ({"data": [...]}, {"train": [...]}, {id: row});
one object that is a record itself. The content decides, not the name: POPE's `coco_pope_popular.json` is JSON Lines.
A range that begins with a key (`"id": {...}`) is an entry of a mapping.
"""

import itertools
import json
import mmap
import re
from array import array
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.sources.alike import parting, starts
from pipelines.sources.splits import chosen, split_named
from schemas.errors import UserError

TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},"]', re.DOTALL)
# A bracket or comma outside strings, with what leads to it; a quote or nothing where no such sign follows.
_SIGNS = re.compile(rb'(?:[^"\[\]{},]++|"(?:[^"\\]++|\\.)*+")*+([\[\]{},"]|\Z)', re.DOTALL)
_KEY = re.compile(rb'\s*("(?:[^"\\]++|\\.)*+")\s*:\s*', re.DOTALL)
_TWO_ON_A_LINE = re.compile(rb'\}[ \t]*\{"')  # inside a text its quote would be escaped
_HEAD_BYTES = 4096
_SEEN_BYTES = 64_000_000  # pages of the map that were passed are given back at this pace: memory stays flat however long the file
_BLOCK_BYTES = 1 << 22
_LINE_BYTES = 64_000_000  # a first line beyond is no line
_COMMA = ord(',')
_SCANNED = 1 << 12  # records scanned in a row, where guessing their ends does not help
_BLANK = b' \t\r\n'
_BOM = b'\xef\xbb\xbf'
_NAMED = 12  # keys in a message
_WRAPPERS = ('data', 'rows', 'records', 'examples', 'items', 'train')  # names that say themselves that they hold records
MAX_DEPTH = 100  # brackets in brackets; Python's own bound hangs on its stack, so on the runner, and is lower for writing than for reading


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of a source's files."""

    fields: frozenset[str] | None = None  # what is converted of a column-wise file: names, and paths with dots; None: all
    keys: frozenset[str] = frozenset()  # the names by which an object is known to be a record, not a list or a mapping of records
    splits: tuple[str, ...] = ()  # none: train, where there are splits


ALL = Reading()


def json_spans(source: str, path: Path, reading: Reading = ALL) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of every record; raises UserError for a file that is cut off, none of JSON, or holds several lists."""
    return line_spans(path) if is_lines(path) else _Document(source, path, reading).spans()


def list_spans(source: str, path: Path, key: str) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of every element of the list under a key of the one object that a file is; raises UserError where there is none."""
    return _Document(source, path, ALL).under(key)


def keys_of(path: Path) -> list[str]:
    """Return the keys of the one object that a file is, [] for any other file; raises UserError for one that is cut off."""
    return _Document(path.name, path, ALL).keys()


def is_lines(path: Path) -> bool:
    """Return whether a file holds a value a line: its first line is a whole object, or the second begins with one."""
    with open(path, 'rb') as handle:
        first = b''
        while not first.strip(_BLANK + _BOM):
            if not (first := handle.readline(_LINE_BYTES)):
                return path.suffix != '.json'  # blank
        if len(first) == _LINE_BYTES and not first.endswith(b'\n'):
            return False
        first = first.removeprefix(_BOM).strip()
        after = b''
        while not after.strip() and (after := handle.readline(_HEAD_BYTES)):
            pass
    plain = path.suffix.lower() == '.json'
    if not first.startswith((b'{', b'[')):
        return not plain
    if not after.strip():
        return first.startswith(b'{') and not plain and not _is_whole(first)  # one line: its object may be a wrapper
    if first.startswith(b'['):
        return after.lstrip().startswith(b'[') and not first[1:].lstrip().startswith(b'{') and _is_whole(first)  # else lists of records
    if _is_whole(first):
        return after.strip() != b'{'
    return after.lstrip().startswith(b'{') and (not plain or b'}{' in first)


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line.decode())
    except (ValueError, RecursionError):
        return False
    return True


def refuse_deep(data: bytes) -> None:
    """Raise ValueError for JSON whose brackets nest deeper than MAX_DEPTH."""
    depth = 0
    for token in TOKENS.finditer(data) if data.count(b'[') + data.count(b'{') > MAX_DEPTH else ():
        if token[0] == b'"':
            return  # a string that never ends: it is no JSON, and each quote in it would be looked at up to the end
        depth += (token[0] in b'[{') - (token[0] in b']}')
        if depth > MAX_DEPTH:
            raise ValueError(f'brackets more than {MAX_DEPTH} deep')


def line_spans(path: Path) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of every line that is not blank, and of each object where one line holds several."""
    if path.stat().st_size == 0:
        return
    with open(path, 'rb') as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
        seams = _TWO_ON_A_LINE.finditer(data)
        seam = next(seams, None)
        for start, stop in _lines(path):
            if seam is None or seam.start() >= stop:
                yield start, stop
                continue
            yield from _objects(data[start:stop], start)
            while seam is not None and seam.start() < stop:
                seam = next(seams, None)


def _lines(path: Path) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of every line that is not blank; holds a block of the file, however long a line is."""
    start, at, blank = 0, 0, True
    with open(path, 'rb') as handle:
        while block := handle.read(_BLOCK_BYTES):
            begin = 0
            while (end := block.find(b'\n', begin)) >= 0:
                if not blank or block[begin:end].strip():
                    yield start, at + end + 1
                start, begin, blank = at + end + 1, end + 1, True
            blank = blank and not block[begin:].strip()
            at += len(block)
    if not blank:
        yield start, at


def _objects(line: bytes, offset: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a line's values, which are whole objects, or of the line where they are not."""
    found, depth, begin = [], 0, 0
    for token in TOKENS.finditer(line):
        if token[0] == b'"':
            break  # a string that never ends
        depth += (token[0] in b'[{') - (token[0] in b']}')
        if depth == 0 and token[0] == b'}':
            found.append((offset + begin, offset + token.end()))
            begin = token.end()
    if depth or line[begin:].strip():
        found = [(offset, offset + len(line))]
    yield from found


class _Document:
    """A file that is one value, or values one after the other."""

    def __init__(self, source: str, path: Path, reading: Reading) -> None:
        self._source, self._path, self._reading = source, path, reading

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges of the records."""
        if self._path.stat().st_size == 0:
            return
        with open(self._path, 'rb') as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as self._data:
            first = at = self._next(len(_BOM) if self._data[:3] == _BOM else 0)
            while at < len(self._data):
                if self._data[at:at + 1] == b'[':
                    at = self._next((yield from self._parts(at)))
                    continue
                if self._data[at:at + 1] != b'{':
                    place = 'first' if at == first else f'at byte {at}'
                    raise self._fault('a JSON list, an object or JSON Lines', f'{self._data[at:at + 20]!r} {place}')
                stop = yield from self._object(at, alone=at == first)
                at = self._next(stop)

    def keys(self) -> list[str]:
        """Return the keys of the one object that the file is."""
        with self._mapped() as at:
            return [self._value(*part)[0] for part in self._parts(at)] if at is not None else []

    def under(self, key: str) -> Iterator[tuple[int, int]]:
        """Yield the ranges of a list's elements."""
        with self._mapped() as at:
            entries = [self._value(*part) for part in self._parts(at)] if at is not None else []
            place = next((place for name, place in entries if name == key and self._data[place:place + 1] == b'['), None)
            if place is None:
                raise self._fault(f'a list under {key!r}', f'keys {[name for name, _ in entries][:_NAMED]}' if at is not None else 'no object')
            yield from self._parts(place)

    @contextmanager
    def _mapped(self) -> Iterator[int | None]:
        """Give the byte at which the file's one object begins, None where it begins with anything else."""
        if self._path.stat().st_size == 0:
            yield None
            return
        with open(self._path, 'rb') as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as self._data:
            at = self._next(len(_BOM) if self._data[:3] == _BOM else 0)
            yield at if self._data[at:at + 1] == b'{' else None

    def _object(self, at: int, *, alone: bool) -> Generator[tuple[int, int], None, int]:
        """Yield what a top-level object holds, which is itself unless it is the only one and wraps others; return where it ends."""
        parts = self._parts(at)
        entries = array('q')
        try:
            while True:
                start, stop = next(parts)
                if alone:
                    entries.extend((start, stop))
        except StopIteration as e:
            end = e.value
        if alone and self._next(end) >= len(self._data):
            yield from self._unwrapped(at, end, entries, self._reading.keys)
        else:
            yield at, end
        return end

    def _unwrapped(self, at: int, end: int, flat: array, keys: Collection[str]) -> Iterator[tuple[int, int]]:
        entries = [(flat[i], flat[i + 1], *self._value(flat[i], flat[i + 1])) for i in range(0, len(flat), 2)]
        places = {key: place for _, _, key, place in entries}
        objects = {key: place for key, place in places.items() if self._data[place:place + 1] == b'{'}
        lists = {key: place for key, place in places.items() if self._is_list(place)}
        if not keys:  # nobody says what a record looks like: a list in it may be its own
            lists = {key: place for key, place in lists.items() if key in _WRAPPERS or split_named(key)}
        lists = lists or {key: place for key, place in places.items() if self._is_empty(place) and (len(places) == 1 or key in _WRAPPERS)}
        where = f'source {self._source}: {self._path}'
        if not entries and self._path.suffix.lower() == '.json':
            return  # as an empty list
        if not entries or any(key in keys for key in places):
            yield at, end  # a record
        elif lists and (len(lists) == 1 and not all(map(split_named, lists))):
            yield from self._parts(*lists.values())
        elif lists and all(map(split_named, lists)):
            for key in chosen(lists, self._reading.splits, where):
                yield from self._parts(lists[key])
        elif lists:
            raise self._fault('one list of records', f'lists under {sorted(lists)[:_NAMED]}; write the one that is meant into a file of its own: '
                              f"jq '.{min(lists)}' {self._path.name} > records.json")
        elif len(objects) == len(entries) and all(map(split_named, objects)):
            for key in chosen(objects, self._reading.splits, where):
                yield from self._parts(objects[key])
        elif len(objects) == 1 and (inner := self._lists_inside(place := next(iter(objects.values())))):
            if len(inner) > 1:
                raise self._fault('one list of records', f'lists under {sorted(inner)[:_NAMED]} in `{next(iter(objects))}`; write the one that is '
                                  f"meant into a file of its own: jq '.{next(iter(objects))}.{min(inner)}' {self._path.name} > records.json")
            yield from self._parts(*inner.values())
        elif len(objects) == 1 and self._is_mapping(place := next(iter(objects.values()))):
            yield from self._parts(place)
        elif len(objects) == len(places):
            yield from ((start, stop) for start, stop, _, _ in entries)
        else:
            yield at, end  # a record, or none: the format says

    def _lists_inside(self, at: int) -> dict[str, int]:
        """Return the lists of objects in an object that is no record ({"result": {"data": [...]}}), and where they begin."""
        places = dict(self._value(start, stop) for start, stop in self._parts(at))
        if any(key in self._reading.keys for key in places):
            return {}
        return {key: place for key, place in places.items() if self._is_list(place) and (self._reading.keys or key in _WRAPPERS)}

    def _is_mapping(self, at: int) -> bool:
        """Return whether an object holds objects only, and is no record."""
        entries = [self._value(start, stop) for start, stop in self._parts(at)]
        return bool(entries) and all(self._data[place:place + 1] == b'{' and key not in self._reading.keys for key, place in entries)

    def _is_list(self, at: int) -> bool:
        return self._data[at:at + 1] == b'[' and self._data[(inner := self._next(at + 1)):inner + 1] == b'{'

    def _is_empty(self, at: int) -> bool:
        return self._data[at:at + 1] == b'[' and self._data[(inner := self._next(at + 1)):inner + 1] == b']'

    def _value(self, start: int, stop: int) -> tuple[str, int]:
        """Return the key of an entry and where its value begins."""
        found = _KEY.match(self._data, start, stop)
        if not found:
            return '', start
        try:
            return json.loads(found[1]), found.end()
        except ValueError:
            return found[1].decode('utf-8', 'replace'), found.end()

    def _next(self, at: int) -> int:
        while at < len(self._data) and self._data[at] in _BLANK:
            at += 1
        return at

    def _parts(self, at: int) -> Generator[tuple[int, int], None, int]:
        """Yield (start, stop) of every part, between commas, of the list or object that begins at a byte; return where it ends."""
        signs, start, n_scanned = self._at_depth_1(at), at + 1, 1
        while True:
            for stop in itertools.islice(signs, n_scanned):
                if self._data[start:stop - 1].strip():
                    yield start, stop - 1
                start = stop
                if self._data[stop - 1] != _COMMA:
                    return stop
            n_guessed = 0
            for following in starts(self._data, start, between) if (between := parting(self._data, start)) else ():
                yield start, following - 1
                start, n_guessed = following, n_guessed + 1
            if n_guessed:
                signs = self._at_depth_1(start, 1)
            n_scanned = 1 if n_guessed > n_scanned else min(2 * n_scanned, _SCANNED)

    def _at_depth_1(self, at: int, depth: int = 0) -> Generator[int, None, None]:
        """Yield behind each comma at depth 1 of a list or object, and behind its end; raises UserError where there is none."""
        kept, data = at, self._data
        for token in _SIGNS.finditer(data, at):
            sign, stop = token[1], token.end()
            if sign == b',':
                if depth == 1:
                    yield stop
                continue  # inside a record: nearly every one
            if sign in (b'[', b'{'):
                depth += 1
                continue
            if sign not in (b']', b'}'):
                break  # a string that never ends, or the file's end: reported below
            depth -= 1
            if depth == 0:
                yield stop
                return
            if stop - kept > _SEEN_BYTES:
                data.madvise(mmap.MADV_DONTNEED, 0, stop // mmap.PAGESIZE * mmap.PAGESIZE)
                kept = stop
        raise self._fault('a whole JSON file', f'its end with {depth} bracket(s) open; is the download complete?')

    def _fault(self, expected: str, found: str) -> UserError:
        return UserError(f'source {self._source}: expected {expected} in {self._path}, found {found}')
