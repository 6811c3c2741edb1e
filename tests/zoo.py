"""One picture in every form in which pictures are stored: each must be seen as the same by everyone."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from tests.curation.drawn import encoded, photo

SCENE = photo(3, (96, 64))
GREY = SCENE.convert('L')
VALUES = np.asarray(GREY)
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{}"/></x:xmpmeta>'
# how a picture must be stored to stand upright once it is turned as each EXIF orientation says (EXIF 2.32, 4.6.5)
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))


def png(rows: np.ndarray, depth: int, colour: int, before: bytes = b'', behind: bytes = b'') -> bytes:
    """Return a PNG of big-endian rows; chunks may stand before and behind its pixels."""
    height, width = rows.shape[:2]
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, 0))
    pixels = zlib.compress(b''.join(b'\0' + row.tobytes() for row in rows))
    return b'\x89PNG\r\n\x1a\n' + header + before + chunk(b'IDAT', pixels) + behind + chunk(b'IEND', b'')


def exif_of(orientation: int) -> Image.Exif:
    """Return EXIF data that say how a picture is turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def stored(orientation: int, image: Image.Image = SCENE) -> Image.Image:
    """Return the pixels of a picture as a camera that was turned stores them."""
    return image if orientation == 1 else image.transpose(STORED[orientation])


def in_16_bits(values: np.ndarray) -> bytes:
    """Return a grey PNG of 16 bits."""
    return png(values.astype('>u2'), 16, 0)


def in_float(values: np.ndarray) -> bytes:
    """Return a TIFF of 32-bit floats."""
    return encoded(Image.fromarray(values.astype(np.float32)), 'TIFF')


def clear(colour: tuple[int, int, int] = (0, 0, 0)) -> Image.Image:
    """Return the scene in the middle of a transparent ground, under which a colour is hidden."""
    rgba = np.zeros((64, 96, 4), np.uint8)
    rgba[..., :3] = colour
    rgba[16:48, 24:72] = np.dstack([np.asarray(SCENE)[16:48, 24:72], np.full((32, 48), 255, np.uint8)])
    return Image.fromarray(rgba)


def icon(colour: int = 255) -> bytes:
    """Return an icon of one grey on a transparent ground; of white nothing is left to see."""
    rgba = np.zeros((96, 96, 4), np.uint8)
    rgba[..., :3] = colour
    rgba[20:70, 30:60, 3] = 255
    return encoded(Image.fromarray(rgba))


def _la() -> Image.Image:
    return Image.merge('LA', [GREY, clear().getchannel('A')])


def _outliers(values: np.ndarray, *them: float) -> np.ndarray:
    changed = values.astype(np.float64) / 255
    changed.ravel()[: len(them)] = them
    return changed


_UPRIGHT_EXIF = exif_of(6).tobytes()[6:]  # without its `Exif\0\0`
_ITXT = b'XML:com.adobe.xmp\0\0\0\0\0' + XMP.format(6).encode()
_TURNED = np.asarray(stored(6))

# every form, and what it must be seen as: SCENE, GREY (both exactly), 'near' one of them, or whatever it is (None), as long as all see the same
ZOO: dict[str, tuple[bytes, Image.Image | None, int]] = {
    'rgb.png': (encoded(SCENE), SCENE, 0),
    'rgb.jpg': (encoded(SCENE, 'JPEG', quality=97), SCENE, 24),
    'rgb.webp': (encoded(SCENE, 'WEBP', lossless=True), SCENE, 0),
    'rgb.bmp': (encoded(SCENE, 'BMP'), SCENE, 0),
    'grey.png': (encoded(GREY), GREY, 0),
    'grey.jpg': (encoded(GREY, 'JPEG', quality=97), GREY, 12),
    'palette.png': (encoded(GREY.convert('P')), GREY, 0),
    'palette.gif': (encoded(GREY.convert('P'), 'GIF'), GREY, 0),
    'bits.png': (encoded(GREY.convert('1')), None, 0),
    '16.png': (in_16_bits(VALUES.astype(int) * 257), GREY, 0),
    '16-high.png': (in_16_bits(VALUES.astype(int) * 256 + 77), GREY, 0),
    '16-small.png': (in_16_bits(VALUES), GREY, 0),
    '16-of-10.png': (in_16_bits(VALUES.astype(int) * 4), GREY, 0),
    '16-of-12.png': (in_16_bits(VALUES.astype(int) * 16), GREY, 0),
    '16-small.tif': (encoded(Image.fromarray(VALUES.astype(np.uint16)), 'TIFF'), GREY, 0),
    '16-rgb.png': (png(np.asarray(SCENE).astype('>u2') * 257, 16, 2), SCENE, 0),
    '32.tif': (encoded(Image.fromarray(VALUES.astype(np.int32)), 'TIFF'), GREY, 0),
    'float.tif': (in_float(VALUES / 255), None, 0),
    'float-outlier.tif': (in_float(_outliers(VALUES, 1e30)), None, 0),
    'float-nan.tif': (in_float(_outliers(VALUES, np.nan, np.inf, -np.inf)), None, 0),
    'clear.png': (encoded(clear()), None, 0),
    'clear.webp': (encoded(clear((200, 10, 10)), 'WEBP', lossless=True, exact=True), None, 0),
    'clear.tif': (encoded(clear(), 'TIFF'), None, 0),
    'clear-grey.png': (encoded(_la()), None, 0),
    'clear-palette.png': (encoded(clear().convert('P'), transparency=0), None, 0),
    'clear-colour.png': (png(np.asarray(SCENE), 8, 2, chunk(b'tRNS', struct.pack('>HHH', *np.asarray(SCENE)[0, 0].tolist()))), None, 0),
    'clear-16.png': (png(VALUES.astype('>u2') * 257, 16, 0, chunk(b'tRNS', struct.pack('>H', int(VALUES[0, 0]) * 257))), None, 0),
    'cmyk.jpg': (encoded(SCENE.convert('CMYK'), 'JPEG', quality=97), SCENE, 24),
    'cmyk.tif': (encoded(SCENE.convert('CMYK'), 'TIFF'), SCENE, 0),
    'jpeg.tif': (encoded(SCENE, 'TIFF', compression='jpeg', quality=97), SCENE, 40),
    'lab.tif': (encoded(Image.merge('LAB', SCENE.split()), 'TIFF'), None, 0),
    **{f'exif-{turn}.jpg': (encoded(stored(turn), 'JPEG', quality=97, exif=exif_of(turn)), SCENE, 24) for turn in range(1, 9)},
    **{f'exif-{turn}.tif': (encoded(stored(turn), 'TIFF', exif=exif_of(turn)), SCENE, 0) for turn in (1, 3, 6, 7)},
    'exif.webp': (encoded(stored(6), 'WEBP', lossless=True, exif=exif_of(6)), SCENE, 0),
    'exif.png': (png(_TURNED, 8, 2, before=chunk(b'eXIf', _UPRIGHT_EXIF)), SCENE, 0),
    'exif-late.png': (png(_TURNED, 8, 2, behind=chunk(b'eXIf', _UPRIGHT_EXIF)), SCENE, 0),
    'exif-late-clear.png': (png(np.asarray(clear().transpose(STORED[6])), 8, 6, behind=chunk(b'eXIf', _UPRIGHT_EXIF)), None, 0),
    'xmp.png': (png(_TURNED, 8, 2, before=chunk(b'iTXt', _ITXT)), SCENE, 0),
    'xmp-late.png': (png(_TURNED, 8, 2, behind=chunk(b'iTXt', _ITXT)), SCENE, 0),
    'xmp.jpg': (encoded(stored(6), 'JPEG', quality=97, xmp=XMP.format(6).encode()), SCENE, 24),
    'xmp.webp': (encoded(stored(8), 'WEBP', lossless=True, xmp=XMP.format(8).encode()), SCENE, 0),
}


def opened(data: bytes) -> np.ndarray:
    """Return what a server or a browser that knows nothing of us sees of bytes it is given."""
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif().get(0x0112, 1) == 1
        assert not image.has_transparency_data
        return np.asarray(image.convert('RGB'))
