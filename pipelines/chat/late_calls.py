"""Calls without a reply in time, told while it happens: one line on standard error for all that run out of time together."""

import asyncio
from collections.abc import Callable

GATHER_S = 0.5  # calls that went out together run out of time together
PAUSE_S = 5.0  # at least, from one line to the next


class LateCalls:
    """Counts the late calls to one model and tells them soon. Used from one event loop only."""

    def __init__(self, model: str, timeout_s: float, say: Callable[[str], None]):
        self._model = model
        self._timeout_s = timeout_s
        self._say = say
        self._late = self._again = self._at_once = 0
        self._next_s = 0.0  # the loop's clock: no line before
        self._timer: asyncio.TimerHandle | None = None

    def note(self, *, again: bool, at_once: int) -> None:
        """Count a call that is late, and whether it will be made again; `at_once` calls are made from now on."""
        self._late += 1
        self._at_once = at_once
        self._again += again
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time() + GATHER_S, self._next_s), self.tell)

    def tell(self) -> None:
        """Say what has not been told yet, if anything."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        self._next_s = asyncio.get_running_loop().time() + PAUSE_S
        self._say(
            f'model {self._model}: {self._late} call(s) had no reply within {self._timeout_s:g} s, {self._again} of them will be asked again, '
            f'{self._at_once} at once; if this goes on although they are few, raise `timeout_s` of this model in the recipe'
        )
        self._late = self._again = 0
