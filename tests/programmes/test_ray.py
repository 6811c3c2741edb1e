"""Whole builds on Ray clusters of several nodes of this machine, which lose workers, a node, and their driver: the same snapshots."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.clusters import OPEN, cluster
from tests.pipelines.engine.test_pool import until
from tests.programmes.project import REPOSITORY, Project, environment, ids, knowing_server, run, write_project
from tests.programmes.test_foreign_worker import worker_python  # noqa: F401
from tests.programmes.test_kills import WINDOW, asked
from tests.promises import promise

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('ray')]
DEADLY = """
import os, signal, sys, time
from fnmatch import fnmatch

def _deadly(rename):
    def renamed(source, target, **options):
        place, what, once = os.environ['DIES_BEFORE'].split()
        if fnmatch(str(target), f'*{place}') and not os.path.exists(once):
            open(once, 'w').close()
            if what == 'orphan':  # a process that nobody ends goes on with the shard, late
                if os.fork():
                    os.kill(os.getpid(), signal.SIGSTOP)  # until Ray kills it: told to end, it would take the draft along
                os.setsid()
                if os.fork():  # no child of Ray's worker, which would take it along
                    os._exit(0)
                for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)  # told to end with the rest, it would be no orphan
                while not os.path.exists(once + '.go'):
                    time.sleep(0.05)
                os.environ['ORPHAN'] = once
                return rename(source, target, **options)
            if what == 'node':
                os.kill(os.getppid(), signal.SIGKILL)  # Ray's own process on this node: without it, it is none
            os.kill(os.getpid(), signal.SIGKILL)
        done = rename(source, target, **options)
        if 'ORPHAN' in os.environ and 'shard-' in str(target):
            open(os.environ['ORPHAN'] + '.done', 'w').close()
            os._exit(0)
        return done
    return renamed

if 'DIES_BEFORE' in os.environ and 'default_worker.py' in ' '.join(sys.orig_argv):
    os.replace, os.rename = _deadly(os.replace), _deadly(os.rename)
"""


@pytest.fixture
def trap(tmp_path):
    """Return the environment of a node that dies, or whose worker does, just before a file of some name would appear; and what says that it did."""
    (tmp_path / 'hook').mkdir()
    (tmp_path / 'hook/sitecustomize.py').write_text(DEADLY)

    def dies_before(place: str, what: str) -> tuple[dict[str, str], Path]:
        died = tmp_path / f'{what}-died'
        return {'PYTHONPATH': os.pathsep.join((str(tmp_path / 'hook'), str(REPOSITORY))), 'DIES_BEFORE': f'{place} {what} {died}'}, died

    return dies_before


@promise('Clusters', 'A build on a Ray cluster goes on by itself when a node dies, to the snapshots of a build in one process', nodes=2, killed_nodes=1)
def test_a_node_that_dies_in_the_middle_of_a_build_changes_nothing(built, project, tmp_path, trap):
    deadly, died = trap('/shard-*.json', 'node')
    with cluster('--num-cpus=1') as here, knowing_server() as server:
        here.join('--num-cpus=1', **deadly)
        told = run(project.command(tmp_path / 'out', '--ray', here.address, url=server.url), **OPEN)
        assert told.returncode == 0, told.stdout + told.stderr
        assert died.exists(), 'no node died: nothing is shown'
        assert 'it is made again (2 of 3)' in told.stderr
        assert 'Traceback' not in told.stderr
        assert 'raylet' not in told.stdout + told.stderr
        assert sum(n - 1 for n in asked(server).values()) <= WINDOW
    assert ids(tmp_path / 'out') == ids(built.out)
    assert not (tmp_path / 'out/work/ray').exists()


@pytest.mark.long
@promise('Clusters', 'A client is killed in the middle of a step, its rerun has another threshold, and what the first left on the cluster ends late: both '
         'snapshots are those of clean builds', orphans=1)
def test_an_orphan_that_ends_late_spoils_nothing(built, project, tmp_path, trap):
    deadly, died = trap('features/*/part-00001.parquet', 'orphan')
    other, first, second = ('--set', 'duplicates.photo_bits=2'), tmp_path / 'first', tmp_path / 'second'
    with cluster('--num-cpus=2', **deadly) as here:
        client = subprocess.Popen(project.command(first, '--mix-only', '--ray', here.address), env=environment(**OPEN), stderr=subprocess.DEVNULL)
        until(died.exists, 'the orphan')
        client.kill()
        client.wait()
        words = project.command(second, '--mix-only', '--work', str(first / 'work'), '--ray', here.address, *other)
        assert run(words, **OPEN).returncode == 0
        died.with_name(died.name + '.go').touch()
        until(died.with_name(died.name + '.done').exists, 'the end of the orphan')
        again = run(project.command(first, '--mix-only', '--ray', here.address), **OPEN)
        assert again.returncode == 0, again.stderr
    assert run([project.command(first)[0], 'verify', str(second)]).returncode == 0
    assert ids(first) == ids(built.out)[:1]
    assert run(project.command(tmp_path / 'third', '--mix-only', '--work', str(first / 'work'), *other)).returncode == 0
    clean = run(project.command(tmp_path / 'clean', '--mix-only', *other))
    assert clean.returncode == 0, clean.stderr
    assert ids(second) == ids(tmp_path / 'third') == ids(tmp_path / 'clean')


N_MANY = 5_000


def many(folder: Path) -> Project:
    """The little project with a source of 5,000 records more, whose answers are computed."""
    project = write_project(folder)
    (project.root / 'many').mkdir()
    with open(project.root / 'many/many.jsonl', 'w', encoding='utf-8') as file:
        for i in range(N_MANY):
            asked = f'Crate {i} of the harbour holds {i % 97} red and {i % 89} blue boxes. How many boxes does crate {i} hold?'
            turns = [{'role': 'user', 'content': asked}, {'role': 'assistant', 'content': f'{i % 97 + i % 89}'}]
            file.write(json.dumps({'id': f'm{i}', 'messages': turns}) + '\n')
    recipe = yaml.safe_load(project.recipe.read_text())
    recipe['sources']['many'] = {'format': 'messages', 'annotations': ['many/many.jsonl'], 'licence': 'MIT', 'answers': 'exact'}
    recipe['triples']['max_samples']['many'] = 500  # of all records the mix is made
    project.recipe.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return project


@pytest.mark.long
@promise('Clusters', 'A build of 5,000 records, with rules and a server, loses a worker, a node and its own process on a cluster whose nodes do not have '
         'the project: the snapshots are those of one process', killed_workers=1, killed_nodes=1, killed_drivers=1)
def test_a_build_that_loses_a_worker_a_node_and_its_driver_on_foreign_nodes(tmp_path, trap, worker_python):  # noqa: F811
    project = many(tmp_path / 'many')
    with knowing_server() as server:
        alone = run(project.command(tmp_path / 'alone', '--workers', '0', url=server.url))
        assert alone.returncode == 0, alone.stderr
    worker, worker_died = trap('described/*/shard-*.json', 'worker')
    (tmp_path / 'other').mkdir()
    foreign = {'PYTHONPATH': str(tmp_path / 'hook')}
    with cluster('--num-cpus=1', python=worker_python, **{**worker, **foreign}) as here, knowing_server() as server:
        node_died = tmp_path / 'node-died'
        here.join('--num-cpus=1', **{**worker, **foreign, 'DIES_BEFORE': f'/shard-*.json node {node_died}'})
        words = project.command(tmp_path / 'out', '--ray', here.address, url=server.url)
        killed = subprocess.Popen(words, env=environment(**OPEN), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        until(lambda: any((tmp_path / 'out/work').glob('features/*/shard-*.json')), 'the features')
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        told = run(words, **OPEN)
        assert told.returncode == 0, told.stdout + told.stderr
    assert worker_died.exists()
    assert node_died.exists()
    assert ids(tmp_path / 'out') == ids(tmp_path / 'alone')
