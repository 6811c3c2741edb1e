import io

import pytest
from PIL import Image

from curation.pictures.edits import EDITS, FOUND, edit
from curation.pictures.images import ImageFacts, ImageLimits, inspect_image
from tests.curation.drawn import encoded, photo

IMAGE = encoded(photo(0, size=(200, 120)))


def opened(name: str, seed: str = 's') -> Image.Image:
    return Image.open(io.BytesIO(edit(IMAGE, name, seed)))


def distance(a: bytes, b: bytes) -> int:
    one, other = (inspect_image(data, ImageLimits()) for data in (a, b))
    assert isinstance(one, ImageFacts)
    assert isinstance(other, ImageFacts)
    return (one.phash64 ^ other.phash64).bit_count()


@pytest.mark.parametrize('name', EDITS)
def test_equal_arguments_give_equal_bytes_and_only_a_copy_is_the_original(name: str):
    assert edit(IMAGE, name, 'a') == edit(IMAGE, name, 'a')
    assert (edit(IMAGE, name, 'a') == IMAGE) == (name == 'copy')


@pytest.mark.parametrize(('name', 'size'), [
    ('half', (100, 60)), ('three_quarters', (150, 90)), ('crop_10', (180, 108)), ('pad', (240, 144)),
    ('rotate_90', (120, 200)), ('jpeg_q30', (200, 120)),
])
def test_sizes(name: str, size: tuple[int, int]):
    assert opened(name).size == size


def test_a_crop_lies_where_the_seed_says():
    assert edit(IMAGE, 'crop_20', 'a') != edit(IMAGE, 'crop_20', 'b')


@pytest.mark.parametrize('name', FOUND)
def test_the_edits_that_must_be_found_keep_the_hash(name: str):
    assert distance(IMAGE, edit(IMAGE, name, 's')) <= 7


@pytest.mark.parametrize('name', ['flip', 'rotate_90'])
def test_a_hash_does_not_see_flips_and_rotations(name: str):
    assert distance(IMAGE, edit(IMAGE, name, 's')) > 7


def test_an_unknown_edit_is_an_error():
    with pytest.raises(KeyError):
        edit(IMAGE, 'melt', 's')
