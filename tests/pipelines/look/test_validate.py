import contextlib
import io
import json
import random
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation.pictures.images import ImageLimits
from pipelines.look.validate import validate_sources
from pipelines.snapshot.report import expected_table
from pipelines.sources.containers import Malformed
from pipelines.sources.files import resolve
from pipelines.sources.images import ImageStore
from pipelines.sources.json_records import json_spans
from pipelines.sources.peek import peek
from pipelines.sources.read import plan_chunks
from pipelines.sources.reading import reading_of
from pipelines.sources.usable import look_at_source, refuse_useless
from schemas.accounting import Line
from schemas.errors import UserError
from schemas.recipe import Recipe, Source
from tests.fakes import FakeChatServer, Script

LIMITS = ImageLimits()


def png():
    out = io.BytesIO()
    Image.frombytes('L', (16, 16), bytes(range(256))).save(out, 'PNG')
    return out.getvalue()


def record(n, image=None, **more):
    mark = '<image>\n' if image else ''
    turns = [{'from': 'human', 'value': f'{mark}Q{n} with {{braces}} and "quotes"?'}, {'from': 'gpt', 'value': f'\\frac{{{n}}}{{2}} [' + 'x' * (n % 50)}]
    return {'id': n, **({'image': image} if image else {}), 'conversations': turns, **more}


def source(**fields):
    return Source.model_validate({'format': 'llava', 'licence': 'MIT', **fields})


def files_of(tmp_path, rows):
    """Write the same rows in every container; return their names."""
    (tmp_path / 'a.json').write_text(json.dumps(rows))
    (tmp_path / 'b.json').write_text(json.dumps(rows, indent=2))
    (tmp_path / 'c.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, tmp_path / 'd.parquet', row_group_size=70)
    with pa.OSFile(str(tmp_path / 'e.arrow'), 'wb') as out, pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table, max_chunksize=70)
    return ['a.json', 'b.json', 'c.jsonl', 'd.parquet', 'e.arrow']


def test_first_last_and_some_between_are_seen_in_every_container(tmp_path):
    rows = [record(n, f'{n}.png') for n in range(300)]
    for file in files_of(tmp_path, rows):
        seen = peek('s', tmp_path, [file], 10)
        assert (seen.first, seen.last, seen.n_records) == (rows[0], rows[-1], 300), file
        assert all(row in rows for row in seen.between), file
        assert len({row['id'] for row in seen.between}) >= 5, file


def test_a_tar_is_looked_into(tmp_path):
    with tarfile.open(tmp_path / 'a.tar', 'w') as tar:
        for n in range(30):
            data = json.dumps(record(n)).encode()
            info = tarfile.TarInfo(f'{n:04d}.json')
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    seen = peek('s', tmp_path, ['a.tar'], 5)
    assert (seen.first['json']['id'], seen.last['json']['id'], seen.n_records, len(seen.between)) == (0, 29, 30, 7)


def test_many_files_are_one_list(tmp_path):
    names = []
    for part in range(30):
        names.append(f'part-{part:02d}.jsonl')
        (tmp_path / names[-1]).write_text(''.join(json.dumps(record(part * 10 + n)) + '\n' for n in range(10)))
    seen = peek('s', tmp_path, names, 10)
    assert (seen.first['id'], seen.last['id'], seen.n_records) == (0, 299, 300)


def test_a_large_list_is_looked_into_without_reading_it(tmp_path, monkeypatch):
    monkeypatch.setattr('pipelines.sources.peek.COUNTED_JSON_BYTES', 1000)
    rows = [record(n, f'{n}.png') for n in range(20_000)]
    (tmp_path / 'a.json').write_text(json.dumps(rows))
    scanned = []

    def spans(source, path, reading):
        for span in json_spans(source, path, reading):
            scanned.append(span)
            yield span

    monkeypatch.setattr('pipelines.sources.peek.json_spans', spans)
    seen = peek('s', tmp_path, ['a.json'], 24)
    assert len(scanned) == 1
    assert (seen.first, seen.last, seen.n_records) == (rows[0], rows[-1], None)
    assert len({row['id'] for row in seen.between}) == len(seen.between) == 25
    assert 15_000 < seen.about < 25_000


@pytest.mark.parametrize(('content', 'last'), [('[{"a": 1}, {"a": 2', 'does not end'), ('[{"a": 1}, 7]', 'no object')])
def test_a_list_cut_off_or_of_other_things_has_no_last_record(tmp_path, content, last, monkeypatch):
    monkeypatch.setattr('pipelines.sources.peek.COUNTED_JSON_BYTES', 0)
    (tmp_path / 'a.json').write_text(content)
    seen = peek('s', tmp_path, ['a.json'], 3)
    assert isinstance(seen.last, Malformed)
    assert last in seen.last.found


def test_no_record_is_seen_twice_however_short_the_file(tmp_path):
    for file in files_of(tmp_path, [record(n, f'{n}é.png') for n in range(7)]):
        assert sorted(row['id'] for row in peek('s', tmp_path, [file], 400).between) == sorted({row['id'] for row in peek('s', tmp_path, [file], 400).between}), file


def test_a_root_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match='expected the folder of the sources, found none; check --root'):
        validate_sources(Recipe.model_validate({'name': 'r', 'sources': {'s': {'format': 'llava', 'licence': 'MIT', 'annotations': ['a']}}}), tmp_path / 'none')


@pytest.mark.parametrize('name', ['a.json', 'a.jsonl', 'a.parquet'])
def test_an_empty_file_is_told(tmp_path, name):
    if name == 'a.parquet':
        pq.write_table(pa.table({'n': pa.array([], pa.int64())}), tmp_path / name)
    else:
        (tmp_path / name).write_text('[]' if name == 'a.json' else '')
    with pytest.raises(UserError, match='expected records in'):
        peek('s', tmp_path, [name], 3)


def test_a_source_that_is_all_there_has_no_fault(tmp_path):
    (tmp_path / 'img').mkdir()
    for n in range(60):
        (tmp_path / 'img' / f'{n}.png').write_bytes(png())
    (tmp_path / 'a.json').write_text(json.dumps([record(n, f'{n}.jpg') for n in range(60)]))
    there = source(annotations=['a.json'], images=['img'], other_extensions=True, expected_today=60)
    found = look_at_source('s', there, tmp_path, LIMITS)
    assert (found.faults, found.remarks, found.records, found.ends, found.pictures, found.state) == ([], [], 60, 'ok', '48 of 48', 'ok')
    assert look_at_source('s', there.model_copy(update={'expected_today': 61}), tmp_path, LIMITS).state == 'differs'
    strict = look_at_source('s', there.model_copy(update={'other_extensions': False}), tmp_path, LIMITS)
    assert strict.pictures == '0 of 48'
    assert strict.faults[0].startswith('source s: pictures looked at do not open in . (0 of 48), such as 0.jpg; looked for below')


@pytest.mark.parametrize('name', ['0.jpg', '0', 'a.b/0'])
def test_pictures_of_another_format_than_their_name_says_are_counted_and_their_fate_told(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(png())
    (tmp_path / 'a.json').write_text(json.dumps([record(0, name)]))
    for strict, fate in ((False, 'kept'), (True, 'left out (images.matching_extension)')):
        (told,) = look_at_source('s', source(annotations=['a.json'], images=['.']), tmp_path, ImageLimits(matching_extension=strict)).remarks
        assert told == f'1 of 1 pictures looked at hold another format than their name says; they are {fate}'


def test_a_missing_collection_is_a_fault_and_a_missing_picture_a_remark(tmp_path):
    rows = [record(n, f'{"gqa" if n % 50 == 7 else "coco"}/images/{n}.png') for n in range(300)]
    (tmp_path / 'a.json').write_text(json.dumps(rows))
    for row in rows:
        if row['image'].startswith('coco') and row['id'] != 1:
            (tmp_path / row['image']).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / row['image']).write_bytes(png())
    found = look_at_source('s', source(annotations=['a.json'], images=['.'], get_it='example.org'), tmp_path, LIMITS)
    assert found.faults == [f'source s: pictures looked at do not open in gqa/images (0 of 6), such as gqa/images/7.png; looked for below {tmp_path}: .; get it: example.org']
    assert not any('coco' in line for line in found.faults)
    (tmp_path / 'gqa/images').mkdir(parents=True)
    (tmp_path / 'gqa/images/7.png').write_bytes(png())
    again = look_at_source('s', source(annotations=['a.json'], images=['.']), tmp_path, LIMITS)
    assert again.faults == []
    assert again.remarks[0].endswith('are not there; the build leaves their records out (IMAGE_MISSING)')


@pytest.mark.parametrize(('lies', 'told'), [
    ('coco/train2017/train2017/1.png', 'there is coco/train2017/train2017/1.png: move its folder'), ('train2017/1.png', 'there is train2017/1.png: move its folder'),
    ('deeper/coco/train2017/1.png', 'there is deeper/coco/train2017/1.png: move its folder'), ('coco/train2017.zip', 'there is coco/train2017.zip: unpack it there'),
    ('images.tgz', 'there is images.tgz: unpack it there')])
def test_pictures_in_another_folder_or_still_packed_are_pointed_at(tmp_path, lies, told):
    (tmp_path / 'a.json').write_text(json.dumps([record(1, 'coco/train2017/1.png')]))
    (tmp_path / lies).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / lies).write_bytes(png())
    found = look_at_source('s', source(annotations=['a.json'], images=['.']), tmp_path, LIMITS)
    assert told in found.faults[0]


def test_pictures_that_are_pointers_or_unusable_are_told_before_a_build(tmp_path):
    rows = [record(n, f'{n}.png') for n in range(8)]
    (tmp_path / 'a.json').write_text(json.dumps(rows))
    for n in range(8):
        (tmp_path / f'{n}.png').write_bytes(b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n')
    there = source(annotations=['a.json'], images=['.'])
    assert look_at_source('s', there, tmp_path, LIMITS).faults == ['source s: 8 of 8 pictures looked at are Git LFS pointers, such as 0.png; fetch the files: git lfs pull']
    for n in range(8):
        (tmp_path / f'{n}.png').write_bytes(b'%PDF-1.7')
    assert look_at_source('s', there, tmp_path, LIMITS).faults == ['source s: none of 8 pictures looked at can be used: IMAGE_FORMAT 8']
    (tmp_path / '1.png').write_bytes(png())
    assert look_at_source('s', there, tmp_path, LIMITS).remarks == ['7 of 8 pictures looked at would be left out: IMAGE_FORMAT 7']


def test_a_source_selected_by_prefix_is_looked_at_in_many_places(tmp_path):
    rows = [record(n, f'{"docvqa" if n % 20 == 7 else "coco"}/{n}.png') for n in range(3000)]
    random.Random(0).shuffle(rows)
    (tmp_path / 'a.json').write_text(json.dumps(rows))
    (tmp_path / 'docvqa').mkdir()
    for n in range(7, 3000, 20):
        (tmp_path / 'docvqa' / f'{n}.png').write_bytes(png())
    found = look_at_source('s', source(annotations=['a.json'], images=['.'], image_prefix=['docvqa/']), tmp_path, LIMITS)
    assert found.faults == []
    assert (found.records, found.counted, found.exact) == (3000, True, False)
    assert 60 < found.taken < 270  # 150 are there
    assert [look_at_source('s', source(annotations=['a.json'], images=['.'], image_prefix=['docvqa/'], expected_paper=n), tmp_path, LIMITS).state
            for n in (found.taken + 1, 10 * found.taken)] == ['ok', 'differs']
    nothing = look_at_source('s', source(annotations=['a.json'], images=['.'], image_prefix=['chartqa/']), tmp_path, LIMITS)
    assert 'is taken' in nothing.faults[0]


def test_a_row_in_another_format_is_a_fault(tmp_path):
    (tmp_path / 'a.json').write_text(json.dumps([{'instruction': 'x', 'output': 'y'}] * 5))
    found = look_at_source('s', source(annotations=['a.json']), tmp_path, LIMITS)
    assert found.ends == 'RECORD_MALFORMED'
    assert 'is taken' in found.faults[0]


def test_what_is_there_but_not_whole_is_a_fault_and_not_missing(tmp_path):
    assert look_at_source('s', source(annotations=['a.json']), tmp_path, LIMITS).state == 'missing'
    (tmp_path / 'a.json').write_text('[]')
    (told,) = (found := look_at_source('s', source(annotations=['a.json']), tmp_path, LIMITS)).faults
    assert (found.state, told) == ('fault', 'source s: expected records in a.json, found none')
    both = look_at_source('s', source(annotations=['a.json', 'b.json', '../c.json']), tmp_path, LIMITS)
    assert (both.state, len(both.faults)) == ('fault', 2)
    (tmp_path / 'a.json').write_text(json.dumps([record(1), record(2)])[:-9])
    assert look_at_source('s', source(annotations=['a.json']), tmp_path, LIMITS).state == 'fault'


def test_a_source_of_no_use_stops_a_build_before_it_begins(tmp_path):
    (tmp_path / 'a.json').write_text(json.dumps([record(n, f'{n}.png') for n in range(5)]))
    (tmp_path / 'b.json').write_text(json.dumps([{'instruction': 'x', 'output': 'y'}] * 5))
    (tmp_path / 'c.json').write_text(json.dumps([record(n) for n in range(5)] + [{}]))
    there = {'format': 'llava', 'licence': 'MIT', 'images': ['.']}
    recipe = {'name': 'r', 'sources': {name: {**there, 'annotations': [f'{name}.json']} for name in 'abc'}}
    with pytest.raises(UserError) as told:
        refuse_useless(Recipe.model_validate(recipe), tmp_path)
    lines = str(told.value).split('\n')
    assert [line.split(':')[0] for line in lines] == ['source a', 'source b', 'mend the source, or leave it out']
    (tmp_path / '3.png').write_bytes(png())
    del recipe['sources']['b']
    refuse_useless(Recipe.model_validate(recipe), tmp_path)


@pytest.mark.parametrize('field', ['image_id', 'file_name', 'imageId', 'picture', 'photo', 'img_name'])
def test_pictures_under_a_name_that_nobody_reads_are_a_fault_where_the_recipe_names_pictures(tmp_path, field):
    (tmp_path / 'a.json').write_text(json.dumps([{field: f'{n}.png', 'question': f'What is in it, {n}?', 'answer': 'x'} for n in range(5)]))
    there = {'annotations': ['a.json'], 'format': 'instruction', 'images': ['.']}
    found = look_at_source('s', source(**there), tmp_path, LIMITS)
    assert found.useless
    assert f'is it `{field}`?' in found.faults[0]
    assert not look_at_source('s', source(**there, optional=True), tmp_path, LIMITS).faults
    assert not look_at_source('s', source(**{**there, 'images': []}), tmp_path, LIMITS).faults


def test_what_is_found_of_an_archive_is_kept_for_the_build_that_follows(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / 'i.zip', 'w') as archive:
        archive.writestr('1.png', png())
    (tmp_path / 'a.json').write_text(json.dumps([record(1, '1.png')]))
    there = {'format': 'llava', 'licence': 'MIT', 'annotations': ['a.json'], 'images': ['i.zip']}
    refuse_useless(Recipe.model_validate({'name': 'r', 'sources': {'s': there}}), tmp_path, str(tmp_path / 'offsets'))
    monkeypatch.delattr('pipelines.sources.archives._scan')
    assert not list(ImageStore({'s': (str(tmp_path / 'i.zip'),)}, '', 10**6, index=str(tmp_path / 'offsets')).faults())


@pytest.mark.parametrize('content', ['[' + '{"a":' * 400_000, '[{"a": 1}, ' + '[' * 1_000_000 + ']' * 1_000_000 + ']', '{"a": 1}\n' + '{' * 2_000_000])
def test_brackets_without_end_cost_no_hours(tmp_path, content, monkeypatch):
    monkeypatch.setattr('pipelines.sources.peek.COUNTED_JSON_BYTES', 0)
    (tmp_path / 'a.json').write_text(content)
    with contextlib.suppress(UserError):
        peek('s', tmp_path, ['a.json'], 20)


def test_the_table_tells_what_is_missing_and_where_to_get_it(tmp_path, capsys):
    (tmp_path / 'a.jsonl').write_text(json.dumps(record(1)) + '\n')
    (tmp_path / 'bench').mkdir()
    (tmp_path / 'bench' / 'b.jsonl').write_text('{"question": "x", "answer": "y"}\n')
    there = {'format': 'llava', 'licence': 'MIT', 'annotations': ['a.jsonl'], 'expected_paper': 2}
    recipe = {'name': 'r', 'sources': {'there': there}, 'contamination': {'benchmarks': [{'name': 'b', 'path': 'bench'}]}}
    assert validate_sources(Recipe.model_validate(recipe), tmp_path)
    recipe['sources']['gone'] = {**there, 'annotations': ['x.json|y.json'], 'get_it': 'example.org/x'}
    recipe['contamination']['benchmarks'].append({'name': 'c', 'path': 'none', 'format': 'sqa', 'get_it': 'example.org/c'})
    capsys.readouterr()
    assert not validate_sources(Recipe.model_validate(recipe), tmp_path)
    told = capsys.readouterr().out
    assert 'source gone: expected annotations x.json or y.json below' in told
    assert 'get it: example.org/x' in told
    assert 'get it: example.org/c' in told


def test_what_a_build_read_stands_beside_what_was_expected():
    recipe = Recipe.model_validate({'name': 'r', 'sources': {
        's': {'format': 'llava', 'licence': 'MIT', 'annotations': ['a'], 'expected_paper': 100, 'expected_today': 500, 'subset': 100},
        't': {'format': 'llava', 'licence': 'MIT', 'annotations': ['a']}}})
    table = expected_table(recipe, [Line('record', 's', 500, 99, {}), Line('sample', 's', 99, 90, {})])
    assert [list(column.cells) for column in table.columns] == [['s'], ['99'], ['100'], ['-1'], ['100'], ['-1']]
    assert expected_table(Recipe.model_validate({'name': 'r', 'sources': {'t': {'format': 'llava', 'licence': 'MIT', 'annotations': ['a']}}}), []) is None


def instruction(n):
    return {'instruction': f'Question {n}?', 'output': f'{n}'}


def plain(**fields):
    return source(format='instruction', **fields)


def test_shards_without_records_are_named_and_allowed_by_validate_and_by_a_build(tmp_path, capsys):
    (tmp_path / 'a.jsonl').write_text(''.join(json.dumps(instruction(n)) + '\n' for n in range(5)))
    (tmp_path / 'b.jsonl').write_text('')
    (tmp_path / 'c.jsonl').write_text('\n\n')
    (tmp_path / 'd.json').write_text('[]')
    pq.write_table(pa.table({'instruction': pa.array([], pa.string()), 'output': pa.array([], pa.string())}), tmp_path / 'e.parquet')
    (tmp_path / 'f.json').write_text('{"data": []}')
    (tmp_path / 'g.csv').write_text('instruction,output\n')
    with tarfile.open(tmp_path / 'h.tar', 'w'):
        pass
    names = ['a.jsonl', 'b.jsonl', 'c.jsonl', 'd.json', 'e.parquet', 'f.json', 'g.csv', 'h.tar']
    found = look_at_source('s', plain(annotations=names), tmp_path, LIMITS)
    told = f'7 of 8 files hold no records: {", ".join(names[1:])}'
    assert (found.state, found.records, found.remarks) == ('ok', 5, [told])
    recipe = Recipe.model_validate({'name': 'r', 'sources': {'s': {'format': 'instruction', 'licence': 'MIT', 'annotations': names}}})
    refuse_useless(recipe, tmp_path)
    assert f's: {told}' in capsys.readouterr().err
    assert sum(some.chunk.n for some in plan_chunks(recipe, tmp_path)['s']) == 5


def test_a_source_without_a_record_is_the_same_fault_in_both(tmp_path):
    for name in 'ab':
        (tmp_path / f'{name}.jsonl').write_text('\n')
    told = 'source s: expected records in a.jsonl, b.jsonl, found none'
    assert look_at_source('s', plain(annotations=['*.jsonl']), tmp_path, LIMITS).faults == [told]
    recipe = resolve(Recipe.model_validate({'name': 'r', 'sources': {'s': {'format': 'instruction', 'licence': 'MIT', 'annotations': ['*.jsonl']}}}), tmp_path)
    for build in (refuse_useless, plan_chunks):
        with pytest.raises(UserError) as stopped:
            build(recipe, tmp_path)
        assert str(stopped.value).split('\n')[0] == told


@pytest.mark.parametrize('suffix', ['json', 'jsonl', 'parquet', 'csv'])
def test_a_shard_of_which_nothing_is_taken_is_a_fault_however_many_others_are_good(tmp_path, suffix):
    for part in range(120):
        rows = [{'frage': f'{n}', 'antwort': 'x'} if part == 77 else instruction(part * 10 + n) for n in range(10)]
        path = tmp_path / f'part-{part:03d}.{suffix}'
        if suffix == 'parquet':
            pq.write_table(pa.Table.from_pylist(rows), path)
        elif suffix == 'csv':
            path.write_text('\n'.join([','.join(rows[0]), *(','.join(row.values()) for row in rows)]))
        else:
            path.write_text(json.dumps(rows) if suffix == 'json' else '\n'.join(map(json.dumps, rows)))
    found = look_at_source('s', plain(annotations=['part-*']), tmp_path, LIMITS)
    (told,) = found.faults
    assert told.startswith(f'source s: part-077.{suffix}: none of ')
    assert "found keys ['antwort', 'frage']" in told
    assert (found.state, found.useless, found.records) == ('fault', False, 1200)


def test_records_that_would_be_rejected_are_counted_by_reason_with_an_example(tmp_path):
    rows = [instruction(n) if n % 4 else {'instruction': f'{n}?', 'answers': []} for n in range(40)]
    (tmp_path / 'a.jsonl').write_text('\n'.join(json.dumps(row) for row in rows) + '\nno json\n')
    told = look_at_source('s', plain(annotations=['a.jsonl']), tmp_path, LIMITS).remarks
    assert any(line.startswith('11 of 41 records looked at would be rejected: RECORD_MALFORMED 11 (expected the instruction format') for line in told)


def test_validate_says_which_splits_there_are_and_which_are_read(tmp_path):
    for split in ('train', 'test'):
        (tmp_path / f'{split}.jsonl').write_text('\n'.join(json.dumps(instruction(n)) for n in range(4)))
    (tmp_path / '._train.jsonl').write_text('x')
    found = look_at_source('s', plain(annotations=['*.jsonl']), tmp_path, LIMITS)
    assert (found.records, found.remarks) == (4, ['not read, since their names say they are no data: ._train.jsonl',
                                                  '*.jsonl: read split train (1 file); not read: test (1 file); to read others: splits: [...]'])
    assert look_at_source('s', plain(annotations=['*.jsonl'], splits=['test', 'train']), tmp_path, LIMITS).records == 8


def test_every_shard_is_looked_into_and_no_more_than_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr('pipelines.sources.peek.COUNTED_JSON_BYTES', 0)
    monkeypatch.setattr('pipelines.sources.peek.COUNTED_LINES_BYTES', 0)
    monkeypatch.setattr('pipelines.sources.peek.COUNTED_TARS', 0)
    for part in range(12):
        rows = [instruction(part * 100 + n) for n in range(100)]
        (tmp_path / f'{part:02d}.json').write_text(json.dumps(rows) if part % 2 else json.dumps({'data': rows}))
        (tmp_path / f'{part:02d}.csv').write_text('instruction,output\n' + ''.join(f'"{row["instruction"]}",x\n' for row in rows))
        with tarfile.open(tmp_path / f'{part:02d}.tar', 'w') as tar:
            for n, row in enumerate(rows):
                info = tarfile.TarInfo(f'{n:03d}.json')
                info.size = len(json.dumps(row))
                tar.addfile(info, io.BytesIO(json.dumps(row).encode()))
    for suffix in ('json', 'csv', 'tar'):
        names = [f'{part:02d}.{suffix}' for part in range(12)]
        seen = peek('s', tmp_path, names, 24, reading_of(plain(annotations=['a'])))
        assert [look.file for look in seen.looks] == names
        assert all(len(look.rows) >= 3 for look in seen.looks)
        assert all('instruction' in row or 'json' in row for row in seen.between)
        assert (seen.n_records, 900 < seen.about < 1500) == (None, True), (suffix, seen.about)
        assert (seen.first.get('instruction') or seen.first['json']['instruction']) == 'Question 0?'


def test_what_models_lack_is_told_beside_what_sources_lack(tmp_path, capsys):
    """Both models are asked; one refuses the key, the other answers without log-probabilities."""
    (tmp_path / 'a.json').write_text(json.dumps([instruction(n) for n in range(5)]))
    with FakeChatServer(Script(key='sk-other')) as closed, FakeChatServer(Script(lacks=['logprobs'])) as bare:
        models = {name: {'base_urls': [server.url], 'model': 'fake-model', 'revision': '1', 'api_key_env': 'NO_SUCH_KEY'} for name, server in (('c', closed), ('b', bare))}
        recipe = Recipe.model_validate({
            'name': 'r', 'sources': {'s': {'format': 'instruction', 'licence': 'MIT', 'annotations': ['a.json']}}, 'models': models,
            'generate': [{'prompt': 'paper', 'model': 'c'}], 'judge': {'model': 'b', 'mode': 'yes_no'}})
        assert not validate_sources(recipe, tmp_path, as_json=True)
        faults = json.loads(capsys.readouterr().out)['models']['faults']
        assert not validate_sources(recipe, tmp_path)
        assert 'fault    ' in capsys.readouterr().out
        asked = len(closed.bodies) + len(bare.bodies)
        assert validate_sources(recipe, tmp_path, reach=False)
        assert len(closed.bodies) + len(bare.bodies) == asked
    assert faults[0] == f'model server {closed.url}: expected a valid API key in $NO_SUCH_KEY, found none; export the right key'
    assert faults[1].startswith(f"model 'fake-model' at {bare.url}: judge (yes_no): expected support for logprobs")
