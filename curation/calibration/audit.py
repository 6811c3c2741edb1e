"""A judge measured by people: which real candidates they look at, and what their labels say about its precision and recall.

A stratum is (source, whether the judge accepted). Within one every candidate is as likely to be looked at, so a stratum's share is
unbiased; over strata each label weighs as many candidates as it stands for.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curation.calibration.planted import rate, wilson

LEAST = 3  # labels of a stratum, where it has them
GOOD, BAD_REJECTED, BAD_CHOSEN, UNSURE = 'good', 'rejected-is-right', 'chosen-is-wrong', 'unsure'
LABELS = (GOOD, BAD_REJECTED, BAD_CHOSEN, UNSURE)
ALL = '(all)'

Stratum = tuple[str, bool]  # (source, accepted)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its 95 % interval; `n` labels stand behind it."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class SourceAudit:
    """What people found on one source, or on all. Precision: how many of the accepted are good. Recall: how many of the good are accepted."""

    source: str
    accepted: int
    refused: int
    unsure: int  # labels left out of the shares
    precision: Estimate
    lost: Estimate  # of the refused, how many were good
    recall: Estimate


def allot(sizes: Mapping[Stratum, int], n: int) -> dict[Stratum, int]:
    """Return how many of each stratum are looked at, `n` in all: half accepted and half refused, by size, at least LEAST where there are so many."""
    given = dict.fromkeys(sizes, 0)
    order = sorted(sizes)
    for _ in range(min(n, sum(sizes.values()))):
        open_ = [stratum for stratum in order if given[stratum] < sizes[stratum]]
        short = [stratum for stratum in open_ if given[stratum] < LEAST]
        given[min(short or open_, key=_Need(sizes, given))] += 1
    return given


@dataclass(frozen=True, slots=True)
class _Need:
    """Orders strata by how much of their share they have: the one that has least comes first."""

    sizes: Mapping[Stratum, int]
    given: Mapping[Stratum, int]

    def __call__(self, stratum: Stratum) -> tuple[float, Stratum]:
        side = sum(size for other, size in self.sizes.items() if other[1] == stratum[1])
        return (self.given[stratum] + 0.5) * side / self.sizes[stratum], stratum


def lottery(name: str) -> bytes:
    """Return the number by which candidates are drawn, and shuffled before a person sees them: it says nothing of the judge."""
    return hashlib.sha256(f'audit/{name}'.encode()).digest()


def measure(sizes: Mapping[Stratum, int], labels: Sequence[tuple[Stratum, str]]) -> list[SourceAudit]:
    """Return the audit of each source that has labels, then of all."""
    by_stratum: dict[Stratum, list[str]] = defaultdict(list)
    for stratum, label in labels:
        by_stratum[stratum].append(label)
    sources = sorted({source for (source, _), _ in labels})
    return [*(_measure(source, sizes, by_stratum) for source in sources), _measure(ALL, sizes, by_stratum)]


def _measure(source: str, sizes: Mapping[Stratum, int], by_stratum: Mapping[Stratum, Sequence[str]]) -> SourceAudit:
    wanted = [stratum for stratum in sorted(sizes) if source in (ALL, stratum[0])]
    totals = {side: sum(sizes[s] for s in wanted if s[1] is side) for side in (True, False)}
    precision, lost = (_share([(sizes[s], by_stratum.get(s, ())) for s in wanted if s[1] is side]) for side in (True, False))
    unsure = sum(label == UNSURE for s in wanted for label in by_stratum.get(s, ()))
    return SourceAudit(source, totals[True], totals[False], unsure, precision, lost, recall_of(precision, lost, totals[True], totals[False]))


def _share(strata: Sequence[tuple[int, Sequence[str]]]) -> Estimate:
    """Return the share of good candidates over strata, each weighing its size; a stratum without a sure label is taken to be like the others."""
    sure = [(size, [label == GOOD for label in labels if label != UNSURE]) for size, labels in strata]
    sure = [(size, hits) for size, hits in sure if hits]
    if not sure:
        return Estimate(math.nan, 0.0, 1.0, 0)
    if len(sure) == 1:
        found = rate(sure[0][1])
        return Estimate(found.value, found.low, found.high, found.total)
    weight = sum(size for size, _ in sure)
    value = sum(size * sum(hits) / len(hits) for size, hits in sure) / weight
    # labels of unequal weight tell as much as this many of equal weight (Kish 1965)
    effective = weight**2 / sum(size**2 / len(hits) for size, hits in sure)
    low, high = wilson(value, effective)
    return Estimate(value, low, high, sum(len(hits) for _, hits in sure))


def recall_of(precision: Estimate, lost: Estimate, accepted: int, refused: int) -> Estimate:
    """Return the recall: accepted good over all good. Its interval joins the worst of both sides, so it is wider than 95 %."""

    def of(p: float, q: float) -> float:
        good = accepted * p + refused * q
        return accepted * p / good if good else math.nan

    if not refused:
        return Estimate(1.0, 1.0, 1.0, precision.n)
    if not accepted:
        return Estimate(0.0, 0.0, 0.0, lost.n)
    low, high = of(precision.low, lost.high), of(precision.high, lost.low)
    return Estimate(of(precision.value, lost.value), low, high, precision.n + lost.n)
