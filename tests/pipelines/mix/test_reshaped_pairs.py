"""Pictures of the mix that show each other in another shape are one star where the recipe asks for it."""

import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

from curation.pictures.expanded import expanded
from curation.pictures.images import ImageFacts, ImageLimits, inspect_image
from curation.pictures.registered import Looked
from curation.pictures.reshaped import reshaped
from pipelines.engine.engine import Engine
from pipelines.look.explain import explain
from pipelines.look.explain_json import explained
from pipelines.mix import reshaped_pairs
from pipelines.mix.duplicates import FindPairs, IndexHashes, MakeStars
from pipelines.mix.programme import Folders, build_mix
from pipelines.mix.reshaped_pairs import FindReshaped
from pipelines.sources.files import resolve
from schemas.errors import UserError
from schemas.recipe import load_recipe
from tests.curation.drawn import encoded
from tests.curation.pictures.test_copies import page, scene
from tests.pipelines.mix.mixes import indexed

PICTURES = {
    'whole': encoded(scene(1)), 'flip': encoded(ImageOps.mirror(scene(1)).resize((240, 180))), 'turn': reshaped(scene(1), 'rotate_90', 'x'),
    'crop': reshaped(scene(1), 'crop', 'x'), 'border': reshaped(scene(2), 'border', 'x'), 'within': encoded(scene(2).resize((300, 225))),
    'half': encoded(scene(2).resize((180, 135))), 'clean': encoded(scene(3)), 'page': encoded(page(3)),
    'word': encoded(ImageOps.flip(page(3, 'secret'))),
}  # fmt: skip


@pytest.fixture(scope='module')
def mix(tmp_path_factory):
    made = indexed(tmp_path_factory.mktemp('mix'), PICTURES)
    hashes = made.engine.run(IndexHashes(made.index))
    return made, hashes, made.engine.run(FindPairs(made.index, hashes, 7, 64, made.store))


def found(mix, *transforms: str) -> dict[frozenset[str], str]:
    made, hashes, pairs = mix
    names = [ref.removeprefix('s/') for ref in made.index.read(columns=['ref'])['ref'].to_pylist()]
    table = made.engine.run(FindReshaped(made.index, hashes, pairs, transforms, 7, 64, made.store))
    rows = [row for path in table.parts() for row in pq.read_table(path).to_pylist()]
    assert all(row['i'] < row['j'] for row in rows)
    return {frozenset((names[row['i']], names[row['j']])): row['how'] for row in rows}


def pairs(*names: str) -> set[frozenset[str]]:
    return {frozenset(pair.split('-')) for pair in names}


def test_each_transform_finds_its_own_and_nothing_else(mix):
    assert found(mix, 'flip') == {frozenset(('whole', 'flip')): 'mirrored, 0.67 x the size'}
    assert found(mix, 'turn').keys() == pairs('whole-turn')
    assert found(mix, 'crop').keys() == pairs('whole-crop')
    assert found(mix, 'border').keys() == pairs('border-within', 'border-half')
    assert found(mix, 'crop', 'flip').keys() >= pairs('whole-crop', 'whole-flip', 'crop-flip')


def test_pictures_whose_hash_tells_are_not_compared_again(mix):
    made, hashes, known = mix
    table = made.engine.run(FindReshaped(made.index, hashes, known, ('crop',), 7, 64, made.store))
    assert table.counts()['compared'] <= 2, 'the crop, and the page with another word at most'


def test_of_many_candidates_the_nearest_are_compared_and_the_rest_is_counted(mix, monkeypatch):
    monkeypatch.setattr(reshaped_pairs, 'COMPARED', 0)
    made, hashes, known = mix
    table = made.engine.run(FindReshaped(made.index, hashes, known, ('border', 'flip'), 7, 64, made.store))
    assert table.counts()['left'] > 0
    assert table.counts().get('compared', 0) == 0


def test_they_join_stars_behind_what_is_near_as_it_is(mix):
    made, hashes, known = mix
    table = made.engine.run(FindReshaped(made.index, hashes, known, ('border', 'crop', 'flip', 'turn'), 7, 64, made.store))
    stars = made.engine.run(MakeStars(made.index, known, 7, 64, 7, 64, (table,)))
    survivor = np.load(stars.path / 'survivor.npy')
    of = {name: int(survivor[made.number(name)]) for name in PICTURES}
    assert {name for name, star in of.items() if star == of['whole']} >= {'whole', 'flip', 'turn', 'crop'}
    assert of['border'] == of['within'] == of['half'] != of['whole']
    assert len({of['clean'], of['page'], of['word'], of['whole'], of['border']}) == 5
    assert stars.counts()['reshaped'] >= 4
    plain = made.engine.run(MakeStars(made.index, known, 7, 64, 7, 64))
    assert 'reshaped' not in plain.counts()
    assert plain.counts()['members'] == 1


@pytest.mark.parametrize(('transforms', 'changes'), [
    (('flip',), (ImageOps.mirror, ImageOps.flip)), (('turn',), tuple(lambda rgb, n=n: rgb.rotate(n, expand=True) for n in (90, 180, 270))),
    (('flip', 'turn'), (lambda rgb: rgb.transpose(Image.Transpose.TRANSPOSE), lambda rgb: rgb.transpose(Image.Transpose.TRANSVERSE))),
])  # fmt: skip
def test_forms_of_some_transforms_are_those_and_no_more(transforms, changes):
    mine = Looked(scene(6))
    forms = expanded(mine.rgb, mine.inside, transforms)
    assert len(forms.narrow) == {1: len(changes), 2: 7}[len(transforms)]
    for change in changes:
        facts = inspect_image(encoded(change(scene(6))), ImageLimits())
        assert isinstance(facts, ImageFacts)
        form = int(np.bitwise_count(forms.narrow ^ np.uint64(facts.phash64)).argmin())
        assert np.bitwise_count(forms.narrow[form] ^ np.uint64(facts.phash64)) <= 4
        corner = forms.to_other(form, mine.rgb.size, change(scene(6)).size) @ [0, 0, 1]
        at = np.asarray(change(scene(6)))[round(corner[1]), round(corner[0])]
        assert np.abs(at.astype(int) - np.asarray(scene(6))[0, 0].astype(int)).max() == 0


RECIPE = """
name: t
root: data
sources:
  s: {format: llava, annotations: [s.json], images: [imgs], licence: MIT}
"""


def test_a_build_tells_them_and_one_without_the_key_makes_no_table(tmp_path, capsys):
    root = tmp_path / 'data'
    (root / 'imgs').mkdir(parents=True)
    records = []
    for name in ('whole', 'flip', 'clean'):
        (root / f'imgs/{name}.png').write_bytes(PICTURES[name])
        records.append({'id': name, 'image': f'{name}.png', 'conversations': [{'from': 'human', 'value': '<image>\nWhat is it?'},
                                                                              {'from': 'gpt', 'value': 'a thing'}]})  # fmt: skip
    (root / 's.json').write_text(json.dumps(records))
    (tmp_path / 'r.yaml').write_text(RECIPE)

    def built(name: str, *sets: str):
        engine = Engine(tmp_path / 'work')
        return build_mix(resolve(load_recipe(tmp_path / 'r.yaml', sets), root), Folders(root, tmp_path / name), engine), engine.ran

    plain, ran = built('plain')
    assert not [name for name in ran if name.startswith('reshaped_pairs')]
    assert plain.manifest['duplicates'] == {'images': 3, 'members': 0, 'stars': 0}
    mix, ran = built('out', 'duplicates.transforms=[flip]')
    assert [name.partition(' ')[0] for name in ran][:3] == ['reshaped_pairs', 'stars', 'features']
    assert mix.manifest['duplicates'] == {'images': 3, 'members': 1, 'stars': 1, 'reshaped': 1}
    assert 'show a larger one of the mix in another shape (looked for: flip)' in (mix.path / 'README.md').read_text()
    assert '1 show the same picture' in capsys.readouterr().err
    rejected = [row for path in (mix.path / 'rejections').iterdir() for row in pq.read_table(path).to_pylist()]
    assert [row['reason'] for row in rejected] == ['DUPLICATE_SAMPLE']
    lines = explain('s/whole.png', tmp_path / 'work', tmp_path / 'x.png', tmp_path / 'out')
    assert any(re.search(r'in another shape \(mirrored, 0\.67 x the size\)', line) for line in lines), lines
    told = explained('s/whole.png', tmp_path / 'work', tmp_path / 'y.png', tmp_path / 'out')
    assert [near['reshaped'] for near in told['images'][0]['near_duplicates']] == ['mirrored, 0.67 x the size']


def test_contradictions_of_mirrored_pictures_are_not_dropped(tmp_path):
    (tmp_path / 'r.yaml').write_text(RECIPE)
    with pytest.raises(UserError, match=r'contradictions: expected flag beside duplicates\.transforms, found majority'):
        load_recipe(tmp_path / 'r.yaml', ['duplicates.transforms=[flip]', 'contradictions=majority'])
    with pytest.raises(UserError, match='transforms'):
        load_recipe(tmp_path / 'r.yaml', ['duplicates.transforms=[collage]'])
