from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.engine.step import make_here
from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot import rejections as explain_rejections
from pipelines.snapshot import spread
from pipelines.snapshot.rejections import OUT, ExplainRejections, GatherRejections, write_out
from schemas.records import Reason, Rejection, Unit
from tests.pipelines.mix.mixes import table_of


def test_each_part_gets_its_own_rejections_in_order_whatever_the_order_they_came_in(tmp_path, monkeypatch):
    monkeypatch.setattr(explain_rejections, 'ROWS_AT_ONCE', 3)
    rows = [pa.Table.from_pylist([{'sample_id': f's/{part}/{row}', 'source': 's', 'text': str(row)} for row in range(9)]) for part in range(3)]
    two, one = table_of(tmp_path / 'two', *rows[:2]), table_of(tmp_path / 'one', *rows[2:])
    out = [{'part': part, 'row': row, 'reason': 'OVER_QUOTA', 'detail': f'{part}.{row}'} for row in (7, 2, 5) for part in (2, 0)]
    writer = ShardWriter(tmp_path, 0)
    write_out(writer, pa.Table.from_pylist(out, OUT))
    writer.close()
    path = tmp_path / 'out-00000.parquet'
    assert pq.ParquetFile(path).num_row_groups == 2
    step = ExplainRejections(Table(tmp_path), (two, one), (), Unit.SAMPLE, 'select', 'sample_id', ('text',))
    assert step.shards() == [(0, 3)]
    monkeypatch.setattr(spread, 'GROUP_ROWS', 8)
    assert step.shards() == [(0, 1), (1, 2), (2, 3)]
    monkeypatch.setattr(spread, 'GROUPS', 2)
    assert step.shards() == [(0, 1), (1, 3)]
    for (first, stop), expected in (((0, 1), {0: [2, 5, 7]}), ((1, 2), {}), ((1, 3), {2: [2, 5, 7]}), ((0, 3), {0: [2, 5, 7], 2: [2, 5, 7]})):
        writer = ShardWriter(tmp_path / f'r{first}{stop}', 0)
        step.process((first, stop), writer)
        assert writer.counts['rejected/sample/s/OVER_QUOTA'] == sum(map(len, expected.values()))
        writer.close()
        found = [row for name in (tmp_path / f'r{first}{stop}').glob('rejections-*') for row in pq.read_table(name).to_pylist()]
        assert found == [
            {'unit': 'sample', 'id': f's/{part}/{row}', 'source': 's', 'step': 'select', 'reason': 'OVER_QUOTA', 'detail': f'{part}.{row}',
             'content': f'{{"text": "{row}"}}'} for part, rows in expected.items() for row in rows
        ]  # fmt: skip


def test_what_lies_beside_is_shown_too_and_a_reason_must_be_one(tmp_path):
    rows = table_of(tmp_path / 'rows', pa.table({'candidate_id': ['a', 'b'], 'source': ['s', 't'], 'question': ['q', 'r']}))
    beside = table_of(tmp_path / 'beside', pa.table({'scores': ['1', '2'], 'candidate_id': ['a', 'b']}))
    for reason in ('LOW_MARGIN', 'NO_SUCH'):
        writer = ShardWriter(tmp_path / reason, 0)
        write_out(writer, pa.Table.from_pylist([{'part': 0, 'row': 1, 'reason': reason, 'detail': ''}], OUT))
        writer.close()
    step = ExplainRejections(Table(tmp_path / 'LOW_MARGIN'), (rows,), (beside,), Unit.CANDIDATE, 'select', 'candidate_id', ('scores', 'question'))
    found = pq.read_table(make_here(step, tmp_path).parts('rejections')[0]).to_pylist()
    assert [(row['id'], row['source'], row['content']) for row in found] == [('b', 't', '{"question": "r", "scores": "2"}')]
    with pytest.raises(ValueError, match='NO_SUCH'):
        make_here(replace(step, plan=Table(tmp_path / 'NO_SUCH')), tmp_path / 'again')


def rejected(folder, n_parts: int) -> Table:
    """Return a finished table of which each part, but every third, has two rejections."""
    for part in range(n_parts):
        writer = ShardWriter(folder, part)
        for row in range(2 * (part % 3 > 0)):
            writer.reject(Rejection(Unit.SAMPLE, f's/{part}/{row}', 's', 'select', Reason.OVER_QUOTA, 'x' * 50))
        writer.close()
    Table(folder).finish(n_parts)
    return Table(folder)


@pytest.mark.parametrize(('file_rows', 'sizes'), [(100, [12]), (4, [4, 4, 4]), (1, [2] * 6)])
def test_rejections_are_gathered_in_order_into_as_many_files_as_they_need(tmp_path, monkeypatch, file_rows, sizes):
    monkeypatch.setattr(explain_rejections, 'FILE_ROWS', file_rows)
    step = GatherRejections((rejected(tmp_path / 'a', 4), rejected(tmp_path / 'b', 1), rejected(tmp_path / 'c', 6)))
    parts = make_here(step, tmp_path).parts()
    assert [pq.read_metadata(path).num_rows for path in parts] == sizes
    assert [pq.read_metadata(path).num_row_groups for path in parts] == [1] * len(parts)
    assert pa.concat_tables(map(pq.read_table, parts)).to_pylist() == [row for table in step.tables for row in table.read('rejections').to_pylist()]


def test_few_rejections_make_a_row_group_and_long_ones_make_their_own(tmp_path, monkeypatch):
    step = GatherRejections((rejected(tmp_path / 'a', 4),))
    monkeypatch.setattr(explain_rejections, 'BYTES_AT_ONCE', 100)
    assert pq.read_metadata(make_here(step, tmp_path).parts()[0]).num_row_groups == 2
    nothing = make_here(GatherRejections((rejected(tmp_path / 'none', 1),)), tmp_path / 'n')
    assert [pq.read_table(path).num_rows for path in nothing.parts()] == [0]


@pytest.mark.parametrize('rows', [[], [{'part': 0, 'row': 0, 'reason': 'OVER_QUOTA', 'detail': ''}]])
def test_a_file_is_written_however_few_are_left_out(tmp_path, rows):
    writer = ShardWriter(tmp_path, 0)
    write_out(writer, pa.Table.from_pylist(rows, OUT))
    writer.close()
    assert pq.read_table(tmp_path / 'out-00000.parquet').num_rows == len(rows)
