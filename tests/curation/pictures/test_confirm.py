import io

import numpy as np
import pytest
from PIL import Image

from curation.pictures.confirm import open_to_compare, same_colours, same_picture, same_pixels
from curation.pictures.edits import edit
from curation.pictures.images import ImageFacts, ImageLimits, inspect_image
from tests.curation.drawn import chart, encoded, photo

BASE = encoded(chart())


def thumb(data: bytes) -> np.ndarray:
    found = inspect_image(data, ImageLimits())
    assert isinstance(found, ImageFacts)
    return np.frombuffer(found.thumb, np.uint8).reshape(1, -1)


def agree(a: bytes, b: bytes) -> bool:
    return same_pixels(open_to_compare(a), open_to_compare(b))


@pytest.mark.parametrize('name', ['copy', 'half', 'three_quarters', 'jpeg_q30', 'jpeg_q60'])
def test_a_re_encoded_or_resized_document_is_the_same(name: str):
    changed = edit(BASE, name, 'seed')
    assert agree(BASE, changed)
    assert same_picture(BASE, changed)
    assert same_picture(changed, BASE)


@pytest.mark.parametrize('other', [
    chart(title='Sales in 1981'), chart(title='Costs in 1987'), chart(heights=(30, 80, 61, 95, 20)),
    chart(colour=(214, 39, 40)), chart(heights=(30, 80, 55, 95, 28)),
])
@pytest.mark.parametrize('quality', [None, 40])
def test_one_digit_word_bar_or_colour_makes_another_document(other: Image.Image, quality: int | None):
    changed = encoded(other) if quality is None else encoded(other, 'JPEG', quality=quality)
    assert not agree(BASE, changed)
    assert not same_picture(BASE, changed)


def test_photos_are_the_same_by_colour_whatever_the_brightness():
    image = encoded(photo(4))
    assert same_picture(image, edit(image, 'brighter', 's'))
    assert same_picture(image, edit(image, 'jpeg_q30', 's'))
    swapped = Image.fromarray(np.ascontiguousarray(np.asarray(photo(4))[:, :, ::-1]))
    assert not same_picture(image, encoded(swapped))


def test_thumbnails_tell_colours_apart_many_at_a_time():
    red, blue = chart(colour=(214, 39, 40)), chart(colour=(31, 119, 180))
    q30 = thumb(encoded(red, 'JPEG', quality=30))
    several = np.concatenate([thumb(encoded(red)), thumb(encoded(blue)), q30])
    assert same_colours(several, thumb(encoded(red))).tolist() == [True, False, True]


def test_documents_of_another_shape_are_not_the_same():
    wide = encoded(chart().resize((640, 400)))
    assert not agree(BASE, wide)


def test_tiny_pictures_are_compared_without_error():
    small = io.BytesIO()
    Image.new('RGB', (14, 15), 'white').save(small, 'PNG')
    assert agree(small.getvalue(), small.getvalue())
