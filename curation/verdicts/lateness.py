"""Where two answers first differ: a trainer that cuts both before that place sees the same text twice."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

_NO_BLANKS = r'\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff'
# A word, a sign, or a character of a script without blanks: a tokenizer makes at least one token of each. Not the tokens of one model, since a
# snapshot is for any trainer.
WORD = re.compile(rf'[{_NO_BLANKS}]|[^\W{_NO_BLANKS}]+|[^\w\s]')
# A rule makes no wrong answer that differs only behind so many: `triples.differ_within` would reject it. A model can write one that differs earlier.
SEEN = 512
BINS = (0, 16, 64, 256, 512, 1024)  # where the bars of the histogram begin


def differs_at(chosen: str, rejected: str) -> int:
    """Return how many words and signs two answers have in common before they first differ."""
    if chosen[:1] != rejected[:1]:
        return 0
    a, b = WORD.findall(chosen), WORD.findall(rejected)
    return next((n for n, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b)))


def words_in(text: str) -> int:
    """Return how many words and signs a text has."""
    return len(WORD.findall(text))


def histogram(places: Iterable[int]) -> list[int]:
    """Return how many of `places` fall into each of BINS."""
    bins = np.searchsorted(BINS, np.fromiter(places, np.int64), 'right') - 1
    return np.bincount(bins, minlength=len(BINS)).tolist()


def bin_names() -> Sequence[str]:
    """Return what the columns of the histogram are called."""
    ends = [f'{start}-{stop - 1}' for start, stop in zip(BINS, BINS[1:], strict=False)]
    return [*ends, f'{BINS[-1]} or more']
