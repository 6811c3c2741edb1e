import json
import os
import shutil
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pytest

from pipelines.engine import engine as engine_module
from pipelines.engine import progress
from pipelines.engine.engine import Engine
from pipelines.engine.step import Place, Step
from schemas.errors import BudgetExceeded, PendingWork, Unreadable
from schemas.publish import publish_json
from schemas.records import Reason, Rejection, Unit
from tests.promises import promise


@dataclass(frozen=True)
class Square(Step):
    """Writes x squared; refuses what `forbidden` says; notes every call in a file, since workers share no memory."""

    TABLE = 'squares'
    VERSION = 1

    numbers: tuple[int, ...]
    log: Place[str]
    forbidden: Place[int] = -1

    def shards(self):
        return self.numbers

    def process(self, shard, writer):
        with open(self.log, 'a', encoding='utf-8') as handle:
            handle.write(f'{shard}\n')
        if shard == self.forbidden:
            raise BudgetExceeded('budget: expected at most 3, found 4')
        writer.count_in(Unit.RECORD, 's')
        writer.write('part', pa.table({'x': [shard * shard]}))
        writer.reject(Rejection(Unit.RECORD, str(shard), 's', 'square', Reason.BAD_IMAGE, 'd'))


def calls(log):
    return sorted(int(line) for line in log.read_text().split())


def test_a_table_is_made_once_and_its_counts_add_up(tmp_path):
    engine, log = Engine(tmp_path / 'work'), tmp_path / 'log'
    table = engine.run(Square((1, 2, 3), str(log)))
    assert table.read()['x'].to_pylist() == [1, 4, 9]
    assert table.counts() == {'in/record/s': 3, 'rejected/record/s/BAD_IMAGE': 3, 'rows/part': 3, 'rows/rejections': 3}
    assert engine.run(Square((1, 2, 3), str(log))) == table
    assert calls(log) == [1, 2, 3]


@pytest.mark.parametrize('workers', [0, 1])
def test_the_only_shard_of_several_tables_is_made_whichever_has_it(tmp_path, workers):
    log = str(tmp_path / 'log')
    with Engine(tmp_path / 'work', workers=workers) as engine:
        tables = engine.run_each([Square((), log), Square((7,), log)])
    assert [[path.name for path in table.parts()] for table in tables] == [[], ['part-00000.parquet']]


def test_a_changed_fingerprint_makes_the_table_again(tmp_path):
    engine, log = Engine(tmp_path / 'work'), tmp_path / 'log'
    first = engine.run(Square((1, 2, 3), str(log)))
    table = engine.run(Square((5,), str(log)))
    assert table.read()['x'].to_pylist() == [25]
    assert [path.name for path in table.parts()] == ['part-00000.parquet']
    assert first.read()['x'].to_pylist() == [1, 4, 9], 'another table lies in another folder'


def test_a_failed_step_keeps_its_finished_shards_and_names_the_users_error(tmp_path):
    engine, log = Engine(tmp_path / 'work'), tmp_path / 'log'
    table = engine.table(Square((1, 2, 3), str(log)))
    with pytest.raises(BudgetExceeded, match='expected at most 3, found 4'):
        engine.run(Square((1, 2, 3), str(log), forbidden=3))
    assert table.done() is None
    finished = {int(path.stem.split('-')[1]) for path in table.path.glob('shard-*.json')}
    log.write_text('')
    engine.run(Square((1, 2, 3), str(log)))
    assert calls(log) == [x for i, x in enumerate([1, 2, 3]) if i not in finished]
    assert table.read()['x'].to_pylist() == [1, 4, 9]


def test_nothing_of_an_unfinished_shard_is_visible(tmp_path):
    engine = Engine(tmp_path / 'work')
    step = Square((2,), str(tmp_path / 'log'), forbidden=2)
    with pytest.raises(BudgetExceeded):
        engine.run(step)
    assert not [path for path in engine.table(step).path.iterdir() if path.name not in ('_STEP.json', '_ERROR.json', '.lock-0')]


@pytest.mark.parametrize('args', [
    ('--direct_runner_bundle_repeat=1',), ('--direct_running_mode=multi_processing', '--direct_num_workers=2'), ('--runner=FnApiRunner',)])
def test_every_way_to_run_gives_the_same_table_and_no_chatter(tmp_path, capfd, args):
    engine, log = Engine(tmp_path / 'work', args), tmp_path / 'log'
    table = engine.run(Square(tuple(range(9)), str(log)))
    assert table.read()['x'].to_pylist() == [x * x for x in range(9)]
    assert table.counts()['in/record/s'] == 9
    assert json.loads((table.path / '_DONE.json').read_text())['shards'] == 9
    assert capfd.readouterr().err.splitlines()[0] == 'squares: 9 shard(s) ...'
    assert (tmp_path / 'work/workers.log').exists() == ('--direct_num_workers=2' in args), 'what worker processes say'


def test_what_is_written_is_strict_json_and_a_number_that_could_not_be_told_is_null(tmp_path):
    publish_json(tmp_path / 'x.json', {'auc': float('nan'), 'rates': [(0.5, float('inf'))]})
    assert json.loads((tmp_path / 'x.json').read_text()) == {'auc': None, 'rates': [[0.5, None]]}


@dataclass(frozen=True)
class Wait(Square):
    """Squares, of which some numbers wait for a disk."""

    unread: Place[tuple[int, ...]] = ()

    def process(self, shard, writer):
        if shard in self.unread:
            raise Unreadable([f'{shard}.png (Input/output error)'], ['see to the disk'], ', or give up')
        super().process(shard, writer)


@promise('Disks', 'Shards that wait for a disk are told together, by files, and all others are made and kept')
def test_shards_that_wait_for_a_disk_are_told_together_and_the_others_are_kept(tmp_path):
    engine, log = Engine(tmp_path / 'work'), tmp_path / 'log'
    with pytest.raises(PendingWork) as told:
        engine.run_each([Wait((1, 2, 3), str(log), unread=(2,)), Wait((4, 5), str(log), unread=(4,))])
    assert told.value.code == 4
    assert str(told.value) == ('squares: 2 shard(s) wait, all others are kept: expected 2 file(s) that can be read, found that the disk does not give them '
                               'at the moment: 2.png (Input/output error), 4.png (Input/output error); see to the disk, then run the same command again, '
                               'or give up')
    assert calls(log) == [1, 3, 5]
    log.write_text('')
    engine.run_each([Wait((1, 2, 3), str(log)), Wait((4, 5), str(log))])
    assert calls(log) == [2, 4]


def test_what_another_share_or_an_earlier_run_left_waiting_stops_nobody(tmp_path):
    engine, log = Engine(tmp_path / 'work', share=(0, 2)), tmp_path / 'log'
    step = Square((1, 2, 3), str(log))
    table = engine.table(step)
    table.path.mkdir(parents=True)
    for index in range(3):  # as this and earlier versions write it
        publish_json(table.path / f'_PENDING-{index:05d}.json', {'message': 'before', 'unreadable': None} if index else 'before')
    assert not table.done()
    other = Engine(tmp_path / 'work', share=(0, 1)).run(Square((5, 6), str(log)))
    table.prepare(other.described())
    for path in other.path.glob('*-00001.*'):  # by the other process
        shutil.copy(path, table.path)
    engine.run(step)
    assert table.done()


@promise('Processes', 'What the engine does for a shard does not grow with their number: the folder of a table is listed a few times, not once a shard')
def test_a_tables_folder_is_listed_as_often_for_few_shards_as_for_many(tmp_path, monkeypatch):
    listed = []
    monkeypatch.setattr(progress, 'LOOK_S', 3600.0)  # who watches looks as often as time passes

    def counted(path, of):
        listed.append(str(path))
        return of(path)

    for name in ('scandir', 'listdir'):
        monkeypatch.setattr(os, name, partial(counted, of=getattr(os, name)))
    found = []
    for n in (3, 30):
        engine, step = Engine(tmp_path / 'work'), Square(tuple(range(n)), str(tmp_path / 'log'))
        engine.run(step)
        found.append(sum(path == str(engine.table(step).path) for path in listed))
    assert found[0] == found[1] <= 4


def test_what_a_killed_writer_left_of_a_shard_is_removed_before_it_is_made(tmp_path):
    engine, step = Engine(tmp_path / 'work'), Square((2, 3), str(tmp_path / 'log'))
    folder = engine.run(step).path
    for name in ('_DONE.json', 'shard-00001.json'):
        (folder / name).unlink()
    for name in ('other-00001.parquet', 'other-00000.parquet'):
        (folder / name).touch()
    for draft in ('.shard-00001.host-1.tmp', '.shard-00000.host-1.tmp'):
        (folder / draft).mkdir()
        (folder / draft / 'part-00001.parquet').touch()
    Engine(tmp_path / 'work').run(step)
    assert {path.name for path in folder.iterdir()} == {
        '.lock-0', '_DONE.json', '_STEP.json', 'other-00000.parquet', *(f'{kind}-0000{i}.{ending}' for i in (0, 1) for kind, ending in (
            ('part', 'parquet'), ('rejections', 'parquet'), ('shard', 'json')))}


class Patient:
    """The peers of a shared build, all of which are there."""

    def wait(self, until, *about):
        while not until():
            time.sleep(0.002)


@promise('Processes', 'Tables of one shard each that are made together are shared out among the processes of a shared build')
def test_tables_of_one_shard_are_shared_out(tmp_path):
    logs = [tmp_path / 'one', tmp_path / 'other']
    engines = [Engine(tmp_path / 'work', share=(share, 2), peers=Patient()) for share in range(2)]

    def build(share):
        engines[share].run_each(Square((x,), str(logs[share])) for x in range(4))

    threads = [threading.Thread(target=build, args=(share,), daemon=True) for share in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [calls(log) for log in logs] == [[0, 2], [1, 3]]
    assert all(engines[0].table(Square((x,), '')).done() for x in range(4))


def test_no_more_tables_are_held_at_once_than_a_process_may_have_files_open(tmp_path, monkeypatch):
    held, most = set(), []

    @contextmanager
    def alone(path, waiting):
        held.add(path)
        most.append(len(held))
        yield
        held.remove(path)

    monkeypatch.setattr(engine_module, '_alone', alone)
    monkeypatch.setattr(engine_module, 'TABLES_AT_ONCE', 2)
    tables = Engine(tmp_path / 'work').run_each(Square((x,), str(tmp_path / 'log')) for x in range(5))
    assert [table.read()['x'].to_pylist() for table in tables] == [[x * x] for x in range(5)]
    assert max(most) == 2
