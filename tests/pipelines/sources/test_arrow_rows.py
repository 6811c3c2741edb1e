"""Columns that nobody asked for are not converted, whatever they hold; of those that are asked for, a cell that cannot be costs its row."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.rows.formats import Conversation, read_record
from pipelines.sources.arrow_rows import read_rows
from pipelines.sources.containers import chunks, rows
from pipelines.sources.malformed import UNREAD, Malformed
from pipelines.sources.peek import peek
from pipelines.sources.reading import reading_of
from schemas.recipe import Source

FAR = 253402300800000000  # microseconds to the year 10000, a usual "never" of databases


def column(values, kind):
    return pa.array(values, kind)


UNASKED = {
    'far': column([FAR, 0], pa.timestamp('us')), 'far seconds': column([10**15, 0], pa.timestamp('s')), 'no such zone': column([1, 2], pa.timestamp('us', 'US/Pacific-New')),
    'far zone': column([FAR - 10**6, 0], pa.timestamp('us', 'Asia/Tokyo')), 'days': column([10**7, 0], pa.int32()).cast(pa.date32()),
    'days in ms': column([10**17 // 86_400_000 * 86_400_000, 0], pa.int64()).cast(pa.date64()), 'duration': column([2**62, 0], pa.duration('s')),
    'nanoseconds': column([1, 2], pa.timestamp('ns')), 'time': column([2**60, 0], pa.int64()).view(pa.time64('ns')), 'decimal': column([1, 2], pa.decimal128(38, 2)),
    'decimal256': column([1, 2], pa.decimal256(60, 2)), 'map': column([[('a', FAR)], []], pa.map_(pa.string(), pa.timestamp('us'))),
    'dictionary': column(['a', 'b'], pa.string()).dictionary_encode(), 'list': column([[1, 2], [3, 4]], pa.list_(pa.int32(), 2)), 'half': column([np.float16(1)] * 2, pa.float16()),
    'uuid': column([b'a' * 16] * 2, pa.uuid()), 'tensor': pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.int32(), [2]), column([[1, 2]] * 2, pa.list_(pa.int32(), 2))),
    'struct': column([{'when': FAR}, {'when': 0}], pa.struct([('when', pa.timestamp('us'))])), 'structs': column([[{'when': FAR}], []], pa.list_(pa.struct([('when', pa.timestamp('us'))]))),
    'no text': pa.array([b'\xff', b'a'], pa.binary()).view(pa.string()), 'null': pa.nulls(2), 'interval': column([pa.MonthDayNano([1, 2, 3])] * 2, pa.month_day_nano_interval()),
}


def write(path, table):
    if path.suffix == '.parquet':
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), 'wb') as out, pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table)
    return path


def source(**fields):
    return Source.model_validate({'format': 'columns', 'licence': 'MIT', 'annotations': ['a'], 'columns': {'question': 'q', 'answer': 'a'}, **fields})


def read(path, of):
    reading = reading_of(of)
    found = [row for chunk in chunks('s', path.parent, path.name, None, reading) for _, row in rows(chunk, path.parent, reading.fields)]
    assert peek('s', path.parent, [path.name], 400, reading).looks[0].rows == found
    return found


@pytest.mark.parametrize('suffix', ['.parquet', '.arrow'])
@pytest.mark.parametrize('name', UNASKED)
def test_a_column_that_nobody_asked_for_does_not_matter(tmp_path, name, suffix):
    if suffix == '.parquet' and name == 'interval':
        pytest.skip('Parquet has no such type')
    path = write(tmp_path / f'a{suffix}', pa.table({'q': ['One?', 'Two?'], name: UNASKED[name], 'a': ['1', '2']}))
    found = read(path, source())
    assert [read_record(row, source()).turns[1].text for row in found] == ['1', '2']
    assert [name in row for row in found] == [True, True]  # its name is known, so that it can be counted
    assert [row[name] is UNREAD or row[name] is None for row in found] == [True, True]
    assert (found[0][name] is None) == (name == 'null')


@pytest.mark.parametrize('suffix', ['.parquet', '.arrow'])
@pytest.mark.parametrize('name', ['far', 'far seconds', 'days', 'days in ms', 'duration', 'time', 'map', 'struct', 'no text'])
def test_a_cell_that_was_asked_for_and_cannot_be_read_costs_its_row_and_no_other(tmp_path, name, suffix):
    path = write(tmp_path / f'a{suffix}', pa.table({'q': ['One?', 'Two?'], 'a': UNASKED[name]}))
    of = source(columns={'question': 'q', 'answer': 'a.when' if name == 'struct' else 'a'})
    bad, good = read(path, of)
    if name == 'map':  # it is inside a value, which is no text either
        assert isinstance(bad['a']['a'], Malformed)
        return
    assert ('cannot be read' in bad.found or 'no UTF-8' in bad.found, isinstance(good, dict)) == (True, True)
    assert name == 'no text' or bad.found.startswith('column a: ')


@pytest.mark.parametrize('suffix', ['.parquet', '.arrow'])
def test_what_is_asked_for_comes_as_json_would_have_it(tmp_path, suffix):
    table = pa.table({
        'date': column([18383], pa.int32()).cast(pa.date32()), 'time': column([3_600_000_000], pa.int64()).view(pa.time64('us')), 'at': column([0], pa.timestamp('ms')),
        'zoned': column([0], pa.timestamp('us', 'US/Pacific-New')), 'price': column([12], pa.decimal128(9, 2)), 'kind': column(['red'], pa.string()).dictionary_encode(),
        'map': column([[('a', 1)]], pa.map_(pa.string(), pa.int64())), 'pair': column([[1, 2]], pa.list_(pa.int32(), 2)), 'half': column([np.float16(1.5)], pa.float16()),
        'deep': column([[{'kind': 'x', 'on': 0}]], pa.list_(pa.struct([('kind', pa.string()), ('on', pa.date32())])))})
    path = write(tmp_path / f'a{suffix}', table)
    (_, row), = read_rows(path, 0, 1, frozenset(table.schema.names))
    assert row == {'date': '2020-05-01', 'time': '01:00:00', 'at': '1970-01-01 00:00:00', 'zoned': '1970-01-01 00:00:00+00:00', 'price': '12.00', 'kind': 'red',
                   'map': {'a': 1}, 'pair': [1, 2], 'half': 1.5, 'deep': [{'kind': 'x', 'on': '1970-01-01'}]}
    assert dict(read_rows(path, 0, 1))[0] == row


@pytest.mark.parametrize('suffix', ['.parquet', '.arrow'])
def test_a_dotted_path_reads_its_field_and_not_what_stands_beside_it(tmp_path, suffix):
    inner = pa.struct([('text', pa.string()), ('when', pa.timestamp('us')), ('n', pa.struct([('a', pa.string()), ('b', pa.duration('s'))]))])
    meta = column([{'text': 'Q?', 'when': FAR, 'n': {'a': 'A', 'b': 2**62}}, None], inner)
    path = write(tmp_path / f'a{suffix}', pa.table({'meta': meta, 'x.y': ['dots', 'dots'], 'x': column([{'y': 'no'}] * 2, pa.struct([('y', pa.string())]))}))
    of = source(columns={'question': 'meta.text', 'answer': 'meta.n.a', 'options': 'x.y'})
    first, second = read(path, of)
    assert (first['meta']['text'], first['meta']['n']['a'], first['x.y']) == ('Q?', 'A', 'dots')
    assert second['meta'] is None


@pytest.mark.parametrize('suffix', ['.parquet', '.arrow'])
def test_a_dotted_path_through_a_list_reads_the_whole_list(tmp_path, suffix):
    path = write(tmp_path / f'a{suffix}', pa.table({'answers': column([{'text': ['yes', 'yeah']}], pa.struct([('text', pa.list_(pa.string()))])),
                                                    'qa': column([[{'q': 'Q?', 'when': FAR}]], pa.list_(pa.struct([('q', pa.string()), ('when', pa.timestamp('us'))])))}))
    (row,) = read(path, source(columns={'question': 'qa.q', 'answer': 'answers.text'}))
    assert (row['answers'], row['qa'][0]['q']) == ({'text': ['yes', 'yeah']}, 'Q?')


@pytest.mark.parametrize('suffix', ['.parquet', '.arrow'])
def test_of_an_unread_column_the_rows_are_known_that_hold_something(tmp_path, suffix):
    n = 200
    table = pa.table({
        'instruction': ['Q?'] * n, 'output': ['A'] * n, 'full': ['x'] * n, 'none': pa.nulls(n, pa.string()), 'some': [None if i % 3 else 'x' for i in range(n)],
        'blank': ['' if i % 4 else 'x' for i in range(n)], 'lists': [[] if i % 5 else ['x'] for i in range(n)], 'structs': [None if i % 7 else {'a': i} for i in range(n)],
        'bytes': [None if i % 2 else np.random.default_rng(i).bytes(9_000) for i in range(n)]})
    path = write(tmp_path / f'a{suffix}', table)
    counts = dict.fromkeys(table.schema.names, 0)
    for row in read(path, source(format='instruction', columns={})):
        for name, value in row.items():
            counts[name] += value not in (None, '', [])
    large = n if suffix == '.parquet' else n // 2  # large cells are not decoded to be counted
    assert counts == {'instruction': n, 'output': n, 'full': n, 'none': 0, 'some': 67, 'blank': 50, 'lists': 40, 'structs': 29, 'bytes': large}


def test_an_unread_column_that_unpacks_to_gigabytes_is_not_decoded(tmp_path):
    bomb = pa.ListArray.from_arrays(pa.array([0] + [20_000_000] * 50, pa.int32()), pa.nulls(20_000_000, pa.int8()))
    pq.write_table(pa.table({'q': ['Q?'] * 50, 'a': ['A'] * 50, 'bomb': bomb}), tmp_path / 'a.parquet', compression='zstd')
    before = pa.total_allocated_bytes()
    found = [row for chunk in chunks('s', tmp_path, 'a.parquet', None, reading_of(source())) for _, row in rows(chunk, tmp_path, reading_of(source()).fields)]
    assert (len(found), found[0]['q']) == (50, 'Q?')
    assert pa.total_allocated_bytes() - before < 5_000_000


@pytest.mark.parametrize('format', ['llava', 'messages', 'instruction', 'mathvision'])
def test_every_format_reads_what_it_knows_and_leaves_the_rest(tmp_path, format):
    known = {'llava': {'conversations': [[{'from': 'human', 'value': 'Q?'}, {'from': 'gpt', 'value': 'A'}]]}, 'messages': {'messages': [[{'role': 'user', 'content': 'Q?'}, {'role': 'assistant', 'content': 'A'}]]},
             'instruction': {'instruction': ['Q?'], 'output': ['A']}, 'mathvision': {'question': ['Q?'], 'answer': ['A'], 'options': [[]], 'image': ['1.png']}}[format]
    path = write(tmp_path / 'a.parquet', pa.table({**known, 'expires': column([FAR], pa.timestamp('us'))}))
    of = source(format=format, columns={}, images=['.'] if format == 'mathvision' else [])
    (row,) = read(path, of)
    assert row['expires'] is UNREAD
    found = read_record(row, of)
    assert isinstance(found, Conversation)
    assert [turn.text for turn in found.turns] == [('<image>\n' if format == 'mathvision' else '') + 'Q?', 'A']


@pytest.mark.parametrize(('kind', 'number'), [(pa.float32(), 0.1), (pa.float32(), 16777216.0), (pa.float64(), 0.1), (pa.float32(), None)])
def test_a_number_of_single_precision_is_the_one_that_was_written(tmp_path, kind, number):
    path = write(tmp_path / 'a.parquet', pa.table({'q': ['One?'], 'a': pa.array([number], kind), 'more': pa.array([[number]], pa.list_(kind))}))
    [row] = read(path, source())
    assert row['a'] == number
    [(_, row)] = read_rows(path, 0, 1)
    assert (row['a'], row['more']) == (number, [number])
