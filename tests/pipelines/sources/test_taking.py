"""A shard's rows whatever they are written in: row groups of bounded length, counts and rejections in the order of the records."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.engine.step import make_here
from pipelines.sources import taking
from pipelines.sources.read import read_sources
from schemas.recipe import Recipe

RECORDS = [
    {'id': 0, 'conversations': [{'from': 'human', 'value': 'One?'}, {'from': 'gpt', 'value': 'Yes.'}, {'from': 'human', 'value': 'Two?'}, {'from': 'gpt', 'value': 'No.'}]},
    {'id': 1, 'conversations': [{'from': 'human', 'value': 'Three?'}]},
    {'id': 2, 'conversations': [{'from': 'human', 'value': 'Four?'}, {'from': 'gpt', 'value': 'As an AI language model, I cannot tell.'}], 'note': 'x'},
    {'id': 3, 'conversations': [{'from': 'system', 'value': 'Be kind.'}, {'from': 'human', 'value': 'Five\u200b?'}, {'from': 'gpt', 'value': 'Sure.'}], 'note': 'y'},
]


@pytest.fixture
def read(tmp_path):
    """Return a function that reads the records with some settings of their source."""

    def make(**more):
        (tmp_path / 'a.jsonl').write_bytes(b'\n'.join([*(json.dumps(record).encode() for record in RECORDS), b'{"id": 4, ', b'[1]']))
        source = {'format': 'llava', 'annotations': ['a.jsonl'], 'licence': 'MIT', **more}
        (step,) = read_sources(Recipe.model_validate({'name': 'r', 'sources': {'s': source}}), tmp_path, {'s': {'a.jsonl': ''}}, tmp_path / 'work')
        return make_here(step, tmp_path / 'made')

    return make


@pytest.mark.parametrize('together', [1, 2, 256])
def test_rows_rejections_and_counts_do_not_hang_on_how_many_rows_are_judged_at_once(read, monkeypatch, together):
    monkeypatch.setattr(taking, '_TOGETHER', together)
    table = read(turns='first')
    rows = [(row['sample_id'], row['ordinal'], [(turn['role'], turn['text']) for turn in row['turns']]) for row in table.read().to_pylist()]
    assert rows == [
        ('s/a.jsonl#0/0', 0, [('user', 'One?'), ('assistant', 'Yes.')]),
        ('s/a.jsonl#3/0', 3, [('system', 'Be kind.'), ('user', 'Five\u200b?'), ('assistant', 'Sure.')])]
    assert [(row['id'], row['reason']) for row in table.read('rejections').to_pylist()] == [
        ('s/a.jsonl#0/1', 'TURN_NOT_SELECTED'), ('s/a.jsonl#1', 'ROLES_NOT_ALTERNATING'), ('s/a.jsonl#2/0', 'BOILERPLATE_ANSWER'),
        ('s/a.jsonl#4', 'RECORD_MALFORMED'), ('s/a.jsonl#5', 'RECORD_MALFORMED')]
    counts = json.loads((table.path / 'shard-00000.json').read_bytes())['counts']
    assert counts == {
        'in/record/s': 6, 'kept/record/s': 3, 'in/sample/s': 4, 'ignored/record/s/note': 2, 'invisible/s': 1, 'invisible/s/U+200B': 1, 'rows/part': 2,
        'rows/rejections': 5, 'rejected/record/s/RECORD_MALFORMED': 2, 'rejected/record/s/ROLES_NOT_ALTERNATING': 1, 'rejected/sample/s/TURN_NOT_SELECTED': 1,
        'rejected/sample/s/BOILERPLATE_ANSWER': 1}


def test_long_texts_are_written_as_they_come(read, monkeypatch):
    monkeypatch.setattr(taking, '_WRITTEN_CHARS', 10)
    part = Path(read(turns='each').path / 'part-00000.parquet')
    assert [pq.ParquetFile(part).metadata.row_group(i).num_rows for i in range(3)] == [2, 1, 0]


def test_records_that_were_not_chosen_are_not_parsed(read, monkeypatch):
    parsed = []
    loads = taking.orjson.loads
    monkeypatch.setattr(taking.orjson, 'loads', lambda data: parsed.append(data) or loads(data))
    table = read(subset=1)
    assert len(set(parsed)) == 1
    assert [row['reason'] for row in table.read('rejections').to_pylist()].count('RECORD_NOT_SELECTED') == 5
