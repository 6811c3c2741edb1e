"""The model sees what curation saw: of every stored form, whoever is shown a picture is shown the same pixels."""

import base64
import hashlib
import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from curation.pictures.confirm import open_to_compare
from curation.pictures.edits import edit
from curation.pictures.images import ImageFacts, ImageLimits, inspect_image
from model.phantom.processor import PhantomProcessor
from model.phantom.tiling import decode_image, normalise, split_tiles
from pipelines.chat.requests import make_request, prepare_image, wire_body
from pipelines.snapshot.inline_picture import for_browser, inline_picture
from tests.curation.drawn import encoded, photo
from tests.zoo import SCENE, STORED, ZOO, exif_of, icon, opened, stored

TILES = SimpleNamespace(tile_px=32, min_tiles=1, max_tiles=6, use_thumbnail=True)


def of_data_url(url: str) -> np.ndarray:
    return opened(base64.b64decode(url.partition(',')[2]))


def sent(data: bytes, max_px: int = 1344) -> np.ndarray:
    """What a server decodes from the request that is sent to it."""
    image = prepare_image(data, hashlib.sha256(data).hexdigest(), max_px)
    question = {'role': 'user', 'content': [{'type': 'image_url', 'image_url': {'url': 'image:0'}}, {'type': 'text', 'text': '?'}]}
    body = wire_body(make_request([question], model='m', revision='r', settings={}, images=[image]), 'm')
    return of_data_url(body['messages'][0]['content'][0]['image_url']['url'])


@pytest.mark.parametrize('name', ZOO)
def test_curation_judge_gallery_trainer_and_ask_see_the_same_pixels(name):
    data = ZOO[name][0]
    seen = {
        'curation': open_to_compare(data), 'judge': sent(data), 'gallery': opened(for_browser(data)[1]), 'page': of_data_url(inline_picture(data)),
        'trainer': decode_image(data),
    }  # fmt: skip
    for who, pixels in seen.items():
        assert np.array_equal(np.asarray(pixels), np.asarray(seen['curation'])), who
    tiles = PhantomProcessor.tile(TILES, data)  # what `train`, `ask` and `eval` cut a picture into
    expected = normalise(split_tiles(seen['curation'], tile=32, min_tiles=1, max_tiles=6, thumbnail=True))
    assert torch.equal(tiles, expected)
    with Image.open(io.BytesIO(data)) as image:
        assert torch.equal(PhantomProcessor.tile(TILES, image), expected), 'a picture that somebody opened already'


@pytest.mark.parametrize('name', ZOO)
def test_what_is_hashed_is_that_picture(name):
    """Within 1 of 64 bits where it was kept as JPEG: that one is hashed from its brightness, as it is stored."""
    data = ZOO[name][0]
    facts, shown = inspect_image(data, ImageLimits()), inspect_image(encoded(open_to_compare(data)), ImageLimits())
    assert isinstance(facts, ImageFacts)
    assert isinstance(shown, ImageFacts)
    assert (facts.phash64 ^ shown.phash64).bit_count() <= (2 if name.endswith('jpg') else 0)
    assert np.abs(np.frombuffer(facts.thumb, np.uint8).astype(int) - np.frombuffer(shown.thumb, np.uint8)).max() <= (3 if name.endswith('jpg') else 0)


@pytest.mark.parametrize('px', [95, 96])
def test_a_pixel_more_or_less_than_the_bound_changes_nothing_but_the_size(px):
    """The longer side is 96: at 96 it is sent as it is, at 95 made smaller."""
    for name in ('exif-6.jpg', '16.png', 'clear.png', 'clear-palette.png', 'float.tif'):
        whole = open_to_compare(ZOO[name][0])
        found = sent(ZOO[name][0], px)
        expected = whole if px == 96 else whole.resize((found.shape[1], found.shape[0]), Image.Resampling.LANCZOS)
        assert np.array_equal(found, np.asarray(expected)), name


def test_a_large_turned_picture_is_shown_small_and_upright():
    data = encoded(stored(6, photo(1, (1500, 1000))), 'PNG', exif=exif_of(6))
    assert open_to_compare(data).size == (1024, 683)
    assert of_data_url(inline_picture(data)).shape == (683, 1024, 3)
    assert sent(data).shape == (896, 1344, 3)
    assert STORED[6] == Image.Transpose.ROTATE_90


def test_an_edited_copy_is_made_of_that_picture():
    for name in ('exif-6.jpg', 'clear.png', '16-small.png'):
        copy = np.asarray(decode_image(edit(ZOO[name][0], 'jpeg_q60', 'x')), int)
        assert np.abs(copy - np.asarray(open_to_compare(ZOO[name][0]), int)).mean() < 12


def test_of_a_white_icon_nobody_sees_anything():
    assert np.asarray(decode_image(icon())).min() == sent(icon()).min() == 255
    assert np.asarray(decode_image(icon(0))).min() == 0
    assert SCENE.size == (96, 64)
