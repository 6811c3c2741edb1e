"""Can chosen and rejected be told apart by the answers alone? A plain classifier that sees neither question nor picture; 0.5 is clean.

Logistic regression on length, punctuation, form and hashed words, cross-validated by sample, so that no sample's answers are
both learned from and asked. What it finds, a preference loss would find too: a preference for a style instead of for the truth.
"""

import hashlib
import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, diags, hstack
from scipy.special import expit

from curation.calibration.planted import auc_interval, auc_of

FOLDS = 5
BUCKETS = 4096  # hashed words and word pairs; the collisions of some thousand distinct words cost little
PENALTY = 1.0  # of the squared weights, the usual default
GRADIENT = 0.02  # its length at which a fit is done: an AUC changes by 0.0001 after that
MIN_SAMPLES = 100  # below, cross-validation's own bias downwards (seen: 0.34 at 30 clean samples) hides what is looked for
MAX_ROWS = 2000  # per source, lowest id hash first: the interval is 0.018 to either side by then, and another threshold costs seconds at any size
WORD = re.compile(r'\w+', re.UNICODE)
SIGNS = '.,;:!?()[]"\'-/%$\n'


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """One triple as this audit sees it."""

    sample_id: str
    chosen: str
    rejected: str


@dataclass(frozen=True, slots=True)
class ShortcutReport:
    """How well the answers alone tell chosen from rejected on one source, with 95 % intervals; NaN where there are too few."""

    source: str
    n: int
    auc: float
    low: float
    high: float
    auc_length: float  # of the number of characters alone: above 0.5 the chosen answers are longer


def audit_shortcuts(source: str, pairs: Sequence[AnswerPair]) -> ShortcutReport:
    """Return the report on one source; the same whatever the order of the pairs."""
    pairs = sorted(pairs, key=_by_hash)[:MAX_ROWS]
    texts = [text for pair in pairs for text in (pair.chosen, pair.rejected)]
    good = np.array([label for _ in pairs for label in (True, False)])
    lengths = [(float(len(text)), bool(label)) for text, label in zip(texts, good, strict=True)]
    if len({pair.sample_id for pair in pairs}) < MIN_SAMPLES:
        return ShortcutReport(source, len(pairs), math.nan, math.nan, math.nan, auc_of(lengths) if pairs else math.nan)
    folds = np.array([_fold(pair.sample_id) for pair in pairs for _ in range(2)])
    features = features_of(texts)
    scores = np.zeros(len(texts))
    for fold in range(FOLDS):
        asked = folds == fold
        if asked.any() and not asked.all():
            scores[asked] = _ranked(features[asked] @ fit(features[~asked], good[~asked]))
    auc = auc_of([(float(score), bool(label)) for score, label in zip(scores, good, strict=True)])
    low, high = auc_interval(auc, len(pairs), len(pairs))
    return ShortcutReport(source, len(pairs), auc, low, high, auc_of(lengths))


def features_of(texts: Sequence[str]) -> csr_matrix:
    """Return float[N, 1 + form + BUCKETS]: a constant, form features scaled to unit deviation, hashed words and pairs."""
    form = np.array([_form(text) for text in texts])
    form = (form - form.mean(0)) / np.maximum(form.std(0), 1e-9)
    known = _Buckets()
    columns, ends = list[int](), [0]
    for text in texts:
        words = WORD.findall(text.lower())
        columns += sorted({known[gram] for gram in (*words, *zip(words, words[1:], strict=False))})
        ends.append(len(columns))
    hashed = csr_matrix((np.ones(len(columns)), columns, ends), shape=(len(texts), BUCKETS))
    # a long answer has many words: unit length keeps it from counting more
    norms = np.sqrt(np.maximum(np.asarray(hashed.sum(1)).ravel(), 1))
    return csr_matrix(hstack([np.ones((len(texts), 1)), form, diags(1 / norms) @ hashed]))


class _Buckets(dict[str | tuple[str, str], int]):
    """The bucket of a word or a pair of words; most come again, and one side of a triple is mostly the other."""

    def __missing__(self, gram: str | tuple[str, str]) -> int:
        words = gram if isinstance(gram, str) else ' '.join(gram)
        found = self[gram] = zlib.crc32(words.encode()) % BUCKETS
        return found


def _form(text: str) -> list[float]:
    n = max(1, len(text))
    words = WORD.findall(text)
    return [
        math.log1p(len(text)), math.log1p(len(words)), len(set(map(str.lower, words))) / max(1, len(words)), sum(map(str.isdigit, text)) / n,
        sum(map(str.isupper, text)) / n, float(text[:1].isupper()), float(text.rstrip()[-1:] in '.!?'), sum(map(len, words)) / max(1, len(words)),
        *(math.log1p(text.count(sign)) for sign in SIGNS),
    ]  # fmt: skip


def fit(features: csr_matrix, good: np.ndarray) -> np.ndarray:
    """Return float[D], the weights of an L2-penalised logistic regression; the constant is not penalised."""
    sign = np.where(good, 1.0, -1.0)
    penalty = np.full(features.shape[1], PENALTY)
    penalty[0] = 0.0
    by_feature = csr_matrix(features.T)
    seen = penalty, penalty  # weights, and how much each row bends the loss there

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = sign * (features @ weights)
        gradient = by_feature @ (-sign * expit(-margins)) + penalty * weights
        return float(np.logaddexp(0, -margins).sum() + 0.5 * (penalty * weights**2).sum()), gradient

    def curved(weights: np.ndarray, direction: np.ndarray) -> np.ndarray:
        nonlocal seen
        if not np.array_equal(seen[0], weights):
            probable = expit(features @ weights)
            seen = weights.copy(), probable * (1 - probable)
        return by_feature @ (seen[1] * (features @ direction)) + penalty * direction

    # second derivatives need a fifth of the steps, and sparse products no threads of a linear algebra library, which cost more than they brought
    return minimize(loss, np.zeros(features.shape[1]), jac=True, hessp=curved, method='trust-ncg', options={'gtol': GRADIENT}).x


def _ranked(scores: np.ndarray) -> np.ndarray:
    """Return ranks in 0..1, ties equal: the models of two folds need not share a scale."""
    order = np.unique(np.round(scores, 9), return_inverse=True)[1]
    return order / max(1, order.max())


def _fold(sample_id: str) -> int:
    return int.from_bytes(hashlib.sha256(f'shortcut/{sample_id}'.encode()).digest()[:8]) % FOLDS


def _by_hash(pair: AnswerPair) -> tuple[bytes, str, str]:
    return hashlib.sha256(f'shortcut/{pair.sample_id}'.encode()).digest(), pair.chosen, pair.rejected
