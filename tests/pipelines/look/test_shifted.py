"""`validate --deep` reads a source as a build does and says whether its annotations belong to their pictures."""

import json

import numpy as np
import pytest
from PIL import Image

from curation.texts.alignment import Alignment
from pipelines.look.shifted import as_json, look_at_alignment, told
from schemas.recipe import Recipe

COLOURS = {'red': (200, 30, 30), 'green': (30, 180, 40), 'blue': (30, 40, 200), 'yellow': (220, 210, 40)}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """150 pictures of one colour each; annotations with one question a picture, in their place and one picture off."""
    folder, rng = tmp_path_factory.mktemp('shifted'), np.random.default_rng(0)
    names = rng.choice(sorted(COLOURS), 150).tolist()
    for at, name in enumerate(names):
        pixels = np.clip(rng.normal(COLOURS[name], 20, (16, 16, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f'{at}.png')
    for file, lag in (('right', 0), ('off', 1)):
        turns = [[{'from': 'human', 'value': f'<image>\nWhat is the colour of thing {at}?'}, {'from': 'gpt', 'value': names[(at + lag) % 150]}] for at in range(150)]
        (folder / f'{file}.json').write_text(json.dumps([{'image': f'{at}.png', 'conversations': said} for at, said in enumerate(turns)]))
    return folder


@pytest.mark.integration
def test_annotations_that_are_one_picture_off_are_told_and_those_in_their_place_are_not(root):
    source = {'format': 'llava', 'licence': 'MIT', 'images': ['.']}
    sources = {name: {**source, 'annotations': [f'{name}.json']} for name in ('right', 'off')}
    recipe = Recipe.model_validate({'name': 'r', 'sources': sources})
    right, off = (look_at_alignment(name, recipe, root) for name in sources)
    assert told(right).startswith('texts belong to their pictures (150 pictures')
    assert told(off).startswith('THE ANNOTATIONS LOOK SHIFTED: pictures fit the texts 1 picture(s) earlier in the file (')
    assert (as_json(off)['shifted'], as_json(off)['lag'], as_json(right)['shifted']) == (True, -1, False)


@pytest.mark.parametrize(('found', 'said'), [
    (None, 'not looked at'), (Alignment(200, 0.3, 2, 9.0, 0.1, 1e-6, 0.5), '2 picture(s) later in the file, from 50% of what was looked at on (9.0), not their own'),
    (Alignment(200, 0.3, 2, 9.0, 0.1, 1e-6), 'chance gives in less than 1 of 1,000 sources'), (Alignment(200, 0.3, 2, 9.0, 0.1, 0.01), 'cannot be told'),
    (Alignment(200, 8.0, 2, 9.0, 0.9, 1.0), 'cannot be told'), (Alignment(200, 8.0, 0, 8.0, 1.0, 1.0), 'texts belong to their pictures'),
])  # fmt: skip
def test_what_is_said(found, said):
    assert said in told(found)
