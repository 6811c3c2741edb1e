"""A sample of a benchmark: the same items on every machine, of every part its share, and what is scored together whole."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from model.evaluation.rules import BENCHES


@dataclass(frozen=True, slots=True)
class Sample:
    """The items that were drawn. A smaller sample of the same seed is part of a larger one."""

    ids: frozenset[str]
    of: int  # items there were
    asked: int
    seed: int

    def as_record(self) -> dict[str, Any]:
        """What score.json says of it."""
        return {'items': len(self.ids), 'of': self.of, 'asked': self.asked, 'seed': self.seed, 'by': 'sha256 of seed, benchmark and item id'}


def draw_sample(bench: str, items: Iterable[dict], n: int, *, seed: int = 0) -> Sample:
    """At least `n` items of a benchmark, whole groups by the hash of their name: a group of every part first, then of each part its share."""
    rule = BENCHES[bench]
    groups: dict[str, list[str]] = defaultdict(list)
    part_of: dict[str, str] = {}
    for item in items:
        name = rule.unit(item)
        groups[name].append(item['item_id'])
        part_of.setdefault(name, str(item['meta'].get(rule.part, '')))
    ids: list[str] = []
    for name in in_turn(bench, part_of, seed):
        if len(ids) >= n:
            break
        ids += groups[name]
    return Sample(frozenset(ids), sum(map(len, groups.values())), n, seed)


def in_turn(bench: str, part_of: dict[str, str], seed: int) -> Sequence[str]:
    """Names of groups, in the order in which they are drawn."""
    parts: dict[str, list[tuple[bytes, str]]] = defaultdict(list)
    for name, part in part_of.items():
        parts[part].append((hashlib.sha256(f'{seed}/{bench}/{name}'.encode()).digest(), name))
    order = [
        (rank > 0, (rank + 0.5) / len(members), digest, name) for members in parts.values() for rank, (digest, name) in enumerate(sorted(members))
    ]
    return [name for *_, name in sorted(order)]
