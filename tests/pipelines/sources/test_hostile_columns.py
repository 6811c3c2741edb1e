"""Columns that are few bytes on the disk and gigabytes in memory, and files that kill who reads them: bounded before they are made, and named."""

import os
import signal
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.sources import apart, arrow_rows
from pipelines.sources.containers import chunks, rows
from pipelines.sources.malformed import UNREAD, Malformed
from pipelines.sources.peek import peek
from pipelines.sources.reading import reading_of
from schemas.errors import PendingWork, UserError
from schemas.recipe import Source
from tests.promises import promise

SOURCE = Source.model_validate({'format': 'instruction', 'annotations': ['a'], 'licence': 'MIT'})
TEXTS = {'instruction': [f'question number {i} is it?' for i in range(50)], 'output': [f'an answer {i}' for i in range(50)]}
MOST_MB = 900  # what a reader may have taken at the most


def repeated(text: str, n: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([text]))


def nulls_in_lists(n: int, n_rows: int = 50) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0] + [n] * n_rows, pa.int32()), pa.nulls(n, pa.int8()))


def deep(kind: pa.DataType, depth: int) -> pa.DataType:
    for _ in range(depth):
        kind = pa.list_(kind)
    return kind


def write(path: Path, table: pa.Table, compression: str | None = 'zstd') -> Path:
    if path.suffix == '.parquet':
        pq.write_table(table, path, compression=compression)
    else:
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.OSFile(str(path), 'wb') as out, pa.ipc.new_stream(out, table.schema, options=options) as stream:
            stream.write_table(table)
    return path


def read(path: Path) -> list:
    reading = reading_of(SOURCE)
    return [row for chunk in chunks('s', path.parent, path.name, None, reading) for _, row in rows(chunk, path.parent, reading.fields)]


def peak_mb() -> int:
    """Return what the readers took at the most, and end them."""
    peak = 0
    while apart._idle:
        reader = apart._idle.pop()
        status = Path(f'/proc/{reader._process.pid}/status').read_text('utf-8')
        peak = max(peak, int(status.partition('VmHWM:')[2].split()[0]) // 1024)
        reader.end()
    return peak


BOMBS = {
    'a text of 16 MB in every row': (lambda: pa.table({'instruction': repeated('A' * (16 << 20), 640), 'output': ['x'] * 640}), 'once they are unpacked'),
    'five million rows of one word': (lambda: pa.table({'instruction': repeated('Q?', 5_000_000), 'output': repeated('A', 5_000_000)}), '5000000 rows in'),
    'lists of nulls': (lambda: pa.table({'instruction': ['Q?'], 'output': ['A'], 'input': nulls_in_lists(20_000_000, 1)}), 'column input'),
    'deep lists': (lambda: pa.table({**TEXTS, 'input': pa.nulls(50, deep(pa.int8(), 120))}), 'more than 100 deep'),
}


@promise('Hostile files', 'A few bytes of Parquet or Arrow that stand for gigabytes, in a dictionary, in lists or in rows, are refused by name in bounded memory', bombs=len(BOMBS))
@pytest.mark.parametrize('suffix', ['.parquet', '.arrow'])
@pytest.mark.parametrize('name', BOMBS)
def test_a_bomb_is_refused_by_its_name(tmp_path, name, suffix):
    made, expected = BOMBS[name]
    if suffix == '.arrow' and name in ('lists of nulls', 'deep lists'):
        pytest.skip('a row that is too large is rejected; Arrow writes no deep lists')
    path = write(tmp_path / f'a{suffix}', made())
    for look in (read, lambda path: peek('s', path.parent, [path.name], 20, reading_of(SOURCE))):
        with pytest.raises(UserError, match=f'source s: expected .*{path.name}, found: .*') as refused:
            look(path)
        assert expected in str(refused.value)
    assert peak_mb() < MOST_MB


@promise('Hostile files', 'What a column holds that nobody asked for has no effect on a build')
@pytest.mark.parametrize('suffix', ['.parquet', '.arrow'])
@pytest.mark.parametrize('name', ['lists of nulls', 'deep lists', 'many columns'])
def test_a_bomb_that_nobody_asked_for_is_not_set_off(tmp_path, name, suffix):
    more = {'lists of nulls': {'bomb': nulls_in_lists(20_000_000)}, 'many columns': {f'c{i}': pa.nulls(50) for i in range(2_000)},
            'deep lists': {'bomb': pa.nulls(50, deep(pa.int8(), 120 if suffix == '.parquet' else 50))}}[name]
    found = read(write(tmp_path / f'a{suffix}', pa.table({**TEXTS, **more})))
    assert [row['instruction'] for row in found] == TEXTS['instruction']


@pytest.mark.parametrize('suffix', ['.parquet', '.arrow'])
def test_a_row_that_is_too_large_is_malformed_and_its_neighbours_stand(tmp_path, suffix):
    table = pa.table({'instruction': ['Q?'] * 5, 'output': ['a', 'b', 'c' * 70_000_000, 'd', 'e']})
    found = read(write(tmp_path / f'a{suffix}', table))
    assert [row.found if isinstance(row, Malformed) else row['output'] for row in found] == \
        ['a', 'b', 'a record of 70000018 bytes, more than 64000000', 'd', 'e']


@pytest.mark.parametrize('suffix', ['.parquet', '.arrow'])
def test_a_list_that_is_too_large_is_a_malformed_row(tmp_path, suffix):
    found = read(write(tmp_path / f'a{suffix}', pa.table({**TEXTS, 'input': nulls_in_lists(20_000_000)})))
    assert [isinstance(row, Malformed) for row in found] == [True] + [False] * 49


def test_a_damaged_page_of_an_unread_column_does_not_matter(tmp_path):
    path = tmp_path / 'a.parquet'
    pq.write_table(pa.table({**TEXTS, 'notes': pa.array([f'note {i}' if i else None for i in range(50)])}), path, compression='none', use_dictionary=False, write_page_checksum=True)
    group = pq.ParquetFile(path).metadata.row_group(0)
    data, (notes, output) = bytearray(path.read_bytes()), (group.column(i).data_page_offset + 60 for i in (2, 1))
    data[notes:notes + 40] = b'\xff' * 40
    path.write_bytes(data)
    found = read(path)
    assert [row['output'] for row in found] == TEXTS['output']
    assert {row['notes'] for row in found} == {UNREAD}
    data[output:output + 8] = b'wordless'  # a fault that only the page's own checksum shows
    path.write_bytes(data)
    with pytest.raises(UserError, match=r'expected rows 0 to 50 of .*a.parquet, found: .*the file is damaged, fetch it again'):
        read(path)


def damaged(tmp_path: Path, change, **columns) -> Path:
    path = write(tmp_path / 'a.arrow', pa.table({**TEXTS, **columns}), None)
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)
    return path


@promise('Damaged files', 'An .arrow file with offsets or indices that lead out of it stops the build with its name; no signal')
@pytest.mark.parametrize('offset', [500_000_000, -1, 2**31 - 1, 0])
def test_an_offset_that_leads_elsewhere_is_told(tmp_path, offset):
    first, second = (len(text) for text in TEXTS['instruction'][:2])

    def change(data: bytearray) -> None:
        at = data.find(struct.pack('<3i', 0, first, first + second)) + 8
        data[at:at + 4] = struct.pack('<i', offset)

    with pytest.raises(UserError, match=r'expected rows 0 to 50 of .*a.arrow, found: offsets that do not rise'):
        read(damaged(tmp_path, change))


def test_an_index_beyond_its_dictionary_is_told(tmp_path):
    def change(data: bytearray) -> None:
        at = data.find(np.arange(50, dtype=np.int32).tobytes())
        data[at + 8:at + 12] = struct.pack('<i', 9_999_999)

    with pytest.raises(UserError, match=r'a.arrow, found: .*(ndex|ndices)'):
        read(damaged(tmp_path, change, input=pa.array(TEXTS['output']).dictionary_encode()))


def test_rows_that_take_no_byte_are_not_believed(tmp_path):
    batch = pa.RecordBatch.from_arrays([pa.nulls(30_000_000)] * 2, names=['instruction', 'output'])
    with pa.OSFile(str(tmp_path / 'a.arrow'), 'wb') as out, pa.ipc.new_stream(out, batch.schema) as stream:
        stream.write_batch(batch)
    with pytest.raises(UserError, match=r'a.arrow, found: 30000000 rows in \d+ bytes'):
        read(tmp_path / 'a.arrow')


@promise('Damaged files', 'What a file takes in memory is bounded by what it holds: a page of large pictures is read')
def test_a_page_of_large_pictures_is_no_bomb(tmp_path, monkeypatch):
    """A writer's default settings put 1,024 values in one page, however large they are, and a dictionary of them all before it."""
    photos = [np.random.default_rng(i).bytes(60_000) for i in range(1024)]
    path = write(tmp_path / 'a.parquet', pa.table({'instruction': ['q'] * 1024, 'output': photos}), 'snappy')
    assert pq.read_metadata(path).num_row_groups == 1
    monkeypatch.setattr(apart, '_idle', [])
    monkeypatch.setattr(apart, '_CODE', 'from pipelines.sources import apart; apart.READER_BYTES = 200 << 20; apart.serve()')
    assert len(read(path)) == 1024
    peak_mb()


KILLED = 'import os, sys; sys.stdin.buffer.read(1); os.kill(os.getpid(), {})'


@promise('Damaged files', 'A file that kills the process that reads it stops the build with its name')
@pytest.mark.parametrize(('number', 'kind', 'said'), [
    (signal.SIGSEGV, UserError, 'found bytes that ended the process that reads them by SIGSEGV'), (signal.SIGBUS, PendingWork, 'by SIGBUS: the disk cannot read it'),
    (signal.SIGXCPU, UserError, 'without a row'), (signal.SIGKILL, PendingWork, 'killed .SIGKILL.')])
def test_a_file_that_kills_its_reader_is_named(tmp_path, monkeypatch, number, kind, said):
    path = write(tmp_path / 'a.parquet', pa.table(TEXTS))
    monkeypatch.setattr(apart, '_idle', [])
    monkeypatch.setattr(apart, '_CODE', KILLED.format(int(number)))
    with pytest.raises(UserError, match=rf'source s: expected .*a.parquet, .*{said}') as refused:
        read(path)
    assert type(refused.value) is kind
    monkeypatch.undo()
    assert len(read(path)) == 50


def test_a_reader_that_died_while_nobody_read_is_replaced(tmp_path):
    path = write(tmp_path / 'a.parquet', pa.table(TEXTS))
    read(path)
    os.kill(apart._idle[-1]._process.pid, signal.SIGKILL)
    apart._idle[-1]._process.wait()
    assert len(read(path)) == 50


def test_two_files_are_read_at_once_and_a_reading_may_be_left(tmp_path):
    one, two = write(tmp_path / 'a.parquet', pa.table(TEXTS)), write(tmp_path / 'b.arrow', pa.table(TEXTS))
    pairs = zip(apart.read_rows('s', one, 0, 50), apart.read_rows('s', two, 0, 50), strict=True)
    assert all(a == b for a, b in pairs)
    next(apart.read_rows('s', one, 0, 50))  # and no more of it
    assert list(apart.read_rows('s', two, 3, 2)) == list(arrow_rows.read_rows(two, 3, 2))


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read every file')
def test_a_file_that_may_not_be_read_is_pending(tmp_path):
    path = write(tmp_path / 'a.parquet', pa.table(TEXTS))
    path.chmod(0)
    with pytest.raises(PendingWork, match='Permission denied'):
        next(apart.read_rows('s', path, 0, 1))
