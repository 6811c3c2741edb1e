"""Shards of some steps made by one Beam job, or by our own worker processes. The element is a shard; rows never cross a Beam boundary.

    Create(shards) | Reshuffle, if there are several | ParDo(ProcessShard)
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, PortableOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.transforms import environments

from pipelines.engine.beams_workers import told_of_the_gone
from pipelines.engine.pool import Pool
from pipelines.engine.shards import PENDING, Job, make_shard
from pipelines.engine.step import Step, release
from pipelines.engine.told import ERROR, told_error
from schemas.endings import log_errors_only
from schemas.errors import UserError

WORKER_LOG = 'workers.log'  # in the working folder: what worker processes on this machine say
WORKER = 'CONTROL_API_SERVICE_DESCRIPTOR'  # in the environment of a process that is Beam's worker and nothing else


class ProcessShard(beam.DoFn):
    """Yields nothing: each shard's rows lie in its own files when the element is done."""

    def __init__(self, steps: list[tuple[Step, str]]) -> None:
        self._steps = steps  # each with the folder of its table
        self._open = 0  # of which step things may be open

    def setup(self) -> None:
        if WORKER in os.environ:
            log_errors_only()

    def process(self, element: tuple[int, int, Any]) -> Iterable[None]:
        number, index, shard = element
        if number != self._open:
            release(self._steps[self._open][0])
            self._open = number
        step, folder = self._steps[number]
        make_shard(step, Path(folder), index, shard)
        yield from ()

    def teardown(self) -> None:
        release(self._steps[self._open][0])


def check_options(args: Sequence[str]) -> None:
    """Raise UserError for what neither we nor Beam know."""
    options = PipelineOptions(list(args))
    unknown = options.get_all_options(retain_unknown_options=True).keys() - options.get_all_options().keys()
    if unknown:
        raise UserError(f'options {", ".join(f"--{name}" for name in sorted(unknown))}: expected options of `phantom build` or of Beam, '
                        'found neither; see phantom build --help')
    stray = [word for word, before in zip(args, ('', *args)) if word[:1] != '-' and (before[:1] != '-' or '=' in before)]
    if stray:
        raise UserError(f'expected one recipe and options, found also {", ".join(stray)}; see phantom build --help')
    runner, known = options.view_as(StandardOptions).runner, StandardOptions.KNOWN_RUNNER_NAMES
    if runner and '.' not in runner and runner.lower() not in [name.lower() for name in known]:
        raise UserError(f'--runner={runner}: expected one of {", ".join(known)}, found none of them')


def pool_of(args: Sequence[str], workers: int, work: Path) -> Pool | None:
    """Return the worker processes of a build, None where Beam makes everything; raises UserError where both are asked for.

    They are asked for by their number (`workers`, 0: none), or as Beam's own would be: --direct_running_mode=multi_processing.
    """
    options = PipelineOptions(list(args))
    direct = options.view_as(DirectOptions)
    told = direct.direct_running_mode == 'multi_processing'
    of_beam = options.view_as(StandardOptions).runner not in (None, 'FnApiRunner') or options.view_as(PortableOptions).environment_type
    if workers and (of_beam or told or 'direct_num_workers' in options.get_all_options(drop_default=True)):
        raise UserError(f'--workers {workers}: expected nothing else that says who makes the tables, found {" ".join(args)}; leave one of them out')
    if workers or told and not of_beam:
        return Pool(workers or direct.direct_num_workers or os.cpu_count() or 1, work / WORKER_LOG)
    return None


def run_job(jobs: list[Job], args: Sequence[str], pool: Pool | None) -> None:
    """Make what is to be made; a user's mistake on a worker is raised here as what it was."""
    for job in jobs:
        (job.table.path / ERROR).unlink(missing_ok=True)
        for index, _ in job.todo:
            (job.table.path / f'{PENDING}{index:05d}.json').unlink(missing_ok=True)
    try:
        if pool is not None:
            pool.run(jobs)
        else:
            _run_beam(jobs, PipelineOptions(list(args)))
    except Exception as e:
        if (told := told_error([job.table.path for job in jobs], e)) is not None:
            raise told from e
        raise


def _run_beam(jobs: list[Job], options: PipelineOptions) -> None:
    elements = [(number, index, shard) for number, job in enumerate(jobs) for index, shard in job.todo]
    name = jobs[0].table.name
    with told_of_the_gone(name), beam.Pipeline(runner=_runner(options), options=options) as pipeline:
        shards = pipeline | f'Create {name} shards' >> beam.Create(elements, reshuffle=False)
        if len(elements) > 1:  # shards are few and heavy: each may go to another worker
            shards |= 'Spread over workers' >> beam.Reshuffle()
        shards | f'Make {name}' >> beam.ParDo(ProcessShard([(job.step, str(job.table.path)) for job in jobs]))


def _runner(options: PipelineOptions) -> fn_runner.FnApiRunner | None:
    if options.view_as(StandardOptions).runner not in (None, 'FnApiRunner'):
        return None  # any other runner: Beam makes it from the options
    portable = options.view_as(PortableOptions)
    if portable.environment_type is not None:
        return fn_runner.FnApiRunner(default_environment=environments.Environment.from_options(portable))
    return fn_runner.FnApiRunner()
