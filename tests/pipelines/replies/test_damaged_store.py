"""What a disk does to stored replies costs at most those that it damaged, never the rest, and is said with how many they are."""

import os

import numpy as np
import pytest

from pipelines.replies import packs
from pipelines.replies.segments import encode_line
from pipelines.replies.store import ReplyStore
from pipelines.replies.tend import tend
from schemas.errors import UserError
from tests.damage import DAMAGE
from tests.pipelines.replies.test_store import key, reply
from tests.promises import promise

N = 40


def packed(folder, numbers=range(N)):
    store = ReplyStore(folder)
    store.put_many([reply(n) for n in numbers])
    store.close()
    store.compact()
    [path] = (folder / 'packs').glob('*.parquet')
    return path


def found(folder, numbers=range(N)):
    """Return which replies a store gives, each as it was stored."""
    got = ReplyStore(folder).get_many(map(key, numbers))
    assert all(got[key(n)] == reply(n) for n in numbers if key(n) in got)
    return [n for n in numbers if key(n) in got]


def of_before(path):
    """Write the index as earlier versions did."""
    np.save(path, np.array(np.load(path)))


def foreign(path):
    """Put the index of another pack of as many replies there."""
    other = packed(path.parent / 'other', range(1000, 1000 + N))
    path.write_bytes(other.with_suffix('.heads.npy').read_bytes())


INDEXES = {**DAMAGE, 'of an earlier version': of_before, 'of another pack': foreign, 'of other keys': lambda path: np.save(path, np.arange(N, dtype=np.uint64))}


@promise('Damaged files', 'An index of stored replies that is empty, short, long, changed or of another pack is made again and costs no reply', indexes=len(INDEXES))
@pytest.mark.parametrize('damage', INDEXES)
def test_a_damaged_index_is_made_again_and_no_reply_is_lost(tmp_path, damage, capsys):
    path = packed(tmp_path / 'store').with_suffix('.heads.npy')
    whole = path.read_bytes()
    INDEXES[damage](path)
    assert found(tmp_path / 'store') == list(range(N))
    assert path.read_bytes() == whole, 'kept for the next time'
    assert capsys.readouterr().err == ''


@promise('Damaged files', 'Of a damaged pack of replies all that can be read is used; what cannot is never bought again before somebody gave it up, '
         'and it is said how many replies that are', row_groups=8, kinds_of_damage=4)  # fmt: skip
@pytest.mark.parametrize('damage', ['with a flipped bit', 'cut in half', 'zeroed at its end', 'emptied'])
def test_what_can_be_read_of_a_damaged_pack_is_used_and_the_rest_is_not_bought_again_unasked(tmp_path, monkeypatch, capsys, damage):
    monkeypatch.setattr(packs, 'ROW_GROUP_ROWS', 5)
    path = packed(tmp_path)
    DAMAGE[damage](path)
    refused = [n for n in range(N) if not is_found(tmp_path, n)]
    assert len(refused) in {'with a flipped bit': [5], 'emptied': [N]}.get(damage, range(5, 30, 5))
    with pytest.raises(UserError, match=f'{path}: {len(refused)} stored replies in it are damaged .* {len(refused)} of them are needed now, all paid for; '
                       f'put the file back from a backup, or give them up with phantom replies compact {tmp_path}: .* {path.name}.damaged') as raised:
        found(tmp_path)
    assert raised.value.code == 2
    assert len(ReplyStore(tmp_path).verify()) >= 1
    ReplyStore(tmp_path).compact()
    assert path.exists(), 'what a build does at its end gives nothing up'
    assert tend('compact', tmp_path) == 0
    assert found(tmp_path) == [n for n in range(N) if n not in refused]
    assert path.with_name(f'{path.name}.damaged').exists()
    assert f'{path}: {len(refused)} stored replies in it are damaged' in capsys.readouterr().err


def is_found(folder, n):
    try:
        return found(folder, [n]) == [n]
    except UserError:
        return False


def test_without_its_index_nothing_that_may_have_stood_in_a_damaged_pack_is_bought_unasked(tmp_path):
    path = packed(tmp_path)
    ReplyStore(tmp_path).put_many([reply(99)])
    DAMAGE['emptied'](path)
    path.with_suffix('.heads.npy').unlink()
    assert found(tmp_path, [99]) == [99]
    with pytest.raises(UserError, match=f'{N} stored replies in it are damaged and cannot be read, up to 1 of them are needed now'):
        found(tmp_path, [1000])


@pytest.mark.parametrize('damage', ['emptied', 'zeroed', 'something else'])
def test_a_pack_that_cannot_be_opened_at_all_stops_and_says_how_many_replies_it_holds(tmp_path, damage):
    path = packed(tmp_path)
    path.with_suffix('.footer').unlink()  # as of earlier versions
    DAMAGE[damage](path)
    with pytest.raises(UserError, match=f'{path}: expected a pack of replies, found .* with {N} replies in it, all paid for; put it back from a backup'):
        ReplyStore(tmp_path)


@promise('Damaged files', 'In a segment of replies, zeros that a disk left or a torn line cost the lines they stand in, which are counted', kinds=6)
@pytest.mark.parametrize(('spoil', 'lost', 'said'), [
    (lambda lines: [*lines, bytes(8192)], [], 0),  # what ext4 and XFS leave behind the last byte that came to the disk
    (lambda lines: [*lines[:-1], lines[-1][:-9], bytes(100)], [N - 1], 0),
    (lambda lines: [*lines[:3], bytes(len(lines[3])), *lines[4:]], [3], 1),
    (lambda lines: [*lines[:3], lines[3][:-20], *lines[4:]], [3], 1),  # torn in the middle: the next line stands behind it
    (lambda lines: [*lines[:3], lines[3].replace(b'"key":"', b'"key":"0')[:-1] + b'\n', *lines[4:]], [3], 1),
    (lambda lines: [], list(range(N)), 0),
])
def test_damaged_lines_of_a_segment_cost_what_stands_in_them(tmp_path, capsys, spoil, lost, said):
    store = ReplyStore(tmp_path)
    store.put_many([reply(0)])
    store.close()
    [path] = (tmp_path / 'segments').glob('*.jsonl')
    path.write_bytes(b''.join(spoil([encode_line(reply(n)) for n in range(N)])))
    assert found(tmp_path) == [n for n in range(N) if n not in lost]
    assert len(capsys.readouterr().err.splitlines()) == said
    store = ReplyStore(tmp_path)
    store.compact()
    assert found(tmp_path) == [n for n in range(N) if n not in lost]
    assert path.with_name(f'{path.name}.damaged').exists() == bool(said)


def test_a_line_whose_first_key_was_damaged_is_found_by_the_key_in_its_record(tmp_path):
    store = ReplyStore(tmp_path)
    store.put_many([reply(n) for n in range(3)])
    store.close()
    [path] = (tmp_path / 'segments').glob('*.jsonl')
    path.write_bytes(path.read_bytes().replace(b'{"key":"' + key(1).encode(), b'{"key":"' + b'0' * 64))
    assert found(tmp_path, range(3)) == [0, 1, 2]


def test_replies_of_a_pack_that_is_gone_are_not_bought_again_unasked(tmp_path):
    path = packed(tmp_path)
    aside = path.rename(tmp_path / 'aside')
    with pytest.raises(UserError, match=f'{N} replies in it are needed now, all paid for; put the file back'):
        found(tmp_path)
    assert found(tmp_path, range(N, N + 3)) == [], 'what never stood in it is asked for'
    aside.rename(path)
    assert found(tmp_path) == list(range(N))
    path.unlink()
    tend('compact', tmp_path)
    assert found(tmp_path) == []


def test_what_a_killed_compaction_leaves_is_no_loss(tmp_path):
    path = packed(tmp_path)
    (tmp_path / 'packs/pack-0123456789abcdef.heads.npy').write_bytes(path.with_suffix('.heads.npy').read_bytes())
    assert found(tmp_path) == list(range(N))
    assert found(tmp_path, range(N, N + 3)) == []


def test_what_is_no_file_is_no_segment(tmp_path):
    packed(tmp_path)
    os.mkfifo(tmp_path / 'segments/a.jsonl')
    (tmp_path / 'segments/b.jsonl').mkdir()
    assert found(tmp_path) == list(range(N))
