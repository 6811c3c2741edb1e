"""Shards of some steps made by one Beam job. The element is a shard; rows never cross a Beam boundary.

    Create(shards) | Reshuffle, if there are several | ParDo(ProcessShard)
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.transforms import environments

from pipelines.engine.beams_workers import told_of_the_gone
from pipelines.engine.options import IN_PROCESS
from pipelines.engine.shards import Job, make_shard
from pipelines.engine.step import Step, release
from schemas.endings import log_errors_only

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


class Beam:
    """Beam as some options say. Without any it is FnApiRunner in this process: Beam's DirectRunner silently picks another engine online."""

    def __init__(self, args: Sequence[str]) -> None:
        self._args = list(args)

    def run(self, jobs: list[Job]) -> None:
        """Make what is to be made of some jobs, as one Beam job."""
        options = PipelineOptions(self._args)
        elements = [(number, index, shard) for number, job in enumerate(jobs) for index, shard in job.todo]
        name = jobs[0].table.name
        with told_of_the_gone(name), beam.Pipeline(runner=_runner(options), options=options) as pipeline:
            shards = pipeline | f'Create {name} shards' >> beam.Create(elements, reshuffle=False)
            if len(elements) > 1:  # shards are few and heavy: each may go to another worker
                shards |= 'Spread over workers' >> beam.Reshuffle()
            shards | f'Make {name}' >> beam.ParDo(ProcessShard([(job.step, str(job.table.path)) for job in jobs]))

    def close(self) -> None:
        """Nothing is left that lives."""


def _runner(options: PipelineOptions) -> fn_runner.FnApiRunner | None:
    if options.view_as(StandardOptions).runner not in IN_PROCESS:
        return None  # any other runner: Beam makes it from the options
    portable = options.view_as(PortableOptions)
    if portable.environment_type is not None:
        return fn_runner.FnApiRunner(default_environment=environments.Environment.from_options(portable))
    return fn_runner.FnApiRunner()
