"""Facts about one picture from its bytes: identity, size, format, kind, perceptual hashes, a colour thumbnail.

Everything is decoded in full (truncation shows: curation/pictures/whole.py), after bytes, pixels and work were bounded. Whether a picture is blank
and what it is hashed by is what a model is shown of it (schemas/pixels.py), upright and on white, so `phash64` and `phash256` are
imagehash's phash at 8x8 and 16x16 bits of the upright picture as a viewer shows it: within 2 and 6 bits, mostly bit for bit;
most larger JPEGs of photos are hashed at reduced scale. How: curation/pictures/phash.py.
"""

import hashlib
import io
from dataclasses import dataclass
from operator import add

import numpy as np
from PIL import Image, ImageFile

from curation.pictures.decoded import Decoded, decode_opened, decode_plain
from curation.pictures.phash import Phash, phash, phash_of_scaled
from curation.pictures.whole import CutShort
from schemas.picture_work import TooCostly, picture_work
from schemas.pixels import DECODE_ERRORS, FORMATS, refuse_moment
from schemas.plain_jpeg import plain_size
from schemas.records import Reason

PLAIN_PX = 64_000_000  # beyond, Pillow has its say on bombs, and work is counted
KIND_PX = 128  # shorter side, about, at which a picture's kind is decided
THUMB_PX = 8  # side of the colour thumbnail: 8 * 8 * 3 = 192 bytes
DOCUMENT_TONE = 0.45  # share of pixels in one tone; charts, pages, easy-vqa pictures: >= 0.48; photos: median 0.24
BLANK_SPREAD = 1  # grey levels of 255 that a one-coloured picture may vary by in each band after JPEG
LOSSY_WEBP_SPREAD = 6  # the same for lossy WebP: 3 to 6 levels in two of three colours at Pillow's quality 80, none in JPEG
PLACEHOLDER_BITS = 6  # of 256: what our own hash may differ from imagehash's on one picture
EXTENSIONS = {
    'PNG': ('png', 'apng'), 'JPEG': ('jpg', 'jpeg', 'jpe', 'jfif'), 'MPO': ('jpg', 'jpeg', 'mpo'), 'WEBP': ('webp',),
    'GIF': ('gif',), 'BMP': ('bmp', 'dib'), 'TIFF': ('tif', 'tiff'),
}  # fmt: skip
# First bytes of files that are whole but not ours to decode: named in the rejection, never opened (EPS runs a program).
OTHER_MAGIC = {
    b'%PDF': 'PDF', b'%!PS': 'PostScript', b'\xc5\xd0\xd3\xc6': 'PostScript', b'8BPS': 'PSD', b'<svg': 'SVG', b'<?xml': 'XML or SVG',
    b'<!DOC': 'HTML', b'<html': 'HTML', b'\0\0\1\0': 'ICO', b'icns': 'ICNS', b'PK\3\4': 'ZIP', b'\x1f\x8b': 'gzip',
    b'\0\0\0\x0cjP  ': 'JPEG 2000', b'\xff\x4f\xff\x51': 'JPEG 2000', b'\0\0\0\x0cJXL ': 'JPEG XL', b'\xff\x0a': 'JPEG XL',
    b'II\xbc\1': 'JPEG XR', b'qoif': 'QOI', b'\x76\x2f\x31\1': 'OpenEXR', b'#?RADIANCE': 'Radiance HDR', b'DDS ': 'DDS', b'gimp xcf': 'XCF',
    b'SIMPLE  =': 'FITS', b'Pf\n': 'PFM', b'PF\n': 'PFM', b'P7\n': 'PAM', b'version https://git-lfs': 'a Git LFS pointer',
    **{b'P' + kind + blank: name for name, kinds in (('PBM', (b'1', b'4')), ('PGM', (b'2', b'5')), ('PPM', (b'3', b'6')))
       for kind in kinds for blank in (b'\n', b' ', b'\r', b'\t')},
    b'GIF8': 'GIF', b'\x89PNG': 'PNG', b'\xff\xd8\xff': 'JPEG', b'BM': 'BMP', b'II*\0': 'TIFF', b'MM\0*': 'TIFF',
}  # fmt: skip
# of the ISO base media files (HEIF, AVIF), by their major brand
ISO_BRANDS = {
    **dict.fromkeys((b'avif', b'avis'), 'AVIF'),
    **dict.fromkeys((b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'mif1', b'msf1'), 'HEIC'),
    **dict.fromkeys((b'isom', b'iso2', b'mp41', b'mp42', b'avc1', b'qt  '), 'a video'),
}


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Bounds that a picture must keep; bytes, pixels and work (schemas/picture_work.py) are checked before anything is decoded."""

    max_bytes: int = 64 << 20
    max_pixels: int = 64_000_000
    min_side_px: int = 14  # one ViT patch
    max_aspect: float = 30.0  # longer side / shorter side
    formats: tuple[str, ...] = FORMATS
    matching_extension: bool = False  # whether a picture must hold what its name says; checked where the name is known
    placeholder_ids: frozenset[str] = frozenset()  # sha256 of known "image not available" files
    placeholder_phashes: frozenset[bytes] = frozenset()  # their 256-bit hashes, 32 bytes each


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of one picture. `width` and `height` are as stored; hashes and thumbnail are of the upright one."""

    image_id: str  # sha256 hex of the bytes
    n_bytes: int
    width: int
    height: int
    format: str  # Pillow's name; MPO is a JPEG with further pictures behind the first
    mode: str  # Pillow's mode in the file: RGB, L, P, CMYK, I;16, ...
    orientation: int  # EXIF 1..8; 1 where absent
    kind: str  # 'photo' | 'document'
    phash64: int  # first bit = highest, as in imagehash's hex
    phash256: bytes  # 32 bytes
    steady64: int  # as phash64, but in documents that are symmetrical drawings: curation/pictures/phash.py
    steady256: bytes
    thumb: bytes  # uint8[8, 8, 3], RGB: the colours, for curation.pictures.confirm

    def hashes(self) -> list[tuple[int, bytes]]:
        """Return the pairs of 64 and 256 bits by which the picture is looked up: its phash, and its steady hash where that differs."""
        return list(dict.fromkeys([(self.phash64, self.phash256), (self.steady64, self.steady256)]))


@dataclass(frozen=True, slots=True)
class ImageFault:
    """Why a picture is left out."""

    reason: Reason
    detail: str


def inspect_image(data: bytes, limits: ImageLimits) -> ImageFacts | ImageFault:
    """Return the facts of the picture in `data`, or the first fault found in it.

    Raises OSError with an errno, or MemoryError, where the machine refuses for the moment: no verdict on the picture.
    """
    assert not ImageFile.LOAD_TRUNCATED_IMAGES, 'PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set: truncation goes unseen'
    if len(data) > limits.max_bytes:
        return ImageFault(Reason.IMAGE_TOO_LARGE, f'{len(data)} bytes, at most {limits.max_bytes}')
    image_id = hashlib.sha256(data).hexdigest()
    if image_id in limits.placeholder_ids:
        return ImageFault(Reason.IMAGE_PLACEHOLDER, f'sha256 {image_id}')
    try:
        if 'JPEG' in limits.formats and (size := plain_size(data)) and size[0] * size[1] <= PLAIN_PX:
            if fault := _size_fault(size, limits):
                return fault
            if decoded := decode_plain(data, size):
                return _facts(decoded, image_id, limits)
        work = picture_work(data)
        work.check_opening()
        with Image.open(io.BytesIO(data), formats=limits.formats) as image:
            return _header_fault(image, limits) or _facts(decode_opened(image, data, work), image_id, limits)
    except TooCostly as cost:
        return ImageFault(Reason.IMAGE_TOO_COSTLY, str(cost))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as bomb:
        return ImageFault(Reason.IMAGE_TOO_LARGE, str(bomb))
    except CutShort as cut:
        return ImageFault(Reason.IMAGE_TRUNCATED, str(cut))
    except DECODE_ERRORS as error:
        refuse_moment(error)
        return _decode_fault(data, error, limits)


def extension_agrees(path: str, image_format: str) -> bool:
    """Return whether the extension of `path` names `image_format`: a fact to record, not a fault."""
    return path.rsplit('.', 1)[-1].lower() in EXTENSIONS.get(image_format, ())


def image_kind(grey: Image.Image) -> str:
    """Return 'document' (page, chart, drawing) where DOCUMENT_TONE of the picture is one tone of 16 grey levels.

    Errs towards 'document', whose near-duplicates are confirmed more strictly: an object on a white ground is one too.
    """
    factor = min(grey.size) // KIND_PX  # so that a JPEG at reduced scale and a PNG of it are told apart alike
    small = grey.reduce(factor) if factor > 1 else grey
    levels = small.histogram()
    counts = [sum(levels[at : at + 8]) for at in range(0, 256, 8)]
    return 'document' if max(map(add, counts, counts[1:])) >= DOCUMENT_TONE * sum(counts) else 'photo'


def colour_thumb(image: Image.Image) -> bytes:
    """Return the mean colours of an 8 x 8 grid over a picture in RGB or RGBX: uint8[8, 8, 3], RGB."""
    factor = min(image.size) // (4 * THUMB_PX)
    small = image.reduce(factor) if factor > 1 else image
    return small.resize((THUMB_PX, THUMB_PX), Image.Resampling.BOX).convert('RGB').tobytes()


def _header_fault(image: Image.Image, limits: ImageLimits) -> ImageFault | None:
    """Return what the header alone condemns; no pixel has been decoded yet."""
    fault = _size_fault(image.size, limits)
    if fault is None and image.format != 'MPO' and getattr(image, 'is_animated', False):
        return ImageFault(Reason.IMAGE_ANIMATED, f'{image.format} of more than one frame or page')
    return fault


def _size_fault(size: tuple[int, int], limits: ImageLimits) -> ImageFault | None:
    shorter, longer = sorted(size)
    if shorter * longer > limits.max_pixels:
        return ImageFault(Reason.IMAGE_TOO_LARGE, f'{_say(size)}, at most {limits.max_pixels} in all')
    if shorter < limits.min_side_px:
        return ImageFault(Reason.IMAGE_TOO_SMALL, f'{_say(size)}, at least {limits.min_side_px} a side')
    if longer > limits.max_aspect * shorter:
        return ImageFault(Reason.IMAGE_ASPECT, f'{_say(size)}, at most {limits.max_aspect:g} : 1')
    return None


def _say(size: tuple[int, int]) -> str:
    return f'{size[0]} x {size[1]} pixels'


def _facts(decoded: Decoded, image_id: str, limits: ImageLimits) -> ImageFacts | ImageFault:
    """Return the facts of a picture whose header is within limits, or the fault its pixels show."""
    thumb = colour_thumb(decoded.colours)
    spread = LOSSY_WEBP_SPREAD if decoded.data[12:16] == b'VP8 ' else BLANK_SPREAD
    if _may_be_blank(thumb, spread) and _is_blank(decoded.colours, spread) and (decoded.scale == 1 or _is_blank(decoded.full(), spread)):
        return ImageFault(Reason.IMAGE_BLANK, _say_blank(thumb, decoded.mode, decoded.format))
    grey = decoded.colours.convert('L')
    kind = image_kind(grey)
    hashes = _hashes(decoded, grey, kind)
    steady = (hashes.steady64, hashes.steady256) if kind == 'document' else (hashes.bits64, hashes.bits256)
    if limits.placeholder_phashes and _is_placeholder(hashes, limits):
        return ImageFault(Reason.IMAGE_PLACEHOLDER, f'256-bit hash {hashes.bits256.hex()}')
    return ImageFacts(
        image_id, len(decoded.data), *decoded.size, format=decoded.format, mode=decoded.mode, orientation=decoded.orientation, kind=kind,
        phash64=int.from_bytes(hashes.bits64), phash256=hashes.bits256, steady64=int.from_bytes(steady[0]), steady256=steady[1], thumb=thumb,
    )  # fmt: skip


def _hashes(decoded: Decoded, grey: Image.Image, kind: str) -> Phash:
    """Return the hashes of a picture by its brightness, or where that is of a JPEG at too coarse a scale of the full picture.

    Always of the full one for pages and charts, whose thin coloured lines move more than `phash_of_scaled` counts on (12 of 256
    bits seen). It is read in colours, though its brightness alone were quicker: where colours clip, the two differ by up to 53 grey levels.
    """
    if decoded.scale == 1:
        return phash(grey)
    return phash_of_scaled(grey, decoded.extent, decoded.full_grey) if kind == 'photo' else phash(decoded.full_grey())


def _may_be_blank(thumb: bytes, spread: int) -> bool:
    """Return whether the thumbnail is of one colour: looked at first, since most pictures are not."""
    bands = (thumb[0::3], thumb[1::3], thumb[2::3])
    return all(max(band) - min(band) <= spread + 1 for band in bands)


def _is_blank(shown: Image.Image, spread: int) -> bool:
    """Return whether every band of the picture as it is shown, in RGB or RGBX, holds one value (the codec's noise apart)."""
    return bool((np.ptp(np.asarray(shown), axis=(0, 1)) <= spread).all())


def _say_blank(thumb: bytes, mode: str, image_format: str) -> str:
    told = f'one colour: {tuple(thumb[:3])}'
    return told if mode == 'RGB' else f'{told}, as the {image_format} of mode {mode} is shown: upright RGB on white'


def _is_placeholder(hashes: Phash, limits: ImageLimits) -> bool:
    """Return whether the 256-bit hash is that of a known placeholder, within PLACEHOLDER_BITS."""
    ours = int.from_bytes(hashes.bits256)
    return any((ours ^ int.from_bytes(known)).bit_count() <= PLACEHOLDER_BITS for known in limits.placeholder_phashes)


def _decode_fault(data: bytes, error: Exception, limits: ImageLimits) -> ImageFault:
    """Return the reason for a picture that Pillow would not open or finish: wrong format, cut short, or broken."""
    detail = f'{type(error).__name__}: {error}'[:200]
    if isinstance(error, Image.UnidentifiedImageError):
        other = _other_format(data)
        if other and other not in limits.formats:
            return ImageFault(Reason.IMAGE_FORMAT, f'the bytes look like {other}; allowed: {", ".join(limits.formats)}')
        detail = f'no image format recognised in {len(data)} bytes'
    webp_cut = data[:4] == b'RIFF' and data[8:12] == b'WEBP' and int.from_bytes(data[4:8], 'little') + 8 > len(data)
    if webp_cut or 'truncated' in detail.lower() or isinstance(error, EOFError):
        return ImageFault(Reason.IMAGE_TRUNCATED, detail)
    return ImageFault(Reason.IMAGE_UNDECODABLE, detail)


def _other_format(data: bytes) -> str | None:
    """Return the name of the format that the first bytes announce, if it is a known one."""
    head = data[:64].lstrip()
    if head[4:8] == b'ftyp' and head[8:12] in ISO_BRANDS:
        return ISO_BRANDS[head[8:12]]
    if head[:4] == b'RIFF' and head[8:12] == b'WEBP':
        return 'WEBP'
    return next((name for magic, name in OTHER_MAGIC.items() if head.startswith(magic)), None)
