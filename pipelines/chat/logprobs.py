"""The log-probabilities of a response's tokens, in the forms that servers have for them."""

import math
from typing import Any

from schemas.replies import TokenLogprob

SPARE_PROMPT_TOKENS = 16  # kept in front of the answer, to see where it begins
IMPOSSIBLE = -9999.0  # what vLLM's server writes for minus infinity; what is not told is no more use than that
_UNDECODED = ('token_id:', 'bytes:')  # vLLM with return_tokens_as_token_ids; OpenAI, for a part of a character


def generated_logprobs(logprobs: Any) -> tuple[TokenLogprob, ...]:
    """Return the tokens of a choice's `logprobs`: the chat form, else the older one of three lists; () where there is none.

    Raises ValueError for what is no number: a server that computed none answers nothing.
    """
    logprobs = {'content': logprobs} if isinstance(logprobs, list) else logprobs
    if not isinstance(logprobs, dict):
        return ()
    content = logprobs.get('content')
    if isinstance(content, list) and content:
        return tuple(_token(entry) for entry in content)
    tokens, numbers, tops = logprobs.get('tokens'), logprobs.get('token_logprobs'), logprobs.get('top_logprobs')
    if not isinstance(tokens, list) or not isinstance(numbers, list):
        return ()
    tops = tops if isinstance(tops, list) and len(tops) == len(tokens) else [None] * len(tokens)
    return tuple(
        TokenLogprob(str(token), _number(number), _top(top)) for token, number, top in zip(tokens, numbers, tops, strict=False)
    )


def prompt_tail(prompt: list | None, body: dict) -> tuple[TokenLogprob, ...]:
    """Return the last prompt tokens, enough to cover the last message: it has at most one token a byte."""
    if not prompt:
        return ()
    last = body['messages'][-1]['content']
    text = last if isinstance(last, str) else ''.join(part.get('text', '') for part in last)
    tail = prompt[-(len(text.encode()) + SPARE_PROMPT_TOKENS):]
    return tuple(_actual(options) for options in tail if options)


def _token(entry: dict) -> TokenLogprob:
    return TokenLogprob(_shown(entry), _number(entry['logprob']), _top(entry.get('top_logprobs')))


def _top(top: Any) -> tuple[tuple[str, float], ...]:
    if isinstance(top, dict):  # the older form: token -> log-probability
        return tuple((str(token), _number(value)) for token, value in top.items())
    return tuple((_shown(option), _number(option['logprob'])) for option in top or ())


def _shown(entry: dict) -> str:
    """Return a token's text; of one that its server does not decode, the bytes."""
    token, data = entry.get('token'), entry.get('bytes')
    if isinstance(data, list) and data and (not isinstance(token, str) or token.startswith(_UNDECODED)):
        return bytes(data).decode('utf-8', 'replace')
    if not isinstance(token, str):
        raise ValueError(f'a log-probability of no token: {str(entry)[:100]}')
    return token


def _actual(options: dict[str, dict]) -> TokenLogprob:
    # vLLM lists the token that stands there first; with prompt_logprobs=0 it is the only one
    first = next(iter(options.values()))
    value = float(first['logprob'])
    if not math.isfinite(value):
        raise ValueError(f'log-probability {value} of the prompt\'s token {first.get("decoded_token")!r}')
    return TokenLogprob(first['decoded_token'] or '', value)


def _number(value: Any) -> float:
    number = IMPOSSIBLE if value is None else float(value)
    if math.isnan(number) or number > 1e-3:  # a float32 of a certainty may lie above 0 by rounding
        raise ValueError(f'log-probability {number}')
    return max(number, IMPOSSIBLE)
