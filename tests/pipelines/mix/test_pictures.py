"""Builds whose pictures are stored in every way that people store pictures."""

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from curation.pictures.images import ImageFacts, ImageLimits, inspect_image
from pipelines.look.validate import validate_sources
from pipelines.mix.picture_canaries import is_faint
from schemas.errors import UserError
from schemas.pixels import read_rgb
from schemas.recipe import load_recipe
from schemas.snapshot import Snapshot
from tests.curation.drawn import encoded, photo
from tests.pipelines.mix.mixes import build
from tests.programmes.project import Project, rows_of
from tests.zoo import icon, in_16_bits, in_float


def project(folder: Path, pictures: dict[str, bytes], *, images: tuple[str, ...] = ('imgs',)) -> Project:
    """Write a project of one source that asks something about each picture, and a benchmark of one item."""
    root = folder / 'data'
    (root / 'imgs').mkdir(parents=True)
    (root / 'bench').mkdir()
    for name, data in pictures.items():
        (root / 'imgs' / name).write_bytes(data)
    rows = [{'image': name, 'conversations': [{'from': 'human', 'value': f'<image>\nWhat does the sheet called {name} show in its middle?'},
                                              {'from': 'gpt', 'value': f'the figure of {name}'}]} for name in pictures]
    (root / 'a.json').write_text(json.dumps(rows))
    (root / 'bench/items.jsonl').write_text(json.dumps({'id': 'b', 'question': 'Who was never asked anything here?', 'answer': 'nobody', 'image': 'b.png'}))
    (root / 'bench/b.png').write_bytes(encoded(photo(999, (160, 160))))
    recipe = {'name': 'p', 'sources': {'s': {'format': 'llava', 'annotations': ['a.json'], 'images': [*images], 'licence': 'MIT'}},
              'contamination': {'benchmarks': [{'name': 'b', 'path': 'bench'}]}}
    (folder / 'recipe.yaml').write_text(yaml.safe_dump(recipe))
    return Project(root, folder / 'recipe.yaml')


def grey(seed: int) -> np.ndarray:
    return np.asarray(photo(seed, (160, 140)).convert('L'))


def float_picture(seed: int, odd: float) -> bytes:
    values = grey(seed) / 255
    values[3, 3] = odd
    return in_float(values)


def ordinary(n: int) -> dict[str, bytes]:
    return {f'p{i}.png': encoded(photo(i, (170, 150))) for i in range(n)}


def reasons(mix: Snapshot) -> Counter:
    return Counter((row['unit'], row['reason']) for row in rows_of(mix.path, 'rejections'))


def test_pictures_that_looked_alike_in_their_stored_bands_are_told_apart_and_white_icons_are_blank(tmp_path):
    odd = {
        **{f'icon{i}.png': icon_of(i) for i in range(7)},
        **{f'small{i}.png': in_16_bits(grey(100 + i)) for i in range(7)},
        **{f'outlier{i}.tif': float_picture(200 + i, 1e30) for i in range(7)},
        **{f'nan{i}.tif': float_picture(300 + i, np.nan) for i in range(7)},
        **{f'even{i}.png': encoded(Image.new('RGBA', (80 + i, 80), (200, 0, 0, 10 * i))) for i in range(7)},
    }
    mix, _ = build(project(tmp_path, {**ordinary(45), **odd}), tmp_path / 'out', tmp_path / 'work')
    assert reasons(mix) == {('image', 'IMAGE_BLANK'): 14, ('sample', 'BAD_IMAGE'): 14}
    kept = rows_of(mix.path)
    assert len(kept) == 45 + 21
    assert len({row['cluster_ids'][0] for row in kept}) == 66, 'no two of them are near-duplicates'
    small = next(row for row in kept if 'small3.png' in row['messages'][-1]['content'][0]['text'])
    assert np.array_equal(np.asarray(read_rgb(small['images'][0]['bytes']))[..., 0], grey(103)), 'what a trainer decodes from the snapshot'
    told = {row['id']: row['detail'] for row in rows_of(mix.path, 'rejections') if row['unit'] == 'image'}
    assert told['s/icon3.png'] == 'one colour: (255, 255, 255), as the PNG of mode RGBA is shown: upright RGB on white'


def icon_of(i: int) -> bytes:
    """A white icon, each of another shape: equal for whoever sees them, different bytes."""
    rgba = np.zeros((96, 96, 4), np.uint8)
    rgba[..., :3] = 255
    rgba[10 + i:50 + 3 * i, 20:60 + 4 * i, 3] = 255
    return encoded(Image.fromarray(rgba))


def faint(seed: int) -> bytes:
    """A picture whose tones differ by a few levels of 255: not blank, and nothing of it outlives a JPEG."""
    values = np.asarray(photo(seed, (160, 160)).convert('L'), float)
    return encoded(Image.fromarray(np.rint(230 + (values - values.mean()) / values.std()).astype(np.uint8)))


def test_faint_pictures_stop_no_build(tmp_path):
    """A hash cannot tell them after re-encoding; thirty among seventy stopped the build before."""
    pictures = {f'faint{i}.png': faint(i) for i in range(30)}
    assert all(isinstance(facts := inspect_image(data, ImageLimits()), ImageFacts) and is_faint(data, facts.thumb) for data in pictures.values())
    mix, _ = build(project(tmp_path, {**ordinary(40), **pictures}), tmp_path / 'out', tmp_path / 'work')
    planted = {entry['kind']: entry['planted'] for entry in mix.manifest['canaries']}
    assert (planted['copy'], planted['jpeg_q30'], planted['half']) == (64, 40, 40)
    assert len(rows_of(mix.path)) == 70


def test_ordinary_pictures_are_not_faint():
    for data in (*ordinary(3).values(), icon(0), in_16_bits(grey(1))):
        facts = inspect_image(data, ImageLimits())
        assert not is_faint(data, facts.thumb)


def test_a_canary_that_is_not_found_names_the_pictures_and_what_would_find_them(tmp_path):
    blind = ('contamination.image_bits=0', 'contamination.image_bits_256=0')
    with pytest.raises(UserError) as told:
        build(project(tmp_path, ordinary(20)), tmp_path / 'out', tmp_path / 'work', *blind)
    message = str(told.value)
    assert 'jpeg_q30' in message
    named = message.partition('pictures missed: ')[2]
    assert named.startswith('s/p'), message
    assert 'bits, ' in named
    assert 'image_bits ' in named
    found = tuple(word.replace(',', '') for word in named.partition('; image_bits ')[2].split()[:4:3])
    mended = (f'contamination.image_bits={found[0]}', f'contamination.image_bits_256={found[1]}')
    mix, _ = build(project(tmp_path / 'again', ordinary(20)), tmp_path / 'again/out', tmp_path / 'again/work', *mended)
    assert not [entry for entry in mix.manifest['canaries'] if entry['must'] and entry['found'] < entry['planted']], 'the advice helps'


def test_noise_that_no_bits_would_find_is_to_be_left_out_by_the_names_that_are_told(tmp_path):
    rng = np.random.default_rng(5)
    noise = {f'noise{i}.png': encoded(Image.fromarray(rng.integers(96, 160, (240, 320), dtype=np.uint8))) for i in range(20)}
    with pytest.raises(UserError, match=r'pictures missed: s/noise\d+\.png .*images\.placeholder_ids'):
        build(project(tmp_path, {**ordinary(20), **noise}), tmp_path / 'out', tmp_path / 'work')


def linked(folder: Path, images: tuple[str, ...] = ('imgs',)) -> Project:
    """A project whose pictures are links into another folder, as the Hub's cache has them."""
    made = project(folder, ordinary(12), images=images)
    (made.root / 'blobs').mkdir()
    for path in sorted((made.root / 'imgs').iterdir()):
        path.rename(made.root / 'blobs' / path.stem)
        os.symlink(f'../blobs/{path.stem}', path)
    return made


def test_links_into_a_folder_that_the_recipe_names_are_built(tmp_path, capsys):
    made = linked(tmp_path, images=('imgs', 'blobs'))
    assert validate_sources(load_recipe(made.recipe), made.root)
    mix, _ = build(made, tmp_path / 'out', tmp_path / 'work')
    assert len(rows_of(mix.path)) == 12


def test_links_that_lead_out_are_told_before_a_build_begins(tmp_path, capsys):
    made = linked(tmp_path)
    assert not validate_sources(load_recipe(made.recipe), made.root)
    assert f'links that lead out of their image root, such as p0.png into {made.root / "blobs"}; name that folder under `images`' in ' '.join(
        capsys.readouterr().out.split())
    with pytest.raises(UserError, match='links that lead out of their image root'):
        build(made, tmp_path / 'out', tmp_path / 'work')
