"""Stored outcomes that are forgotten: those that are meant, all of them, and nothing else whatever happens meanwhile."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.replies import forget as forgetting
from pipelines.replies.facts import Meant, fact_of, kinds, sums
from pipelines.replies.forget import all_parts, drop, find
from pipelines.replies.packs import PACK_SCHEMA, Pack, write_pack
from pipelines.replies.store import ReplyStore
from schemas.errors import UserError
from schemas.replies import Failure, Reply


def key(number: int) -> str:
    return f'{number * 0x9E3779B97F4A7C15 % 2**256:064x}'[-16:] * 4


def reply(number: int, model: str = 'm', revision: str = 'r1', **other) -> Reply:
    return Reply(key(number), model, revision, f'text {number}', 'stop', 10, 2, **other)


def failed(number: int, kind: str = 'length', model: str = 'm', revision: str = 'r1') -> Failure:
    return Failure(key(number), kind, 'no end', False, model, revision, 'half', 10, 7, status=200)


ALL = [reply(1), reply(2, 'n'), reply(3, revision='r2'), failed(4), failed(5, 'refused'), failed(6, 'rejected', 'n')]


def filled(folder: Path) -> ReplyStore:
    """Return a store with the same outcomes in a pack and in a segment, half of them each, one in both."""
    store = ReplyStore(folder)
    store.put_many(ALL[::2])
    store.close()
    store.compact()
    store.put_many([*ALL[1::2], ALL[4]])
    store.close()
    return store


def forget(folder: Path, meant: Meant) -> int:
    with all_parts(folder) as parts:
        found = find(parts, meant)
        drop(found, meant, folder / 'packs')
        return found.cost.n


@pytest.mark.parametrize(
    ('meant', 'gone'),
    [
        (Meant(failures=True), {4, 5, 6}),
        (Meant(model='m'), {1, 3, 4, 5}),
        (Meant(revision='r2'), {3}),
        (Meant(kind='reply'), {1, 2, 3}),
        (Meant(kind='refused'), {5}),
        (Meant(failures=True, model='n'), {6}),
        (Meant(model='m', revision='r1', kind='reply'), {1}),
        (Meant(model='M'), set()),
        (Meant(model=''), set()),
    ],
)
def test_what_is_meant_is_gone_and_all_else_is_there(tmp_path, meant, gone):
    store = filled(tmp_path)
    assert forget(tmp_path, meant) == len(gone)
    for opened in (store, ReplyStore(tmp_path)):
        assert opened.get_many(map(key, range(10))) == {o.key: o for n, o in enumerate(ALL, start=1) if n not in gone}
        assert opened.verify() == []
    assert forget(tmp_path, meant) == 0


def test_what_it_cost_is_counted_once_for_each_key(tmp_path):
    filled(tmp_path)
    with all_parts(tmp_path) as parts:
        found = find(parts, Meant(failures=True))
    assert (found.cost.n, found.cost.prompt_tokens, found.cost.completion_tokens) == (3, 30, 21)
    assert found.kinds == {'length': 1, 'refused': 1, 'rejected': 1}
    assert found.keys == {key(4), key(5), key(6)}


def test_a_file_that_holds_nothing_of_it_is_not_written_anew(tmp_path):
    filled(tmp_path)
    (pack,) = (tmp_path / 'packs').glob('*.parquet')
    before = pack.stat().st_mtime_ns
    forget(tmp_path, Meant(kind='rejected'))
    assert pack.stat().st_mtime_ns == before


@pytest.mark.parametrize('at', ['write_pack', 'remove'])
def test_a_kill_in_the_middle_loses_nothing_else_and_the_next_time_finishes(tmp_path, monkeypatch, at):
    class Killed(BaseException):
        pass

    filled(tmp_path)
    left = {1: 2}  # the second file is where it is killed

    def killed(real):
        def call(*args):
            left[1] -= 1
            if not left[1]:
                raise Killed
            return real(*args)

        return call

    with monkeypatch.context() as patch:
        if at == 'write_pack':
            patch.setattr(forgetting, 'write_pack', killed(forgetting.write_pack))
        else:
            patch.setattr(Pack, 'remove', killed(Pack.remove))
            patch.setattr(forgetting.Segment, 'remove', killed(forgetting.Segment.remove))
        with pytest.raises(Killed):
            forget(tmp_path, Meant(failures=True))
    there = ReplyStore(tmp_path).get_many(map(key, range(10)))
    assert {key(1), key(2), key(3)} <= there.keys()
    forget(tmp_path, Meant(failures=True))
    assert ReplyStore(tmp_path).get_many(map(key, range(10))).keys() == {key(1), key(2), key(3)}


def test_nothing_is_forgotten_while_somebody_writes_or_compacts(tmp_path):
    store = filled(tmp_path)
    store.put_many([failed(7)])
    with pytest.raises(UserError, match='nobody writes to it'), all_parts(tmp_path):
        pass
    store.close()
    with all_parts(tmp_path) as parts:
        assert len(parts) == 3
        assert store.compact() == 0
        with pytest.raises(UserError, match='another process compacts'), all_parts(tmp_path):
            pass
    assert forget(tmp_path, Meant(kind='length')) == 2


def test_a_store_that_is_open_sees_what_was_forgotten(tmp_path):
    reader = filled(tmp_path)
    assert len(reader.get_many(map(key, range(10)))) == 6
    forget(tmp_path, Meant(failures=True))
    reader.put_many([reply(4)])
    assert reader.get_many([key(4), key(5)]) == {key(4): reply(4)}
    assert reader.stats().keys == 4


def test_what_is_left_of_one_pack_does_not_take_the_place_of_another_with_the_same_keys(tmp_path):
    """As large stores have them: compaction leaves a failure in one pack and the reply to the same request in another."""
    for n in range(2, 12):  # packs are rewritten in the order of their names
        store = ReplyStore(tmp_path / str(n))
        for held in ([reply(1), failed(n, 'rejected')], [failed(1, 'rejected')]):
            write_pack(tmp_path / str(n) / 'packs', held)
        assert forget(tmp_path / str(n), Meant(failures=True)) == 2
        assert store.get_many([key(1), key(n)]) == ReplyStore(tmp_path / str(n)).get_many([key(1), key(n)]) == {key(1): reply(1)}


def test_a_store_that_is_open_sees_the_reply_that_took_a_failures_place_in_a_pack(tmp_path):
    reader, writer = ReplyStore(tmp_path), ReplyStore(tmp_path)
    write_pack(tmp_path / 'packs', [failed(1, 'rejected'), reply(2)])
    assert reader.get_many([key(1)]) == {key(1): failed(1, 'rejected')}
    writer.put_many([reply(1)])
    writer.close()
    assert writer.compact() == 2
    assert reader.get_many([key(1), key(2)]) == {key(1): reply(1), key(2): reply(2)}


def test_a_pack_of_before_has_neither_server_nor_status_and_is_read_all_the_same(tmp_path):
    """Written with the columns there were before `status`, `reasoning`, `served_by` and `counted`."""
    store = ReplyStore(tmp_path)
    old = pa.schema([field for field in PACK_SCHEMA if field.name not in ('status', 'reasoning', 'served_by', 'counted')])
    rows = [
        {'key': key(1), 'outcome': 'reply', 'model': 'm', 'revision': 'r1', 'text': 'yes', 'finish_reason': 'stop', 'prompt_tokens': 3,
         'completion_tokens': 1, 'logprobs': '[]', 'prompt_logprobs': '[]', 'raw': '{}', 'resized': []},
        {'key': key(2), 'outcome': 'failure', 'model': 'm', 'revision': 'r1', 'kind': 'rejected', 'detail': 'HTTP 402', 'retryable': False,
         'text': '', 'prompt_tokens': 0, 'completion_tokens': 0, 'resized': []},
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema=old), tmp_path / 'packs/pack-0123456789abcdef.parquet', write_page_checksum=True)
    found = store.get_many([key(1), key(2)])
    assert found[key(1)] == Reply(key(1), 'm', 'r1', 'yes', 'stop', 3, 1, raw='{}')
    assert found[key(2)] == Failure(key(2), 'rejected', 'HTTP 402', False, 'm', 'r1')
    assert kinds(sums(store.facts())) == {'reply': 1, 'rejected': 1}
    store.put_many([reply(3, served_by='toy 1.0')])
    store.close()
    assert store.compact() == 3
    assert ReplyStore(tmp_path).get_many([key(1), key(2)]) == found
    assert forget(tmp_path, Meant(failures=True)) == 1
    assert ReplyStore(tmp_path).get_many(map(key, range(4))) == {key(1): found[key(1)], key(3): reply(3, served_by='toy 1.0')}


def test_facts_are_the_same_from_a_pack_a_segment_and_the_outcome(tmp_path):
    outcomes = [*ALL, reply(8, served_by='model toy; version A-1.0'), failed(9, 'leaked_key')]
    store = ReplyStore(tmp_path)
    store.put_many(outcomes)
    store.close()
    expected = sorted(json.dumps([fact.key, fact.kind, fact.model, fact.served_by, fact.prompt_tokens]) for fact in map(fact_of, outcomes))
    for _ in range(2):
        assert sorted(json.dumps([f.key, f.kind, f.model, f.served_by, f.prompt_tokens]) for f in store.facts()) == expected
        store.compact()
