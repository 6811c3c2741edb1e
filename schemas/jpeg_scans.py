"""The scans of a JPEG, from its markers (ITU-T T.81, annex B): what it costs to decode, what of the picture it brings, where its data end."""

import re
from dataclasses import dataclass, field

SOI, EOI, SOS, DRI = b'\xff\xd8', 0xD9, 0xDA, 0xDD
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame; the other three are tables and a reserved marker
PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
MOST = 1 << 18  # segments that are looked at, far more than one may have; a photo has 10 to 50, one with a large colour profile 300
ARITHMETIC = frozenset(range(0xC9, 0xD0)) - {0xCC}
_ALONE = frozenset((0x01, 0xD8, *range(0xD0, 0xD8)))  # markers without a length
_MARKER = re.compile(rb'\xff[^\x00\xff\xd0-\xd7]')  # what ends the data of a scan: a byte 0xFF of the data has a zero behind it
_RESTART = re.compile(rb'\xff[\xd0-\xd7]')


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan: its components by their place in the frame, what it brings of their 64 coefficients, where its data end."""

    components: tuple[int, ...]
    first: int  # coefficients first..last, from bit `low` up
    last: int
    low: int
    end: int  # of its data, where the next marker stands, or the file ends
    interval: int  # blocks or groups of blocks between two restart markers, 0 for none
    restarts: int  # restart markers found


@dataclass(slots=True)
class Jpeg:
    """The frame of a JPEG and its scans up to the end marker of its first picture."""

    frame: int = 0  # second byte of its start-of-frame marker, 0 where there is none
    width: int = 0
    height: int = 0
    sampling: tuple[tuple[int, int, int], ...] = ()  # component id, horizontal and vertical factor
    scans: list[Scan] = field(default_factory=list)
    segments: int = 0  # and Photoshop's resources, which Pillow reads one by one like segments
    junk: int = 0  # bytes between segments
    exif: list[bytes] = field(default_factory=list)
    further: bytes = b''  # the index of the pictures behind the first (MPF)
    ended: bool = False  # whether the end marker is there

    def blocks(self, component: int) -> int:
        """Return how many blocks of 8 x 8 samples a component has."""
        across, down = self._blocks(component)
        return across * down

    def units(self, scan: Scan) -> int:
        """Return how many minimum coded units a scan holds: blocks of one component, or groups of blocks of several (T.81, A.2)."""
        if len(scan.components) == 1:
            return self.blocks(scan.components[0])
        across, down = self._most()
        return -(-self.width // (8 * across)) * -(-self.height // (8 * down))

    def _blocks(self, component: int) -> tuple[int, int]:
        _, across, down = self.sampling[component]
        widest, highest = self._most()
        return -(-self.width * across // (8 * widest)), -(-self.height * down // (8 * highest))

    def _most(self) -> tuple[int, int]:
        return max(h for _, h, _ in self.sampling) or 1, max(v for _, _, v in self.sampling) or 1


def read_jpeg(data: bytes, most: int = MOST) -> Jpeg:
    """Return what the markers of a JPEG say. Of damaged ones it is what stands before the damage; after `most` segments it stops."""
    found, interval = Jpeg(), 0
    at = 2
    while at + 2 <= len(data) and found.segments < most:
        start = data.find(b'\xff', at)
        if start < 0:
            break
        found.junk += start - at
        marker, at = data[start + 1 : start + 2], start + 1
        if not marker or marker[0] in (0, 0xFF):
            found.junk += 1
            continue
        code, at = marker[0], start + 2
        found.segments += 1
        if code == EOI:
            found.ended = True
            break
        if code in _ALONE:
            continue
        length = int.from_bytes(data[at : at + 2])
        body, at = data[at + 2 : at + length], at + max(length, 2)
        if code in FRAMES and not found.frame:
            _read_frame(found, code, body)
        elif code == DRI:
            interval = int.from_bytes(body[:2])
        elif code == 0xE1 and body[:6] == b'Exif\0\0':
            found.exif.append(body[6:])
        elif code == 0xE2 and body[:4] == b'MPF\0':
            found.further = body[4:]
        elif code == 0xED:
            found.segments += body.count(b'8BIM')
        elif code == SOS:
            marker_behind = _MARKER.search(data, at)
            end = marker_behind.start() if marker_behind else len(data)
            _note_scan(found, body, end, interval, len(_RESTART.findall(data, at, end)) if interval else 0)
            at = end
    return found


def _read_frame(found: Jpeg, code: int, body: bytes) -> None:
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:
        return
    found.frame, found.height, found.width = code, int.from_bytes(body[1:3]), int.from_bytes(body[3:5])
    parts = (body[6 + 3 * i : 9 + 3 * i] for i in range(body[5]))
    found.sampling = tuple((part[0], part[1] >> 4, part[1] & 15) for part in parts)


def _note_scan(found: Jpeg, header: bytes, end: int, interval: int, restarts: int) -> None:
    n = header[0] if header else 0
    places = {part[0]: place for place, part in enumerate(found.sampling)}
    components = tuple(places[c] for c in header[1 : 1 + 2 * n : 2] if c in places)
    tail = header[1 + 2 * n : 4 + 2 * n]
    if components and len(components) == n and len(tail) == 3:
        first, last, low = (tail[0], tail[1], tail[2] & 15) if found.frame in PROGRESSIVE else (0, 63, 0)
        found.scans.append(Scan(components, first, last, low, end, interval, restarts))


def missing_of(jpeg: Jpeg) -> str:
    """Return what the scans of a JPEG leave out of its picture, in words; '' where they bring every coefficient to its last bit."""
    whole = [0] * len(jpeg.sampling)  # a bit for each coefficient
    for scan in jpeg.scans:
        for component in scan.components if scan.low == 0 else ():
            whole[component] |= (2 << min(scan.last, 63)) - (1 << min(scan.first, 63))
    absent = sum(64 - bits.bit_count() for bits in whole)
    if absent:
        return f'{len(jpeg.scans)} scans leave {absent} of {64 * len(whole)} coefficients without their last bits'
    for number, scan in enumerate(jpeg.scans, 1):
        expected = -(-jpeg.units(scan) // scan.interval) - 1 if scan.interval else 0
        if scan.restarts < expected:
            return f'scan {number} of {len(jpeg.scans)} has {scan.restarts} restart markers, expected {expected}'
    return ''
