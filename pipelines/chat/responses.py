"""A server's response body read into a Reply or a Failure; one reader for every backend."""

import dataclasses
import json
import math
import re
from typing import Any

from curation.verdicts.scores import answer_tokens
from pipelines.chat.counting import usage_of
from pipelines.chat.endings import Ending, ending_of
from pipelines.chat.finality import final_kind
from pipelines.chat.logprobs import generated_logprobs, prompt_tail
from pipelines.chat.manners import UNSEEN, Manners
from pipelines.chat.message_words import Words, words_of
from pipelines.chat.no_completion import error_in, first_choice, form_of
from pipelines.chat.thoughts import part
from schemas.replies import ChatRequest, Failure, Outcome, Reply, TokenLogprob, canonical_json

BULKY = ('prompt_logprobs', 'prompt_token_ids', 'logprobs', 'token_ids')
DETAIL_CHARS = 500
TOKENS_UNREAD = 64  # kept of log-probabilities in which the answer is not found: enough to see what they begin with
OK = 200
WORDS_CHARS = 20_000  # of a body in which a server's words about a fault are looked for
SERVED_BY_CHARS = 200
_WORD_CHARS = 80  # of one of them
_IDS = re.compile(  # a UUID, with or without hyphens; the ids of OpenAI's and others' responses; a time in seconds or finer
    r'\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b|\b(?:chatcmpl|cmpl|req|request|gen|resp|msg)[-_][\w-]{8,}|\d{10,}',
    re.IGNORECASE)
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
    """Return the reply that `payload` (a decoded chat completion) holds, or the failure it amounts to.

    Final is what another call would bring again: a cut reply, a refused one, an error that is provably about the request. All else is pending.
    """
    error = error_in(payload)
    try:
        choice = None if error else first_choice(payload)
        outcome = _of_error(request, error) if error else _read(request, payload, choice, manners) if choice else _no_completion(request, payload)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as e:
        outcome = _malformed(request, f'{type(e).__name__} {e} in {_shown(payload)}')
    return _charged(outcome, request, payload, manners)


def reread(outcome: Outcome) -> Outcome:
    """Return a stored outcome as it is read today: of replies kept before thoughts were told apart, the thoughts are no part of the text."""
    if isinstance(outcome, Failure) or outcome.reasoning or outcome.prompt_logprobs:
        return outcome
    thoughts, answer, ended = part(outcome.text)
    if ended and answer == outcome.text:
        return outcome
    reply = dataclasses.replace(outcome, text=answer, reasoning=thoughts)
    return reply if ended else _cut(reply, inside=True)


def failure(request: ChatRequest, kind: str, detail: str, *, retryable: bool, status: int = 0) -> Failure:
    """Return a Failure of `request` that was not paid for."""
    shown = _storable(detail[:DETAIL_CHARS])
    return Failure(request.key, kind, shown, retryable, request.model, request.revision, resized=request.resized, status=status)


def served_by(payload: Any, manners: Manners = UNSEEN) -> str:
    """Return the server's own words for what answered: model, system fingerprint and what `check` was told; '' where it tells nothing.

    Short, in one line, and without what is new in every response, such as its id: equal servers have equal words.
    """
    payload = payload if isinstance(payload, dict) else {}
    said = [_without_ids(payload.get(name), payload.get('id')) for name in ('model', 'system_fingerprint')]
    said += [_without_ids(word, None) for word in manners.served_by.split(';')]
    return '; '.join(dict.fromkeys(word for word in said if word))[:SERVED_BY_CHARS]


def _without_ids(word: Any, response_id: Any) -> str:
    if not isinstance(word, str):
        return ''
    word = word[:4 * _WORD_CHARS]
    if isinstance(response_id, str) and len(response_id) > 7:
        word = word.replace(response_id, '')
    word = ''.join(c if c.isprintable() else ' ' for c in _IDS.sub('*', word))
    return ' '.join(word.split())[:_WORD_CHARS].strip(' -_:;/')


def _of_error(request: ChatRequest, error: tuple[int, str]) -> Failure:
    code, words = error
    kind = final_kind(code or 400, words)
    return failure(request, kind or 'malformed', f'HTTP {OK}: {words}', retryable=not kind, status=OK)


def _no_completion(request: ChatRequest, payload: Any) -> Failure:
    kind = final_kind(OK, json.dumps(payload, default=str)[:WORDS_CHARS]) if isinstance(payload, dict) else ''
    detail = f'expected a chat completion, found {form_of(payload)}: {_shown(payload)}'
    return failure(request, kind or 'malformed', detail, retryable=not kind, status=OK)


def _read(request: ChatRequest, payload: dict, choice: dict, manners: Manners) -> Outcome:
    body = json.loads(request.body)
    words = _guided(words_of(choice), body)
    prompt = payload.get('prompt_logprobs')
    if 'prompt_logprobs' in body and not prompt:
        raise ValueError('no prompt_logprobs')
    scored = bool(prompt)  # the one token that is written beside them is nothing
    thoughts, answer, ended = ('', words.text or '', True) if scored else part(words.text or '')
    thoughts = '\n\n'.join(dict.fromkeys(piece for piece in (words.thoughts, thoughts) if piece))
    finish = choice.get('finish_reason')
    reply = Reply(
        request.key, request.model, request.revision, answer, '' if finish is None else str(finish), 0, 0,
        _answered(generated_logprobs(choice.get('logprobs')), answer, thoughts) if body.get('logprobs') else (), prompt_tail(prompt, body),
        _slim(payload), request.resized, thoughts,
    )
    ending = ending_of(finish)
    if words.refusal or ending is Ending.REFUSED:
        return _failed(reply, 'refused', words.refusal or str(finish))
    if ending is Ending.UNTOLD and (manners.finish_reason or 'finish_reason' in choice or not (answer or scored)):
        told = repr(finish) if 'finish_reason' in choice else 'none'
        detail = f'expected a finish_reason that says the reply is whole, found {told} in {_shown(payload)}'
        return dataclasses.replace(_failed(reply, 'malformed', detail), retryable=True)
    if scored or ending is Ending.CUT and _is_all(answer, body):
        return reply
    inside = not ended or bool(thoughts) and not answer.strip() and (ending is Ending.CUT or not (words.text or '').strip())
    if inside or ending is Ending.CUT:
        return _cut(reply, inside=inside)
    if words.text is None:
        raise ValueError('message.content is no text')
    return reply


def _guided(words: Words, body: dict) -> Words:
    """Return the words of a guided reply: where a reasoning parser took what the guide forced for thoughts, it is the answer all the same.

    vLLM does so for a model that answers at once: `content` is null and `reasoning_content` holds the choice.
    """
    if (words.text or '').strip() or not words.thoughts:
        return words
    said = words.thoughts.strip()
    options = (body.get('structured_outputs') or {}).get('choice') or ()
    is_json = (body.get('response_format') or {}).get('type') == 'json_schema' and said[:1] == '{' and said[-1:] == '}'
    return Words(said, '', words.refusal) if said in options or is_json else words


def _is_all(answer: str, body: dict) -> bool:
    """Return whether a reply that its limit ended holds all that was asked for: one token, or one of the words it was to choose from."""
    return body.get('max_completion_tokens', 0) == 1 or answer.strip() in ((body.get('structured_outputs') or {}).get('choice') or ())


def _answered(tokens: tuple[TokenLogprob, ...], answer: str, thoughts: str) -> tuple[TokenLogprob, ...]:
    """Return the tokens of the answer, without those of the thoughts; the first few where the answer's are not found."""
    found = answer_tokens(tokens, answer, thoughts)
    return tokens[:TOKENS_UNREAD] if isinstance(found, str) else found


def _cut(reply: Reply, *, inside: bool) -> Failure:
    return _failed(reply, 'length', 'ended inside its thoughts' if inside else 'no end')


def _failed(reply: Reply, kind: str, detail: str) -> Failure:
    return Failure(
        reply.key, kind, _storable(detail[:DETAIL_CHARS]), False, reply.model, reply.revision, reply.text,
        reply.prompt_tokens, reply.completion_tokens, reply.resized, OK, reply.reasoning, reply.served_by, reply.counted,
    )


def _malformed(request: ChatRequest, detail: str) -> Failure:
    return failure(request, 'malformed', detail, retryable=True, status=OK)


def _charged(outcome: Outcome, request: ChatRequest, payload: Any, manners: Manners) -> Outcome:
    """Return the outcome with its tokens, who counted them, who served it, and the status that all these have."""
    outcome = dataclasses.replace(outcome, served_by=served_by(payload, manners))
    whole = not error_in(payload) and first_choice(payload) is not None
    made = isinstance(outcome, Reply) or whole and (bool(outcome.text or outcome.reasoning) or outcome.kind in ('length', 'refused'))
    if not made and not (isinstance(payload, dict) and payload.get('usage')):
        return outcome  # nothing was made, and nobody says that it is paid
    try:
        prompt, completion, counted = usage_of(payload, request, outcome.reasoning + outcome.text)
    except ValueError as e:  # negative: whatever the reply says, a budget cannot be kept with such a server
        return dataclasses.replace(_malformed(request, f'{e} in {_shown(payload)}'), served_by=outcome.served_by)
    if isinstance(outcome, Failure) and outcome.kind == 'length':
        outcome = dataclasses.replace(outcome, detail=f'{outcome.detail} after {completion} tokens')
    return dataclasses.replace(outcome, prompt_tokens=prompt, completion_tokens=completion, counted=counted)


def _shown(payload: Any) -> str:
    try:
        return json.dumps(payload, default=str, ensure_ascii=False)[:DETAIL_CHARS]
    except RecursionError:
        return 'a body nested too deep to show'


def _slim(value: Any) -> str:
    return canonical_json(_without_bulk(value))


def _without_bulk(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_bulk(v) for k, v in value.items() if k not in BULKY and v not in (None, [], {})}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such number
    return [_without_bulk(v) for v in value] if isinstance(value, list) else value
