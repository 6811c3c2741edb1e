"""A server's response body read into a Reply or a Failure; one reader for every backend."""

import json
import math
import re
from typing import Any

from pipelines.chat.manners import Manners
from schemas.replies import ChatRequest, Failure, Outcome, Reply, TokenLogprob, canonical_json

UNSEEN = Manners()  # of a server that nobody looked at
BULKY = ('prompt_logprobs', 'prompt_token_ids', 'logprobs', 'token_ids')
SPARE_PROMPT_TOKENS = 16  # kept in front of the answer, to see where it begins
DETAIL_CHARS = 500
HALF_PAIR = re.compile(rb'\\u[dD][89a-fA-F]')  # as JSON escapes it; whole pairs are left as they are


def decode_body(content: bytes) -> Any:
    """Return the JSON value of a response, or its text where it is none. Half a surrogate pair, which no file takes, becomes '?'."""
    try:
        payload = json.loads(content)
        return _storable(payload) if HALF_PAIR.search(content) else payload
    except (ValueError, RecursionError):  # nested a thousand deep is no answer either
        return content.decode(errors='replace')


def _storable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return value.encode('utf-8', 'replace').decode() if isinstance(value, str) else value


def read_response(request: ChatRequest, payload: Any, manners: Manners = UNSEEN) -> Outcome:
    """Return the reply that `payload` (a decoded chat completion) holds, or the failure it amounts to."""
    try:
        reply = _read(request, payload)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as e:
        detail = f'{type(e).__name__} {e} in {_shown(payload)[:DETAIL_CHARS]}'
        return failure(request, 'malformed', detail, retryable=False)
    return _refused(request, payload, reply) or reply


def _shown(payload: Any) -> str:
    try:
        return json.dumps(payload, default=str)
    except RecursionError:
        return 'a body nested too deep to show'


def failure(request: ChatRequest, kind: str, detail: str, *, retryable: bool) -> Failure:
    """Return a Failure of `request` that was not paid for."""
    return Failure(request.key, kind, _storable(detail[:DETAIL_CHARS]), retryable, request.model, request.revision, resized=request.resized)


def _read(request: ChatRequest, payload: dict) -> Reply:
    choice, usage, body = payload['choices'][0], payload['usage'], json.loads(request.body)
    text = choice['message']['content']
    if not isinstance(text, str) and (choice['message'].get('refusal') or choice['finish_reason'] in ('length', 'content_filter')):
        text = ''  # cut off while it was thinking, or kept back
    if not isinstance(text, str):
        raise ValueError('message.content is no text')
    prompt = payload.get('prompt_logprobs')
    if 'prompt_logprobs' in body and not prompt:
        raise ValueError('no prompt_logprobs')
    return Reply(
        request.key, request.model, request.revision, text, str(choice['finish_reason']),
        int(usage['prompt_tokens']), int(usage.get('completion_tokens') or 0),
        _generated(choice.get('logprobs')), _prompt_tail(prompt, body), _slim(payload), request.resized,
    )


def _generated(logprobs: dict | None) -> tuple[TokenLogprob, ...]:
    tokens = (logprobs or {}).get('content') or []
    return tuple(
        TokenLogprob(t['token'], _finite(t), tuple((o['token'], _finite(o)) for o in t.get('top_logprobs') or ()))
        for t in tokens
    )


def _prompt_tail(prompt: list | None, body: dict) -> tuple[TokenLogprob, ...]:
    """Return the last prompt tokens, enough to cover the last message: it has at most one token a byte."""
    if not prompt:
        return ()
    last = body['messages'][-1]['content']
    text = last if isinstance(last, str) else ''.join(part.get('text', '') for part in last)
    tail = prompt[-(len(text.encode()) + SPARE_PROMPT_TOKENS):]
    return tuple(_actual(options) for options in tail if options)


def _actual(options: dict[str, dict]) -> TokenLogprob:
    # vLLM lists the token that stands there first; with prompt_logprobs=0 it is the only one
    first = next(iter(options.values()))
    return TokenLogprob(first['decoded_token'] or '', _finite(first))


def _finite(token: dict) -> float:
    value = float(token['logprob'])
    if not math.isfinite(value):
        raise ValueError(f'log-probability {value} of token {token.get("token")!r}')
    return value


def _slim(value: Any) -> str:
    return canonical_json(_without_bulk(value))


def _without_bulk(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_bulk(v) for k, v in value.items() if k not in BULKY and v not in (None, [], {})}
    return [_without_bulk(v) for v in value] if isinstance(value, list) else value


def _refused(request: ChatRequest, payload: dict, reply: Reply) -> Failure | None:
    refusal = payload['choices'][0]['message'].get('refusal')
    if refusal or reply.finish_reason == 'content_filter':
        return _paid_failure(reply, 'refused', str(refusal or 'content_filter'))
    cut = reply.finish_reason == 'length'
    if cut and json.loads(request.body).get('max_completion_tokens', 0) > 1:
        return _paid_failure(reply, 'length', f'no end after {reply.completion_tokens} tokens')
    return None


def _paid_failure(reply: Reply, kind: str, detail: str) -> Failure:
    return Failure(
        reply.key, kind, detail[:DETAIL_CHARS], False, reply.model, reply.revision, reply.text,
        reply.prompt_tokens, reply.completion_tokens, reply.resized,
    )
