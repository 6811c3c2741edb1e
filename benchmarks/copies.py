"""What copies of benchmark pictures cost by their hashes and pixels, at growing sizes: `python -m benchmarks.copies [--mix 120000] [--bench 3000]`.

Processor seconds beyond decoding: expanding the benchmark's pictures into the hashes of their forms, probing the index with them, the second
filter of 256 bits included, and comparing the pixels of what passes. Hashes of the mix are drawn, half of whose bits are 1; so are the benchmark's
pictures. Three sizes, each twice the one before, of mix and of benchmark at once; then the growth of each part. Both grow with the benchmark; what
a picture costs to be looked up in the whole mix is measured on PROBED pictures, and that extends to the full size.
Drawn hashes are near by chance alone. How many candidates real pictures have is counted by kind, on pictures of each among KIND_MIX others: the
share of pairs that pass, times the full mix, CANDIDATES at most a picture; and they are compared, which gives what one costs, features of both
included. That is what a mix of one kind only would cost.
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

from benchmarks.copies_precision import kinds
from curation.pictures.confirm import open_to_compare
from curation.pictures.expanded import TRANSFORMS
from curation.pictures.images import ImageFacts, ImageLimits, inspect_image
from curation.pictures.registered import Looked
from curation.selection.hamming import build_index, rows_by_code, words256
from pipelines.mix.copies import CANDIDATES, PICTURES_AT_ONCE, Candidates
from tests.curation.drawn import photo

FULL = 1_200_000, 30_000
LIMIT_S = 1200
PROBED = 160  # pictures looked up in a mix of full size
KIND_MIX, KIND_BENCH, TIMED = 240, 24, 72  # pictures of a kind that are looked up in, those looked up, and how many comparisons are timed
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
    folder.mkdir(parents=True)
    rng = np.random.default_rng(6)
    bits = np.argsort(rng.random((n, 64), np.float32), axis=1) < 32
    narrow = np.packbits(bits, axis=1).view('>u8').astype(np.uint64).ravel()
    codes = build_index(narrow, folder)
    images = SimpleNamespace(of_image=np.arange(n), phash256=rng.integers(0, 2**63, (n, 4)).astype(np.uint64))
    return SimpleNamespace(codes=codes, by_code=rows_by_code(codes), images=images)


def measured(join: SimpleNamespace, n_bench: int, transforms: Sequence[str] = TRANSFORMS) -> tuple[float, float, int]:
    """Return (seconds of expanding, of probing, candidates)."""
    looked = pictures(n_bench)
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


def compared(kind: str, some: list[bytes]) -> None:
    """Print how many candidates a picture of a kind has, and what comparing them costs."""
    mix, bench = some[:-KIND_BENCH], [Looked(open_to_compare(data)) for data in some[-KIND_BENCH:]]
    facts = [inspect_image(data, ImageLimits(min_side_px=1)) for data in mix]
    narrow, wide, of_image = zip(*[(one.phash64, one.phash256, at) for at, one in enumerate(facts) if isinstance(one, ImageFacts)], strict=True)
    with tempfile.TemporaryDirectory() as folder:
        codes = build_index(np.array(narrow, np.uint64), Path(folder))
        images = SimpleNamespace(of_image=np.array(of_image), phash256=words256(list(wide)))
        candidates = Candidates(SimpleNamespace(codes=codes, by_code=rows_by_code(codes), images=images), 7, 64).of(bench, len(mix))
    n_near, timed = sum(map(len, candidates.near)), [near[: TIMED // KIND_BENCH] for near in candidates.near]
    spent, n_pairs = sum(_spent(candidates, at, form, mix[number]) for at, near in enumerate(timed) for number, form in near), len(bench) * len(mix)
    ms, each = spent / max(1, sum(map(len, timed))) * 1000, min(CANDIDATES, n_near / n_pairs * FULL[0])
    seen = f'{each:.0f} a picture, {ms:.1f} ms each: {each * ms / 1000 * FULL[1]:,.0f} s' if n_near else f'below {3 / n_pairs:.1e} of pairs (95 %)'
    print(f'{kind}: {n_near} of {n_pairs:,} pairs are candidates; were the full mix and the benchmark of this kind: {seen}', flush=True)


def _spent(candidates: Candidates, at: int, form: int, data: bytes) -> float:
    picture = open_to_compare(data)
    began = time.process_time()
    candidates.same(at, Looked(picture), form)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--mix', type=int, default=FULL[0] // 10)
    parser.add_argument('--bench', type=int, default=FULL[1] // 10)
    parser.add_argument('--pictures', type=Path, help='a folder of photos, of which nine tiles each are looked up, too')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [(args.mix // by, args.bench // by, *measured(index_of(args.mix // by, Path(folder) / str(by)), args.bench // by)) for by in (4, 2, 1)]
        join = index_of(FULL[0], Path(folder) / 'full')
        report(rows, join)
    for kind, some in kinds(KIND_MIX + KIND_BENCH, args.pictures).items():
        compared(kind, some)


def report(rows: list[tuple[int, int, float, float, int]], join: SimpleNamespace) -> None:
    """Print what the sizes cost, their growth, the full size, and the transforms of duplicates."""
    print(f'{"mix":>9} {"bench":>7} {"expand s":>9} {"probe s":>9} {"candidates":>10}')
    for n_mix, n_bench, expand, probe, near in rows:
        print(f'{n_mix:9,} {n_bench:7,} {expand:9.1f} {probe:9.1f} {near:10,}')
    (_, _, expand_a, probe_a, _), (n_mix, n_bench, expand, probe, _) = rows[0], rows[-1]
    growth = [math.log(after / before) / math.log(4) for before, after in ((expand_a, expand), (probe_a, probe))]
    _, whole, found = measured(join, PROBED)
    print(f'both doubled twice: exponent {growth[0]:.2f} of expanding, {growth[1]:.2f} of probing; a picture looked up among {FULL[0]:,}: '
          f'{whole / PROBED * 1000:.1f} ms, {found} candidates of {PROBED} pictures')
    full = expand * FULL[1] / n_bench + whole * FULL[1] / PROBED
    print(f'extended to {FULL[0]:,} x {FULL[1]:,}: {full:,.0f} s of one core without pixels (wanted: {LIMIT_S:,} with them)')
    for transforms in (['flip'], ['flip', 'crop'], list(TRANSFORMS)):
        expand, probe, _ = measured(join, PROBED, transforms)
        print(f'duplicates.transforms {transforms}, beyond opening, a picture among {FULL[0]:,}: expanded {expand / PROBED * 1000:.1f} ms, '
              f'looked up {probe / PROBED * 1000:.1f} ms')


if __name__ == '__main__':
    main()
