"""Numbers out of judge replies: the log-probability of an answer, of Yes against No, of A against B."""

import math
import re
import unicodedata
from collections.abc import Sequence

from schemas.replies import TokenLogprob

IMPOSSIBLE = -1000  # nats; vLLM's server writes -9999 for minus infinity, such as of what a guide forbids
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


def answer_tokens(tokens: Sequence[TokenLogprob], answer: str, thoughts: str = '') -> tuple[TokenLogprob, ...] | str:
    """Return the tokens of a generated list that spell `answer`, or in words why it cannot be told which do.

    The list may begin with the thoughts (SGLang hands on all that was generated) and may end with tokens that end a turn. What stands before
    the answer must be nothing, marks, or all of the thoughts: the last word of a list that holds thoughts alone is not the answer's.
    """
    if not tokens:
        return 'it came without log-probabilities'
    wanted = _squeeze(_decoded(answer))
    if not wanted:
        return 'it has no answer'
    pieces = [_squeeze(_decoded(token.token)) for token in tokens]
    whole = ''.join(pieces)
    marks = _MARKS_AT_END.search(whole[-_LONGEST_MARKS:])
    end = len(whole) - (len(marks[0]) if marks else 0)
    for stop in dict.fromkeys((len(whole), end)):
        start = stop - len(wanted)
        if start >= 0 and whole.startswith(wanted, start):
            break
    else:
        return _unheld(tokens, thoughts)
    before = whole[:start]
    end_of_it = before[-_LONGEST_MARKS:]
    told = not before or bool(_MARKS_AT_END.search(end_of_it)) or bool(thoughts) and _squeeze(_decoded(thoughts)) in before
    if not told or _OPENS_AT_END.search(end_of_it):  # what stands behind an opening mark is a thought, whatever it says
        return _unheld(tokens, thoughts)
    at, first = 0, 0
    while at + len(pieces[first]) <= start:
        at += len(pieces[first])
        first += 1
    return tuple(tokens[first:])


def _unheld(tokens: Sequence[TokenLogprob], thoughts: str) -> str:
    begin = ''.join(token.token for token in tokens[:_SHOWN_TOKENS])[:100]
    where = 'start inside the thoughts and ' if thoughts else ''
    return f"its log-probabilities {where}do not hold the answer's token: {begin!r}"


def deciding(tokens: Sequence[TokenLogprob]) -> TokenLogprob | None:
    """Return the first token that holds a letter or digit: before it stand blanks, quotes and markdown."""
    return next((token for token in tokens if _core(token.token)), None)


def preference(token: TokenLogprob, wanted: str, other: str) -> float | None:
    """Return log P(wanted) - log P(other) in nats over a token and its alternatives; None if neither word is there.

    Tokens that begin either word count ('Y', ' yes', '"Yes'), with the signs around it. A word without any token gets a bound: it was less likely
    than everything that is listed, and than all of that together leaves. A list of one token that has a probability of 0.9 so says log(0.9 / 0.1) or
    more. No probability at all is no preference.
    """
    listed = [pair for pair in _alternatives(token) if pair[1] > IMPOSSIBLE]
    if not listed:
        return None
    a, b = _log_sum(listed, wanted), _log_sum(listed, other)
    if a is None and b is None:
        return None
    left = max(LEAST_LEFT, 1 - sum(math.exp(logprob) for _, logprob in listed))
    least = min(min(logprob for _, logprob in listed), math.log(left))
    return (least if a is None else a) - (least if b is None else b)


def _alternatives(token: TokenLogprob) -> Sequence[tuple[str, float]]:
    """Return what could have stood there, the token itself too: vLLM lists a guided one that is not among the likeliest apart from them."""
    itself = (token.token, token.logprob)
    among = any(text == token.token or (p == token.logprob and _core(text) == _core(token.token)) for text, p in token.top)
    return token.top if among else (itself, *token.top)


LEAST_LEFT = 1e-6  # of a probability of 1: below it is the rounding of some twenty float32


def _log_sum(listed: Sequence[tuple[str, float]], word: str) -> float | None:
    matching = [p for text, p in listed if (core := _core(text)) and word.casefold().startswith(core.casefold())]
    if not matching:
        return None
    top = max(matching)
    return top + math.log(sum(math.exp(p - top) for p in matching))


def _core(token: str) -> str:
    """Return what a token says without the blanks and signs around it."""
    return _SIGNS_AROUND.sub('', _decoded(token))


_SIGNS_AROUND = re.compile(r'^[\W_]+|[\W_]+$')
_LONGEST_MARKS = 200  # characters without blanks
_SHOWN_TOKENS = 20
# Marks around thoughts and answers and tokens that end a turn, without blanks: </think>, [/THINK], <|im_end|>, <channel|>, ◁/think▷, Granite's words.
_MARKS_AT_END = re.compile(
    r'(?:</?[\w:]{1,30}>|<\|?/?\w{1,30}\|?>|<｜[^｜<>]{1,30}｜>|\[/?\w{1,12}\]|◁/?think▷|assistantfinal|here(?:[\'’]s|is)myresponse:)+\Z',
    re.IGNORECASE)
_OPENS_AT_END = re.compile(
    r'(?:<(?![^<>]*end)[^/<>]*(?:think|thought|reason)[^/<>]*>|\[THINK\]|◁think▷|(?:analysis|commentary)<\|message\|>)\Z', re.IGNORECASE)
_BYTE = re.compile(r'<0x([0-9A-F]{2})>')  # a byte as sentencepiece shows it


def _decoded(token: str) -> str:
    """Return a token's text where its server shows the vocabulary's spelling: ▁ and Ġ for a blank, Ċ for a line's end, <0x0A> for a byte."""
    text = _BYTE.sub(_character, token) if '<0x' in token else token
    return text.translate(_BLANKS)


def _character(byte: re.Match) -> str:
    return chr(int(byte[1], 16))


_BLANKS = str.maketrans('▁ĠĊ', '  \n')
