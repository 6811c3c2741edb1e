"""Draws that give nothing away: among few answers, each comes up as a wrong one as often as it is the right one elsewhere."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import TypeVar

import numpy as np

FEW = 128  # distinct answers, beyond which one more or less often gives nothing away
ROUNDS = 60  # of rescaling; 3 answers right 5, 4 and 1 times in 10 are even to 0.1 % after 40
T = TypeVar('T')
Fits = Callable[[str, str], bool]  # whether two answers may stand for each other; symmetric


def even_draw(lot: str, own: str, texts: Sequence[str], fits: Fits) -> str | None:
    """Return one of `texts`, right answers to like questions, that fits `own`; None if none does. Equal arguments give the same, in any order."""
    counts = Counter(texts)
    offered = sorted(text for text in counts if fits(own, text))
    if not offered:
        return None
    weights = _weights(tuple(sorted(counts.items())), fits) if len(counts) <= FEW and len(counts) < len(texts) else counts
    return weighted_draw(lot, offered, [float(weights[text]) for text in offered])


def weighted_draw(lot: str, offered: Sequence[T], weights: Sequence[float]) -> T:
    """Return one of `offered`, as likely as its weight; with no weight at all, all are alike."""
    ends = list(accumulate(weights))
    if ends[-1] <= 0:
        ends = list(accumulate([1.0] * len(offered)))
    at = int.from_bytes(hashlib.sha256(lot.encode()).digest()[:8]) / 2**64 * ends[-1]
    return next((text for text, end in zip(offered, ends, strict=True) if at < end), offered[-1])


@lru_cache(maxsize=4096)  # samples that are asked alike share their pool
def _weights(counts: tuple[tuple[str, int], ...], fits: Fits) -> dict[str, float]:
    """Return w such that w[a] times the sum of w over what fits a is the count of a: drawn by w, b for a comes as often as a for b.

    Where one answer is right more often than all others together no draw is even; this is the nearest to it.
    """
    texts = [text for text, _ in counts]
    right = np.array([float(n) for _, n in counts])
    related = np.array([[fits(a, b) for b in texts] for a in texts], float)
    weights, share = np.sqrt(right), np.zeros_like(right)
    all_fit = related.any(axis=1).all()  # then no weight comes to 0
    for _ in range(ROUNDS):
        reach = related @ weights
        if not all_fit:
            share[:] = 0
        weights = np.sqrt(weights * (right / reach if all_fit else np.divide(right, reach, out=share, where=reach > 0)))
    return dict(zip(texts, weights.tolist(), strict=True))
