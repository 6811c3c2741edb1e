import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sources import containers
from pipelines.sources.containers import Malformed, chunks, rows
from pipelines.sources.peek import peek
from schemas.errors import UserError


def read(root, name):
    found = [row for chunk in chunks('s', root, name) for _, row in rows(chunk, root)]
    assert peek('s', root, [name], 400).looks[0].rows == found
    return found


@pytest.mark.parametrize(('name', 'text'), [
    ('a.csv', 'question,answer\nIs it NA?,NA\n"Two, or\nmore ""lines""?",007\n\nEmpty?,\n'), ('a.tsv', 'question\tanswer\nIs it NA?\tNA\n"Two, or\nmore ""lines""?"\t007\nEmpty?\t\n'),
    ('a.csv', '\ufeffquestion;answer\r\nIs it NA?;NA\r\n"Two, or\nmore ""lines""?";007\r\nEmpty?;\r\n'), ('a.CSV', '"question",answer\n"Is it NA?","NA"\n"Two, or\nmore ""lines""?",007\nEmpty?,""')])
def test_values_stay_the_text_they_are(tmp_path, name, text):
    (tmp_path / name).write_bytes(text.encode())
    assert read(tmp_path, name) == [{'question': 'Is it NA?', 'answer': 'NA'}, {'question': 'Two, or\nmore "lines"?', 'answer': '007'}, {'question': 'Empty?', 'answer': ''}]


def test_a_record_that_does_not_fit_its_header_is_malformed_and_the_next_is_read(tmp_path):
    (tmp_path / 'a.csv').write_bytes('question,answer\na,b,c\nonly one\n"a"b,c\nGr\xf6\xdfe,x\n5" pipe,good\n'.encode('latin-1'))
    found = read(tmp_path, 'a.csv')
    assert [row.found[:34] if isinstance(row, Malformed) else row for row in found] == [
        '3 field(s) where the header has 2;', '1 field(s) where the header has 2;', "no CSV record: ',' expected after ", 'text that is no UTF-8: byte 0xf6 a',
        {'question': '5" pipe', 'answer': 'good'}]


@pytest.mark.parametrize(('text', 'told'), [
    ('question,answer\na,b\n"never ends,c\nd,e\n', r'expected the end of a quoted field in .*a.csv, found none after record 2: '), ('a,b,a\n1,2,3\n', "found 'a' twice"),
    ('a,b\r1,2\r3,4\r', 'found carriage returns only'), ('gr\xf6\xdfe,b\n1,2\n', 'iconv -f WINDOWS-1252')])
def test_a_file_that_cannot_be_cut_is_told(tmp_path, text, told):
    (tmp_path / 'a.csv').write_bytes(text.encode('latin-1'))
    with pytest.raises(UserError, match=told):
        read(tmp_path, 'a.csv')


@pytest.mark.parametrize('end', ['\n', '\r\n'])
@pytest.mark.parametrize('stray', ['"Stray', '5" pipe', '"so" he said', '"a""', 'x"y"'])
def test_a_stray_quote_in_tsv_is_a_sign_and_merges_no_lines(tmp_path, stray, end):
    table = [('q', 'a'), ('one', 'b'), (stray, 'c'), ('two', 'd'), (stray, stray), ('three', 'e')]
    (tmp_path / 'a.tsv').write_bytes((end.join('\t'.join(row) for row in table) + end + f'"two{end}lines"\t"say ""so"""{end}').encode())
    assert [tuple(row.values()) for row in read(tmp_path, 'a.tsv')] == [*table[1:], (f'two{end}lines', 'say "so"')]


def test_a_field_may_be_long_and_a_record_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, 'MAX_RECORD_BYTES', 300_000)
    (tmp_path / 'a.csv').write_text(f'question,answer\n"{"x" * 200_000}",yes\n"{"y" * 400_000}",no\n')
    long, bad = read(tmp_path, 'a.csv')
    assert (len(long['question']), bad.found) == (200_000, 'a record of 400006 bytes, more than 300000')


CELL = st.text(st.sampled_from('ab",\n\t;\' é'), max_size=6)


@settings(max_examples=80, derandomize=True)
@given(table=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8), delimiter=st.sampled_from([',', '\t']), how=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
def test_what_csv_writes_is_read_back(tmp_path_factory, table, delimiter, how):
    root = tmp_path_factory.mktemp('csv')
    name = 'a.csv' if delimiter == ',' else 'a.tsv'
    with open(root / name, 'w', newline='', encoding='utf-8') as handle:
        writer = csv.writer(handle, delimiter=delimiter, quoting=how, lineterminator='\n')
        writer.writerows([('q', 'a'), *table])
    assert [(row['q'], row['a']) for chunk in chunks('s', root, name) for _, row in rows(chunk, root)] == table
