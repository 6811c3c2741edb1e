"""Which of several servers a call goes to, and when: in turns to those that answer and have room, patience while none does."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipelines.chat.allowance import Allowance
from pipelines.chat.pace import Pace

COOL_OFF_S = 1.0  # a server that refuses connections is left alone this long, doubling ...
MAX_COOL_OFF_S = 15.0  # ... up to this, so that a restarted server is back in use soon
MAX_STUMBLES = 8  # faults in a row (5xx, cut connections, no reply in time) after which a server among several is left alone, too
PATIENCE_S = 120.0  # requests wait this long for any server to come back (a restart may take 60) before they are pending
TOLD_PATIENCE = 5  # times as long for one that says itself when it has room again: ten minutes, a limit of an hour or a day is not sat out
POLL_S = 1.0  # at the longest, from one look to the next

ClientT = TypeVar('ClientT')


class Stop:
    """Whether further tries are wanted: once it is set, all that waits for one goes on at once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """End all waiting, for good."""
        self._event.set()

    @property
    def is_set(self) -> bool:
        """Return whether no further try may begin."""
        return self._event.is_set()

    async def sleep(self, seconds: float) -> None:
        """Wait, at most until it is set."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass


@dataclass(slots=True)
class Endpoint(Generic[ClientT]):
    """One server: not used before `ready_at`; `strikes` counts how often in a row it was left out, `stumbles` requests in a row it failed."""

    url: str
    client: ClientT
    pace: Pace
    allowance: Allowance
    in_flight: int = 0
    ready_at: float = 0.0
    strikes: int = 0
    stumbles: int = 0
    streams: bool = True  # until it has shown that it does not
    has_streamed: bool = False
    slowest_s: float | None = None  # of the long replies it gave, forgotten slowly; None before the first


@dataclass(frozen=True, slots=True)
class Turn(Generic[ClientT]):
    """The leave to send one call to one server. It ends by one of the notes that `Endpoints` takes."""

    endpoint: Endpoint[ClientT]
    sent_at: float


class Endpoints(Generic[ClientT]):
    """The servers of one model. Used from one event loop only."""

    def __init__(
        self, servers: Sequence[tuple[str, ClientT]], *, most: int = 32, timeout_s: float = 120.0, patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._clock = clock
        now = clock()
        self._all = [Endpoint(url, client, Pace(most, timeout_s, now), Allowance(now)) for url, client in servers]
        self._most = most
        self._patience_s = patience_s
        self._next = 0
        self._silent_since: float | None = None
        self._back = asyncio.Event()  # something came back: whoever waits looks again
        self.held = 0  # calls that failed and are to be made again: each keeps its place

    def now(self) -> float:
        """Return the moment by the clock that all notes are made with."""
        return self._clock()

    @property
    def at_once(self) -> int:
        """How many calls may be in flight."""
        return min(self._most, sum(endpoint.pace.limit for endpoint in self._all))

    async def acquire(self, stop: Stop, *, again: bool = False) -> Turn[ClientT] | None:
        """Return the leave to send a call, waiting for it if need be; None when it is not to be had: `why_not` says why.

        A call that is made `again` has its place already; for a new one there is none while as many wait for another try as may be in flight.
        """
        while not stop.is_set:
            now, place = self._clock(), again or self._has_place()
            if place:
                if (turn := self._pick(now)) is not None:
                    return turn
                if self.why_not(now):
                    return None
            await self._wait(min(max(0.005, self._next_look(now) - now), POLL_S) if place else POLL_S)
        return None

    def _has_place(self) -> bool:
        in_flight = sum(endpoint.in_flight for endpoint in self._all)
        return in_flight + self.held < min(self._most, 2 * self.at_once)

    def _next_look(self, now: float) -> float:
        """Return when a server with fewer calls than it bears may be sent another one."""
        return min((self._ready_at(e, now) for e in self._all if e.in_flight < e.pace.limit), default=now + POLL_S)

    def _ready_at(self, endpoint: Endpoint[ClientT], now: float) -> float:
        return max(endpoint.ready_at, endpoint.allowance.ready_at(now, endpoint.in_flight))

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._back.wait()
        except TimeoutError:
            pass

    def _pick(self, now: float) -> Turn[ClientT] | None:
        if sum(endpoint.in_flight for endpoint in self._all) >= self._most:
            return None
        for step in range(len(self._all)):
            endpoint = self._all[(self._next + step) % len(self._all)]
            if endpoint.in_flight < endpoint.pace.limit and self._ready_at(endpoint, now) <= now:
                self._next = (self._next + step + 1) % len(self._all)
                endpoint.in_flight += 1
                endpoint.pace.sent(endpoint.in_flight)
                endpoint.allowance.sent(now)
                return Turn(endpoint, now)
        return None

    def why_not(self, now: float | None = None) -> str:
        """Return why no server can be waited for any longer, '' while one can."""
        now = self._clock() if now is None else now
        if self._silent_since is not None and now - self._silent_since > self._patience_s:
            return f'no server answered for {self._patience_s:g} s'
        rests = [endpoint.allowance.rest_s(now) for endpoint in self._all]
        if min(rests) > TOLD_PATIENCE * self._patience_s:
            return f'the server has no room for another {min(rests):.0f} s, as it says itself'
        refused = min(e.allowance.refused_for(now) for e in self._all)
        if refused > self._patience_s * (TOLD_PATIENCE if min(rests) > 0 else 1):
            return f'every call for {refused:.0f} s was one too many for the server'
        return ''

    def give_back(self, turn: Turn[ClientT]) -> None:
        """End a turn that tells nothing of the server."""
        turn.endpoint.in_flight -= 1
        self.wake()

    def answered(self, turn: Turn[ClientT], *, waited_s: float, tokens: int = 0) -> None:
        """Note that a call was answered, after a silence of so many seconds."""
        endpoint, now = turn.endpoint, self._clock()
        endpoint.pace.answered(turn.sent_at, waited_s, now)
        endpoint.allowance.taken(turn.sent_at, now, tokens)
        self._is_alive(endpoint)
        self.give_back(turn)

    def turned_down(self, turn: Turn[ClientT]) -> None:
        """Note that a server would not do what it was asked: it is alive."""
        self._is_alive(turn.endpoint)
        self.give_back(turn)

    def refused_for_want_of_room(self, turn: Turn[ClientT], rest_s: float) -> bool:
        """Note a rate limit (HTTP 429), and for how many seconds the server asks to be left alone; return whether it is worth waiting for room:

        the server says when, or has answered another call not long ago.
        """
        now = self._clock()
        allowance = turn.endpoint.allowance
        if allowance.refused(turn.sent_at, now, rest_s):
            turn.endpoint.pace.throttled(turn.sent_at, now)
        self._is_alive(turn.endpoint)
        self.give_back(turn)
        return allowance.rest_s(now) > 0 or now - allowance.last_taken < self._patience_s

    def closed(self, turn: Turn[ClientT]) -> bool:
        """Note that a server refuses this account or key, whatever it is asked; return whether another one may do its work."""
        others = any(e is not turn.endpoint and e.ready_at <= self._clock() for e in self._all)
        if others:
            self._leave_out(turn.endpoint)
        self._silent_since = None
        self.give_back(turn)
        return others

    def overloaded(self, turn: Turn[ClientT]) -> None:
        """Note that a server took a call and had no time for it."""
        turn.endpoint.pace.overloaded(turn.sent_at, self._clock())
        self.stumbled(turn)

    def stumbled(self, turn: Turn[ClientT]) -> None:
        """Note that a server took a call and failed it: again and again, and the others do its work for a while."""
        self._silent_since = None
        endpoint = turn.endpoint
        endpoint.stumbles += 1
        if endpoint.stumbles >= MAX_STUMBLES and len(self._all) > 1:
            self._leave_out(endpoint)
        self.give_back(turn)

    def refused(self, turn: Turn[ClientT]) -> None:
        """Note that nobody listens: the server is left out for a while."""
        self._leave_out(turn.endpoint)
        if self._silent_since is None and all(e.strikes for e in self._all):
            self._silent_since = self._clock()
        self.give_back(turn)

    def pause(self, endpoint: Endpoint[ClientT], seconds: float) -> None:
        """Send nothing to `endpoint` for `seconds`, as it asked."""
        endpoint.allowance.rest(seconds, self._clock())

    def _is_alive(self, endpoint: Endpoint[ClientT]) -> None:
        endpoint.strikes = endpoint.stumbles = 0
        self._silent_since = None

    def _leave_out(self, endpoint: Endpoint[ClientT]) -> None:
        now = self._clock()
        if endpoint.ready_at <= now:  # else a request sent before the last strike; one strike for one outage
            endpoint.ready_at = now + min(COOL_OFF_S * 2**endpoint.strikes, MAX_COOL_OFF_S)
            endpoint.strikes += 1

    def wake(self) -> None:
        """Let whoever waits for a turn look again."""
        self._back.set()
        self._back.clear()
