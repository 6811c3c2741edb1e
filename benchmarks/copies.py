"""Copies of benchmark pictures by their hashes alone, at growing sizes: `python -m benchmarks.copies [--mix 120000] [--bench 3000]`.

Processor seconds beyond decoding: expanding the benchmark's pictures into the hashes of their forms, and probing the index with them, the second
filter of 256 bits included. Hashes of the mix are drawn, half of whose bits are 1; so are the benchmark's pictures. Three sizes, each twice the one
before, of mix and of benchmark at once; then the growth of each part. Both grow with the benchmark; what a picture costs to be looked up in the whole
mix is measured on PROBED pictures, and that extends to the full size. Each candidate that passes costs one comparison of pixels, which is measured.
Then the same for each picture of the mix, as `duplicates.transforms` asks for it.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from curation.pictures.aligned import same_under_a_map
from curation.pictures.expanded import TRANSFORMS
from curation.pictures.registered import Looked
from curation.pictures.reshaped import SHAPES, reshaped
from curation.selection.hamming import build_index, rows_by_code
from pipelines.mix.copies import CANDIDATES, PICTURES_AT_ONCE, Candidates
from schemas.pixels import MOST_PIXELS, read_rgb
from tests.curation.drawn import photo

FULL = 1_200_000, 30_000
LIMIT_S = 1200
PROBED = 160  # pictures looked up in a mix of full size
DRAWN = 64  # different pictures; every further one is one of them with other tones in a corner


def pictures(n: int) -> list[Looked]:
    """Return so many pictures, of sides of any ratio, as those of benchmarks are."""
    bases = [np.asarray(photo(seed, (256, 192))) for seed in range(DRAWN)]
    rng, out = np.random.default_rng(5), []
    for k in range(n):
        pixels = np.roll(bases[k % DRAWN], tuple(int(by) for by in rng.integers(0, (192, 256))), axis=(0, 1))
        out.append(Looked(Image.fromarray(pixels[: int(rng.integers(96, 193)), : int(rng.integers(96, 257))])))
    return out


def index_of(n: int, folder: Path) -> SimpleNamespace:
    """Return what candidates are looked up in: n images with drawn hashes, half of whose bits are 1 as in every phash."""
    rng = np.random.default_rng(6)
    bits = np.argsort(rng.random((n, 64), np.float32), axis=1) < 32
    narrow = np.packbits(bits, axis=1).view('>u8').astype(np.uint64).ravel()
    codes = build_index(narrow, folder)
    images = SimpleNamespace(of_image=np.arange(n), phash256=rng.integers(0, 2**63, (n, 4)).astype(np.uint64))
    return SimpleNamespace(codes=codes, by_code=rows_by_code(codes), images=images)


def measured(n_mix: int, n_bench: int, transforms: Sequence[str] = TRANSFORMS) -> tuple[float, float, int]:
    """Return (seconds of expanding, of probing, candidates)."""
    with tempfile.TemporaryDirectory() as folder:
        join, looked = index_of(n_mix, Path(folder)), pictures(n_bench)
        spent, n_near = [0.0, 0.0], 0
        for start in range(0, n_bench, PICTURES_AT_ONCE):
            candidates = Candidates(join, 7, 64, transforms)
            began = time.process_time()
            forms = candidates.expand(looked[start : start + PICTURES_AT_ONCE])
            middle = time.process_time()
            n_near += sum(map(len, forms.probe(CANDIDATES).near))
            spent[0] += middle - began
            spent[1] += time.process_time() - middle
    return spent[0], spent[1], n_near


def compared_ms(n: int = 12) -> float:
    """Return the milliseconds that comparing one candidate's pixels takes, features of both included."""
    drawn = [(photo(k, (480, 360)), kind) for k, kind in enumerate(list(SHAPES)[:n])]
    pairs = [(picture, read_rgb(reshaped(picture, kind, 'x'), max_pixels=MOST_PIXELS)) for picture, kind in drawn]
    began = time.process_time()
    for a, b in pairs:
        same_under_a_map(Looked(a), Looked(b))
    return (time.process_time() - began) / n * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--mix', type=int, default=FULL[0] // 10)
    parser.add_argument('--bench', type=int, default=FULL[1] // 10)
    args = parser.parse_args()
    rows = [(args.mix // by, args.bench // by, *measured(args.mix // by, args.bench // by)) for by in (4, 2, 1)]
    print(f'{"mix":>9} {"bench":>7} {"expand s":>9} {"probe s":>9} {"candidates":>10}')
    for n_mix, n_bench, expand, probe, near in rows:
        print(f'{n_mix:9,} {n_bench:7,} {expand:9.1f} {probe:9.1f} {near:10,}')
    (_, _, expand_a, probe_a, _), (n_mix, n_bench, expand, probe, _) = rows[0], rows[-1]
    growth = [math.log(after / before) / math.log(4) for before, after in ((expand_a, expand), (probe_a, probe))]
    _, whole, found = measured(FULL[0], PROBED)
    print(f'both doubled twice: exponent {growth[0]:.2f} of expanding, {growth[1]:.2f} of probing; a picture looked up among {FULL[0]:,}: '
          f'{whole / PROBED * 1000:.1f} ms, {found} candidates of {PROBED} pictures')
    full = expand * FULL[1] / n_bench + whole * FULL[1] / PROBED
    print(f'extended to {FULL[0]:,} x {FULL[1]:,}: {full:,.0f} s of one core (wanted: {LIMIT_S:,}); a candidate compared: {compared_ms():.0f} ms')

    for transforms in (['flip'], ['flip', 'crop'], list(TRANSFORMS)):
        expand, probe, _ = measured(FULL[0], PROBED, transforms)
        print(f'duplicates.transforms {transforms}, beyond opening, a picture among {FULL[0]:,}: expanded {expand / PROBED * 1000:.1f} ms, '
              f'looked up {probe / PROBED * 1000:.1f} ms')


if __name__ == '__main__':
    main()
