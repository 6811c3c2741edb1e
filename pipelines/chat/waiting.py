"""How a long wait for replies goes, told while it lasts: calls done, how fast, how many are under way, and how long it will take at this rate."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from schemas.replies import ChatRequest
from schemas.telling import tell_news

FIRST_S = 10.0  # to the first line: what is done sooner needs none ...
LATER = 1.5  # ... each further line takes so many times as long ...
MOST_S = 60.0  # ... up to this


class Waiting:
    """The calls of one wait. Counted by the threads that ask, told by another one."""

    def __init__(self, model: str, total: int, *, clock: Callable[[], float] = time.monotonic):
        self._model = model
        self._total = total
        self._clock = clock
        self._told_at = clock()
        self._told = 0  # calls that were answered then
        self._sent = self._done = self._lost = 0

    def counted(self, requests: Iterable[ChatRequest]) -> Iterator[ChatRequest]:
        """Yield `requests`, which are sent then."""
        for request in requests:
            self._sent += 1
            yield request

    def came(self, *, lost: bool) -> None:
        """Count a call that is done, and whether it is `lost`: without a reply after all its tries."""
        self._done += 1
        self._lost += lost

    def line(self) -> str:
        """Return what has come of the calls so far, and how fast since the last line."""
        now, answered = self._clock(), self._done - self._lost
        since_s = max(now - self._told_at, 1e-6)
        rate = (answered - self._told) / since_s
        self._told_at, self._told = now, answered
        speed = f'{rate:.2g}/s' if rate < 10 else f'{rate:.0f}/s'
        left = f'{speed}, about {length_of((self._total - self._done) / rate)} left' if rate else f'none for {length_of(since_s)}'
        lost = f' ({self._lost} without a reply)' if self._lost else ''
        return f'model {self._model}: {answered} of {self._total} calls answered{lost}, {left}, {max(0, self._sent - self._done)} under way'


@contextmanager
def told(waiting: Waiting) -> Iterator[None]:
    """Tell of a wait, less and less often, until the block ends."""
    over = threading.Event()

    def tell() -> None:
        pause_s = FIRST_S
        while not over.wait(pause_s):
            tell_news(waiting.line())
            pause_s = min(LATER * pause_s, MOST_S)

    thread = threading.Thread(target=tell, daemon=True, name='waiting')
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def length_of(seconds: float) -> str:
    """Return a length of time as people say it, in its largest unit, or two."""
    if seconds < 90:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 90 else f'{minutes // 60} h {minutes % 60} min'
