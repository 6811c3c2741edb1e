"""How likely each label is wrong, and what a threshold on that would do.

What a model gives to the answers of a row it has not seen is tempered (temperature scaling: Guo et al., arXiv 1706.04599, section 4.2), the more
the less decided it is. A label is drawn from that, or it is wrong, by one chance for all rows of a source: then it is any of the answers that are not
right. The three numbers are those under which the labels that the rows have are likeliest. So of each row follows how likely its label is right, and
of a threshold which share of what it flags is wrong. Answers that were planted beside the rows' own, as wrong labels would be, tell how many of the
wrong ones it finds, and whether the model can tell anything at all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import entr, softmax

from model.evaluation.intervals import wilson

THRESHOLDS = (0.001, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
EVEN = 0.5  # a label below that is likelier wrong than right
FEWEST = 8  # rows that a threshold flags: of fewer a share says nothing
FITTED = 20_000  # rows, evenly spaced, that are looked at of a source: more make the intervals no different
CHI_95 = 3.841  # twice the log-likelihood that one number more must gain (chi square of 1 degree of freedom, 95 %)
DRAWS = 200  # of the intervals
STEP = 0.05  # of the curvature, in what is fitted
START = (0.0, 0.3, -2.0)  # of the fit: much as the model says, less where it is undecided; one label in eight is wrong
BOUNDS = ((-3.0, 3.0), (0.0, 3.0), (-9.0, 3.0))  # wider than any source needs
Z95 = 1.96
SHARES = (0.5, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.015, 0.01, 0.007, 0.005, 0.003, 0.002, 0.001, 0.0)
TINY = 1e-300

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f'{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]'


@dataclass(frozen=True, slots=True)
class Line:
    """What a threshold does: rows below it, which share of them is wrong, which share of the wrong it finds."""

    threshold: float
    flagged: int
    precision: Share
    recall: Share


@dataclass(frozen=True, slots=True)
class Noise:
    """What is known of a source's labels: how its model's probabilities are tempered, and the share of its labels that is wrong."""

    temperature: float  # where the model is sure
    undecided: float  # by how much the temperature's logarithm grows with the entropy of what the model says, in nats
    wrong: float

    def tempered(self, logs: Floats) -> Floats:
        """Probabilities float[N, A] of the answers, of their logarithms (-inf: no such answer)."""
        entropy = entr(softmax(logs, axis=1)).sum(1, keepdims=True)
        found: Floats = softmax(logs / (self.temperature * np.exp(self.undecided * entropy)), axis=1)
        return found

    def truths(self, logs: Floats, at: NDArray[np.int64] | int = 0) -> Floats:
        """How likely each answer is the right one, float[N, A], where the label is the one at the place `at`."""
        chances, rows = self.tempered(logs), np.arange(len(logs))
        others = np.maximum(np.isfinite(logs).sum(1) - 1, 1)
        weights = np.repeat(self.wrong / others[:, None], logs.shape[1], 1)  # of a label, where another answer is right
        weights[rows, at] = 1 - self.wrong
        joint = np.maximum(chances, TINY) * weights * np.isfinite(logs)
        return joint / joint.sum(1, keepdims=True)

    def surprise(self, logs: Floats) -> float:
        """The negative log-likelihood of the rows' own labels."""
        own, others = self.tempered(logs)[:, 0], np.maximum(np.isfinite(logs).sum(1) - 1, 1)
        return -float(np.log(np.maximum((1 - self.wrong) * own + self.wrong * (1 - own) / others, TINY)).sum())


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far the ratings of some rows can be trusted."""

    source: str  # '' for all
    rows: int
    auc: Share  # chance that a row's own answer scores above a planted one; wrong labels among the rows lower it
    wrong: Share  # share of wrong labels
    lines: tuple[Line, ...]
    noise: Noise | None = None  # None of several sources together: each has its own

    @property
    def is_chance(self) -> bool:
        """Whether the ratings cannot be told from dice."""
        return not self.auc.low > 0.5

    def pick(self, precision: float | None = None) -> Line | None:
        """The highest threshold whose precision is at least this, or EVEN; None where it flags fewer than FEWEST rows."""
        if self.is_chance:
            return None
        fits = [line for line in self.lines if line.precision.value >= precision] if precision else [self.line(EVEN)]
        return next((line for line in reversed(fits) if line.flagged >= FEWEST), None)

    def line(self, threshold: float) -> Line:
        """What one of THRESHOLDS does."""
        return next(line for line in self.lines if line.threshold == threshold)


def logs_of(chances: Sequence[Sequence[float]]) -> Floats:
    """The logarithms of each row's probabilities, its own answer's first, float[N, A]; -inf where a row has fewer answers."""
    logs = np.full((len(chances), max(map(len, chances), default=1)), -np.inf)
    for line, some in zip(logs, chances, strict=True):
        line[: len(some)] = np.log(np.maximum(some, TINY))
    return logs


def calibrate(source: str, logs: Floats, planted: NDArray[np.int64]) -> Calibration:
    """The calibration of rows with these log-probabilities (`logs_of`) and the places of the answers that were planted beside their own."""
    every = -(-len(logs) // FITTED)
    noise, spread = fitted(logs[::every])
    scores = noise.truths(logs)[:, 0]
    found = noise.truths(logs, planted)[np.arange(len(logs)), planted]
    drawn = redrawn(noise, spread)
    sample, of_sample = scores[::every], [1 - one.truths(logs[::every])[:, 0] for one in drawn]

    def line(at: float) -> Line:
        flagged = scores[scores < at]
        return Line(at, len(flagged), precision(flagged, [wrong[sample < at] for wrong in of_sample]), share_of(int((found < at).sum()), len(logs)))

    own, wrong = np.sort(logs[:, 0]), np.sort(logs[np.arange(len(logs)), planted])
    share = interval(noise.wrong, [one.wrong for one in drawn]) if noise.wrong else Share(0.0, 0.0, most_wrong(noise, logs[::every]))
    return Calibration(source, len(logs), auc(own, wrong), share, tuple(map(line, THRESHOLDS)), noise)


def pooled(found: Sequence[Calibration]) -> Calibration:
    """Several sources together, each with its own noise: means that count each source as its rows do."""
    rows, wrong = [one.rows for one in found], [one.rows * one.wrong.value for one in found]
    lines = tuple(
        Line(some[0].threshold, sum(flagged := [line.flagged for line in some]), middle([line.precision for line in some], flagged),
             middle([line.recall for line in some], wrong if any(wrong) else rows))
        for some in zip(*(one.lines for one in found), strict=True)
    )  # fmt: skip
    return Calibration('', sum(rows), middle([one.auc for one in found], rows), middle([one.wrong for one in found], rows), lines)


def middle(shares: Sequence[Share], weights: Sequence[float]) -> Share:
    """The weighted mean of shares, of their ends, too; of nothing, what the first says."""
    if not sum(weights):
        return shares[0]
    return Share(*(float(np.average([getattr(one, name) for one in shares], weights=weights)) for name in ('value', 'low', 'high')))


def fitted(logs: Floats) -> tuple[Noise, Floats]:
    """The likeliest noise, and the covariance of what is fitted (zeros where no label is wrong, since that explains the labels as well)."""
    def surprise(at: Sequence[float]) -> float:
        return noise_at(at).surprise(logs)

    clean = minimize(lambda at: surprise([*at, -math.inf]), START[:2], method='L-BFGS-B', bounds=BOUNDS[:2])
    found = minimize(surprise, START, method='L-BFGS-B', bounds=BOUNDS)
    if 2 * (clean.fun - found.fun) < CHI_95:
        return noise_at([*clean.x, -math.inf]), np.zeros((3, 3))
    steps = STEP * np.eye(3)
    corners = [[surprise(found.x + a + b) - surprise(found.x + a - b) - surprise(found.x - a + b) + surprise(found.x - a - b) for a in steps]
               for b in steps]  # fmt: skip
    return noise_at(found.x), np.linalg.pinv(np.array(corners) / (4 * STEP**2), hermitian=True)


def noise_at(at: Sequence[float]) -> Noise:
    """The noise of what is fitted: the logarithm of temperature, its growth, the logarithm of the odds that a label is wrong."""
    temperature, undecided, odds = at
    return Noise(math.exp(temperature), max(undecided, 0.0), 1 / (1 + math.exp(-odds)) if odds > -math.inf else 0.0)


def redrawn(noise: Noise, spread: Floats) -> list[Noise]:
    """What the noise may be, too."""
    if not noise.wrong:
        return [noise]
    centre = [math.log(noise.temperature), noise.undecided, math.log(noise.wrong / (1 - noise.wrong))]
    drawn = np.random.default_rng(0).multivariate_normal(centre, spread, DRAWS, check_valid='ignore')
    return [noise_at(one) for one in np.clip(drawn, *zip(*BOUNDS, strict=True))]


def most_wrong(noise: Noise, logs: Floats) -> float:
    """The highest share of wrong labels that explains the labels nearly as well as none."""
    best = noise.surprise(logs)
    return next(share for share in SHARES if not 2 * (replace(noise, wrong=share).surprise(logs) - best) > CHI_95)


def precision(flagged: Floats, drawn: Sequence[Floats]) -> Share:
    """The share of wrong labels among rows with these scores; its interval holds their luck, and what of the noise is not known: how likely each
    label is wrong in each draw.
    """
    if not len(drawn[0]):
        return Share(0.0, 0.0, 1.0)
    means, dice = [min(max(float(wrong.mean()), 0.0), 1.0) for wrong in drawn], np.random.default_rng(len(flagged))
    return interval(float(1 - flagged.mean()), [dice.binomial(len(flagged), mean) / len(flagged) for mean in means])


def interval(value: float, drawn: Sequence[float]) -> Share:
    """A figure with the middle 95 % of what it was in draws."""
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Share(value, min(float(low), value), max(float(high), value))


def auc(own: Floats, planted: Floats) -> Share:
    """Chance that one of `own` is above one of `planted` (both sorted, ties half), with the interval of Hanley and McNeil (Radiology 143, 1982)."""
    n, m = len(own), len(planted)
    value = float((np.searchsorted(planted, own, 'left') + np.searchsorted(planted, own, 'right')).sum()) / (2 * n * m)
    q1, q2 = value / (2 - value), 2 * value * value / (1 + value)
    spread = math.sqrt(max(0.0, value * (1 - value) + (n - 1) * (q1 - value**2) + (m - 1) * (q2 - value**2)) / (n * m))
    return Share(value, max(0.0, value - Z95 * spread), min(1.0, value + Z95 * spread))


def share_of(hits: int, n: int) -> Share:
    """A share with its Wilson interval."""
    return Share(hits / n, *wilson(hits / n, n))
