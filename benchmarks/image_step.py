"""The image step against plain Pillow and imagehash: `python -m benchmarks.image_step [--pictures DIR]`.

Both sides do each JPEG once, on one thread, in turns. Plain: decode in full, imagehash.phash at 8 and at 16. Ours:
`inspect_image` (bounds, sha256, full decode, both hashes, kind, thumbnail, facts). Without --pictures the JPEGs are drawn:
noise at every scale, about 5 KB and 100 KB each. Prints the ratio of processor times and how far our bits are from imagehash's.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import imagehash
from PIL import Image

from curation.pictures.images import ImageFacts, ImageLimits, inspect_image
from tests.curation.drawn import encoded, photo

ROUNDS = 7
PICTURES = 60
SIZES = {(192, 144): 6_000, (640, 480): 115_000, (800, 600): 115_000, (1024, 768): 115_000}  # bytes that a JPEG has at most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--pictures', type=Path, help='a folder of pictures to cut JPEGs of about 100 KB from')
    folder = parser.parse_args().pictures
    for size, most_bytes in SIZES.items():
        jpegs = [_jpeg(picture, most_bytes) for picture in _pictures(folder, size)]
        plain_ms, ours_ms = _times(jpegs)
        far = [_bits_apart(data) for data in jpegs]
        within = sum(narrow <= 2 and wide <= 6 for narrow, wide in far)
        print(
            f'{size[0]}x{size[1]} px, {len(jpegs)} JPEGs of {sum(map(len, jpegs)) / len(jpegs) / 1000:.0f} KB: plain '
            f'{plain_ms:.2f} ms, ours {ours_ms:.2f} ms, ratio {plain_ms / ours_ms:.2f}x; bits from imagehash: at most '
            f'{max(n for n, _ in far)} of 64 and {max(w for _, w in far)} of 256, {within} within 2 and 6')


def _pictures(folder: Path | None, size: tuple[int, int]) -> list[Image.Image]:
    if folder is None:
        return [photo(seed, size) for seed in range(PICTURES)]
    paths = sorted(path for path in folder.iterdir() if path.is_file())[:PICTURES]
    opened = (Image.open(path).convert('RGB') for path in paths)
    return [image.resize(size, Image.Resampling.BICUBIC) for image in opened if min(image.size) >= 290]


def _jpeg(image: Image.Image, most_bytes: int) -> bytes:
    """The best JPEG of at most so many bytes."""
    return next(data for quality in range(97, 0, -4) if len(data := encoded(image, 'JPEG', quality=quality)) < most_bytes)


def _plain(data: bytes) -> tuple[imagehash.ImageHash, imagehash.ImageHash]:
    image = Image.open(io.BytesIO(data)).convert('RGB')
    return imagehash.phash(image), imagehash.phash(image, hash_size=16)


def _ours(data: bytes) -> ImageFacts:
    facts = inspect_image(data, ImageLimits())
    assert isinstance(facts, ImageFacts), facts
    return facts


def _bits_apart(data: bytes) -> tuple[int, int]:
    (narrow, wide), facts = _plain(data), _ours(data)
    return (facts.phash64 ^ int(str(narrow), 16)).bit_count(), (
        int.from_bytes(facts.phash256) ^ int(str(wide), 16)).bit_count()


def _times(jpegs: list[bytes]) -> tuple[float, float]:
    """Median milliseconds a picture of both sides, rounds taken in turns."""
    rounds = [(_once(_plain, jpegs), _once(_ours, jpegs)) for _ in range(ROUNDS)]
    return statistics.median(plain for plain, _ in rounds), statistics.median(ours for _, ours in rounds)


def _once(step: Callable[[bytes], object], jpegs: list[bytes]) -> float:
    start = time.process_time()
    for data in jpegs:
        step(data)
    return (time.process_time() - start) / len(jpegs) * 1e3


if __name__ == '__main__':
    main()
