import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot import rejections as explain_rejections
from pipelines.snapshot.rejections import OUT, ExplainRejections, write_out
from schemas.records import Unit
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
    assert list(step.shards()) == [0, 1, 2]
    for part, rows in ((0, [2, 5, 7]), (1, []), (2, [2, 5, 7])):
        writer = ShardWriter(tmp_path / f'r{part}', part)
        step.process(part, writer)
        writer.close()
        found = [row for name in (tmp_path / f'r{part}').glob('rejections-*') for row in pq.read_table(name).to_pylist()]
        assert [(row['id'], row['detail'], row['content']) for row in found] == [(f's/{part}/{row}', f'{part}.{row}', f'{{"text": "{row}"}}') for row in rows]


@pytest.mark.parametrize('rows', [[], [{'part': 0, 'row': 0, 'reason': 'OVER_QUOTA', 'detail': ''}]])
def test_a_file_is_written_however_few_are_left_out(tmp_path, rows):
    writer = ShardWriter(tmp_path, 0)
    write_out(writer, pa.Table.from_pylist(rows, OUT))
    writer.close()
    assert pq.read_table(tmp_path / 'out-00000.parquet').num_rows == len(rows)
