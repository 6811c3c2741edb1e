"""Which tables hold something of a stored outcome, and what follows from them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.engine.tables import Table
from pipelines.triples.forgotten import tables_made_from
from schemas.records import STRINGS

LOST, KEPT = 'a' * 64, 'b' * 64


@pytest.fixture
def work(tmp_path):
    """Two candidates tables, of which one has a rejection made from LOST; verdicts, plan and rows of each; a calibration made from KEPT."""
    for name, key in (('1', KEPT), ('2', LOST)):
        table(tmp_path, f'candidates/{name}', [])
        content = json.dumps({'reply_key': key, 'question': 'why'})
        write(tmp_path / f'candidates/{name}/rejections-00000.parquet', content=pa.array([content]))
        write(tmp_path / f'candidates/{name}/part-00000.parquet', reply_key=pa.array([KEPT, '']))
        table(tmp_path, f'verdicts/{name}', [f'candidates/{name}', 'picks/0'])
        write(tmp_path / f'verdicts/{name}/part-00000.parquet', reply_keys=pa.array([[KEPT, KEPT], []], STRINGS))
        table(tmp_path, f'triple_plan/{name}', [f'candidates/{name}', f'verdicts/{name}'])
        table(tmp_path, f'triple_rows/{name}', [f'triple_plan/{name}', f'verdicts/{name}'])
    table(tmp_path, 'calibration/0', ['picks/0'])
    write(tmp_path / 'calibration/0/part-00000.parquet', reply_keys=pa.array([[KEPT]], STRINGS))
    table(tmp_path, 'picks/0', [])
    return tmp_path


def table(work, key, made_from):
    Table(work / key).prepare({'table': key.partition('/')[0], 'tables': {'some': made_from}})


def write(path, **columns):
    pq.write_table(pa.table(columns), path)


def test_a_table_goes_after_all_that_was_made_from_it(work):
    doomed = [table.key for table in tables_made_from(work, {LOST})]
    assert doomed == ['triple_rows/2', 'triple_plan/2', 'verdicts/2', 'candidates/2']


def test_a_key_of_candidates_verdicts_or_planted_cases_is_found_and_one_of_none_dooms_nothing(work):
    assert {table.key for table in tables_made_from(work, {KEPT})} == {
        *(f'{name}/{number}' for name in ('candidates', 'verdicts', 'triple_plan', 'triple_rows') for number in '12'), 'calibration/0'
    }  # fmt: skip
    assert tables_made_from(work, {'c' * 64}) == []
    assert tables_made_from(work, set()) == []


def test_a_judge_s_reply_dooms_the_verdicts_and_spares_the_candidates(work):
    write(work / 'verdicts/1/part-00001.parquet', reply_keys=pa.array([['d' * 64]], STRINGS))
    assert [table.key for table in tables_made_from(work, {'d' * 64})] == ['triple_rows/1', 'triple_plan/1', 'verdicts/1']
