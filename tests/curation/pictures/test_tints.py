"""Thin lines of another colour make another drawing, though JPEG spreads colours; and half of a drawing is not the whole of another."""

import io

import pytest
from PIL import Image, ImageDraw

from curation.pictures.aligned import same_under_a_map
from curation.pictures.confirm import open_to_compare
from curation.pictures.registered import Looked
from tests.curation.drawn import encoded

RED, BROWN, PINK, GREEN = (255, 0, 0), (165, 42, 42), (255, 200, 205), (0, 125, 20)  # red and brown are equally bright and of one hue
TOP, BOTTOM = (14, 18, 54, 58), (74, 70, 110, 112)


def looked(picture: Image.Image, quality: int = 0) -> Looked:
    out = io.BytesIO()
    picture.save(out, 'JPEG', quality=quality) if quality else out.write(encoded(picture))
    return Looked(open_to_compare(out.getvalue()))


def rings(*colours: tuple[int, int, int], ground: tuple[int, int, int] = (250, 246, 240), width: int = 2) -> Image.Image:
    """A ring for each colour, drawn four times as large and shrunk."""
    image = Image.new('RGB', (512, 512), ground)
    for colour, box in zip(colours, (TOP, BOTTOM, (70, 12, 116, 50), (16, 72, 58, 116)), strict=False):
        ImageDraw.Draw(image).ellipse([4 * side for side in box], outline=colour, width=4 * width)
    return image.resize((128, 128), Image.Resampling.BOX)


@pytest.mark.parametrize('quality', [0, 85])
def test_a_thin_ring_in_another_colour_is_another_picture(quality):
    for old, new in ((RED, BROWN), (BROWN, RED), (RED, GREEN)):
        assert not same_under_a_map(looked(rings(old)), looked(rings(new), quality)), (old, new)
    assert same_under_a_map(looked(rings(RED)), looked(rings(RED), quality))
    assert same_under_a_map(looked(rings(BROWN)), looked(rings(BROWN), quality))


def test_one_thin_ring_of_four_decides():
    four = rings(RED, (0, 0, 200), GREEN, (90, 90, 90))
    assert same_under_a_map(looked(four), looked(four, 85))
    assert not same_under_a_map(looked(four), looked(rings(BROWN, (0, 0, 200), GREEN, (90, 90, 90)), 85))
    assert not same_under_a_map(looked(four), looked(rings(RED, (0, 0, 200), GREEN, (130, 70, 80)), 85))


def test_a_thin_ring_is_seen_before_a_ground_of_its_own_hue():
    assert not same_under_a_map(looked(rings(RED, ground=PINK)), looked(rings(BROWN, ground=PINK), 85))
    assert same_under_a_map(looked(rings(RED, ground=PINK)), looked(rings(RED, ground=PINK), 85))


def test_a_thin_ring_is_found_in_grey():
    assert same_under_a_map(looked(rings(RED)), looked(rings(RED).convert('L').convert('RGB'), 85))


def test_a_thing_that_is_its_own_mirror_image_lays_no_half_on_the_other():
    def drawing(colour: tuple[int, int, int]) -> Image.Image:
        image = Image.new('RGB', (256, 256), 'white')
        draw = ImageDraw.Draw(image)
        for at in range(16, 240, 28):  # a fence below, alike from both sides; what stands above is not
            draw.rectangle((at, 180, at + 10, 230), fill=(40, 90, 160))
        draw.polygon((30, 20, 90, 120, 20, 150), fill=colour)
        draw.polygon((150, 40, 235, 60, 170, 150), fill=(20, 140, 60))
        return image

    assert same_under_a_map(looked(drawing(RED)), looked(drawing(RED).transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    assert not same_under_a_map(looked(drawing(RED)), looked(drawing((0, 60, 220))))
