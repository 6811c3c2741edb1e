"""Each writer of the project, cut at each of its moments, in the model of tests.faults.disk: whole or not there, and nothing lost that was said."""

import shutil
from pathlib import Path

import pytest

from pipelines.replies.store import ReplyStore
from schemas.publish import publish_bytes, publish_folder
from tests.faults.disk import Disk, State, every_state, put
from tests.pipelines.replies.test_store import key, reply
from tests.promises import promise

BATCHES, BATCH = 4, 3


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
