"""`duplicates.transforms` with all four values against none: `python -m benchmarks.reshaped_pairs [--pictures 20000]`.

The drawn JPEGs of the rehearsal (5 KB; one in fifty repeats another to the byte, one in twenty-five is smaller or coarser), and of one in fifty a
copy in a shape drawn by lot. Processor seconds and peak memory of finding near-duplicates (hashes, index, join, pairs), each size in one process of
its own, and on top what the transforms need. Two sizes, one twice the other, and the exponent of the growth.
"""

import argparse
import math
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from benchmarks.rehearsal_sources import drawn, picture
from curation.pictures.expanded import TRANSFORMS
from curation.pictures.images import ImageLimits
from curation.pictures.reshaped import reshaped
from pipelines.engine.step import make_here
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.duplicates import JOIN_BITS, JOIN_BITS_256, FindPairs, IndexHashes
from pipelines.mix.fingerprints import REFS, FingerprintImages
from pipelines.mix.index import IndexImages
from pipelines.mix.reshaped_pairs import FindReshaped
from pipelines.sources.images import ImageStore
from tests.pipelines.mix.mixes import table_of

T = TypeVar('T')
COPIED = 50  # one picture in so many has a copy in another shape
SHAPES = ('flip', 'flip_vertical', 'rotate_90', 'rotate_180', 'rotate_270', 'crop', 'border', 'letterbox')


@dataclass(frozen=True)
class Needed:
    """What a size needed: processor seconds without and for the transforms, peak memory in MB before and after, and what was found."""

    pictures: int
    without_s: float
    transforms_s: float
    without_mb: float
    transforms_mb: float
    counts: dict[str, int]


def write_pictures(folder: Path, n: int) -> list[str]:
    """Write n pictures, copies among them; return their names."""
    folder.mkdir(parents=True)
    names = [f'{number:06d}.jpg' for number in range(n)]
    for number, name in enumerate(names):
        shape = SHAPES[number // COPIED % len(SHAPES)]
        data = reshaped(drawn(number - 1), shape, name) if number % COPIED == COPIED - 1 else picture(number)
        (folder / name).write_bytes(data)
    return names


def measured(n: int) -> Needed:
    """Return what n pictures need."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        names = write_pictures(folder / 'in', n)
        store = ImageStore({'s': (str(folder / 'in'),)}, '', 10**9)
        without_s, without_mb, (index, hashes, pairs) = _spent(lambda: _without(folder, names, store))
        step = FindReshaped(index, hashes, pairs, TRANSFORMS, JOIN_BITS, JOIN_BITS_256, store)
        transforms_s, transforms_mb, counts = _spent(lambda: _counted(step, folder / step.TABLE))
        return Needed(n, without_s, transforms_s, without_mb, transforms_mb, dict(counts))


def _without(folder: Path, names: list[str], store: ImageStore) -> tuple[Table, Table, Table]:
    refs = table_of(folder / 'refs' / 'r', pa.table({'ref': [f's/{name}' for name in names]}, REFS))
    facts = make_here(FingerprintImages(refs, '', False, ImageLimits(), store), folder)
    index = make_here(IndexImages((facts,)), folder)
    hashes = make_here(IndexHashes(index), folder)
    return index, hashes, make_here(FindPairs(index, hashes, JOIN_BITS, JOIN_BITS_256, store), folder)


def _counted(step: FindReshaped, folder: Path) -> Counter[str]:
    """Return what all shards of a step counted."""
    counts = Counter[str]()
    for number, shard in enumerate(step.shards()):
        writer = ShardWriter(folder, number)
        step.process(shard, writer)
        writer.close()
        counts += writer.counts
    step.teardown()
    return counts


def _spent(work: Callable[[], T]) -> tuple[float, float, T]:
    began = time.process_time()
    made = work()
    return time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--pictures', type=int, default=20_000)
    args = parser.parse_args()
    context, found = get_context('spawn'), []
    for n in (args.pictures // 2, args.pictures):
        with context.Pool(1) as pool:  # a process a size: the high-water mark of memory is its own
            found.append(pool.apply(measured, (n,)))
        one = found[-1]
        print(f'{n:,} pictures: without {one.without_s:.1f} s ({one.without_s / n * 1000:.1f} ms a picture), {one.without_mb:.0f} MB; '
              f'transforms {one.transforms_s:.1f} s on top ({one.transforms_s / n * 1000:.1f} ms a picture), {one.transforms_mb:.0f} MB; '
              f'{one.counts}', flush=True)
    growth = [math.log2(found[1].without_s / found[0].without_s), math.log2(found[1].transforms_s / found[0].transforms_s)]
    print(f'exponent of growth: {growth[0]:.2f} without, {growth[1]:.2f} of the transforms')


if __name__ == '__main__':
    main()
