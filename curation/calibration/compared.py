"""Two judges on the same cases: what each finds, and whether the difference is more than these cases can show.

Both score the same cases, and several cases come from one sample, so neither judges nor cases are independent. Intervals are therefore those of
sums over samples (each sample's influence on the figure, or on the difference of two figures; for the AUC these are the placement values of
DeLong et al. 1988, summed by cluster as in Obuchowski 1997). Nothing is drawn at random: the same cases give the same figures.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from curation.calibration.planted import wilson

LEAST = 10  # good and bad cases that both have scored; with fewer nothing is said of which is better
ALL = '(all)'


@dataclass(frozen=True, slots=True)
class SharedCase:
    """One case that two judges were asked about. A score is None where the judge's reply gave none: it refuses then."""

    name: str
    sample_id: str
    source: str
    good: bool  # whether a good judge accepts it
    scores: tuple[float | None, float | None]
    accepts: tuple[bool, bool]  # at each judge's own margin
    weight: float = 1.0  # how many cases of the build it stands for


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its 95 % interval; NaN where there is nothing to tell it from."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Pair:
    """A figure of both judges and how much higher the second's is. `sure`: whether the interval of the difference leaves out 0."""

    a: Figure
    b: Figure
    difference: Figure

    @property
    def sure(self) -> bool:
        """Whether these cases can show that the two differ."""
        return self.difference.low > 0 or self.difference.high < 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two judges on the shared cases of one source, or of all. `unread`: cases that got no score from the first, and from the second."""

    source: str
    good: int
    bad: int
    unread: tuple[int, int]
    auc: Pair  # of the cases that both have scored
    caught: Pair  # bad cases refused
    lost: Pair  # good cases refused
    agree: Figure  # same decision

    @property
    def better(self) -> str:
        """'a' or 'b' where one tells good from bad better than these cases leave to chance, else ''."""
        if not self.auc.sure or min(self.good, self.bad) < LEAST:
            return ''
        return 'b' if self.auc.difference.value > 0 else 'a'


def compare_cases(cases: Sequence[SharedCase]) -> list[Comparison]:
    """Return the comparison on each source, then on all where there are several; the same whatever the order of the cases."""
    by_source: dict[str, list[SharedCase]] = defaultdict(list)
    for case in sorted(cases, key=_by_name):
        by_source[case.source].append(case)
    found = [_compare(source, some) for source, some in sorted(by_source.items())]
    return found if len(found) < 2 else [*found, _compare(ALL, [case for _, some in sorted(by_source.items()) for case in some])]


def _by_name(case: SharedCase) -> tuple[str, str]:
    return case.name, case.sample_id


def _compare(source: str, cases: Sequence[SharedCase]) -> Comparison:
    good, bad = ([case for case in cases if case.good is side] for side in (True, False))
    unread = (sum(case.scores[0] is None for case in cases), sum(case.scores[1] is None for case in cases))
    agree = _share([case.accepts[0] == case.accepts[1] for case in cases], np.array([case.weight for case in cases]))
    return Comparison(source, len(good), len(bad), unread, _auc_pair(cases), _refused(bad), _refused(good), agree)


def _auc_pair(cases: Sequence[SharedCase]) -> Pair:
    scored = [case for case in cases if None not in case.scores]
    good = np.array([case.good for case in scored], bool)
    if good.all() or not good.any():
        return Pair(*[Figure(math.nan, math.nan, math.nan)] * 3)
    weights = np.array([case.weight for case in scored])
    samples = [case.sample_id for case in scored]
    (a, of_a), (b, of_b) = (auc_influence(np.array([case.scores[side] for case in scored], float), good, weights) for side in (0, 1))
    fewest = min(good.sum(), (~good).sum())
    return Pair(_bounded(a, of_a, samples, fewest), _bounded(b, of_b, samples, fewest), _around(b - a, half_width(of_b - of_a, samples)))


def auc_influence(scores: np.ndarray, good: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the chance that a good case scores above a bad one, ties counting half, and float[N]: how much each case moves it."""
    moved = np.zeros(len(scores))
    auc = 0.0
    for side, sign in ((good, 1), (~good, -1)):
        above = _share_below(sign * scores[side], sign * scores[~side], weights[~side])
        auc = float(np.average(above, weights=weights[side]))
        moved[side] = weights[side] * (above - auc) / weights[side].sum()
    return auc, moved


def _share_below(scores: np.ndarray, others: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return, for each score, the weighted share of the others that lie below it, those equal to it counting half."""
    order = np.argsort(others, kind='stable')
    sums = np.concatenate([[0.0], np.cumsum(weights[order])])
    left, right = (np.searchsorted(others[order], scores, side) for side in ('left', 'right'))
    return (sums[left] + sums[right]) / (2 * sums[-1])


def half_width(moved: np.ndarray, samples: Sequence[str]) -> float:
    """Return half the 95 % interval of a figure from how much each case moves it; the cases of one sample move it together."""
    numbers = np.unique(np.array(samples, object), return_inverse=True)[1] if len(samples) else np.zeros(0, int)
    sums = np.bincount(numbers, weights=moved)
    n = len(sums)
    return float(stdtrit(n - 1, 0.975)) * math.sqrt(n / (n - 1) * float((sums**2).sum())) if n > 1 else math.nan


def _refused(cases: Sequence[SharedCase]) -> Pair:
    if not cases:
        return Pair(*[Figure(math.nan, math.nan, math.nan)] * 3)
    weights = np.array([case.weight for case in cases])
    a, b = ([not case.accepts[side] for case in cases] for side in (0, 1))
    apart = np.array(b, float) - np.array(a, float)
    value = float(np.average(apart, weights=weights))
    moved = weights * (apart - value) / weights.sum()
    return Pair(_share(a, weights), _share(b, weights), _around(value, half_width(moved, [case.sample_id for case in cases])))


def _share(hits: Sequence[bool], weights: np.ndarray) -> Figure:
    """Return a share with its Wilson interval; cases of unequal weight tell as much as fewer of equal weight (Kish 1965)."""
    value = float(np.average(np.array(hits, float), weights=weights))
    return Figure(value, *wilson(value, float(weights.sum() ** 2 / (weights**2).sum())))


def _around(value: float, half: float) -> Figure:
    return Figure(value, max(-1.0, value - half), min(1.0, value + half)) if not math.isnan(half) else Figure(value, -1.0, 1.0)


def _bounded(auc: float, moved: np.ndarray, samples: Sequence[str], fewest: int) -> Figure:
    """Return an AUC with its interval; where every case agrees there is no spread to tell it from, and it is that of a share of as many cases."""
    half = half_width(moved, samples)
    if not half > 0:
        return Figure(auc, *wilson(auc, float(fewest)))
    return Figure(auc, max(0.0, auc - half), min(1.0, auc + half))
