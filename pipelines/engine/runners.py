"""Who makes the shards of a build: worker processes of this machine, a Ray cluster, or Beam as its options say. One alone is made here and now."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipelines.engine.cores import allowed_cores
from pipelines.engine.pool import Pool
from pipelines.engine.shards import PENDING, Job, make_here
from pipelines.engine.told import ERROR, told_error
from schemas.errors import UserError

WORKER_LOG = 'workers.log'  # in the working folder: what worker processes on this machine say


class Makers(Protocol):
    """Who makes shards as long as the build lives."""

    def begin(self) -> None:
        """Start what takes a moment to start, as far as it is of use before the first jobs."""

    def run(self, jobs: list[Job]) -> None:
        """Make what is to be made of some jobs; raises what a step raises, and PendingWork where those who make it are lost."""

    def close(self) -> None:
        """End all that was started for it."""


@dataclass(frozen=True, slots=True)
class OnRay:
    """The address of a Ray cluster, and the folders besides the working folder that its nodes must see as we do."""

    address: str
    sees: tuple[Path, ...] = ()


def makers_of(args: Sequence[str], workers: int | None, work: Path, ray: OnRay | None = None, alone_s: float = 0.0) -> Makers:
    """Return who makes the shards of a build, as is said by Beam's options (`args`), a number of worker processes, a Ray cluster, or not at all.

    `workers` 0 is Beam in this process, None a worker process for each core that we may use, where no option of Beam is given, each
    run begun by this process `alone_s` long. Raises UserError for options that nobody knows, and where two say who makes the tables.
    """
    if ray is not None:
        others = [*([f'--workers {workers}'] if workers else []), *args]
        if others:
            raise UserError(f'--ray {ray.address}: expected nothing else that says who makes the tables, found {" ".join(others)}; '
                            'leave one of them out')
        from pipelines.engine.ray_cluster import Cluster

        return Cluster(ray.address, work, ray.sees)
    n = workers
    if args:
        from pipelines.engine.options import look_at  # imports Beam, which takes a second

        asked = look_at(args)
        if workers and asked.somebody:
            raise UserError(f'--workers {workers}: expected nothing else that says who makes the tables, found {" ".join(args)}; '
                            'leave one of them out')
        n = workers or asked.workers
        if n == 0:
            from pipelines.engine.runner_needs import refuse_lacking

            refuse_lacking(args)
    if n == 0:
        from pipelines.engine.beams import Beam

        return Beam(args, work)
    return Pool(n or allowed_cores(), work / WORKER_LOG, alone_s)


def run_jobs(jobs: list[Job], makers: Makers) -> None:
    """Make what is to be made; a user's mistake on a worker is raised here as what it was.

    Where one shard is all there is, it is made in this process, which costs less than to bring it elsewhere; unless that is risky, or takes a model
    in this process, which may have no device.
    """
    for job in jobs:
        (job.table.path / ERROR).unlink(missing_ok=True)
        for index, _ in job.todo:
            (job.table.path / f'{PENDING}{index:05d}.json').unlink(missing_ok=True)
    try:
        if sum(job.n_shards for job in jobs) == 1 and not any(job.step.RISKY or job.step.holds_model() for job in jobs):
            for job in jobs:
                make_here(job)
        else:
            makers.run(jobs)
    except Exception as e:
        if (told := told_error([job.table.path for job in jobs], e)) is not None:
            raise told from e
        raise
