"""Replies from any OpenAI-compatible server: bounded concurrency, retries, several servers, one failure per bad request."""

import asyncio
import email.utils
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import openai

from pipelines.chat.clients import open_client
from pipelines.chat.endpoints import PATIENCE_S, Endpoint, Endpoints
from pipelines.chat.finality import final_kind
from pipelines.chat.first_look import OPENAI_URL, check_servers
from pipelines.chat.keys import read_key
from pipelines.chat.late_calls import LateCalls
from pipelines.chat.leaks import without_text
from pipelines.chat.manners import Manners
from pipelines.chat.protocol import ALL_NEEDS, IMAGES, refuse_missing, unheard
from pipelines.chat.remedies import has_no_credit
from pipelines.chat.requests import wire_body
from pipelines.chat.responses import decode_body, failure, read_response
from pipelines.chat.trials import Trial
from schemas.recipe import Model
from schemas.replies import ChatRequest, Failure, Outcome

RETRIED_STATUS = frozenset({408, 409, 429})  # and every 5xx
FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 30.0
MAX_RETRY_AFTER_S = 120.0
NOBODY = -1.0  # in place of seconds to wait: no server took the request, so this was no attempt at it
CONNECT_TIMEOUT_S = 10.0  # a host that drops packets is found dead this soon, not after the time a reply may take


class OpenAIBackend:
    """A chat backend over HTTP. The key is read from the environment and appears in no message."""

    def __init__(
        self, settings: Model, *, manners: Manners = Manners(), patience_s: float = PATIENCE_S, first_backoff_s: float = FIRST_BACKOFF_S  # noqa: B008
    ):
        self._settings = settings
        self._manners = manners
        self._urls = settings.base_urls or [OPENAI_URL]
        self._key = read_key(settings.api_key_env)
        self._patience_s = patience_s
        self._first_backoff_s = first_backoff_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._endpoints: Endpoints[openai.AsyncOpenAI] = Endpoints([])  # filled with the thread
        self._clients: list[openai.AsyncOpenAI] = []
        self._late = LateCalls(settings.model, settings.timeout_s, self._say)
        self.capabilities = ALL_NEEDS if settings.images else ALL_NEEDS - {IMAGES}
        self.window = settings.concurrency

    def check(self, needs: frozenset[str] = frozenset(), trials: Sequence[Trial] = ()) -> Manners:
        """Return how the server answers; raises UserError unless one does, serves this model and does what `needs` names and `trials` ask."""
        refuse_missing(needs, self.capabilities, where=f'model {self._settings.model!r} at {", ".join(self._urls)}')
        return check_servers(self._settings, self._urls, self._key, needs=needs, trials=trials)

    def complete(self, requests: Iterable[ChatRequest], hear: Callable[[Outcome], bool] = unheard) -> Iterator[Outcome]:
        """Yield outcomes as they arrive; at most `concurrency` requests are in flight, `requests` is read as they free up."""
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
            self._loop = asyncio.new_event_loop()
            self._clients = [self._client(url) for url in self._urls]
            pairs = zip(self._urls, self._clients, strict=True)
            self._endpoints = Endpoints([Endpoint(*pair) for pair in pairs], patience_s=self._patience_s)
            threading.Thread(target=_run_loop, args=(self._loop,), daemon=True, name='openai-backend').start()
        return self._loop

    def _client(self, url: str) -> openai.AsyncOpenAI:
        limits = openai.Timeout(self._settings.timeout_s, connect=min(CONNECT_TIMEOUT_S, self._settings.timeout_s))
        return open_client(url, self._key, timeout=limits)

    def _say(self, line: str) -> None:
        print(self._key.hide(line), file=sys.stderr, flush=True)

    async def _close_clients(self) -> None:
        self._late.tell()
        for client in self._clients:
            await client.close()

    async def _drive(self, requests: Iterator[ChatRequest], hear: Callable[[Outcome], bool], hand_over: Callable[[Outcome], None]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._settings.concurrency):
                    group.create_task(self._work(requests, hear, hand_over))
        except ExceptionGroup as e:
            raise e.exceptions[0] from None  # the same fault for every task, such as a folder that cannot be written

    async def _work(self, requests: Iterator[ChatRequest], hear: Callable[[Outcome], bool], hand_over: Callable[[Outcome], None]) -> None:
        for request in requests:
            hand_over(await self._ask(request, hear))

    async def _ask(self, request: ChatRequest, hear: Callable[[Outcome], bool]) -> Outcome:
        retries = 0
        while True:
            endpoint = await self._endpoints.acquire()
            if endpoint is None:
                gone = failure(request, 'transport', f'no server answered for {self._patience_s:g} s', retryable=True)
                hear(gone)
                return gone
            outcome, wait_s = await self._try(endpoint, request, last=retries == self._settings.max_retries)
            if wait_s == NOBODY:
                continue  # `acquire` waits
            # heard here and not where it is taken from the queue: by then other requests would be on their way
            if not hear(outcome) or wait_s is None:
                return outcome
            if retries == self._settings.max_retries:
                return outcome
            retries += 1
            await asyncio.sleep(wait_s + self._backoff(retries))

    def _backoff(self, retries: int) -> float:
        # full jitter above one half: requests that failed together do not come back together
        return min(self._first_backoff_s * 2 ** (retries - 1), MAX_BACKOFF_S) * (0.5 + random.random() / 2)

    async def _try(self, endpoint: Endpoint, request: ChatRequest, *, last: bool) -> tuple[Outcome, float | None]:
        """Return (outcome, None) when it is settled, (failure, NOBODY), or (failure, seconds the server asks for) to try again."""
        body = wire_body(request, self._settings.model, self._settings.image_files)
        try:
            async with asyncio.timeout(self._settings.timeout_s):  # the whole request: the client's own bounds start anew with every byte
                answer = await endpoint.client.chat.completions.with_raw_response.create(
                    model=body.pop('model'), messages=body.pop('messages'), extra_body=body
                )
        except (openai.APITimeoutError, TimeoutError) as e:
            if type(e.__cause__).__name__ == 'ConnectTimeout':
                return self._disconnected(endpoint, request, e)
            self._endpoints.stumbled(endpoint)
            self._late.note(again=not last)
            return failure(request, 'transport', f'no reply within {self._settings.timeout_s:g} s', retryable=True), 0.0
        except openai.APIConnectionError as e:
            return self._disconnected(endpoint, request, e)
        except openai.APIStatusError as e:
            return self._status(endpoint, request, e)
        self._endpoints.answered(endpoint)
        return self._read(request, answer.content)

    def _disconnected(self, endpoint: Endpoint, request: ChatRequest, error: Exception) -> tuple[Failure, float]:
        cause = error.__cause__ or error
        fault = failure(request, 'transport', self._key.hide(f'{type(cause).__name__}: {cause}'), retryable=True)
        if type(cause).__name__ in ('ConnectError', 'ConnectTimeout'):
            self._endpoints.refused(endpoint)
            return fault, NOBODY
        self._endpoints.stumbled(endpoint)
        return fault, 0.0

    def _status(self, endpoint: Endpoint, request: ChatRequest, error: openai.APIStatusError) -> tuple[Failure, float | None]:
        detail = self._key.hide(f'HTTP {error.status_code}: {error.response.text.strip() or error.message}')
        (self._endpoints.stumbled if error.status_code >= 500 else self._endpoints.answered)(endpoint)
        if (error.status_code in RETRIED_STATUS or error.status_code >= 500) and not has_no_credit(detail):
            asked_s = retry_after_s(error.response.headers.get('retry-after', ''), now=time.time())
            if asked_s:
                self._endpoints.pause(endpoint, asked_s)
            return failure(request, 'transport', detail, retryable=True, status=error.status_code), asked_s
        kind = final_kind(error.status_code, detail)
        return failure(request, kind or 'transport', detail, retryable=not kind, status=error.status_code), None

    def _read(self, request: ChatRequest, content: bytes) -> tuple[Outcome, float | None]:
        outcome = read_response(request, decode_body(content))
        if self._key.leaked_in(content.decode(errors='replace')):
            outcome = without_text(outcome)
        malformed = isinstance(outcome, Failure) and outcome.kind == 'malformed'
        return outcome, 0.0 if malformed else None


def retry_after_s(header: str, *, now: float) -> float:
    """Return the seconds a Retry-After header asks for (a number or an HTTP date), bounded; 0 when it asks for nothing."""
    try:
        seconds = float(header)
    except ValueError:
        parsed = email.utils.parsedate_tz(header)
        seconds = email.utils.mktime_tz(parsed) - now if parsed else 0.0
    return min(max(0.0, seconds), MAX_RETRY_AFTER_S)  # in this order a NaN is 0


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()
