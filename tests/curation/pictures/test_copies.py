"""Copies in other shapes are found by their pixels, and what only looks alike is not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from curation.pictures import aligned
from curation.pictures.aligned import same_under_a_map
from curation.pictures.confirm import open_to_compare
from curation.pictures.expanded import expanded
from curation.pictures.images import ImageFacts, ImageLimits, inspect_image
from curation.pictures.registered import Looked
from curation.pictures.reshaped import SHAPES, reshaped
from curation.selection.hamming import distance256, words256
from tests.curation.drawn import chart, encoded, photo

WORDS = ('the', 'river', 'company', 'annual', 'report', 'of', 'station', 'village', 'people', 'garden', 'winter', 'number', 'city', 'school', 'board')


def looked(picture: Image.Image | bytes) -> Looked:
    return Looked(open_to_compare(picture if isinstance(picture, bytes) else encoded(picture)))


def scene(seed: int) -> Image.Image:
    """A photo with things in it."""
    rng = np.random.default_rng(seed)
    image = photo(seed, (360, 270))
    draw = ImageDraw.Draw(image)
    for _ in range(10):
        x, y, wide, high = (int(value) for value in rng.integers((5, 5, 20, 20), (300, 220, 70, 60)))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)((x, y, x + wide, y + high), fill=tuple(int(tone) for tone in rng.integers(0, 255, 3)))
    return image


def page(seed: int, word: str = '') -> Image.Image:
    """A page of text; `word` stands in the place of one."""
    rng = np.random.default_rng(seed)
    image = Image.new('RGB', (420, 300), 'white')
    for line in range(12):
        words = [WORDS[at] for at in rng.integers(0, len(WORDS), 6)]
        if word and line == 6:
            words[2] = word
        ImageDraw.Draw(image).text((20, 12 + 23 * line), ' '.join(words), fill='black', font_size=15)
    return image


@pytest.mark.parametrize('kind', SHAPES)
def test_a_photo_is_found_in_every_shape(kind):
    others = [scene(seed) for seed in (91, 92, 93)]
    copy = looked(reshaped(scene(1), kind, 's1', others))
    assert same_under_a_map(looked(scene(1)), copy), kind
    assert not same_under_a_map(looked(scene(2)), copy), kind


@pytest.mark.parametrize('kind', ['rotate_90', 'border', 'grey', 'quarter', 'collage'])
def test_pages_and_charts_are_found_and_their_twins_are_not(kind):
    heights = (30, 80, 55, 95, 20)
    twins = [(page(3), page(3, 'secret')), (chart(heights), chart((30, 80, 61, 95, 20)))]
    for picture, twin in twins:
        assert same_under_a_map(looked(picture), looked(reshaped(picture, kind, 'x')))
        if kind not in ('quarter', 'collage'):  # a word of 15 pixels is no word at a quarter of the size
            assert not same_under_a_map(looked(picture), looked(reshaped(twin, kind, 'x')))


def test_how_a_copy_lies_is_told():
    found = same_under_a_map(looked(scene(4)), looked(ImageOps.mirror(scene(4)).resize((180, 135))))
    assert found is not None
    assert found.mirrored
    assert found.told() == 'mirrored, 0.50 x the size'


def test_a_recoloured_thing_is_another_picture():
    background, other = scene(5), scene(5)
    ImageDraw.Draw(background).rectangle((100, 60, 220, 180), fill=(200, 40, 40))
    ImageDraw.Draw(other).rectangle((100, 60, 220, 180), fill=(40, 60, 200))
    assert not same_under_a_map(looked(background), looked(other))
    brown, bright = (Image.new('RGB', (64, 64), (236, 255, 245)) for _ in range(2))
    ImageDraw.Draw(brown).rectangle((18, 12, 43, 22), fill=(165, 42, 42))
    ImageDraw.Draw(bright).rectangle((18, 12, 43, 22), fill=(255, 0, 0))
    assert not same_under_a_map(looked(brown), looked(reshaped(bright, 'rotate_180', 'x')))
    red, blue = (Image.new('RGB', (96, 96), (240, 236, 230)) for _ in range(2))
    ImageDraw.Draw(red).ellipse((20, 20, 60, 60), fill='red')
    ImageDraw.Draw(blue).ellipse((20, 20, 60, 60), fill='blue')
    assert not same_under_a_map(looked(red), looked(blue))
    assert same_under_a_map(looked(red), looked(red.transpose(Image.Transpose.ROTATE_90)))


def test_pages_of_other_words_and_charts_of_other_bars_are_refused_before_maps_are_refined(monkeypatch):
    pairs = [(page(3), page(4)), (chart((30, 80, 55, 95, 20)), chart((90, 20, 70, 35, 60)))]
    lying = np.eye(2, 3)
    monkeypatch.setattr(aligned, '_refined', lambda *_: pytest.fail('refined'))
    for first, second in pairs:
        assert not aligned.agree(looked(first), looked(second), lying)
        with pytest.raises(pytest.fail.Exception, match='refined'):
            aligned.agree(looked(first), looked(reshaped(first, 'jpeg_q30', 'x')), lying)


def test_two_scenes_before_one_background_are_two():
    def stage(seed: int) -> Image.Image:
        rng, image = np.random.default_rng(seed), photo(7)
        for _ in range(12):
            x, y = (int(value) for value in rng.integers((0, 0), (290, 210)))
            image.paste(photo(int(rng.integers(1000)), (44, 44)), (x, y))
        return image

    assert not same_under_a_map(looked(stage(1)), looked(stage(2)))


def test_a_shape_on_white_is_no_part_of_another():
    def dot(x: int, y: int, r: int) -> Image.Image:
        image = Image.new('RGB', (64, 64), (250, 245, 240))
        ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), fill='red')
        return image

    for other in (dot(36, 30, 12), dot(30, 36, 12), dot(30, 30, 9)):
        assert not same_under_a_map(looked(dot(30, 30, 12)), looked(other))


@pytest.mark.parametrize('kind', [kind for kind in SHAPES if kind != 'collage'])
def test_the_hash_of_a_shape_is_among_those_of_the_forms(kind):
    for picture in (scene(6), page(2)) if kind != 'overlay' else (scene(6),):
        facts = inspect_image(reshaped(picture, kind, 'y'), ImageLimits())
        assert isinstance(facts, ImageFacts)
        mine = looked(picture)
        forms = expanded(mine.rgb, mine.inside)
        near = np.flatnonzero(np.bitwise_count(forms.narrow ^ np.uint64(facts.phash64)) <= 7)
        assert distance256(forms.wide(near), words256([facts.phash256])).min(initial=256) <= 64, kind


def test_the_map_of_a_form_says_where_the_picture_lies():
    mine = looked(scene(8))
    forms = expanded(mine.rgb, mine.inside)
    for other in (ImageOps.mirror(scene(8)), scene(8).transpose(Image.Transpose.ROTATE_90), ImageOps.expand(scene(8), 27, 'black')):
        facts = inspect_image(encoded(other), ImageLimits())
        assert isinstance(facts, ImageFacts)
        form = int(np.bitwise_count(forms.narrow ^ np.uint64(facts.phash64)).argmin())
        registered = same_under_a_map(mine, looked(other))
        corners = np.array([[0, 0, 1], [359, 0, 1], [0, 269, 1]]).T
        assert registered is not None
        assert np.abs((forms.to_other(form, mine.rgb.size, other.size) - registered.to_other) @ corners).max() < 12


def test_thin_lines_on_white_have_hashes():
    lines = Image.new('RGB', (480, 360), 'white')
    ImageDraw.Draw(lines).line([(30 + 60 * k, 320 - y) for k, y in enumerate((10, 90, 60, 180, 120, 230, 290))], fill='blue', width=5)
    ImageDraw.Draw(lines).line((20, 20, 20, 330, 470, 330), fill='black', width=2)
    mine, facts = looked(lines), inspect_image(reshaped(lines, 'flip', 'x'), ImageLimits())
    assert isinstance(facts, ImageFacts)
    forms = expanded(mine.rgb, mine.inside, ('flip',))
    assert np.bitwise_count(forms.narrow ^ np.uint64(facts.phash64)).min(initial=64) <= 7


def test_windows_that_show_nothing_have_no_hash():
    blank = Image.new('RGB', (100, 80), 'white')
    blank.putpixel((3, 3), (250, 250, 250))
    assert len(expanded(blank, (0, 0, 100, 80)).narrow) == 0


@pytest.mark.integration
def test_no_pair_of_different_pictures_is_one():
    charts = [chart(tuple(np.random.default_rng(k).integers(10, 99, 5).tolist())) for k in range(4)]
    pictures = [looked(some) for some in (*map(scene, range(8)), *map(page, range(4)), *charts)]
    wrong = [(i, j) for i, a in enumerate(pictures) for j, b in enumerate(pictures) if i != j and same_under_a_map(a, b)]
    assert not wrong


def test_a_picture_without_a_feature_is_compared_without_error():
    small = io.BytesIO()
    Image.new('RGB', (14, 15), 'white').save(small, 'PNG')
    assert not same_under_a_map(looked(small.getvalue()), looked(scene(1)))
