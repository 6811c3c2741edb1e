"""How a step goes: what of it is made, how fast, what is left, and the calls to models meanwhile; measured from the files that shards leave."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Protocol

from pipelines.engine.shards import Job
from pipelines.engine.tables import shard_name
from pipelines.engine.under_way import UnderWay
from schemas.publish import read_checked
from schemas.telling import length_of


class Spent(Protocol):
    """What the calls of a build cost so far."""

    @property
    def requests(self) -> int:
        """All posts."""

    @property
    def tries(self) -> int:
        """Those of them that brought no reply."""

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens."""

    @property
    def money(self) -> float:
        """In the currency of the recipe's prices."""


@dataclass(frozen=True, slots=True)
class Going:
    """A step at one moment. Rates are of this run, and None where nothing was made yet; `left_s` is None where it cannot be told."""

    step: str
    shards: int  # made, by whomever
    of_shards: int
    rows: int
    seconds: float  # since this run began with it
    rows_per_s: float | None = None
    left_s: float | None = None
    calls: int = 0  # answered in this run
    of_calls: int = 0  # that it makes at most, 0 where that is not known
    calls_per_s: float | None = None
    under_way: int = 0  # calls
    without_reply: int = 0  # posts that brought none, in this run
    tokens: int = 0  # of the whole build so far
    money: float = 0.0

    def line(self) -> str:
        """Return it as people read it."""
        return f'{self.step}: {self.about()}'

    def about(self) -> str:
        """Return the same without the step's name."""
        parts = [f'{self.shards:,} of {self.of_shards:,} shard(s), {self.rows:,} row(s)', *self._pace(), *self._calls()]
        return ', '.join(parts) + f'; {length_of(self.seconds)} so far'

    def _pace(self) -> Iterator[str]:
        if self.rows_per_s:
            yield f'{rate_of(self.rows_per_s)} rows'
        if self.left_s is not None:
            yield f'about {length_of(self.left_s)} left'

    def _calls(self) -> Iterator[str]:
        if self.calls or self.under_way or self.without_reply:
            most = f' of at most {self.of_calls:,}' if self.of_calls else ''
            pace = f' ({rate_of(self.calls_per_s)})' if self.calls_per_s else ''
            yield f'{self.calls:,}{most} call(s) answered{pace}, {self.under_way:,} under way, {self.without_reply:,} without a reply'
        if self.tokens:
            yield f'{self.tokens:,} tokens' + (f' and {self.money:,.4g} of money' if self.money else '') + ' by now'


def going_of(said: object) -> Going | None:
    """Return what a note tells of a step, None where it tells of none, or another version wrote it."""
    known = {each.name for each in fields(Going)}
    return Going(**said) if isinstance(said, dict) and said.keys() == known else None


@dataclass
class Looking:
    """Looks again and again at what some jobs have made since it began to look."""

    jobs: Sequence[Job]
    spent: Callable[[], Spent | None]
    calls_under_way: UnderWay
    clock: Callable[[], float]
    _seen: dict[str, int] = field(default_factory=dict)  # path of a shard's counts -> its rows
    _of_calls: int = 0

    def __post_init__(self) -> None:
        self._began = self.clock()
        self._spent_before = self.spent()
        self._own = {f'{job.table.path}/{shard_name(index)}' for job in self.jobs for index, _ in job.todo}
        self._n = sum(job.n_shards for job in self.jobs)
        self.step = '+'.join(dict.fromkeys(job.table.name for job in self.jobs))

    def count_calls(self) -> None:
        """Find out how many calls there are to make, which reads a column or two of what the steps are made from."""
        with suppress(OSError, ValueError):  # of a damaged table, which is told by who makes something of it
            self._of_calls = sum(job.step.most_calls([shard for _, shard in job.todo]) for job in self.jobs)

    def begun(self) -> Going:
        """Return how it goes before anything is made."""
        return Going(self.step, self._n - len(self._own), self._n, 0, 0.0)

    def look(self) -> Going:
        """Return how it goes: of all processes what is made, of this one how fast."""
        shards = list(self._shards())
        for path in shards:
            if path not in self._seen:
                self._seen[path] = _rows_of(path)
        seconds, made = self.clock() - self._began, [path for path in shards if path in self._own]
        rows_per_s = _per(sum(map(self._seen.__getitem__, made)), seconds)
        calls = self._calls(seconds)
        left_s = (len(self._own) - len(made)) * seconds / len(made) if made else _left(calls)
        return Going(self.step, len(shards), self._n, sum(map(self._seen.__getitem__, shards)), seconds, rows_per_s, left_s, **calls)

    def _calls(self, seconds: float) -> dict:
        now, before = self.spent(), self._spent_before
        found = {'of_calls': self._of_calls, 'under_way': self.calls_under_way.count()}
        if now is None:
            return found
        lost = now.tries - (before.tries if before else 0)
        calls = now.requests - (before.requests if before else 0) - lost
        told = {'calls': calls, 'calls_per_s': _per(calls, seconds), 'without_reply': lost}
        return {**found, **told, 'tokens': now.tokens, 'money': now.money}

    def _shards(self) -> Iterable[str]:
        for job in self.jobs:
            yield from (f'{job.table.path}/{name}' for name in sorted(os.listdir(job.table.path)) if name.startswith('shard-'))


def _rows_of(path: str) -> int:
    """Return the rows that a shard's counts tell of; 0 of a file that says nothing."""
    said = read_checked(Path(path)) or {}
    counts = said.get('counts', said)
    return counts.get('rows/part', 0) if isinstance(counts, dict) else 0


def _per(n: int, seconds: float) -> float | None:
    return n / seconds if n and seconds else None


def _left(calls: dict) -> float | None:
    rate, most = calls.get('calls_per_s'), calls['of_calls']
    return max(0, most - calls['calls']) / rate if rate and most else None


def rate_of(per_s: float) -> str:
    """Return a rate as people say it."""
    return f'{per_s:.2g}/s' if per_s < 10 else f'{per_s:,.0f}/s'
