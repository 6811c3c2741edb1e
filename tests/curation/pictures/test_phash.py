"""Hashes against imagehash's own on pictures that come with installed packages: icons, plots, drawings, a photo, a diagram."""

import io
from pathlib import Path

import easy_vqa
import imagehash
import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from curation.pictures import phash as hashing
from curation.pictures.images import ImageFacts, ImageLimits, inspect_image
from schemas.pixels import decode_rgb
from tests.curation.drawn import encoded, photo

PACKAGES = Path(matplotlib.__file__).parents[1]
SUFFIXES = {'.png', '.jpg', '.jpeg', '.gif'}


def package_pictures() -> list[Path]:
    """Return the pictures of small packages, and every 100th of easy-vqa's 5,000."""
    names = ('matplotlib', 'networkx', 'bokeh_sampledata', 'sympy', 'werkzeug', 'scipy/ndimage')
    found = [path for name in names for path in sorted((PACKAGES / name).rglob('*')) if path.suffix.lower() in SUFFIXES]
    return found + sorted(Path(easy_vqa.__file__).parent.rglob('*.png'))[::100]


def apart(data: bytes) -> tuple[int, int] | None:
    """Return by how many bits both hashes differ from imagehash's of the picture a viewer shows; None for a picture that is left out."""
    found = inspect_image(data, ImageLimits())
    if not isinstance(found, ImageFacts):
        return None
    with Image.open(io.BytesIO(data)) as image:
        shown = decode_rgb(image)
    narrow, wide = (int(str(imagehash.phash(shown, hash_size=size)), 16) for size in (8, 16))
    return (found.phash64 ^ narrow).bit_count(), (int.from_bytes(found.phash256) ^ wide).bit_count()


def test_every_picture_that_comes_with_a_package_stays_within_2_and_6_bits_of_imagehash():
    moved = {str(path): apart(path.read_bytes()) for path in package_pictures()}
    hashed = {path: bits for path, bits in moved.items() if bits is not None}
    assert len(hashed) > 80
    assert {path: bits for path, bits in hashed.items() if bits[0] > 2 or bits[1] > 6} == {}


@pytest.mark.parametrize('changed', ['as it is', 'dark', 'flat', 'colourful'])
def test_real_photos_and_drawings_as_jpegs_of_any_size_stay_within_2_and_6_bits(changed: str, monkeypatch: pytest.MonkeyPatch):
    """Low contrast brings frequencies close to the median, strong colours clip."""
    enhance = {
        'as it is': (ImageEnhance.Brightness, 1.0), 'dark': (ImageEnhance.Brightness, 0.3),
        'flat': (ImageEnhance.Contrast, 0.15), 'colourful': (ImageEnhance.Color, 3.0),
    }[changed]  # fmt: skip
    scaled, plain = [], hashing.phash_of_scaled

    def hashed(grey, extent, full):
        asked = []
        found = plain(grey, extent, lambda: asked.append(1) or full())
        scaled.append(not asked)
        return found

    monkeypatch.setattr('curation.pictures.images.phash_of_scaled', hashed)
    names = ('grace_hopper.jpg', 'logo2.png', 'hand.png', 'test_house_with_colors.png', 'test_display_complex.png')
    for path in [path for path in package_pictures() if path.name in names]:
        with Image.open(path) as opened:
            picture = enhance[0](decode_rgb(opened)).enhance(enhance[1])
        for at, (width, height) in enumerate([(640, 427), (333, 500), (800, 600), (215, 260)]):
            data = encoded(picture.resize((width, height), Image.Resampling.BICUBIC), 'JPEG', quality=60 + 10 * at)
            bits = apart(data)
            assert bits is not None, path
            assert bits[0] <= 2, (path, width, bits)
            assert bits[1] <= 6, (path, width, bits)
    assert any(scaled) or changed in ('dark', 'flat')  # where the photo is taken for a document


def test_where_rounding_would_decide_the_bits_are_imagehashs_to_the_last(monkeypatch: pytest.MonkeyPatch):
    """A ring: most frequencies are zero but for rounding errors, which imagehash's bits are made of."""
    ring = Image.new('L', (160, 160), 255)
    ImageDraw.Draw(ring).ellipse((20, 20, 140, 140), outline=60, width=9)
    found = hashing.phash(ring)
    assert found.bits64 == np.packbits(imagehash.phash(ring).hash).tobytes()
    assert found.bits256 == np.packbits(imagehash.phash(ring, hash_size=16).hash).tobytes()
    assert found.steady64 != found.bits64
    monkeypatch.setattr(hashing, '_as_imagehash', None)  # what it was made with
    with pytest.raises(TypeError):
        hashing.phash(ring)


def test_a_photo_has_no_hash_but_its_phash():
    grey = photo(3).convert('L')
    found = hashing.phash(grey)
    assert (found.steady64, found.steady256) == (found.bits64, found.bits256)


@pytest.mark.parametrize(('n_lines', 'n_px', 'extent'), [(1, 14, 14.0), (101, 640, 640.0), (500, 1500, 1499.5)])
@pytest.mark.parametrize('size', [32, 64])
def test_lines_shrunk_in_bands_are_those_shrunk_by_the_whole_windows(n_lines: int, n_px: int, extent: float, size: int):
    lines = np.random.default_rng(n_px).integers(0, 256, (n_lines, n_px)).astype(np.float32)
    whole = lines.astype(np.float64) @ hashing.lanczos(n_px, size, extent).T
    across = np.empty((n_lines, size), np.float32)
    hashing.shrunk(lines, hashing.shrinking(n_px, size, extent), across)
    assert np.abs(across - whole).max() < 0.001
    assert np.abs(hashing.lowered(lines.T, hashing.shrinking(n_px, size, extent)) - whole.T).max() < 0.001
