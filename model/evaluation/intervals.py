"""How far a figure would move with other items of the same kind: 95 % intervals, for one checkpoint and for the difference of two.

Bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993): groups are drawn with replacement within their part of the benchmark, and
the benchmark's own sum is made of each draw. A group is what is scored together (MME's two questions of a picture, MMBench's orders, HallusionBench's
sets), elsewhere all questions about the same pictures: their errors go together. Where every draw gives the same (all right, none, a single group),
the bootstrap says nothing, and the interval is Wilson's over the groups.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from statistics import NormalDist, quantiles

from model.evaluation.rules import BENCHES
from model.evaluation.scores import Metrics, Scored, itself

LEVEL = 0.95
MOST_DRAWS, FEWEST_DRAWS = 1000, 200
WORK = 2_000_000  # items summed in all: with more items fewer draws, which move the ends by little
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
Drawn = Sequence[tuple[int, int]]  # number of a group, and which copy of it
Interval = tuple[float, float]


def figure_intervals(bench: str, scored: Sequence[Scored], metrics: Metrics | None = None) -> dict[str, Interval]:
    """The interval of each figure that `metrics` (the benchmark's own) makes of the items."""
    metrics = metrics or BENCHES[bench].metrics
    if not metrics(scored):
        return {}
    groups = group_items(bench, scored)
    copies = Copies(scored, groups)
    found = bootstrap(bench, scored, groups, lambda drawn: metrics(copies.of(drawn)))
    if bench == 'mme':  # its figures are points, not shares
        return found
    same = {name: low for name, (low, high) in found.items() if low == high and 0 <= low <= 100}
    return found | {name: of_a_share(bench, scored, groups, name, value) for name, value in same.items()}


def difference_intervals(bench: str, ours: Sequence[Scored], theirs: Sequence[Scored], metrics: Metrics | None = None) -> dict[str, Interval]:
    """The interval of our figure minus theirs, of each figure: the same items of both in every draw. Item k of both is the same item."""
    metrics = metrics or BENCHES[bench].metrics
    groups = group_items(bench, ours)
    us, them = Copies(ours, groups), Copies(theirs, groups)

    def differences(drawn: Drawn) -> dict[str, float]:
        a, b = metrics(us.of(drawn)), metrics(them.of(drawn))
        return {name: value - b[name] for name, value in a.items() if name in b}

    return bootstrap(bench, ours, groups, differences)


class Copies:
    """The items of groups, those that were drawn again marked as copies."""

    def __init__(self, scored: Sequence[Scored], groups: Sequence[Sequence[int]]):
        self.made = {(number, 0): [scored[place] for place in group] for number, group in enumerate(groups)}

    def of(self, drawn: Drawn) -> list[Scored]:
        """The items of a draw."""
        found: list[Scored] = []
        for number, copy in drawn:
            if (number, copy) not in self.made:
                self.made[number, copy] = [replace(one, draw=copy) for one in self.made[number, 0]]
            found += self.made[number, copy]
        return found


def group_items(bench: str, scored: Sequence[Scored]) -> list[list[int]]:
    """Places of the items that are drawn together."""
    unit = BENCHES[bench].unit
    groups = defaultdict(list)
    for place, one in enumerate(scored):
        pictures = one.item.get('pictures') if unit is itself else None
        groups['/'.join(pictures) if pictures else unit(one.item)].append(place)
    return list(groups.values())


def bootstrap(
    bench: str, scored: Sequence[Scored], groups: Sequence[Sequence[int]], figures: Callable[[Drawn], dict[str, float]]
) -> dict[str, Interval]:
    """The middle 95 % of each figure over draws of the groups, always the same draws."""
    strata: dict[frozenset[str], list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        strata[frozenset(part_of(bench, scored[place]) for place in group)].append(number)
    values: dict[str, list[float]] = defaultdict(list)
    dice = random.Random(0)
    for _ in range(min(MOST_DRAWS, max(FEWEST_DRAWS, WORK // len(scored)))):
        for name, value in figures(draw(strata.values(), dice)).items():
            values[name].append(value)
    return {name: middle(found) for name, found in values.items()}


def draw(strata: Iterable[Sequence[int]], dice: random.Random) -> list[tuple[int, int]]:
    """As many groups of each stratum as it has, with replacement."""
    times = [Counter(dice.choices(stratum, k=len(stratum))) for stratum in strata]
    return [(number, copy) for counted in times for number, n in counted.items() for copy in range(n)]


def part_of(bench: str, one: Scored) -> str:
    """Which part of the benchmark an item is of."""
    return str(one.item['meta'].get(BENCHES[bench].part, ''))


def middle(values: Sequence[float]) -> Interval:
    """The ends of the middle 95 %."""
    cuts = quantiles(values, n=40, method='inclusive')
    return round(cuts[0], 9), round(cuts[-1], 9)  # sums in another order leave crumbs


def of_a_share(bench: str, scored: Sequence[Scored], groups: Sequence[Sequence[int]], name: str, value: float) -> Interval:
    """Wilson's interval of a share in percent, over the groups of the part that the figure is of."""
    part = name.partition('/')[2]
    n = sum(any(part_of(bench, scored[place]) == part for place in group) for group in groups) or len(groups)
    low, high = wilson(value / 100, n)
    return 100 * low, 100 * high


def wilson(share: float, n: float) -> Interval:
    """The 95 % interval of a share of `n` (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    centre, spread = share + Z * Z / (2 * n), Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    scale = 1 + Z * Z / n
    return round(max(0.0, (centre - spread) / scale), 9), round(min(1.0, (centre + spread) / scale), 9)
