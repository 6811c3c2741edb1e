"""Builds that are killed with signal 9 and started again: the same snapshot, and nothing that was stored is asked for again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.chat.ask import STORE_EVERY
from pipelines.replies.store import ReplyStore
from tests.programmes.project import RECIPE, environment, ids, knowing_server, run
from tests.promises import promise

pytestmark = pytest.mark.integration
WINDOW = STORE_EVERY + RECIPE['models']['fake']['concurrency']  # replies that a kill may lose: in flight, or waiting to be stored together

KILLED_AFTER = (50, 90, 70)  # questions: in the candidates, then in the verdicts, twice
HERE = ('--workers', '0')  # in the process that is killed; tests/programmes/test_workers_killed.py kills workers
MIX_KILLS = [
    ('samples/*/part-00000.parquet', 'image_facts/*/_DONE.json', 'mix_rows/*/shard-00001.json'),
    ('references/*/shard-00000.json', 'features/*/part-00002.parquet', 'out/mix'),
]


def killed_before(place: str, words: list[str]) -> None:
    """Run the build until the file `place` would appear; it must die there."""
    command = [sys.executable, '-m', 'tests.programmes.killed', place, *words, *HERE]
    told = subprocess.run(command, cwd='/', env=environment(), capture_output=True, text=True)
    assert told.returncode == -signal.SIGKILL, f'not killed at {place}: {told.returncode}\n{told.stdout}{told.stderr}'


@pytest.mark.parametrize('places', MIX_KILLS, ids=['between_steps', 'up_to_the_last_rename'])
@promise('Power cuts and kills', 'A mix killed (-9) before any of its renames goes on to the same snapshot; no finished shard is made again.', kills=sum(map(len, MIX_KILLS)))
def test_a_mix_killed_at_any_point_goes_on_to_the_same_snapshot(built, project, tmp_path, places):
    out, spared = tmp_path / 'out', {}
    for place in places:
        killed_before(place, project.words(out, '--mix-only'))
        assert not (out / 'mix').exists(), 'a snapshot exists whole or not at all'
        assert not list(out.glob(f'work/{place}'))
        now = finished(out / 'work')
        assert spared.items() <= now.items(), 'a finished shard was made again'
        spared = now
    done = run(project.command(out, '--mix-only'))
    assert done.returncode == 0, done.stderr
    assert spared.items() <= finished(out / 'work').items()
    assert ids(out) == ids(built.out)[:1]


def finished(work: Path) -> dict[str, int]:
    """Return when each shard of a build was finished, by its path."""
    return {str(path.relative_to(work)): path.stat().st_mtime_ns for path in work.glob('*/*/shard-*.json')}


class Killer:
    """Kills the build's process while it waits for the answer to its n-th question; stands in for `Script.fault_of`."""

    def __init__(self) -> None:
        self.process: subprocess.Popen | None = None
        self.left = 0

    def aim(self, process: subprocess.Popen, after: int) -> None:
        self.process, self.left = process, after

    def __call__(self, body: dict, nth: int) -> str:
        if is_probe(body) or self.process is None:
            return ''
        self.left -= 1
        if self.left <= 0:
            self.process.send_signal(signal.SIGKILL)
            return 'dropped'
        return ''


def is_probe(body: dict) -> bool:
    return 'Hello!' in json.dumps(body)


def asked(server) -> dict[str, int]:
    """Return how often each question was asked, by the start of its digest, which is also in the reply; without the probes."""
    return {digest[:12]: n for digest, n in server.counts.items() if digest not in probes(server)}


def probes(server) -> set[str]:
    import hashlib

    return {hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest() for body in server.bodies if is_probe(body)}


def stored(work: Path) -> set[str]:
    """Return the questions whose reply survived, read from the disk as the killed process left it."""
    store = ReplyStore(work / 'replies')
    found = {json.loads(outcome.raw)['id'].removeprefix('fake-') for outcome in store.outcomes()}
    store.close()
    return found


@promise('Power cuts and kills', 'A build killed (-9) while models are asked asks nothing again that was stored; at most the replies in flight are lost.', kills=len(KILLED_AFTER))
def test_triples_killed_while_asking_ask_nothing_again_that_was_stored(built, project, tmp_path):
    out, killer = tmp_path / 'out', Killer()
    lost = kept = 0
    previous_stored: set[str] = set()
    with knowing_server(fault_of=killer, delay_s=0.005) as server:
        for after in KILLED_AFTER:
            before = asked(server)
            process = subprocess.Popen(project.command(out, *HERE, url=server.url), cwd='/', env=environment(),
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            killer.aim(process, after)
            assert process.wait() == -signal.SIGKILL, 'the build ended before its kill'
            killer.process = None
            assert not (out / 'triples').exists()
            survived = stored(out / 'work')
            assert len(survived) > kept, 'the kill came before anything new was stored: it shows nothing'
            kept = len(survived)
            now = asked(server)
            missing = now.keys() - survived
            assert len(missing) <= WINDOW, f'{len(missing)} replies lost, at most {WINDOW} are in flight or unstored'
            lost += len(missing)
            again = {question for question in before if now[question] > before[question]}
            assert not again & previous_stored, 'a stored reply was asked for again'
            previous_stored = survived
        before = asked(server)
        done = run(project.command(out, url=server.url))
        assert done.returncode == 0, done.stderr
        after = asked(server)
    assert ids(out) == ids(built.out)
    again = {question: n for question, n in after.items() if n > 1}
    assert not {question for question in before if after[question] > before[question]} & previous_stored
    assert sum(n - 1 for n in again.values()) <= lost
    assert lost > 0, 'no kill met a question in flight'
    assert after.keys() == stored(out / 'work')


@pytest.mark.parametrize('places', [('candidates/*/shard-00000.json', 'out/triples')])
@promise('Power cuts and kills', 'Triples killed (-9) at a rename ask nothing again.')
def test_triples_killed_at_a_rename_ask_nothing_again(built, project, tmp_path, places):
    out = tmp_path / 'out'
    with knowing_server() as server:
        for place in places:
            killed_before(place, project.words(out, url=server.url))
            assert not (out / 'triples').exists()
        done = run(project.command(out, url=server.url))
        assert done.returncode == 0, done.stderr
        assert {question: n for question, n in asked(server).items() if n > 1} == {}
    assert ids(out) == ids(built.out)


@promise('Power cuts and kills', 'A killed build leaves no lock and no process behind.')
def test_a_killed_build_leaves_no_lock_and_no_process(project, tmp_path):
    killed_before('refs/*/_DONE.json', project.words(tmp_path / 'out', '--mix-only'))
    assert subprocess.run(['pgrep', '-f', str(tmp_path / 'out')], capture_output=True, env=os.environ).stdout == b''
    done = run(project.command(tmp_path / 'out', '--mix-only'))
    assert done.returncode == 0, done.stderr
