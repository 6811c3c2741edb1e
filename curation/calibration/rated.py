"""How far ratings can be trusted in a source, from planted cases: can they tell wrong from right, and what does a threshold find?"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from curation.calibration.planted import CONSTANT_SHARE, NOTHING, Rate, auc_interval, auc_of, rate

THRESHOLDS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)  # of a probability, that are shown
SUPPORT = 0.25  # of the planted wrong ones must lie below a threshold that tells how many of a source's own are wrong, ...
LEAST = 8  # ... and at least so many: fewer tell nothing


@dataclass(frozen=True, slots=True)
class Cut:
    """What a threshold does: planted wrong cases below it (recall), the source's own answers below it, and how many of these are wrong."""

    below: float
    recall: Rate
    own: Rate
    precision: float  # NaN where nothing of the source's own lies below
    precision_low: float  # from the ends of both intervals
    precision_high: float


@dataclass(frozen=True, slots=True)
class RatingReport:
    """How good the ratings for one question are on one source, by one rater or by all together."""

    source: str
    ask: str
    by: str
    counts: tuple[tuple[str, int], ...]  # plant -> cases with a rating
    unread: int  # cases without
    auc: float  # wrong below own: 1 perfect, 0.5 chance; a source's own wrong answers lower it
    auc_low: float
    auc_high: float
    auc_of: tuple[tuple[str, float], ...]  # for each plant
    wrong: float  # of the source's own answers, the share that is wrong, at the most: no threshold leaves room for more
    cuts: tuple[Cut, ...]
    chosen: float | None = None  # the threshold that reaches the precision asked for
    fault: str = ''  # why ratings may leave nothing out here


@dataclass(frozen=True, slots=True)
class Scored:
    """One planted case and its rating, None where there is none."""

    plant: str
    good: bool
    score: float | None


def report_ratings(
    about: tuple[str, str, str], cases: Sequence[Scored], own: Sequence[float] | np.ndarray, *, min_auc: float, precision: float | None
) -> RatingReport:
    """Return the report on the ratings of one source (`about`: source, question, rater). `own`: the ratings of all its own answers that were rated.

    With `precision` the threshold that reaches it is `chosen`.
    """
    scored = [(case.score, case.good) for case in cases if case.score is not None]
    wrong = np.sort([score for score, good in scored if not good])
    mine = np.sort(np.asarray(own if len(own) else [score for score, good in scored if good], float))
    auc = auc_of(scored)
    low, high = auc_interval(auc, sum(good for _, good in scored), sum(not good for _, good in scored))
    plants = sorted({case.plant for case in cases if not case.good})
    right = [(score, True) for score, good in scored if good]
    each = tuple((plant, auc_of([*right, *((c.score, False) for c in cases if c.plant == plant and c.score is not None)])) for plant in plants)
    share = share_wrong(wrong, mine)
    chosen = choose(wrong, mine, share, precision) if precision is not None else None
    marks = [*(THRESHOLDS if not mine.size or mine[0] >= 0 and mine[-1] <= 1 else ()), *([chosen] if chosen is not None else [])]
    report = RatingReport(
        *about, tuple(sorted(Counter(case.plant for case in cases if case.score is not None).items())), sum(case.score is None for case in cases),
        auc, low, high, each, share, tuple(cut_at(below, wrong, mine, share) for below in sorted(marks)), chosen,
    )
    return replace(report, fault=_fault(report, scored, min_auc))


def share_wrong(wrong: np.ndarray, own: np.ndarray) -> float:
    """Return what share of a source's own answers can be wrong at the most: if so many were, that many of them would lie below each threshold.

    Of planted wrong answers a share r(t) lies below t, of the own ones q(t). If a share p of these is wrong, q(t) >= p r(t) for each t: the lowest
    q(t) / r(t) bounds p, and is p where no right answer lies below some t (Blanchard, Lee and Scott, JMLR 11, 2010). NaN without cases.
    """
    if not wrong.size or not own.size:
        return math.nan
    marks = np.unique(wrong)
    below = np.searchsorted(wrong, marks, 'right')
    enough = below >= max(min(LEAST, wrong.size), SUPPORT * wrong.size)
    q, r = np.searchsorted(own, marks, 'right') / own.size, below / wrong.size
    return float(min(1.0, (q[enough] / r[enough]).min()))


def choose(wrong: np.ndarray, own: np.ndarray, share: float, precision: float) -> float | None:
    """Return the threshold that finds most wrong answers while so large a share of the own answers below it is wrong; None where there is none.

    Of thresholds that find as many the lowest, half-way to the next rating above: what lies between adds right answers only.
    """
    if not wrong.size or not own.size:
        return None
    marks = np.union1d(own, wrong)
    q, r = np.searchsorted(own, marks, 'right') / own.size, np.searchsorted(wrong, marks, 'right') / wrong.size
    good = np.flatnonzero((q > 0) & (share * r >= precision * q))
    if not good.size:
        return None
    best = int(good[r[good].argmax()])  # the first of equals
    return float((marks[best] + marks[best + 1]) / 2) if best + 1 < len(marks) else float(np.nextafter(marks[best], math.inf))


def cut_at(below: float, wrong: np.ndarray, own: np.ndarray, share: float) -> Cut:
    """Return what a threshold does."""
    recall, mine = (rate((side < below).tolist()) if side.size else NOTHING for side in (wrong, own))
    if not mine.hits:
        return Cut(below, recall, mine, math.nan, math.nan, math.nan)
    ends = (share * recall.value / mine.value, share * recall.low / mine.high, share * recall.high / max(mine.low, 1e-9))
    return Cut(below, recall, mine, *(min(1.0, end) for end in ends))


def _fault(report: RatingReport, scored: Sequence[tuple[float, bool]], min_auc: float) -> str:
    where = f'{report.ask} on source {report.source!r}, as {report.by} rates it'
    if math.isnan(report.auc):
        return f'{where}: expected rated planted cases of both kinds, found {dict(report.counts)}, {report.unread} without a rating'
    most = Counter(score for score, _ in scored).most_common(1)[0][1]
    if most >= CONSTANT_SHARE * len(scored):
        return f'{where}: expected different ratings for different cases, found one for {most / len(scored):.0%} of them'
    if report.auc <= min_auc or report.auc_low <= 0.5:
        return (f'{where}: expected an AUC above {min_auc:g} and surely above chance, found {report.auc:.2f} '
                f'({report.auc_low:.2f} to {report.auc_high:.2f})')
    return ''
