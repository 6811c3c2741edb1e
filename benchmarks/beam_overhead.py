"""The engine around the image step against the same function in a process pool: `python -m benchmarks.beam_overhead [--pictures DIR] [-n 20000]`.

Both sides use two worker processes with the step's own threads and do every file once: open, check, hash. The engine also writes the step's
tables. A few hundred different small JPEGs are repeated, each file with its own last bytes, so that no two are equal. Files are read once before, so
both sides find them in the page cache; sides run in turns. Prints the ratio; at most 1.3 is wanted.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from curation.pictures.images import ImageFacts, ImageLimits, inspect_image
from pipelines.engine.engine import Engine
from pipelines.engine.tables import Table
from pipelines.mix.fingerprints import REFS, SHARD_IMAGES, THREADS, FingerprintImages
from pipelines.sources.images import ImageStore
from tests.curation.drawn import encoded, photo

WORKERS = 2
ROUNDS = 3
DISTINCT = 200
SIZE = (480, 360)
WANTED = 1.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--pictures', type=Path, help='a folder of photos to make small JPEGs from; drawn without it')
    parser.add_argument('-n', type=int, default=20_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names, n_bytes = write_images(root / 'in', args.n, args.pictures)
        write_refs(root / 'refs', names)
        run_pool(root / 'in', names)
        rounds = [(run_pool(root / 'in', names), run_engine(root, len(names), turn)) for turn in range(ROUNDS)]
    pool, engine = (statistics.median(side) for side in zip(*rounds, strict=True))
    print(f'{args.n} JPEGs of {SIZE[0]}x{SIZE[1]} px, {n_bytes // args.n // 1000} KB, {WORKERS} processes x {THREADS} threads: pool {pool:.1f} s, '
          f'engine with tables written {engine:.1f} s, ratio {engine / pool:.2f} (wanted: at most {WANTED})')


def write_images(folder: Path, n: int, pictures: Path | None) -> tuple[list[str], int]:
    """Write `n` different files; return their names and their bytes in all."""
    folder.mkdir()
    found = sorted(pictures.iterdir())[:DISTINCT] if pictures else []
    some = (Image.open(path).convert('RGB').resize(SIZE) for path in found) if found else (photo(seed, SIZE) for seed in range(DISTINCT))
    jpegs = [encoded(image, 'JPEG', quality=80) for image in some]
    names, n_bytes = [], 0
    for number, data in zip(range(n), itertools.cycle(jpegs)):
        names.append(f'{number:06d}.jpg')
        n_bytes += (folder / names[-1]).write_bytes(data + number.to_bytes(4))
    return names, n_bytes


def write_refs(folder: Path, names: list[str]) -> None:
    folder.mkdir()
    with pq.ParquetWriter(folder / 'part-00000.parquet', REFS) as writer:
        for start in range(0, len(names), SHARD_IMAGES):
            writer.write_table(pa.table({'ref': [f's/{name}' for name in names[start : start + SHARD_IMAGES]]}, REFS))


def run_pool(folder: Path, names: list[str]) -> float:
    """Seconds of the plain function over all files."""
    chunks = [[str(folder / name) for name in names[start : start + SHARD_IMAGES]] for start in range(0, len(names), SHARD_IMAGES)]
    start = time.perf_counter()
    with ProcessPoolExecutor(WORKERS) as pool:
        assert sum(pool.map(inspect_files, chunks)) == len(names)
    return time.perf_counter() - start


def inspect_files(paths: list[str]) -> int:
    with ThreadPoolExecutor(THREADS) as pool:
        return sum(isinstance(facts, ImageFacts) for facts in pool.map(inspect_file, paths))


def inspect_file(path: str) -> object:
    return inspect_image(Path(path).read_bytes(), ImageLimits())


def run_engine(root: Path, n: int, turn: int) -> float:
    """Seconds of the step as a build runs it."""
    engine = Engine(root / f'work{turn}', workers=WORKERS)
    step = FingerprintImages(Table(root / 'refs'), '', False, ImageLimits(), ImageStore({'s': (str(root / 'in'),)}, '', 10**9))
    start = time.perf_counter()
    with engine:
        counts = engine.run(step).counts()
    seconds = time.perf_counter() - start
    assert counts['kept/image/s'] == n, counts
    return seconds


if __name__ == '__main__':
    main()
