"""Whole builds on Ray clusters of several nodes of this machine, which lose workers, a node, and their driver: the same snapshots."""

import os
from pathlib import Path

import pytest

from tests.clusters import OPEN, cluster
from tests.programmes.project import REPOSITORY, ids, knowing_server, run
from tests.programmes.test_kills import WINDOW, asked
from tests.promises import promise

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('ray')]
DEADLY = """
import os, signal, sys
from fnmatch import fnmatch

def _deadly(rename):
    def renamed(source, target, **options):
        place, what, once = os.environ['DIES_BEFORE'].split()
        if fnmatch(str(target), f'*{place}') and not os.path.exists(once):
            open(once, 'w').close()
            if what == 'node':
                os.kill(os.getppid(), signal.SIGKILL)  # Ray's own process on this node: without it, it is none
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(source, target, **options)
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
