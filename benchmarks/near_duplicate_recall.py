"""Which edits of a picture the rules find again: `python -m benchmarks.near_duplicate_recall [--pictures DIR]`.

Every picture times every edit. A picture is found if its hash is within 7 of 64 bits. Columns: imagehash in a plain loop,
imagededup's PHash where it can be imported (it is in no lock: it needs scikit-learn and torchvision), our hash, our whole
rule (64 and 256 bits, colours, aligned pixels for documents). Below: false pairs among different
pictures, and charts that differ in one digit, bar or colour, which hashes join and the whole rule must not.
"""

import argparse
import io
import itertools
import time
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from curation.pictures.confirm import same_colours, same_picture
from curation.pictures.edits import EDITS, edit
from curation.pictures.images import ImageFacts, ImageLimits, inspect_image
from schemas.pixels import decode_rgb
from tests.curation.drawn import chart, encoded, photo

try:
    from imagededup.methods import PHash

    DEDUP = PHash(verbose=False)
except ImportError as e:
    DEDUP = None
    print(f'imagededup is not compared: {e}')

BITS, BITS_256 = 7, 64
PICTURES = 60


def facts_of(data: bytes) -> ImageFacts:
    facts = inspect_image(data, ImageLimits())
    assert isinstance(facts, ImageFacts), facts
    return facts


def hashes_near(a: ImageFacts, b: ImageFacts, bits_256: int = 256) -> bool:
    """Whether the phash or the steady hash of one is near one of the other's."""
    pairs = itertools.product(a.hashes(), b.hashes())
    return any((x ^ y).bit_count() <= BITS and (int.from_bytes(v) ^ int.from_bytes(w)).bit_count() <= bits_256 for (x, v), (y, w) in pairs)


def rule(a: tuple[bytes, ImageFacts], b: tuple[bytes, ImageFacts]) -> bool:
    """Whether the whole rule joins two pictures."""
    thumbs = (np.frombuffer(facts.thumb, np.uint8).reshape(1, -1) for facts in (a[1], b[1]))
    return hashes_near(a[1], b[1], BITS_256) and bool(same_colours(*thumbs)[0]) and same_picture(a[0], b[0])


def plain_hash(data: bytes) -> imagehash.ImageHash:
    with Image.open(io.BytesIO(data)) as image:
        return imagehash.phash(decode_rgb(image))


def dedup_hash(data: bytes) -> int:
    """The hash by imagededup, 0 for all where it is not installed."""
    if DEDUP is None:
        return 0
    with Image.open(io.BytesIO(data)) as image:
        return int(DEDUP.encode_image(image_array=np.asarray(decode_rgb(image))), 16)


def charts(n: int) -> list[bytes]:
    rng = np.random.default_rng(11)
    return [encoded(chart(tuple(rng.integers(10, 99, 5).tolist()), f'Sales in {1900 + k}', tuple(rng.integers(0, 200, 3).tolist())))
            for k in range(n)]


def twins(n: int) -> list[tuple[str, bytes, bytes]]:
    """Charts and the same with one digit, one bar or the colour changed."""
    rng, out = np.random.default_rng(12), []
    for k in range(n):
        heights, colour = rng.integers(10, 90, 5).tolist(), tuple(rng.integers(0, 200, 3).tolist())
        base = encoded(chart(tuple(heights), f'Sales in {1900 + k}', colour))
        moved = [*heights[:2], heights[2] + int(rng.integers(3, 9)), *heights[3:]]
        other = tuple((value + 90) % 256 if band == k % 3 else value for band, value in enumerate(colour))
        out += [('digit', base, encoded(chart(tuple(heights), f'Sales in {1900 + (k + 1) % 10 + k // 10 * 10}', colour))),
                ('bar', base, encoded(chart(tuple(moved), f'Sales in {1900 + k}', colour))),
                ('colour', base, encoded(chart(tuple(heights), f'Sales in {1900 + k}', other)))]
    return out


def recall_table(title: str, pictures: list[bytes]) -> None:
    print(f'\n{title}: {len(pictures)} pictures\n{"edit":>15} {"imagehash":>9} {"imagededup":>10} {"ours":>6} {"rule":>6}')
    known = [(data, facts_of(data), plain_hash(data), dedup_hash(data)) for data in pictures]
    seconds = [0.0, 0.0]
    for name in EDITS:
        found = np.zeros(4, int)
        for data, facts, plain, dedup in known:
            changed = edit(data, name, facts.image_id)
            start = time.perf_counter()
            found[0] += plain_hash(changed) - plain <= BITS
            middle = time.perf_counter()
            again = facts_of(changed)
            seconds[0] += middle - start
            seconds[1] += time.perf_counter() - middle
            found[1] += (dedup_hash(changed) ^ dedup).bit_count() <= BITS
            found[2] += hashes_near(facts, again)
            found[3] += rule((data, facts), (changed, again))
        shares = [f'{share:.2f}' if at != 1 or DEDUP else '-' for at, share in enumerate(found / len(known))]
        print(f'{name:>15} ' + ' '.join(f'{share:>{width}}' for share, width in zip(shares, (9, 10, 6, 6), strict=True)))
    pairs = list(itertools.combinations([(data, facts) for data, facts, *_ in known], 2))
    near = [pair for pair in pairs if hashes_near(pair[0][1], pair[1][1])]
    print(f'different pictures joined: by hash {len(near)}, by the rule {sum(rule(*pair) for pair in near)} of {len(pairs)} pairs')
    print(f'imagehash (64 bits only) {seconds[0]:.1f} s, ours (both hashes and facts) {seconds[1]:.1f} s, ratio {seconds[0] / seconds[1]:.2f}x')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--pictures', type=Path, help='a folder of pictures; without it they are drawn')
    folder = parser.parse_args().pictures
    if folder is None:
        recall_table('noise at every scale, like photos', [encoded(photo(seed), 'JPEG', quality=90) for seed in range(PICTURES)])
    else:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
        read = (path.read_bytes() for path in paths[:PICTURES])
        recall_table(str(folder), [data for data in read if isinstance(inspect_image(data, ImageLimits()), ImageFacts)])
    recall_table('bar charts', charts(PICTURES))
    counts: dict[str, list[int]] = {}
    for name, base, other in twins(PICTURES):
        a, b = (base, facts_of(base)), (other, facts_of(other))
        row = counts.setdefault(name, [0, 0, 0])
        for at, joined in enumerate((True, hashes_near(a[1], b[1]), rule(a, b))):
            row[at] += joined
    for name, (n, by_hash, by_rule) in counts.items():
        print(f'twins that differ in one {name}: of {n}, joined by hash {by_hash}, by the rule {by_rule}')


if __name__ == '__main__':
    main()
