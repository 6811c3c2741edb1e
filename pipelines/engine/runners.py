"""Shards of some steps made by one Beam job. The element is a shard; rows never cross a Beam boundary.

    Create(shards) | Reshuffle, if there are several | ParDo(ProcessShard)
"""

import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, PortableOptions, StandardOptions
from apache_beam.portability import python_urns
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers
from apache_beam.transforms import environments

from pipelines.engine.step import Step, release
from pipelines.engine.tables import ShardWriter, Table, shard_name
from pipelines.engine.told import ERROR, tell_error, told_error
from schemas.endings import log_errors_only
from schemas.errors import PendingWork, UserError
from schemas.publish import publish_json

PENDING = '_PENDING-'
WORKER_LOG = 'workers.log'  # in the working folder: what worker processes on this machine say
WORKER = 'CONTROL_API_SERVICE_DESCRIPTOR'  # in the environment of a process that is Beam's worker and nothing else
WORKER_ENDS_S = 10.0  # from the end of a job to that of its worker processes: a second is usual


@dataclass(frozen=True, slots=True)
class Job:
    """A table to make: its step, how many shards it has, and those (number, shard) that are to be made here and now."""

    step: Step
    table: Table
    n_shards: int
    todo: list[tuple[int, Any]]


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
        step, folder = self._steps[number][0], Path(self._steps[number][1])
        if (folder / shard_name(index)).exists():  # a retried bundle, or a build that goes on
            return
        try:
            make_shard(step, folder, index, shard)
        except Exception as e:
            if (told := tell_error(folder, e)) is not None and told is not e:
                raise told from e
            raise
        yield from ()

    def teardown(self) -> None:
        release(self._steps[self._open][0])


def make_shard(step: Step, folder: Path, index: int, shard: Any) -> None:
    """Write a shard's rows into its own files below `folder`, or note there that it waits for the next run; of one that fails nothing is left."""
    writer = ShardWriter(folder, index)
    try:
        step.process(shard, writer)
        writer.close()
    except PendingWork as e:  # the other shards go on; this one stays open
        writer.abandon()
        publish_json(folder / f'{PENDING}{index:05d}.json', str(e))
    except BaseException:
        with suppress(Exception):  # what is half written may fail to close on the disk that failed; the first failure is told
            writer.abandon()
        raise


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


def run_job(jobs: list[Job], args: Sequence[str], work: Path) -> None:
    """Make what is to be made; a user's mistake on a worker is raised here as what it was."""
    for job in jobs:
        (job.table.path / ERROR).unlink(missing_ok=True)
        for index, _ in job.todo:
            (job.table.path / f'{PENDING}{index:05d}.json').unlink(missing_ok=True)
    try:
        _run_beam(jobs, PipelineOptions(list(args)), work / WORKER_LOG)
    except Exception as e:
        if (told := told_error([job.table.path for job in jobs], e)) is not None:
            raise told from e
        raise


def _run_beam(jobs: list[Job], options: PipelineOptions, log: Path) -> None:
    elements = [(number, index, shard) for number, job in enumerate(jobs) for index, shard in job.todo]
    name = jobs[0].table.name
    with beam.Pipeline(runner=_runner(options, log, len(elements)), options=options) as pipeline:
        shards = pipeline | f'Create {name} shards' >> beam.Create(elements, reshuffle=False)
        if len(elements) > 1:  # shards are few and heavy: each may go to another worker
            shards |= 'Spread over workers' >> beam.Reshuffle()
        shards | f'Make {name}' >> beam.ParDo(ProcessShard([(job.step, str(job.table.path)) for job in jobs]))


@worker_handlers.WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class _SubprocessWorker(worker_handlers.SubprocessSdkWorkerHandler):
    """Beam's handler of a worker process, with an end to waiting for it.

    Beam 2.77 waits without end for a worker that did not hear that its job is over, as happened on a busy machine; the server that it
    talks to closes after this, and then it ends too.
    """

    def stop_worker(self) -> None:
        self.worker_thread.join(WORKER_ENDS_S)


def _runner(options: PipelineOptions, log: Path, n_shards: int):
    name = options.view_as(StandardOptions).runner
    if name not in (None, 'FnApiRunner'):
        return None  # any other runner: Beam makes it from the options
    portable, direct = options.view_as(PortableOptions), options.view_as(DirectOptions)
    if portable.environment_type is not None:
        return fn_runner.FnApiRunner(default_environment=environments.Environment.from_options(portable))
    if direct.direct_running_mode == 'multi_processing':  # as Beam does it, but what the workers say goes to a file: 20 lines each, for every step
        direct.direct_running_mode = 'in_memory'
        direct.direct_num_workers = min(direct.direct_num_workers or os.cpu_count() or 1, n_shards)
        # workers import what we do: from our path, and (-P) not from where the user stands, who may have a `schemas` or `model` of his own
        python = f'env PYTHONPATH={shlex.quote(os.pathsep.join(sys.path))} {shlex.quote(sys.executable)} -P'
        worker = f'exec {python} -m apache_beam.runners.worker.sdk_worker_main 2>> {shlex.quote(str(log))}'
        return fn_runner.FnApiRunner(default_environment=environments.SubprocessSDKEnvironment.from_command_string(worker))
    return fn_runner.FnApiRunner()
