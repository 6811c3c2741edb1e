"""A JPEG is watched while it is decoded: decoders fill what its data lack with grey, in silence, once they meet an end marker.

Watching costs nothing. Behind the data of each scan the decoder is given a few bytes more. Where it has all it wants they are skipped, as
anything between two segments is (libjpeg warns, which nobody sees); where it wants more they are decoded, and it waits for the rest of a block.
The bytes hold ones, which begin no code (ITU-T T.81, annex C), so that a block takes as many as it can. What is seen: docs/pictures.md.
"""

from PIL import Image, ImageFile

from schemas.jpeg_scans import ARITHMETIC, Jpeg, missing_of

ONES = b'\xff\0'  # eight bits of data
AHEAD = ONES * 8  # what libjpeg reads ahead of a block, 57 bits at least (jdhuff.h, MIN_GET_BITS)
WATCHED = 8  # single bytes; a block that waits holds some of them back


class CutShort(OSError):
    """The data of a picture end before its pixels do; the message says where."""


def load_jpeg(image: ImageFile.ImageFile, data: bytes, jpeg: Jpeg) -> None:
    """Decode an opened JPEG, whose markers were read; raises CutShort where its data end early. Drafts are decoded as such."""
    missing = missing_of(jpeg)
    if missing:
        raise CutShort(f'the data end early: {missing}')
    if not jpeg.ended or jpeg.frame in ARITHMETIC or len(image.tile) != 1:  # Pillow tells a lacking end; arithmetic data cannot be fed in parts
        image.load()
        return
    name, extents, _, args = image.tile[0]
    image.load_prepare()
    decoder = Image._getdecoder(image.mode, name, args, image.decoderconfig)
    try:
        decoder.setimage(image.im, extents)
        scans = _feed(decoder, data, jpeg)
    finally:
        decoder.cleanup()
    if scans == len(jpeg.scans):
        image.tile = []
    image.load()  # nothing is left to do, but where it has more scans than a picture needs: then Pillow decides


def _feed(decoder: 'Image.core.ImagingDecoder | ImageFile.PyDecoder', data: bytes, jpeg: Jpeg) -> int:
    """Give a decoder the data scan by scan and return how many it took.

    One scan is decoded row by row and done before the end marker comes, several are collected until then.
    """
    at, left = 0, b''
    for number, scan in enumerate(jpeg.scans, 1):
        part = left + data[at : scan.end] + AHEAD
        used, failed = decoder.decode(part)
        waits = 0
        for _ in range(WATCHED):
            if used < 0:
                break
            part = part[used:] + ONES
            used, failed = decoder.decode(part)
            waits += 0 <= used < len(part)
        if used < 0:
            _check(failed)
            return number
        if waits or len(jpeg.scans) == 1:
            raise CutShort(f'the data end early: scan {number} of {len(jpeg.scans)} wants more than its bytes up to {scan.end} of {len(data)}')
        at, left = scan.end, part[used:]
    used, failed = decoder.decode(left + data[at:])
    if used >= 0:
        raise CutShort(f'the data end early: {len(jpeg.scans)} scans, and the decoder wants another')
    _check(failed)
    return len(jpeg.scans)


def _check(failed: int) -> None:
    if failed < 0:
        raise OSError(f'broken data stream when reading image file (decoder error {failed})')
