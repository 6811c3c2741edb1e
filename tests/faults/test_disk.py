"""The model of a disk that loses power: what an fsync covers stays, everything else may be lost."""

import ctypes
import os
import random
import shutil
from pathlib import Path

import pytest

from schemas.publish import publish_bytes
from tests.faults.disk import LOSSES, Disk, watched


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path / 'disk', tmp_path / 'memory')
    disk.top.mkdir()
    disk.settle()
    end = watched(disk, lambda: None)
    yield disk
    end()


def after(disk: Disk, loss: str) -> dict:
    return disk.after_a_cut(loss, random.Random(0))


def flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


@pytest.mark.parametrize(('loss', 'left'), [('emptied', {'a': b''}), ('names', {}), ('zeroed', {'a': b'\0\0\0\0'})])
def test_bytes_that_were_not_flushed_are_lost(disk, loss, left):
    (disk.top / 'a').write_bytes(b'data')
    assert after(disk, loss) == left


def test_what_was_appended_after_the_flush_is_lost(disk):
    (disk.top / 'a').write_bytes(b'data')
    flush(disk.top / 'a')
    flush(disk.top)
    with open(disk.top / 'a', 'ab') as file:
        file.write(b'more')
    assert {loss: after(disk, loss) for loss in ('emptied', 'names', 'zeroed')} == {
        'emptied': {'a': b'data'}, 'names': {'a': b'data'}, 'zeroed': {'a': b'data\0\0\0\0'}}


def test_what_was_written_over_a_flushed_file_may_spoil_it(disk):
    (disk.top / 'a').write_bytes(b'data')
    flush(disk.top / 'a')
    (disk.top / 'a').write_bytes(b'other')
    assert after(disk, 'emptied') == {'a': b''}


def test_a_rename_without_a_flush_of_the_folder_may_be_undone_and_what_it_replaced_comes_back(disk):
    for name in ('a', 'b'):
        (disk.top / name).write_bytes(name.encode())
        flush(disk.top / name)
    flush(disk.top)
    os.replace(disk.top / 'a', disk.top / 'b')
    assert after(disk, 'emptied') == {'b': b'a'}
    assert after(disk, 'names') == {'a': b'a', 'b': b'b'}
    flush(disk.top)
    assert after(disk, 'names') == {'b': b'a'}


def test_the_number_of_a_removed_file_becomes_no_other_files(disk):
    publish_bytes(disk.top / 'a', b'data')
    number = (disk.top / 'a').stat().st_ino
    (disk.top / 'a').unlink()
    for name in 'bcde':
        publish_bytes(disk.top / name, b'other')
        assert (disk.top / name).stat().st_ino != number
        (disk.top / name).unlink()


def test_a_folder_is_there_when_its_own_folder_was_flushed(disk):
    (disk.top / 'in').mkdir()
    publish_bytes(disk.top / 'in/a', b'data')
    assert after(disk, 'names') == {}
    flush(disk.top)
    assert after(disk, 'names') == {'in': None, 'in/a': b'data'}
    shutil.rmtree(disk.top / 'in')
    assert after(disk, 'emptied') == {}


def test_a_flush_of_the_whole_file_system_covers_everything(disk):
    (disk.top / 'in').mkdir()
    (disk.top / 'in/a').write_bytes(b'data')
    folder = os.open(disk.top, os.O_RDONLY)
    assert ctypes.CDLL(None, use_errno=True).syncfs(folder) == 0
    os.close(folder)
    assert after(disk, 'names') == {'in': None, 'in/a': b'data'}


def test_links_count_as_names(disk):
    (disk.top / 'a').symlink_to('b')
    assert after(disk, 'emptied') == {'a': 'b'}
    assert after(disk, 'names') == {}


@pytest.mark.parametrize('loss', LOSSES)
def test_a_cut_leaves_what_it_says_and_that_is_durable_from_then_on(disk, loss):
    publish_bytes(disk.top / 'a', b'data')
    (disk.top / 'b').write_bytes(b'lost' * 100)
    disk.cut(loss, random.Random(1))
    left = after(disk, 'names')
    assert left['a'] == b'data'
    assert left.get('b') != b'lost' * 100
    assert left == after(disk, 'emptied')
