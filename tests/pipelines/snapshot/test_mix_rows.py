import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.mix.contamination import BYTES_AT_ONCE, ITEMS_AT_ONCE, item_runs
from pipelines.snapshot import mix_rows


@pytest.fixture(scope='module')
def file(tmp_path_factory) -> str:
    """A file of three row groups: 40 rows, one of 2 MB among them, 1 row, 30 rows."""
    path = tmp_path_factory.mktemp('rows') / 'rows.parquet'
    sizes = [10] * 71
    sizes[7] = 2_000_000
    table = pa.table({'n': list(range(71)), 'data': [bytes([n]) * size for n, size in enumerate(sizes)]})
    with pq.ParquetWriter(path, table.schema, compression='NONE', use_dictionary=False) as writer:
        for start, stop in ((0, 40), (40, 41), (41, 71)):
            writer.write_table(table.slice(start, stop - start))
    return str(path)


@pytest.mark.parametrize('numbers', [[], [0], [70], [39, 40, 41], [7, 40], list(range(71)), sorted(np.random.default_rng(0).choice(71, 20, replace=False).tolist())])
@pytest.mark.parametrize('run_bytes', [100, 8_000_000])
def test_the_rows_asked_for_come_once_and_in_order(file, numbers, run_bytes, monkeypatch):
    monkeypatch.setattr(mix_rows, 'RUN_BYTES', run_bytes)
    found = list(mix_rows.read_rows(file, numbers, ['n', 'data']))
    assert [number for number, _ in found] == numbers
    assert all(row['n'] == number and set(row['data']) == {number} for number, row in found)


@pytest.mark.parametrize('numbers', [[70, 0], [5, 5], [41, 7, 7, 40, 0], [*range(70, -1, -1), 3], [299, 40, 599, 299, 0, 256, 255]])
def test_rows_come_in_the_order_and_as_often_as_asked_for_across_every_run(file, numbers, tmp_path, monkeypatch):
    """600 rows are more than a run (ROWS_AT_ONCE = 256) and more than a row group (100)."""
    if max(numbers) > 70:
        file = str(tmp_path / 'long.parquet')
        pq.write_table(pa.table({'n': list(range(600)), 'data': [bytes([n % 256]) for n in range(600)]}), file, row_group_size=100)
    for at_once in (1, 7, 256):
        monkeypatch.setattr(mix_rows, 'ROWS_AT_ONCE', at_once)
        found = list(mix_rows.read_rows(file, numbers, ['n', 'data']))
        assert [number for number, _ in found] == numbers
        assert all(row['n'] == number and set(row['data']) == {number % 256} for number, row in found)


def test_what_lies_behind_the_last_row_of_a_row_group_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(mix_rows, 'ROWS_AT_ONCE', 10)
    rows = pa.table({'data': [bytes([n % 256]) * 10_000 for n in range(600)]})
    pq.write_table(rows, tmp_path / 'a.parquet', compression='NONE', use_dictionary=False, data_page_size=10_000, row_group_size=300)
    damaged = bytearray((tmp_path / 'a.parquet').read_bytes())
    damaged[2_500_000:2_900_000] = b'\xff' * 400_000
    (tmp_path / 'a.parquet').write_bytes(damaged)
    assert [number for number, _ in mix_rows.read_rows(str(tmp_path / 'a.parquet'), [3, 350])] == [3, 350]
    with pytest.raises(pa.ArrowException):
        list(mix_rows.read_rows(str(tmp_path / 'a.parquet'), [299]))


def test_items_come_in_runs_of_bounded_length_and_bytes():
    half = {'images': [{'bytes': bytes(BYTES_AT_ONCE // 2)}]}
    runs = list(item_runs([half] * 5 + [{'images': []}] * (ITEMS_AT_ONCE + 3)))
    assert [len(run) for run in runs] == [2, 2, ITEMS_AT_ONCE, 4]
    assert list(item_runs([])) == []
