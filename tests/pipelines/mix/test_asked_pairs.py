"""However common a question is, few pairs are opened for it, the likeliest first, and the rest is counted."""

import numpy as np
import pytest
from PIL import Image

from curation.pictures.images import colour_thumb
from curation.pictures.reshaped import SHAPES, reshaped
from pipelines.mix import asked_pairs as module
from pipelines.mix.asked_pairs import IMAGES, PLACES, Tones, asked_pairs
from schemas.pixels import MOST_PIXELS, read_rgb
from tests.curation.pictures.test_copies import scene

BY_HASH = ('crop', 'border', 'letterbox', 'caption', 'recolour')  # they move the tones, and are found by the hash of a form


def thumbs(n: int, seed: int) -> np.ndarray:
    """Thumbnails of different mean and contrast."""
    rng = np.random.default_rng(seed)
    tones = rng.uniform(20, 235, (n, 1)) + rng.uniform(2, 60, (n, 1)) * rng.standard_normal((n, 192))
    return np.clip(tones, 0, 255).astype(np.uint8)


def thumb(rgb: Image.Image) -> np.ndarray:
    return np.frombuffer(colour_thumb(rgb), np.uint8)


def test_all_pairs_of_a_rare_question_are_opened():
    images, pictures = thumbs(10, 1), thumbs(3, 2)
    pairs = asked_pairs({4: {'a'}, 2: {'b', 'a'}, 7: {'c'}, 8: {'other'}}, {'a': [0, 2], 'b': [1, 2], 'c': [1]}, images, pictures)
    assert pairs.opened == {0: [2, 4], 1: [2, 7], 2: [2, 4]}
    assert pairs.shared == {0: 2, 1: 2, 2: 2}


def test_of_a_common_question_each_side_opens_its_nearest_and_all_pairs_are_counted():
    images, pictures = thumbs(3 * IMAGES, 3), thumbs(2 * PLACES, 4)
    pairs = asked_pairs({number: {'a'} for number in range(len(images))}, {'a': range(len(pictures))}, images, pictures)
    assert set(pairs.shared.values()) == {len(images)}
    apart = Tones.of(pictures).apart(images, np.arange(len(pictures)))
    of_image = {number: set(np.lexsort((np.arange(len(pictures)), apart[number]))[:PLACES].tolist()) for number in range(len(images))}
    for place in range(len(pictures)):
        able = [number for number in range(len(images)) if place in of_image[number]]
        assert pairs.opened.get(place, []) == sorted(sorted(able, key=lambda number: (apart[number, place], number))[:IMAGES])


def test_pairs_that_come_in_parts_are_those_of_the_whole(monkeypatch):
    images, pictures = thumbs(4 * IMAGES, 5), thumbs(PLACES + 9, 6)
    wanted = {number: {'a', f'b{number % 7}'} for number in range(len(images))}
    about = {'a': range(len(pictures) - 3), **{f'b{k}': [len(pictures) - 1 - k % 3] for k in range(7)}}
    whole = asked_pairs(wanted, about, images, pictures)
    monkeypatch.setattr(module, 'ROWS_AT_ONCE', 500)
    assert asked_pairs(dict(reversed(wanted.items())), about, images, pictures) == whole


def test_images_of_many_small_groups_are_ranked_too():
    images, pictures = thumbs(2 * IMAGES, 7), thumbs(1, 8)
    pairs = asked_pairs({number: {'a', f'own {number}'} for number in range(len(images))}, {'a': [0]}, images, pictures)
    apart = Tones.of(pictures).apart(images, np.zeros(1, int))[:, 0]
    assert len(pairs.opened[0]) == IMAGES
    assert max(apart[pairs.opened[0]]) <= min(np.delete(apart, pairs.opened[0]))


@pytest.mark.parametrize('kind', [kind for kind in SHAPES if kind not in BY_HASH])
def test_a_copy_is_among_the_likeliest_of_many(kind):
    others = [scene(seed) for seed in (91, 92, 93)]
    images = thumbs(5000, 9)
    images[77] = thumb(read_rgb(reshaped(scene(1), kind, 'x', others), max_pixels=MOST_PIXELS))
    pairs = asked_pairs({number: {'a'} for number in range(len(images))}, {'a': [0]}, images, thumb(scene(1))[None])
    assert 77 in pairs.opened[0]
