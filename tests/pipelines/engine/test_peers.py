"""Processes of one shared build: who is missing is named, and nobody waits for ever."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from pipelines.build import parse_share, parse_wait
from pipelines.engine import peers as module
from pipelines.engine.engine import Engine
from pipelines.engine.peers import Note, PeerEnded, Peers
from schemas.errors import BudgetExceeded, PendingWork, UserError
from schemas.publish import publish_json
from tests.pipelines.engine.test_engine import Square
from tests.programmes.project import environment
from tests.promises import promise


class Build:
    """A shared build of n processes whose clock goes on only while somebody sleeps; `at_each` is called then."""

    def __init__(self, folder: Path, n: int, wait_s: float = 1800.0) -> None:
        self.folder, self.n, self.wait_s = folder, n, wait_s
        self.now = time.time()
        self.at_each: Callable[[], object] = bool
        self.slept = 0

    def sleep(self, _: float) -> None:
        self.now += 100
        self.slept += 1
        assert self.slept < 1000, 'waits for ever'
        self.at_each()

    def process(self, share: int, n: int | None = None) -> Peers:
        found = Peers(self.folder / 'peers', 'b', (share, n or self.n), wait_s=self.wait_s, lock_of=self.lock, sleep=self.sleep)
        found._now = lambda: self.now
        return found

    def lock(self, share: int) -> Path:
        return self.folder / f'lock-{share}'

    def note(self, share: int, age: float = 0.0, **about: object) -> None:
        """Write what another process said `age` seconds ago."""
        said = {**asdict(Note(share, self.n, 'elsewhere', 'another kernel', 77, f'run {share}', self.now - age - 10)), **about}
        (self.folder / 'peers').mkdir(exist_ok=True)
        path = self.folder / f'peers/b-{share}.json'
        publish_json(path, {name: value for name, value in said.items() if name != 'beat'})
        os.utime(path, (self.now - age, self.now - age))


@pytest.fixture
def build(tmp_path) -> Build:
    return Build(tmp_path, 3)


def wait(process: Peers, done: Callable[[], object] = bool, needed: tuple[int, ...] = (0, 1, 2)) -> None:
    process.wait(done, 'samples/abc', 'samples s', lambda: needed)


@promise('Processes', 'A process of a shared build that was never started is waited for as long as --wait says, then named')
def test_who_was_never_started_is_named_and_waited_for_no_longer_than_said(build, capsys):
    process, began = build.process(0), build.now
    with process.present(), pytest.raises(PendingWork) as told:
        wait(process)
    assert told.value.code == 4
    assert 1800 <= build.now - began < 2400
    for words in ('samples s: waited 30m (--wait) for', '2/3, which was never started', '3/3, which was never started', 'start the same command again'):
        assert words in str(told.value), words
    assert 'samples s: waiting for 2/3, which was never started, at most 30m' in capsys.readouterr().err


@promise('Processes', 'A process of a shared build that died is named, with its machine and when it was last seen')
def test_who_died_elsewhere_is_named_with_machine_and_last_sign_of_life(build):
    process = build.process(0)
    build.note(1, age=200)
    last = time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime(build.now - 200))
    with process.present(), pytest.raises(PendingWork, match=rf'2/3 \(elsewhere, process 77\), last seen at {last}: killed, or its machine is gone'):
        wait(process, needed=(1,))


def test_who_died_on_this_machine_is_known_by_the_lock_that_it_held(build):
    process = build.process(0)
    build.note(1, machine=module.machine())
    with open(build.lock(1), 'wb') as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        note = module.read_note(build.folder / 'peers/b-1.json')
        build.process(2)._path.write_text('{}')
        assert process.is_alive(note)
    assert not process.is_alive(note)
    build.lock(1).unlink()
    assert not process.is_alive(note)


def test_who_is_at_work_is_waited_for_however_long_it_takes(build, capsys):
    process = build.process(0)
    build.at_each = lambda: build.note(1)
    build.note(1)
    with process.present():
        wait(process, lambda: build.slept > 200, needed=(1,))
    assert build.slept > 200
    assert 'which are at work' in capsys.readouterr().err


def test_who_has_to_make_a_damaged_shard_again_is_missed(build):
    step = Square((1, 2, 3, 4), str(build.folder / 'log'))
    part = Engine(build.folder).run(step).path / 'part-00002.parquet'
    part.write_bytes(part.read_bytes()[:-1])
    peers = build.process(0)
    with peers.present(), pytest.raises(PendingWork, match='3/3, which was never started'):
        Engine(build.folder, share=(0, 3), peers=peers).run(step)


def test_who_comes_back_is_waited_for_anew(build):
    process = build.process(0)
    build.note(1, age=200)
    build.at_each = lambda: build.note(1) if build.slept % 10 == 0 else None  # each time for a moment
    with process.present():
        wait(process, lambda: build.slept > 100, needed=(1,))


def test_who_is_not_needed_is_not_missed(build):
    process = build.process(0)
    build.at_each = lambda: build.note(2)
    build.note(2)
    with process.present():
        wait(process, lambda: build.slept > 50, needed=(2,))


@promise('Processes', 'Where one process of a shared build ends with an error, the others end too, with its reason and exit code')
@pytest.mark.parametrize(('code', 'why'), [(2, 'root: expected'), (3, 'budget: spent'), (4, 'pictures wait'), (1, 'KeyError')])
def test_the_end_of_one_with_an_error_is_the_end_of_all(build, code, why):
    process = build.process(0)
    build.note(1)
    build.at_each = lambda: build.note(1, state='ended', code=code, why=why)
    with pytest.raises(PeerEnded, match=rf'2/3 \(elsewhere, process 77\) of this build ended, so this process does too: {why}') as told, process.present():
        wait(process, needed=(2,))
    assert told.value.code == code
    assert build.slept <= 2 * module.POLLS
    assert json.loads(process._path.read_text())['state'] == 'followed', 'whom nobody follows'


@pytest.mark.parametrize('state', ['stopped', 'followed'])
def test_who_was_told_to_stop_may_come_back(build, state):
    process = build.process(0)
    build.note(1)
    build.at_each = lambda: build.note(1, state=state, code=1) if build.slept == 1 else None
    with process.present(), pytest.raises(PendingWork, match='waited 30m') as told:
        wait(process, needed=(1,))
    assert not isinstance(told.value, PeerEnded)


@promise('Processes', 'What processes of an earlier run left behind neither stops nor delays a shared build')
def test_an_end_of_an_earlier_run_ends_nobody(build):
    build.note(0, age=300, started=build.now - 900, state='ended', code=4, why='before')
    build.note(1, age=30, started=build.now - 800, state='ended', code=4, why='before')  # 1 and 0 ran at the same time
    process = build.process(0)
    with process.present():
        wait(process, lambda: build.slept > 5, needed=(1,))


def test_an_end_shortly_before_this_process_began_is_of_this_run(build):
    build.note(0, age=60, started=build.now - 900, state='ended', code=4, why='before')
    build.note(1, age=3, started=build.now - 20, state='ended', code=2, why='no root')
    process = build.process(0)
    with pytest.raises(PeerEnded, match='no root'), process.present():
        wait(process)


def test_an_end_of_another_day_ends_nobody(build):
    build.note(1, age=86_400, state='ended', code=2, why='no root')
    process = build.process(0)
    with process.present(), pytest.raises(PendingWork, match='ended with exit code 2 at .*: no root'):
        wait(process, needed=(1,))


@promise('Processes', 'A share of another number of processes is refused while processes of the first are at work')
def test_processes_that_count_otherwise_are_refused_while_they_live(build):
    build.note(1, of=2)
    with pytest.raises(UserError, match=r'--shard 1/3: expected all processes of this build to be of 3, found 2/2 \(elsewhere.*start this one as one of 2') as told, \
            build.process(0).present():
        pass
    assert told.value.code == 2
    for about in ({'age': 100.0}, {'state': 'ended', 'code': 4}, {'state': 'stopped'}):
        build.note(1, of=2, **about)
        with build.process(0).present():
            pass


@pytest.mark.parametrize(('error', 'state', 'code', 'why'), [
    (BudgetExceeded('spent'), 'ended', 3, 'spent'), (ValueError('a bug'), 'ended', 1, 'ValueError'), (KeyboardInterrupt(), 'stopped', 1, 'KeyboardInterrupt'),
    (None, 'ended', 0, '')])
def test_a_process_says_how_it_ended(build, error, state, code, why):
    process = build.process(1)
    try:
        with process.present():
            assert json.loads(process._path.read_text())['state'] == 'running'
            if error:
                raise error
    except type(error):
        pass
    said = json.loads(process._path.read_text())
    assert (said['state'], said['code'], said['why']) == (state, code, why)


def test_an_order_to_stop_is_known_in_what_it_becomes_on_its_way_up(build):
    process = build.process(1)
    interrupted = RuntimeError('Beam says')
    interrupted.__context__ = KeyboardInterrupt()
    with pytest.raises(RuntimeError), process.present():
        raise interrupted
    assert json.loads(process._path.read_text())['state'] == 'stopped'


def test_two_that_wait_for_different_tables_do_not_wait_for_each_other_for_ever(build):
    """Their disks show them other pictures, so that their tables have other names."""
    build.at_each = lambda: build.note(1, waiting_for='samples/other', waiting_since=build.now - 150)
    process = build.process(0)
    build.note(1)
    with process.present():
        wait(process, lambda: build.slept > 100, needed=(1,))  # it waits a while each time
        build.at_each = lambda: build.note(1, waiting_for='samples/other', waiting_since=1.0)
        with pytest.raises(PendingWork, match='which waits for samples/other, and this one for samples/abc: do both see the same inputs'):
            wait(process, needed=(1,))
        build.slept = 0
        build.at_each = lambda: build.note(1, waiting_for='samples/abc', waiting_since=1.0)  # for a third
        wait(process, lambda: build.slept > 100, needed=(1,))


def test_a_single_process_says_how_it_ended_too(tmp_path):
    build = Build(tmp_path, 1)
    with pytest.raises(PendingWork), build.process(0).present():
        raise PendingWork('the server is away')
    note = module.read_note(tmp_path / 'peers/b-0.json')
    assert (note.state, note.code, note.why) == ('ended', 4, 'the server is away')


def test_a_note_that_is_none_is_passed_over(build):
    (build.folder / 'peers').mkdir()
    for share, text in enumerate(('{', '[]', '{"share": 1}', '')):
        (build.folder / f'peers/b-{share + 1}.json').write_text(text)
    assert build.process(0).others() == []


def test_signs_of_life_come_while_the_process_works(build, monkeypatch):
    monkeypatch.setattr(module, 'BEAT_S', 0.01)
    process = build.process(0)
    with process.present():
        os.utime(process._path, (1, 1))
        deadline = time.monotonic() + 60
        while os.stat(process._path).st_mtime == 1 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert os.stat(process._path).st_mtime > 1


@pytest.mark.parametrize(('text', 'seconds'), [('30s', 30), ('30m', 1800), ('2h', 7200), ('0', 0), ('0s', 0), ('1.5h', 5400)])
def test_a_time_to_wait_has_a_unit(text, seconds):
    assert parse_wait(text) == seconds
    assert parse_wait(module.said_wait(seconds)) == seconds


@pytest.mark.parametrize('text', ['', '30', '-1s', '1d', 'm', '5 m', 'inf', '1e3s', '٣m'])
def test_other_times_are_refused(text):
    with pytest.raises(UserError, match='--wait .*: expected a time such as 30s, 30m or 2h'):
        parse_wait(text)


def test_shares_count_from_one():
    assert parse_share('2/3') == (1, 3)


SHARED = """
import sys
from functools import partial
from pathlib import Path
from pipelines.build import Way, alone, together
from pipelines.engine.engine import Engine
from schemas.endings import run_to_an_end
from tests.pipelines.engine.test_shared_work import Count
work, share, n, times = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
def run():
    with alone(work, work.parent, share), together(work, work.parent, Way(share=(share, n), wait_s=float(sys.argv[5]))) as peers:
        print(Engine(work, (), (share, n), peers).run(Count(times, str(work.parent / 'go'))).read()['x'].to_pylist())
def typed():
    try:
        run()
    except KeyboardInterrupt:  # as typer has it
        sys.exit(1)
run_to_an_end(typed, 'shared')
"""
STARTED: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def nothing_runs_on() -> Iterator[None]:
    yield
    for process in STARTED:
        process.kill()
        process.communicate()
    STARTED.clear()


def start(work: Path, share: int, n: int = 2, wait_s: float = 1800) -> subprocess.Popen:
    command = [sys.executable, '-c', SHARED, str(work), str(share), str(n), '2', str(wait_s)]
    STARTED.append(subprocess.Popen(command, cwd='/', env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    return STARTED[-1]


def until(true: Callable[[], object]) -> None:
    while not true():
        time.sleep(0.05)


@promise('Processes', 'Killed and stopped processes of a shared build are told of, and started again they end it', kills=1, stops=1)
@pytest.mark.integration
def test_processes_that_die_or_are_stopped_are_told_of_and_their_rerun_ends_the_build(tmp_path):
    work = tmp_path / 'work'
    (tmp_path / 'go').touch()
    killed = start(work, 1)
    until(lambda: list(work.glob('peers/*-1.json')))
    killed.kill()
    killed.wait()
    first = start(work, 0, wait_s=0.5)
    told = first.communicate()[1]
    assert first.returncode == 4, told
    assert f'counted: waited 0.5s (--wait) for 2/2 ({socket.gethostname()}, process {killed.pid}), last seen at 20' in told
    assert 'Traceback' not in told

    stopped = start(work, 0)
    until(lambda: stopped.poll() is not None or json.loads(next(work.glob('peers/*-0.json')).read_text())['pid'] == stopped.pid)
    stopped.send_signal(signal.SIGTERM)
    told = stopped.communicate()[1]
    assert stopped.returncode == 128 + signal.SIGTERM, told
    assert 'Traceback' not in told

    both = start(work, 0), start(work, 1)
    for process in both:
        out, told = process.communicate()
        assert process.returncode == 0, told
        assert out.strip() == '[0, 100, 2, 102, 4, 104]'
