"""Which of several servers a request goes to: round robin over those that answer, patience while none does."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

COOL_OFF_S = 1.0  # a server that refuses connections is left alone this long, doubling ...
MAX_COOL_OFF_S = 15.0  # ... up to this, so that a restarted server is back in use soon
MAX_STUMBLES = 8  # faults in a row (5xx, cut connections, no reply in time) after which a server among several is left alone, too
PATIENCE_S = 120.0  # requests wait this long for any server to come back (a restart may take 60) before they are pending

ClientT = TypeVar('ClientT')


@dataclass(slots=True)
class Endpoint(Generic[ClientT]):
    """One server: not used before `ready_at`; `strikes` counts how often in a row it was left out, `stumbles` requests in a row it failed."""

    url: str
    client: ClientT
    ready_at: float = 0.0
    strikes: int = 0
    stumbles: int = 0


class Endpoints(Generic[ClientT]):
    """The servers of one model. Used from one event loop only."""

    def __init__(
        self, endpoints: Sequence[Endpoint[ClientT]], *, patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._all = list(endpoints)
        self._next = 0
        self._clock = clock
        self._patience_s = patience_s
        self._silent_since: float | None = None

    async def acquire(self) -> Endpoint[ClientT] | None:
        """Return a server to try now, waiting for one if need be; None when none has answered for too long."""
        while True:
            now = self._clock()
            ready = self._pick(now)
            if ready is not None:
                return ready
            if self._silent_since is not None and now - self._silent_since > self._patience_s:
                return None
            await asyncio.sleep(min(max(0.01, min(e.ready_at for e in self._all) - now), 1.0))

    def _pick(self, now: float) -> Endpoint[ClientT] | None:
        for step in range(len(self._all)):
            endpoint = self._all[(self._next + step) % len(self._all)]
            if endpoint.ready_at <= now:
                self._next = (self._next + step + 1) % len(self._all)
                return endpoint
        return None

    def answered(self, endpoint: Endpoint[ClientT]) -> None:
        """Note that `endpoint` is alive."""
        endpoint.strikes = endpoint.stumbles = 0
        self._silent_since = None

    def refused(self, endpoint: Endpoint[ClientT]) -> None:
        """Note that nobody listens at `endpoint`: it is left out for a while."""
        self._leave_out(endpoint)
        if self._silent_since is None and all(e.strikes for e in self._all):
            self._silent_since = self._clock()

    def stumbled(self, endpoint: Endpoint[ClientT]) -> None:
        """Note that `endpoint` took a request and failed it: again and again, and the others do its work for a while."""
        self._silent_since = None
        endpoint.stumbles += 1
        if endpoint.stumbles >= MAX_STUMBLES and len(self._all) > 1:
            self._leave_out(endpoint)

    def _leave_out(self, endpoint: Endpoint[ClientT]) -> None:
        now = self._clock()
        if endpoint.ready_at <= now:  # else a request sent before the last strike; one strike for one outage
            endpoint.ready_at = now + min(COOL_OFF_S * 2**endpoint.strikes, MAX_COOL_OFF_S)
            endpoint.strikes += 1

    def pause(self, endpoint: Endpoint[ClientT], seconds: float) -> None:
        """Send nothing to `endpoint` for `seconds`, as it asked."""
        endpoint.ready_at = max(endpoint.ready_at, self._clock() + seconds)
