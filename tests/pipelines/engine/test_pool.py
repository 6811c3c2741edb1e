"""The pool's worker processes, killed, stopped and interrupted in every state: what is told, what stays, who is gone."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

import tests
from pipelines.engine import pool as pool_module
from pipelines.engine.cores import allowed_cores
from pipelines.engine.engine import Engine
from pipelines.engine.runners import run_jobs
from pipelines.engine.shards import Job
from pipelines.engine.step import Place, Step
from schemas.errors import BudgetExceeded, PendingWork, UserError
from tests.pipelines.engine.deadly import Deadly, Harmless
from tests.promises import promise

SIGNALS = ('SIGKILL', 'SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGTERM')
REPOSITORY = Path(tests.__file__).parents[1]


@pytest.fixture
def engine(tmp_path):
    with Engine(tmp_path / 'work', workers=2) as engine:
        yield engine


@pytest.fixture
def single(tmp_path):
    """An engine whose only worker makes one shard after the other."""
    with Engine(tmp_path / 'work', workers=1) as engine:
        yield engine


def notes(home: Path) -> list[str]:
    path = home / 'notes'
    return path.read_text().splitlines() if path.exists() else []


def begun(home: Path) -> dict[str, int]:
    """Return which words were begun, with the last worker's process id."""
    return {line.split()[1]: int(line.split()[2]) for line in notes(home) if line.startswith('begun ')}


def until(condition, what: str) -> None:
    """Wait for a condition; the bound is only for a broken product."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, f'waited in vain for {what}'
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Return whether a process has ended; as a child of pid 1 it may stay as a zombie where nobody reaps."""
    try:
        os.kill(pid, 0)
        return Path(f'/proc/{pid}/stat').read_text('utf-8').rpartition(')')[2].split()[0] in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return True


@promise('Processes', 'A worker process that dies while it makes a shard ends the step with one message (shard, signal, cause), exit code 4; '
         'the same command goes on, and finished shards are not made again', ways_to_die=len(SIGNALS) + 1)
@pytest.mark.parametrize('how', [*SIGNALS, '1'])
def test_a_dead_worker_ends_the_step_with_one_message_and_the_rerun_goes_on(tmp_path, single, how):
    step = Deadly(('a', 'bb', f'die:{how}', 'dddd'), str(tmp_path))
    with pytest.raises(PendingWork) as raised:
        single.run(step)
    told = str(raised.value)
    assert raised.value.code == 4
    assert '\n' not in told
    at = f', at die:{how}' if how != 'SIGTERM' else ''  # on its way out it leaves what it was at
    assert told.startswith(f'deadly: shard 3 of 4 (die:{how}){at}: the worker process that made it was ended by ')
    assert ('itself (exit code 1)' if how == '1' else how) in told
    assert told.endswith('finished shards are kept, run the same command again to go on')
    assert ('memory' in told) == (how == 'SIGKILL'), told
    assert begun(tmp_path).keys() == {'a', 'bb', f'die:{how}'}
    if how != 'SIGKILL':
        return
    (tmp_path / 'notes').unlink()
    assert single.run(step).read()['n'].to_pylist() == [1, 2, len(f'die:{how}'), 4]
    assert begun(tmp_path).keys() == {f'die:{how}', 'dddd'}


def test_a_shard_that_kills_each_time_is_named_each_time(tmp_path, single):
    step = Deadly(('a', 'always:SIGSEGV'), str(tmp_path))
    for _ in range(2):
        with pytest.raises(PendingWork, match=r'deadly: shard 2 of 2 \(always:SIGSEGV\).* ended by SIGSEGV: a library failed on what it was given'):
            single.run(step)
    assert 'Fatal Python error: Segmentation fault' in (tmp_path / 'work/workers.log').read_text(), 'where the stack is said to be'


@promise('Processes', 'Several workers that die together are told of in one message', workers=2)
def test_workers_that_die_together_are_told_of_together(tmp_path, engine):
    step = Deadly(('wait:never', 'wait:ever'), str(tmp_path))
    with running(engine, step) as outcome:
        until(lambda: len(begun(tmp_path)) == 2, 'both shards')
        for pid in begun(tmp_path).values():
            os.kill(pid, signal.SIGKILL)
    told = str(outcome[0])
    assert told.count('deadly: shard') == 2, told
    assert 'the 2 worker processes that made these were ended by SIGKILL: out of memory' in told


@contextmanager
def running(engine, step):
    """Run a step in a thread meanwhile; the list gets what it raised, or the table."""
    import threading

    outcome: list = []

    def run():
        try:
            outcome.append(engine.run(step))
        except BaseException as e:
            outcome.append(e)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield outcome
    thread.join(120)
    assert outcome, 'the step goes on for ever'


@promise('Processes', 'A worker process that dies while it has nothing to make is replaced, and the build goes on')
def test_a_worker_killed_between_two_steps_is_replaced(tmp_path, engine, capfd):
    engine.run(Deadly(('a', 'b'), str(tmp_path)))
    first = set(begun(tmp_path).values())
    for pid in first:
        os.kill(pid, signal.SIGSEGV)
    until(lambda: all(map(is_gone, first)), 'their end')
    assert engine.run(Deadly(('ccc', 'dddd'), str(tmp_path))).read()['n'].to_pylist() == [3, 4]
    assert not first & {begun(tmp_path)[word] for word in ('ccc', 'dddd')}
    assert 'nothing to make was ended by SIGSEGV; nothing is lost, another takes its place' in capfd.readouterr().err


def test_a_worker_killed_while_it_has_nothing_more_to_make_does_not_end_the_step(tmp_path, engine):
    step = Deadly(('a', 'wait:go'), str(tmp_path))
    with running(engine, step) as outcome:
        until(lambda: len(begun(tmp_path)) == 2 and (engine.table(step).path / 'shard-00000.json').exists(), 'both')
        until(lambda: engine._makers._hired[0].making is None, 'the answer of the first')
        os.kill(begun(tmp_path)['a'], signal.SIGKILL)
        (tmp_path / 'go').touch()
    assert outcome[0].read()['n'].to_pylist() == [1, 7]


@promise('Processes', 'Worker processes that cannot start end the step with one message')
def test_workers_that_die_at_their_start_are_not_started_for_ever(tmp_path, single, monkeypatch):
    (tmp_path / 'broken').mkdir()
    (tmp_path / 'broken/sitecustomize.py').write_text('import os\nos.write(2, b"no library\\n")\nos._exit(3)\n')
    monkeypatch.syspath_prepend(tmp_path / 'broken')
    with pytest.raises(PendingWork, match=r'shard 1 of 1 \(a\), at its start: .* ended by itself \(exit code 3\): .*workers.log may say why'):
        single.run(Deadly(('a',), str(tmp_path)))
    assert 'no library' in (tmp_path / 'work/workers.log').read_text()


@promise('Processes', 'A stopped worker process (SIGSTOP) is waited for, and named')
def test_a_stopped_worker_is_not_dead(tmp_path, single, capfd):
    step = Deadly(('wait:go',), str(tmp_path))
    with running(single, step) as outcome:
        until(lambda: begun(tmp_path), 'the shard')
        (pid,) = begun(tmp_path).values()
        os.kill(pid, signal.SIGSTOP)
        until(lambda: single._makers._hired[0].told_stopped, 'the news')
        (tmp_path / 'go').touch()
        os.kill(pid, signal.SIGCONT)
    assert outcome[0].read()['n'].to_pylist() == [7]
    assert f'deadly: shard 1 of 1 (wait:go): its worker process {pid} is stopped (SIGSTOP) and waited for; kill -CONT {pid} lets it go on' \
        in capfd.readouterr().err


def test_a_worker_stopped_while_it_had_nothing_to_make_is_named_once_it_has(tmp_path, single, capfd):
    single.run(Deadly(('a',), str(tmp_path)))
    (worker,) = single._makers._hired
    os.kill(worker.process.pid, signal.SIGSTOP)
    with running(single, Deadly(('bb',), str(tmp_path))) as outcome:
        until(lambda: worker.told_stopped or outcome, 'the news')
        os.kill(worker.process.pid, signal.SIGCONT)
    assert outcome[0].read()['n'].to_pylist() == [2]
    assert f'deadly: shard 1 of 1 (bb): its worker process {worker.process.pid} is stopped' in capfd.readouterr().err


def test_a_stopped_and_a_deaf_worker_are_ended_all_the_same(tmp_path, engine, monkeypatch):
    monkeypatch.setattr(pool_module, 'STOP_S', 0.5)
    with running(engine, Deadly(('deaf:', 'wait:go'), str(tmp_path))) as outcome:
        until(lambda: len(begun(tmp_path)) == 2, 'both shards')
        pids = begun(tmp_path)
        os.kill(pids['wait:go'], signal.SIGSTOP)
        (victim,) = (worker for worker in engine._makers._hired if worker.process.pid == pids['wait:go'])
        until(lambda: victim.told_stopped, 'the news')
        os.kill(pids['deaf:'], signal.SIGTERM)  # heard, and not obeyed
        until(lambda: 'heard' in notes(tmp_path), 'the order')
        os.kill(pids['wait:go'], signal.SIGKILL)
    assert 'shard 2 of 2 (wait:go)' in str(outcome[0])
    assert 'shard 1 of 2' not in str(outcome[0])
    assert all(map(is_gone, pids.values()))


def test_what_a_step_raises_is_raised_as_what_it_was(tmp_path, single):
    def raised_by(word):
        with pytest.raises(BaseException) as raised:
            single.run(Deadly((word,), str(tmp_path)))
        return raised.value

    disk = raised_by('raise:disk')
    assert type(disk) is UserError
    assert str(disk).startswith('/data/x: expected a place to read or write, found: the quota on this disk is used up (EDQUOT); ')
    user = raised_by('raise:user')
    assert (type(user), str(user)) == (UserError, 'recipe: expected a, found b')
    memory = raised_by('raise:memory')
    assert type(memory) is PendingWork
    assert 'no memory is left (ENOMEM); use fewer workers' in str(memory)
    bug = raised_by('raise:bug')
    assert isinstance(bug, KeyError)
    assert 'in act\n    raise ERRORS[how]' in bug.__notes__[0]
    odd = raised_by('raise:odd')
    assert isinstance(odd, RuntimeError)
    assert str(odd).startswith('Odd: one and two')


def test_a_pending_shard_does_not_hinder_the_others(tmp_path, single):
    step = Deadly(('raise:pending', 'a', 'b', 'c'), str(tmp_path))
    with pytest.raises(PendingWork, match=r'1 shard\(s\) wait for model calls that kept failing: HTTP 503'):
        single.run(step)
    assert len(list(single.table(step).path.glob('shard-*.json'))) == 3


def test_a_spent_budget_lets_the_others_store_what_is_in_flight(tmp_path, engine):
    step = Deadly(('raise:budget', 'wait:go', 'never'), str(tmp_path))
    with running(engine, step) as outcome:
        until(lambda: len(begun(tmp_path)) == 2, 'both shards')
        until(lambda: engine._makers._hired[0].making is None, 'the answer')
        (tmp_path / 'go').touch()
    assert isinstance(outcome[0], BudgetExceeded)
    assert (engine.table(step).path / 'shard-00001.json').exists()
    assert 'never' not in begun(tmp_path)


def test_any_other_fault_interrupts_the_others_which_store_what_came_back(tmp_path, engine):
    step = Deadly(('wait:never', 'wait:go'), str(tmp_path))
    with running(engine, step) as outcome:
        until(lambda: len(begun(tmp_path)) == 2, 'both shards')
        os.kill(begun(tmp_path)['wait:go'], signal.SIGKILL)
    assert isinstance(outcome[0], PendingWork)
    assert 'stored wait:never' in notes(tmp_path)
    assert not list(engine.table(step).path.glob('.shard-*')) or len(list(engine.table(step).path.glob('.shard-*'))) == 1, 'only that of the killed'


def test_what_a_step_opens_is_opened_once_for_all_its_shards_and_closed_after_the_last(tmp_path):
    with Engine(tmp_path / 'work', workers=1) as engine:
        engine.run_each([Deadly(('a', 'b', 'c'), str(tmp_path)), Deadly(('d', 'e'), str(tmp_path))])
        assert [line.split()[0] for line in notes(tmp_path)] == ['begun', 'opened', 'begun', 'begun', 'closed', 'begun', 'opened', 'begun', 'closed']
        engine.run(Deadly(('f',), str(tmp_path)))
        assert len(set(begun(tmp_path).values())) == 1, 'one worker for the whole build'
    assert is_gone(begun(tmp_path)['a'])


def test_news_of_a_worker_reach_people_and_what_it_writes_the_log(tmp_path, single, capfd):
    single.run(Deadly(('news:model fake', 'write:oh dear'), str(tmp_path)))
    told = capfd.readouterr().err
    assert 'model fake: 3 of 7 calls answered' in told
    assert 'oh dear' not in told
    assert (tmp_path / 'work/workers.log').read_text() == 'oh dear\n'


@pytest.mark.parametrize('args', [('--runner=FlinkRunner',), ('--direct_num_workers=3',), ('--direct_running_mode=multi_processing',),
                                  ('--environment_type=EXTERNAL',)])
def test_one_says_once_who_makes_the_tables(tmp_path, args):
    with pytest.raises(UserError, match='--workers 2: expected nothing else that says who makes the tables, found --'):
        Engine(tmp_path, args, workers=2)


@dataclass(frozen=True)
class Threads(Step):
    """Notes how many threads the libraries of a worker may start, and what a process that it starts is told."""

    TABLE = 'threads'
    VERSION = 1

    n: int = 2

    def shards(self):
        return list(range(self.n))

    def process(self, shard, writer):
        told = subprocess.run(['env'], capture_output=True, text=True, check=True).stdout
        writer.write('part', pa.table({'arrow': [pa.cpu_count()], 'told': [any('NUM_THREADS' in line for line in told.splitlines())],
                                       'pid': [os.getpid()]}))


def test_the_threads_of_all_workers_together_are_as_many_as_the_cores(tmp_path, monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(pool_module, 'allowed_cores', lambda: 6)
    with Engine(tmp_path / 'work', workers=2) as engine:
        assert engine.run(Threads()).read(columns=['arrow', 'told']).to_pylist() == [{'arrow': 3, 'told': False}] * 2


def test_without_a_number_there_are_as_many_workers_as_cores_for_us(tmp_path):
    with Engine(tmp_path / 'work', workers=None) as engine:
        assert engine._makers.size == allowed_cores()


@promise('Processes', 'A step of one shard is made in the process of the build: no worker is started for it')
def test_a_step_of_one_shard_is_made_here(tmp_path, engine):
    assert engine.run(Threads(1)).read()['pid'].to_pylist() == [os.getpid()]
    assert not engine._makers._hired


def test_what_may_end_its_process_is_never_made_here(tmp_path, engine):
    engine.run(Deadly(('a',), str(tmp_path)))
    assert begun(tmp_path)['a'] != os.getpid()


class Model:
    """A place that runs a model in the process that uses it."""

    def holds_model(self, step):
        return True


@dataclass(frozen=True)
class Asking(Threads):
    """Asks a model that runs in its process."""

    TABLE = 'asking'

    model: Place[Model] = Model()


@pytest.mark.parametrize('n', [1, 3])
def test_a_model_in_process_is_in_one_process_whatever_the_shards_of_its_steps(tmp_path, engine, n):
    assert set(engine.run(Asking(n)).read()['pid'].to_pylist()) == {os.getpid()}


def test_a_model_in_process_is_where_a_cluster_puts_it(tmp_path):
    class Cluster:
        def run(self, jobs):
            self.jobs = jobs

    step, cluster = Asking(1), Cluster()
    job = Job(step, Engine(tmp_path).table(step), 1, [(0, 0)])
    run_jobs([job], cluster)
    assert cluster.jobs == [job], 'not made here, where no device may be'


@dataclass(frozen=True)
class Paced(Deadly):
    """Asks a server, which is to hear of so many processes at once."""

    many: int = 1

    def at_once(self):
        return self.many


@promise('Processes', 'A step that asks a server is made by as many processes as it says, however many there are')
@pytest.mark.parametrize('many', [1, 2])
def test_a_step_is_made_by_as_many_processes_as_it_says(tmp_path, many):
    with Engine(tmp_path / 'work', workers=4) as engine:
        first, second = (Paced(tuple(f'{name}{i}' for i in range(6)), str(tmp_path), many) for name in 'ab')
        engine.run_each([first, second])
        assert len(set(begun(tmp_path).values())) == many
        engine.run(Deadly(tuple('wxyz'), str(tmp_path)))
        assert len(engine._makers._hired) == 4


def test_a_machine_full_of_workers_is_started_only_for_what_takes_its_time(tmp_path, monkeypatch):
    monkeypatch.setattr(pool_module, 'EARLY', 1)
    monkeypatch.setattr(pool_module, 'GROW_S', 1e9)
    with Engine(tmp_path / 'work', workers=3) as engine:
        engine.run(Threads(4))
        assert len(engine._makers._hired) == 1
        monkeypatch.setattr(pool_module, 'GROW_S', 0.0)
        engine.run(Threads(5))
        assert len(engine._makers._hired) == 3


def test_workers_may_start_before_there_is_anything_to_make(tmp_path, engine):
    engine._makers.begin()
    started = {worker.process.pid for worker in engine._makers._hired}
    engine.run(Threads())
    assert set(engine.run(Threads()).read()['pid'].to_pylist()) <= started
    assert len(started) == 2


BUILD = """
from functools import partial
from pathlib import Path
import typer
from pipelines.engine.engine import Engine
from schemas.endings import log_errors_only, run_to_an_end
from tests.pipelines.engine.deadly import Deadly, Harmless

def main(home: Path):
    with Engine(home / 'work', workers=2) as engine:
        engine.run(Deadly(('a', 'wait:go', 'wait:never'), str(home)))

log_errors_only()
run_to_an_end(partial(typer.run, main), 'phantom')
"""


@promise('Processes', 'No worker process outlives its build, which may be killed, stopped or interrupted; what came back is stored first', signals=3)
@pytest.mark.parametrize('how', [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_workers_end_with_their_build_and_store_what_came_back(tmp_path, how):
    build = subprocess.Popen([sys.executable, '-c', BUILD, str(tmp_path)], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True,
                             env={**os.environ, 'PYTHONPATH': str(REPOSITORY)}, start_new_session=True)
    until(lambda: len(begun(tmp_path)) == 3, 'the shards')
    if how == signal.SIGINT:
        os.killpg(build.pid, how)  # as a terminal does
    else:
        build.send_signal(how)
    _, told = build.communicate(timeout=60)
    until(lambda: all(map(is_gone, begun(tmp_path).values())), 'the end of the workers')
    assert sorted(line for line in notes(tmp_path) if line.startswith('stored')) == ['stored wait:go', 'stored wait:never']
    if how != signal.SIGKILL:
        assert build.returncode == 128 + how
        assert [line for line in told.splitlines() if 'shard(s)' not in line] == [
            f'phantom: stopped by {how.name}; what is finished is kept, the same command goes on from there']
    assert not list((tmp_path / 'work/deadly').glob('*/shard-00001.json'))
    assert json.loads(next((tmp_path / 'work/deadly').glob('*/shard-00000.json')).read_text())


def test_what_is_made_soon_starts_no_workers(tmp_path):
    with Engine(tmp_path / 'work', workers=2, alone_s=600) as engine:
        made = engine.run_each([Harmless(('a', 'bb'), str(tmp_path)), Harmless(('ccc',), str(tmp_path))])
    assert [table.read()['n'].to_pylist() for table in made] == [[1, 2], [3]]
    assert set(begun(tmp_path).values()) == {os.getpid()}
    assert notes(tmp_path).count('opened') == notes(tmp_path).count('closed') == 2


@pytest.mark.parametrize('kind', [Deadly, Harmless])
def test_workers_make_what_takes_longer_and_what_is_risky(tmp_path, kind):
    with Engine(tmp_path / 'work', workers=2, alone_s=600 if kind is Deadly else 1e-9) as engine:
        assert engine.run(kind(('a', 'bb'), str(tmp_path))).read()['n'].to_pylist() == [1, 2]
    assert os.getpid() not in begun(tmp_path).values()
