"""Worker processes of one build on this machine: started when there are shards for them, kept until the build ends, watched all the time.

Each has a socket of its own and makes one shard at a time, so it is always known who makes what, and a dead one takes nothing with it that
others wait for. No row passes through here: an order is a step and which shard of it.
"""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from pipelines.engine.cores import allowed_cores
from pipelines.engine.deaths import Death, explain_deaths, how_ended, oom_kills
from pipelines.engine.notes import open_notes, read_notes
from pipelines.engine.shards import Job, make_here, make_shard
from pipelines.engine.step import Step, release
from pipelines.engine.worker import BEGUN, BOUNDED, DONE, FAILED, NEWS, READY
from schemas.errors import BudgetExceeded, PendingWork
from schemas.telling import tell_news

LOOK_S = 0.5  # between two looks at workers of which nothing is heard
TOGETHER_S = 0.3  # what kills one worker often kills several: those that die within this are told of together
STOP_S = 6.0  # from the order to stop to SIGKILL: a worker ends by itself in 4 s; the build's own patience is 15 s
BEAMS_NAME = 'sdk_worker_main'  # by which people find workers of Beam's multi_processing (pgrep -f); these stand in their place
EARLY = 8  # workers, at most, that start before it is known how long shards take
GROW_S = 1.0  # which is how long a worker takes to start
THREADS = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')  # by which libraries are told how many threads to start
RELEASE_S = 60.0  # for closing what a step has opened; a worker that takes longer is ended, which closes it


@dataclass(frozen=True, slots=True)
class Shard:
    """What a worker is to make: of which job (by its number) which shard."""

    job: int
    index: int
    value: Any


RELEASE = Shard(-1, -1, None)  # close what the step has opened


@dataclass(eq=False)
class Hired:
    """A worker process, what it does now, and of which job it has the step."""

    process: subprocess.Popen
    socket: Connection
    notes: int  # descriptor of what it works on
    making: Shard | None = None
    job: int = -1
    ready: bool = False  # whether it was heard of
    begun: bool = False  # whether it has begun what it is to make
    gone: bool = False  # whether nothing more will be heard of it
    told_stopped: bool = False

    @property
    def shard(self) -> Shard | None:
        """Return the shard that it is to make, begun or not."""
        return self.making if self.making is not RELEASE else None

    @property
    def lost(self) -> Shard | None:
        """Return the shard that is lost if it dies now: one not begun is not, unless workers die at their start, as the next one would."""
        return self.shard if self.begun or not self.ready else None

    def order(self, shard: Shard, step: bytes) -> None:
        """Give it something to make; `step` is sent once for all shards of a job."""
        self.making, self.begun = shard, False
        order = None if shard is RELEASE else (step if self.job != shard.job else None, shard.index, shard.value)
        self.job = shard.job
        with suppress(OSError):  # it is gone, which is heard soon
            self.socket.send_bytes(pickle.dumps(order))

    def at(self) -> str:
        """Return what of its shard it worked on, as far as that is noted."""
        return ' and '.join(read_notes(self.notes)) if self.ready else 'its start'

    def dismiss(self) -> None:
        """Close what connects it with us, by which it ends."""
        self.socket.close()
        os.close(self.notes)


@dataclass
class Pool:
    """Up to `size` worker processes; what they write to standard error goes to the file `log`.

    A worker's libraries start as many threads as it has cores for itself. What `alone_s` is enough for is made here: a worker takes a second of a
    processor to start.
    """

    size: int
    log: Path
    alone_s: float = 0.0  # seconds of a processor, of each run, before workers are started for what is left of it
    took: dict[str, list[float]] = field(default_factory=dict)  # by table, the seconds of a processor that each shard took
    _hired: list[Hired] = field(default_factory=list)
    _jobs: list[Job] = field(default_factory=list)  # what is being made
    _todo: list[deque[Shard]] = field(default_factory=list)  # and of each of these what nobody makes yet
    _grown: float = 0.0  # when workers were started last
    _looked: float = 0.0  # when workers were looked at of which nothing was heard
    _oom_kills: int | None = None  # of this machine, when that began

    def begin(self) -> None:
        """Start some workers, which takes them a moment, while their first shards are being planned."""
        self._hire(min(self.size, EARLY))

    def run(self, jobs: list[Job]) -> None:
        """Make the shards of some jobs; raises what a step raises on a worker, and PendingWork when workers die.

        Whatever it raises, no worker is left then. Steps that run a model in their process are made in this one: it is started once for all of them.
        """
        if any(job.step.holds_model() for job in jobs):
            for job in jobs:
                make_here(job)
            return
        if not self._hired and self.alone_s:
            jobs = _made_here(jobs, time.process_time() + self.alone_s)
        self._jobs, self._oom_kills = jobs, oom_kills()
        self._todo = [deque(Shard(number, index, value) for index, value in job.todo) for number, job in enumerate(jobs)]
        steps = [pickle.dumps((job.step, job.table.path)) for job in jobs]
        try:
            self._make(steps)
            self._release()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all workers: what they are making is interrupted, and who does not end by itself is killed."""
        hired, self._hired = self._hired, []
        for worker in hired:
            if worker.process.poll() is None:
                worker.process.terminate()
                worker.process.send_signal(signal.SIGCONT)  # a stopped one does not hear otherwise
            worker.dismiss()
        until = time.monotonic() + STOP_S
        for worker in hired:
            try:
                worker.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()

    def _make(self, steps: list[bytes]) -> None:
        spent: Exception | None = None
        while any(self._todo) or any(worker.making for worker in self._hired):
            self._grow()
            for worker in self._hired:
                if not worker.making and (shard := self._next()):
                    worker.order(shard, steps[shard.job])
            for error in self._heard():
                if not isinstance(error, BudgetExceeded):
                    raise error
                spent = spent or error  # the others store what they have in flight, and find the budget spent, too
                for todo in self._todo:
                    todo.clear()
        if spent:
            raise spent

    def _grow(self) -> None:
        """Start workers for what is to be made: a few at once, then twice as many each second, so that quick ones do not start a machine full."""
        if len(self._hired) < EARLY or time.monotonic() - self._grown >= GROW_S:
            self._grown = time.monotonic()
            self._hire(min(self.size, self._wanted(), max(EARLY, 2 * len(self._hired))))

    def _wanted(self) -> int:
        """Return how many workers have something to do."""
        free = self._free()
        return sum(worker.making is not None for worker in self._hired) + sum(
            min(len(todo), free[type(job.step)]) for job, todo in zip(self._jobs, self._todo, strict=False))

    def _next(self) -> Shard | None:
        """Return the next shard that may be made now, which nobody makes yet."""
        free = self._free()
        return next((todo.popleft() for job, todo in zip(self._jobs, self._todo, strict=False) if todo and free[type(job.step)] > 0), None)

    def _free(self) -> dict[type[Step], int]:
        """Return for each kind of step how many more processes may make its shards now."""
        busy = Counter(type(self._jobs[worker.shard.job].step) for worker in self._hired if worker.shard)
        limits = {type(job.step): job.step.at_once() for job in self._jobs}
        return {kind: self.size if limit is None else limit - busy[kind] for kind, limit in limits.items()}

    def _release(self) -> None:
        """Have all workers close what the step has opened: memory, connections, a device."""
        until = time.monotonic() + RELEASE_S
        for worker in self._hired:
            worker.order(RELEASE, b'')
        while any(worker.making for worker in self._hired) and time.monotonic() < until:
            for error in self._heard():
                raise error
        for worker in [worker for worker in self._hired if worker.making]:
            worker.process.kill()
            self._leave(worker)

    def _heard(self) -> Iterator[Exception]:
        """Wait for what workers say; yield what a step raised. Raises PendingWork when one died that was making a shard."""
        ready = set(wait([worker.socket for worker in self._hired], LOOK_S))
        if look := time.monotonic() - self._looked >= LOOK_S:
            self._looked = time.monotonic()
        for worker in self._hired:
            if worker.socket in ready or look and worker.process.poll() is not None:
                if (error := self._hear(worker)) is not None:
                    yield error
            elif look and (shard := worker.shard) and not worker.told_stopped and _is_stopped(worker.process):
                worker.told_stopped, pid = True, worker.process.pid
                tell_news(f'{self._name(shard)}: its worker process {pid} is stopped (SIGSTOP) and waited for; kill -CONT {pid} lets it go on')
        if any(worker.gone for worker in self._hired):
            self._bury()

    def _hear(self, worker: Hired) -> Exception | None:
        try:
            if not worker.socket.poll():
                raise EOFError  # dead, while a child of its own still holds the socket
            what, about = worker.socket.recv()
        except (EOFError, OSError):
            worker.gone = True
            return None
        if what == READY:
            worker.ready = True
        elif what == BEGUN:
            worker.begun = True
        elif what == NEWS:
            tell_news(about)
        elif what in (DONE, FAILED):
            if what == DONE and worker.shard:
                self.took.setdefault(self._jobs[worker.shard.job].table.key, []).append(about)
            worker.making = None
        return about if what == FAILED else None

    def _bury(self) -> None:
        """Raise PendingWork for workers that died while each made a shard; in the place of those that had begun none, others are started."""
        time.sleep(TOGETHER_S)
        for worker in self._hired:
            while worker.process.poll() is not None and not worker.gone:
                self._hear(worker)  # what it said before
        dead = [worker for worker in self._hired if worker.gone]
        for worker in dead:
            worker.process.kill()  # one that closed its socket and lives: nothing will be heard of it
            worker.process.wait()
        lost = [Death(worker.process.returncode, self._name(worker.lost), worker.at()) for worker in dead if worker.lost]
        if lost:
            raise PendingWork(explain_deaths(lost, self.log, self._oom_kills))
        for worker in dead:
            self._leave(worker)
            if worker.shard:
                self._todo[worker.shard.job].appendleft(worker.shard)
            how = how_ended(worker.process.returncode)
            tell_news(f'a worker process that had nothing to make was ended by {how}; nothing is lost, another takes its place')

    def _name(self, shard: Shard) -> str:
        """Return what people call a shard."""
        job = self._jobs[shard.job]
        about = job.step.about(shard.value)
        return f'{job.table.label or job.table.name}: shard {shard.index + 1} of {job.n_shards}' + (f' ({about})' if about else '')

    def _leave(self, worker: Hired) -> None:
        self._hired.remove(worker)
        worker.dismiss()

    def _hire(self, n: int) -> None:
        """Start workers until there are `n`."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        while len(self._hired) < n:
            try:
                self._hired.append(_hire(self.log, max(1, allowed_cores() // self.size)))
            except OSError as e:  # no room for another process or file
                if not self._hired:
                    raise
                tell_news(f'{len(self._hired)} of {n} worker processes go on alone; another could not be started: {e.strerror}')
                self.size = len(self._hired)
                return


def _made_here(jobs: list[Job], until: float) -> list[Job]:
    """Make shards in this process until it has taken so many seconds of a processor; return the jobs with what is left of them."""
    left = []
    for job in jobs:
        todo = deque(job.todo)
        try:
            while todo and not job.step.RISKY and time.process_time() < until:
                make_shard(job.step, job.table.path, *todo.popleft())
        finally:
            release(job.step)
        left.append(replace(job, todo=list(todo)))
    return left


def _hire(log: Path, threads: int) -> Hired:
    """Start a worker, with so many threads of its libraries unless the user says how many.

    It imports what we do: from our path, and (-P) not from where the user stands, who may have a `schemas` of his own.
    """
    ours, theirs = Pipe()
    notes = open_notes()
    try:
        shared = theirs.fileno(), notes
        command = [sys.executable, '-P', '-m', 'pipelines.engine.worker', *map(str, shared), BEAMS_NAME]
        bounds = {name: str(threads) for name in THREADS if name not in os.environ}
        path = os.pathsep.join(os.path.abspath(place) for place in sys.path)
        environment = {**os.environ, **bounds, BOUNDED: ' '.join(bounds), 'PYTHONPATH': path}
        with theirs, open(log, 'ab') as out:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=shared)
    except BaseException:
        os.close(notes)
        raise
    return Hired(process, ours, notes)


def _is_stopped(process: subprocess.Popen) -> bool:
    """Return whether a process of ours waits for SIGCONT."""
    if process.returncode is not None or not hasattr(os, 'waitid'):
        return False
    try:
        return os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False
