"""Replies from any OpenAI-compatible server: as many calls at once as it bears, retries, several servers, one failure per bad request."""

import asyncio
import queue
import random
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import httpx2

from pipelines.chat.attempts import Attempts, Then
from pipelines.chat.clients import open_http
from pipelines.chat.endpoints import PATIENCE_S, Endpoints, Stop, Turn
from pipelines.chat.first_look import OPENAI_URL, check_servers
from pipelines.chat.keys import read_key
from pipelines.chat.late_calls import LateCalls
from pipelines.chat.manners import UNSEEN, Manners
from pipelines.chat.protocol import ALL_NEEDS, IMAGES, refuse_missing, unheard
from pipelines.chat.responses import failure
from pipelines.chat.trials import Trial
from schemas.recipe import Model
from schemas.replies import ChatRequest, Outcome

FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 30.0
WAITS = 8  # refusals for want of room that a call outlives for each of its tries, while the server takes others


class OpenAIBackend:
    """A chat backend over HTTP. The key is read from the environment and appears in no message."""

    def __init__(
        self, settings: Model, manners: Manners = UNSEEN, *, patience_s: float = PATIENCE_S, first_backoff_s: float = FIRST_BACKOFF_S
    ):
        self._settings = settings
        self._manners = manners
        self._urls = settings.base_urls or [OPENAI_URL]
        self._key = read_key(settings.api_key_env)
        self._patience_s = patience_s
        self._first_backoff_s = first_backoff_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._endpoints: Endpoints[httpx2.AsyncClient] = Endpoints([])  # these three are filled with the thread
        self._clients: list[httpx2.AsyncClient] = []
        self._attempts: Attempts | None = None
        self._late = LateCalls(settings.model, settings.timeout_s, self._say)
        self.capabilities = ALL_NEEDS if settings.images else ALL_NEEDS - {IMAGES}
        self.window = settings.concurrency

    def check(self, needs: frozenset[str] = frozenset(), trials: Sequence[Trial] = ()) -> Manners:
        """Return how the server answers; raises UserError unless one does, serves this model and does what `needs` names and `trials` ask."""
        refuse_missing(needs, self.capabilities, where=f'model {self._settings.model!r} at {", ".join(self._urls)}')
        return check_servers(self._settings, self._urls, self._key, needs=needs, trials=trials)

    def complete(self, requests: Iterable[ChatRequest], hear: Callable[[Outcome], bool] = unheard) -> Iterator[Outcome]:
        """Yield outcomes as they arrive; as many requests are in flight as the servers bear, `requests` is read as they free up."""
        arrived: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        running = asyncio.run_coroutine_threadsafe(self._drive(iter(requests), hear, arrived.put), self._start())
        running.add_done_callback(lambda _: arrived.put(None))
        try:
            while (outcome := arrived.get()) is not None:
                yield outcome
            running.result()
        finally:
            running.cancel()

    def close(self) -> None:
        """Close connections and the thread."""
        if self._loop is None:
            return
        loop, self._loop = self._loop, None
        asyncio.run_coroutine_threadsafe(self._close_clients(), loop).result()
        loop.call_soon_threadsafe(loop.stop)

    def _start(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            wanted = self._settings
            clients = [open_http(url, self._key, timeout=wanted.timeout_s) for url in self._urls]
            self._endpoints = Endpoints(
                list(zip(self._urls, clients, strict=True)), most=wanted.concurrency, timeout_s=wanted.timeout_s, patience_s=self._patience_s,
            )
            self._clients = clients
            self._attempts = Attempts(wanted, self._key, self._manners, endpoints=self._endpoints, late=self._late, say=self._say)
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=_run_loop, args=(self._loop,), daemon=True, name='openai-backend').start()
        return self._loop

    def _say(self, line: str) -> None:
        print(self._key.hide(line), file=sys.stderr, flush=True)

    async def _close_clients(self) -> None:
        self._late.tell()
        for client in self._clients:
            await client.aclose()

    async def _drive(self, requests: Iterator[ChatRequest], hear: Callable[[Outcome], bool], yield_: Callable[[Outcome], None]) -> None:
        run = _Run(hear, yield_, Stop())
        try:
            async with asyncio.TaskGroup() as group:
                while (turn := await self._endpoints.acquire(run.stop)) or not run.stop.is_set:
                    request = None
                    try:
                        request = None if run.stop.is_set else next(requests, None)
                    finally:
                        if turn and request is None:
                            self._endpoints.give_back(turn)
                    if request is None:
                        break
                    if turn:
                        group.create_task(self._call(run, request, turn))
                    else:
                        run.yield_(failure(request, 'transport', self._endpoints.why_not(), retryable=True))
                    await asyncio.sleep(0)  # a call that has begun gives its turn back, whatever happens
        except ExceptionGroup as e:
            raise e.exceptions[0] from None  # the same fault for every task, such as a folder that cannot be written

    async def _call(self, run: '_Run', request: ChatRequest, turn: Turn[httpx2.AsyncClient] | None) -> None:
        """Try until the request is settled, its retries are used up, or no further try may begin."""
        assert self._attempts is not None
        outcome, retries, waits, most = None, 0, 0, self._settings.max_retries
        while turn is not None:
            tried = await self._attempts.make(turn, request, last=retries == most)
            outcome = tried.outcome or outcome
            if tried.outcome is not None and run.hear(tried.outcome) is False:
                run.stop.set()
                self._endpoints.wake()
            if tried.then is Then.END or tried.then is Then.COUNT and retries == most or waits == WAITS * (most + 1):
                break
            retries += tried.then is Then.COUNT
            waits += tried.then is Then.WAIT and tried.outcome is not None
            turn = await self._another_turn(run, self._backoff(retries) if tried.then is Then.COUNT else 0.0)
        run.yield_(outcome or failure(request, 'transport', self._endpoints.why_not() or 'no further call was allowed', retryable=True))

    async def _another_turn(self, run: '_Run', wait_s: float) -> Turn[httpx2.AsyncClient] | None:
        self._endpoints.held += 1
        try:
            await run.stop.sleep(wait_s)
            return await self._endpoints.acquire(run.stop, again=True)
        finally:
            self._endpoints.held -= 1

    def _backoff(self, retries: int) -> float:
        # full jitter above one half: requests that failed together do not come back together
        return min(self._first_backoff_s * 2 ** (retries - 1), MAX_BACKOFF_S) * (0.5 + random.random() / 2)


@dataclass(frozen=True, slots=True)
class _Run:
    """Where the outcomes of one `complete` go."""

    hear: Callable[[Outcome], bool]
    yield_: Callable[[Outcome], None]
    stop: Stop


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()
