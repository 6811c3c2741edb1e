"""Whole builds on Prism, Beam's own runner in Go, where it is there (tests/prism.py)."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pipelines.engine.tables import Table
from tests.prism import cluster, find_prism
from tests.programmes.project import REPOSITORY, environment, ids, knowing_server, run
from tests.promises import promise

WAITS = """
import os, time
from fnmatch import fnmatch

def _waiting(rename):
    def renamed(source, target, **options):
        if fnmatch(str(target), '*image_facts/*/shard-00000.json'):
            open(os.environ['WAITS_AT'] + '.here', 'w').close()
            while not os.path.exists(os.environ['WAITS_AT']):
                time.sleep(0.05)
        return rename(source, target, **options)
    return renamed

if 'WAITS_AT' in os.environ:
    os.replace, os.rename = _waiting(os.replace), _waiting(os.rename)
"""
OTHER = ('--set', 'images.min_side_px=9')


@pytest.fixture(scope='session')
def prism() -> Path:
    """Find it before anything is built to compare with."""
    return find_prism()


@pytest.mark.integration
@promise('Processes', 'A build on another Beam runner (Prism) makes the same snapshots')
def test_a_build_on_prism_makes_the_same_snapshots(prism, built, project, tmp_path):
    with knowing_server() as server:
        told = run(project.command(tmp_path / 'out', '--runner=PrismRunner', f'--prism_location={prism}', url=server.url))
    assert told.returncode == 0, told.stderr
    assert ids(tmp_path / 'out') == ids(built.out)
    assert 'PrismRunner' not in told.stderr, 'what the server logs'


@pytest.mark.integration
@pytest.mark.long
@promise('Processes', 'A job that outlives its killed build and ends late spoils no later build in the same working folder, whatever its settings')
def test_a_job_that_outlives_its_build_spoils_no_other(project, tmp_path):
    (tmp_path / 'hook').mkdir()
    (tmp_path / 'hook/sitecustomize.py').write_text(WAITS)
    go, work = tmp_path / 'go', tmp_path / 'work'
    env = environment(PYTHONPATH=os.pathsep.join((str(tmp_path / 'hook'), str(REPOSITORY))), WAITS_AT=str(go))
    words = ('--mix-only', '--work', str(work))
    with cluster(tmp_path, env) as beam:
        client = subprocess.Popen(project.command(tmp_path / 'first', *words, *beam), env=environment(), stderr=subprocess.PIPE, text=True)
        until(lambda: Path(f'{go}.here').exists() or client.poll() is not None)
        assert client.poll() is None, client.communicate()[1]
        client.send_signal(signal.SIGKILL)
        client.communicate()
        before = {path: path.stat().st_mtime_ns for path in work.glob('image_facts/*/shard-*.json')}
        other = run(project.command(tmp_path / 'other', *words, *OTHER))
        assert other.returncode == 0, other.stderr
        go.touch()
        orphan = next(path for path in work.glob('image_facts/*') if not (path / '_DONE.json').exists())
        until(lambda: (orphan / 'shard-00000.json').exists())
    assert orphan / 'shard-00000.json' not in before
    again = run(project.command(tmp_path / 'again', *words, *OTHER))
    clean = run(project.command(tmp_path / 'clean', '--mix-only', *OTHER))
    assert (again.returncode, clean.returncode) == (0, 0), again.stderr + clean.stderr
    assert ids(tmp_path / 'again') == ids(tmp_path / 'other') == ids(tmp_path / 'clean')
    assert Table(orphan).fault(0, whole=True) == '', 'it is a good one of its own table'


def until(condition) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.05)
