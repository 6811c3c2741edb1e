"""How files appear: whole or not at all, on the disk before what vouches for them, under names that no other host uses."""

import errno
import os
import time
from pathlib import Path

import pytest

from schemas import publish
from schemas.publish import (
    draft_of,
    drafted,
    drafted_folder,
    make_folder,
    place_bytes,
    publish_bytes,
    publish_checked,
    publish_folder,
    publish_link,
    read_checked,
    sweep,
    sync_all,
)
from tests.damage import DAMAGE
from tests.promises import promise


@pytest.fixture
def told(monkeypatch):
    """Note, in order, what is flushed and what is renamed."""
    found = []
    fsync, replace, rename = os.fsync, os.replace, os.rename

    def place_of(descriptor):
        return os.path.basename(os.readlink(f'/proc/self/fd/{descriptor}')) if os.path.isdir('/proc/self/fd') else '?'

    monkeypatch.setattr(os, 'fsync', lambda descriptor: (found.append(('flush', place_of(descriptor))), fsync(descriptor)))
    monkeypatch.setattr(os, 'replace', lambda a, b: (found.append(('rename', Path(b).name)), replace(a, b)))
    monkeypatch.setattr(os, 'rename', lambda a, b: (found.append(('rename', Path(b).name)), rename(a, b)))
    monkeypatch.setattr(publish, '_flush_file_system', lambda path: False)
    return found


@promise('Power cuts and kills', 'A file is flushed before it gets its name, and its folder after')
def test_a_file_is_flushed_before_it_gets_its_name_and_the_folder_after(tmp_path, told):
    publish_bytes(tmp_path / 'a', b'x')
    assert [what for what, _ in told] == ['flush', 'rename', 'flush']
    assert told[1:] == [('rename', 'a'), ('flush', tmp_path.name)]
    assert [path.name for path in tmp_path.iterdir()] == ['a']


def test_a_folder_is_flushed_with_all_that_is_in_it_before_it_gets_its_name(tmp_path, told):
    (tmp_path / 'draft/sub').mkdir(parents=True)
    for name in ('a', 'sub/b'):
        (tmp_path / 'draft' / name).write_bytes(b'x')
    publish_folder(tmp_path / 'draft', tmp_path / 'whole')
    at = told.index(('rename', 'whole'))
    assert {name for _, name in told[:at]} >= {'a', 'b', 'sub', 'draft'}
    assert told[at + 1:] == [('flush', tmp_path.name)]


def test_of_many_files_the_file_system_is_flushed_once(tmp_path, told, monkeypatch):
    flushed = []
    monkeypatch.setattr(publish, '_flush_file_system', lambda path: bool(flushed.append(path)) or True)
    for n in range(publish.FLUSHED_ONE_BY_ONE + 1):
        place_bytes(tmp_path / f'{n}', b'x', tmp_path)
    told.clear()
    sync_all(sorted(tmp_path.iterdir()))
    assert len(flushed) == 1
    assert told == []
    sync_all(sorted(tmp_path.iterdir())[:2])
    assert len(told) == 4, 'few: two files, their folder and the one it is in'


def test_what_fails_leaves_nothing_and_keeps_what_was_there(tmp_path):
    publish_bytes(tmp_path / 'a', b'before')
    def fail(draft):
        (draft / 'half' if draft.is_dir() else draft).write_bytes(b'half')
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), drafted(tmp_path / 'a') as draft:
        fail(draft)
    with pytest.raises(ZeroDivisionError), drafted_folder(tmp_path / 'b') as draft:
        fail(draft)
    assert [path.name for path in tmp_path.iterdir()] == ['a']
    assert (tmp_path / 'a').read_bytes() == b'before'


def test_an_empty_folder_gives_way_and_one_that_holds_something_does_not(tmp_path):
    for name in ('empty', 'full'):
        (tmp_path / name).mkdir()
    (tmp_path / 'full/theirs').touch()
    for name in ('empty', 'new'):
        with drafted_folder(tmp_path / name) as draft:
            (draft / 'a').touch()
        assert (tmp_path / name / 'a').exists()
    with pytest.raises(OSError, match='not empty|exists'), drafted_folder(tmp_path / 'full') as draft:
        (draft / 'a').touch()
    assert [path.name for path in (tmp_path / 'full').iterdir()] == ['theirs']


@promise('Processes', 'Two hosts that share a folder never use one temporary name, and a draft that anybody may still write to is never removed')
def test_drafts_have_names_of_their_own_and_only_old_ones_are_swept(tmp_path, monkeypatch):
    names = {draft_of(tmp_path / 'a.json').name for _ in range(100)}
    assert len(names) == 100
    monkeypatch.setattr(publish.socket, 'gethostname', lambda: 'another-host-' + 'x' * 300)
    assert len(os.fsencode(draft_of(tmp_path / ('ü' * 127)).name)) <= 255
    live, dead, folder = (draft_of(tmp_path / name) for name in ('live', 'dead', 'folder'))
    live.touch(), dead.touch(), folder.mkdir()
    (tmp_path / '.hidden').touch()
    ago = time.time() - publish.LEFTOVER_S - 60
    for path in (dead, folder, tmp_path / '.hidden'):
        os.utime(path, (ago, ago))
    sweep(tmp_path)
    assert set(tmp_path.iterdir()) == {live, folder, tmp_path / '.hidden'}
    with drafted_folder(tmp_path / 'folder') as draft:
        (draft / 'a').touch()
    assert not folder.exists(), 'the draft of a killed writer of the same folder'


@promise('Damaged files', 'A record that was emptied, cut, zeroed or changed is none: it is written again, never believed', kinds_of_damage=len(DAMAGE))
@pytest.mark.parametrize('damage', DAMAGE)
def test_a_damaged_record_says_nothing(tmp_path, damage):
    said = {'b': [1, 2.5, None], 'a': {'ü': 'x', '1': True}}
    publish_checked(tmp_path / 'a.json', {**said, 'nan': float('nan'), 'pair': (1, 2)})
    assert read_checked(tmp_path / 'a.json') == {**said, 'nan': None, 'pair': [1, 2]}
    DAMAGE[damage](tmp_path / 'a.json')
    assert read_checked(tmp_path / 'a.json') is None


def test_a_digit_that_changed_is_noticed_and_a_record_of_an_earlier_version_is_believed(tmp_path):
    publish_checked(tmp_path / 'a.json', {'n': 5})
    (tmp_path / 'a.json').write_text((tmp_path / 'a.json').read_text().replace('5', '7', 1))
    assert read_checked(tmp_path / 'a.json') is None
    (tmp_path / 'a.json').write_text('{"n": 7}')
    assert read_checked(tmp_path / 'a.json') == {'n': 7}
    (tmp_path / 'a.json').write_text('[7]')
    assert read_checked(tmp_path / 'a.json') is None


def test_a_new_folder_is_flushed_by_its_name_in_each_folder_that_holds_it(tmp_path, told):
    make_folder(tmp_path / 'a/b')
    make_folder(tmp_path / 'a/b')
    assert told == [('flush', tmp_path.name), ('flush', 'a')]


def test_what_is_no_file_takes_the_bytes_and_stays_what_it_is(tmp_path):
    """As root a rename would put a file in the place of /dev/null or /dev/stdout."""
    os.mkfifo(tmp_path / 'pipe')
    reader = os.open(tmp_path / 'pipe', os.O_RDWR | os.O_NONBLOCK)
    publish_bytes(tmp_path / 'pipe', b'told')
    assert os.read(reader, 100) == b'told'
    os.close(reader)
    assert (tmp_path / 'pipe').is_fifo()
    assert os.listdir(tmp_path) == ['pipe']


def test_a_flush_that_the_disk_refuses_names_the_file_and_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / 'x.json'
    publish.publish_json(path, 1)

    def fail(_descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(OSError, match='Input/output') as told:
        publish.publish_json(path, 2)
    assert 'x.json' in str(told.value.filename)
    assert [each.name for each in tmp_path.iterdir()] == ['x.json']
    assert path.read_text() == '1'


def test_a_link_takes_the_place_of_another_and_of_nothing_else(tmp_path):
    publish_link(tmp_path / 'best', 'one')
    publish_link(tmp_path / 'best', 'two')
    assert (tmp_path / 'best').readlink() == Path('two')
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(FileExistsError):
        publish_link(tmp_path / 'file', 'one')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['best', 'file']
