"""Real prompts tried at a server: whether what comes back is what a build needs, and how the server answers."""

import asyncio
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from curation.verdicts.judging import score_outcomes
from curation.verdicts.reading import object_in
from curation.verdicts.scores import answer_logprobs
from pipelines.chat import contact
from pipelines.chat.attempts import most_tokens
from pipelines.chat.contact import BUSY, Answer, ask_patiently, shown
from pipelines.chat.keys import Key
from pipelines.chat.manners import Manners
from pipelines.chat.proxies import proxy_for
from pipelines.chat.remedies import TOP_UP, has_no_credit, known_remedy
from pipelines.chat.requests import wire_body
from pipelines.chat.responses import OK, read_response
from pipelines.chat.server_words import server_words
from pipelines.chat.streaming import STREAMED, Endless, Pieces
from pipelines.chat.trials import CHOSEN, Trial, greeting, without_pictures
from schemas.errors import PendingWork, UserError
from schemas.recipe import Model
from schemas.replies import ChatRequest, Failure, Outcome, Reply

TRIES = 3
ADVICE = 'serve the model with vLLM 0.32 or later, or choose another judge mode or prompt'
PASSING = frozenset({0, 402, 408, 409, 429})  # and every 5xx: no fault of recipe or server, another day it may answer
CLOSED = PASSING | {200, 401, 403, 404, 405, 407}  # whatever is asked, the answer would be the same (200: no completion)


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial and what came back: the answer as it is, and the outcome that the build would read in it."""

    trial: Trial
    answer: Answer
    outcome: Outcome | None  # None: no completion

    @property
    def choice(self) -> dict[str, Any]:
        """Return the first choice of the completion."""
        return self.answer.body['choices'][0]

    @property
    def usage(self) -> dict[str, Any]:
        """Return what the server counted, {} where it counts nothing."""
        usage = self.answer.body.get('usage')
        return usage if isinstance(usage, dict) and isinstance(usage.get('prompt_tokens'), int) else {}


class Probing:
    """Asks one server on behalf of one model."""

    def __init__(self, http: httpx2.AsyncClient, url: str, settings: Model, key: Key):
        self._http, self._url, self._settings, self._key = http, url.rstrip('/'), settings, key
        self.where = f'model {settings.model!r} at {self._url}'

    async def probe(self, trials: Sequence[Trial], doubt: str = '') -> tuple[Manners, list[str]]:
        """Return the server's manners and what is worth knowing; raises UserError that names each lack, PendingWork while nothing is answered.

        The first trial goes alone: where it meets a closed door, nothing else is sent. Each is waited for as long as the recipe allows a call.
        """
        first = await self._try(trials[0])
        tried = [first]
        if first.outcome is None and (first.answer.status in CLOSED or first.answer.status >= 500 or _is_spent(first.answer)):
            raise self._closed(first, doubt)
        tried += await asyncio.gather(*map(self._try, trials[1:]))
        lacks = [f'{self.where}: {one.trial.name}: {lack}' for one in tried if (lack := self._lack(one))]
        if lacks:
            raise UserError('\n'.join([*lacks, *([doubt] if doubt else []), *_advice([one for one in tried if self._lack(one)])]))
        good = [one for one in tried if one.outcome is not None]
        return await self._seen(good, [f'{doubt}; a first prompt was answered'] if doubt else [])

    async def _seen(self, good: Sequence[Tried], remarks: list[str]) -> tuple[Manners, list[str]]:
        """Return manners and remarks after one more prompt: a piece by piece reply to the first that showed a picture, without the picture."""
        seen = next((one for one in good if one.trial.request.images), None)
        plain = without_pictures(seen.trial.request, self._settings) if seen else greeting(self._settings).request
        streams, tokens = await self._stream(plain)
        manners = Manners(
            usage=all(one.usage for one in good), finish_reason=all(one.choice.get('finish_reason') for one in good),
            reasons=any(map(_thinks, good)), streams=streams,
        )
        return manners, [*remarks, *self._remarks(good), *(self._blind(seen.usage.get('prompt_tokens'), tokens) if seen else [])]

    async def _try(self, trial: Trial) -> Tried:
        """Return what a trial brought; what may have been the fault of the moment is tried again, a reply that was late once."""
        body = wire_body(trial.request, self._settings.model, self._settings.image_files)
        left = TRIES
        while True:
            answer = await self._post(body)
            outcome = self._read(trial.request, answer.body) if answer.status == 200 else None
            left -= 2 if _late(answer) else 1
            lasting = answer.status in BUSY or answer.status not in (0, 200, 408, 409) and answer.status < 500  # busy: it was waited for
            if outcome is not None or left < 1 or lasting:
                return Tried(trial, answer, outcome)
            if _late(answer):
                limit_s = self._settings.timeout_s
                print(f'{self.where}: {trial.name}: no reply within {limit_s:g} s (`timeout_s`); asked once more', file=sys.stderr, flush=True)
            await asyncio.sleep(contact.FIRST_WAIT_S)

    async def _post(self, body: dict[str, Any]) -> Answer:
        url, limit_s = f'{self._url}/chat/completions', self._settings.timeout_s
        return await ask_patiently(self._http, 'POST', url, key=self._key, where=self.where, body=body, limit_s=limit_s)

    def _read(self, request: ChatRequest, body: Any) -> Outcome | None:
        """Return the outcome a build would read; that a count or an end is not told is no fault here, it is noted apart."""
        try:
            choice = body['choices'][0]
            assert isinstance(choice['message'], dict)
        except (KeyError, IndexError, TypeError, AssertionError):
            return None
        ended = choice if choice.get('finish_reason') else {**choice, 'finish_reason': 'stop'}
        counted = body if Tried(_NOBODY, Answer(200, body), None).usage else {**body, 'usage': {'prompt_tokens': 0, 'completion_tokens': 0}}
        return read_response(request, {**counted, 'choices': [ended]})

    def _closed(self, first: Tried, doubt: str) -> UserError:
        """Return the error for a server that answers no prompt at all: 4 for one that another day may, 2 for one that must be mended."""
        status, found = _meant(first.answer), shown(first.answer, self._key)
        lines = [f'{self.where}: {first.trial.name}: expected a chat completion, found {found}', *([doubt] if doubt else [])]
        if _is_spent(first.answer):
            return PendingWork('\n'.join([*lines, TOP_UP]))
        if status in PASSING or status >= 500:
            remedy = _remedy(first.answer, status) if status else ''
            again = f'{remedy}; run it again later' if remedy else 'run it again later'
            lines.append('the server is too slow or overloaded: raise `timeout_s` of this model' if _late(first.answer) else again)
            return PendingWork('\n'.join(lines))
        if found.partition(': ')[2].startswith('a web page') and (proxy := proxy_for(self._url)):
            lines.append(f'this may be the page of the proxy {proxy}: correct it, spare this server with NO_PROXY, or correct base_urls')
        elif status in (401, 403):
            lines.append(f'expected a key in ${self._settings.api_key_env} that may use this model; export the right one')
        else:
            lines.append('correct base_urls (with most servers they end in /v1) or `model:`')
        return UserError('\n'.join(lines))

    def _lack(self, tried: Tried) -> str:
        """Return what a reply lacks, '' for one that will do. A wrong or clumsy answer is no lack: small models give many."""
        trial, outcome = tried.trial, tried.outcome
        support = f'support for {", ".join(sorted(trial.shows)) or "plain prompts"}'
        if outcome is None:
            return f'expected {support}, found {shown(tried.answer, self._key)}'
        if isinstance(outcome, Failure) and outcome.kind != 'length':
            return f'expected {support}, found {outcome.kind}: {self._key.hide(outcome.detail)}'
        if trial.kind == 'any':
            return ''
        limit = json.loads(trial.request.body)['max_completion_tokens']
        if isinstance(outcome, Failure) and (_thinks(tried) or not outcome.text):
            told = 'thoughts' if _thinks(tried) else 'nothing: it seems to think out of sight'
            more = '' if trial.kind == 'choice' else 'max_tokens of this prompt or '
            return f'expected an answer within {limit} tokens, found {told}; raise {more}`thinking_tokens` of the model, or turn its thinking off'
        if trial.kind == 'likelihood':
            return _likelihood_lack(outcome, trial)
        if trial.kind == 'choice':
            return _choice_lack(outcome, trial)
        if trial.kind == 'json':
            readable = _is_json(outcome.text, cut=isinstance(outcome, Failure))
            return '' if readable else f'expected {support}, found a reply without it: {outcome.text[:200]!r}'
        return '' if outcome.text.strip() else 'expected a text, found an empty reply'

    def _remarks(self, tried: Sequence[Tried]) -> list[str]:
        """Return what is worth knowing, a line each."""
        names = sorted({str(one.answer.body['model']) for one in tried if one.answer.body.get('model')} - {self._settings.model})
        remarks = [f'replies come from {", ".join(map(repr, names))}: an alias, or the name of a router?'] if names else []
        if not all(one.usage for one in tried):
            remarks.append('the server counts no tokens (`usage`): they are counted here, by a bound that is never too low, and so is a budget')
        elif any(one.usage['prompt_tokens'] <= 0 for one in tried):
            remarks.append('the server counts no tokens of a prompt: what it says of cost is too low')
        if not all(one.choice.get('finish_reason') for one in tried):
            remarks.append('the server does not say how a reply ends (`finish_reason`): one that was cut is not seen')
        if any(map(_thinks, tried)):
            remarks.append('the model thinks before it answers: thoughts are paid and count towards max_tokens')
        return [f'{self.where}: {remark}' for remark in remarks]

    def _blind(self, with_it: int | None, without: int | None) -> list[str]:
        """Return whether the server seems to drop pictures: a prompt with one counts as many tokens as the same without."""
        if with_it is None or without is None or with_it > without:
            return []
        return [f'{self.where}: a prompt counts {with_it} tokens with a picture, {without} without: does the server drop pictures?']

    async def _stream(self, request: ChatRequest) -> tuple[bool, int | None]:
        """Return whether a reply comes piece by piece, with `usage` at its end, and the tokens of the prompt, None where they are not told."""
        body = {**wire_body(request, self._settings.model), **STREAMED}
        url, limit_s, pieces = f'{self._url}/chat/completions', self._settings.timeout_s, Pieces(most_tokens(body))
        try:
            async with asyncio.timeout(limit_s), self._http.stream('POST', url, json=body, timeout=limit_s) as response:
                if response.status_code != OK:
                    return False, None
                async for data in response.aiter_bytes():
                    pieces.feed(data)
                    if pieces.done:
                        break
            pieces.end()
        except (TimeoutError, httpx2.HTTPError, OSError, ValueError, Endless):
            return False, None
        payload = pieces.payload()
        usage = payload.get('usage') if isinstance(payload, dict) else None
        tokens = usage.get('prompt_tokens') if isinstance(usage, dict) else None
        return bool(pieces.streamed and usage and payload.get('choices')), tokens if isinstance(tokens, int) else None


_NOBODY = Trial('', ChatRequest('{"messages": []}', '', ''), 'text')


def _meant(answer: Answer) -> int:
    """Return the status of an answer; of a 200 that is an error the status that stands in it (OpenRouter)."""
    error = answer.body.get('error') if answer.status == 200 and isinstance(answer.body, dict) else None
    code = str(error.get('code')) if isinstance(error, dict) else ''
    return int(code) if re.fullmatch(r'[45]\d\d', code) else answer.status


def _body(answer: Answer) -> str:
    return answer.body if isinstance(answer.body, str) else json.dumps(answer.body, ensure_ascii=False)


def _remedy(answer: Answer, status: int) -> str:
    return known_remedy(f'HTTP {status}: {server_words(_body(answer))}', _body(answer))


def _advice(lacking: Sequence[Tried]) -> list[str]:
    """Return what to do about lacks: what is known to help where the server says why, else to serve the model otherwise."""
    known = [_remedy(one.answer, one.answer.status) if one.outcome is None else '' for one in lacking]
    return list(dict.fromkeys(remedy or ADVICE for remedy in known))


def _late(answer: Answer) -> bool:
    return not answer.status and 'within' in answer.fault


def _is_spent(answer: Answer) -> bool:
    """Return whether the account has nothing left, in whatever status and form that is told."""
    return answer.status == 402 or has_no_credit(json.dumps(answer.body, ensure_ascii=False, default=str))


def _thinks(tried: Tried) -> bool:
    details = tried.usage.get('completion_tokens_details')
    hidden = details.get('reasoning_tokens') if isinstance(details, dict) else 0
    return bool(hidden or tried.outcome is not None and tried.outcome.reasoning)


def _likelihood_lack(outcome: Reply | Failure, trial: Trial) -> str:
    if isinstance(outcome, Failure) or not outcome.prompt_logprobs:
        return 'expected support for prompt_logprobs, found a reply without them'
    if answer_logprobs(outcome.prompt_logprobs, trial.scored) is not None:
        return ''
    end = ''.join(token.token for token in outcome.prompt_logprobs)[-80:]
    return f'expected prompt_logprobs whose last tokens spell {trial.scored!r}, found {end!r}: does the server take continue_final_message?'


def _choice_lack(outcome: Reply | Failure, trial: Trial) -> str:
    body = json.loads(trial.request.body)
    options = (body.get('structured_outputs') or {}).get('choice') or []
    if outcome.text.strip() not in options:
        return f'expected support for choice (one of {", ".join(options)}), found {outcome.text[:200]!r}'
    if isinstance(outcome, Failure):
        return ''
    if not outcome.logprobs:
        return 'expected support for logprobs, found a reply without them'
    if not trial.mode:
        return ''
    n = 1 if trial.mode == 'paper' else 2
    verdict = score_outcomes(trial.mode, [outcome] * n, chosen=CHOSEN, candidate=CHOSEN, choices=(options[0], options[1]))
    if verdict.reason is None:
        return ''
    return (f'expected log-probabilities of {" and ".join(options)} at the first token of the answer, found them to begin with '
            f'{[token.token for token in outcome.logprobs[:4]]}; serve the model with its thinking off')


def _is_json(text: str, *, cut: bool) -> bool:
    """Return whether a reply holds an object as a build reads it, or the beginning of one: small models may pad it with blanks until the limit."""
    plain = text.strip().removeprefix('```json').removeprefix('```').strip()
    return plain[:1] in ('{', '') if cut else object_in(text) is not None
