"""Shards of some steps made by one Beam job. The element is a shard; rows never cross a Beam boundary.

    Create(shards) | Reshuffle, if there are several | ParDo(ProcessShard)
"""

import errno
import json
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, PortableOptions, StandardOptions
from apache_beam.portability import python_urns
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers
from apache_beam.transforms import environments

import schemas.errors
from pipelines.engine.step import Step, release
from pipelines.engine.tables import ShardWriter, Table, shard_name
from schemas.endings import log_errors_only
from schemas.errors import PendingWork, Unreadable, UserError, listed
from schemas.publish import publish_json

ERROR = '_ERROR.json'
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
        writer = ShardWriter(folder, index)
        try:
            step.process(shard, writer)
        except PendingWork as e:  # the other shards go on; this one stays open for the next run
            writer.abandon()
            about = {'files': e.files, 'remedies': e.remedies, 'or_else': e.or_else} if isinstance(e, Unreadable) else None
            publish_json(folder / f'{PENDING}{index:05d}.json', {'message': str(e), 'unreadable': about})
            return
        except BaseException as e:
            writer.abandon()
            if isinstance(e, UserError):  # runners turn exceptions into text: the front door reads this instead
                publish_json(folder / ERROR, {'type': type(e).__name__, 'message': str(e)})
            raise
        writer.close()
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


def run_job(jobs: list[Job], args: Sequence[str], work: Path) -> None:
    """Make what is to be made; a user's mistake on a worker is raised here as what it was."""
    for job in jobs:
        (job.table.path / ERROR).unlink(missing_ok=True)
        for index, _ in job.todo:
            (job.table.path / f'{PENDING}{index:05d}.json').unlink(missing_ok=True)
    try:
        _run_beam(jobs, PipelineOptions(list(args)), work / WORKER_LOG)
    except Exception as e:
        if os.strerror(errno.ENOSPC) in str(e):  # as text: runners pass no errno on
            folders = ', '.join(str(job.table.path) for job in jobs)
            raise UserError(f'{folders}: the disk is full; finished shards are kept, free some space and run the same command again') from e
        for job in jobs:
            if (job.table.path / ERROR).is_file():
                told = json.loads((job.table.path / ERROR).read_text('utf-8'))
                raise getattr(schemas.errors, told['type'])(told['message']) from e
        raise


def refuse_pending(jobs: list[Job]) -> None:
    """Raise PendingWork where shards that were to be made here and now wait for something; what other processes left behind tells nothing of them."""
    waiting = [(job.table.label, path) for job in jobs for index, _ in job.todo if (path := job.table.path / f'{PENDING}{index:05d}.json').is_file()]
    told = [json.loads(path.read_text('utf-8')) for _, path in waiting]
    label = listed(list(dict.fromkeys(label for label, _ in waiting)))
    if calls := [one['message'] for one in told if not one['unreadable']]:
        raise PendingWork(f'{label}: {len(calls)} shard(s) wait for model calls that kept failing: {calls[0]}\n'
                          'everything that came back is stored; run the same command again to go on, or add --give-up to seal without these')
    if told:
        unread = Unreadable.together([Unreadable(**one['unreadable']) for one in told])
        raise PendingWork(f'{label}: {len(told)} shard(s) wait, all others are kept: {unread}')


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
