"""Stored outcomes removed for good, so that they are asked, and paid for, again. A kill in the middle loses nothing else.

A pack or segment that holds some is written anew without them, whole or not at all, before the old one goes.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from pipelines.replies.facts import Meant, Sum, fact_of
from pipelines.replies.packs import Pack, write_pack
from pipelines.replies.segments import Segment, dead_segments
from schemas.errors import UserError


@dataclass(slots=True)
class Found:
    """What is meant of a store: the keys by the file that holds them, and what they cost."""

    by_part: dict[Pack | Segment, set[str]] = field(default_factory=dict)
    cost: Sum = field(default_factory=Sum)
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def keys(self) -> set[str]:
        """Return the keys, which may stand in several files."""
        return set[str]().union(*self.by_part.values())


@contextmanager
def all_parts(folder: Path) -> Iterator[list[Pack | Segment]]:
    """Give the packs and segments of a store while nobody writes to it and nobody compacts it; raises UserError while somebody does."""
    lock = FileLock(folder / 'compact.lock', blocking=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as e:
        raise UserError(f'{folder}: another process compacts these replies; wait for it, then forget again') from e
    try:
        with dead_segments(folder / 'segments') as segments:
            alive = [path.name for path in sorted((folder / 'segments').glob('*.jsonl')) if path not in segments]
            if alive:
                raise UserError(f'{folder}: expected that nobody writes to it, found the writer of {alive[0]}; wait for that build, or stop it')
            yield [*(Pack(path) for path in sorted((folder / 'packs').glob('*.parquet'))), *map(Segment, segments)]
    finally:
        lock.release()


def find(parts: list[Pack | Segment], meant: Meant) -> Found:
    """Return the outcomes that are meant; only what says which they are is read."""
    found = Found()
    seen: set[str] = set()
    for part in parts:
        for fact in part.facts():
            if meant.holds(fact):
                found.by_part.setdefault(part, set()).add(fact.key)
                if fact.key not in seen:  # two writers may have stored one
                    found.cost.add(fact)
                    found.kinds[fact.kind] += 1
                seen.add(fact.key)
    return found


def drop(found: Found, meant: Meant, packs: Path) -> None:
    """Remove what was found."""
    for part in found.by_part:
        rest = [outcome for outcome in part.outcomes() if not meant.holds(fact_of(outcome))]
        if rest:
            write_pack(packs, rest)
        part.remove()
