"""The exact Hamming join at full size: `python -m benchmarks.near_duplicates`.

1,200,000 hashes, a sixth of them 1 to 7 bits beside another: all pairs within distance 7, from an empty folder (index
included), on one thread; recall and precision against comparing a sample of hashes with all others; and the same with
100,000 hashes in one bucket. The ratio is against brute force (numpy, bitwise_count), scaled from the sample.
"""

import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from curation.selection.hamming import BAND_MASKS, HammingIndex, build_index, iter_pairs  # noqa: E402

N = 1_200_000
COPIES = 200_000
DISTANCE = 7
SAMPLE = 2_000
ROUNDS = 5
BUCKET = 100_000
BLOCK = 65_536


def hashes_with_copies(seed: int) -> NDArray[np.uint64]:
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, N, dtype=np.uint64)
    hashes[-COPIES:] = hashes[:COPIES]
    for flips in range(DISTANCE):
        chosen = rng.random(COPIES) < (7 - flips) / 7
        hashes[-COPIES:] ^= np.where(chosen, np.uint64(1) << rng.integers(0, 64, COPIES).astype(np.uint64), np.uint64(0))
    return hashes


def join(hashes: NDArray[np.uint64]) -> tuple[float, HammingIndex, NDArray[np.int64]]:
    """Seconds of building the index and finding all pairs by blocks, the index, and the pairs int64[P, 2]."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        index = build_index(hashes, Path(folder))
        blocks = range(0, len(index.codes), BLOCK)
        found = [np.stack([m.i, m.j], 1) for at in blocks for m in iter_pairs(index, slice(at, at + BLOCK), DISTANCE)]
        return time.perf_counter() - start, index, np.concatenate(found)


def brute_force(index: HammingIndex, sample: NDArray[np.int64]) -> tuple[float, set[tuple[int, int]]]:
    """Seconds, and the pairs of each sampled code with every other."""
    start, pairs = time.perf_counter(), set()
    for code in sample.tolist():
        near = np.flatnonzero(np.bitwise_count(index.codes ^ index.codes[code]) <= DISTANCE)
        pairs.update((min(code, other), max(code, other)) for other in near.tolist() if other != code)
    return time.perf_counter() - start, pairs


def main() -> None:
    times, brute_times = [], []
    for seed in range(ROUNDS):
        seconds, index, pairs = join(hashes_with_copies(seed))
        sample = np.random.default_rng(seed).choice(len(index.codes), SAMPLE, replace=False)
        brute_seconds, expected = brute_force(index, sample)
        touching = pairs[np.isin(pairs, sample).any(axis=1)]
        found = set(map(tuple, touching.tolist()))
        assert len(pairs) == len(np.unique(pairs, axis=0)), 'a pair was found twice'
        print(f'{seconds:5.1f} s, {len(pairs)} pairs; sample: recall {len(found & expected) / len(expected):.4f}, '
              f'precision {len(found & expected) / len(found):.4f} of {len(expected)} pairs')
        times.append(seconds)
        brute_times.append(brute_seconds / SAMPLE * len(index.codes) / 2)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f'{N} hashes, distance {DISTANCE}, one thread: median {statistics.median(times):.1f} s, peak RSS {peak_mb:.0f} MB; '
          f'brute force {statistics.median(brute_times):.0f} s (scaled), ratio {statistics.median(brute_times) / statistics.median(times):.0f}x')
    crowded = hashes_with_copies(0)
    crowded[:BUCKET] = crowded[:BUCKET] & ~BAND_MASKS[0] | crowded[0] & BAND_MASKS[0]
    print(f'with {BUCKET} hashes in one bucket: {join(crowded)[0]:.1f} s, peak RSS '
          f'{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB')


if __name__ == '__main__':
    sys.exit(main())
