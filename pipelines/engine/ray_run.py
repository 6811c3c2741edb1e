"""The shards of some steps made by a crew on a Ray cluster: sent as there is room, counted when they come back, sent again when they are lost."""

import itertools
import pickle
import time
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayError, RayTaskError, RuntimeEnvSetupError

from pipelines.engine.pool import Shard
from pipelines.engine.ray_crews import Actors, Tasks
from pipelines.engine.ray_deaths import NODE, OUT_OF_MEMORY, UNKNOWN, Ends, explain_ends, one_line
from pipelines.engine.ray_worker import Home, Order
from pipelines.engine.shards import Job
from schemas.errors import BudgetExceeded, PendingWork, UserError
from schemas.telling import tell_news

LOOK_S = 0.5  # between two looks at the cluster, and at what workers tell
TELLS_S = 5.0  # for what workers tell
PATIENCE_S = 60.0  # without anybody who works: then it is told for what is waited
UNABLE = (RuntimeEnvSetupError, RayTaskError)  # what is no death: a node without our code, or what it needs
MOST_ENDS = 3  # of workers that tried to make one shard; then it is for people
MOST_UNBORN = 6  # actors in a row that ended before they could say a word

_numbers = itertools.count()


@dataclass
class Round:
    """What is to be made, who is at what, and which shards have lost their workers how often."""

    jobs: list[Job]
    home: Home
    crew: Tasks | Actors
    log: Path  # to which stacks of dead workers are added
    _todo: deque[Shard] = field(default_factory=deque)
    _sent: dict[Any, tuple[Shard, str]] = field(default_factory=dict)  # by the reference of the answer: with the name of the call
    _ends: dict[tuple[int, int], Ends] = field(default_factory=lambda: defaultdict(Ends))
    _number: int = field(default_factory=_numbers.__next__)
    _unborn: int = 0
    _looked: float = 0.0
    _heard: float = field(default_factory=time.monotonic)

    def make(self) -> None:
        """Make all shards; raises what a step raises on a worker, and PendingWork for a shard that ends one worker after the other.

        Whatever it raises, nothing runs on the cluster any more.
        """
        self._todo.extend(Shard(number, index, value) for number, job in enumerate(self.jobs) for index, value in job.todo)
        steps = [ray.put(pickle.dumps((job.step, job.table.path))) for job in self.jobs]
        try:
            spent = self._make(steps)
            self._tell()
            if spent:
                raise spent
            self.crew.release()
        except BaseException:
            self.crew.stop()
            self._tell()
            raise

    def _make(self, steps: list[Any]) -> BudgetExceeded | None:
        spent: BudgetExceeded | None = None
        while self._todo or self._sent:
            self._look()
            while self._todo and self.crew.room() > 0:
                self._send(self._todo.popleft(), steps)
            for call in self._answered():
                error = self._hear(call)
                if isinstance(error, BudgetExceeded):
                    spent = spent or error  # the others store what they have in flight, and find the budget spent, too
                    self._todo.clear()
                elif error is not None:
                    raise error
        return spent

    def _look(self) -> None:
        """Look how much room there is, who has come, and what is told."""
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        self.crew.look(len(self._todo))
        if isinstance(self.crew, Actors):
            try:
                self.crew.greeted()
                self._unborn = 0
            except RayError as e:
                self._unborn += 1
                if self._unborn >= MOST_UNBORN or isinstance(e, UNABLE):
                    raise _no_worker(e) from e
        self._tell()
        if self._sent and self.crew.places:
            self._heard = self._looked
        elif self._looked - self._heard > PATIENCE_S:
            self._heard = self._looked
            needs = ', '.join(f'{name}: {n:g}' for name, n in self.crew.needs.items())
            tell_news(f'{self.jobs[0].table.label}: waiting for a node of the Ray cluster with room for a worker ({needs}); see ray status')

    def _send(self, shard: Shard, steps: list[Any]) -> None:
        job, call = self.jobs[shard.job], f'{next(_numbers)} {shard.job} {shard.index}'
        order = Order(call, f'{job.table.key} {self._number}', shard.index, shard.value)
        self._sent[self.crew.send(self.home, order, steps[shard.job])] = shard, call

    def _answered(self) -> list[Any]:
        """Return the calls that are answered or lost, after a moment."""
        calls, coming = list(self._sent), self.crew.coming()
        if not calls and not coming:
            time.sleep(LOOK_S)
            return []
        if (first := ray.wait([*calls, *coming], timeout=LOOK_S)[0]) and first[0] in coming:
            self._looked = 0.0
        return ray.wait(calls, num_returns=len(calls), timeout=0)[0] if calls else []

    def _hear(self, call: Any) -> Exception | None:
        """Return what the step raised; a shard that was lost with its worker is made again, unless that happened too often."""
        shard, name = self._sent.pop(call)
        try:
            error = ray.get(call)
            self.crew.done(call)
            return error
        except UNABLE as e:
            raise _no_worker(e) from e
        except RayError as e:
            self.crew.done(call, lost=True)
            return self._lost(shard, name, e)

    def _lost(self, shard: Shard, call: str, error: RayError) -> PendingWork | None:
        ends = self._ends[shard.job, shard.index]
        ends.note(_kind(error), Path(self.home.run), call, self.log)
        if ends.n >= MOST_ENDS:
            return PendingWork(explain_ends(self._name(shard), ends))
        tell_news(f'{self._name(shard)}: its worker was ended by {ends.hows[-1]}; it is made again ({ends.n + 1} of {MOST_ENDS})')
        self._todo.appendleft(shard)
        return None

    def _tell(self) -> None:
        if isinstance(self.crew, Actors) and self.crew.teller is not None:
            with suppress(RayError):  # it starts anew
                for line in ray.get(self.crew.teller.told.remote(), timeout=TELLS_S):
                    tell_news(line)

    def _name(self, shard: Shard) -> str:
        """Return what people call a shard."""
        job = self.jobs[shard.job]
        about = job.step.about(shard.value)
        return f'{job.table.label or job.table.name}: shard {shard.index + 1} of {job.n_shards}' + (f' ({about})' if about else '')


def _kind(error: RayError) -> str:
    if isinstance(error, OutOfMemoryError):
        return OUT_OF_MEMORY
    return NODE if isinstance(error, NodeDiedError) or 'node has died' in str(error) else UNKNOWN


def _no_worker(error: RayError) -> UserError:
    cause = error.cause if isinstance(error, RayTaskError) else error
    return UserError(f'--ray: expected worker processes that can run this build, found {type(cause).__name__}: {one_line(cause)}')
