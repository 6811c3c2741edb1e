"""Each writer of the project, cut at each of its moments, in the model of tests.faults.disk: whole or not there, and nothing lost that was said."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.engine.clean import remove
from pipelines.engine.engine import Engine
from pipelines.engine.step import Step
from pipelines.replies.store import ReplyStore
from pipelines.snapshot.exports.export import TARGETS, export_snapshot
from schemas.publish import publish_bytes, publish_folder
from schemas.records import Unit
from tests.faults.disk import Disk, State, every_state, put
from tests.pipelines.replies.test_store import key, reply
from tests.pipelines.snapshot.sealed import picture, seal_rows, triple
from tests.promises import promise

BATCHES, BATCH = 4, 3
SAMPLED = 12
CHECKPOINTS = 3


@pytest.fixture
def disk(tmp_path) -> Disk:
    disk = Disk(tmp_path / 'disk', tmp_path / 'memory')
    disk.top.mkdir()
    disk.settle()
    return disk


def told(state: State) -> str:
    return f'{state.loss} after {state.said}: {sorted(state.found)}'


def restored(state: State, folder: Path) -> Path:
    """Return a folder in which the state lies."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    put(state.found, folder)
    return folder


@promise('Power cuts and kills', 'A file is published whole or not at all, and stays once that is said.')
def test_a_file_is_the_old_one_or_the_new_one(disk):
    def operate(said):
        for data in (b'old' * 10, b'newer' * 10):
            publish_bytes(disk.top / 'a', data)
            said.append(data)

    for state in every_state(disk, operate):
        possible = {b'old' * 10, b'newer' * 10} if len(state.said) == 1 else {state.said[-1]} if state.said else {b'old' * 10, None}
        assert state.found.get('a') in possible, told(state)


def test_a_folder_is_there_whole_or_not_at_all(disk):
    def operate(said):
        draft = disk.top / '.draft'
        (draft / 'in').mkdir(parents=True)
        (draft / 'a').write_bytes(b'1')
        (draft / 'in/b').write_bytes(b'2')
        publish_folder(draft, disk.top / 'out')
        said.append('out')

    for state in every_state(disk, operate):
        if 'out' in state.said or 'out' in state.found:
            assert {name: value for name, value in state.found.items() if name.startswith('out')} == {
                'out': None, 'out/a': b'1', 'out/in': None, 'out/in/b': b'2'}, told(state)


@promise('Power cuts and kills', 'A reply is stored when `put_many` returns: no cut loses it, also not while replies are compacted.', replies=BATCHES * BATCH)
def test_a_stored_reply_is_lost_by_no_cut(disk, tmp_path):
    folder = disk.top / 'out/work/replies'

    def operate(said):
        for first in range(0, BATCHES * BATCH, BATCH):
            store = ReplyStore(folder)
            store.put_many([reply(number) for number in range(first, first + BATCH)])
            said.extend(range(first, first + BATCH))
            store.close()
            if first:
                store.compact()

    seen = set()
    for state in every_state(disk, operate):
        if (same := repr((state.said, state.found))) not in seen:
            seen.add(same)
            store = ReplyStore(restored(state, tmp_path / 'after') / 'out/work/replies')
            assert store.get_many(map(key, state.said)).keys() == {*map(key, state.said)}, told(state)
            assert store.verify() == [], told(state)
            store.close()
    assert len(seen) > BATCHES


@dataclass(frozen=True)
class Tens(Step):
    """Writes a Parquet file and an array for each of its numbers."""

    TABLE = 'tens'
    VERSION = 1
    numbers: tuple[int, ...] = (1, 2, 3)

    def shards(self):
        return self.numbers

    def process(self, shard, writer):
        writer.write('part', pa.table({'x': [10 * shard] * 1000}))
        np.save(writer.folder / f'array-{writer.index:05d}.npy', np.arange(shard * 1000))
        writer.count_in(Unit.RECORD, 's', shard)


def check_table(work: Path) -> None:
    table = Engine(work).run(Tens())
    assert table.read()['x'].to_pylist() == [x for x in (10, 20, 30) for _ in range(1000)]
    assert [len(np.load(path)) for path in sorted(table.path.glob('array-*.npy'))] == [1000, 2000, 3000]
    assert table.counts()['in/record/s'] == 6


@promise('Power cuts and kills', 'A table of a build that a power cut left short is made again, not trusted.', cuts=SAMPLED)
def test_a_table_that_a_cut_left_short_is_made_again(disk, tmp_path):
    def operate(said):
        Engine(disk.top / 'work').run(Tens())

    for state in sampled(every_state(disk, operate)):
        check_table(restored(state, tmp_path / 'after') / 'work')


@promise('Power cuts and kills', 'A cut while tables are removed (`phantom clean`) leaves each whole or gone.', cuts=SAMPLED)
def test_a_cut_while_a_table_is_removed_leaves_none_that_looks_finished(disk, tmp_path):
    table = Engine(disk.top / 'work').run(Tens())
    disk.settle()
    for state in sampled(every_state(disk, lambda said: remove(table.path))):
        check_table(restored(state, tmp_path / 'after') / 'work')


def sampled(states: list[State]) -> list[State]:
    """Return SAMPLED different states, evenly spread over the moments, the last ones among them."""
    different = list({repr(state.found): state for state in states}.values())
    return [different[-1 - int(n * len(different) / SAMPLED)] for n in range(SAMPLED)] if len(different) > SAMPLED else different


@promise('Power cuts and kills', 'A checkpoint of `phantom train` is whole or not there; the one before it stays until then.', checkpoints=CHECKPOINTS)
def test_a_run_finds_its_newest_whole_checkpoint_after_any_cut(disk, tmp_path):
    from model.training.checkpoint import TrainState, checkpoints, read_state, save_checkpoint

    (disk.top / 'ckpt').mkdir()  # the run's own folder, which `train` makes
    disk.settle()

    def write(folder: Path) -> None:
        (folder / 'weights').write_bytes(b'w' * 100)

    def operate(said):
        for step in range(1, CHECKPOINTS + 1):
            save_checkpoint(disk.top / 'ckpt', TrainState('id', step, step, step, 0, 9, 'tiny', None, {}), write, keep_last=1)
            said.append(step)

    for state in every_state(disk, operate):
        found = checkpoints(restored(state, tmp_path / 'after') / 'ckpt')
        assert [read_state(path).step for path in found[-1:]] >= list(state.said[-1:]), told(state)
        assert all((path / 'weights').read_bytes() == b'w' * 100 for path in found), told(state)


@promise('Power cuts and kills', 'An export is whole or not there.', targets=len(TARGETS))
@pytest.mark.parametrize('target', sorted(TARGETS))
def test_an_export_is_whole_or_not_there_after_any_cut(disk, tmp_path, target):
    snapshot = seal_rows(tmp_path / 'snapshot', 'triples', [triple(1, images=[picture('red')]), triple(2)])
    disk.settle()

    def operate(said):
        export_snapshot(snapshot, target, disk.top / 'out')
        said.append('out')

    states = every_state(disk, operate)
    whole = {str(path.relative_to(disk.top)): path.read_bytes() if path.is_file() else None for path in [disk.top / 'out', *disk.top.rglob('out/**/*')]}
    assert whole['out/README.md']
    for state in states:
        if 'out' in state.said or state.found.keys() & whole.keys() - {'out'}:
            assert {name: value for name, value in state.found.items() if name.startswith('out')} == whole, told(state)
