"""The planted cases as a file of the snapshot, with the tokens of the replies they are read from."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.tables import Table
from pipelines.replies.store import ReplyStore
from pipelines.triples.calibration import CASES
from pipelines.triples.cases import FILE, planted_file
from schemas.replies import Reply


def row(n: int, *keys: str) -> dict:
    return {**dict.fromkeys(CASES.names, ''), 'case_id': f'c{n}', 'accept': True, 'score': 1.0, 'reply_keys': list(keys)}


def test_each_case_has_the_tokens_of_its_own_replies(tmp_path):
    store = ReplyStore(tmp_path / 'replies')
    store.put_many([Reply(key * 64, 'm', 'r', 'Yes', 'stop', tokens, 1) for key, tokens in (('a', 10), ('b', 20))])
    store.close()
    table = Table(tmp_path / 'calibration/f')
    table.path.mkdir(parents=True)
    for number, rows in enumerate(([row(0, 'a' * 64, 'b' * 64)], [row(1, 'a' * 64), row(2, 'c' * 64)])):
        pq.write_table(pa.Table.from_pylist(rows, CASES), table.path / f'part-{number:05d}.parquet')
    found = planted_file(table, tmp_path / 'replies')
    assert planted_file(table, tmp_path / 'replies') == found, 'the same bytes each time'
    rows = pq.read_table(io.BytesIO(found[FILE])).to_pylist()
    told = [(r['case_id'], r['requests'], r['prompt_tokens'], r['completion_tokens']) for r in rows]
    assert told == [('c0', 2, 30, 2), ('c1', 1, 10, 1), ('c2', 1, None, None)]
    assert 'reply_keys' not in rows[0]


def test_where_no_case_was_judged_there_is_no_file(tmp_path):
    table = Table(tmp_path / 'calibration/f')
    table.path.mkdir(parents=True)
    assert planted_file(table, tmp_path / 'replies') == {}
