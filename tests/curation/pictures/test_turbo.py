"""The short way of a plain JPEG gives what the long way gives: the same facts, the same faults, whatever was done to its bytes."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curation.pictures import decoded, images
from curation.pictures.images import ImageFacts, ImageFault, ImageLimits, inspect_image
from curation.pictures.turbo import decode_turbo, scale_of
from schemas.plain_jpeg import plain_size
from tests.curation.drawn import chart, encoded, photo
from tests.zoo import ZOO, exif_of

LIMITS = ImageLimits()
FORMS: dict[str, dict] = {
    'plain': {'quality': 80}, 'all colours': {'quality': 80, 'subsampling': 0}, 'progressive': {'progressive': True}, 'optimized': {'optimize': True},
    'restarts': {'restart_marker_blocks': 4}, 'commented': {'comment': b'of a boat'}, 'with EXIF': {'exif': exif_of(1)}, 'coarse': {'quality': 20},
}  # fmt: skip
NOT_PLAIN = ('progressive', 'restarts', 'with EXIF')
PICTURES = {'photo': photo(3, (222, 171)), 'chart': chart(), 'small': photo(5, (64, 48)), 'large': photo(4, (437, 330))}


def by_pillow(data: bytes, monkeypatch: pytest.MonkeyPatch) -> ImageFacts | ImageFault:
    """Return what is found of a picture that Pillow opens and decodes."""
    with monkeypatch.context() as patched:
        patched.setattr(images, 'plain_size', lambda data: None)
        patched.setattr(decoded, 'decode_turbo', lambda data, size, scale=1: None)
        return inspect_image(data, LIMITS)


@pytest.mark.parametrize('form', FORMS)
def test_both_ways_find_the_same_facts(form, monkeypatch):
    for picture in PICTURES.values():
        data = encoded(picture, 'JPEG', **FORMS[form])
        assert plain_size(data) == (None if form in NOT_PLAIN else picture.size)
        assert inspect_image(data, LIMITS) == by_pillow(data, monkeypatch)


@pytest.mark.parametrize('form', FORMS)
def test_the_pixels_are_pillows_at_every_scale(form):
    for picture in PICTURES.values():
        data = encoded(picture, 'JPEG', **FORMS[form])
        for scale in (1, 2, 4, 8):
            with Image.open(io.BytesIO(data)) as image:
                image.draft(None, tuple(side // scale for side in image.size))
                pixels = np.asarray(image)
            found = decode_turbo(data, picture.size, scale)
            assert found is not None
            if found.size == pixels.shape[1::-1]:  # Pillow takes the next finer one where the sides are not whole
                assert (np.asarray(found)[..., :3] == pixels).all()
    assert [scale_of((640, side), 104) for side in (480, 427, 208, 207, 5)] == [4, 4, 2, 1, 1]


@settings(max_examples=60, deadline=None)
@given(form=st.sampled_from([*FORMS]), picture=st.sampled_from(['photo', 'small']), places=st.lists(st.floats(0, 1), max_size=3),
       cut=st.sampled_from([1.0, 1.0, 0.99, 0.5]), ended=st.booleans(), byte=st.sampled_from([0x00, 0xFF, 0xD8, 0xD9, 0xDA, 0xC0, 0xE1, 0x01]))
def test_damaged_ones_are_found_to_be_the_same(form, picture, places, cut, ended, byte):
    whole = encoded(PICTURES[picture], 'JPEG', **FORMS[form])
    data = bytearray(whole[: int(cut * len(whole))])
    for place in places:
        data[2 + int(place * (len(data) - 3))] = byte
    with pytest.MonkeyPatch.context() as patched:
        assert inspect_image(bytes(data) + b'\xff\xd9' * ended, LIMITS) == by_pillow(bytes(data) + b'\xff\xd9' * ended, patched)


@settings(max_examples=40, deadline=None)
@given(at=st.integers(2, 160), byte=st.integers(0, 255))
def test_damaged_headers_are_found_to_be_the_same(at, byte):
    data = bytearray(encoded(PICTURES['small'], 'JPEG'))
    data[at] = byte
    with pytest.MonkeyPatch.context() as patched:
        assert inspect_image(bytes(data), LIMITS) == by_pillow(bytes(data), patched)


def test_every_stored_form_is_seen_as_before(monkeypatch):
    for name, (data, _, _) in ZOO.items():
        assert inspect_image(data, LIMITS) == by_pillow(data, monkeypatch), name


def test_a_size_that_the_bytes_do_not_have_is_not_decoded(monkeypatch):
    monkeypatch.setattr('simplejpeg.decode_jpeg', None)
    assert decode_turbo(encoded(photo(3, (96, 64)), 'JPEG'), (64, 96)) is None


@pytest.mark.parametrize('error', [ValueError('Not enough memory'), RuntimeError('could not create JPEG decompress instance')])
def test_a_decoder_that_does_not_start_is_no_verdict_on_the_picture(monkeypatch, error):
    data = encoded(photo(3, (96, 64)), 'JPEG')
    expected = inspect_image(data, LIMITS)

    def refuse(*args, **options):
        raise error

    monkeypatch.setattr('simplejpeg.decode_jpeg', refuse)
    assert inspect_image(data, LIMITS) == expected
    assert isinstance(expected, ImageFacts)
