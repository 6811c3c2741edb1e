import hashlib
import io
import struct
import zlib

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFile

from curation.pictures import images
from curation.pictures.edits import edit
from curation.pictures.images import ImageFacts, ImageFault, ImageLimits, extension_agrees, inspect_image
from curation.pictures.phash import phash_of_scaled
from schemas.pixels import decode_rgb
from schemas.records import Reason
from tests.curation.drawn import chart, encoded, photo
from tests.zoo import exif_of, icon, in_16_bits, in_float

LIMITS = ImageLimits()


def facts(data: bytes, limits: ImageLimits = LIMITS) -> ImageFacts:
    found = inspect_image(data, limits)
    assert isinstance(found, ImageFacts), found
    return found


def reason(data: bytes, limits: ImageLimits = LIMITS) -> Reason:
    found = inspect_image(data, limits)
    assert isinstance(found, ImageFault), found
    assert found.detail
    return found.reason


def bits(one: ImageFacts, other: ImageFacts) -> tuple[int, int]:
    wide = int.from_bytes(one.phash256) ^ int.from_bytes(other.phash256)
    return (one.phash64 ^ other.phash64).bit_count(), wide.bit_count()


def from_imagehash(image: Image.Image) -> tuple[int, int]:
    return int(str(imagehash.phash(image)), 16), int(str(imagehash.phash(image, hash_size=16)), 16)


def within_the_contract(data: bytes) -> bool:
    """Return whether both hashes are within 2 and 6 bits of imagehash's own of the upright picture on white."""
    found = facts(data)
    with Image.open(io.BytesIO(data)) as image:
        narrow, wide = from_imagehash(decode_rgb(image))
    return (found.phash64 ^ narrow).bit_count() <= 2 and (int.from_bytes(found.phash256) ^ wide).bit_count() <= 6


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG that says it is so large, with `chunks` between header and end."""
    header = (b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
    parts = [struct.pack('>I', len(d)) + n + d + struct.pack('>I', zlib.crc32(n + d)) for n, d in (header, *chunks)]
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts) + b'\0\0\0\0IEND\xaeB`\x82'


def test_facts_of_a_plain_jpeg():
    data = encoded(photo(size=(300, 200)), 'JPEG')
    found = facts(data)
    assert found.image_id == hashlib.sha256(data).hexdigest()
    assert (found.n_bytes, found.width, found.height) == (len(data), 300, 200)
    assert (found.format, found.mode, found.orientation, found.kind) == ('JPEG', 'RGB', 1, 'photo')
    assert len(found.phash256) == 32
    assert len(found.thumb) == 192


def test_charts_are_documents_and_photos_are_not():
    assert facts(encoded(chart())).kind == 'document'
    assert facts(encoded(chart(), 'JPEG', quality=30)).kind == 'document'
    assert {facts(encoded(photo(seed))).kind for seed in range(8)} == {'photo'}


@pytest.mark.parametrize('seed', range(6))
def test_hashes_of_undrafted_pictures_are_those_of_imagehash(seed: int):
    image = photo(seed, size=(200 + 31 * seed, 180 + 17 * seed))
    found = facts(encoded(image))
    assert (found.phash64, int.from_bytes(found.phash256)) == from_imagehash(image)


def test_hashes_of_large_jpegs_stay_within_2_and_6_bits_of_imagehash():
    """The pictures are harder than photos."""
    for seed in range(16):
        data = encoded(photo(seed, size=(700 + 90 * seed, 500 + 50 * seed)), 'JPEG', quality=85)
        assert within_the_contract(data)


@pytest.mark.parametrize('mode', ['L', 'CMYK', 'P', 'RGBA', 'LA', '1', 'I;16', 'I', 'F'])
def test_every_mode_is_a_fact_and_hashes_like_the_picture_it_shows(mode: str):
    image = photo(3)
    if mode in ('I;16', 'I', 'F'):
        grey = np.asarray(image.convert('L'), np.float32)
        values = {'I;16': (grey * 257).astype(np.uint16), 'I': grey.astype(np.int32) * 257, 'F': grey / 255}[mode]
        converted = Image.fromarray(values)
    else:
        converted = image.convert(mode)
    format = {'CMYK': 'TIFF', 'F': 'TIFF', 'I': 'TIFF'}.get(mode, 'PNG')
    found = facts(encoded(converted, format))
    assert found.mode == mode
    near64, near256 = bits(found, facts(encoded(image)))
    assert near64 <= (6 if mode == '1' else 2)
    assert near256 <= (24 if mode == '1' else 8)


def test_transparency_is_laid_on_white():
    drawing = Image.new('RGBA', (200, 200), (0, 0, 0, 0))
    drawing.paste((0, 0, 0, 255), (40, 60, 90, 170))
    on_white = Image.alpha_composite(Image.new('RGBA', drawing.size, 'white'), drawing).convert('RGB')
    assert bits(facts(encoded(drawing)), facts(encoded(on_white))) == (0, 0)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('format', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
def test_exif_orientation_is_a_fact_and_the_hash_is_of_the_upright_picture(orientation: int, format: str):
    upright = photo(5, size=(240, 160))
    # What a camera stores: the picture that `orientation` turns back. Pairs (6, 8) undo each other, the rest themselves.
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = upright if undo is None else upright.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = facts(encoded(stored, format, exif=exif, **({'quality': 95} if format in ('JPEG', 'WEBP') else {})))
    assert found.orientation == orientation
    near64, near256 = bits(found, facts(encoded(upright)))
    assert near64 <= 2
    assert near256 <= 6


@pytest.mark.parametrize('format', ['JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF'])
@pytest.mark.parametrize('share', [0.3, 0.7, 0.95])
def test_a_cut_file_is_a_fault(format: str, share: float):
    whole = encoded(photo(1, size=(400, 300)), format)
    facts(whole)
    found = reason(whole[: int(len(whole) * share)])
    assert found in (Reason.IMAGE_TRUNCATED, Reason.IMAGE_UNDECODABLE)
    if format in ('JPEG', 'PNG', 'WEBP', 'GIF'):
        assert found == Reason.IMAGE_TRUNCATED


@pytest.mark.parametrize(('data', 'expected'), [
    (b'', Reason.IMAGE_UNDECODABLE),
    (b'not a picture', Reason.IMAGE_UNDECODABLE),
    (b'%PDF-1.7 ...', Reason.IMAGE_FORMAT),
    (b'%!PS-Adobe-3.0 EPSF-3.0', Reason.IMAGE_FORMAT),
    (b'<svg xmlns="http://www.w3.org/2000/svg"/>', Reason.IMAGE_FORMAT),
    (b'\0\0\0\x1cftypavif\0\0\0\0', Reason.IMAGE_FORMAT),
    (b'version https://git-lfs.github.com/spec/v1', Reason.IMAGE_FORMAT),
    (b'P6\n8 8\n255\n' + bytes(192), Reason.IMAGE_FORMAT),
])
def test_bytes_that_are_no_picture_of_ours(data: bytes, expected: Reason):
    assert reason(data) == expected


@pytest.mark.parametrize(('data', 'name'), [
    (b'\0\0\0\x1cftypavif', 'AVIF'), (b'\0\0\0\x18ftypheic', 'HEIC'), (b'\0\0\0\x18ftypmif1', 'HEIC'), (b'\0\0\0\x0cjP  \r\n', 'JPEG 2000'),
    (b'\xff\x4f\xff\x51', 'JPEG 2000'), (b'\xff\x0a', 'JPEG XL'), (b'P6 8 8 255 ', 'PPM'), (b'P3\n8 8', 'PPM'), (b'P5\t8 8', 'PGM'), (b'P1\n8 8', 'PBM'),
    (b'\0\0\1\0', 'ICO'), (b'qoif', 'QOI'), (b'8BPS', 'PSD'), (b'\0\0\0\x18ftypisom', 'a video'),
])  # fmt: skip
def test_another_format_is_named_by_its_bytes(data: bytes, name: str):
    found = inspect_image(data + bytes(200), LIMITS)
    assert isinstance(found, ImageFault)
    assert (found.reason, found.detail) == (Reason.IMAGE_FORMAT, f'the bytes look like {name}; allowed: JPEG, PNG, WEBP, GIF, BMP, TIFF')


def test_bounds_from_the_header_alone():
    assert reason(bytes(11), ImageLimits(max_bytes=10)) == Reason.IMAGE_TOO_LARGE
    assert reason(png(60_000, 60_000)) == Reason.IMAGE_TOO_LARGE  # over Pillow's own bound: it raises
    assert reason(png(9_000, 9_000)) == Reason.IMAGE_TOO_LARGE  # 81 Mpx, over ours only
    assert reason(encoded(photo(size=(200, 13)))) == Reason.IMAGE_TOO_SMALL
    assert reason(encoded(photo(size=(640, 20)))) == Reason.IMAGE_ASPECT
    facts(encoded(photo(size=(600, 20))))  # 30 : 1 is still allowed


def test_a_text_chunk_that_unpacks_to_much_is_not_unpacked():
    bomb = png(64, 64, (b'zTXt', b'a\0\0' + zlib.compress(bytes(1 << 26))), (b'IDAT', zlib.compress(bytes(64 * 193))))
    assert reason(bomb) == Reason.IMAGE_UNDECODABLE


@pytest.mark.parametrize(('format', 'extra'), [('GIF', {}), ('PNG', {}), ('WEBP', {}), ('TIFF', {})])
def test_several_frames_are_a_fault(format: str, extra: dict):
    frames = [photo(seed, size=(64, 64)) for seed in range(3)]
    assert reason(encoded(frames[0], format, save_all=True, append_images=frames[1:])) == Reason.IMAGE_ANIMATED


@pytest.mark.parametrize('image', [
    Image.new('RGB', (64, 64), (200, 30, 30)), Image.new('L', (64, 64), 7), Image.new('P', (64, 64), 3),
    Image.new('RGBA', (64, 64), (1, 2, 3, 0)), Image.new('I;16', (64, 64), 40_000),
])
def test_one_colour_is_blank(image: Image.Image):
    assert reason(encoded(image)) == Reason.IMAGE_BLANK
    if image.mode == 'RGB':
        assert reason(encoded(image, 'JPEG', quality=30)) == Reason.IMAGE_BLANK


def _white_on_clear_palette() -> Image.Image:
    image = Image.new('P', (64, 64), 1)
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.paste(0, (16, 16, 48, 48))
    return image


@pytest.mark.parametrize('data', [
    icon(255), encoded(Image.new('RGBA', (64, 64), (9, 9, 9, 128))), in_16_bits(np.full((64, 64), 3)), in_float(np.full((64, 64), np.nan)),
    in_float(np.full((64, 64), 7.5)), encoded(Image.new('LA', (64, 64), (9, 0))), encoded(Image.new('CMYK', (64, 64), (9, 0, 9, 0)), 'TIFF'),
    encoded(_white_on_clear_palette(), transparency=1), encoded(Image.new('1', (64, 64), 1)), encoded(Image.new('L', (64, 64), 0), 'TIFF', exif=exif_of(6)),
])  # fmt: skip
def test_what_is_one_colour_for_whoever_sees_it_is_blank(data: bytes):
    assert reason(data) == Reason.IMAGE_BLANK


@pytest.mark.parametrize('data', [
    icon(0), in_16_bits(np.add.outer(np.arange(64), np.arange(64))), in_float(np.pad(np.full((62, 62), 1e-9), 1)),
    in_16_bits(np.pad(np.full((60, 60), 65535), 2)),
])  # fmt: skip
def test_what_shows_a_difference_is_not_blank(data: bytes):
    facts(data)


def test_a_large_jpeg_that_is_blank_at_reduced_scale_alone_is_not_blank():
    image = Image.new('L', (1600, 1600), 255)
    for at in range(0, 1600, 8):
        image.putpixel((at, 8), 240)  # 15 levels on 1 of 64 pixels: less than one level at an eighth of the size
    facts(encoded(image, 'JPEG', quality=100))


def test_equal_brightness_of_two_colours_is_not_blank():
    image = Image.new('RGB', (64, 64), (100, 100, 100))
    image.paste((179, 60, 99), (16, 16, 48, 48))  # as bright: 0.299 * 179 + 0.587 * 60 + 0.114 * 99 = 100.0
    assert len(set(image.convert('L').getextrema())) == 1
    facts(encoded(image))


def test_known_placeholders_are_found_by_id_and_by_hash():
    image = photo(9)
    found = facts(encoded(image))
    by_id = ImageLimits(placeholder_ids=frozenset([found.image_id]))
    by_hash = ImageLimits(placeholder_phashes=frozenset([found.phash256]))
    assert reason(encoded(image), by_id) == Reason.IMAGE_PLACEHOLDER
    assert reason(encoded(image, 'JPEG', quality=80), by_hash) == Reason.IMAGE_PLACEHOLDER
    facts(encoded(photo(10)), by_hash)


def test_a_format_can_be_ruled_out():
    assert reason(encoded(photo(), 'GIF'), ImageLimits(formats=('JPEG', 'PNG'))) == Reason.IMAGE_FORMAT


def test_an_extension_that_lies_is_a_fact():
    assert extension_agrees('a/b.JPG', 'JPEG')
    assert extension_agrees('c.jpg', 'MPO')
    assert not extension_agrees('b.png', 'JPEG')
    assert not extension_agrees('png', 'JPEG')


def test_reading_truncated_files_is_refused_as_a_setting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ImageFile, 'LOAD_TRUNCATED_IMAGES', True)
    with pytest.raises(AssertionError, match='LOAD_TRUNCATED_IMAGES'):
        inspect_image(encoded(photo()), LIMITS)


FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF')
WHOLE = {format: encoded(photo(2, size=(48, 40)), format) for format in FORMATS}


@settings(max_examples=300)
@given(st.sampled_from(FORMATS), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12), st.floats(0, 1))
def test_damaged_bytes_give_facts_or_a_fault_never_an_exception(format: str, changes: list, keep: float):
    data = bytearray(WHOLE[format])
    for place, value in changes:
        data[min(int(place * len(data)), len(data) - 1)] = value
    limits = ImageLimits(max_pixels=1_000_000)
    assert isinstance(inspect_image(bytes(data[: int(len(data) * keep)]), limits), ImageFacts | ImageFault)
    assert isinstance(inspect_image(bytes(data), limits), ImageFacts | ImageFault)


@pytest.mark.parametrize('size', [(640, 427), (853, 641)])
def test_a_jpeg_whose_sides_no_scale_divides_is_not_stretched(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    """At half scale 427 rows become 214 that show 213.5. Taken for 214 the hashes of these pictures move by twice as many bits."""
    def moved() -> int:
        total = 0
        for seed in range(6):
            data = encoded(photo(seed, size=size), 'JPEG', quality=85)
            total += (int.from_bytes(facts(data).phash256) ^ from_imagehash(Image.open(io.BytesIO(data)).convert('RGB'))[1]).bit_count()
        return total

    right = moved()
    with monkeypatch.context() as changed:
        changed.setattr(images, 'phash_of_scaled', lambda grey, extent, full: phash_of_scaled(grey, grey.size, full))
        assert moved() > right
    assert right <= 6 * 3


def test_a_jpeg_stored_as_rgb_has_the_hash_of_its_picture():
    """libjpeg cannot turn such a file into YCbCr, which other JPEGs are decoded to."""
    image = photo(4, size=(640, 480))
    plain = facts(encoded(image, 'JPEG', quality=95))
    stored = facts(encoded(image, 'JPEG', quality=95, keep_rgb=True))
    near64, near256 = bits(plain, stored)
    assert (near64 <= 2, near256 <= 6) == (True, True)
    assert np.abs(np.frombuffer(plain.thumb, np.uint8).astype(int) - np.frombuffer(stored.thumb, np.uint8)).max() <= 4


def test_a_turned_jpeg_of_odd_sides_has_the_hash_of_the_upright_one():
    image = photo(6, size=(640, 427))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = facts(encoded(image.transpose(Image.Transpose.ROTATE_90), 'JPEG', quality=95, exif=exif))
    near64, near256 = bits(turned, facts(encoded(image, 'JPEG', quality=95)))
    assert near64 <= 2
    assert near256 <= 6


@pytest.mark.parametrize('name', ['half', 'jpeg_q30'])
def test_copies_of_symmetrical_drawings_keep_their_steady_hash(name: str):
    """Half of a ring's frequencies are zero: imagehash's bits of the copies are up to 20 and 90 away, and so are ours."""
    far = 0
    for at, box in enumerate([(20, 20, 140, 140), (50, 30, 110, 130), (35, 60, 125, 100)]):
        ring = Image.new('RGB', (160, 160), 'white')
        ImageDraw.Draw(ring).ellipse(box, outline=(60 * at, 90, 160), width=9)
        data = encoded(ring)
        ring_facts, copy = facts(data), facts(edit(data, name, 'x'))
        assert within_the_contract(data)
        assert within_the_contract(edit(data, name, 'x'))
        far += max(bits(ring_facts, copy)) > 7
        steady, wide = (ring_facts.steady64 ^ copy.steady64).bit_count(), int.from_bytes(ring_facts.steady256) ^ int.from_bytes(copy.steady256)
        assert steady <= 7
        assert wide.bit_count() <= 64
        assert len(ring_facts.hashes()) == 2
    assert far


@pytest.mark.parametrize('colour', [(200, 10, 10), (13, 77, 201), (90, 160, 33), (255, 254, 3)])
def test_a_picture_of_one_colour_is_blank_in_lossy_webp_too(colour):
    out = io.BytesIO()
    Image.new('RGB', (96, 96), colour).save(out, 'WEBP', quality=80)
    assert inspect_image(out.getvalue(), ImageLimits()).reason == Reason.IMAGE_BLANK


def test_a_faint_drawing_in_lossless_webp_is_no_blank_picture():
    picture = Image.new('RGB', (96, 96), (200, 200, 200))
    picture.paste((195, 195, 195), (20, 20, 60, 60))
    out = io.BytesIO()
    picture.save(out, 'WEBP', lossless=True)
    assert isinstance(inspect_image(out.getvalue(), ImageLimits()), ImageFacts)
