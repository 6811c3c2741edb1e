"""Where records of a JSON list end: what is guessed is what a scan of every sign finds, whatever the texts hold, also where the file is broken."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.sources import alike, json_records
from pipelines.sources.json_records import Reading, json_spans
from schemas.errors import UserError

SIGNS = st.sampled_from(['"', '\\"', '\\', '},\n{"id": ', '}, {"id": "', '[{', '}]', '{', '}', ',', '\n', 'é', 'word '])
TEXTS = st.lists(SIGNS, max_size=5).map(''.join)
VALUES = st.recursive(TEXTS | st.integers() | st.none(), lambda of: st.lists(of, max_size=3) | st.dictionaries(st.sampled_from(['id', 'a', '"']), of, max_size=2),
                      max_leaves=5)
RECORDS = st.fixed_dictionaries({'id': TEXTS, 'b': VALUES}) | st.fixed_dictionaries({'b': TEXTS, 'id': VALUES}) | VALUES


def found(path, *, guessed):
    """Return the spans of a file, or why there are none."""
    with pytest.MonkeyPatch.context() as patch:
        if not guessed:
            patch.setattr(json_records, 'parting', lambda data, start: b'')
        try:
            return list(json_spans('s', path, Reading(keys=frozenset({'b'}))))
        except UserError as e:
            return str(e)


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    return tmp_path_factory.mktemp('alike') / 'a.json'


@settings(max_examples=60, deadline=None)
@given(st.lists(RECORDS, max_size=12), st.sampled_from([', ', ',\n', '\n ,\r\n', ',']), st.booleans(), st.integers(0, 300), st.sampled_from(['', '"', '\\', '}', '{', '},\n{"id"']))
@example([{'id': 'a', 'b': '},\n{"id": "'}] * 9, ',\n', False, 0, '')
@example([{'id': i, 'b': [{'id': 1}, {'id': 2}]} for i in range(9)], ', ', False, 0, '')
def test_guessed_ends_are_those_of_a_scan(path, records, between, wrapped, at, junk):
    text = '[' + between.join(map(json.dumps, records)) + ']'
    text = f'{{"data": {text}}}' if wrapped else text
    path.write_text(text[:at] + junk + text[at:] if at < len(text) else text)
    assert found(path, guessed=True) == found(path, guessed=False)


def test_records_longer_than_a_block_and_blocks_that_end_inside_records_change_nothing(path, monkeypatch):
    monkeypatch.setattr(alike, '_FIRST_BYTES', 64)
    monkeypatch.setattr(alike, 'BLOCK_BYTES', 256)
    path.write_text(json.dumps([{'id': i, 'b': 'x' * (i % 7) * 60} for i in range(90)]))
    assert found(path, guessed=True) == found(path, guessed=False)
    assert len(found(path, guessed=True)) == 90


def test_nearly_no_record_of_a_list_is_scanned_sign_by_sign(path, monkeypatch):
    path.write_text(json.dumps([{'id': i, 'b': f'a text of record {i}'} for i in range(5000)], indent=1))
    scanned = []
    monkeypatch.setattr(json_records, '_SIGNS', Counting(json_records._SIGNS, scanned))
    assert len(list(json_spans('s', path, Reading(keys=frozenset({'b'}))))) == 5000
    assert len(scanned) < 50


class Counting:
    """A pattern that notes what it finds."""

    def __init__(self, pattern, noted):
        self.pattern, self.noted = pattern, noted

    def finditer(self, data, at):
        for match in self.pattern.finditer(data, at):
            self.noted.append(match.start())
            yield match
