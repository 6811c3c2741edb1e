"""The size of a plain JPEG: the commonest form, of which nothing has to be asked. All others are read in full (schemas/jpeg_scans.py).

It is baseline (ITU-T T.81), of 8 bits and three colours in one scan, without restart markers; before its frame stand tables, comments and the
JFIF header and nothing that could turn it, colour it otherwise or hold another picture; its data run up to its end marker.
"""

import re
from struct import Struct

MOST_SEGMENTS = 32  # before the scan: a plain one has 6 to 12
START = b'\xff\xd8\xff'
TABLES = frozenset((0xC4, 0xDB, 0xFE))  # DHT, DQT, COM
JFIF, JFIF_BYTES = 0xE0, 16  # without a thumbnail
BASELINE, FRAME_BYTES, SCAN, SCAN_BYTES = (0xC0, 0xC1), 17, 0xDA, 12
_MARKER, _FRAME = Struct('>BBH'), Struct('>BHHB')
_BEHIND = re.compile(rb'\xff[^\x00]')  # what ends the data of a scan


def plain_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a plain JPEG, None for any other bytes. Of them all but the data of the scan are looked at."""
    size, at = None, 2
    if not data.startswith(START):
        return None
    for _ in range(MOST_SEGMENTS):
        if at + 22 > len(data):  # any segment, or the scan's header and its first bytes
            return None
        ff, code, length = _MARKER.unpack_from(data, at)
        if ff != 0xFF or length < 2:
            return None
        if code == SCAN:
            return size if size and length == SCAN_BYTES and data[at + 4] == 3 and _ends(data, at + 2 + length) else None
        if code in BASELINE:
            bits, height, width, colours = _FRAME.unpack_from(data, at + 4)
            if size or length != FRAME_BYTES or bits != 8 or colours != 3 or not (width and height):
                return None
            size = width, height
        elif code not in TABLES and not (code == JFIF and length == JFIF_BYTES and data[at + 4 : at + 8] == b'JFIF'):
            return None
        at += 2 + length
    return None


def _ends(data: bytes, at: int) -> bool:
    behind = _BEHIND.search(data, at)
    return behind is not None and data[behind.end() - 1] == 0xD9
