"""Every export read back by the library it is for, or by the layout that library documents: counts and contents equal, bytes untouched."""

import errno
import hashlib
import io
import json
import os
import shutil

import datasets
import pyarrow.parquet as pq
import pytest
import trl
import webdataset
from PIL import Image
from trl.data_utils import is_conversational, prepare_multimodal_messages

import pipelines.snapshot.exports.web_dataset
from pipelines.snapshot.exports.export import TARGETS, export_snapshot
from pipelines.snapshot.mix_rows import text_of
from schemas.errors import UserError
from tests.pipelines.snapshot.sealed import picture, sample, says, seal_rows, triple

RED, BLUE, GREEN = picture('red'), picture('blue', 'JPEG'), picture('green', 'WEBP')
MULTI_TURN = [says('user', '<image>', 'First?'), says('assistant', 'Red.'), says('user', 'And <b>now</b>?\nTwo lines')]
TRIPLES = [
    triple(0, images=[RED]), triple(1), triple(2, images=[RED, BLUE, GREEN]), triple(3, images=[RED], prompt=MULTI_TURN),
    triple(4, images=[BLUE, GREEN], prompt=[says('user', '<image>', 'left, and', '<image>', 'right: which is green?')]),
]
SAMPLES = [sample(0, images=[RED]), sample(1), sample(2, images=[RED, BLUE, GREEN]), sample(3, images=[RED], messages=[*MULTI_TURN, says('assistant', 'x')])]


@pytest.fixture
def triples(tmp_path):
    return seal_rows(tmp_path / 'triples', 'triples', {'train': [TRIPLES[:2], TRIPLES[2:4]], 'validation': [TRIPLES[4:]]})


@pytest.fixture
def mix(tmp_path):
    return seal_rows(tmp_path / 'mix', 'mix', SAMPLES)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows_of(path):
    return pq.read_table(path).to_pylist()


def load(folder, **asked):
    """Return what `datasets` reads, with a cache beside the folder."""
    return datasets.load_dataset(**asked, cache_dir=str(folder / 'cache'))


def read_bytes(folder, names):
    return [(folder / name).read_bytes() for name in names]


def blobs(row):
    return [image['bytes'] for image in row['images']]


def test_trl_gets_rows_its_own_data_preparation_takes(triples, tmp_path):
    export_snapshot(triples, 'trl', tmp_path / 'out')
    loaded = load(tmp_path, path=str(tmp_path / 'out/data'))
    assert {split: len(rows) for split, rows in loaded.items()} == {'train': 4, 'validation': 1}
    for found, row in zip([*loaded['train'], *loaded['validation']], TRIPLES, strict=True):
        assert set(found) == {'images', 'prompt', 'chosen', 'rejected', 'triple_id'}
        assert (found['prompt'], found['chosen'], found['rejected']) == (row['prompt'], row['chosen'], row['rejected'])
        assert is_conversational(found)
        prepared = prepare_multimodal_messages(found['prompt'] + found['chosen'], images=found['images'])
        shown = [part['image'] for message in prepared for part in message['content'] if part['type'] == 'image']
        assert [image.tobytes() for image in shown] == [Image.open(io.BytesIO(data)).tobytes() for data in blobs(row)]
    raw = load(tmp_path, path=str(tmp_path / 'out/data'), split='train').cast_column(
        'images', datasets.List(datasets.Image(decode=False)))
    assert [[image['bytes'] for image in row['images']] for row in raw] == [blobs(row) for row in TRIPLES[:4]]


def test_trl_text_rows_pass_its_dpo_preparation(tmp_path):
    """TRL's DPO trainer tells the forms apart by these helpers before it tokenizes."""
    folder = seal_rows(tmp_path / 's', 'triples', [triple(i) for i in range(3)])
    export_snapshot(folder, 'trl', tmp_path / 'out')
    rows = load(tmp_path, path=str(tmp_path / 'out/data'), split='train')
    for row in rows:
        assert trl.extract_prompt({'chosen': row['prompt'] + row['chosen'], 'rejected': row['prompt'] + row['rejected']})['prompt'] == row['prompt']


def test_trl_gets_messages_of_a_mix(mix, tmp_path):
    export_snapshot(mix, 'trl', tmp_path / 'out')
    rows = load(tmp_path, path=str(tmp_path / 'out/data'), split='train')
    assert [row['messages'] for row in rows] == [row['messages'] for row in SAMPLES]
    assert [len(prepare_multimodal_messages(row['messages'], images=row['images'])) for row in rows] == [2, 2, 2, 4]


def test_ms_swift_gets_messages_images_and_the_rejected_response(triples, tmp_path):
    counts = export_snapshot(triples, 'ms-swift', tmp_path / 'out')
    found = rows_of(tmp_path / 'out/train.parquet') + rows_of(tmp_path / 'out/validation.parquet')
    assert (counts['rows'], counts['images'], len(found)) == (5, 3, 5)
    for line, row in zip(found, TRIPLES, strict=True):
        assert [message['role'] for message in line['messages']] == [message['role'] for message in row['prompt']] + ['assistant']
        assert [message['content'] for message in line['messages']] == [text_of(message) for message in row['prompt'] + row['chosen']]
        assert line['rejected_response'] == text_of(row['rejected'][0])
        assert sum(message['content'].count('<image>') for message in line['messages']) == len(line['images'])
        assert read_bytes(tmp_path / 'out', line['images']) == blobs(row)
    assert found[4]['messages'][0]['content'] == '<image>left, and<image>right: which is green?', 'a text that pictures stand within is given as it is'
    loaded = load(tmp_path, path='parquet', data_files=str(tmp_path / 'out/train.parquet'), split='train')
    assert list(loaded) == found[:4]
    assert found[0]['phantom'] == {name: TRIPLES[0][name] for name in ('triple_id', 'sample_id', 'source', 'category', 'licence', 'kind', 'generator', 'score')}


def test_ms_swift_gets_plain_messages_of_a_mix(mix, tmp_path):
    export_snapshot(mix, 'ms-swift', tmp_path / 'out')
    found = rows_of(tmp_path / 'out/train.parquet')
    assert [[m['content'] for m in line['messages']] for line in found] == [[text_of(m) for m in row['messages']] for row in SAMPLES]
    assert not any('rejected_response' in line for line in found)


def test_llama_factory_finds_every_file_and_column_that_its_description_names(triples, tmp_path):
    """What its converter asks: odd turns human, even gpt, an odd number of turns before a preference, chosen and rejected from gpt."""
    export_snapshot(triples, 'llama-factory', tmp_path / 'out')
    described = json.loads((tmp_path / 'out/dataset_info.json').read_text())
    assert list(described) == ['phantom_triples_train', 'phantom_triples_validation']
    found = []
    for entry in described.values():
        assert (entry['formatting'], entry['ranking']) == ('sharegpt', True)
        some = load(tmp_path, path='parquet', data_files=str(tmp_path / 'out' / entry['file_name']), split='train')
        assert set(entry['columns'].values()) <= set(some.column_names)
        found += list(some)
    for line, row in zip(found, TRIPLES, strict=True):
        said = line['conversations']
        assert [turn['from'] for turn in said] == ['human' if i % 2 == 0 else 'gpt' for i in range(len(said))]
        assert len(said) % 2 == 1
        assert [turn['value'] for turn in said] == [text_of(message) for message in row['prompt']]
        assert line['chosen'] == {'from': 'gpt', 'value': text_of(row['chosen'][0])}
        assert line['rejected'] == {'from': 'gpt', 'value': text_of(row['rejected'][0])}
        assert sum(turn['value'].count('<image>') for turn in said) == len(line['images'])
        assert read_bytes(tmp_path / 'out', line['images']) == blobs(row)


def test_llama_factory_gets_whole_conversations_of_a_mix(mix, tmp_path):
    export_snapshot(mix, 'llama-factory', tmp_path / 'out')
    assert 'ranking' not in json.loads((tmp_path / 'out/dataset_info.json').read_text())['phantom_mix_train']
    said = [line['conversations'] for line in rows_of(tmp_path / 'out/train.parquet')]
    assert [[turn['value'] for turn in turns] for turns in said] == [[text_of(m) for m in row['messages']] for row in SAMPLES]
    assert all(len(turns) % 2 == 0 for turns in said)


@pytest.mark.parametrize('kind', ['triples', 'mix'])
def test_webdataset_reads_every_row_with_its_pictures(kind, triples, mix, tmp_path, monkeypatch):
    monkeypatch.setattr(pipelines.snapshot.exports.web_dataset, 'SHARD_ROWS', 2)
    expected = {'triples': TRIPLES[:4], 'mix': SAMPLES}[kind]
    counts = export_snapshot({'triples': triples, 'mix': mix}[kind], 'webdataset', tmp_path / 'out')
    shards = sorted(str(path) for path in (tmp_path / 'out').glob('train-*.tar'))
    assert counts['shards/train'] == len(shards) == 2
    found = list(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False))
    for line, row in zip(found, expected, strict=True):
        told = json.loads(line['json'])
        assert [line[name] for name in told['images']] == blobs(row)
        assert {k: v for k, v in told.items() if k != 'images'} == {k: v for k, v in row.items() if k != 'images'}
    assert [name.split('.')[1] for name in json.loads(found[2]['json'])['images']] == ['png', 'jpg', 'webp']


def test_jsonl_keeps_every_column(triples, tmp_path):
    export_snapshot(triples, 'jsonl', tmp_path / 'out')
    for line, row in zip(lines(tmp_path / 'out/train.jsonl'), TRIPLES[:4], strict=True):
        assert {k: v for k, v in line.items() if k != 'images'} == {k: v for k, v in row.items() if k != 'images'}
        assert [hashlib.sha256(data).hexdigest() for data in read_bytes(tmp_path / 'out', line['images'])] == row['image_ids']


@pytest.mark.parametrize(('target', 'mark'), [('ms-swift', '<image>'), ('ms-swift', '<img>'), ('llama-factory', '<image>'), ('llama-factory', '{{image}}')])
def test_a_text_that_a_format_would_take_for_a_picture_is_left_out_and_listed(target, mark, tmp_path):
    rows = [triple(0), triple(1, rejected=[says('assistant', f'the {mark}/etc/passwd</img> shows')])]
    folder = seal_rows(tmp_path / 's', 'triples', rows)
    out = tmp_path / 'out'
    assert export_snapshot(folder, target, out)['left_out'] == 1
    assert len(rows_of(out / 'train.parquet')) == 1
    assert [line['id'] for line in lines(out / 'left_out.jsonl')] == [rows[1]['triple_id']]
    assert json.loads((out / 'export.json').read_text())['left_out'] == 1
    assert export_snapshot(folder, 'jsonl', tmp_path / 'jsonl')['rows'] == 2


@pytest.mark.parametrize('target', ['ms-swift', 'llama-factory'])
def test_answers_that_are_dates_and_rows_without_pictures_keep_their_types(target, tmp_path):
    """`datasets` reads JSONL of dates as timestamps, and lists that are all empty as lists of nothing."""
    rows = [triple(i, chosen=[says('assistant', f'2021-03-0{i}')], rejected=[says('assistant', f'2020-03-0{i}')]) for i in range(1, 4)]
    export_snapshot(seal_rows(tmp_path / 's', 'triples', rows), target, tmp_path / 'out')
    found = load(tmp_path, path='parquet', data_files=str(tmp_path / 'out/train.parquet'), split='train')
    said = [row['rejected_response'] if target == 'ms-swift' else row['rejected']['value'] for row in found]
    assert said == ['2020-03-01', '2020-03-02', '2020-03-03']
    assert found.features['images'] == datasets.List(datasets.Value('string'))


HOW_TO_LOAD = {  # what a README of an export, or of its trainer, says
    'trl': {'path': '{}/data'}, 'ms-swift': {'path': 'parquet', 'data_files': '{}/train.parquet'},
    'llama-factory': {'path': 'parquet', 'data_files': ['{}/train.parquet']}, 'jsonl': {'path': 'json', 'data_files': '{}/train.jsonl'},
    'axolotl': {'path': 'parquet', 'data_files': '{}/train.parquet'}, 'openrlhf': {'path': 'parquet', 'data_files': '{}/train.parquet'},
    'webdataset': {'path': 'webdataset', 'data_files': '{}/train-*.tar'},
}  # fmt: skip


@pytest.mark.parametrize('target', TARGETS)
def test_datasets_keeps_exports_of_one_folder_name_apart(target, tmp_path):
    """Its cache knows a local folder by its name, unless paths or a card tell more: two snapshots, and one place written twice."""
    seen = []
    for number, name in enumerate(('a', 'b', 'a')):
        folder = seal_rows(tmp_path / f's{number}', 'triples', [triple(i + 10 * number) for i in range(2)])
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        export_snapshot(folder, target, tmp_path / name / 'out')
        asked = {key: [v.format(tmp_path / name / 'out') for v in value] if isinstance(value, list) else value.format(tmp_path / name / 'out')
                 for key, value in HOW_TO_LOAD[target].items()}
        seen.append(json.dumps(load(tmp_path, split='train', **asked)[:], default=str))
    assert [[f'right {i + 10 * number}' in told for i in range(2)] for number, told in enumerate(seen)] == [[True, True]] * 3


@pytest.mark.parametrize('target', TARGETS)
def test_an_export_says_where_it_comes_from_and_is_the_same_twice(target, triples, tmp_path):
    for name in ('a', 'b'):
        export_snapshot(triples, target, tmp_path / name)
    told = json.loads((tmp_path / 'a/export.json').read_text())
    assert told['snapshot_id'] == json.loads((triples / 'manifest.json').read_text())['snapshot_id']
    files = [{str(path.relative_to(tmp_path / n)): path.read_bytes() for path in (tmp_path / n).rglob('*') if path.is_file()} for n in 'ab']
    assert files[0] == files[1]
    assert 'README.md' in files[0]


def test_a_folder_that_holds_something_and_an_unknown_target_are_refused(triples, tmp_path):
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full/mine.txt').write_text('mine')
    with pytest.raises(UserError, match='holds something'):
        export_snapshot(triples, 'jsonl', tmp_path / 'full')
    with pytest.raises(UserError, match='expected one of trl, ms-swift'):
        export_snapshot(triples, 'other', tmp_path / 'o')
    (tmp_path / 'empty').mkdir()
    assert export_snapshot(triples, 'jsonl', tmp_path / 'empty')['rows'] == 5


def test_a_failed_export_leaves_nothing(triples, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr('pipelines.snapshot.exports.parts.Export._save', full)
    with pytest.raises(UserError, match=r'the disk is full \(ENOSPC\)'):
        export_snapshot(triples, 'jsonl', tmp_path / 'out')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['triples']


def late(number, words, *, asked=4):
    """Return a triple whose answers have so many words in common, behind a question of `asked` words."""
    said = ' '.join(['so'] * words)
    return triple(number, prompt=[says('user', ' '.join(['why'] * asked))], chosen=[says('assistant', f'{said} red')], rejected=[says('assistant', f'{said} blue')])


@pytest.mark.parametrize(
    ('target', 'rows', 'n', 'told'),
    [
        ('trl', [late(0, 700), late(1, 780), late(2, 1100)], 2, '1,024 tokens of text, where max_length cuts'),
        ('trl', [late(0, 700, asked=100)], 1, 'max_length'), ('llama-factory', [late(0, 1100), late(1, 1600)], 1, '2,048 tokens of text, where cutoff_len cuts'),
        ('jsonl', [late(0, 1100)], 1, '1,024 tokens'), ('webdataset', [late(0, 1100)], 1, '1,024 tokens'), ('trl', [late(0, 100)], 0, ''), ('ms-swift', [late(0, 1100)], 0, ''),
    ],
)
def test_answers_that_a_trainer_would_cut_before_they_differ_are_told(tmp_path, capsys, target, rows, n, told):
    counts = export_snapshot(seal_rows(tmp_path / 's', 'triples', rows), target, tmp_path / 'out')
    assert counts['differ_late'] == n
    page = (tmp_path / 'out/README.md').read_text()
    assert told in page
    assert ('triples.differ_within' in page) == (n > 0)
    assert capsys.readouterr().out.count('differ only behind') == (n > 0)
    assert json.loads((tmp_path / 'out/export.json').read_text()).get('differ_late', 0) == n


def test_a_mix_has_no_sides_that_could_differ_late(mix, tmp_path):
    assert 'differ_late' not in export_snapshot(mix, 'trl', tmp_path / 'out')
def test_a_system_text_stays_in_front_in_every_export(tmp_path):
    asked = [says('system', 'Be brief.'), says('user', '<image>', 'Why?')]
    kinds = {'triples': triple(0, images=[RED], prompt=asked), 'mix': sample(0, images=[RED], messages=[*asked, says('assistant', 'So.')])}
    for kind, row in kinds.items():
        snapshot = seal_rows(tmp_path / kind, kind, [row])
        for target in TARGETS:
            export_snapshot(snapshot, target, tmp_path / kind / target)
        column = 'prompt' if kind == 'triples' else 'messages'
        folder = tmp_path / kind
        (shown,), (swift,), (factory,) = rows_of(next((folder / 'trl' / 'data').iterdir())), rows_of(folder / 'ms-swift/train.parquet'), rows_of(folder / 'llama-factory/train.parquet')
        assert shown[column][0] == says('system', 'Be brief.')
        assert swift['messages'][:2] == [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': '<image>\nWhy?'}]
        assert factory['conversations'][:2] == [{'from': 'system', 'value': 'Be brief.'}, {'from': 'human', 'value': '<image>\nWhy?'}]
        assert lines(folder / 'jsonl/train.jsonl')[0][column][0]['role'] == 'system'
        (packed,) = webdataset.WebDataset(str(folder / 'webdataset/train-000000.tar'), shardshuffle=False)
        assert json.loads(packed['json'])[column][0]['role'] == 'system'


@pytest.mark.parametrize(('number', 'advice'), [(errno.EFBIG, 'raise the limit'), (errno.EDQUOT, 'the quota on this disk is used up'), (errno.EIO, 'the disk fails')])
def test_a_refusal_of_the_disk_is_told_by_its_number(tmp_path, monkeypatch, number, advice):
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr('pipelines.snapshot.exports.export._write', refused)
    with pytest.raises(UserError, match=advice):
        export_snapshot(seal_rows(tmp_path / 'mix', 'mix', SAMPLES, []), 'jsonl', tmp_path / 'out')
