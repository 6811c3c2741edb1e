"""Beam as it makes the shards of a build: one job server for all jobs, mistakes told once, jobs that do not go on unseen."""

import signal
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.job_server import JobServer, StopOnExitJobServer
from apache_beam.runners.portability.portable_runner import PortableRunner

from pipelines.engine import beams_jobs, probe
from pipelines.engine.beams import Beam, ProcessShard, elements_of
from pipelines.engine.beams_jobs import OneServer, cancel, waited_for
from pipelines.engine.engine import Engine
from pipelines.engine.options import look_at
from pipelines.engine.probe import Probe
from pipelines.engine.shards import Job
from pipelines.engine.step import Place, Step
from schemas.errors import UserError
from tests.promises import promise


@dataclass(frozen=True)
class Says(Step):
    """Notes each try; some words are a mistake of the user."""

    TABLE = 'says'
    VERSION = 1

    words: tuple[str, ...]
    log: Place[str] = ''
    many: int | None = None

    def shards(self):
        return self.words

    def at_once(self):
        return self.many

    def process(self, shard, writer):
        with open(self.log, 'a', encoding='utf-8') as log:
            log.write(f'{shard}\n')
        if shard == 'mistake':
            raise UserError('recipe: expected a, found b')
        writer.write('part', pa.table({'word': [shard]}))


@promise('Processes', 'A mistake of the user ends a Beam job at once: it is tried once, and told as one message')
def test_a_mistake_is_tried_once_and_told_once(tmp_path):
    step = Says(('mistake', 'mistake', 'mistake'), str(tmp_path / 'log'))
    with Engine(tmp_path / 'work') as engine, pytest.raises(UserError, match='^recipe: expected a, found b$'):
        engine.run(step)
    assert (tmp_path / 'log').read_text().splitlines() == ['mistake']


def jobs(*steps):
    return [Job(step, None, len(step.words), list(enumerate(step.words))) for step in steps]


def test_a_step_that_asks_a_server_travels_in_as_many_lists_as_it_may_be_made_by_processes():
    assert elements_of(jobs(Says(('a', 'b')))) == [[(0, 0, 'a')], [(0, 1, 'b')]]
    one, other = Says(('a', 'b'), '', 1), Says(('c',), '', 1)
    assert elements_of(jobs(one, other)) == [[(0, 0, 'a'), (0, 1, 'b'), (1, 0, 'c')]]
    assert elements_of(jobs(Says(('a', 'b', 'c'), '', 2), Says(('d',)))) == [[(1, 0, 'd')], [(0, 0, 'a'), (0, 2, 'c')], [(0, 1, 'b')]]


def test_an_option_that_only_the_runner_may_know_is_passed_on_and_told(tmp_path, capfd):
    args = ('--runner=FlinkRunner', '--checkpointing_interval=60000', '--max_bundle_size', '1000', '--parallelism=4')
    assert look_at(args).somebody
    Beam(args, tmp_path)
    assert capfd.readouterr().err == 'passed on to FlinkRunner, which alone knows them: --checkpointing_interval=60000 --max_bundle_size\n'


@pytest.mark.parametrize('args', [('--checkpointing_interval=60000',), ('--runner=FnApiRunner', '--paralelism=4'), ('--runner=DirectRunner', '--x=1')])
def test_an_option_that_nobody_can_know_is_refused(args):
    with pytest.raises(UserError, match='found neither; see phantom build --help'):
        look_at(args)


class Counted(JobServer):
    """Counts what is done to it."""

    def __init__(self):
        self.did = []

    def start(self):
        self.did.append('start')
        return 'stub'

    def stop(self):
        self.did.append('stop')


class Portable(PortableRunner):
    """A runner that would start a job server for each job."""

    made: list[Counted] = []

    def default_job_server(self, options):
        self.made.append(Counted())
        return StopOnExitJobServer(self.made[-1])


@promise('Processes', 'One job server serves all jobs of a build, and ends with it')
def test_all_jobs_have_one_job_server(monkeypatch):
    monkeypatch.setattr(Portable, 'made', [])
    ours, one = signal.getsignal(signal.SIGINT), OneServer()
    servers = [one.for_all(Portable()).default_job_server(PipelineOptions([])) for _ in range(3)]
    assert [server.start() for server in servers] == ['stub'] * 3
    assert signal.getsignal(signal.SIGINT) is ours, 'else it ends at Ctrl-C before the job can be cancelled'
    one.stop()
    one.stop()
    assert [server.did for server in Portable.made] == [['start', 'stop'], [], []]


def interrupted(state, hangs=False):
    def stopped():
        raise KeyboardInterrupt

    cancelled = []
    cancel = (lambda: signal.sigtimedwait([], 2)) if hangs else (lambda: cancelled.append(True))
    result = SimpleNamespace(_job_id='job-7', wait_until_finish=stopped, cancel=cancel, state=state)
    return SimpleNamespace(run=lambda: result), cancelled


@promise('Processes', 'A build that is stopped cancels its Beam job, or says which job may go on and where to cancel it')
def test_an_order_to_stop_cancels_the_job(capfd):
    pipeline, cancelled = interrupted('CANCELLED')
    with pytest.raises(KeyboardInterrupt):
        waited_for(pipeline, 'samples')
    assert cancelled == [True]
    assert capfd.readouterr().err == 'samples: the job job-7 is cancelled\n'


def test_a_job_that_cannot_be_cancelled_is_named(capfd, monkeypatch):
    monkeypatch.setattr(beams_jobs, 'CANCEL_S', 0.05)
    for pipeline, _ in (interrupted('RUNNING', hangs=True), interrupted('RUNNING')):
        cancel(pipeline.run(), 'samples')
        assert capfd.readouterr().err.startswith('samples: the job job-7 may still run: cancel it where the runner shows its jobs')


@promise('Processes', 'A worker that does not see the working folder says so, with its host, before it makes anything')
def test_a_worker_that_does_not_see_the_working_folder_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(probe, 'PATIENCE_S', 0.0)
    laid = Probe.laid(tmp_path)
    laid.look()
    laid.remove()
    laid.look()  # once is enough
    assert not list(tmp_path.iterdir())
    step = Says(('a', 'b'), str(tmp_path / 'log'))
    making = ProcessShard([(step, str(tmp_path / 'says/x'))], Probe(str(Path('/not/here/.probe-1'))))
    with pytest.raises(UserError, match=r'^this worker on host \S+ does not see /not/here: expected the working folder under one path on all nodes; '):
        list(making.process([(0, 0, 'a')]))
    assert not (tmp_path / 'says').exists()
