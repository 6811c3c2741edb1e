import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from curation.pictures.images import ImageFacts, ImageFault, ImageLimits, inspect_image
from curation.pictures.whole import _bytes_of_rows, _pixel_data, load_whole
from schemas.jpeg_scans import missing_of, read_jpeg
from schemas.picture_work import picture_work
from schemas.records import Reason
from tests.curation.drawn import chart, encoded, photo
from tests.cut_pictures import JPEG_FORMS, cut, in_forms
from tests.promises import promise
from tests.zoo import ZOO, chunk

FORMS = in_forms(photo(1, (240, 176)))
SHARES = (0.05, 0.3, 0.5, 0.7, 0.9, 0.98)
LIMITS = ImageLimits()


def truncated(data: bytes) -> str:
    found = inspect_image(data, LIMITS)
    assert isinstance(found, ImageFault), found
    assert found.reason == Reason.IMAGE_TRUNCATED, found
    return found.detail


@promise('Damaged files', 'A picture whose data end early is left out, also where end mark, sizes and checksums say that it is whole',
         cut_pictures=len(FORMS) * len(SHARES))  # fmt: skip
@pytest.mark.parametrize('form', FORMS)
def test_a_cut_picture_is_left_out_whatever_its_end_says(form: str):
    assert isinstance(inspect_image(FORMS[form], LIMITS), ImageFacts)
    for share in SHARES:
        found = inspect_image(cut(form, FORMS[form], share), LIMITS)
        assert isinstance(found, ImageFault), share
        assert found.reason in (Reason.IMAGE_TRUNCATED, Reason.IMAGE_UNDECODABLE)
        if form.startswith('JPEG') and share >= 0.3 or form.startswith(('PNG', 'GIF', 'BMP')):
            assert found.reason == Reason.IMAGE_TRUNCATED


@pytest.mark.parametrize('form', JPEG_FORMS)
@pytest.mark.parametrize('size', [(240, 176), (331, 257)])
def test_a_watched_jpeg_is_decoded_as_ever(form: str, size: tuple[int, int]):
    for image in (photo(2, size), photo(2, size).convert('L'), photo(2, size).convert('CMYK')):
        data = encoded(image, 'JPEG', **JPEG_FORMS[form])
        for draft in (None, (80, 80)):
            with Image.open(io.BytesIO(data)) as plain, Image.open(io.BytesIO(data)) as watched:
                for one in (plain, watched):
                    one.draft(None, draft)
                load_whole(watched, data, read_jpeg(data))
                assert np.array_equal(np.asarray(plain), np.asarray(watched))


def test_a_small_file_that_claims_to_be_large_is_cut():
    data = bytearray(encoded(photo(1, (160, 160)), 'JPEG', quality=30))
    at = data.index(b'\xff\xc0') + 5
    data[at : at + 4] = struct.pack('>HH', 7000, 7000)
    assert 'scan 1 of 1 wants more than its bytes' in truncated(bytes(data))


def test_all_but_the_last_blocks_are_seen():
    data = encoded(photo(3, (320, 240)), 'JPEG', quality=90)
    truncated(data[:-2][:-40].removesuffix(b'\xff') + b'\xff\xd9')


def test_scans_that_are_missing_are_told():
    data = encoded(photo(1), 'JPEG', progressive=True)
    scans = read_jpeg(data).scans
    assert missing_of(read_jpeg(data)) == ''
    detail = truncated(data[: scans[5].end] + b'\xff\xd9')
    assert detail == 'the data end early: 6 scans leave 192 of 192 coefficients without their last bits'


def test_a_piece_missing_between_two_restart_markers_is_told_by_their_number():
    data = encoded(photo(1), 'JPEG', restart_marker_rows=1)
    scan = read_jpeg(data).scans[0]
    marks = [at for at in range(scan.end) if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]
    assert len(marks) == scan.restarts == 14
    assert 'has 13 restart markers, expected 14' in truncated(data[: marks[4]] + data[marks[5] :])


@pytest.mark.parametrize('colour', ['white', 'black', (128, 128, 128)])
def test_pictures_that_end_in_one_tone_are_whole(colour: str | tuple[int, int, int]):
    page = Image.new('RGB', (240, 400), colour)
    page.paste(photo(4, (200, 100)), (20, 20))
    for form, data in in_forms(page).items():
        assert isinstance(inspect_image(data, LIMITS), ImageFacts), form


def test_bytes_between_data_and_end_mark_are_no_fault():
    for options in JPEG_FORMS.values():
        data = encoded(chart(), 'JPEG', **options)
        assert isinstance(inspect_image(data[:-2] + b'\0' * 100 + data[-2:] + b'behind the end', LIMITS), ImageFacts)


def test_every_stored_form_is_whole():
    for name, (data, *_) in ZOO.items():
        with Image.open(io.BytesIO(data)) as image:
            load_whole(image, data, picture_work(data).jpeg)
            assert image.getextrema(), name


def interlaced(rows: np.ndarray, share: float = 1.0) -> bytes:
    """An interlaced grey PNG with that share of its rows' bytes."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))  # PNG 1.2, section 2.6
    parts = [b'\0' + row.tobytes() for y, x, down, across in passes for row in rows[y::down, x::across] if row.size]
    stream = b''.join(parts)
    header = struct.pack('>IIBBBBB', rows.shape[1], rows.shape[0], 8, 0, 0, 0, 1)
    pixels = zlib.compress(stream[: int(len(stream) * share)])
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', pixels) + chunk(b'IEND', b'')


@pytest.mark.parametrize('size', [(63, 47), (64, 48), (21, 33)])
def test_an_interlaced_png_is_counted_by_its_passes(size: tuple[int, int]):
    rows = np.asarray(photo(1, size).convert('L')) | 1
    dark = rows.copy()
    dark[-4:] = 0
    for whole in (rows, dark):
        assert isinstance(inspect_image(interlaced(whole), LIMITS), ImageFacts)
        for share in (0.1, 0.4, 0.6, 0.95):
            truncated(interlaced(whole, share))
    stream = b''.join(zlib.decompress(part) for part in _pixel_data(interlaced(rows)))
    assert len(stream) == _bytes_of_rows(interlaced(rows))


def test_a_tiff_whose_strips_are_nowhere_is_cut():
    data = bytearray(encoded(photo(1), 'TIFF', tiffinfo={278: 16}))
    with Image.open(io.BytesIO(data)) as image:
        offsets = image.tag_v2[273]
    at = data.index(struct.pack(f'<{len(offsets)}I', *offsets))
    struct.pack_into('<III', data, at + 4 * (len(offsets) - 3), 0, 0, 0)
    assert truncated(bytes(data)) == f'the data end early: 3 of {len(offsets)} strips or tiles are nowhere'
