"""The engine: makes the tables of a build, each once, in its working folder; says why one is made again."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import ClassVar

from filelock import Timeout

from pipelines.engine.changes import Described, changes
from pipelines.engine.locks import lock_of
from pipelines.engine.peers import Peers
from pipelines.engine.progress import Watching
from pipelines.engine.runners import Makers, OnRay, makers_of, run_jobs
from pipelines.engine.shards import Job, refuse_pending
from pipelines.engine.step import Step, describe, fingerprint_of, inputs_of
from pipelines.engine.tables import DONE, Table
from pipelines.engine.uses import Uses
from schemas.errors import DamagedTable
from schemas.publish import sweep
from schemas.telling import tell_news

TABLES_AT_ONCE = 100  # made together, each held by a lock that is an open file: a process may have some hundred, and a snapshot more files than that


@dataclass
class Engine:
    """Where steps run, by whom (as a user says), and the working folder, which builds of other recipes may use, too."""

    work: Path
    beam_args: Sequence[str] = ()
    share: tuple[int, int] = (0, 1)  # (i, n): this process makes every n-th shard and waits for the others ...
    peers: Peers | None = None  # ... which are these
    uses: Uses | None = None  # where it is noted which tables the build uses
    workers: int | None = 0  # processes of this machine that make shards, watched; None: one for each core; 0: Beam as the options say
    ray: OnRay | None = None  # a Ray cluster that makes shards, in the place of all of those
    watching: Watching | None = None  # who tells how steps go; default: people alone
    alone_s: float = 0.0  # seconds of each job that this process makes shards before it starts workers for the rest
    ran: list[str] = field(default_factory=list)  # labels of the tables made
    _described: dict[str, Described] = field(default_factory=dict)  # by key, of the tables asked for so far
    _told: set[str] = field(default_factory=set)  # why tables were made again
    _steps: dict[str, Step] = field(default_factory=dict)  # by key of their table, of the tables asked for so far
    _turns: dict[str, int] = field(default_factory=dict)  # by key, the place of a table among those asked for together
    _fresh: dict[str, set[int]] = field(default_factory=dict)  # by key, shards that this run made: what was just written is not compared
    _makers: Makers = field(init=False)
    dry: ClassVar[bool] = False  # whether nothing may be changed

    def __post_init__(self) -> None:
        self._makers = makers_of(self.beam_args, self.workers, self.work, self.ray, self.alone_s)

    def __enter__(self) -> 'Engine':
        return self

    def __exit__(self, *raised: object) -> None:
        """End who makes shards."""
        self._makers.close()

    @property
    def disk(self) -> Path:
        """Return a folder on the disk that is to have room for tables."""
        return self.work

    def begin(self) -> None:
        """Have who makes shards start, so that they are there when the first are planned."""
        self._makers.begin()

    def versions(self, *tables: Table) -> dict[str, int]:
        """Return the versions of the steps that made some tables and all that they are made from, by the names of their tables."""
        found: dict[str, int] = {}
        keys, seen = [table.key for table in tables], set[str]()
        while keys:
            if (key := keys.pop()) not in seen and (described := self._describe(key)):
                seen.add(key)
                found[described['table']] = described['version']
                keys += [of for some in described['tables'].values() for of in some]
        return dict(sorted(found.items()))

    def table(self, step: Step) -> Table:
        """Return the table of a step, made or not."""
        described = describe(step)
        table = Table(self.work / step.TABLE / fingerprint_of(described), step.label())
        self._described[table.key] = described
        self._steps[table.key] = step
        return table

    def run(self, step: Step) -> Table:
        """Return the finished table of a step, which is made if it is not there."""
        return self.run_each([step])[0]

    def run_each(self, steps: Iterable[Step]) -> tuple[Table, ...]:
        """Return the finished tables of several steps; what is to be made of TABLES_AT_ONCE of them is one job.

        Which of them are in one job does not hang on what is made: the processes of a shared build would wait for each other.
        """
        steps = list(steps)
        tables = tuple(self.table(step) for step in steps)
        for turn, table in enumerate(tables):
            self._turns.setdefault(table.key, turn)
        if self.uses is not None and self.share[0] == 0:
            self.uses.note(tables)
        for start in range(0, len(steps), TABLES_AT_ONCE):
            some = slice(start, start + TABLES_AT_ONCE)
            self._finish(steps[some], tables[some])
        return tables

    def _finish(self, steps: list[Step], tables: tuple[Table, ...]) -> None:
        waiting = []
        for step, table in zip(steps, tables, strict=True):
            if table.done() is None:
                waiting.append((step, table))
            else:
                table.prepare(self._described[table.key])  # what it is made of, should just that be damaged
        if waiting:
            self._make(waiting)

    def _make(self, waiting: list[tuple[Step, Table]]) -> None:
        """Make this process's share of the shards of some tables; the first of several processes waits for the rest and finishes them."""
        own, _ = self.share
        self.mend(table for step, _ in waiting for table in inputs_of(step))
        if own > 0:
            for _, table in waiting:
                self._wait(table, table.prepared, partial(range, 1))
        with self._held([table for _, table in waiting]):
            jobs = [self._job(step, table) for step, table in waiting if table.done() is None]
            if any(job.todo for job in jobs):
                with (self.watching or Watching(self.work)).over(jobs):
                    run_jobs(jobs, self._makers)
                for job in jobs:
                    self._fresh.setdefault(job.table.key, set()).update(index for index, _ in job.todo)
            refuse_pending(jobs)
            for job in jobs if own == 0 else ():  # still held, so that one build finishes a table
                self._refuse_lost(job)
                self._wait(job.table, partial(job.table.complete, job.n_shards), partial(self._missed, job))
                job.table.finish(job.n_shards)
        for job in jobs if own > 0 else ():  # not held: who waits for others holds nothing that they may need
            self._wait(job.table, job.table.done, partial(range, 1))
        self.ran += [job.table.label for job in jobs]

    def _job(self, step: Step, table: Table) -> Job:
        own, n = self.share
        if not table.prepared() and (why := '; '.join(self._why(table))) and why not in self._told:
            self._told.add(why)
            tell_news(f'{table.label}: made again, and what follows from it, since {why}')
        table.prepare(self._described[table.key])
        shards = step.shards()
        turn = self._turns.get(table.key, 0)  # of many tables of one shard each process makes some
        mine = [(i, shard) for i, shard in enumerate(shards) if (i + turn) % n == own]
        sweep(table.path)
        unmade = self._unmade(table, [i for i, _ in mine])
        table.sweep({i for i, _ in mine}, unmade)
        return Job(step, table, len(shards), [(i, shard) for i, shard in mine if i in unmade])

    def _unmade(self, table: Table, shards: list[int]) -> set[int]:
        """Return the shards that are to be made; of those that are to be made again, since they were damaged, say so."""
        unfinished = table.said() is None  # a power cut may have come before its files were flushed: all bytes are compared
        faults = {i: fault for i in shards if (fault := table.fault(i, whole=unfinished))}
        lost = [faults[i] for i in faults if table.drop(i)]
        if lost:
            others = f' (and {len(lost) - 1} more)' if len(lost) > 1 else ''
            tell_news(f'{table.label}: made again as far as it is damaged: {lost[0]}{others}')
        elif unfinished and (table.path / DONE).exists():
            tell_news(f'{table.label}: {DONE} is damaged, made again from what lies beside it')
        return set(faults)

    def mend(self, tables: Iterable[Table]) -> None:
        """Make again what is not, to the byte, what was written: of tables that are read next, as far as this run did not make them itself."""
        asked = {table.key: table for table in tables if table.key in self._steps}
        broken = [key for key, table in asked.items() if self._is_broken(table)]
        if broken:
            self.run_each([self._steps[key] for key in broken])

    def _is_broken(self, table: Table) -> bool:
        done, fresh = table.done(), self._fresh.get(table.key, ())
        if done is None:
            return True
        faults = [table.fault(index, whole=True) for index in range(done['shards']) if index not in fresh]  # of all: they are remembered
        return any(faults)

    def explain(self, name: str) -> list[str]:
        """Return why a table (by its name, or its label where there is one for each source) is not the one that this build used before.

        Each sentence is a first cause: a setting or an input, what it was and what it is. [] where the table is the same, or is new. Raises
        KeyError for a table that was not asked for.
        """
        asked = {described['label']: key for key, described in self._described.items()}
        return self._why(Table(self.work / asked[name], name))

    def _why(self, table: Table) -> list[str]:
        before = self.uses.before(table) if self.uses else None
        return list(changes(before, table.key, self._describe)) if before else []

    def _describe(self, key: str) -> Described | None:
        """Return what a table is made of: one asked for, or one that lies in the working folder."""
        return self._described.get(key) or Table(self.work / key).described()

    @contextmanager
    def _held(self, tables: list[Table]) -> Iterator[None]:
        """Hold this process's share of some tables: a build of another recipe that needs the same ones waits until they are made."""
        with ExitStack() as stack:
            for table in sorted(tables, key=attrgetter('key')):  # in one order, so that no two wait for each other
                table.path.mkdir(parents=True, exist_ok=True)
                stack.enter_context(_alone(table.path / f'.lock-{self.share[0]}', f'{table.label}: waiting for another build, which makes it'))
            yield

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Hold the right to ask models: builds in one working folder ask one after the other, so that the later finds what the earlier paid for."""
        with ExitStack() as stack:
            if self.share[0] == 0:  # the others of a shared build follow the first
                stack.enter_context(_alone(self.work / '.lock-models', 'models: waiting for another build, which asks them'))
            yield

    def _wait(self, table: Table, until: Callable[[], object], needed: Callable[[], Iterable[int]]) -> None:
        """Return when the other processes of a shared build, of which some are needed for that, have come so far."""
        if not until():
            assert self.peers is not None, f'{table.key}: there is nobody to wait for'
            self.peers.wait(until, table.key, table.label, needed)

    def wait_for(self, path: Path) -> None:
        """Return when the first process of a shared build has made `path`."""
        if not path.exists():
            assert self.peers is not None, f'{path}: there is nobody to wait for'
            self.peers.wait(path.exists, str(path), path.parent.name, partial(range, 1))

    def _refuse_lost(self, job: Job) -> None:
        for index, _ in job.todo:
            if fault := job.table.fault(index):
                raise DamagedTable(f'{job.table.path}: {fault}, right after it was written; look after the disk, then run the same command again')

    def _missed(self, job: Job) -> set[int]:
        """Return the processes of a shared build whose shards are missing, or damaged: those are for them to make again."""
        turn = self._turns.get(job.table.key, 0)
        return {(index + turn) % self.share[1] for index in range(job.n_shards) if job.table.fault(index)}


@contextmanager
def _alone(path: Path, waiting: str) -> Iterator[None]:
    """Hold a lock; where another build has it, say so and wait."""
    lock = lock_of(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        tell_news(waiting)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
