"""Of pictures that nothing was lost of, a redrawn dot or a duller line is told; what an encoder or a resizing changed is none."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from curation.pictures.aligned import same_under_a_map
from curation.pictures.confirm import open_to_compare
from curation.pictures.registered import Looked
from curation.pictures.sharp import laid_exactly, lost_nothing
from tests.curation.drawn import encoded

TURNS = [None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180]


def drawing(dot: str = '#064a12', line: str = '#c87137') -> Image.Image:
    image = Image.new('RGB', (160, 120), '#e6f9f0')
    draw = ImageDraw.Draw(image)
    draw.rectangle((90, 40, 93, 43), fill=dot)
    draw.line([(20, 90), (50, 30), (70, 80), (140, 95)], fill=line, width=1)
    return image


def looked(picture: Image.Image, turn: Image.Transpose | None = None) -> Looked:
    return Looked(open_to_compare(encoded(picture.transpose(turn) if turn is not None else picture)))


@pytest.mark.parametrize('turn', TURNS)
def test_a_dot_or_a_duller_line_makes_another_drawing(turn):
    one = looked(drawing())
    assert same_under_a_map(one, looked(drawing(), turn))
    assert not same_under_a_map(one, looked(drawing(dot='#541a66'), turn))
    assert not same_under_a_map(one, looked(drawing(line='#a08468'), turn))


def told(a: Looked, b: Looked, to_b: np.ndarray) -> bool:
    laid = laid_exactly(a, b, to_b)
    return laid is not None and lost_nothing(a.pixels.astype(np.float32) - laid[0], laid[1])


@pytest.mark.parametrize('quality', [30, 60, 90])
def test_what_jpeg_changed_is_not_redrawn(quality):
    out = io.BytesIO()
    drawing().save(out, 'JPEG', quality=quality)
    assert not told(looked(drawing()), Looked(open_to_compare(out.getvalue())), np.eye(3)[:2])
    assert told(looked(drawing()), looked(drawing(dot='#541a66')), np.eye(3)[:2])


def test_a_mild_change_of_all_colours_is_none_though_nothing_was_lost():
    one = drawing(line='#a05020')
    stronger = Image.fromarray(np.clip((np.asarray(one).astype(float) - 230) * 1.12 + 230, 0, 255).astype(np.uint8))
    assert same_under_a_map(looked(one), looked(stronger))
    assert same_under_a_map(looked(one), looked(one.convert('L').convert('RGB')))


@pytest.mark.parametrize('shrunk', [2, 3])
def test_two_filters_that_shrink_a_drawing_make_one_picture(shrunk):
    image = Image.new('RGB', (1800, 1200), 'white')
    draw = ImageDraw.Draw(image)
    for at in range(10):
        draw.line([(100 + 160 * at, 100), (100 + 160 * at, 1100)], fill='black', width=7)
        draw.line([(100, 100 + 105 * at), (1700, 100 + 105 * at)], fill='#2040c0', width=5)
    size = 1800 // shrunk, 1200 // shrunk
    assert same_under_a_map(*(looked(image.resize(size, each)) for each in (Image.Resampling.BOX, Image.Resampling.BILINEAR)))


def test_a_map_that_is_no_turn_to_the_pixel_is_not_looked_at():
    one, other, still = looked(drawing()), looked(drawing(dot='#541a66')), np.eye(3)[:2]
    assert told(one, other, still + [[0.001, 0, 0.2], [0, 0, -0.2]])
    for off in ([[0.05, 0, 0], [0, 0, 0]], [[0.012, 0, 0], [0, 0, 0]], [[0, 0.03, 0], [0, 0, 0]]):
        assert not told(one, other, still + off)
    assert not told(one, looked(drawing().resize((80, 60))), np.array([[0.5, 0, 0], [0, 0.5, 0]]))
