"""Each bomb is small here, and its work is what a decoder would really do: nothing is opened or decoded that costs too much."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from curation.pictures.images import ImageFacts, ImageFault, ImageLimits, inspect_image
from pipelines.snapshot.inline_picture import for_browser, inline_picture
from schemas.picture_work import MAX_WORK, picture_work, tags_work
from schemas.pixels import BadImage, CostlyImage, image_orientation, open_picture, read_rgb
from schemas.records import Reason
from schemas.shown import as_shown
from tests.curation.drawn import encoded, photo
from tests.promises import promise
from tests.zoo import SCENE, ZOO, chunk

JPEG, PNG, GIF = encoded(SCENE, 'JPEG'), encoded(SCENE), encoded(SCENE.quantize(64), 'GIF')
GIF_HEAD = 13 + (3 << (GIF[10] & 7) + 1)


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack('>H', len(body) + 2) + body


def in_jpeg(*segments: bytes) -> bytes:
    return JPEG[:2] + b''.join(segments) + JPEG[2:]


def many_scans(side: int, scans: int) -> bytes:
    """A grey progressive JPEG whose scans hold runs of 32,767 blocks without a coefficient: some bytes for millions of blocks."""
    runs = -(-((side + 7) // 8) ** 2 // 32767)
    bits = '0' * ((side + 7) // 8) ** 2
    first = int(bits + '1' * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8)) if bits else b''
    skipped = '0' + '1' * 14
    more = skipped * runs
    more = int(more + '1' * (-len(more) % 8), 2).to_bytes(-(-len(more) // 8)).replace(b'\xff', b'\xff\0')
    return (
        b'\xff\xd8' + segment(0xDB, b'\0' + bytes([16] * 64)) + segment(0xC2, struct.pack('>BHHB', 8, side, side, 1) + b'\x01\x11\0')
        + segment(0xC4, b'\0' + bytes([1] + [0] * 15) + b'\0') + segment(0xC4, b'\x10' + bytes([1] + [0] * 15) + b'\xe0')
        + segment(0xDA, b'\x01\x01\0\0\0\0') + first + (segment(0xDA, b'\x01\x01\0\x01\x3f\0') + more) * scans + b'\xff\xd9'
    )  # fmt: skip


def ifd(n: int, size: int, start: int = 8) -> bytes:
    """EXIF data whose tags all name the same bytes."""
    return b'II*\0' + struct.pack('<I', start) + struct.pack('<H', n) + b''.join(struct.pack('<HHII', 1000 + i, 1, size, 0) for i in range(n)) + b'\0' * 4


def tiff(width: int, height: int, n: int, **tags: int) -> bytes:
    """A grey TIFF of n strips that all lie at the same place."""
    named = {'compression': 259, 'rows': 278, 'across': 322, 'down': 323}
    values = {256: width, 257: height, 258: 8, 262: 1, 259: 1, **{named[name]: value for name, value in tags.items()}}
    at = 8 + 2 + 12 * (len(values) + 1) + 4
    entries = [(tag, 4, 1, value) for tag, value in values.items()] + [(324 if 'across' in tags else 273, 4, n, at if n > 1 else at)]
    return b'II*\0\x08\0\0\0' + struct.pack('<H', len(entries)) + b''.join(struct.pack('<HHII', *e) for e in sorted(entries)) + b'\0' * 4 + struct.pack('<I', 8) * n


def bmp(width: int, height: int, body: bytes) -> bytes:
    head = struct.pack('<IiiHHIIiiII', 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 256)
    return b'BM' + struct.pack('<IHHI', 1078 + len(body), 0, 0, 1078) + head + bytes(1024) + body


BOMBS = {
    'scans': many_scans(4000, 200),
    'segments': in_jpeg(segment(0xE5, b'') * 201_000),
    'junk between segments': in_jpeg(segment(0xE5, b''), b'\0' * 8_000_000),
    'Photoshop resources': in_jpeg(*[segment(0xED, b'Photoshop 3.0\0' + (b'8BIM' + b'\0' * 8) * 5000)] * 100),
    'EXIF that names itself': in_jpeg(segment(0xE1, b'Exif\0\0' + ifd(5000, 60000))),
    'EXIF in pieces': in_jpeg(*[segment(0xE1, b'Exif\0\0' + bytes(65000))] * 720),
    'pictures behind the first': in_jpeg(segment(0xE2, b'MPF\0' + ifd(5000, 60000))),
    'chunks': PNG[:33] + chunk(b'prVt', b'') * 201_000 + PNG[33:],
    'profiles': PNG[:33] + chunk(b'iCCP', b'a\0\0' + zlib.compress(bytes(1 << 20))) * 500 + PNG[33:],
    'texts': PNG[:33] + chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(1 << 20))) * 500 + PNG[33:],
    'blocks': GIF[:-1] + b'!\xf9\x01\0\0' * 101_000 + b';',
    'a comment in pieces': GIF[:GIF_HEAD] + b'!\xfe' + b'\x01a' * 200_000 + b'\0' + GIF[GIF_HEAD:],
    'run-length coding': bmp(5000, 5000, b'\1\7\0\0' * 5000),
    'runs': bmp(1000, 1000, b'\1\5' * 2_000_000),
    'tags': ifd(5000, 60000),
    'strips': tiff(100, 100, 210_000, rows=1),
    'strips over strips': tiff(3000, 3000, 1000, rows=1500),
    'a large tile': tiff(64, 64, 1, across=40_000, down=40_000, compression=8),
}


@promise('Hostile files', 'A picture that takes more work than its size can need is left out as IMAGE_TOO_COSTLY before it is decoded', bombs=len(BOMBS))
@pytest.mark.parametrize('name', BOMBS)
def test_a_bomb_costs_too_much(name: str):
    found = inspect_image(BOMBS[name], ImageLimits())
    assert isinstance(found, ImageFault)
    assert (found.reason, f'at most {MAX_WORK}' in found.detail) == (Reason.IMAGE_TOO_COSTLY, True)


@pytest.mark.parametrize('name', ['scans', 'tags', 'strips over strips', 'a large tile'])
def test_nobody_else_decodes_a_bomb_either(name: str):
    for shown in (read_rgb, as_shown):
        with pytest.raises(CostlyImage, match='units of work, at most'):
            shown(BOMBS[name])
    assert for_browser(BOMBS[name])[0] == 'text/plain'
    assert inline_picture(BOMBS[name]) == ''


@pytest.mark.parametrize('name', ZOO)
def test_pictures_as_they_are_stored_cost_little(name: str):
    work = picture_work(ZOO[name][0])
    assert work.opening < MAX_WORK / 1000
    assert work.decoding < MAX_WORK / 1000


def test_work_is_scans_times_samples():
    for subsampling, progressive, passes in ((0, False, 3), (2, False, 1.5), (0, True, 14), (2, True, 8)):
        data = encoded(photo(1, (320, 320)), 'JPEG', subsampling=subsampling, progressive=progressive)
        assert picture_work(data).decoding == passes * 320 * 320
    assert picture_work(encoded(photo(1, (320, 320)).convert('CMYK'), 'JPEG', progressive=True)).decoding == 24 * 320 * 320


def test_the_largest_picture_may_be_progressive_in_four_colours():
    assert MAX_WORK > 24 * 50_000_000


def test_a_few_scans_more_are_no_bomb():
    assert picture_work(many_scans(640, 100)).decoding == 101 * 640 * 640
    assert isinstance(inspect_image(encoded(photo(2), 'JPEG', progressive=True), ImageLimits()), ImageFacts)


@pytest.mark.parametrize('stored', ['eXIf', 'text'])
def test_exif_that_names_itself_over_and_over_says_nothing_in_a_png(stored: str):
    """Read, it were 200 MB, and ten times as many tags 20 GB. It may stand behind the pixels, where only the decoder comes across it."""
    exif = ifd(4_000, 60_000)
    assert tags_work(exif) > MAX_WORK
    text = b'Raw profile type exif\0\0' + zlib.compress(f'\nexif\n{len(exif):8}\n{exif.hex()}'.encode())
    for data in (PNG[:33] + (part := chunk(b'eXIf', exif) if stored == 'eXIf' else chunk(b'zTXt', text)) + PNG[33:], PNG[:-12] + part + PNG[-12:]):
        with open_picture(data) as image:
            assert image_orientation(image) == 1
        assert np.array_equal(np.asarray(read_rgb(data)), np.asarray(SCENE))


def test_what_the_machine_refuses_for_the_moment_is_no_verdict(monkeypatch: pytest.MonkeyPatch):
    for error in (OSError(24, 'Too many open files'), MemoryError()):
        def refuse(*_: object, error: BaseException = error, **__: object) -> None:
            raise error

        with monkeypatch.context() as changed:
            changed.setattr(Image.Image, 'getexif', refuse)
            changed.setattr(Image, 'open', refuse)
            for read in (read_rgb, as_shown, lambda data: inspect_image(data, ImageLimits())):
                with pytest.raises(type(error)):
                    read(PNG)
    with pytest.raises(BadImage):
        read_rgb(b'GIF89a')
