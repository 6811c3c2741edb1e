"""A worker process of the pool: `python -m pipelines.engine.worker SOCKET NOTES` makes one shard after the other as it is told over a socket.

It lives as long as the build and keeps a step open from its first shard to the order to release it. It is told to end by SIGTERM, or by the
end of the socket, which is there when the build's process is gone, however it ended: what a step does when it is interrupted (storing the
replies that came back) is done, then it ends. SIGINT, which a terminal sends to all, is left to the build's process.
"""

import contextlib
import faulthandler
import logging
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any

import pyarrow as pa

from pipelines.engine.notes import keep_notes
from pipelines.engine.shards import make_shard
from pipelines.engine.step import Step, release
from schemas.endings import log_errors_only
from schemas.garbage import collect_rarely
from schemas.telling import tell_through

ENDS_S = 4.0  # from an order to stop to the end, whatever the step does: storing what came back takes a moment
BOUNDED = 'PHANTOM_BOUNDED'  # in the environment: names of those variables that are for this process alone, not for what a step starts
READY, BEGUN, NEWS, DONE, FAILED = 'ready', 'begun', 'news', 'done', 'failed'  # what a worker says: to each order BEGUN, then DONE or FAILED


class Worker:
    """The step that is open here, and the way to the build's process."""

    def __init__(self, parent: Connection):
        self._parent = parent
        self._sending = threading.Lock()  # threads of a step tell news
        self._step: Step | None = None
        self._folder = Path()

    def say(self, what: str, about: object = None) -> None:
        """Send one message."""
        with self._sending:
            self._parent.send((what, about))

    def obey(self, order: tuple[Any, ...] | None) -> None:
        """Make a shard, (step and folder pickled or None for the ones before, index, shard); None: release what is open."""
        if order is None or order[0] is not None:
            self.release()
        if order is None:
            return
        step, index, shard = order
        if step is not None:
            self._step, self._folder = pickle.loads(step)
        assert self._step is not None
        make_shard(self._step, self._folder, index, shard)

    def release(self) -> None:
        """Close what the step has opened."""
        step, self._step = self._step, None
        if step is not None:
            release(step)


def main(descriptor: int, notes: int) -> None:
    """Serve until the build's process has no more to do or is gone. Never returns."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    collect_rarely()
    for shared in (descriptor, notes):
        os.set_inheritable(shared, False)
    bound_threads()
    parent = Connection(descriptor)
    keep_notes(notes)
    faulthandler.enable()  # where it was when a signal ended it, in the workers' log
    logging.basicConfig()
    log_errors_only()
    worker, orders = Worker(parent), SimpleQueue[bytes]()
    tell_through(news_of(worker))
    try:
        signal.signal(signal.SIGTERM, _stop)
        threading.Thread(target=_listen, args=(parent, orders), daemon=True, name='orders').start()
        worker.say(READY)
        while True:
            order = orders.get()
            worker.say(BEGUN)
            worker.say(*_answer(worker, order))
    except (KeyboardInterrupt, OSError):  # told to end; or nobody listens any more
        _end_soon()
        with contextlib.suppress(BaseException):
            worker.release()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)  # as it was told, whoever did; threads of an interrupted step are not waited for
    time.sleep(ENDS_S)


def bound_threads() -> None:
    """Let Arrow start as many threads as the environment says for this process alone, and say no more of it.

    NumPy's have read it when they were imported. A server that a step starts may use all cores.
    """
    for name in os.environ.pop(BOUNDED, '').split():
        n = int(os.environ.pop(name))
        if name == 'OMP_NUM_THREADS':
            pa.set_cpu_count(n)


def news_of(worker: Worker) -> Callable[[str], None]:
    """Return the function that hands a line on to people through the build's process."""

    def tell(text: str) -> None:
        with contextlib.suppress(OSError):
            worker.say(NEWS, text)

    return tell


def _answer(worker: Worker, order: bytes) -> tuple[str, object]:
    began = time.process_time()
    try:
        worker.obey(pickle.loads(order))
    except Exception as e:  # for the build's process to raise
        return FAILED, portable(e)
    return DONE, time.process_time() - began


def portable(error: Exception) -> Exception:
    """Return an exception that can be sent, with the traceback of a bug as a note; one that cannot, as text."""
    error.add_note('on a worker process:\n' + ''.join(traceback.format_exception(error)).rstrip())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError('\n'.join((f'{type(error).__name__}: {error}', *error.__notes__)))
    return error


def _listen(parent: Connection, orders: 'SimpleQueue[bytes]') -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            orders.put(parent.recv_bytes())
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    signal.pthread_kill(main_thread, signal.SIGTERM)  # to that thread: whatever it waits for is interrupted
    _end_soon()


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: what is done on the way out is not interrupted
    _end_soon()
    raise KeyboardInterrupt


def _end_soon() -> None:
    """End within ENDS_S, whatever the step does: it may catch the interrupt, or wait for something that does not come."""

    def leave() -> None:
        time.sleep(ENDS_S)
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()


if __name__ == '__main__':
    main(*map(int, sys.argv[1:3]))
