"""Tokens of a call: as the server counts them, or, where it does not, no fewer than there can be."""

import math
from typing import Any

from schemas.replies import ChatRequest

# A token of a byte-level tokenizer spells at least one byte of UTF-8 (Sennrich et al. 2016 on bytes, as GPT-2, section 2.2), and one of a
# sentencepiece model with byte fallback a byte or a character: bytes are a bound for all of them. English has about four bytes a token.
BYTES = 'one token a byte'
SPLIT = 'the server told the sum only, split by bytes'
# InternVL 1.5, section 3.1: 12 tiles and a thumbnail of 256 tokens. Qwen2-VL, section 2.1: a token for 28 x 28 pixels, so 2,304 at 1344 x 1344.
TOKENS_PER_PICTURE = 3_328
MOST_TOKENS = 1_000_000_000  # of one call; longer than any context there is by a factor of a hundred: a counter that ran over
NAMES = {'prompt': ('prompt_tokens', 'input_tokens'), 'completion': ('completion_tokens', 'output_tokens')}  # OpenAI's chat form; its Responses form


def usage_of(payload: Any, request: ChatRequest, text: str) -> tuple[int, int, str]:
    """Return (prompt tokens, completion tokens, how we counted them: '' where the server did) of a call that brought `text`, thoughts included.

    What the server leaves out is counted by us; 0 is left out where it cannot be true. A sum above its parts is what is billed: thoughts that
    the parts do not hold. Raises ValueError for a number that is negative, not finite, or beyond MOST_TOKENS.
    """
    usage = payload.get('usage') if isinstance(payload, dict) else None
    usage = usage if isinstance(usage, dict) else {}
    prompt = _told(usage, NAMES['prompt'])
    completion = _told(usage, NAMES['completion'])
    total = _told(usage, ('total_tokens',)) or 0
    most_prompt, most_completion = counted_usage(request, text)
    by_server = bool(prompt) and completion is not None and (completion > 0 or not text)
    if by_server:
        return prompt or 0, max(completion or 0, total - (prompt or 0)), ''
    if prompt:  # what the text is in tokens only the server knows, and it tells the sum at best
        return (prompt, total - prompt, '') if total > prompt else (prompt, most_completion, BYTES)
    if completion:
        return (total - completion, completion, '') if total > completion else (most_prompt, completion, BYTES)
    if total:
        return total - min(total, most_completion), min(total, most_completion), SPLIT
    return most_prompt, most_completion, BYTES


def counted_usage(request: ChatRequest, text: str) -> tuple[int, int]:
    """Return (prompt tokens, completion tokens) of a call whose server tells none: at least as many as any tokenizer makes of it.

    The prompt is the request's JSON, whose marks are more than what a chat template puts around the turns.
    """
    return len(request.body.encode()) + TOKENS_PER_PICTURE * len(request.images), len(text.encode(errors='replace')) + 1  # the end is a token


def _told(usage: dict, names: tuple[str, ...]) -> int | None:
    """Return the first of some numbers that is told, None where none is."""
    for name in names:
        value = usage.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            continue
        try:
            number = float(value)
        except ValueError:
            continue  # a word is no number: not told
        except OverflowError:
            number = math.inf
        if not 0 <= number <= MOST_TOKENS:
            raise ValueError(f'usage: expected {name} from 0 to {MOST_TOKENS}, found {str(value)[:40]}')
        return math.ceil(number)
    return None
