import os
import shutil

import pytest
from PIL import Image

from pipelines.engine import written
from pipelines.look.explain import TILE_PX, explain
from schemas.errors import UserError
from schemas.publish import publish_checked, read_checked
from tests.damage import DAMAGE
from tests.pipelines.mix.mixes import build
from tests.programmes.project import rows_of, write_project
from tests.promises import promise
from tests.test_front_door import the_object


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('small')
    project = write_project(folder)
    copy = Image.open(project.root / 'charts/imgs/c4.jpg').resize((48, 48))  # a smaller copy of a chart, as a photo's file
    copy.save(project.root / 'shapes/imgs/s29.png')
    build(project, folder / 'out', folder / 'work', 'duplicates.photo_bits=12', 'duplicates.document_bits=12')
    return folder


def test_a_sample_that_is_in_says_where_and_shows_its_picture(made, tmp_path):
    lines = explain('shapes/shapes/shapes.json#0/0', made / 'work', tmp_path / 'a.png')
    assert lines[0].startswith('sample shapes/shapes/shapes.json#0/0 (source shapes, licence MIT): in: split ')
    assert lines[2] == '  star: none, it has no near-duplicate'
    assert Image.open(tmp_path / 'a.png').width == TILE_PX


@pytest.mark.parametrize(('name', 'why'), [
    ('shapes/shapes/shapes.json#30/0', 'out: DUPLICATE_SAMPLE: same question, answer and pictures as shapes/shapes/shapes.json#3/0'),
    ('shapes/shapes/shapes.json#32/0', 'out: BAD_IMAGE: shapes/imgs/missing.png: IMAGE_MISSING'),
    ('shapes/shapes/shapes.json#2/0', 'stands in benchmark little-bench, item b0, by image+question'),
    ('facts/facts/facts.json#5/0', 'stands in benchmark little-bench, item b1, by text'),
    ('facts/facts/facts.json#5/0', 'question overlap 1.0, answer overlap 1.0)'),
    ('shapes/shapes/shapes.json#36/0', 'EMPTY_ANSWER'),
    ('shapes/imgs/cut.png', 'image shapes/imgs/cut.png: out at step images: IMAGE_TRUNCATED'),
    ('shapes/shapes/shapes.json#35', 'IMAGE_COUNT_MISMATCH'),
])  # fmt: skip
def test_what_is_out_says_why(made, tmp_path, name, why):
    assert why in '\n'.join(explain(name, made / 'work', tmp_path / 'a.png'))


def test_an_image_says_its_samples_by_id_by_the_start_of_it_and_by_either_name(made, tmp_path):
    image_id = next(row['image_ids'][0] for row in rows_of(made / 'out/mix') if row['sample_id'] == 'shapes/shapes/shapes.json#3/0')
    whole = explain(image_id, made / 'work', tmp_path / 'a.png')
    assert any(line.startswith('  in sample shapes/shapes/shapes.json#3/0: in') for line in whole)
    assert any(line.startswith('  in sample shapes/shapes/shapes.json#30/0: out: DUPLICATE_SAMPLE') for line in whole)
    for name in (image_id[:8], 'shapes/imgs/s3.png', 'shapes/imgs/copy.png'):
        assert explain(name, made / 'work', tmp_path / 'a.png') == whole


def test_a_star_is_shown_with_its_distances_survivor_first(made, tmp_path):
    lines = explain('shapes/imgs/s29.png', made / 'work', tmp_path / 'a.png')
    survivor = explain('charts/imgs/c4.jpg', made / 'work', tmp_path / 'b.png')
    assert 'star: of 2, this is a member' in lines[1]
    assert 'star: of 2, this is its survivor' in survivor[1]
    assert 'bits, charts/imgs/c4.jpg' in lines[2]
    assert Image.open(tmp_path / 'a.png').size == Image.open(tmp_path / 'b.png').size
    assert Image.open(tmp_path / 'a.png').width == 2 * TILE_PX


def test_the_same_as_json_every_key_of_it_documented(front, made, tmp_path):
    def told(identifier: str) -> dict:
        return the_object(front('explain', identifier, '--build', made / 'out', '--work', made / 'work', '--png', tmp_path / 'a.png', '--json'), 'explain')

    star = told('shapes/imgs/s29.png')
    assert star['sample'] is None
    assert star['images'][0]['near_duplicates'][0]['ref'] == 'charts/imgs/c4.jpg'
    assert star['images'][0]['survivor'] == star['images'][0]['near_duplicates'][0]['image_id'] != star['images'][0]['image_id']
    assert star['lines'] == explain('shapes/imgs/s29.png', made / 'work', tmp_path / 'a.png')
    copy = told('shapes/shapes/shapes.json#30/0')
    assert copy['sample']['decision'] == {'in': False, 'reason': 'DUPLICATE_SAMPLE', 'detail': 'same question, answer and pictures as shapes/shapes/shapes.json#3/0'}
    assert [sample['decision']['in'] for sample in copy['images'][0]['samples']] == [True, False, True]
    hit = told('shapes/shapes/shapes.json#2/0')
    assert hit['sample']['contamination']['bench'] == hit['images'][0]['benchmark_hits'][0]['bench'] == 'little-bench'
    text = told('facts/facts/facts.json#1/0')
    assert (text['images'], text['png'], text['sample']['decision']['in']) == ([], None, True)
    lost = told('shapes/imgs/cut.png')
    assert [(row['unit'], row['reason'], row['step']) for row in lost['rejections']] == [('image', 'IMAGE_TRUNCATED', 'images')]
    assert (lost['sample'], lost['images'], lost['png']) == (None, [], None)


def test_an_unknown_id_and_a_cleaned_build_are_told_apart(made, tmp_path):
    with pytest.raises(UserError, match='expected the id of an image .* found none of that name'):
        explain('nothing/at#1/0', made / 'work', tmp_path / 'a.png')
    with pytest.raises(UserError, match='found none of that name'):
        explain('ab', made / 'work', tmp_path / 'a.png')
    with pytest.raises(UserError, match='expected the tables of a finished mix.*cleaned'):
        explain('nothing/at#1/0', tmp_path / 'work', tmp_path / 'a.png')
    assert not (tmp_path / 'a.png').exists()


def test_a_picture_that_is_gone_is_said_to_be(made, tmp_path):
    shutil.copytree(made / 'work', tmp_path / 'work')
    (note,) = (tmp_path / 'work/builds').iterdir()
    told = read_checked(note)
    told['about']['store']['roots'] = {}
    publish_checked(note, told)
    lines = explain('shapes/imgs/s3.png', tmp_path / 'work', tmp_path / 'a.png')
    assert lines[-1].endswith('a.png')
    assert (tmp_path / 'a.png').is_file()


DAMAGED = ('removed', 'zeroed at its end', 'with a flipped bit')
LOOKED_INTO = ('index', 'stars', 'samples', 'image_facts', 'features', 'plan', 'pairs', 'bench_hits')


@promise('Damaged files', 'Whoever looks into a working folder in which a table is damaged reads a sentence, never a traceback',
         tables=len(LOOKED_INTO), kinds_of_damage=len(DAMAGED))  # fmt: skip
def test_a_damaged_table_is_a_sentence_and_no_traceback(made, tmp_path, monkeypatch):
    monkeypatch.setattr(written, 'ENDS_BYTES', 64)  # so that a flipped bit in the middle is met by who reads it
    for name in LOOKED_INTO:
        for kind in DAMAGED:
            shutil.copytree(made / 'work', tmp_path / 'work', copy_function=os.link)
            path = next(path for path in sorted((tmp_path / 'work' / name).rglob('*')) if path.suffix in ('.parquet', '.npy') and path.stat().st_size > 500)
            DAMAGE[kind](path)
            try:
                lines = explain('shapes/imgs/s3.png', tmp_path / 'work', tmp_path / 'a.png', made / 'out')
            except UserError as e:
                assert 'phantom build' in str(e)  # noqa: PT017
            else:
                assert kind == 'with a flipped bit', (name, kind)
                assert lines[0].startswith('image ')
            shutil.rmtree(tmp_path / 'work')
