"""How a long wait for replies goes, told while it lasts: calls done, how fast, how many are under way, and how long it will take at this rate."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.engine.going import rate_of
from pipelines.engine.under_way import telling_calls
from schemas.replies import ChatRequest
from schemas.telling import length_of, tell_news

FIRST_S = 10.0  # to the first line: what is done sooner needs none ...
LATER = 1.5  # ... each further line takes so many times as long ...
MOST_S = 60.0  # ... up to this


class Waiting:
    """The calls of one wait. Counted by the threads that ask, told by another one."""

    def __init__(self, model: str, total: int, source: str = '', *, clock: Callable[[], float] = time.monotonic):
        self._model, self._source = model, source
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
        left = f'{rate_of(rate)}, about {length_of((self._total - self._done) / rate)} left' if rate else f'none for {length_of(since_s)}'
        lost = f' ({self._lost} without a reply)' if self._lost else ''
        return f'model {self._model}: {answered} of {self._total} calls answered{lost}, {left}, {max(0, self._sent - self._done)} under way'

    def facts(self) -> dict[str, Any]:
        """Return the same for who looks from outside."""
        counts = {'total': self._total, 'answered': self._done - self._lost, 'lost': self._lost, 'under_way': max(0, self._sent - self._done)}
        return {'model': self._model, 'source': self._source, **counts}


@contextmanager
def told(waiting: Waiting, work: Path | None = None) -> Iterator[None]:
    """Tell of a wait, less and less often, until the block ends; in a working folder also for who looks from outside."""
    over = threading.Event()

    def tell() -> None:
        pause_s = FIRST_S
        while not over.wait(pause_s):
            tell_news(waiting.line(), 'calls', **waiting.facts())
            pause_s = min(LATER * pause_s, MOST_S)

    thread = threading.Thread(target=tell, daemon=True, name='waiting')
    thread.start()
    try:
        with telling_calls(work, waiting.facts):
            yield
    finally:
        over.set()
        thread.join()
