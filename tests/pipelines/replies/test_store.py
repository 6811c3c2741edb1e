"""The reply store: durable, shared, deterministic."""

import errno
import fcntl
import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

import pipelines.replies.store
from pipelines.replies import segments as reply_segments
from pipelines.replies.segments import decode_line, encode_line
from pipelines.replies.store import ReplyStore
from schemas.errors import PendingWork, UserError
from schemas.replies import Failure, Reply, TokenLogprob, decode_outcome, encode_outcome
from tests.promises import promise


def key(number: int) -> str:
    return f'{number * 0x9E3779B97F4A7C15 % 2**256:064x}'[-16:] * 4


def reply(number: int, text: str = 'ünïcode "quoted"\n') -> Reply:
    return Reply(
        key(number), 'm', 'r1', text, 'stop', 11, 3, (TokenLogprob('Yes', -0.125, (('Yes', -0.125), ('No', -2.5))),),
        (TokenLogprob(' a', -1.5), TokenLogprob('', -0.25)), '{"id":"x"}', ('i: 9x9 -> 4x4 png',),
    )


FINAL = Failure(key(99), 'length', 'no end', False, 'm', 'r1', 'half a rep', 7, 256)


def test_outcomes_survive_the_segment_line_to_the_last_digit():
    for outcome in (reply(1), FINAL):
        assert decode_line(encode_line(outcome)) == outcome
        assert decode_outcome(json.loads(json.dumps(encode_outcome(outcome)))) == outcome


def test_stored_outcomes_are_found_by_key_and_others_are_absent(tmp_path):
    store = ReplyStore(tmp_path)
    store.put_many([reply(1), reply(2), FINAL])
    assert store.get_many([key(2), key(99), key(3)]) == {key(2): reply(2), key(99): FINAL}


def test_an_open_store_sees_what_another_one_appends_and_compacts(tmp_path):
    reader, writer = ReplyStore(tmp_path), ReplyStore(tmp_path)
    writer.put_many([reply(1)])
    assert reader.get_many([key(1)]) == {key(1): reply(1)}
    writer.put_many([reply(2)])
    writer.close()
    assert ReplyStore(tmp_path).compact() == 2
    assert not list((tmp_path / 'segments').iterdir())
    assert reader.get_many([key(1), key(2)]) == {key(1): reply(1), key(2): reply(2)}


def test_compaction_leaves_the_segment_of_a_live_writer_alone(tmp_path):
    live, dead = ReplyStore(tmp_path), ReplyStore(tmp_path)
    live.put_many([reply(1)])
    dead.put_many([reply(2)])
    dead.close()
    assert ReplyStore(tmp_path).compact() == 1
    live.put_many([reply(3)])
    assert set(ReplyStore(tmp_path).get_many(map(key, range(5)))) == {key(1), key(2), key(3)}


def test_a_segment_compacted_away_before_its_writer_locked_it_loses_no_reply(tmp_path, monkeypatch):
    real, other = fcntl.flock, ReplyStore(tmp_path)

    def compacts_first(file, how):
        if how == fcntl.LOCK_EX and not compacted:
            compacted.append(other.compact())
        return real(file, how)

    compacted = []
    monkeypatch.setattr(reply_segments.fcntl, 'flock', compacts_first)
    store = ReplyStore(tmp_path)
    store.put_many([reply(1)])
    assert compacted == [0]
    store.close()
    assert ReplyStore(tmp_path).get_many([key(1)]) == {key(1): reply(1)}


def test_one_at_a_time_compacts_and_the_next_does_after_it(tmp_path):
    store = ReplyStore(tmp_path)
    store.put_many([reply(1)])
    store.close()
    with open(tmp_path / 'compact.lock', 'w', encoding='utf-8') as another:
        fcntl.flock(another, fcntl.LOCK_EX)
        assert store.compact() == 0
        assert store.stats().segments == 1
    assert store.compact() == 1


def test_compaction_works_where_only_a_file_open_for_writing_is_locked_alone(tmp_path, monkeypatch):
    """NFS emulates flock by byte ranges: see flock(2)."""
    real = fcntl.flock

    def nfs(file, how):
        if how & fcntl.LOCK_EX and fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        real(file, how)

    monkeypatch.setattr(fcntl, 'flock', nfs)
    live, dead = ReplyStore(tmp_path), ReplyStore(tmp_path)
    live.put_many([reply(1)])
    dead.put_many([reply(2)])
    dead.close()
    assert ReplyStore(tmp_path).compact() == 1
    assert set(ReplyStore(tmp_path).get_many(map(key, range(3)))) == {key(1), key(2)}


def test_compacting_twice_with_nothing_new_but_duplicates_loses_nothing(tmp_path):
    for _ in range(3):
        store = ReplyStore(tmp_path)
        store.put_many([reply(n) for n in range(20)])
        store.close()
        store.compact()
        assert ReplyStore(tmp_path).get_many(map(key, range(20))) == {key(n): reply(n) for n in range(20)}
        assert store.stats().packs == 1
        assert store.stats().keys == 20


def test_many_small_groups_are_compacted_into_packs_that_hold_everything(tmp_path, monkeypatch):
    monkeypatch.setattr(pipelines.replies.store, 'SEGMENT_BYTES', 2000)
    monkeypatch.setattr(pipelines.replies.store, 'GROUP_BYTES', 5000)
    store = ReplyStore(tmp_path)
    for n in range(60):
        store.put_many([reply(n)])
    store.close()
    assert store.stats().segments > 5
    assert store.compact() == 60
    assert store.stats().packs > 1
    assert store.get_many(map(key, range(60))) == {key(n): reply(n) for n in range(60)}
    assert store.verify() == []


def test_a_lost_pack_index_is_made_again(tmp_path):
    store = ReplyStore(tmp_path)
    store.put_many([reply(n) for n in range(5)])
    store.close()
    store.compact()
    for index in (tmp_path / 'packs').glob('*.npy'):
        index.unlink()
    assert len(ReplyStore(tmp_path).get_many(map(key, range(5)))) == 5


@pytest.mark.parametrize('n_bytes', [1, 40, 100, 200])
@promise('Damaged files', 'A torn last line of stored replies hides nothing else.')
def test_a_torn_last_line_is_ignored_and_does_not_hide_the_rest(tmp_path, n_bytes):
    store = ReplyStore(tmp_path)
    store.put_many([reply(1), reply(2)])
    store.close()
    segment = next((tmp_path / 'segments').iterdir())
    with open(segment, 'ab') as file:
        file.write(encode_line(reply(3))[:n_bytes])
    again = ReplyStore(tmp_path)
    assert set(again.get_many([key(1), key(2), key(3)])) == {key(1), key(2)}
    again.put_many([reply(3)])
    assert set(ReplyStore(tmp_path).get_many([key(1), key(2), key(3)])) == {key(1), key(2), key(3)}
    assert again.verify() == []


def test_a_full_disk_is_told_and_costs_only_what_did_not_fit(tmp_path):
    """A limit on the size of files stands in for the disk: the write that crosses it goes half-way, as on a real one."""
    store = ReplyStore(tmp_path)
    store.put_many([reply(1)])
    one = next((tmp_path / 'segments').iterdir()).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * one + one // 2, hard))
        store.put_many([reply(2)])
        with pytest.raises(UserError, match='reply store segment .*EFBIG.*run the same command again'):
            store.put_many([reply(3)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    store.put_many([reply(4)])
    assert store.verify() == []
    assert ReplyStore(tmp_path).get_many(key(n) for n in range(1, 5)).keys() == {key(1), key(2), key(4)}


@promise('Disks', 'A disk that fails while replies are stored is told as what it is, with the file; what was stored is kept and the rest may follow.', errnos=4)
@pytest.mark.parametrize('name', ['EIO', 'ESTALE', 'ENOSPC', 'EDQUOT'])
def test_a_disk_that_fails_while_replies_are_stored_is_told_by_its_errno(tmp_path, monkeypatch, name):
    store, number = ReplyStore(tmp_path), getattr(errno, name)
    store.put_many([reply(1)])

    def fail(_file):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, 'fdatasync', fail)
        with pytest.raises(UserError, match=rf'reply store segment .*\.jsonl: .* \({name}\); ') as told:
            store.put_many([reply(2)])
    assert isinstance(told.value, PendingWork) == (name in ('EIO', 'ESTALE'))
    store.put_many([reply(3)])
    assert ReplyStore(tmp_path).get_many(map(key, (1, 2, 3))).keys() == {key(1), key(3)}


@pytest.mark.parametrize('where', ['__init__', 'read_row_group'])
def test_a_pack_that_the_disk_does_not_give_is_named_and_none_of_it_is_lost(tmp_path, monkeypatch, where):
    store = ReplyStore(tmp_path)
    store.put_many([reply(1)])
    store.close()
    store.compact()

    def fail(*_args, **_options):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(f'pyarrow.parquet.ParquetFile.{where}', fail)
        with pytest.raises(OSError, match='Input/output') as told:
            ReplyStore(tmp_path).get_many([key(1)])
    assert str(told.value.filename).endswith('.parquet')
    assert ReplyStore(tmp_path).get_many([key(1)]).keys() == {key(1)}


def test_a_damaged_line_is_absent_and_named_by_verify(tmp_path):
    store = ReplyStore(tmp_path)
    store.put_many([reply(1), reply(2)])
    segment = next((tmp_path / 'segments').iterdir())
    data = segment.read_bytes()
    segment.write_bytes(data.replace(b'quoted', b'quated', 1))
    assert set(ReplyStore(tmp_path).get_many([key(1), key(2)])) == {key(2)}
    assert [fault.split(':')[0] for fault in store.verify()] == [str(segment)]


def test_a_flipped_bit_in_a_pack_is_named_by_verify(tmp_path):
    store = ReplyStore(tmp_path)
    store.put_many([reply(n, text=random.Random(n).randbytes(2000).hex()) for n in range(20)])
    store.close()
    store.compact()
    (pack,) = (tmp_path / 'packs').glob('*.parquet')
    whole, group = pack.read_bytes(), pq.ParquetFile(pack).metadata.row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    end = max((c.dictionary_page_offset or c.data_page_offset) + c.total_compressed_size for c in columns)
    missed = []
    for at in [*range(50, end, end // 40), len(whole) - 6]:
        pack.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        try:
            told = ReplyStore(tmp_path).verify()
        except UserError as e:  # its last bytes say what is where: without them it cannot even be opened
            told = [str(e)]
        if not any(str(pack) in fault for fault in told):
            missed.append(at)
    assert missed == []


def test_of_two_replies_under_one_key_every_reader_takes_the_same_before_and_after_compaction(tmp_path):
    for first, second in (('a', 'b'), ('b', 'a')):
        folder = tmp_path / first
        for text in (first, second):
            store = ReplyStore(folder)
            store.put_many([reply(1, text)])
            store.close()
        assert ReplyStore(folder).get_many([key(1)])[key(1)].text == 'a'
        store.compact()
        assert ReplyStore(folder).get_many([key(1)])[key(1)].text == 'a'


def test_a_reply_beats_a_failure_under_the_same_key(tmp_path):
    store = ReplyStore(tmp_path)
    store.put_many([Failure(key(1), 'length', '', False), reply(1)])
    assert store.get_many([key(1)]) == {key(1): reply(1)}


def test_a_pending_failure_is_never_stored(tmp_path):
    with pytest.raises(AssertionError):
        ReplyStore(tmp_path).put_many([Failure(key(1), 'transport', 'timeout', True)])


def _write(folder: str, start: int) -> None:
    store = ReplyStore(folder)
    for n in range(start, start + 50):
        store.put_many([reply(n)])


@promise('Processes', 'Many processes store replies at once and nothing is lost.')
def test_many_processes_write_at_once_and_nothing_is_lost(tmp_path):
    context = multiprocessing.get_context('spawn')
    writers = [context.Process(target=_write, args=(str(tmp_path), 50 * w)) for w in range(4)]
    for process in writers:
        process.start()
    reader = ReplyStore(tmp_path)
    while any(process.is_alive() for process in writers):
        reader.compact()
        time.sleep(0.02)
    for process in writers:
        process.join()
        assert process.exitcode == 0
    reader.compact()
    assert reader.get_many(map(key, range(200))) == {key(n): reply(n) for n in range(200)}


ENDLESS = """
import sys
sys.path[:0] = sys.argv[2:]
from tests.pipelines.replies.test_store import reply
from pipelines.replies.store import ReplyStore
store = ReplyStore(sys.argv[1])
for n in range(100000):
    store.put_many([reply(2 * n), reply(2 * n + 1)])
    print(2 * n + 1, flush=True)
"""


@promise('Power cuts and kills', 'A writer of replies killed (-9) at any moment loses nothing that it had stored.')
def test_a_writer_killed_at_any_point_loses_nothing_it_had_stored(tmp_path):
    root = str(Path(__file__).parents[3])
    for delay in (0.0, 0.013, 0.05):
        child = subprocess.Popen([sys.executable, '-c', ENDLESS, str(tmp_path), root], stdout=subprocess.PIPE, text=True)
        child.stdout.readline()
        time.sleep(delay)
        os.kill(child.pid, signal.SIGKILL)
        stored = [0, *map(int, child.stdout.read().split('\n')[:-1])][-1]
        child.wait()
        store = ReplyStore(tmp_path)
        assert store.get_many(map(key, range(stored + 1))) == {key(n): reply(n) for n in range(stored + 1)}
        assert store.verify() == []
    assert ReplyStore(tmp_path).compact() > 0


def test_pandas_reads_both_forms(tmp_path):
    store = ReplyStore(tmp_path)
    store.put_many([reply(1), FINAL])
    assert list(pd.read_json(next((tmp_path / 'segments').iterdir()), lines=True)['key']) == [key(1), key(99)]
    store.close()
    store.compact()
    packed = pd.read_parquet(next((tmp_path / 'packs').glob('*.parquet')))
    assert list(packed['text']) == ['ünïcode "quoted"\n', 'half a rep']
    assert list(packed['outcome']) == ['reply', 'failure']
