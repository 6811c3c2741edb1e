"""Rows in the shapes people have through whole builds: what was not read is counted exactly, and a system text reaches the triples."""

import json
from collections import Counter

import pyarrow.parquet as pq
import pytest

from pipelines.build import Way, build_all
from pipelines.engine.tables import ShardWriter
from pipelines.look.validate import validate_sources
from pipelines.snapshot.report import told_ignored
from pipelines.sources.usable import _ignored, read_row
from schemas.accounting import IGNORED_FIELDS, OTHER_FIELDS, fold
from schemas.errors import UserError
from schemas.recipe import Recipe, Source
from schemas.records import Unit
from schemas.snapshot import open_snapshot
from tests.pipelines.sources.test_samples import picture

ROWS = 1203  # three chunks


def built(tmp_path, sources, *, mix_only=True):
    recipe = Recipe.model_validate({'name': 'r', 'sources': {name: {'licence': 'MIT', 'answers': 'exact', **source} for name, source in sources.items()},
                                    **({} if mix_only else {'generate': [{'prompt': 'rules'}]})})
    build_all(recipe, tmp_path / 'out', Way(None, tmp_path / 'data', mix_only=mix_only))
    return recipe


def books(snapshot):
    return {(line['unit'], line['source']): line for line in open_snapshot(snapshot).manifest['yield']}


def rows_of(snapshot):
    return [row for shard in open_snapshot(snapshot).shards() for row in pq.read_table(shard).to_pylist()]


def test_every_record_with_a_field_that_nobody_reads_is_counted(tmp_path, capsys):
    data = tmp_path / 'data'
    data.mkdir()
    talks = [{'messages': [{'role': 'user', 'content': f'What is {n} plus {n}?'}, {'role': 'assistant', 'content': str(2 * n)}],
              **({'history': [['a', 'b']]} if n % 3 == 0 else {}), **({'odd <b>|name': n} if n == 7 else {}), 'empty': None} for n in range(ROWS)]
    talks[3]['label'] = False
    (data / 'a.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in talks), encoding='utf-8')
    recipe = built(tmp_path, {'a': {'format': 'messages', 'annotations': ['a.jsonl']}})
    line = books(tmp_path / 'out/mix')['record', 'a']
    assert line['ignored'] == {'history': 400, 'odd <b>|name': 1}  # 401 of 1,203; the one that is labelled wrong is rejected whole
    assert line['rejected'] == {'LABELLED_WRONG': 1}
    card = (tmp_path / 'out/mix/README.md').read_text('utf-8')
    assert 'history' in card.partition('nothing in a row comes from')[2].partition('## Contamination')[0]
    assert '<b>' not in card
    assert 'ignored: `history` in 400 records' in ' '.join(capsys.readouterr().out.split())

    assert validate_sources(recipe, data)
    assert 'ignored: `history` in' in ' '.join(capsys.readouterr().out.split())


def test_a_system_text_goes_from_the_source_into_the_mix_and_the_triples(tmp_path):
    data = tmp_path / 'data'
    data.mkdir()
    (data / '1.png').write_bytes(picture(1))
    turns = [{'from': 'human', 'value': '<image>\nHow many squares?'}, {'from': 'gpt', 'value': '12'},
             {'from': 'human', 'value': 'And circles?'}, {'from': 'gpt', 'value': '7'}]
    (data / 's.json').write_text(json.dumps([{'system': 'Answer with a number.', 'image': '1.png', 'conversations': turns},
                                             {'image': '1.png', 'conversations': turns[:2]}]), encoding='utf-8')
    built(tmp_path, {'s': {'format': 'llava', 'annotations': ['s.json'], 'images': ['.'], 'turns': 'each'}}, mix_only=False)
    mix, triples = rows_of(tmp_path / 'out/mix'), rows_of(tmp_path / 'out/triples')
    roles = {row['sample_id']: [message['role'] for message in row['messages']] for row in mix}
    assert roles == {'s/s.json#0/0': ['system', 'user', 'assistant'], 's/s.json#0/1': ['system', 'user', 'assistant', 'user', 'assistant'],
                     's/s.json#1/0': ['user', 'assistant']}  # with another system text it is another sample
    for row in triples:
        assert [message['role'] for message in row['prompt']] == roles[row['sample_id']][:-1]
        assert row['prompt'][0]['content'][0]['text'] in ('Answer with a number.', None)


def test_rows_that_differ_only_in_their_input_are_two(tmp_path):
    data = tmp_path / 'data'
    data.mkdir()
    rows = [{'instruction': 'Is the number even?', 'input': number, 'output': 'Yes.'} for number in ('14', '22', '14')]
    (data / 'a.json').write_text(json.dumps(rows), encoding='utf-8')
    built(tmp_path, {'a': {'format': 'instruction', 'annotations': ['a.json']}})
    assert sorted(row['messages'][0]['content'][0]['text'] for row in rows_of(tmp_path / 'out/mix')) == ['Is the number even?\n14', 'Is the number even?\n22']


def test_null_pictures_are_rejected_with_a_reason_unless_the_recipe_takes_them(tmp_path):
    data = tmp_path / 'data'
    data.mkdir()
    (data / '1.png').write_bytes(picture(1))
    rows = [{'p': '1.png', 'q': 'What is shown?', 'a': 'squares'}, {'p': None, 'q': 'What else?', 'a': 'lines'}]
    (data / 'a.json').write_text(json.dumps(rows), encoding='utf-8')
    source = {'format': 'columns', 'annotations': ['a.json'], 'images': ['.'], 'columns': {'image': 'p', 'question': 'q', 'answer': 'a'}}
    talks = [{'image': image, 'conversations': [{'from': 'human', 'value': f'{mark}What is it?'}, {'from': 'gpt', 'value': 'It is.'}]}
             for image, mark in (('1.png', '<image>'), (None, ''))]
    (data / 't.json').write_text(json.dumps(talks), encoding='utf-8')
    talk = {'format': 'llava', 'annotations': ['t.json']}
    built(tmp_path, {'strict': source, 'loose': {**source, 'optional': True}, 'talk': {**talk, 'images': ['.']}, 'text': talk})
    found = books(tmp_path / 'out/mix')
    assert found['record', 'strict']['rejected'] == {'IMAGE_REFERENCE_NULL': 1}
    assert found['record', 'loose']['rejected'] == {}
    assert found['record', 'talk']['rejected'] == {'IMAGE_REFERENCE_NULL': 1}
    assert found['record', 'text']['rejected'] == {}
    assert found['record', 'text']['ignored'] == {'image (null)': 1}


def test_a_column_that_is_in_no_row_stops_the_build(tmp_path):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/a.json').write_text(json.dumps([{'q': f'What is {n}?', 'a': n, 'system': 'Be brief.'} for n in range(5)]), encoding='utf-8')
    with pytest.raises(UserError, match="source a: expected the column 'sytem', found keys .*; did you mean 'system'?"):
        built(tmp_path, {'a': {'format': 'columns', 'annotations': ['a.json'], 'columns': {'question': 'q', 'answer': 'a', 'system': 'sytem'}}})


@pytest.mark.parametrize('order', [1, -1])
def test_fields_beyond_number_are_counted_together_whatever_their_order_and_shard(tmp_path, order):
    names = [f'field {n:03}' for n in range(IGNORED_FIELDS + 50)][::order]
    shards = [ShardWriter(tmp_path / 'table', n) for n in range(2)]
    for name in [*names, *names[:3]]:
        shards[0].count_ignored(Unit.RECORD, 'a', name)
    for name in names[10::2]:
        shards[1].count_ignored(Unit.RECORD, 'a', name)
    assert max(sum(key.startswith('ignored/') for key in shard.counts) for shard in shards) <= IGNORED_FIELDS + 1
    [line] = fold([dict(shard.counts) for shard in shards])
    every = Counter([*names, *names[:3], *names[10::2]])
    first = {name: every[name] for name in sorted(names)[:IGNORED_FIELDS]}
    assert line.ignored == first | {OTHER_FIELDS: every.total() - sum(first.values())}
    assert told_ignored(line).endswith(f', other fields {line.ignored[OTHER_FIELDS]} times')
    for shard in shards:
        shard.abandon()


def test_a_row_of_a_hundred_thousand_unknown_fields_is_counted_without_walking_all_counts_for_each(tmp_path):
    writer = ShardWriter(tmp_path / 'table', 0)
    writer.counts = CountsNobodyWalks()
    for n in range(1000):
        writer.count_ignored(Unit.RECORD, 'a', f'field {n}')
    assert writer.counts[f'ignored/record/a/{OTHER_FIELDS}'] == 1000 - IGNORED_FIELDS
    writer.abandon()


class CountsNobodyWalks(Counter):
    def __iter__(self):
        raise AssertionError('walked')


def test_fields_as_frequent_as_others_are_shown_by_name_and_the_rest_as_a_number():
    row = {'instruction': 'Say hello?', 'output': 'Hello there.', **{f'field_{n:02}': 'x' for n in reversed(range(30))}}
    source = Source.model_validate({'format': 'instruction', 'licence': 'MIT', 'annotations': ['a']})
    told = _ignored([row], [read_row(row, source)], source)
    assert told == [*(f'ignored: `field_{n:02}` in 1 of 1 records looked at' for n in range(20)), 'ignored: 10 more fields']
