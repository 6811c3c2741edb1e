"""An event loop whose clock jumps to the next timer, and servers played on it: hours of calls in a second, the same each time."""

import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipelines.chat.attempts import Then, Tried
from pipelines.chat.endpoints import Endpoints, Turn
from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.chat.responses import failure
from schemas.recipe import Model
from schemas.replies import ChatRequest, Outcome, Reply


class _Jump(selectors.SelectSelector):
    """Selects nothing: in place of waiting the clock is moved."""

    jumped_s = 0.0

    def select(self, timeout: float | None = None) -> list:
        """Let `timeout` seconds pass at once."""
        assert timeout is not None, 'nobody will ever wake this loop'
        self.jumped_s += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop for coroutines that wait for each other and for timers only."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Return the seconds that have passed."""
        return self._jump.jumped_s


class Server(Protocol):
    """A played server: sleeps as long as a call takes and returns its status and the seconds it asks to be left alone."""

    async def serve(self, request: ChatRequest) -> tuple[int, float]: ...


@dataclass
class Slots:
    """Takes every call and works on so many at a time; the others queue."""

    count: int
    seconds: Callable[[int], float]  # for a call, by how many are in work
    waiting: int = 0
    most: int = 0
    posts: int = 0

    def __post_init__(self) -> None:
        self._free = asyncio.Semaphore(self.count)
        self._working = 0

    async def serve(self, request: ChatRequest) -> tuple[int, float]:
        self.posts += 1
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        async with self._free:
            self._working += 1
            await asyncio.sleep(self.seconds(self._working))
            self._working -= 1
        self.waiting -= 1
        return 200, 0.0


@dataclass
class Limited:
    """Takes `calls` in any `window_s`, refuses more at once, and may say when to come back."""

    calls: int
    window_s: float
    seconds: float
    tells: bool = False
    fixed: bool = False  # windows that follow each other, in place of one that slides
    posts: int = 0
    refused: int = 0
    taken: deque[float] = field(default_factory=deque)

    async def serve(self, request: ChatRequest) -> tuple[int, float]:
        now = asyncio.get_running_loop().time()
        self.posts += 1
        start = now // self.window_s * self.window_s if self.fixed else now - self.window_s
        while self.taken and self.taken[0] <= start:
            self.taken.popleft()
        if len(self.taken) >= self.calls:
            self.refused += 1
            free = start + self.window_s if self.fixed else self.taken[0] + self.window_s
            return 429, float(int(free - now) + 1) if self.tells else 0.0
        self.taken.append(now)
        await asyncio.sleep(self.seconds)
        return 200, 0.0


@dataclass
class Played:
    """What a run came to."""

    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0
    late: int = 0
    at_once: list[int] = field(default_factory=list)  # the limit at each reply

    @property
    def rate(self) -> float:
        """Return replies a second."""
        return len(self.outcomes) / self.seconds


class _Attempts:
    """Stands in for real attempts: the same notes to the endpoints, no HTTP."""

    def __init__(self, played: Played, endpoints: Endpoints[Any], timeout_s: float):
        self._played, self._endpoints, self._timeout_s = played, endpoints, timeout_s

    async def make(self, turn: Turn[Any], request: ChatRequest, *, last: bool) -> Tried:
        try:
            async with asyncio.timeout(self._timeout_s):
                status, rest_s = await turn.endpoint.client.serve(request)
        except TimeoutError:
            self._played.late += 1
            self._endpoints.overloaded(turn)
            return Tried(failure(request, 'transport', 'late', retryable=True), Then.COUNT)
        if status == 429:
            worth = self._endpoints.refused_for_want_of_room(turn, rest_s)
            return Tried(failure(request, 'transport', 'refused', retryable=True), Then.WAIT if worth else Then.COUNT)
        self._endpoints.answered(turn, waited_s=self._endpoints.now() - turn.sent_at)
        self._played.at_once.append(self._endpoints.at_once)
        return Tried(Reply(request.key, 'm', 'r', 'text', 'stop', 1, 1), Then.END)


def play(servers: Callable[[], list[Server]], requests: Iterator[ChatRequest], hear: Callable[[Outcome], bool], **settings: Any) -> Played:
    """Return what came of asking `servers` by a model's defaults, but for `settings`."""
    loop = VirtualLoop()
    played = Played()

    async def run() -> None:
        backend = OpenAIBackend(Model(model='m', revision='r', base_urls=['http://127.0.0.1:9/v1'], **settings))
        wanted = backend._settings
        named = [(f'server {n}', server) for n, server in enumerate(servers())]
        backend._endpoints = Endpoints(named, most=wanted.concurrency, timeout_s=wanted.timeout_s, clock=loop.time)
        backend._attempts = _Attempts(played, backend._endpoints, wanted.timeout_s)
        await backend._drive(requests, hear, played.outcomes.append)
        played.seconds = loop.time()

    try:
        loop.run_until_complete(run())
    finally:
        loop.close()
    return played


def once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return what `coroutine` returns, in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()
