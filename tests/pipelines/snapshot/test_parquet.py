"""What the files of a snapshot say of themselves to `datasets`, which is not imported to write them."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.engine.tables import ShardWriter
from pipelines.snapshot.parquet import with_features, write_row_groups
from schemas.records import MIX_ROWS, TRIPLE_ROWS


@pytest.mark.parametrize('schema', [MIX_ROWS, TRIPLE_ROWS])
def test_the_features_of_rows_are_those_that_datasets_itself_reads(schema):
    """In words that its version 3 knows too, which refuses whole files for a feature type `List`."""
    from datasets import Features, Image, List

    features = Features.from_arrow_schema(schema)
    features['images'] = List(Image())
    found = with_features(schema)
    assert b'"List"' not in found.metadata[b'huggingface']
    assert Features.from_arrow_schema(found) == features
    assert found.remove_metadata() == schema.remove_metadata()


IDS = pa.schema([('id', pa.int64())])


def groups(n: int, made: list[int]):
    for number in range(n):
        made.append(number)
        yield pa.table({'id': [number] * (number + 1)}, IDS)


def test_each_table_becomes_a_row_group_in_its_turn(tmp_path):
    writer = ShardWriter(tmp_path, 0)
    write_row_groups(writer, groups(4, []), IDS)
    writer.close()
    file = pq.ParquetFile(tmp_path / 'part-00000.parquet')
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [1, 2, 3, 4]
    assert file.read()['id'].to_pylist() == [0, 1, 1, 2, 2, 2, 3, 3, 3, 3]
    assert writer.counts == {'rows/part': 10}


def test_a_row_group_that_cannot_be_written_ends_it_with_at_most_one_more_made(tmp_path, monkeypatch):
    def full(self, kind, rows, **options):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(ShardWriter, 'write', full)
    made: list[int] = []
    with pytest.raises(OSError, match='No space left'):
        write_row_groups(ShardWriter(tmp_path, 0), groups(9, made), IDS)
    assert made == [0, 1]
