"""What of `--ray` needs no cluster: addresses, who else may make the tables, what a node looks at, what is said of the dead."""

import json
import os
import socket
import sys
from dataclasses import replace

import pytest

from pipelines.chat.asker import Asker
from pipelines.engine import ray_cluster, ray_worker
from pipelines.engine.notes import SLOT, SLOTS
from pipelines.engine.ray_cluster import Cluster, check_address, runtime_env
from pipelines.engine.ray_deaths import NODE, OUT_OF_MEMORY, UNKNOWN, Ends, explain_ends
from pipelines.engine.ray_worker import CALL_BYTES, Home, look_around, names_in, versions
from pipelines.engine.runners import OnRay, makers_of
from pipelines.engine.step import opens
from schemas.errors import UserError
from schemas.recipe import Budget, Model
from tests.pipelines.engine.deadly import Deadly, Light


@pytest.fixture(autouse=True)
def same_environment():
    """What is said to Ray before it is imported ends with the test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize('address', ['auto', 'local', '10.0.0.1:6379', 'head.cluster:6379', 'ray://head:10001', '[::1]:6379'])
def test_addresses_that_are_taken(address):
    check_address(address)


@pytest.mark.parametrize('address', ['head', 'http://head:8265', 'ray://head', 'local:', ''])
def test_any_other_address_is_refused_with_those_that_are(address):
    with pytest.raises(UserError, match=r'expected auto \(.*\), local \(.*\), HOST:PORT or ray://HOST:PORT'):
        check_address(address)


def test_without_ray_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(UserError, match=r"--ray auto: expected Ray in this environment, found none .* pip install 'phantom-curation\[ray\]'"):
        check_address('auto')


@pytest.mark.parametrize(('args', 'workers', 'found'), [((), 2, '--workers 2'), (('--runner=FlinkRunner',), None, '--runner=FlinkRunner')])
def test_one_says_once_who_makes_the_tables(tmp_path, args, workers, found):
    with pytest.raises(UserError, match=f'--ray auto: expected nothing else that says who makes the tables, found {found}; leave one of them out'):
        makers_of(args, workers, tmp_path, OnRay('auto'))


def test_the_front_door_refuses_shards_beside_a_cluster(front, tmp_path):
    code, _, told = front('build', 'demo', '--out', tmp_path, '--ray', 'auto', '--shard', '1/2')
    assert code == 2
    assert '--ray auto: expected nothing else that says who makes the tables, found --shard' in told


def test_a_cluster_is_not_reached_before_there_is_something_to_make(tmp_path):
    cluster = Cluster('10.255.255.1:6379', tmp_path)
    cluster.begin()
    cluster.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('scheme', ['', 'ray://'])
def test_where_nobody_listens_ray_is_not_started(tmp_path, monkeypatch, scheme):
    import ray

    monkeypatch.setattr(ray, 'init', None)  # it tries for minutes
    with socket.create_server(('127.0.0.1', 0)) as held:
        port = held.getsockname()[1]
    cluster = Cluster(f'{scheme}127.0.0.1:{port}', tmp_path)
    with pytest.raises(UserError, match=rf'--ray {scheme}127.0.0.1:{port}: expected a Ray cluster there .*, found: .*refused; ray start --head'):
        cluster._connect()
    cluster.close()


@pytest.fixture
def home(tmp_path) -> Home:
    (tmp_path / 'work/run').mkdir(parents=True)
    (tmp_path / 'work/run/probe').write_text('token')
    (tmp_path / 'sources').mkdir()
    (tmp_path / 'sources/a.json').touch()
    folder = str(tmp_path / 'sources')
    return Home(str(tmp_path / 'work'), str(tmp_path / 'work/run'), 'token', ((folder, names_in(folder)),), versions())


def test_a_node_like_the_builds_own_has_nothing_to_say(home):
    look_around(home)


def test_a_node_that_lacks_something_is_told_by_its_name(home, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_worker.socket, 'gethostname', lambda: 'n7')
    others = tuple((name, '1.0' if name == 'pyarrow' else version) for name, version in home.versions)
    with pytest.raises(UserError, match=r'node n7: expected the same packages .* found pyarrow \S+ where the build has 1.0; install'):
        look_around(replace(home, versions=others))
    (tmp_path / 'sources/a.json').unlink()
    with pytest.raises(UserError, match=r'node n7: expected the sources in \S+sources as the build sees them, found no a.json there'):
        look_around(home)
    with pytest.raises(UserError, match=r'node n7: expected the working folder \S+work of the build, found none there \(No such file'):
        look_around(replace(home, run='/not/there'))


def test_what_is_said_of_the_dead(tmp_path):
    ends, log = Ends(), tmp_path / 'workers.log'
    (tmp_path / 'n7-1.notes').write_bytes(b'a.jpg'.ljust(SLOT, b'\0') + bytes(SLOT * (SLOTS - 1)) + b'3 0 1'.ljust(CALL_BYTES, b'\0'))
    (tmp_path / 'n7-1.stack').write_text('Fatal Python error: Bus error\n  File "x.py"\n')
    ends.note(UNKNOWN, tmp_path, '3 0 1', log)
    ends.note(OUT_OF_MEMORY, tmp_path, '4 0 1', log)
    ends.note(NODE, tmp_path, '5 0 1', log)
    assert explain_ends('facts: shard 2 of 9', ends) == (
        'facts: shard 2 of 9, at a.jpg: the 3 worker processes that tried to make it, one after the other, were ended by Bus error and '
        "Ray's memory monitor (no memory was left on its node) and the end of its node: a library failed on what it was given: look for a damaged "
        f'file in this shard; {log} holds the stack; give the nodes more memory, or fewer CPUs (ray start --num-cpus), so that fewer shards are made '
        'there at once; see why its node went; finished shards are kept, run the same command again to go on')
    assert log.read_text().startswith('Fatal Python error: Bus error')


def test_steps_that_open_something_are_those_that_actors_make(tmp_path):
    assert opens(Deadly(('a',), str(tmp_path)))
    assert not opens(Light(('a',), str(tmp_path)))


def test_a_step_needs_what_the_models_need_that_it_asks(tmp_path):
    def model(**other: object) -> Model:
        return Model(model='m', revision='r', backend='vllm', **other)

    models = {'one': model(resources={'num_gpus': 0.5}), 'two': model(resources={'num_gpus': 2, 'num_cpus': 8}), 'three': model()}
    asker = Asker(models, Budget(), str(tmp_path), str(tmp_path))
    for asked, needs in ((('one',), {'num_gpus': 0.5, 'num_cpus': 1}), (('one', 'two'), {'num_gpus': 2, 'num_cpus': 8}), (('three',), {})):
        assert asker.needs(type('Asking', (), {'models': dict.fromkeys(asked)})()) == needs


def test_a_job_that_brings_modules_keeps_them(monkeypatch):
    assert [os.path.basename(path) for path in runtime_env()['py_modules']] == ['curation', 'pipelines', 'schemas']
    monkeypatch.setenv(ray_cluster.JOB, json.dumps({'runtime_env': {'working_dir': 'gcs://x.zip'}}))
    assert 'py_modules' in runtime_env()
    monkeypatch.setenv(ray_cluster.JOB, json.dumps({'runtime_env': {'py_modules': ['gcs://x.whl']}}))
    assert runtime_env() == {}
