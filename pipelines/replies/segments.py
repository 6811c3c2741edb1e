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
from pathlib import Path

from pipelines.replies.facts import Fact, fact_of
from schemas.errors import UserError
from schemas.replies import Outcome, canonical_json, decode_outcome, encode_outcome

HEADER_BYTES = len('{"key":"') + 64 + len('","crc":"') + 8 + len('","record":')
LINE_START = re.compile(rb'\{"key":"([0-9a-f]{64})","crc":"')


class Segment:
    """One writer's file. A last line without its end, torn by a kill or still being written, is not there yet."""

    def __init__(self, path: Path):
        self.path = path
        self.n_bytes = path.stat().st_size

    def keys(self, start: int) -> tuple[list[tuple[str, int]], int]:
        """Return the (key, offset) of each line from byte `start` on, and the byte after the last one; only keys are looked at."""
        found = []
        for at, line in self._lines(start):
            start = at + len(line)
            if key := LINE_START.match(line):
                found.append((key[1].decode(), at))
        return found, start

    def read(self, offsets: Iterable[int]) -> Iterator[Outcome | None]:
        """Yield the outcome of the line at each offset, None for a damaged one."""
        with open(self.path, 'rb') as file:
            for offset in offsets:
                file.seek(offset)
                yield decode_line(file.readline())

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the undamaged outcomes, in order."""
        for _, line in self._lines():
            outcome = decode_line(line)
            if outcome is not None:
                yield outcome

    def facts(self) -> Iterator[Fact]:
        """Yield what each undamaged outcome is, in order."""
        yield from map(fact_of, self.outcomes())

    def faults(self) -> list[str]:
        """Return a sentence for each damaged line."""
        return [f'{self.path}: line at byte {at} does not match its checksum' for at, line in self._lines() if decode_line(line) is None]

    def remove(self) -> None:
        """Delete the segment: its rows stand in a pack."""
        self.path.unlink()

    def _lines(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        with open(self.path, 'rb') as file:
            file.seek(start)
            for line in file:
                if not line.endswith(b'\n'):
                    return
                yield start, line
                start += len(line)


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
        directory = os.open(folder, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)

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
            raise UserError(f'reply store segment {self.name}: expected to write {len(data)} bytes, found: {e.strerror}; '
                            'make room and run again, stored replies are kept') from e
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
    record = line[HEADER_BYTES:-2]
    if not line.endswith(b'}\n') or line[81:89] != b'%08x' % zlib.crc32(record):
        return None
    return decode_outcome(json.loads(record))


@contextmanager
def dead_segments(folder: Path) -> Iterator[list[Path]]:
    """Give the segments whose writer is gone; the caller sees to it that nobody else asks meanwhile."""
    held: dict[Path, int] = {}
    try:
        for path in sorted(folder.glob('*.jsonl')):
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
