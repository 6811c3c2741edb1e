"""Shards of some steps made by one Beam job, on any runner. The element is some shards; rows never cross a Beam boundary.

    Create(shards) | Reshuffle, if there are several | ParDo(ProcessShard)
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.runner import PipelineRunner, create_runner
from apache_beam.transforms import environments

from pipelines.engine.beams_jobs import OneServer, waited_for
from pipelines.engine.beams_workers import told_of_the_gone
from pipelines.engine.options import IN_PROCESS, passed_on
from pipelines.engine.probe import Probe
from pipelines.engine.shards import Job, make_shard
from pipelines.engine.step import Step, release
from pipelines.engine.told import ERROR, noted_error
from schemas.endings import log_errors_only
from schemas.errors import UserError
from schemas.telling import tell_news

WORKER = 'CONTROL_API_SERVICE_DESCRIPTOR'  # in the environment of a process that is Beam's worker and nothing else
Shard = tuple[int, int, Any]  # number of its step, its own number, what it is made from


class ProcessShard(beam.DoFn):
    """Yields nothing: each shard's rows lie in its own files when the element is done."""

    def __init__(self, steps: list[tuple[Step, str]], probe: Probe | None) -> None:
        self._steps = steps  # each with the folder of its table
        self._probe = probe
        self._open = 0  # of which step things may be open

    def setup(self) -> None:
        if WORKER in os.environ:
            log_errors_only()

    def process(self, element: list[Shard]) -> Iterable[None]:
        if self._probe:
            self._probe.look()
        for number, index, shard in element:
            self._make(number, index, shard)
        yield from ()

    def _make(self, number: int, index: int, shard: Any) -> None:
        """Make a shard. What people are to be told is noted for the driver, which raises it: a runner would try it again and again.

        What was noted of another shard ends the job: nothing more is made.
        """
        if number != self._open:
            release(self._steps[self._open][0])
            self._open = number
        step, folder = self._steps[number]
        if any(Path(other, ERROR).exists() for _, other in self._steps):
            return
        try:
            make_shard(step, Path(folder), index, shard)
        except UserError:
            if not Path(folder, ERROR).exists():  # on a disk that takes no note the runner's text must do
                raise

    def teardown(self) -> None:
        release(self._steps[self._open][0])


class Beam:
    """Beam as some options say, its job server as long as the build. Without any it is FnApiRunner in this process: Beam's DirectRunner silently
    picks another engine online."""

    def __init__(self, args: Sequence[str], work: Path) -> None:
        self._args, self._work = list(args), work
        self._server = OneServer()
        self._probe: Probe | None = None
        if names := passed_on(args):
            tell_news(f'passed on to {PipelineOptions(self._args).view_as(StandardOptions).runner}, which alone knows them: {" ".join(names)}')

    def begin(self) -> None:
        """Nothing is started before it is known what there is to make."""

    def run(self, jobs: list[Job]) -> None:
        """Make what is to be made of some jobs, as one Beam job; raises what a step tells people, once."""
        options = PipelineOptions(self._args)
        elements, name = elements_of(jobs), jobs[0].table.name
        runner, elsewhere = self._runner(options)
        if elsewhere and self._probe is None:
            self._probe = Probe.laid(self._work)
        with told_of_the_gone(name):
            pipeline = beam.Pipeline(runner=runner, options=options)
            shards = pipeline | f'Create {name} shards' >> beam.Create(elements, reshuffle=False)
            if len(elements) > 1:  # shards are few and heavy: each may go to another worker
                shards |= 'Spread over workers' >> beam.Reshuffle()
            steps = [(job.step, str(job.table.path)) for job in jobs]
            shards | f'Make {name}' >> beam.ParDo(ProcessShard(steps, self._probe if elsewhere else None))
            waited_for(pipeline, name)
        if (noted := noted_error(job.table.path for job in jobs)) is not None:
            raise noted

    def close(self) -> None:
        """End the job server, where one was started for this build."""
        self._server.stop()
        if self._probe:
            self._probe.remove()

    def _runner(self, options: PipelineOptions) -> tuple[PipelineRunner, bool]:
        """Return the runner, and whether its workers are other processes, which may see other disks."""
        name, portable = options.view_as(StandardOptions).runner, options.view_as(PortableOptions)
        if name not in IN_PROCESS:
            return self._server.for_all(create_runner(name)), True
        if portable.environment_type is not None:
            return fn_runner.FnApiRunner(default_environment=environments.Environment.from_options(portable)), True
        return fn_runner.FnApiRunner(), False


def elements_of(jobs: list[Job]) -> list[list[Shard]]:
    """Return the shards that are to be made, each alone; of a step that may be made by so many processes at once, as many lists as these."""
    elements: list[list[Shard]] = []
    dealt: dict[type[Step], list[list[Shard]]] = {}
    for number, job in enumerate(jobs):
        shards = [(number, index, shard) for index, shard in job.todo]
        many = job.step.at_once()
        if many is None:
            elements += [[shard] for shard in shards]
            continue
        lists = dealt.setdefault(type(job.step), [[] for _ in range(many)])
        for i, shard in enumerate(shards):
            lists[i % many].append(shard)
    return elements + [some for lists in dealt.values() for some in lists if some]
