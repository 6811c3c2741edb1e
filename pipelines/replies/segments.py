"""Segments of a reply store: one append-only JSONL file per writer, fsynced per batch, locked as long as its writer lives."""

import fcntl
import itertools
import json
import os
import re
import socket
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from pipelines.replies.facts import Fact, fact_of
from schemas.publish import sync_names
from schemas.refusals import refused
from schemas.replies import Outcome, canonical_json, decode_outcome, encode_outcome

HEADER_BYTES = len('{"key":"') + 64 + len('","crc":"') + 8 + len('","record":')
LINE_START = re.compile(rb'\{"key":"([0-9a-f]{64})","crc":"')


class Segment:
    """One writer's file. A last line without its end, torn by a kill or still being written, is not there yet; nor are zeros behind the last."""

    def __init__(self, path: Path):
        self.path = path
        self.n_bytes = path.stat().st_size
        self.n_damaged = 0  # lines, of those that were looked at

    def keys(self, start: int) -> tuple[list[tuple[str, int]], int]:
        """Return the (key, offset) of each undamaged record from byte `start` on, and the byte after the last line; damaged lines are counted."""
        found = []
        for at, line in self._lines(start):
            start = at + len(line)
            for offset, piece in _pieces(line):
                if is_whole(piece):
                    found.append((_key_of(piece), at + offset))
            self.n_damaged += not is_whole(line)
        return found, start

    def n_lost(self) -> int:
        """Return how many lines were found damaged."""
        return self.n_damaged

    def read(self, offsets: Iterable[int]) -> Iterator[Outcome | None]:
        """Yield the outcome of the line at each offset, None for a damaged one."""
        with open(self.path, 'rb') as file:
            for offset in offsets:
                file.seek(offset)
                yield decode_line(file.readline())

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the undamaged outcomes, in order."""
        for _, line in self._lines():
            self.n_damaged += not is_whole(line)
            for _, piece in _pieces(line):
                if (outcome := decode_line(piece)) is not None:
                    yield outcome

    def facts(self) -> Iterator[Fact]:
        """Yield what each undamaged outcome is, in order."""
        yield from map(fact_of, self.outcomes())

    def faults(self) -> list[str]:
        """Return a sentence for each damaged line."""
        return [f'{self.path}: line at byte {at} does not match its checksum' for at, line in self._lines() if not is_whole(line)]

    def remove(self) -> None:
        """Delete the segment: its rows stand in a pack. One with damaged lines is put aside, for who can repair it."""
        if self.n_damaged:
            os.replace(self.path, self.path.with_name(f'{self.path.name}.damaged'))
        else:
            self.path.unlink()

    def _lines(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        with open(self.path, 'rb') as file:
            file.seek(start)
            for line in file:
                if not line.endswith(b'\n'):
                    return
                yield start, line
                start += len(line)


def _pieces(line: bytes) -> list[tuple[int, bytes]]:
    """Return a line as the records that begin in it, and where: several where the end of one was lost, as in zeros that a disk left for it.

    No text within a record looks like the begin of one: JSON escapes its quotes.
    """
    starts = [key.start() for key in LINE_START.finditer(line)]
    return [(start, line[start:stop]) for start, stop in pairwise([*starts, len(line)])]


def _key_of(line: bytes) -> str:
    """Return the key of an undamaged line: that of its record, should the one before the check sum be another."""
    key = line[8:72]
    return key.decode() if b'"key":"%s"' % key in line[HEADER_BYTES:] else json.loads(line[HEADER_BYTES:-2])['key']


class Writer:
    """One append-only segment of one process, locked as long as the process lives."""

    _counter = itertools.count()

    def __init__(self, folder: Path):
        self.pid = os.getpid()
        self._file = self._create(folder)
        while not os.fstat(self._file).st_nlink:  # compacted away, empty, before it was locked
            os.close(self._file)
            self._file = self._create(folder)
        self.size = 0
        sync_names(folder)

    def _create(self, folder: Path) -> int:
        while True:
            self.name = f'{socket.gethostname()}-{self.pid}-{next(self._counter)}.jsonl'
            try:
                file = os.open(folder / self.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            except FileExistsError:
                continue
            fcntl.flock(file, fcntl.LOCK_EX)  # released by the kernel when the process dies
            return file

    def append(self, data: bytes) -> int:
        """Append `data`, fsync, return the offset it starts at. A full disk leaves the segment as it was."""
        start, view = self.size, memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view):]
            os.fdatasync(self._file)
        except OSError as e:
            os.ftruncate(self._file, start)
            raise refused(e, f'reply store segment {self.name}') from e
        self.size = start + len(data)
        return start

    def close(self) -> None:
        os.close(self._file)


def encode_line(outcome: Outcome) -> bytes:
    """Return the segment line of `outcome`: key, checksum, record, in this order and at fixed offsets."""
    record = canonical_json(encode_outcome(outcome)).encode()
    return b'{"key":"%s","crc":"%08x","record":%s}\n' % (outcome.key.encode(), zlib.crc32(record), record)


def decode_line(line: bytes) -> Outcome | None:
    """Return the outcome of a segment line, None if the line is damaged."""
    return decode_outcome(json.loads(line[HEADER_BYTES:-2])) if is_whole(line) else None


def is_whole(line: bytes) -> bool:
    """Return whether a segment line is the one that was written."""
    return line.endswith(b'}\n') and line[81:89] == b'%08x' % zlib.crc32(line[HEADER_BYTES:-2])


@contextmanager
def dead_segments(folder: Path) -> Iterator[list[Path]]:
    """Give the segments whose writer is gone; the caller sees to it that nobody else asks meanwhile."""
    held: dict[Path, int] = {}
    try:
        for path in sorted(path for path in folder.glob('*.jsonl') if path.is_file()):
            file = os.open(path, os.O_RDONLY)
            try:
                # shared, which a writer's lock refuses as well: NFS gives an exclusive one to a file open for writing only
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
            else:
                held[path] = file
        yield list(held)
    finally:
        for file in held.values():
            os.close(file)
