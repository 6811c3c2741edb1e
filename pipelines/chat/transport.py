"""One call over HTTP: the body goes out, what comes back is read as it comes. A reply that still grows is never given up for want of time."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from pipelines.chat.streaming import STREAMED, Endless, Pieces

# Time-outs that a server may fill with comments and blanks before it says something: OpenRouter sends comments, DeepSeek comments or blank lines,
# for ten minutes at most.
SIGNS_OF_LIFE = 5
DRAIN_S = 0.25  # after the last piece, for the end of the response: then its connection can be used again


class Late(Exception):
    """Nothing of a reply came for too long."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server sent back to one call."""

    status: int
    headers: Mapping[str, str]
    payload: Any  # the decoded body of a plain call; of a stream what would have been one
    streamed: bool
    waited_s: float  # until the first piece of the reply, or until all of a body in one piece
    cut: str = ''  # how a reply broke off in the middle; '' for a whole one
    late: bool = False  # it broke off because nothing came any more


async def post(client: httpx2.AsyncClient, url: str, body: dict[str, Any], *, timeout: httpx2.Timeout, stream: bool, max_tokens: int) -> Answer:
    """Return what the server at `url` answers to `body`, asked for piece by piece if `stream`.

    Raises Late, Endless, or the client's own errors (httpx2.RequestError).
    """
    begun = asyncio.get_running_loop().time()
    content = json.dumps({**body, **STREAMED} if stream else body, separators=(',', ':')).encode()
    request = client.build_request('POST', url, content=content, headers={'Content-Type': 'application/json'}, timeout=timeout)
    try:
        async with asyncio.timeout(SIGNS_OF_LIFE * (timeout.read or 0.0)):  # for headers that trickle
            response = await client.send(request, stream=True)
    except httpx2.ConnectTimeout:
        raise
    except (httpx2.TimeoutException, TimeoutError) as e:
        raise Late(f'no reply within {timeout.read:g} s') from e
    try:
        return await _Reading(response, Pieces(max_tokens), timeout.read or 0.0, begun).answer()
    finally:
        await response.aclose()


class _Reading:
    """The reading of one response."""

    def __init__(self, response: httpx2.Response, pieces: Pieces, timeout_s: float, begun: float):
        self._response = response
        self._pieces = pieces
        self._timeout_s = timeout_s
        self._begun = self._grown = begun  # when the reply last grew
        self._first: float | None = None
        self._now = asyncio.get_running_loop().time

    async def answer(self) -> Answer:
        """Return the response once it has ended, broken off, or grown too long."""
        pieces = self._pieces
        try:
            await self._read()
            pieces.end()
        except Endless:
            return self._as_answer(self._ended_by_us())
        except (Late, httpx2.TimeoutException) as e:
            why = str(e) if isinstance(e, Late) else f'no reply within {self._timeout_s:g} s'
            if not pieces.streamed:
                raise Late(why) from e
            return self._as_answer(pieces.payload(), why, late=True)
        except httpx2.RequestError as e:
            if not pieces.streamed:
                raise
            return self._as_answer(pieces.payload(), f'{type(e).__name__}: {e}')
        return self._as_answer(pieces.payload(), 'it ended in the middle')

    async def _read(self) -> None:
        incoming = self._response.aiter_bytes()
        async for data in incoming:
            before = self._pieces.produced
            self._pieces.feed(data)
            now = self._now()
            if self._pieces.produced > before:
                self._grown = now
                self._first = self._first or now
            elif now - self._grown > SIGNS_OF_LIFE * self._timeout_s:
                raise Late(f'nothing but signs of life within {SIGNS_OF_LIFE * self._timeout_s:g} s')
            if self._pieces.done:
                await self._drain(incoming)
                return

    async def _drain(self, incoming: AsyncIterator[bytes]) -> None:
        try:
            async with asyncio.timeout(DRAIN_S):
                async for _ in incoming:
                    pass
        except (TimeoutError, httpx2.RequestError):
            pass  # the connection is closed then

    def _ended_by_us(self) -> Any:
        """Return the body of a reply that is longer than it may be: cut, as by the server itself; raises Endless for one without a text."""
        payload = self._pieces.payload()
        if not self._pieces.streamed or not payload.get('choices'):
            raise Endless
        for choice in payload['choices']:
            choice['finish_reason'] = 'length'
        return payload

    def _as_answer(self, payload: Any, cut: str = '', *, late: bool = False) -> Answer:
        pieces = self._pieces
        whole = not pieces.streamed or pieces.finished or pieces.failed or not cut
        if not whole and pieces.broken:
            cut = f'a piece of it is no JSON: {pieces.broken[:200]}'
        waited_s = (self._first or self._now()) - self._begun
        response, streamed = self._response, bool(pieces.streamed)
        return Answer(response.status_code, response.headers, payload, streamed, waited_s, '' if whole else cut, late and not whole)
