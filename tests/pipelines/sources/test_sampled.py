"""A seeded sample of records: true records, any container, and no more read of a file eight times as long."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.sources import arrow_rows, containers, json_records, peek, sampled
from pipelines.sources.containers import rows
from pipelines.sources.read import of_source
from pipelines.sources.reading import reading_of
from pipelines.sources.sampled import known_records, sample_records
from schemas.recipe import Source

ROWS = {'format': 'columns', 'licence': 'MIT', 'columns': {'question': 'q', 'answer': 'a'}}


def record(i):
    return {'q': f'What is number {i}?', 'a': f'{i} ' + 'and so on ' * (5 + i % 40)}


def write_lines(folder, n):
    (folder / 'a.jsonl').write_text(''.join(json.dumps(record(i)) + '\n' for i in range(n)))
    return ['a.jsonl']


def write_list(folder, n):
    (folder / 'a.json').write_text(json.dumps([record(i) for i in range(n)]))
    return ['a.json']


def write_pretty_wrapped(folder, n):
    (folder / 'a.json').write_text(json.dumps({'info': {'made': 'by hand'}, 'data': [record(i) for i in range(n)]}, indent=1))
    return ['a.json']


def write_parquet(folder, n):
    pq.write_table(pa.Table.from_pylist([record(i) for i in range(n)]), folder / 'a.parquet', row_group_size=n // 16, compression='NONE', use_dictionary=False,
                   data_page_size=10_000, write_batch_size=32)
    return ['a.parquet']


def write_arrow(folder, n):
    table = pa.Table.from_pylist([record(i) for i in range(n)])
    with pa.ipc.new_stream(folder / 'a.arrow', table.schema) as writer:
        writer.write_table(table, max_chunksize=500)
    return ['a.arrow']


def write_csv(folder, n):
    (folder / 'a.csv').write_text('q,a\n' + ''.join(f'{row["q"]},"{row["a"]}\nand, more"\n' for row in map(record, range(n))))
    return ['a.csv']


def write_tars(folder, n):
    for k in range(12):
        with tarfile.open(folder / f'{k:02d}.tar', 'w') as tar:
            for i in range(k * n // 12, (k + 1) * n // 12):
                data = json.dumps(record(i)).encode()
                member = tarfile.TarInfo(f'{i:08d}.json')
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return [f'{k:02d}.tar' for k in range(12)]


def write_many_files(folder, n):
    for i in range(n // 20):
        (folder / f'{i}.json').write_text(json.dumps([record(20 * i + k) for k in range(20)]))
    return [f'{i}.json' for i in range(n // 20)]


WRITERS = (write_lines, write_list, write_pretty_wrapped, write_parquet, write_arrow, write_csv, write_tars, write_many_files)


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch):
    monkeypatch.setattr(sampled, 'WHOLE_BYTES', 1000)
    monkeypatch.setattr(sampled, 'SMALL_BYTES', 10_000)
    monkeypatch.setattr(sampled, 'WINDOW', 50_000)
    monkeypatch.setattr(sampled, 'HEAD_BYTES', 100_000)
    monkeypatch.setattr(arrow_rows, '_BUFFER_BYTES', 10_000)
    monkeypatch.setattr(sampled, 'SKIPPED_BYTES', 100_000)


@pytest.fixture
def in_this_process(monkeypatch):
    """Rows of Parquet are decoded here, where the buffer is small and what is read is counted."""
    monkeypatch.setattr(containers, 'read_rows', lambda source, *asked: arrow_rows.read_rows(*asked))
    monkeypatch.setattr(sampled, 'row_groups', lambda source, *asked: arrow_rows.row_groups(*asked))
    monkeypatch.setattr(sampled, 'row_bytes', lambda source, path: arrow_rows.all_bytes(path))


def source_of(writer, folder, n):
    form = {'format': 'webdataset', 'licence': 'MIT'} if writer is write_tars else ROWS
    return Source.model_validate({**form, 'annotations': writer(folder, n)})


def read(found, folder, source):
    return [(chunk.file, ordinal, row) for one in found.selected for chunk in [one.chunk]
            for ordinal, row in rows(chunk, folder, reading_of(source).fields)]


def number_of(row):
    text = row['json']['q'] if 'json' in row else row['q']
    return int(text.split()[-1].rstrip('?'))


@pytest.mark.parametrize('writer', WRITERS)
def test_what_is_sampled_are_true_records_drawn_by_the_seed(writer, tmp_path):
    source = source_of(writer, tmp_path, 4000)
    assert known_records('s', source, tmp_path, 'x') is None
    found = sample_records('s', source, tmp_path, 60, 'x')
    seen = read(found, tmp_path, source)
    numbers = [number_of(row) for _, _, row in seen]
    assert len(seen) == found.n == len(set(numbers))
    assert 30 <= found.n <= 70
    for number, (_, _, row) in zip(numbers, seen, strict=True):
        text = row['json']['a'] if 'json' in row else row['a']
        assert text.startswith(record(number)['a'])
    assert read(sample_records('s', source, tmp_path, 60, 'x'), tmp_path, source) == seen
    assert read(sample_records('s', source, tmp_path, 60, 'y'), tmp_path, source) != seen or writer is write_tars
    assert 'file' in found.told


@pytest.mark.parametrize('writer', [writer for writer in WRITERS if writer is not write_csv])
def test_a_sample_is_spread_over_all_of_a_source(writer, tmp_path):
    source = source_of(writer, tmp_path, 4000)
    numbers = [number_of(row) for _, _, row in read(sample_records('s', source, tmp_path, 60, 'x'), tmp_path, source)]
    assert all(np.histogram(numbers, 4, (0, 4000))[0]), 'some of every quarter'


def bytes_read():
    return int(next(line for line in Path('/proc/self/io').read_text('utf-8').splitlines() if line.startswith('rchar')).split()[1])


@pytest.mark.parametrize('writer', [write_lines, write_list, write_pretty_wrapped, write_parquet, write_tars])
@pytest.mark.usefixtures('in_this_process')
def test_eight_times_the_records_cost_no_more_to_sample(writer, tmp_path):
    """8,000 and 64,000 records of 0.3 kB: 2 MB and 19 MB. The half is for batches of rows, half a megabyte for whatever else this process reads."""
    costs = []
    for n in (8_000, 64_000):
        folder = tmp_path / str(n)
        folder.mkdir()
        source = source_of(writer, folder, n)
        before = bytes_read()
        assert len(read(sample_records('s', source, folder, 30, 'x'), folder, source)) >= 15
        costs.append(bytes_read() - before)
    assert costs[1] < 1.5 * costs[0] + 500_000


@pytest.mark.parametrize('writer', [write_lines, write_list])
def test_where_records_are_large_fewer_are_taken(writer, tmp_path, monkeypatch):
    """300 records of 30 kB: windows of 8 of them at 60 places are 14 MB, and 3 MB are allowed."""
    monkeypatch.setattr(sampled, 'TAKEN_BYTES', 3_000_000)
    monkeypatch.setattr(sampled, 'WINDOW', 500_000)
    monkeypatch.setattr(f'{__name__}.record', lambda i: {'q': f'What is number {i}?', 'a': 'x' * 30_000})
    source = source_of(writer, tmp_path, 300)
    before = bytes_read()
    found = sample_records('s', source, tmp_path, 60, 'x')
    assert bytes_read() - before < 6_000_000
    assert 5 <= found.n <= 15
    numbers = [number_of(row) for _, _, row in read(found, tmp_path, source)]
    assert np.histogram(numbers, 3, (0, 300))[0].all(), 'of all the file'


def test_a_small_source_is_known_record_by_record_as_the_build_reads_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sampled, 'WHOLE_BYTES', 10**9)
    for writer in WRITERS:
        folder = tmp_path / writer.__name__
        folder.mkdir()
        source = source_of(writer, folder, 1200).model_copy(update={'subset': 700})
        known = known_records('s', source, folder, 'x')
        numbers = list(known.numbers())
        built = [(one.chunk.file, n) for one in of_source('s', source, folder, 'x', None) for n in np.frombuffer(one.ordinals, np.int64).tolist()]
        assert numbers == built
        assert len(numbers) == 700
        wanted = set(numbers[::70])
        taken = read(known.take(wanted), folder, source)
        assert wanted <= {(file, ordinal) for file, ordinal, _ in taken}
        assert writer in (write_parquet, write_arrow) or len(taken) == len(wanted)


@pytest.mark.parametrize('head', ['{"info": {"made": "by hand"}, "data": ', '{\n "data": '])
def test_a_glance_at_a_large_wrapped_list_does_not_scan_it(head, tmp_path, monkeypatch):
    """The last record and the number of records are estimated where a look scans the file for them."""
    (tmp_path / 'a.json').write_text(head + json.dumps([record(i) for i in range(4000)]) + '}')
    reading = reading_of(Source.model_validate({**ROWS, 'annotations': ['a.json']}))
    monkeypatch.setattr(peek, 'COUNTED_JSON_BYTES', 1000)
    looked = peek.peek('s', tmp_path, ['a.json'], 50, reading)
    monkeypatch.setattr(peek, 'json_spans', None)
    glanced = peek.peek('s', tmp_path, ['a.json'], 50, reading, glance=True)
    assert glanced == looked
    assert glanced.first == record(0)
    assert len(glanced.looks[0].rows) == 51
    assert glanced.about == pytest.approx(4000, rel=0.2)


def test_a_first_line_beyond_all_bounds_is_no_line(tmp_path, monkeypatch):
    (tmp_path / 'a.json').write_text(json.dumps({'data': [record(i) for i in range(100)]}))
    monkeypatch.setattr(json_records, '_LINE_BYTES', 1000)
    monkeypatch.setattr(json_records, '_is_whole', None)
    assert not json_records.is_lines(tmp_path / 'a.json')
    assert len(list(json_records.json_spans('s', tmp_path / 'a.json'))) == 100
