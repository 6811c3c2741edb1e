"""Byte ranges of the records of a CSV or TSV file, and a record as a row: columns by the header, every value the text that stands there.

As RFC 4180 and Python's csv have it: a field in quotes may hold the delimiter, line ends and doubled quotes. "007" stays "007", "NA" stays "NA".
Most tools write TSV without any quoting: where its quotes do not stand as they should, a record is a line and a quote a sign like others.
"""

import csv
import io
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipelines.sources.malformed import Malformed
from schemas.errors import UserError

SUFFIXES = ('.csv', '.tsv')
_FIELD_CHARS = 100_000_000  # Python's csv refuses longer ones; a record is bounded before it is parsed
_HEADER_BYTES = 1_000_000
_BOM = b'\xef\xbb\xbf'


@dataclass(frozen=True, slots=True)
class Header:
    """The first record of a file: its columns, what stands between fields, and where the rows begin."""

    columns: tuple[str, ...]
    delimiter: str
    stop: int


def csv_header(source: str, path: Path) -> Header:
    """Return the header of a file, none of columns for one that is blank; raises UserError for one that names no columns, or one twice."""
    with open(path, 'rb') as handle:
        head = handle.read(_HEADER_BYTES)
    start = len(_BOM) if head.startswith(_BOM) else 0
    while head[start:start + 1] in (b'\r', b'\n'):
        start += 1
    delimiter = _delimiter(path, head[start:].partition(b'\n')[0])
    _, stop = next(_records(head, delimiter, start), (start, start))
    found = csv_fields(head[start:stop], delimiter) if head[start:].strip() else []
    if isinstance(found, Malformed):
        raise UserError(f'source {source}: expected a header of columns in {path}, found {found.found}')
    columns = tuple(name.strip() for name in found)
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise UserError(f'source {source}: expected a header whose columns have different names in {path}, found {twice[0]!r} twice')
    if b'\r' in head and b'\n' not in head:
        raise UserError(f"source {source}: expected lines that end with a line feed in {path}, found carriage returns only: "
                        f"tr '\\r' '\\n' < {path.name} > new.csv")
    return Header(columns, delimiter, stop)


def _delimiter(path: Path, line: bytes) -> str:
    """Return a tab for .tsv, a comma for .csv; a header without one but with semicolons or tabs is split there."""
    if path.suffix.lower() == '.tsv':
        return '\t'
    return next((sign for sign in ',;\t' if sign.encode() in line), ',')


def csv_spans(source: str, path: Path) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of every record but the header; raises UserError where a quoted field never ends."""
    header = csv_header(source, path)
    if path.stat().st_size <= header.stop:
        return
    with open(path, 'rb') as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for n, (start, stop) in enumerate(_records(data, header.delimiter, header.stop), 1):
            if stop < 0:
                raise UserError(f'source {source}: expected the end of a quoted field in {path}, found none after record {n}: '
                                f'{data[start:start + 60]!r}; is a quote left over, or the download incomplete?')
            yield start, stop


def _records(data: bytes | mmap.mmap, delimiter: str, at: int) -> Iterator[tuple[int, int]]:
    """Yield the records from an offset on, blank lines left out; of one whose quotes never end (start, -1)."""
    fields = _fields(delimiter)
    while at < len(data):
        end = data.find(b'\n', at)
        stop = len(data) if end < 0 else end + 1
        quote = data.find(b'"', at, stop)
        if quote >= 0:  # what is quoted may go on over lines
            match = fields.match(data, at)
            stop = match.end() if match else stop if delimiter == '\t' else -1
        if stop < 0 or quote >= 0 or data[at:stop].strip(b'\r\n'):
            yield at, stop
        if stop < 0:
            return
        at = stop


@cache
def _fields(delimiter: str) -> re.Pattern[bytes]:
    """Return what matches one record: a quote opens a field only where it begins, and closes it in TSV only where it ends."""
    sign = re.escape(delimiter.encode())
    if delimiter == '\t':
        return re.compile(rb'%b(?:\t%b)*+(?:\r?\n|\Z)' % ((rb'(?:"(?:[^"]++|"")*+"|[^"\t\n][^\t\n]*+|)',) * 2))
    field = rb'(?:"(?:[^"]++|"")*+"[^%b\n]*+|[^"%b\n][^%b\n]*+|)' % (sign, sign, sign)
    return re.compile(rb'%b(?:%b%b)*+(?:\n|\Z)' % (field, sign, field))


def csv_row(data: bytes, header: Header) -> dict | Malformed:
    """Return the record in `data` by its columns, or what is there instead."""
    found = csv_fields(data, header.delimiter)
    if isinstance(found, Malformed):
        return found
    if len(found) != len(header.columns):
        return Malformed(f'{len(found)} field(s) where the header has {len(header.columns)}; begins {data[:60]!r}')
    return dict(zip(header.columns, found, strict=True))


def csv_fields(data: bytes, delimiter: str) -> list[str] | Malformed:
    """Return the fields of one record, or what is wrong with it."""
    if csv.field_size_limit() < _FIELD_CHARS:
        csv.field_size_limit(_FIELD_CHARS)
    try:
        text = data.decode()
    except UnicodeDecodeError as e:
        return Malformed(no_utf8(e))
    if '"' not in text:  # as csv.reader has it, and three times as fast
        return text.rstrip('\r\n').split(delimiter)
    if delimiter == '\t' and not _fields(delimiter).fullmatch(data):
        return text.rstrip('\r\n').split(delimiter)
    try:
        return next(csv.reader(io.StringIO(text, newline=''), delimiter=delimiter, strict=True), [])
    except csv.Error as e:
        return Malformed(f'no CSV record: {e}; begins {data[:60]!r}')


def no_utf8(e: UnicodeDecodeError) -> str:
    """Return what a message says of bytes that are no UTF-8."""
    return (f'text that is no UTF-8: byte {e.object[e.start]:#04x} at {e.start}; if the file is Latin-1 or Windows-1252, convert it: '
            'iconv -f WINDOWS-1252 -t UTF-8')
