"""Steps on a Ray cluster whose workers die, are interrupted, or lack something: what is told, what stays, who is gone."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import tests
from pipelines.engine.engine import Engine
from pipelines.engine.ray_cluster import _look_around
from pipelines.engine.runners import OnRay
from schemas.errors import BudgetExceeded, PendingWork, UserError
from tests.clusters import OPEN, cluster
from tests.pipelines.engine.deadly import Deadly, Light, Placed
from tests.pipelines.engine.test_pool import begun, is_gone, notes, until
from tests.promises import promise

REPOSITORY = Path(tests.__file__).parents[1]


@pytest.fixture(scope='module')
def here():
    """A cluster of one node with two cores and, as far as Ray counts, two GPUs. What is imported on it is the checkout."""
    with pytest.MonkeyPatch.context() as patch, cluster('--num-cpus=2', '--num-gpus=2') as running:
        patch.setenv('RAY_AUTH_MODE', OPEN['RAY_AUTH_MODE'])
        yield running


@pytest.fixture(scope='module')
def reached(tmp_path_factory, here):
    """One for all tests here, for it takes seconds to reach a cluster: each test has steps of its own words."""
    with Engine(tmp_path_factory.mktemp('ray') / 'work', ray=OnRay(here.address)) as engine:
        yield engine


@pytest.fixture
def engine(reached):
    yield reached
    reached._makers._dismiss()  # another build of the next test needs the cores


@pytest.mark.integration
@pytest.mark.long
@pytest.mark.xdist_group('ray')
class TestOnACluster:
    """On one cluster, which one process runs."""

    @promise('Clusters', 'A shard whose worker dies is made again; one that ends three workers ends the step with one message (shard, what it worked '
             'on, how they ended), exit code 4', deaths=3)
    def test_a_shard_that_ends_three_workers_ends_the_step(self, tmp_path, engine, capfd):
        with pytest.raises(PendingWork) as raised:
            engine.run(Deadly(('a', 'always:SIGSEGV'), str(tmp_path)))
        assert str(raised.value) == (
            'deadly: shard 2 of 2 (always:SIGSEGV), at always:SIGSEGV: the 3 worker processes that tried to make it, one after the other, were ended by '
            'Segmentation fault: a library failed on what it was given: look for a damaged file in this shard; '
            f'{engine.work}/workers.log holds the stack; finished shards are kept, run the same command again to go on')
        assert raised.value.code == 4
        assert [line.split()[1] for line in notes(tmp_path) if line.startswith('begun')].count('always:SIGSEGV') == 3, "Ray's own retries are off"
        assert 'Fatal Python error: Segmentation fault' in (engine.work / 'workers.log').read_text()
        told = capfd.readouterr()
        assert [line for line in told.err.splitlines() if 'again' in line] == [
            f'deadly: shard 2 of 2 (always:SIGSEGV): its worker was ended by Segmentation fault; it is made again ({n} of 3)' for n in (2, 3)]
        assert told.out == ''

    @pytest.mark.parametrize('kind', [Deadly, Light])
    def test_a_shard_that_is_lost_once_is_made_again(self, tmp_path, engine, kind):
        step = kind(('a', 'die:SIGKILL', 'ccc'), str(tmp_path))
        assert engine.run(step).read()['n'].to_pylist() == [1, 11, 3]
        assert [line.split()[1] for line in notes(tmp_path) if line.startswith('begun die')] == ['die:SIGKILL'] * 2

    @promise('Clusters', 'What a step raises on a node arrives once, as what it is', errors=5)
    @pytest.mark.parametrize('kind', [Deadly, Light])
    def test_what_a_step_raises_arrives_as_what_it_is(self, tmp_path, engine, kind):
        for word, error, code in (('user', UserError, 2), ('budget', BudgetExceeded, 3), ('disk', UserError, 2), ('memory', PendingWork, 4)):
            with pytest.raises(error) as raised:
                engine.run(kind(('a', f'raise:{word}'), str(tmp_path)))
            assert type(raised.value) is error
            assert raised.value.code == code
            assert [line.split()[1] for line in notes(tmp_path) if line.startswith('begun')].count(f'raise:{word}') == 1
        with pytest.raises(KeyError, match='nobody') as bug:
            engine.run(kind(('a', 'raise:bug'), str(tmp_path)))
        assert 'on a worker process:\nTraceback' in bug.value.__notes__[0]

    def test_what_a_step_opens_is_opened_once_on_each_actor_and_closed_after_the_last_shard(self, tmp_path, engine):
        engine.run(Deadly(tuple('abcdefgh'), str(tmp_path)))
        first = set(begun(tmp_path).values())
        assert 1 <= len(first) <= 2
        assert [line for line in notes(tmp_path) if not line.startswith('begun')].count('opened') == len(first)
        assert notes(tmp_path).count('closed') == len(first)
        engine.run(Deadly(('ijk', 'lmn'), str(tmp_path)))
        engine.run(Light(('o', 'p'), str(tmp_path)))
        assert first & {begun(tmp_path)[word] for word in ('o', 'p')}, 'actors that are there make what tasks would'
        engine.run(Placed(('q', 'r'), str(tmp_path), num_gpus=1.0))
        until(lambda: all(map(is_gone, first)), 'the end of actors that the next step has no use for')

    @promise('Clusters', 'A step that asks a server runs on one actor, however many nodes there are')
    def test_a_step_that_may_be_made_by_one_runs_on_one_actor(self, tmp_path, engine, capfd):
        engine.run(Placed(('a', 'b', 'news:model', 'd'), str(tmp_path), most=1))
        assert len(set(begun(tmp_path).values())) == 1
        assert 'model: 3 of 7 calls answered' in capfd.readouterr().err

    def test_a_step_that_needs_a_device_runs_on_as_many_actors_as_there_are_devices(self, tmp_path, engine):
        engine.run(Placed(('see:a', 'see:b', 'see:c'), str(tmp_path), num_gpus=1.0))
        seen = {line.split()[1]: line.split()[2] for line in notes(tmp_path) if line.startswith('saw')}
        assert set(seen.values()) == {'0', '1'}, 'each has its own'

    @promise('Clusters', 'A build that is stopped on a cluster ends what runs there, and stores what came back first', signals=2)
    @pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGTERM])
    def test_what_runs_ends_with_a_build_that_is_stopped(self, tmp_path, here, how):
        build = started(tmp_path, here.address, 'a', 'wait:go', 'wait:never')
        until(lambda: len(begun(tmp_path)) == 3, 'the shards')
        build.send_signal(how)
        _, told = build.communicate(timeout=120)
        assert build.returncode == 128 + how, told
        until(lambda: all(map(is_gone, begun(tmp_path).values())), 'the end of the workers')
        assert sorted(line for line in notes(tmp_path) if line.startswith('stored')) == ['stored wait:go', 'stored wait:never']
        assert [line for line in told.splitlines() if 'shard(s)' not in line] == [
            f'phantom: stopped by {how.name}; what is finished is kept, the same command goes on from there']
        assert not (tmp_path / 'work/ray').exists()

    @promise('Clusters', 'A build whose own process is killed (-9) leaves nothing running on the cluster, and goes on where it was', kills=1)
    def test_a_killed_driver_leaves_nothing_and_the_same_build_goes_on(self, tmp_path, here):
        build = started(tmp_path, here.address, 'a', 'wait:go', 'wait:never')
        until(lambda: len(begun(tmp_path)) == 3, 'the shards')
        build.kill()
        build.communicate()
        first = begun(tmp_path)
        until(lambda: all(map(is_gone, first.values())), 'the end of the workers')
        assert len(list((tmp_path / 'work/ray').iterdir())) == 1, 'what it noted lies there until the next build'
        for word in ('go', 'never'):
            (tmp_path / word).touch()
        (tmp_path / 'notes').unlink()
        again = started(tmp_path, here.address, 'a', 'wait:go', 'wait:never')
        _, told = again.communicate(timeout=240)
        assert again.returncode == 0, told
        assert begun(tmp_path).keys() == {'wait:go', 'wait:never'}, 'finished shards are kept'
        assert not (tmp_path / 'work/ray').exists()

    def test_a_node_that_sees_other_folders_says_so(self, tmp_path, engine):
        home = engine._makers._home or engine._makers._connect()
        with pytest.raises(UserError, match=r'node \S+: expected the sources in \S+ as the build sees them, found no not-there there'):
            _look_around(replace(home, sees=((str(tmp_path), ('not-there',)),)))


BUILD = """
from functools import partial
from pathlib import Path
import typer
from pipelines.engine.engine import Engine
from pipelines.engine.runners import OnRay
from schemas.endings import log_errors_only, run_to_an_end
from tests.pipelines.engine.deadly import Deadly

def main(home: Path, address: str, words: list[str]):
    with Engine(home / 'work', ray=OnRay(address)) as engine:
        engine.run(Deadly(tuple(words), str(home)))

log_errors_only()
run_to_an_end(partial(typer.run, main), 'phantom')
"""


def started(home: Path, address: str, *words: str) -> subprocess.Popen:
    """Start a build of its own process."""
    return subprocess.Popen([sys.executable, '-c', BUILD, str(home), address, *words], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, **OPEN, 'PYTHONPATH': str(REPOSITORY)}, start_new_session=True)
