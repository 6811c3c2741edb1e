"""Whole builds through faults of servers, disks and processes. The fake server is real HTTP on loopback and counts what it is asked."""

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from pipelines.build import Way, build_all
from pipelines.chat.openai_backend import OpenAIBackend
from schemas.errors import PendingWork, UserError
from schemas.recipe import load_recipe
from tests.fakes import FakeChatServer
from tests.programmes.project import Project, environment, ids, knowing_server, rows_of, run, write_project
from tests.promises import promise

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('faults')]
KILLS, MANY_KILLS = 6, 20
SHARES = 3


@pytest.fixture(scope='module')
def project(tmp_path_factory) -> Project:
    return write_project(tmp_path_factory.mktemp('project'))


@pytest.fixture(scope='module')
def reference(project, tmp_path_factory) -> tuple[str, ...]:
    """The ids of the uninterrupted build."""
    out = tmp_path_factory.mktemp('reference') / 'out'
    with knowing_server() as server:
        build(project, out, server)
    return ids(out)


def build(project: Project, out: Path, server: FakeChatServer, *sets: str, work: Path | None = None, give_up: bool = False) -> None:
    recipe = load_recipe(project.recipe, (f"models.fake.base_urls=['{server.url}']", *sets))
    build_all(recipe, out, Way(work, project.root, give_up=give_up))


def most_asked(server: FakeChatServer) -> int:
    """Return how often the most repeated request came, the prompts with which every process tries the server left out."""
    asked = (json.dumps(body, sort_keys=True) for body in server.bodies)
    return Counter(body for body in asked if 'Hello!' not in body).most_common(1)[0][1]


def completions(server: FakeChatServer) -> int:
    return len(server.bodies)


KILLED = 'A build that is killed (-9) at random moments ends with the same snapshots; replies in flight may be asked again, none that was stored.'


@promise('Power cuts and kills', KILLED, kills=KILLS)
def test_kills_at_random_points_lose_nothing_and_ask_nothing_twice_that_was_stored(project, reference, tmp_path):
    kill_again_and_again(project, reference, tmp_path, KILLS)


@pytest.mark.long
@promise('Power cuts and kills', KILLED, kills=MANY_KILLS)
def test_twenty_kills_at_random_points_lose_nothing_and_ask_nothing_twice_that_was_stored(project, reference, tmp_path):
    kill_again_and_again(project, reference, tmp_path, MANY_KILLS)


def kill_again_and_again(project: Project, reference: tuple[str, ...], tmp_path: Path, kills: int) -> None:
    """Each kill may lose the replies in flight (the store's window is 32 and the recipe's concurrency); nothing else is asked again."""
    out, rng = tmp_path / 'out', random.Random(7)
    with knowing_server(delay_s=0.02) as server:
        for _ in range(kills):
            process = subprocess.Popen(project.command(out, url=server.url), cwd='/', env=environment(), start_new_session=True,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            asked, deadline = completions(server), time.monotonic() + rng.uniform(0.5, 4.5)
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            assert completions(server) - asked < 2000
        done = run(project.command(out, url=server.url))
        assert done.returncode == 0, done.stderr
        distinct, repeated = len(server.counts), sum(n - 1 for n in server.counts.values())
    assert ids(out) == reference
    assert repeated <= (kills + 1) * (32 + 32) + 40, f'{repeated} of {distinct} asked again'


@promise('Processes', 'Server errors, malformed replies and dropped connections that pass change nothing in what is sealed.')
def test_faults_that_pass_change_nothing(project, reference, tmp_path):
    """Three requests in ten meet a fault on their first try, each tenth another."""
    faults = {0: '500', 1: 'malformed', 2: 'dropped'}

    def fault_of(body: dict, nth: int) -> str:
        return faults.get(int(body_number(body)) % 10, '') if nth == 1 else ''

    with knowing_server(fault_of=fault_of, retry_after='0') as server:
        build(project, tmp_path / 'out', server)
        assert max(server.counts.values()) >= 2
    assert ids(tmp_path / 'out') == reference


@promise('Processes', 'Refusals (429) and time-outs that pass change nothing in what is sealed.')
def test_a_storm_in_which_everything_is_refused_or_left_unanswered_at_first_changes_nothing(project, reference, tmp_path):
    """Every request is told 429 once; then one in fifty is not answered in time."""
    def fault_of(body: dict, nth: int) -> str:
        if nth == 1:
            return '429'
        return 'timeout' if nth == 2 and body_number(body) % 50 == 0 else ''

    with knowing_server(fault_of=fault_of, retry_after='0', hang_s=5) as server:
        build(project, tmp_path / 'out', server, 'models.fake.max_retries=3', 'models.fake.timeout_s=1', 'models.fake.concurrency=16')
        assert min(server.counts.values()) >= 2
    assert ids(tmp_path / 'out') == reference


def body_number(body: dict) -> int:
    import hashlib

    return int(hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest(), 16) % 100


def test_a_server_that_is_gone_for_some_seconds_is_waited_for(project, reference, tmp_path):
    with knowing_server(delay_s=0.01) as server:
        thief = threading.Thread(target=take_away, args=(server, 3.0), daemon=True)
        thief.start()
        build(project, tmp_path / 'out', server)
        thief.join()
    assert ids(tmp_path / 'out') == reference


@promise('Processes', 'A model server that stays away leaves work pending (exit code 4); the same command finishes it.')
def test_a_server_that_stays_away_leaves_work_pending_and_a_second_run_finishes_it(project, reference, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    monkeypatch.setitem(OpenAIBackend.__init__.__kwdefaults__, 'patience_s', 0.2)
    with knowing_server(delay_s=0.01) as server:
        thief = threading.Thread(target=take_away, args=(server, None), daemon=True)
        thief.start()
        with pytest.raises(PendingWork, match='run the same command again to go on, or add --give-up'):
            build(project, out, server, 'models.fake.max_retries=0')
        thief.join()
        assert not (out / 'triples').exists()
        server.start()
        build(project, out, server)
    assert ids(out) == reference


def take_away(server: FakeChatServer, seconds: float | None, after: int = 30) -> None:
    """Stop the server once it is busy; start it again after some seconds."""
    while completions(server) < after:
        time.sleep(0.005)
    server.stop()
    if seconds is not None:
        time.sleep(seconds)
        server.start()


@promise('Processes', 'What a server keeps failing is pending, only that is asked again, and --give-up names it (GIVEN_UP).')
def test_replies_that_stay_malformed_are_pending_and_only_they_are_asked_again_or_given_up(project, reference, tmp_path):
    """One request in a hundred gets what is no completion, whenever it is asked: nothing says that this is the request's fault."""
    def fault_of(body: dict, nth: int) -> str:
        return 'malformed' if body_number(body) == 3 else ''

    with knowing_server(fault_of=fault_of) as server:
        with pytest.raises(PendingWork, match='run the same command again to go on, or add --give-up'):
            build(project, tmp_path / 'out', server, 'models.fake.max_retries=1')
        answered = {text for body in server.bodies if body_number(body) != 3 and 'Hello!' not in (text := json.dumps(body, sort_keys=True))}
        n = len(server.bodies)
        server.script.fault_of = lambda body, nth: ''
        build(project, tmp_path / 'out', server, 'models.fake.max_retries=1')
        assert answered.isdisjoint(json.dumps(body, sort_keys=True) for body in server.bodies[n:]), 'a stored reply was asked for again'
    assert ids(tmp_path / 'out') == reference
    with knowing_server(fault_of=fault_of) as server:
        build(project, tmp_path / 'other', server, 'models.fake.max_retries=1', give_up=True)
        spoiled = sum(body_number(body) == 3 for body in server.bodies) / 2
    lost = [row for row in rows_of(tmp_path / 'other/triples', 'rejections') if row['reason'] == 'GIVEN_UP']
    assert 0 < len(lost) <= spoiled
    assert all('HTTP 200' in row['detail'] for row in lost)


@promise('Processes', 'Two builds may use one reply store at once: each reply is stored once and nothing is asked more than twice.', builds=2)
def test_two_builds_share_one_reply_store_at_once(project, reference, tmp_path):
    """Both end with the same snapshot; the store they share holds every reply once and reads back."""
    from pipelines.replies.store import ReplyStore

    shared = tmp_path / 'replies'
    shared.mkdir()
    for name in ('a', 'b'):
        (tmp_path / name / 'work').mkdir(parents=True)
        (tmp_path / name / 'work/replies').symlink_to(shared)
    with knowing_server(delay_s=0.01) as server:
        both = [subprocess.Popen(project.command(tmp_path / name, url=server.url), cwd='/', env=environment(), stderr=subprocess.PIPE, text=True,
                                 stdout=subprocess.DEVNULL) for name in ('a', 'b')]
        for process in both:
            _, told = process.communicate()
            assert process.returncode == 0, told
        assert most_asked(server) <= 2
    assert ids(tmp_path / 'a') == ids(tmp_path / 'b') == reference
    store = ReplyStore(shared)
    assert store.verify() == []
    store.close()


@promise('Damaged files', 'A picture that changes while it is built on stops the build; nothing is sealed.')
def test_a_picture_that_changes_during_the_build_is_found_by_its_id(tmp_path, monkeypatch):
    from pipelines.mix import rows as write_mix

    changing = write_project(tmp_path / 'project')
    process = write_mix.WriteMix.process
    picture = next((changing.root / 'shapes').rglob('*.png'))

    def spoil(self, shard, writer):
        for path in sorted(picture.parent.glob('*.png')):
            path.write_bytes(path.read_bytes() + b'\0')
        process(self, shard, writer)

    monkeypatch.setattr(write_mix.WriteMix, 'process', spoil)
    recipe = load_recipe(changing.recipe)
    with pytest.raises(UserError, match='it changed during the build'):
        build_all(recipe, tmp_path / 'out', Way(None, changing.root, mix_only=True))
    assert not (tmp_path / 'out/mix').exists()


@promise('Disks', 'A disk that fills up in a build is one message; finished shards are kept and not made again.')
def test_a_disk_that_fills_up_is_told_and_what_was_made_is_kept(project, tmp_path, monkeypatch):
    import errno

    from pipelines.engine.tables import ShardWriter

    def full(self, *_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    recipe, out = load_recipe(project.recipe), tmp_path / 'out'
    with monkeypatch.context() as patched:
        from pipelines.mix import rows as write_mix

        patched.setattr(write_mix.WriteMix, 'process', full)
        with pytest.raises(UserError, match='the disk is full'):
            build_all(recipe, out, Way(None, project.root, mix_only=True))
    assert ShardWriter.write is not full
    made = {path: path.stat().st_mtime_ns for path in out.glob('work/samples/*/_DONE.json')}
    assert made
    build_all(recipe, out, Way(None, project.root, mix_only=True))
    assert {path: path.stat().st_mtime_ns for path in out.glob('work/samples/*/_DONE.json')} == made


@promise('Processes', 'Several processes share one build (--shard i/n) and seal the snapshots that one alone does.', processes=SHARES)
def test_several_processes_share_one_build(project, reference, tmp_path):
    out = tmp_path / 'out'
    with knowing_server() as server:
        three = [subprocess.Popen(project.command(out, '--shard', f'{i}/{SHARES}', url=server.url), cwd='/', env=environment(), stderr=subprocess.PIPE, text=True,
                                  stdout=subprocess.DEVNULL) for i in range(SHARES, 0, -1)]
        for process in three:
            _, told = process.communicate()
            assert process.returncode == 0, told
        assert most_asked(server) <= 2
    assert ids(out) == reference
