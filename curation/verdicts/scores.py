"""Numbers out of judge replies: the log-probability of an answer, of Yes against No, of A against B."""

import math
import unicodedata
from collections.abc import Sequence

from schemas.replies import TokenLogprob

FRAGMENT = '\ufffd'  # how decoders show a part of a character


def answer_logprobs(prompt: Sequence[TokenLogprob], answer: str) -> list[float] | None:
    """Return the log-probabilities (nats) of the tokens of `answer`, which ends the prompt; None if the tokens do not spell it.

    Read backwards from the end, so no tokenizer is needed. Blanks are ignored (decoders drop leading ones); a token shown
    empty or as U+FFFD is a part of the character that a later token completes; a first token that also holds the end of the
    template counts.
    """
    wanted = _squeeze(answer.replace(FRAGMENT, ''))
    found: list[float] = []
    at = len(prompt)
    while wanted and at:
        at -= 1
        piece = _squeeze(prompt[at].token.replace(FRAGMENT, ''))
        if not wanted.endswith(piece) and not piece.endswith(wanted):
            return None
        wanted = wanted[:max(0, len(wanted) - len(piece))]
        found.append(prompt[at].logprob)
    if wanted:
        return None
    while at and found and not prompt[at - 1].token.replace(FRAGMENT, ''):
        at -= 1
        found.append(prompt[at].logprob)
    return found[::-1] or None


def _squeeze(text: str) -> str:
    # NFKD, because it is the same for a text and for its pieces joined; composing forms are not
    return ''.join(unicodedata.normalize('NFKD', text).split())


def preference(token: TokenLogprob, wanted: str, other: str) -> float | None:
    """Return log P(wanted) - log P(other) in nats over the alternatives of the first generated token; None if neither is there.

    Tokens that begin either word count ('Y', ' yes'). A word without any token gets the least probability listed: a bound,
    since it was less likely than everything shown.
    """
    listed = [pair for pair in token.top if pair[1] > -1000]  # vLLM's server writes -9999 for minus infinity: what a guide forbids
    if not listed:
        return None
    a, b = _log_sum(listed, wanted), _log_sum(listed, other)
    if a is None and b is None:
        return None
    least = min(logprob for _, logprob in listed)
    return (least if a is None else a) - (least if b is None else b)


def _log_sum(listed: Sequence[tuple[str, float]], word: str) -> float | None:
    matching = [p for text, p in listed if text.strip() and word.casefold().startswith(text.strip().casefold())]
    if not matching:
        return None
    top = max(matching)
    return top + math.log(sum(math.exp(p - top) for p in matching))
