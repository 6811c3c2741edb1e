"""What a threshold on the ratings would do, by planted wrong labels: how many wrong labels it finds, and how many of what it finds are wrong.

Each rated row has a planted answer beside its own, drawn as a wrong label would be. A row whose label is wrong scores like the planted ones, so of
the scores below a low quantile of theirs the planted share tells how many labels are wrong at all (J. D. Storey, J. R. Stat. Soc. B 64, 2002, on
p-values: here a row's rank among the planted scores). What a model is surely wrong about looks the same: the shares are estimates from above
where it has not learnt what it is asked, which is why chance is looked at first.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.evaluation.intervals import wilson

THRESHOLDS = tuple(round(step * 10.0**power, 6) for power in (-4, -3, -2, -1) for step in (1, 1.5, 2, 3, 5, 7) if step * 10.0**power <= 0.5)
TAILS = (0.25, 0.5)  # shares of the planted scores below which labels are counted: of these the lower estimate, since right labels stand there too
FEWEST = 8  # labels below the planted median: fewer may all be the model's own mistakes
DRAWS = 400  # of the intervals
Z95 = 1.96

Scores = NDArray[np.float64]


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
class Calibration:
    """How far the ratings of some rows can be trusted."""

    source: str  # '' for all
    rows: int
    auc: Share  # chance that a row's own answer scores above a planted one; wrong labels among the rows lower it
    wrong: Share  # share of wrong labels
    lines: tuple[Line, ...]

    @property
    def is_chance(self) -> bool:
        """Whether the ratings cannot be told from dice."""
        return not self.auc.low > 0.5

    def pick(self, precision: float) -> Line | None:
        """The highest threshold whose precision is at least this, None where there is none that flags FEWEST rows: of fewer a share says nothing."""
        if self.is_chance:
            return None
        fits = [line for line in self.lines if line.flagged >= FEWEST and line.precision.value >= precision]
        return fits[-1] if fits else None


def calibrate(source: str, scores: Sequence[float], planted: Sequence[float]) -> Calibration:
    """The calibration of rows with these scores of their own and of planted answers."""
    own, wrong = np.sort(np.asarray(scores, float)), np.sort(np.asarray(planted, float))
    cuts = [(float(np.quantile(wrong, tail)), 'right') for tail in TAILS]  # of scores that are too small for a float many are 0: those count
    ends = [*cuts, *((threshold, 'left') for threshold in THRESHOLDS)]
    below_own, below_wrong = (np.array([np.searchsorted(values, at, side) for at, side in ends]) for values in (own, wrong))
    share, precision = estimates(below_own, below_wrong, len(own))
    drawn = [estimates(redrawn(below_own, len(own), number), redrawn(below_wrong, len(own), DRAWS + number), len(own)) for number in range(DRAWS)]
    lines = tuple(
        Line(
            threshold, int(below_own[len(TAILS) + place]), interval(precision[place], [one[place] for _, one in drawn]),
            share_of(int(below_wrong[len(TAILS) + place]), len(own)),
        )
        for place, threshold in enumerate(THRESHOLDS)
    )  # fmt: skip
    return Calibration(source, len(own), auc(own, wrong), interval(share, [one for one, _ in drawn]), lines)


def estimates(own: NDArray[np.int64], planted: NDArray[np.int64], n: int) -> tuple[float, list[float]]:
    """Share of wrong labels, and the precision of each threshold, from counts below the cuts of TAILS and THRESHOLDS."""
    tails = len(TAILS)
    ratios = own[:tails] / np.maximum(planted[:tails], 1)
    wrong = float(ratios.min()) if own[tails - 1] >= FEWEST else 0.0
    flagged = own[tails:]
    precision = np.where(flagged > 0, np.minimum(1.0, wrong * planted[tails:] / np.maximum(flagged, 1)), 0.0)
    return min(wrong, 1.0), precision.tolist()


def redrawn(below: NDArray[np.int64], n: int, seed: int) -> NDArray[np.int64]:
    """The counts below some cuts, had the rows been drawn again."""
    order = np.argsort(below, kind='stable')
    parts = np.diff([0, *below[order], n])
    found = np.empty_like(below)
    found[order] = np.cumsum(np.random.default_rng(seed).multinomial(n, parts / n))[:-1]
    return found


def interval(value: float, drawn: Sequence[float]) -> Share:
    """A figure with the middle 95 % of what it was in draws."""
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Share(value, min(float(low), value), max(float(high), value))


def auc(own: Scores, planted: Scores) -> Share:
    """Chance that one of `own` is above one of `planted` (both sorted, ties half), with the interval of Hanley and McNeil (Radiology 143, 1982)."""
    n, m = len(own), len(planted)
    value = float((np.searchsorted(planted, own, 'left') + np.searchsorted(planted, own, 'right')).sum()) / (2 * n * m)
    q1, q2 = value / (2 - value), 2 * value * value / (1 + value)
    spread = math.sqrt(max(0.0, value * (1 - value) + (n - 1) * (q1 - value**2) + (m - 1) * (q2 - value**2)) / (n * m))
    return Share(value, max(0.0, value - Z95 * spread), min(1.0, value + Z95 * spread))


def share_of(hits: int, n: int) -> Share:
    """A share with its Wilson interval."""
    return Share(hits / n, *wilson(hits / n, n))
