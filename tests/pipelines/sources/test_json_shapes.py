"""JSON files in the shapes that people have: what the build reads, and that `validate` sees the same."""

import json

import pytest

from pipelines.sources import containers
from pipelines.sources.completeness import check_whole
from pipelines.sources.containers import Malformed, chunks, rows
from pipelines.sources.json_records import Reading, is_lines, json_spans
from pipelines.sources.peek import peek
from pipelines.sources.reading import reading_of
from schemas.errors import UserError
from schemas.recipe import Source

ROWS = [{'instruction': f'Question {n}, with }}{{ and "quotes"?', 'output': f'{n}', 'more': [{'a': {}}]} for n in range(5)]


def source(**fields):
    return Source.model_validate({'format': 'instruction', 'licence': 'MIT', 'annotations': ['a'], **fields})


def read(root, file, of=None):
    """Return the rows that the build reads, which a look shows, too."""
    reading = reading_of(of or source())
    found = [pair for chunk in chunks('s', root, file, root / 'index', reading) for pair in rows(chunk, root, reading.fields)]
    assert [pair for chunk in chunks('s', root, file, None, reading) for pair in rows(chunk, root, reading.fields)] == found
    assert [ordinal for ordinal, _ in found] == list(range(len(found)))
    assert peek('s', root, [file], 400, reading).looks[0].rows == [row for _, row in found]
    return [row for _, row in found]


def pretty(rows):
    return '\n'.join(json.dumps(row, indent=2) for row in rows)


@pytest.mark.parametrize(('name', 'text'), [
    ('a.json', json.dumps({'data': ROWS})), ('a.json', json.dumps({'data': ROWS}, indent=2)), ('a.json', json.dumps({'version': '1.0', 'n': 5, 'data': ROWS})),
    ('a.jsonl', json.dumps({'data': ROWS})), ('a.json', json.dumps({'rows': ROWS, 'errors': []})), ('a.json', json.dumps({'meta': {'a': 1}, 'examples': ROWS})),
    ('a.json', json.dumps({'train': ROWS})), ('a.json', json.dumps({'train': ROWS, 'test': [{'instruction': 'x', 'output': 'y'}]}, indent=1)),
    ('a.json', pretty(ROWS)), ('a.json', ''.join(map(json.dumps, ROWS))), ('a.jsonl', ''.join(map(json.dumps, ROWS))), ('a.jsonl', pretty(ROWS)),
    ('a.json', '\n'.join(map(json.dumps, ROWS))), ('a.jsonl', '\n\n  \n' + '\n'.join(map(json.dumps, ROWS))), ('a.json', '\n\n' + '\n'.join(map(json.dumps, ROWS))),
    ('a.json', json.dumps({'result': {'data': ROWS}})), ('a.json', json.dumps({'ok': True, 'result': {'n': 5, 'rows': ROWS}}, indent=1)),
    ('a.jsonl', json.dumps(ROWS)), ('a.jsonl', json.dumps(ROWS, indent=1)), ('a.ndjson', '\n'.join(map(json.dumps, ROWS))),
    ('a.JSONL', '\r\n'.join(map(json.dumps, ROWS))), ('a.json', json.dumps(ROWS[:2]) + '\n' + json.dumps(ROWS[2:])),
    ('a.jsonl', '\n'.join([json.dumps(ROWS[0]) + json.dumps(ROWS[1]), *map(json.dumps, ROWS[2:])])),  # cat of files without a last line end
    ('a.jsonl', '\ufeff' + '\n'.join(map(json.dumps, ROWS))), ('a.json', '\ufeff' + json.dumps({'data': ROWS})),
])
def test_the_same_records_are_read_whatever_the_shape(tmp_path, name, text):
    (tmp_path / name).write_text(text, 'utf-8')
    check_whole(tmp_path / name)
    assert read(tmp_path, name) == ROWS


def test_of_several_lists_in_an_inner_object_one_must_be_meant(tmp_path):
    (tmp_path / 'a.json').write_text(json.dumps({'result': {'data': ROWS, 'more': ROWS}}))
    with pytest.raises(UserError, match=r"found lists under \['data', 'more'\] in `result`; .*jq '.result.data'"):
        read(tmp_path, 'a.json')


@pytest.mark.parametrize('indent', [None, 2])
@pytest.mark.parametrize('wrap', [lambda rows: rows, lambda rows: {'data': rows}, lambda rows: {'version': 1, 'data': rows}, lambda rows: {'train': rows, 'dev': {'x': {}}}])
def test_the_key_of_a_mapping_is_the_id_of_a_row_that_has_none(tmp_path, indent, wrap):
    rows = {'q"1': ROWS[0], 'ü2': {**ROWS[1], 'id': 'its own'}, '3': ROWS[2]}
    (tmp_path / 'a.json').write_text(json.dumps(wrap(rows), indent=indent))
    assert read(tmp_path, 'a.json') == [{'id': 'q"1', **ROWS[0]}, {**ROWS[1], 'id': 'its own'}, {'id': '3', **ROWS[2]}]


@pytest.mark.parametrize('indent', [None, 2])
@pytest.mark.parametrize('name', ['a.json', 'a.jsonl'])
def test_an_object_with_a_field_of_its_format_is_one_record_and_no_wrapper(tmp_path, indent, name):
    talk = {'id': 1, 'conversations': [{'from': 'human', 'value': 'Q?'}, {'from': 'gpt', 'value': 'A'}]}
    (tmp_path / name).write_text(json.dumps(talk, indent=indent))
    assert read(tmp_path, name, source(format='llava')) == [talk]
    about = {'meta': {'question': {'text': 'Q?'}}, 'reply': {'text': 'A'}}
    (tmp_path / name).write_text(json.dumps(about, indent=indent))
    assert read(tmp_path, name, source(format='columns', columns={'question': 'meta.question.text', 'answer': 'reply.text'})) == [about]


def test_without_fields_a_list_inside_an_object_is_a_wrapper_only_by_its_name(tmp_path):
    row = {'question': 'Q?', 'choices': [{'label': 'A'}]}
    (tmp_path / 'a.jsonl').write_text(json.dumps(row))
    assert [row for chunk in chunks('benchmark', tmp_path, 'a.jsonl') for _, row in rows(chunk, tmp_path)] == [row]


def test_the_split_of_a_file_is_chosen_by_the_recipe(tmp_path):
    (tmp_path / 'a.json').write_text(json.dumps({'train': ROWS[:1], 'val': ROWS[1:2], 'test': ROWS[2:]}))
    assert read(tmp_path, 'a.json') == ROWS[:1]
    assert read(tmp_path, 'a.json', source(splits=['test'])) == ROWS[2:]
    assert read(tmp_path, 'a.json', source(splits=['validation', 'train'])) == ROWS[:2]
    (tmp_path / 'b.json').write_text(json.dumps({'test': ROWS}))
    with pytest.raises(UserError, match=r'source s: .*b.json: expected split train, found test; say which to read, of these: splits: \[test'):
        read(tmp_path, 'b.json')


def test_several_lists_are_told_with_their_names(tmp_path):
    (tmp_path / 'a.json').write_text(json.dumps({'info': {}, 'questions': ROWS, 'annotations': ROWS}))
    with pytest.raises(UserError, match=r"source s: expected one list of records in .*a.json, found lists under \['annotations', 'questions'\]; write .* jq '.annotations' a.json"):
        read(tmp_path, 'a.json')


def test_an_object_without_anything_holds_no_record_and_as_a_line_is_one(tmp_path):
    for name, n in (('a.json', 0), ('a.jsonl', 1)):
        (tmp_path / name).write_text(' {}\n')
        assert len(list(json_spans('s', tmp_path / name))) == n


@pytest.mark.parametrize('text', ['{"error": "not found"}', '{"a": {"b": 1},\n "c": 2}', '{"question": ["a", "b"], "n": [1, 2]}'])
def test_an_object_of_no_known_shape_is_a_record_which_the_format_refuses_by_its_keys(tmp_path, text):
    (tmp_path / 'a.json').write_text(text)
    assert read(tmp_path, 'a.json') == [json.loads(text)]


@pytest.mark.parametrize(('text', 'told'), [
    ('[{"a": 1}] [', 'is the download complete'), ('{"data": [{"instruction": 1}, {"a"', 'is the download complete'), ('{"a": 1} {"b": ', 'is the download complete'),
    ('{\n"a": 1}\n{"b": 1}\nsorry', "found b'sorry' at byte 19")])
def test_what_is_cut_off_or_followed_by_something_else_is_told(tmp_path, text, told):
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(UserError, match=told):
        read(tmp_path, 'a.json')


def test_entries_of_a_mapping_and_parts_of_a_list_that_are_no_objects_are_malformed(tmp_path):
    (tmp_path / 'a.json').write_text('["text", 7, {"instruction": 1}]')
    assert [row if isinstance(row, dict) else row.found for row in read(tmp_path, 'a.json')] == ['a JSON str, not an object', 'a JSON int, not an object', {'instruction': 1}]
    (tmp_path / 'a.jsonl').write_text('{"n": 1}{"n": 2}{\n{"n": 3}\n')
    assert [isinstance(row, Malformed) for row in read(tmp_path, 'a.jsonl')] == [True, False]


def test_a_record_beyond_the_bound_is_malformed_in_every_shape(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, 'MAX_RECORD_BYTES', 1000)
    huge = {'instruction': 'x' * 5000}
    for text in (json.dumps({'data': [huge, ROWS[0]]}), json.dumps({'1': huge, '2': ROWS[0]}), pretty([huge, ROWS[0]])):
        (tmp_path / 'a.json').write_text(text)
        bad, good = read(tmp_path, 'a.json')
        assert (bad.found[:14], good['output']) == ('a record of 50', '0')


@pytest.mark.parametrize('encoding', ['utf-16', 'utf-16-le', 'utf-16-be', 'utf-32', 'utf-32-le', 'utf-32-be'])
@pytest.mark.parametrize(('name', 'text'), [('a.json', json.dumps(ROWS)), ('a.jsonl', '\n'.join(map(json.dumps, ROWS))), ('a.csv', 'question,answer\nWhat?,This\n')])
def test_text_of_two_or_four_bytes_a_letter_is_named_with_how_to_convert_it(tmp_path, name, text, encoding):
    (tmp_path / name).write_bytes(text.encode(encoding))
    told = {'utf-16': 'UTF-16', 'utf-32': 'UTF-32'}.get(encoding, encoding.upper().replace('-LE', 'LE').replace('-BE', 'BE'))
    with pytest.raises(UserError, match=rf'expected UTF-8 in .*{name}, found {told}; convert it: iconv -f {told} -t UTF-8 {name} > new.{name[2:]}'):
        check_whole(tmp_path / name)
    (tmp_path / name).write_text(text)
    check_whole(tmp_path / name)


def test_latin_1_is_named_with_how_to_convert_it(tmp_path):
    (tmp_path / 'a.jsonl').write_bytes('{"instruction": "Größe?"}\n{"instruction": "size"}\n'.encode('latin-1'))
    bad, good = read(tmp_path, 'a.jsonl')
    assert good == {'instruction': 'size'}
    assert 'text that is no UTF-8: byte 0xf6 at 19; if the file is Latin-1 or Windows-1252, convert it: iconv -f WINDOWS-1252 -t UTF-8' in bad.found


def test_ranges_that_another_recipe_found_are_not_taken_for_ours(tmp_path):
    (tmp_path / 'a.json').write_text(json.dumps({'q': [{'x': 1}], 'instruction': 1}))
    for reading, n in ((Reading(keys=frozenset({'instruction'})), {'q': [{'x': 1}], 'instruction': 1}), (Reading(keys=frozenset({'z'})), {'x': 1})):
        assert [row for chunk in chunks('s', tmp_path, 'a.json', tmp_path / 'index', reading) for _, row in rows(chunk, tmp_path)] == [n]


def test_a_first_line_that_is_whole_makes_lines_however_the_next_looks(tmp_path):
    for text, lines in (('{"a": 1}\noops\n', True), ('{"a": \n{"a": 1}\n', False), ('{}\n{\n"a": 1}', False), ('{"a": 1}', False)):
        (tmp_path / 'a.json').write_text(text)
        assert is_lines(tmp_path / 'a.json') == lines, text
