import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from schemas.pixels import BadImage, decode_rgb, image_orientation, read_rgb
from schemas.shown import as_shown
from tests.curation.drawn import encoded
from tests.zoo import GREY, SCENE, VALUES, XMP, ZOO, chunk, clear, exif_of, in_16_bits, in_float, opened, png, stored


def grey(data: bytes) -> np.ndarray:
    return np.asarray(read_rgb(data))[..., 0].astype(int)


@pytest.mark.parametrize('name', ZOO)
def test_every_stored_form_is_seen_as_the_picture_it_holds(name):
    data, expected, within = ZOO[name]
    found = read_rgb(data)
    assert found.mode == 'RGB'
    if expected is not None:
        assert found.size == expected.size
        assert np.abs(np.asarray(found, int) - np.asarray(expected.convert('RGB'), int)).max() <= within


@pytest.mark.parametrize('name', [name for name in ZOO if name.startswith(('exif', 'xmp')) and 'clear' not in name])
def test_a_picture_is_turned_as_datasets_turns_it(name):
    with Image.open(io.BytesIO(ZOO[name][0])) as image:
        assert np.array_equal(np.asarray(ImageOps.exif_transpose(image).convert('RGB')), np.asarray(read_rgb(ZOO[name][0])))


@pytest.mark.parametrize('name', [name for name in ZOO if name.startswith('clear-') or name in ('clear.png', 'clear.webp', 'clear.tif')])
def test_transparency_is_white(name):
    assert np.asarray(read_rgb(ZOO[name][0]))[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize(('top', 'bits'), [(255, 8), (256, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 16), (65535, 16)])
def test_values_of_16_bits_are_read_by_the_bits_that_hold_them(top, bits):
    values = np.linspace(0, top, 64 * 96).round().reshape(64, 96).astype(int)
    values[:2] = top  # not one value alone, which counts as an outlier
    assert np.array_equal(grey(in_16_bits(values)), values >> (bits - 8))


def test_one_hot_pixel_does_not_make_a_small_valued_picture_black():
    values = VALUES.astype(int)
    values[5, 5] = 65535
    found = grey(in_16_bits(values))
    assert found[5, 5] == 255
    assert (np.delete(found.ravel(), 5 * 96 + 5) == np.delete(VALUES.ravel(), 5 * 96 + 5)).all()


def test_thin_lines_on_an_even_ground_are_no_outliers():
    values = np.zeros((64, 96), int)
    values[10, 20:23] = 100 * 257
    assert np.array_equal(grey(in_16_bits(values)), values >> 8)
    assert sorted(set(grey(in_float(values)).ravel())) == [0, 255]


@pytest.mark.parametrize('odd', [np.nan, np.inf, -np.inf, 1e30, -3.4e38], ids=str)
def test_an_outlier_or_no_number_takes_nothing_from_the_other_values(odd):
    values = VALUES / 255
    plain = grey(in_float(values))
    values[7, 7] = odd
    found = grey(in_float(values))
    assert np.abs(np.delete(found.ravel(), 7 * 96 + 7) - np.delete(plain.ravel(), 7 * 96 + 7)).max() <= 3
    assert len(np.unique(found)) > 100


@pytest.mark.parametrize('values', [np.full((20, 30), 3.5), np.full((20, 30), np.nan), np.full((20, 30), -np.inf)], ids=['even', 'nan', 'inf'])
def test_a_float_picture_without_any_difference_is_one_tone(values):
    assert np.ptp(grey(in_float(values))) == 0


def test_signed_values_are_stretched():
    values = VALUES.astype(np.int32) * 1000 - 100_000
    found = grey(encoded(Image.fromarray(values), 'TIFF'))
    assert (found.min(), found.max()) == (0, 255)
    assert np.abs(found - (VALUES.astype(float) - VALUES.min()) * 255 / np.ptp(VALUES)).max() <= 4


def test_exif_comes_before_xmp_and_what_makes_no_sense_says_nothing():
    def orientation(**options: object) -> int:
        with Image.open(io.BytesIO(encoded(SCENE, 'JPEG', **options))) as image:
            return image_orientation(image)

    assert orientation(exif=exif_of(3), xmp=XMP.format(6).encode()) == 3
    assert orientation(xmp=XMP.format(6).encode()) == 6
    assert orientation(xmp=XMP.format(0).encode()) == orientation(xmp=XMP.format(9).encode()) == orientation(xmp=b'\xff<') == 1
    assert orientation(exif=b'Exif\0\0MM\0\xff\0\0\0\x08') == 1


def test_the_first_frame_of_an_animation_is_seen():
    data = encoded(SCENE.convert('P'), 'GIF', save_all=True, append_images=[GREY.convert('P')])
    assert np.array_equal(np.asarray(read_rgb(data)), np.asarray(SCENE.convert('P').convert('RGB')))


@pytest.mark.parametrize(('data', 'told'), [(None, 'no image bytes'), (b'<svg/>', 'not one of JPEG'), (encoded(SCENE)[:500], 'does not decode')])
def test_what_is_no_picture_is_told(data, told):
    with pytest.raises(BadImage, match=told):
        read_rgb(data)


def test_the_size_is_bounded_before_a_pixel_is_decoded():
    with pytest.raises(BadImage, match='at most 6143 pixels, found 96 x 64'):
        read_rgb(encoded(SCENE), max_pixels=96 * 64 - 1)


@pytest.mark.parametrize('name', ZOO)
def test_who_is_given_the_bytes_sees_the_picture(name):
    data = ZOO[name][0]
    assert np.array_equal(opened(as_shown(data).data), np.asarray(read_rgb(data)))


@pytest.mark.parametrize('name', ['rgb.png', 'rgb.jpg', 'rgb.webp', 'rgb.bmp', 'grey.png', 'grey.jpg', 'palette.png', 'palette.gif', 'bits.png', 'exif-1.jpg'])
def test_what_every_reader_sees_alike_is_given_as_it_is_stored(name):
    assert as_shown(ZOO[name][0]).data == ZOO[name][0]


def test_a_smaller_picture_is_made_from_the_one_that_all_see():
    shown = as_shown(encoded(clear()), 48)
    assert (shown.how, Image.open(io.BytesIO(shown.data)).mode) == ('96x64 -> 48x32 png', 'RGB')
    expected = read_rgb(encoded(clear())).resize((48, 32), Image.Resampling.LANCZOS)
    assert np.array_equal(opened(shown.data), np.asarray(expected))


def test_an_opened_picture_is_decoded_like_its_bytes():
    for data, *_ in ZOO.values():
        with Image.open(io.BytesIO(data)) as image:
            assert np.array_equal(np.asarray(decode_rgb(image)), np.asarray(read_rgb(data)))
            assert np.array_equal(np.asarray(decode_rgb(read_rgb(data))), np.asarray(read_rgb(data))), 'twice is once'
    assert decode_rgb(stored(1)) is SCENE, 'a picture of another library, opened before'
    assert read_rgb(png(np.asarray(SCENE), 8, 2, behind=chunk(b'tEXt', b'a\0b'))).tobytes() == SCENE.tobytes()
