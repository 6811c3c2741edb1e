"""Whole builds whose worker processes die: each ends with one message and code 4, the same command goes on to the same snapshots."""

import os
import signal
from pathlib import Path

import pytest

from tests.programmes.project import REPOSITORY, ids, knowing_server, run
from tests.programmes.test_kills import WINDOW, asked
from tests.promises import promise

DEADLY = """
import os, signal, sys
from fnmatch import fnmatch

def _deadly(rename):
    def renamed(source, target, **options):
        place, how = os.environ['DIES_BEFORE'].split()
        if fnmatch(str(target), f'*{place}'):
            os.kill(os.getpid(), int(how))
        return rename(source, target, **options)
    return renamed

if 'DIES_BEFORE' in os.environ and 'pipelines.engine.worker' in ' '.join(sys.orig_argv):
    os.replace, os.rename = _deadly(os.replace), _deadly(os.rename)
"""
DEATHS = {  # just before this file would appear, and what is said of its shard
    'samples/*/shard-00000.json': (signal.SIGKILL, ('samples ', ' shard 1 of ', ' from record 0 on')),
    'image_facts/*/part-00000.parquet': (signal.SIGSEGV, ('image_facts', ' shard 1 of ')),
    'described/*/shard-00000.json': (signal.SIGKILL, ('described', ' shard 1 of ')),
}


@pytest.mark.integration
@promise('Processes', 'A build whose worker processes die again and again goes on to the same snapshots, and asks no stored reply again', deaths=len(DEATHS))
def test_a_build_whose_workers_die_goes_on_to_the_same_snapshots(built, project, tmp_path):
    (tmp_path / 'hook').mkdir()
    (tmp_path / 'hook/sitecustomize.py').write_text(DEADLY)
    path, out = os.pathsep.join((str(tmp_path / 'hook'), str(REPOSITORY))), tmp_path / 'out'
    finished: dict[Path, int] = {}
    with knowing_server() as server:
        for place, (how, words) in DEATHS.items():
            told = run(project.command(out, '--workers', '2', url=server.url), PYTHONPATH=path, DIES_BEFORE=f'{place} {how.value}')
            assert told.returncode == 4, f'{place}: {told.stderr}'
            message = told.stderr.splitlines()[-1]
            assert message.startswith('phantom: ')
            assert all(word in message for word in (*words, f'ended by {how.name}: ', 'run the same command again')), message
            assert 'Traceback' not in told.stderr
            assert not list(out.glob(f'work/{place}'))
            now = {path: path.stat().st_mtime_ns for path in out.glob('work/*/*/shard-*.json')}
            assert finished.items() <= now.items(), 'a finished shard was made again'
            finished = now
        done = run(project.command(out, '--workers', '2', url=server.url))
        assert done.returncode == 0, done.stderr
        again = sum(n - 1 for n in asked(server).values())
        assert again <= WINDOW, f'{again} asked again: more than the other worker, which the end of the step stops, had in flight'
    assert ids(out) == ids(built.out)
