"""Work that damaged bytes may end at once (a check in Arrow, a decoder written in C), done in a process of its own: it ends nothing else."""

import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

T = TypeVar('T')
_FORK = get_context('fork')  # what was imported stays imported: 10 ms, not a second


class DiedApart(Exception):
    """The process that did the work is gone; the message says by what."""


def apart(work: Callable[..., Iterator[T]], *args: object) -> Iterator[T]:
    """Yield what `work(*args)` yields in another process; raises what it raises, and DiedApart where the process dies of it."""
    ours, theirs = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_work, args=(theirs, work, args), daemon=True)
    process.start()
    theirs.close()
    try:
        while True:
            try:
                done, value = ours.recv()
            except EOFError:
                process.join()
                raise DiedApart(_how(process.exitcode)) from None
            if isinstance(value, BaseException):
                raise value
            if done:
                return
            yield value
    finally:
        ours.close()
        process.kill()
        process.join()


def _work(pipe: Connection, work: Callable[..., Iterator[Any]], args: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what a library says on its way down is told in one line by the parent
    try:
        for value in work(*args):
            pipe.send((False, value))
        pipe.send((True, None))
    except Exception as e:
        pipe.send((True, e))


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f'exit code {code}'
    name = signal.Signals(-code).name
    return f'{name}, perhaps for lack of memory' if -code == signal.SIGKILL else name
