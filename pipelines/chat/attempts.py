"""One attempt at one request: what is sent, what its answer amounts to, and what the server shows of itself by it."""

import json
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import anyio
import httpx2

from pipelines.chat.counting import told_usage
from pipelines.chat.endpoints import Endpoint, Endpoints, Turn
from pipelines.chat.finality import final_kind
from pipelines.chat.keys import Key
from pipelines.chat.late_calls import LateCalls
from pipelines.chat.leaks import LEAKED, without_text
from pipelines.chat.manners import Manners
from pipelines.chat.no_completion import told_status
from pipelines.chat.rate_limits import left_of, rest_asked_s
from pipelines.chat.remedies import has_no_credit
from pipelines.chat.requests import wire_body
from pipelines.chat.responses import failure, read_response
from pipelines.chat.server_words import server_words
from pipelines.chat.streaming import Endless
from pipelines.chat.transport import Answer, Late, post
from schemas.recipe import Model
from schemas.replies import ChatRequest, Failure, Outcome

CONNECT_TIMEOUT_S = 10.0  # a host that drops packets is found dead this soon, not after the time a reply may take
RETRIED_STATUS = frozenset({408, 409})  # and every 5xx; 429 is no failure
CLOSED = frozenset({401, 402, 403})  # to this key, whatever is asked: of several servers the others do the work
NO_TIME = frozenset({408, 503, 504, 524, 529})  # too much at once: the server's own words, a gateway's time-out, Cloudflare's 524, Anthropic's 529
STREAM_FROM_TOKENS = 32  # a reply of fewer is there at once or not at all
QUICK = 8  # a server whose longest long reply took less than this part of the time-out is asked for replies in one piece: they cost less here
FORGETTING = 0.98  # of the longest reply, with each further one
UNBOUNDED_TOKENS = 65536  # of a request that names no limit
STREAM_REFUSED = frozenset({400, 403, 404, 405, 406, 415, 422, 500, 501})
# "Unrecognized request argument supplied: stream_options" (Azure OpenAI), "'stream' does not support true with this model" (OpenAI o1),
# "Argument not supported: stream_options" (xAI), "loc": ["body", "stream_options", "include_usage"] (Mistral). Not "upstream", which proxies write.
REFUSES_STREAM = re.compile(r'\bstream(?:_options|ing|ed)?\b|include_usage', re.IGNORECASE)


class Then(Enum):
    """What follows an attempt: nothing; another one, of those that a request has; another one that uses up none."""

    END = 'end'
    COUNT = 'count'
    WAIT = 'wait'


@dataclass(frozen=True, slots=True)
class Tried:
    """What an attempt brought. Without an outcome it was none: nobody took the request."""

    outcome: Outcome | None
    then: Then


class Attempts:
    """Makes attempts at requests to one model. Used from one event loop only."""

    def __init__(
        self, settings: Model, key: Key, manners: Manners, *, endpoints: Endpoints[httpx2.AsyncClient], late: LateCalls, say: Callable[[str], None]
    ):
        self._settings = settings
        self._key = key
        self._manners = manners
        self._endpoints = endpoints
        self._late = late
        self._say = say

    async def make(self, turn: Turn[httpx2.AsyncClient], request: ChatRequest, *, last: bool) -> Tried:
        """Return what one post brought. The turn ends here, whatever happens."""
        wanted, endpoint = self._settings, turn.endpoint
        limits = httpx2.Timeout(wanted.timeout_s, connect=min(CONNECT_TIMEOUT_S, wanted.timeout_s))
        begun = time.monotonic()
        try:
            body = wire_body(request, wanted.model, wanted.image_files)
            tokens = most_tokens(body)
            stream = wanted.stream and endpoint.streams and streamable(body) and not self._is_quick(endpoint)
            url = f'{endpoint.url.rstrip("/")}/chat/completions'
            answer = await post(endpoint.client, url, body, timeout=limits, stream=stream, max_tokens=tokens)
        except Late as e:
            return self._was_late(turn, failure(request, 'transport', str(e), retryable=True), last=last)
        except Endless as e:
            self._endpoints.turned_down(turn)
            return Tried(failure(request, 'malformed', f'a reply without an end: {e}', retryable=True), Then.COUNT)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            self._endpoints.refused(turn)
            return Tried(None, Then.WAIT)
        except (httpx2.RequestError, ssl.SSLError, anyio.EndOfStream) as e:
            self._endpoints.stumbled(turn)
            return Tried(failure(request, 'transport', self._key.hide(f'{type(e).__name__}: {e}'), retryable=True), Then.COUNT)
        except BaseException:
            self._endpoints.give_back(turn)
            raise
        if stream and self._refuses_stream(endpoint, answer):
            self._endpoints.turned_down(turn)
            return Tried(None, Then.WAIT)
        if streamable(body):
            endpoint.slowest_s = max(time.monotonic() - begun, FORGETTING * (endpoint.slowest_s or 0.0))
        return self._heard(turn, request, answer, stream=stream, last=last)

    def _is_quick(self, endpoint: Endpoint[httpx2.AsyncClient]) -> bool:
        return endpoint.slowest_s is not None and endpoint.slowest_s * QUICK < self._settings.timeout_s

    def _was_late(self, turn: Turn[httpx2.AsyncClient], failed: Failure, *, last: bool) -> Tried:
        turn.endpoint.slowest_s = self._settings.timeout_s
        self._endpoints.overloaded(turn)
        self._late.note(again=not last, at_once=self._endpoints.at_once)
        return Tried(failed, Then.COUNT)

    def _refuses_stream(self, endpoint: Endpoint[httpx2.AsyncClient], answer: Answer) -> bool:
        """Return whether the answer is about how it was asked, not about the request; from then on this server is asked for whole replies."""
        if answer.status not in STREAM_REFUSED or endpoint.has_streamed or not REFUSES_STREAM.search(as_text(answer.payload)):
            return False
        self._go_plain(endpoint, server_words(as_text(answer.payload)))
        return True

    def _go_plain(self, endpoint: Endpoint[httpx2.AsyncClient], found: str) -> None:
        if endpoint.streams:
            endpoint.streams = False
            self._say(
                f'model {self._settings.model} at {endpoint.url}: expected a reply piece by piece, found {self._key.hide(found)}; it is asked for '
                f'whole replies, each of which must come within `timeout_s` ({self._settings.timeout_s:g} s)'
            )

    def _heard(self, turn: Turn[httpx2.AsyncClient], request: ChatRequest, answer: Answer, *, stream: bool, last: bool) -> Tried:
        """Return what an answer amounts to; `stream` says whether it was asked for piece by piece."""
        endpoint, payload = turn.endpoint, answer.payload
        endpoint.allowance.left(left_of(answer.headers, now=time.time()), self._endpoints.now())
        if not 200 <= answer.status < 300:
            return self._turned_away(turn, request, answer.status, answer, last=last)
        if isinstance(payload, dict) and payload.get('error') and (answer.streamed or not payload.get('choices')):
            return self._turned_away(turn, request, told_status(payload['error']) or answer.status, answer, last=last)
        if self._key.leaked_by(payload):
            self._endpoints.turned_down(turn)
            return Tried(without_text(with_usage(failure(request, LEAKED, '', retryable=False), answer)), Then.END)
        if answer.cut:
            return self._was_cut(turn, request, answer, last=last)
        outcome = read_response(request, payload, manners=self._manners)
        if isinstance(outcome, Failure) and (outcome.retryable or outcome.kind == 'malformed'):
            self._endpoints.turned_down(turn)
            if stream and answer.streamed and not endpoint.has_streamed and outcome.kind == 'malformed':
                self._go_plain(endpoint, outcome.detail[:200])
                return Tried(outcome, Then.WAIT)
            return Tried(outcome, Then.COUNT)
        if stream and not answer.streamed:
            self._go_plain(endpoint, 'one in one piece')
        endpoint.has_streamed = endpoint.has_streamed or answer.streamed
        self._endpoints.answered(turn, waited_s=answer.waited_s, tokens=outcome.prompt_tokens + outcome.completion_tokens)
        return Tried(outcome, Then.END)

    def _was_cut(self, turn: Turn[httpx2.AsyncClient], request: ChatRequest, answer: Answer, *, last: bool) -> Tried:
        """Return the failure of a reply that broke off: what came of it is kept with it, since it may have been paid for."""
        so_far = so_far_of(answer.payload)
        failed = failure(request, 'transport', self._key.hide(f'the reply broke off after {len(so_far)} characters: {answer.cut}'), retryable=True)
        failed = replace(with_usage(failed, answer), text=so_far)
        if answer.late:
            return self._was_late(turn, failed, last=last)
        self._endpoints.stumbled(turn)
        return Tried(failed, Then.COUNT)

    def _turned_away(self, turn: Turn[httpx2.AsyncClient], request: ChatRequest, status: int, answer: Answer, *, last: bool) -> Tried:
        """Return the failure that an error of the server amounts to; `status` is that of HTTP, or the one its body tells."""
        text = as_text(answer.payload)
        kind = final_kind(status if status >= 400 else 400, text)
        words = self._key.hide(f'HTTP {status}: {text}')
        failed = with_usage(failure(request, kind or 'transport', words, retryable=not kind), answer)
        failed = replace(failed, status=status)
        rest_s = rest_asked_s(answer.headers, text, now=time.time())
        if kind:
            self._endpoints.turned_down(turn)
            return Tried(failed, Then.END)
        spent = has_no_credit(text)
        if status == 429 and not spent:
            return Tried(failed, Then.WAIT if self._endpoints.refused_for_want_of_room(turn, rest_s) else Then.COUNT)
        if spent or status in CLOSED:
            return Tried(failed, Then.WAIT if self._endpoints.closed(turn) else Then.END)
        if rest_s and status >= 500:
            self._endpoints.pause(turn.endpoint, rest_s)
        if status in NO_TIME:
            self._endpoints.overloaded(turn)
        elif status >= 500:
            self._endpoints.stumbled(turn)
        else:
            self._endpoints.turned_down(turn)
        again = status in RETRIED_STATUS or status >= 500 or 200 <= status < 300
        return Tried(failed, Then.COUNT if again else Then.END)


def most_tokens(body: dict[str, Any]) -> int:
    """Return how many tokens a reply to `body` may have."""
    return int(body.get('max_completion_tokens') or body.get('max_tokens') or UNBOUNDED_TOKENS)


def streamable(body: dict[str, Any]) -> bool:
    """Return whether the reply to `body` may come piece by piece and is long enough for it. vLLM streams no log-probabilities of a prompt."""
    return 'prompt_logprobs' not in body and most_tokens(body) >= STREAM_FROM_TOKENS


def as_text(payload: Any) -> str:
    """Return a decoded body as one text."""
    try:
        return payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    except RecursionError:
        return ''


def so_far_of(payload: Any) -> str:
    """Return the text of a reply that broke off, thoughts included."""
    choices = payload.get('choices') if isinstance(payload, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get('message') if isinstance(choice, dict) else None
    message = message if isinstance(message, dict) else {}
    return ''.join(v for name in ('reasoning', 'reasoning_content', 'content') if isinstance(v := message.get(name), str))


def with_usage(failed: Failure, answer: Answer) -> Failure:
    """Return a failure with the tokens that its body tells of, if any: they may have been paid for."""
    prompt, completion = told_usage(answer.payload)
    return replace(failed, prompt_tokens=prompt, completion_tokens=completion, status=answer.status)
