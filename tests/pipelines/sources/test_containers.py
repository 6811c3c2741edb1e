import io
import json
import os
import tarfile
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sources import containers, json_records
from pipelines.sources.containers import Malformed, chunks, parse_record, rows
from pipelines.sources.files import annotation_files, image_roots, resolve
from pipelines.sources.json_records import TOKENS, line_spans
from pipelines.sources.peek import objects_in, peek
from schemas.errors import UserError
from schemas.recipe import Recipe
from schemas.records import as_content


def read(root, file):
    return [pair for chunk in chunks('s', root, file) for pair in rows(chunk, root)]


def write(root, file, content):
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def write_tar(path, members, kind=tarfile.REGTYPE, format=tarfile.USTAR_FORMAT):
    with tarfile.open(path, 'w', format=format) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = (kind, len(data)) if data is not None else (tarfile.SYMTYPE, 0)
            info.linkname = '' if data is not None else '/etc/passwd'
            tar.addfile(info, io.BytesIO(data or b''))


def _nothing(source, path, reading):
    yield from ()


TRICKY = [{'a': 'br[ack{ets}] and "quotes" \\', 'b': [1, {'c': []}]}, {'a': '€ ünï'}, {}, {'n': {'m': {}}}]


@pytest.mark.parametrize('indent', [None, 0, 2])
def test_a_json_list_is_cut_into_its_records(tmp_path, indent):
    write(tmp_path, 'a.json', json.dumps(TRICKY, indent=indent, ensure_ascii=False))
    assert read(tmp_path, 'a.json') == list(enumerate(TRICKY))


def test_ordinals_go_on_over_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, 'CHUNK_RECORDS', 3)
    write(tmp_path, 'a.jsonl', ''.join(f'{{"n": {n}}}\n\n' for n in range(8)))
    assert [chunk.n for chunk in chunks('s', tmp_path, 'a.jsonl')] == [3, 3, 2]
    assert read(tmp_path, 'a.jsonl') == [(n, {'n': n}) for n in range(8)]


def test_an_index_of_byte_ranges_is_written_once_and_gives_the_same_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, 'CHUNK_RECORDS', 3)
    write(tmp_path, 'a.json', json.dumps([{'n': n} for n in range(8)]))
    write_tar(tmp_path / 'b.tar', [(f'{n}.txt', str(n).encode()) for n in range(4)])
    write(tmp_path, 'empty.json', '[]')
    for name in ('a.json', 'b.tar', 'empty.json'):
        found = list(chunks('s', tmp_path, name, tmp_path / 'index'))
        assert [pair for chunk in found for pair in rows(chunk, tmp_path)] == read(tmp_path, name)
        assert all(chunk.spans == b'' for chunk in found)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / 'index').iterdir()}
    assert list(chunks('s', tmp_path, 'empty.json', tmp_path / 'index')) == []
    monkeypatch.setattr(containers, 'json_spans', _nothing)  # a second look scans nothing
    assert sum(chunk.n for chunk in chunks('s', tmp_path, 'a.json', tmp_path / 'index')) == 8
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / 'index').iterdir()} == written


def test_a_file_replaced_at_equal_size_and_time_gets_a_new_index(tmp_path):
    """As `rsync -t`, `tar -x` and `cp -p` leave it: its records were cut at the old places."""
    write(tmp_path, 'a.jsonl', '{"n": 1000}\n{"n": 2}\n')
    about = (tmp_path / 'a.jsonl').stat()
    list(chunks('s', tmp_path, 'a.jsonl', tmp_path / 'index'))
    write(tmp_path, 'b.jsonl', '{"n": 1}\n{"n": 2000}\n')
    os.utime(tmp_path / 'b.jsonl', ns=(about.st_atime_ns, about.st_mtime_ns))
    os.replace(tmp_path / 'b.jsonl', tmp_path / 'a.jsonl')
    assert (tmp_path / 'a.jsonl').stat().st_size == about.st_size
    found = [row for chunk in chunks('s', tmp_path, 'a.jsonl', tmp_path / 'index') for _, row in rows(chunk, tmp_path)]
    assert found == [{'n': 1}, {'n': 2000}]


def test_a_changed_file_gets_a_new_index(tmp_path):
    write(tmp_path, 'a.json', '[{"n": 1}]')
    list(chunks('s', tmp_path, 'a.json', tmp_path / 'index'))
    write(tmp_path, 'a.json', '[{"n": 1}, {"n": 2}]')
    assert sum(chunk.n for chunk in chunks('s', tmp_path, 'a.json', tmp_path / 'index')) == 2


def test_a_file_that_is_cut_off_leaves_no_index(tmp_path):
    write(tmp_path, 'a.json', '[{"n": 1}, {')
    with pytest.raises(UserError):
        list(chunks('s', tmp_path, 'a.json', tmp_path / 'index'))
    assert not (tmp_path / 'index').exists()


@settings(max_examples=40, derandomize=True)
@given(pieces=st.lists(st.sampled_from(['\n', ' ', '\r\n', '{}', '\t', 'é']), max_size=25), block=st.integers(1, 9))
def test_lines_are_cut_where_they_end_whatever_the_block(tmp_path_factory, pieces, block):
    path = tmp_path_factory.mktemp('lines') / 'a.jsonl'
    path.write_bytes(''.join(pieces).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('pipelines.sources.json_records._BLOCK_BYTES', block)
        found = [path.read_bytes()[start:stop] for start, stop in line_spans(path)]
    assert found == [line for line in path.read_bytes().splitlines(keepends=True) if line.strip()]


def test_a_record_beyond_the_bound_is_malformed_unread_and_the_next_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, 'MAX_RECORD_BYTES', 1000)
    huge = json.dumps({'a': 'x' * 5000})
    write(tmp_path, 'a.jsonl', f'{huge}\n{{"n": 1}}\n')
    write(tmp_path, 'a.json', f'[{huge}, {{"n": 1}}]')
    for name in ('a.jsonl', 'a.json'):
        (_, bad), (_, good) = read(tmp_path, name)
        assert (bad.found[:14], good) == ('a record of 50', {'n': 1})


def test_json_lines_under_the_name_json_are_read_as_lines(tmp_path):
    write(tmp_path, 'coco_pope_random.json', '\ufeff{"question_id": 1}\n{"question_id": 2}\n')
    assert [row['question_id'] for _, row in read(tmp_path, 'coco_pope_random.json')] == [1, 2]


def test_a_bad_record_is_malformed_and_the_others_are_read(tmp_path):
    write(tmp_path, 'a.jsonl', b'{"n": 1}\n{"n": \n[1]\n\xff\xfe\n{"n": 2}\n')
    found = [row for _, row in read(tmp_path, 'a.jsonl')]
    assert [type(row) for row in found] == [dict, Malformed, Malformed, Malformed, dict]


@pytest.mark.parametrize(('name', 'content', 'message'), [
    ('a.json', '[{"a": 1}, {"a": "cut of', 'is the download complete'),
    ('a.json', '[{"a": 1}, ', 'is the download complete'),
    ('a.json', '{"a": 1} oops', "found b'oops' at byte 9"),
    ('a.json', 'oops', 'expected a JSON list, an object or JSON Lines'),
    ('a.parquet', 'PAR1 but no more', 'is the download complete'),
    ('a.arrow', 'nothing of the kind', 'is the download complete'),
    ('a.tar', 'x' * 2000, 'expected an uncompressed tar'),
    ('a.tar.gz', 'x', 'unpack it first: tar -xf .*a.tar.gz -C '),
    ('a.xlsx', 'x', r'expected .parquet, .arrow, .json, .* found a.xlsx \(.xlsx\)'),
    ('a.jsonl.gz', 'x', 'unpack it first: gunzip -k .*a.jsonl.gz$'),
    ('a.json.zst', 'x', 'unpack it first: zstd -d .*a.json.zst$'),
])
def test_a_file_that_cannot_be_read_is_told_with_what_to_do(tmp_path, name, content, message):
    write(tmp_path, name, content)
    with pytest.raises(UserError, match=message):
        read(tmp_path, name)


def test_parquet_and_arrow_give_the_same_rows_in_any_chunking(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, 'CHUNK_RECORDS', 70)
    table = pa.table({'n': range(300), 'image': [{'bytes': b'x', 'path': None}] * 300})
    pq.write_table(table, tmp_path / 'a.parquet', row_group_size=110)
    with pa.OSFile(str(tmp_path / 'a.arrow'), 'wb') as out, pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table, max_chunksize=64)
    with pa.OSFile(str(tmp_path / 'b.arrow'), 'wb') as out, pa.ipc.new_file(out, table.schema) as file:
        file.write_table(table, max_chunksize=64)
    expected = list(enumerate(table.to_pylist()))
    assert [read(tmp_path, name) == expected for name in ('a.parquet', 'a.arrow', 'b.arrow')] == [True] * 3


def test_a_cell_that_is_no_text_costs_its_row_and_a_damaged_page_stops_with_its_place(tmp_path):
    text = pa.array([f'row {n}'.encode() if n != 3 else b'\xff\xfe' for n in range(200)], pa.binary()).view(pa.string())
    pq.write_table(pa.table({'t': text}), tmp_path / 'a.parquet')
    found = [row for _, row in read(tmp_path, 'a.parquet')]
    assert [(n, row.found[:22]) for n, row in enumerate(found) if isinstance(row, Malformed)] == [(3, 'text that is no UTF-8:')]
    assert (len(found), found[4]) == (200, {'t': 'row 4'})
    pq.write_table(pa.table({'t': [f'row {n} ' * 9 for n in range(2000)]}), tmp_path / 'b.parquet', row_group_size=500)
    data = bytearray((tmp_path / 'b.parquet').read_bytes())
    data[len(data) // 3:len(data) // 3 + 40] = b'\xff' * 40
    write(tmp_path, 'b.parquet', bytes(data))
    for look in (read, lambda root, file: peek('s', root, [file], 20)):
        with pytest.raises(UserError, match=r'source s: expected rows .*b.parquet, found: .*the file is damaged, fetch it again'):
            look(tmp_path, 'b.parquet')


def test_one_large_row_group_is_not_decoded_once_for_every_500_rows(tmp_path):
    pq.write_table(pa.table({'n': np.arange(100_000)}), tmp_path / 'a.parquet', row_group_size=100_000)
    found = list(chunks('s', tmp_path, 'a.parquet'))
    assert len(found) == containers.CHUNKS_PER_GROUP
    assert [row['n'] for _, row in rows(found[1], tmp_path)] == list(range(2000, 4000))


@pytest.mark.parametrize('format', [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_is_read_in_place(tmp_path, format, monkeypatch):
    monkeypatch.setattr(containers, 'CHUNK_RECORDS', 2)
    deep = 'folder/' + 'n' * 130 + 'é'
    keys = ['a/0001', deep if format != tarfile.USTAR_FORMAT else 'c/1', 'a/0002', 'b/0001']
    write_tar(tmp_path / 'a.tar', [(f'{key}.{ext}', data) for key in keys for ext, data in
                                   [('jpg', key.encode() * 99), ('json', json.dumps({'key': key}).encode()), ('seg.png', b''), ('txt', b'caption')]], format=format)
    assert read(tmp_path, 'a.tar') == [
        (i, {'__key__': key, 'jpg': key.encode() * 99, 'json': {'key': key}, 'seg.png': b'', 'txt': 'caption'}) for i, key in enumerate(keys)]
    assert list(tmp_path.iterdir()) == [tmp_path / 'a.tar']


@pytest.mark.parametrize(('members', 'what'), [
    ([('1.jpg', b'x'), ('1.json', None)], 'not a plain file'),
    ([('../1.jpg', b'x')], 'leaves the archive'),
    ([('/etc/1.jpg', b'x')], 'leaves the archive'),
    ([('1.jpg', b'x'), ('1.jpg', b'y')], 'two members'),
    ([('1.json', b'{"a":')], 'no sample of a tar'),
    ([('1.txt', b'\xff\xfe')], 'no sample of a tar'),
])
def test_a_hostile_tar_sample_is_malformed_and_the_next_is_read(tmp_path, members, what):
    write_tar(tmp_path / 'a.tar', [*members, ('good.txt', b'ok')])
    (_, bad), (_, good) = read(tmp_path, 'a.tar')
    assert what in bad.found
    assert (good['__key__'], good['txt']) == ('good', 'ok')


def test_a_tar_that_declares_more_than_it_holds_or_a_huge_name_is_refused(tmp_path):
    write_tar(tmp_path / 'a.tar', [('1.jpg', b'x' * 5000)])
    whole = (tmp_path / 'a.tar').read_bytes()
    write(tmp_path, 'a.tar', whole[:3000])
    with pytest.raises(UserError, match='ends after the file'):
        read(tmp_path, 'a.tar')
    write_tar(tmp_path / 'b.tar', [('x', b'n' * 70_000)], kind=b'L')
    with pytest.raises(UserError, match='a name of 70000 bytes'):
        read(tmp_path, 'b.tar')


def test_a_sample_of_a_tar_beyond_the_bound_is_malformed_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, 'MAX_RECORD_BYTES', 4096)
    write_tar(tmp_path / 'a.tar', [('1.jpg', b'x' * 5000), ('2.txt', b'ok')])
    assert [type(row) for _, row in read(tmp_path, 'a.tar')] == [Malformed, dict]


def test_names_alternatives_globs_and_folders_become_files(tmp_path):
    for name in (*(f'many/{n * 7 % 50:02d}.json' for n in range(50)), 'mgm.json', 'data/b-1.parquet', 'data/b-0.parquet', 'data/c-0.parquet', 'arrows/data-1.arrow', 'arrows/data-0.arrow'):
        write(tmp_path, name, 'PAR1PAR1')
    assert annotation_files('minigemini.json|mgm.json', tmp_path) == ['mgm.json']
    assert annotation_files('many/*.json', tmp_path) == [f'many/{n:02d}.json' for n in range(50)]
    assert annotation_files('data/b-*.parquet', tmp_path) == ['data/b-0.parquet', 'data/b-1.parquet']
    assert annotation_files('none-*.parquet|data', tmp_path) == ['data/b-0.parquet', 'data/b-1.parquet', 'data/c-0.parquet']
    write(tmp_path, 'arrows/state.json', json.dumps({'_data_files': [{'filename': 'data-1.arrow'}, {'filename': 'data-0.arrow'}]}))
    assert annotation_files('arrows', tmp_path) == ['arrows/data-1.arrow', 'arrows/data-0.arrow']
    write(tmp_path, 'arrows/state.json', json.dumps({'_data_files': [{'filename': '../mgm.json'}]}))
    with pytest.raises(UserError, match='expected the files that'):
        annotation_files('arrows', tmp_path)


def test_packed_images_are_told_with_what_to_do(tmp_path):
    write(tmp_path, 'imgs.tar.gz', 'x')
    with pytest.raises(UserError, match='tar -xf .*imgs.tar.gz -C '):
        image_roots('imgs|imgs.tar.gz', tmp_path)


def test_a_recipe_is_resolved_once_and_all_that_is_missing_is_told(tmp_path):
    write(tmp_path, 'a.jsonl', '{}')
    write(tmp_path, 'images/x.png', 'x')
    source = {'format': 'llava', 'licence': 'MIT', 'annotations': ['b.jsonl|a.jsonl'], 'images': ['images.zip|images', 'none|images']}
    recipe = Recipe.model_validate({'name': 'r', 'sources': {'s': source}})
    found = resolve(recipe, tmp_path)
    assert (found.sources['s'].annotations, found.sources['s'].images) == (['a.jsonl'], ['images'])
    assert resolve(found, tmp_path) == found
    bad = {'name': 'r', 'sources': {'s': {**source, 'annotations': ['x.json|y.json'], 'images': ['z']}, 't': {**source, 'images': ['w'], 'get_it': 'example.org'}}}
    with pytest.raises(UserError) as told:
        resolve(Recipe.model_validate(bad), tmp_path)
    assert str(told.value).split('\n') == [
        f'source s: expected annotations x.json or y.json below {tmp_path}, found none', f'source s: expected images z below {tmp_path}, found none',
        f'source t: expected images w below {tmp_path}, found none; get it: example.org',
        'get what is missing, or leave it out: --set sources.NAME=null, --set contamination.benchmarks=[]; phantom validate shows all there is']


JSON = st.recursive(st.none() | st.integers() | st.text(max_size=6) | st.sampled_from(['{"', '\\', '"],[', '}']),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4), max_leaves=12)


@settings(max_examples=60, derandomize=True)
@given(records=st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=4), max_size=8), indent=st.sampled_from([None, 1]), plain=st.booleans())
def test_any_json_list_is_cut_where_json_cuts_it(tmp_path_factory, records, indent, plain):
    root = tmp_path_factory.mktemp('list')
    text = json.dumps(records, indent=indent, ensure_ascii=plain)
    write(root, 'a.json', text.encode('utf-8', 'replace'))
    assert [row for _, row in read(root, 'a.json')] == json.loads(text.encode('utf-8', 'replace'))


@settings(max_examples=60, derandomize=True)
@given(cut=st.integers(0, 6000), place=st.integers(0, 6000), byte=st.integers(0, 255))
def test_a_damaged_tar_is_told_or_gives_malformed_samples_but_never_fails(tmp_path_factory, cut, place, byte):
    root = tmp_path_factory.mktemp('tar')
    write_tar(root / 'a.tar', [('a/1.json', b'{"a": 1}'), ('a/1.jpg', b'x' * 700), ('a/2.txt', b'hello')], format=tarfile.PAX_FORMAT)
    data = bytearray((root / 'a.tar').read_bytes())
    data[place] = byte
    write(root, 'a.tar', bytes(data[:max(1, len(data) - cut)]))
    try:
        found = read(root, 'a.tar')
    except UserError:
        return
    assert all(isinstance(row, dict | Malformed) for _, row in found)


@pytest.mark.parametrize('data', [b'{"a":%s1%s}' % (b'[' * 100, b']' * 100), b'{"a":' * 101 + b'1' + b'}' * 101])
def test_a_record_nested_deeper_than_any_stack_can_write_is_none(data):
    assert parse_record(data) == Malformed(f'not JSON: brackets more than 100 deep; begins {data[:60]!r}')


def test_a_string_that_never_ends_is_looked_at_once(monkeypatch):
    looked = []
    monkeypatch.setattr(json_records, 'TOKENS', SimpleNamespace(finditer=lambda data: (looked.append(found[0]) or found for found in TOKENS.finditer(data))))
    text = b'"' + b'\\"' * 50 + b'[' * 101
    assert isinstance(parse_record(text), Malformed)
    assert list(json_records._objects(b'{}{' + text, 5)) == [(5, 5 + 3 + len(text))]
    assert looked == [b'"', b'{', b'}', b'{', b'"']
    cut = '{"a": {"b": 1}, "c": ' + '{"' * 3 + text.decode()
    assert [row for row, _, _ in objects_in(cut)] == [{'b': 1}]


def test_brackets_side_by_side_and_in_texts_are_not_deep():
    row = {'deep': '[' * 500 + '\\"{', 'n': float('inf'), 'flat': [[]] * 500, 'a': json.loads('[' * 98 + ']' * 98)}
    assert parse_record(json.dumps(row).encode()) == row
    assert json.loads(as_content(row))['flat'] == row['flat']


@pytest.mark.parametrize(('n', 'length', 'sizes'), [(1200, 9, {500}), (16_000, 9, {1000}), (40_000, 9, {2000}), (2000, 40_000, {500})])
def test_long_files_of_short_records_have_larger_chunks(tmp_path, n, length, sizes):
    write(tmp_path, 'a.jsonl', b'{"a": "%b"}\n' % (b'x' * length) * n)
    found = list(chunks('s', tmp_path, 'a.jsonl', tmp_path / 'offsets'))
    assert {chunk.n for chunk in found[:-1]} == sizes
    assert sum(chunk.n for chunk in found) == n
    assert sum(chunk.n_bytes for chunk in found) == n * (length + 10)


def test_the_records_of_a_chunk_are_read_together(tmp_path):
    write(tmp_path, 'a.jsonl', b'{"a": 1}\n' * 400)
    (chunk,) = chunks('s', tmp_path, 'a.jsonl')
    with open(tmp_path / 'a.jsonl', 'rb') as file:
        reads = []
        handle = Reads(file, reads)
        assert list(containers._records(handle, containers._ranges(chunk))) == [b'{"a": 1}\n'] * 400
        assert reads == [3600]
        some = [(9, 18), (90, 99), (0, 9)]
        assert list(containers._records(handle, some)) == [b'{"a": 1}\n'] * 3


class Reads:
    """A file that notes how much is read at once."""

    def __init__(self, file, reads):
        self.seek, self._file, self._reads = file.seek, file, reads

    def read(self, n):
        self._reads.append(n)
        return self._file.read(n)
