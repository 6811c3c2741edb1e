"""Exports for axolotl and OpenRLHF, by the fields that their docs name; test_trainers.py has their own readers take the same rows."""

import json

import datasets
import pyarrow.parquet as pq
import pytest

from pipelines.snapshot.exports.export import export_snapshot
from pipelines.snapshot.mix_rows import text_of
from tests.pipelines.snapshot.sealed import says, seal_rows, triple
from tests.pipelines.snapshot.test_exports import SAMPLES, TRIPLES, blobs, late, lines, read_bytes, rows_of

PLAIN = [row for row in TRIPLES if not row['images']]


@pytest.fixture
def triples(tmp_path):
    return seal_rows(tmp_path / 'triples', 'triples', {'train': [TRIPLES[:2], TRIPLES[2:4]], 'validation': [TRIPLES[4:]]})


@pytest.fixture
def mix(tmp_path):
    return seal_rows(tmp_path / 'mix', 'mix', SAMPLES)


def test_axolotl_gets_every_picture_as_a_part_with_its_path(mix, tmp_path):
    counts = export_snapshot(mix, 'axolotl', tmp_path / 'out')
    found = datasets.load_dataset('parquet', data_files=str(tmp_path / 'out/train.parquet'), split='train', cache_dir=str(tmp_path / 'cache'))
    assert (counts['rows'], counts['left_out'], 'images' in found.column_names) == (4, 0, False)
    for line, row in zip(found, SAMPLES, strict=True):
        parts = [part for message in line['messages'] for part in message['content']]
        assert [(message['role'], [part['text'] for part in message['content']]) for message in line['messages']] == [
            (message['role'], [part['text'] for part in message['content']]) for message in row['messages']]
        assert [part['type'] == 'image' for part in parts] == [part['path'] is not None for part in parts] == [part['text'] is None for part in parts]
        assert read_bytes(tmp_path / 'out', [part['path'] for part in parts if part['path']]) == blobs(row)
    told = (tmp_path / 'out/README.md').read_text()
    assert 'type: chat_template}' in told
    assert 'skip_prepare_dataset: true' in told


def test_axolotl_gets_preferences_without_pictures(triples, tmp_path):
    counts = export_snapshot(triples, 'axolotl', tmp_path / 'out')
    found = rows_of(tmp_path / 'out/train.parquet') + rows_of(tmp_path / 'out/validation.parquet')
    assert (counts['rows'], counts['left_out']) == (len(PLAIN), len(TRIPLES) - len(PLAIN)) == (1, 4)
    for line, row in zip(found, PLAIN, strict=True):
        assert line['messages'] == [{'role': message['role'], 'content': text_of(message)} for message in row['prompt']]
        assert [line[side] for side in ('chosen', 'rejected')] == [{'role': 'assistant', 'content': text_of(row[side][0])} for side in ('chosen', 'rejected')]
        assert line['phantom']['triple_id'] == row['triple_id']
    left = lines(tmp_path / 'out/left_out.jsonl')
    assert [line['id'] for line in left] == [row['triple_id'] for row in TRIPLES if row['images']]
    assert {line['reason'] for line in left} == {'axolotl reads no pictures of preferences'}
    assert 'rl: dpo' in (tmp_path / 'out/README.md').read_text()
    assert not (tmp_path / 'out/images').exists()


def test_openrlhf_gets_preferences_without_pictures(triples, tmp_path):
    counts = export_snapshot(triples, 'openrlhf', tmp_path / 'out')
    found = rows_of(tmp_path / 'out/train.parquet')
    assert (counts['rows'], counts['left_out'], len(found)) == (1, 4, 1)
    for line, row in zip(found, PLAIN, strict=True):
        assert {name: line[name] for name in ('prompt', 'chosen', 'rejected')} == {
            name: [{'role': message['role'], 'content': text_of(message)} for message in row[name]] for name in ('prompt', 'chosen', 'rejected')}
    assert {line['reason'] for line in lines(tmp_path / 'out/left_out.jsonl')} == {'OpenRLHF reads no pictures of preferences'}


def test_openrlhf_gets_prompts_with_pictures_and_whole_conversations_without(mix, tmp_path):
    counts = export_snapshot(mix, 'openrlhf', tmp_path / 'out')
    assert (counts['rows'], counts['left_out'], json.loads((tmp_path / 'out/export.json').read_text())['rows/train']) == (4, 0, 4)
    for line, row in zip(rows_of(tmp_path / 'out/prompts_train.parquet'), SAMPLES, strict=True):
        assert line['prompt'] == [{'role': message['role'], 'content': text_of(message)} for message in row['messages'][:-1]]
        assert line['label'] == text_of(row['messages'][-1])
        assert sum(message['content'].count('<image>') for message in line['prompt']) == len(line['images'])
        assert read_bytes(tmp_path / 'out', line['images']) == blobs(row)
    plain = [row for row in SAMPLES if not row['images']]
    assert [[message['content'] for message in line['messages']] for line in rows_of(tmp_path / 'out/sft_train.parquet')] == [
        [text_of(message) for message in row['messages']] for row in plain]


@pytest.mark.parametrize('target', ['axolotl', 'openrlhf'])
def test_a_text_with_a_mark_is_left_out_and_listed_once(target, tmp_path):
    rows = [triple(0), triple(1, rejected=[says('assistant', 'write <image> there')])]
    out = tmp_path / 'out'
    assert export_snapshot(seal_rows(tmp_path / 's', 'triples', rows), target, out)['left_out'] == 1
    assert [line['id'] for line in lines(out / 'left_out.jsonl')] == [rows[1]['triple_id']]
    spoken = [{**SAMPLES[1], 'messages': [says('user', 'What is <image> for?'), says('assistant', 'x')]}]
    assert export_snapshot(seal_rows(tmp_path / 'm', 'mix', spoken), target, tmp_path / 'mixed')['left_out'] == 1
    assert len(lines(tmp_path / 'mixed/left_out.jsonl')) == 1
    assert all(pq.read_metadata(path).num_rows == 0 for path in (tmp_path / 'mixed').glob('*.parquet'))


def test_openrlhf_cuts_early(tmp_path, capsys):
    counts = export_snapshot(seal_rows(tmp_path / 's', 'triples', [late(0, 100), late(1, 500)]), 'openrlhf', tmp_path / 'out')
    assert counts['differ_late'] == 1
    assert '512 tokens of text, where --data.max_len cuts' in capsys.readouterr().out
