"""Pictures whose data end early although everything else says that they are whole: the end mark stands there, sizes and checksums are right."""

import struct
import zlib
from collections.abc import Callable

from PIL import Image

from tests.curation.drawn import encoded
from tests.zoo import chunk

JPEG_FORMS: dict[str, dict] = {
    'JPEG': {'quality': 85}, 'JPEG, whole colours': {'quality': 97, 'subsampling': 0}, 'JPEG, coarse': {'quality': 10},
    'JPEG, own codes': {'quality': 60, 'optimize': True}, 'JPEG, restarts': {'quality': 80, 'restart_marker_rows': 1},
    'JPEG, progressive': {'quality': 85, 'progressive': True}, 'JPEG, progressive, coarse': {'quality': 20, 'progressive': True},
    'JPEG, progressive, restarts': {'quality': 80, 'progressive': True, 'restart_marker_rows': 2},
}  # fmt: skip
TIFF_FORMS = {'TIFF': None, 'TIFF, LZW': 'tiff_lzw', 'TIFF, deflate': 'tiff_adobe_deflate', 'TIFF, JPEG': 'jpeg'}


def in_forms(image: Image.Image) -> dict[str, bytes]:
    """Return a picture in every form that can be cut."""
    return {
        **{form: encoded(image, 'JPEG', **options) for form, options in JPEG_FORMS.items()},
        'PNG': encoded(image), 'PNG, palette': encoded(image.convert('RGB').quantize(64)), 'GIF': encoded(image.convert('RGB').quantize(64), 'GIF'),
        'WEBP': encoded(image, 'WEBP', quality=80), 'WEBP, lossless': encoded(image, 'WEBP', lossless=True), 'BMP': encoded(image, 'BMP'),
        **{form: encoded(image, 'TIFF', compression=compression) for form, compression in TIFF_FORMS.items()},
    }  # fmt: skip


def cut(form: str, data: bytes, share: float) -> bytes:
    """Return a picture with that share of its data and everything else set right: a download that a careless tool closed."""
    return CUTS[form.partition(',')[0]](data, share)


def _jpeg(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)].removesuffix(b'\xff') + b'\xff\xd9'


def _png(data: bytes, share: float) -> bytes:
    head, at, pixels = b'', 8, b''
    while at < len(data):
        length, name = struct.unpack_from('>I4s', data, at)
        if name == b'IDAT':
            pixels += data[at + 8 : at + 8 + length]
        elif name != b'IEND':
            head += data[at : at + 12 + length]
        at += 12 + length
    rows = zlib.decompress(pixels)
    return data[:8] + head + chunk(b'IDAT', zlib.compress(rows[: int(len(rows) * share)])) + chunk(b'IEND', b'')


def _gif(data: bytes, share: float) -> bytes:
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    at = data.index(b',', at) + 11
    blocks = []
    while data[at]:
        blocks.append(data[at : at + 1 + data[at]])
        at += 1 + data[at]
    start = at - sum(map(len, blocks))
    return data[:start] + b''.join(blocks[: int(len(blocks) * share)]) + b'\0;'


def _webp(data: bytes, share: float) -> bytes:
    body = data[20 : 20 + int((len(data) - 20) * share) // 2 * 2]
    return b'RIFF' + struct.pack('<I', len(body) + 12) + data[8:16] + struct.pack('<I', len(body)) + body


def _bmp(data: bytes, share: float) -> bytes:
    short = bytearray(data[: 54 + int((len(data) - 54) * share)])
    struct.pack_into('<I', short, 2, len(short))
    struct.pack_into('<I', short, 34, len(short) - 54)
    return bytes(short)


def _tiff(data: bytes, share: float) -> bytes:
    """Shorten every strip; strips that are not compressed are as long as their rows, so of such a file the end is missing."""
    start, short = struct.unpack_from('<I', data, 4)[0], bytearray(data)
    entries = {tag: (kind, count, at) for tag, kind, count, at in struct.iter_unpack('<HHII', _directory(data, start))}
    kind, count, at = entries[279]
    form, size = {3: ('H', 2), 4: ('I', 4)}[kind]
    place = at if size * count > 4 else start + 2 + 12 * sorted(entries).index(279) + 8
    sizes = struct.unpack_from(f'<{count}{form}', data, place)
    struct.pack_into(f'<{count}{form}', short, place, *(max(1, int(one * share)) for one in sizes))
    return bytes(short) if 259 in entries and entries[259][2] != 1 else bytes(short[: int(len(data) * share)])


def _directory(data: bytes, start: int) -> bytes:
    return data[start + 2 : start + 2 + 12 * struct.unpack_from('<H', data, start)[0]]


CUTS: dict[str, Callable[[bytes, float], bytes]] = {'JPEG': _jpeg, 'PNG': _png, 'GIF': _gif, 'WEBP': _webp, 'BMP': _bmp, 'TIFF': _tiff}
