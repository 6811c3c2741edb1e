"""A step: shards in, one table out, as one Beam job. The element is a shard; rows never cross a Beam boundary.

    Create(shard numbers) | Reshuffle, if there are several | ParDo(ProcessShard)

Every heavy step of the two programmes is a `ShardStep`; what it does to a shard is its `process`.
"""

import errno
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, PortableOptions, StandardOptions
from apache_beam.portability import python_urns
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers
from apache_beam.transforms import environments

import schemas.errors
from pipelines.engine.progress import watch
from pipelines.engine.tables import ShardWriter, Table, shard_name, write_json
from schemas.endings import log_errors_only
from schemas.errors import PendingWork, UserError

ERROR = '_ERROR.json'
PENDING = '_PENDING-'
WORKER_LOG = 'workers.log'  # in the working folder: what worker processes on this machine say
WORKER = 'CONTROL_API_SERVICE_DESCRIPTOR'  # in the environment of a process that is Beam's worker and nothing else
WORKER_ENDS_S = 10.0  # from the end of a job to that of its worker processes: a second is usual
POLL_S = 0.5  # between two looks at what the other processes of a shared build have done


class ShardStep:
    """What a step does to one shard. Subclasses are dataclasses of plain values: they travel to the workers by pickle."""

    def setup(self) -> None:
        """Open what is heavy (indexes, clients); runs once on each worker."""

    def process(self, shard: Any, writer: ShardWriter) -> None:
        """Write everything this shard yields to `writer`."""
        raise TypeError(f'{type(self).__name__} has no process method')

    def teardown(self) -> None:
        """Release what `setup` opened; nothing that must happen, since Beam may skip it."""


class ProcessShard(beam.DoFn):
    """Yields nothing: each shard's rows lie in its own files when the element is done."""

    def __init__(self, step: ShardStep, folder: str) -> None:
        self._step = step
        self._folder = Path(folder)

    def setup(self) -> None:
        if WORKER in os.environ:
            log_errors_only()
        self._step.setup()

    def process(self, element: tuple[int, Any]) -> Iterable[None]:
        index, shard = element
        if (self._folder / shard_name(index)).exists():  # a retried bundle, or a build that goes on
            return
        writer = ShardWriter(self._folder, index)
        try:
            self._step.process(shard, writer)
        except PendingWork as e:  # the other shards go on; this one stays open for the next run
            writer.abandon()
            write_json(self._folder / f'{PENDING}{index:05d}.json', str(e))
            return
        except BaseException as e:
            writer.abandon()
            if isinstance(e, UserError):  # runners turn exceptions into text: the front door reads this instead
                write_json(self._folder / ERROR, {'type': type(e).__name__, 'message': str(e)})
            raise
        writer.close()
        yield from ()

    def teardown(self) -> None:
        self._step.teardown()


@dataclass
class Engine:
    """Where steps run: Beam options as a user passes them, and the build's working folder.

    Without options the engine is FnApiRunner in this process: Beam's DirectRunner silently picks another engine online.
    """

    work: Path
    beam_args: Sequence[str] = ()
    share: tuple[int, int] = (0, 1)  # (i, n): this process makes every n-th shard from the i-th on and waits for the others
    ran: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        options = PipelineOptions(list(self.beam_args))
        unknown = options.get_all_options(retain_unknown_options=True).keys() - options.get_all_options().keys()
        if unknown:
            raise UserError(f'options {", ".join(f"--{name}" for name in sorted(unknown))}: expected options of `phantom build` or of Beam, '
                            'found neither; see phantom build --help')
        stray = [word for word, before in zip(self.beam_args, ('', *self.beam_args)) if word[:1] != '-' and (before[:1] != '-' or '=' in before)]
        if stray:
            raise UserError(f'expected one recipe and options, found also {", ".join(stray)}; see phantom build --help')
        runner, known = options.view_as(StandardOptions).runner, StandardOptions.KNOWN_RUNNER_NAMES
        if runner and '.' not in runner and runner.lower() not in [name.lower() for name in known]:
            raise UserError(f'--runner={runner}: expected one of {", ".join(known)}, found none of them')

    def table(self, name: str, fingerprint: str) -> Table:
        """Return the table `name` of this build, made or not."""
        return Table(self.work / name, fingerprint)

    def make(self, table: Table, step: ShardStep, shards: Sequence[Any]) -> dict:
        """Return the table's `_DONE.json`, after making it if its fingerprint does not hold yet."""
        done = table.done()
        if done is not None:
            return done
        own, n = self.share
        if own == 0:
            table.prepare()
        else:
            self._wait(table, table.prepared)
        todo = [(i, shard) for i, shard in enumerate(shards) if i % n == own and not (table.path / shard_name(i)).exists()]
        if todo:
            with watch(table, len(shards)):
                self._run(table, step, todo)
        self.ran.append(table.name)
        self._refuse_pending(table)
        if own == 0:
            self._wait(table, partial(table.complete, len(shards)))
            return table.finish(len(shards))
        self._wait(table, table.done)
        return self.make(table, step, shards)

    def _wait(self, table: Table, until: Callable[[], object]) -> None:
        """Return when the other processes of a shared build have come so far; raises PendingWork when one of them has to give up."""
        waited = 0.0
        while not until():
            self._refuse_pending(table)
            if waited in (5.0, 60.0):
                print(f'{table.name}: waiting for the other {self.share[1] - 1} process(es) of this build', file=sys.stderr, flush=True)
            time.sleep(POLL_S)
            waited += POLL_S

    def wait_for(self, path: Path) -> None:
        """Return when another process of a shared build has made `path`."""
        while not path.exists():
            time.sleep(POLL_S)

    def _refuse_pending(self, table: Table) -> None:
        told = [json.loads(path.read_text()) for path in sorted(table.path.glob(f'{PENDING}*.json'))]
        if told:
            raise PendingWork(f'{table.name}: {len(told)} shard(s) wait for model calls that kept failing: {told[0]}\n'
                              'everything that came back is stored; run the same command again to go on, or add --give-up to seal without these')

    def _run(self, table: Table, step: ShardStep, todo: list[tuple[int, Any]]) -> None:
        options = PipelineOptions(list(self.beam_args))
        for i, _ in todo:
            (table.path / f'{PENDING}{i:05d}.json').unlink(missing_ok=True)
        error = table.path / ERROR
        error.unlink(missing_ok=True)
        try:
            self._run_beam(table, step, todo, options)
        except Exception as e:
            if os.strerror(errno.ENOSPC) in str(e):  # as text: runners pass no errno on
                raise UserError(f'{table.path}: the disk is full; finished shards are kept, free some space and run the same command again') from e
            if not error.is_file():
                raise
            told = json.loads(error.read_text())
            raise getattr(schemas.errors, told['type'])(told['message']) from e

    def _run_beam(self, table: Table, step: ShardStep, todo: list[tuple[int, Any]], options: PipelineOptions) -> None:
        with beam.Pipeline(runner=_runner(options, self.work / WORKER_LOG, len(todo)), options=options) as pipeline:
            shards = pipeline | f'Create {table.name} shards' >> beam.Create(todo, reshuffle=False)
            if len(todo) > 1:  # shards are few and heavy: each may go to another worker
                shards |= 'Spread over workers' >> beam.Reshuffle()
            shards | f'Make {table.name}' >> beam.ParDo(ProcessShard(step, str(table.path)))


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
        worker = f'exec {shlex.quote(sys.executable)} -m apache_beam.runners.worker.sdk_worker_main 2>> {shlex.quote(str(log))}'
        return fn_runner.FnApiRunner(default_environment=environments.SubprocessSDKEnvironment.from_command_string(worker))
    return fn_runner.FnApiRunner()
