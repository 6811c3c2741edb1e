"""Rows of Parquet and .arrow files, decoded in a process of its own: what damaged or hostile bytes do to a decoder (a signal, all the memory, a loop
without end) ends that process, and the build stops with the file's name.

    ours                         the reader's
    (what, arguments) or None -> stdin: pickles; None asks for what follows
    a reply                   <- stdout: what was asked for, or END, Failed

A reader is started when one is needed, kept for the next file, and ends by itself when its standard input does.
"""

import errno
import os
import pickle
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from pipelines.sources import arrow_rows
from pipelines.sources.malformed import Damaged, Malformed
from schemas.errors import PendingWork, UserError

READER_BYTES = 2 << 30  # of memory, what is mapped from a file left out: a batch of rows, a page of each column ...
PAGE_BYTES = 2**31  # ... of which one has at most as many (32 bits say it, parquet.thrift), and no more than its file: what lies there is no bomb ...
_PAGES = 5  # ... and is held so often: a page and its dictionary, packed and unpacked; seen of 1,024 pictures of 0.8 MB, written by default settings
THREADS = 4  # at most, that decode columns side by side: workers are many
READER_S = 600  # of processor time from one reply to the next
_CODE = 'from pipelines.sources.apart import serve; serve()'
END = 'END'
OF_DATA = (errno.EINVAL, errno.EFBIG, errno.EOVERFLOW)  # what a disk says to places that no file has; any other errno is its own


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no answer: `errno` of the disk, or what was found in the file, or a bug of ours."""

    found: str
    errno: int | None = None
    is_bug: bool = False


def row_groups(source: str, path: Path, fields: frozenset[str] | None = None) -> list[int]:
    """Return the rows of each row group or record batch of a file, see `arrow_rows`; raises UserError for one that cannot be read."""
    return next(_asked(source, path, f'{path.suffix} data in {path}', 'row_groups', path, fields))


def row_bytes(source: str, path: Path) -> int:
    """Return the bytes of all rows of a file as they are decoded; raises UserError for one that cannot be read."""
    return next(_asked(source, path, f'{path.suffix} data in {path}', 'all_bytes', path))


def read_rows(
    source: str, path: Path, first: int, n: int, fields: frozenset[str] | None = None
) -> Iterator[tuple[int, dict | Malformed]]:
    """Yield (ordinal, row) of some rows of a file, see `arrow_rows`; raises UserError for one that cannot be read."""
    for run in _asked(source, path, f'rows {first} to {first + n} of {path}', 'read_runs', path, first, n, fields):
        yield from run


class _Reader:
    def __init__(self) -> None:
        # as our own workers find the code, no working folder among the places; threads take memory for stacks
        places = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path)), 'OPENBLAS_NUM_THREADS': '1', 'OMP_NUM_THREADS': '1'}
        self._process = subprocess.Popen([sys.executable, '-X', 'utf8', '-P', '-c', _CODE], env=places, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def ask(self, message: object) -> Any:
        """Return the reply; raises EOFError where the reader died of the question."""
        try:
            pickle.dump(message, self._process.stdin)  # type: ignore[arg-type]
            self._process.stdin.flush()  # type: ignore[union-attr]
            return pickle.load(self._process.stdout)  # type: ignore[arg-type]
        except (BrokenPipeError, pickle.UnpicklingError) as e:
            raise EOFError from e

    def lives(self) -> bool:
        """Return whether nobody has killed it since."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the reader whatever it does."""
        self._process.kill()
        self.end()

    def end(self) -> int:
        """End the reader, if it has not ended; return its status, -n for a signal."""
        with suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        self._process.stdout.close()  # type: ignore[union-attr]
        return self._process.wait()


_idle: list[_Reader] = []  # of the process _owner
_owner = 0


def _reader() -> _Reader:
    """Return a reader that nobody else uses: a process that was forked off must not speak with those of its parent."""
    global _owner, _idle
    if _owner != os.getpid():
        _owner, _idle = os.getpid(), []
    while _idle:
        with suppress(IndexError):  # another thread took it
            if (reader := _idle.pop()).lives():
                return reader
    return _Reader()


def _asked(source: str, path: Path, expected: str, what: str, *arguments: object) -> Iterator[Any]:
    """Yield the replies to a question about a file."""
    reader, message = _reader(), (what, arguments)
    in_step = True  # has answered what it was asked
    try:
        while True:
            in_step = False
            reply = reader.ask(message)
            in_step = True
            if reply == END:
                return
            if isinstance(reply, Failed):
                raise _told(f'source {source}: expected {expected}', reply)
            yield reply
            message = None  # type: ignore[assignment]
    except EOFError as e:
        raise _killed(f'source {source}: expected {expected}', reader.end()) from e
    finally:
        if in_step:
            _idle.append(reader)
        else:
            reader.kill()


def _told(expected: str, failed: Failed) -> Exception:
    if failed.is_bug:
        return RuntimeError(failed.found)
    if failed.errno == errno.ENOENT:
        return UserError(f'{expected}, found none; it was there before')
    if failed.errno is not None and failed.errno not in OF_DATA:
        return PendingWork(f'{expected}, found: {os.strerror(failed.errno)}; mend that, the same command goes on from there')
    return UserError(f'{expected}, found: {failed.found}; is the download complete? the file is damaged, fetch it again')


def _killed(expected: str, status: int) -> UserError:
    if status in (-signal.SIGKILL, -signal.SIGTERM):  # by no file
        return PendingWork(f'{expected}, found the process that reads them killed ({signal.Signals(-status).name}), perhaps for want of memory; '
                           'what is finished is kept, the same command goes on from there')
    if status == -signal.SIGBUS:  # of a mapped file: what stands in it was checked before
        return PendingWork(f'{expected}, found the process that reads them ended by SIGBUS: the disk cannot read it, or it was cut meanwhile; '
                           'mend that, the same command goes on from there')
    how = f'by {signal.Signals(-status).name}' if status < 0 else f'with exit code {status}'
    if status == -signal.SIGXCPU:
        how = f'after {READER_S} s without a row'
    return UserError(f'{expected}, found bytes that ended the process that reads them {how}; '
                     'is the download complete? the file is damaged, fetch it again')


def serve() -> None:
    """Answer questions until there are no more; what this process runs."""
    for number in (signal.SIGINT, signal.SIGTERM):  # whoever is told to stop closes our standard input
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), 'wb')
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries may write there
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    before = _taken(), resource.getrlimit(resource.RLIMIT_DATA)
    pa.set_memory_pool(pa.system_memory_pool())  # others take more than they use
    pa.set_cpu_count(min(THREADS, pa.cpu_count()))
    replies: Iterator[object] = iter(())
    while (message := _next_message(sys.stdin.buffer)) != END:
        _bound_time()
        if message is not None:
            replies = _replies(*message, n_bytes=_bound(message[1][0], *before))
        try:
            reply = next(replies, END)
        except StopIteration:
            reply = END
        pickle.dump(reply, answers)
        answers.flush()


def _next_message(questions: BinaryIO) -> Any:
    try:
        return pickle.load(questions)
    except EOFError:
        return END


def _replies(what: str, arguments: tuple, *, n_bytes: int) -> Iterator[object]:
    try:
        if what == 'read_runs':
            yield from arrow_rows.read_runs(*arguments)
        else:
            yield arrow_rows.row_groups(*arguments) if what == 'row_groups' else arrow_rows.all_bytes(*arguments)
    except MemoryError:
        yield Failed(f'rows that take more than {n_bytes} bytes of memory to unpack; if they are meant, write them again in smaller row groups')
    except RecursionError:
        yield Failed('lists or structs too deep to follow')
    except OSError as e:
        yield Failed(_line(e), e.errno)
    except (Damaged, pa.ArrowException, UnicodeDecodeError) as e:
        yield Failed(_line(e))
    except Exception:
        yield Failed(traceback.format_exc(), is_bug=True)


def _line(e: Exception) -> str:
    return ' '.join(str(e).split())[:300]


def _bound(path: Path, taken: int, limits: tuple[int, int]) -> int:
    """Return the bytes of memory that the reading of a file may take from now on, besides those that were `taken` before any was read."""
    try:
        n_bytes = READER_BYTES + _PAGES * min(PAGE_BYTES, os.stat(path).st_size)
    except OSError:  # told by whoever reads it
        n_bytes = READER_BYTES
    most = min(limit for limit in (taken + n_bytes, *limits) if limit != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_DATA, (most, limits[1]))
    return n_bytes


def _taken() -> int:
    """Return the bytes that count against the bound before anything is read, 0 where the system does not say."""
    try:
        return int(Path('/proc/self/statm').read_text('ascii').split()[5]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0


def _bound_time() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    most = int(used.ru_utime + used.ru_stime) + READER_S
    resource.setrlimit(resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
