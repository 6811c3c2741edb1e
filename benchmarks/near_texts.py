"""Near texts of a mix: processor time and memory by stage at two sizes, the growth between them, recall of planted near copies, cost of MinHash.

Texts are made of Zipf-distributed words (60 on average), half of them about a picture that five share; a tenth are near copies (one word of them
other), and a tenth come from templates in which only numbers and names differ: nothing of those may be found near.

    python -m benchmarks.near_texts [--sizes 30000 300000]
"""

import argparse
import hashlib
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.texts.near import jaccard, shingles
from pipelines.engine.step import make_here
from pipelines.engine.tables import Table
from pipelines.mix.near_texts import ConfirmTexts, JoinTexts
from pipelines.mix.text_sketches import BANDS, ROWS, SketchTexts
from pipelines.mix.text_stars import MakeTextStars
from schemas.records import SAMPLES

WHOLE = 2_852_771  # records of the paper's mix
PART = 500
VOCABULARY = 50_000
FEATURES = pa.schema([
    ('sample_id', pa.string()), ('source', pa.string()), ('stars', pa.list_(pa.int64())), ('bad_image', pa.string()), ('same_as', pa.binary(16)),
])  # fmt: skip
TEMPLATE = ('A shop in {} sells pencils for {} cents each and notebooks for {} cents each. A customer buys {} pencils and {} notebooks and pays '
            'with a note of {} dollars. How many cents does the customer get back from the owner of the shop?')  # fmt: skip


def text(rng: np.random.Generator) -> list[str]:
    ranks = np.minimum(rng.zipf(1.2, int(rng.integers(20, 100))), VOCABULARY)
    return ['w' + ''.join(chr(97 + rank // 26**place % 26) for place in range(4)) for rank in ranks.tolist()]


def write(folder: Path, n: int) -> dict[int, int]:
    """Write `n` samples and their features; return place -> place of the text that each planted copy is near to."""
    rng, planted, last = np.random.default_rng(n), dict[int, int](), list[tuple[int, list[str], list[int]]]()
    for kind in ('samples', 'features'):
        (folder / kind).mkdir(parents=True)
    for part, start in enumerate(range(0, n, PART)):
        rows, known = [], []
        for at in range(start, min(start + PART, n)):
            stars = [at // 10] if at % 2 else []
            draw = rng.random()
            if draw < 0.1 and last:
                of, words, stars = last[int(rng.integers(len(last)))]
                changed = [*words]
                changed[int(rng.integers(1, len(words)))] = f'other{"".join(map(chr, 97 + rng.integers(0, 26, 5)))}'  # the first stands in the answer
                if jaccard(*(shingles([*some, 'the', some[0], 'one']) for some in (words, changed))) >= 0.85:
                    planted[at] = of
                words = changed
            elif draw < 0.2:
                town = ''.join(chr(97 + letter) for letter in rng.integers(0, 26, 6)).capitalize()
                words = TEMPLATE.format(town, *rng.integers(2, 99, 5).tolist()).split(' ')
            else:
                words = text(rng)
                last = [*last[-2000:], (at, words, stars)] if rng.random() < 0.1 else last
            turns = [{'role': 'user', 'text': ' '.join(words)}, {'role': 'assistant', 'text': f'The {words[0]} one'}]
            rows.append({'sample_id': f's/{at}', 'source': 's', 'turns': turns, 'images': []})
            same_as = hashlib.md5(f'{words}{stars}'.encode()).digest()
            known.append({'sample_id': f's/{at}', 'source': 's', 'stars': stars, 'bad_image': '', 'same_as': same_as})
        pq.write_table(pa.Table.from_pylist(rows, SAMPLES), folder / f'samples/part-{part:05d}.parquet')
        pq.write_table(pa.Table.from_pylist(known, FEATURES), folder / f'features/part-{part:05d}.parquet')
    return planted


def measure(n: int) -> None:
    """Print processor seconds by stage, memory, recall and false hits, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planted = write(folder, n)
        samples, features = Table(folder / 'samples'), Table(folder / 'features')
        times, start = {}, time.process_time()

        def done(stage: str) -> None:
            nonlocal start
            times[stage], start = time.process_time() - start, time.process_time()

        sketches = make_here(SketchTexts(samples), folder / 'a')
        done('sketch')
        candidates = make_here(JoinTexts((sketches,), features), folder / 'b')
        done('join')
        near = make_here(ConfirmTexts(candidates, (samples,)), folder / 'c')
        done('confirm')
        stars = make_here(MakeTextStars(near, features, 0.85), folder / 'd')
        done('stars')
        pairs = near.read()
        found = dict(zip(pairs['j'].to_pylist(), pairs['i'].to_pylist(), strict=True))
        recall = sum(at in found for at in planted) / max(1, len(planted))
        templates = sum('A shop in' in sample_text for sample_text in _texts(samples, [*found][:20_000]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        stages = ', '.join(f'{stage} {seconds:.1f}' for stage, seconds in times.items())
        print(f'{n} {sum(times.values()):.2f} {peak:.0f} | {stages} s; {candidates.read().num_rows:,} candidates, {pairs.num_rows:,} near, '
              f'{stars.read().num_rows:,} in clusters; recall {recall:.4f} of {len(planted):,} planted; '
              f'{templates} false hits among templates')  # fmt: skip


def _texts(samples: Table, places: list[int]) -> list[str]:
    turns = samples.read(columns=['turns'])['turns']
    return [turns[place].as_py()[0]['text'] for place in places]


def compare_libraries() -> None:
    """Print what a signature costs by rensa and by datasketch, where that is installed."""
    from rensa import RMinHash

    rng = np.random.default_rng(0)
    runs = [sorted(shingles(text(rng))) for _ in range(2000)]
    start = time.process_time()
    for some in runs:
        minhash = RMinHash(num_perm=BANDS * ROWS, seed=1)
        minhash.update(some)
        minhash.digest()
    print(f'rensa: {(time.process_time() - start) / len(runs) * 1e6:.1f} us a text')
    try:
        from datasketch import MinHash
    except ImportError:
        print('datasketch: not installed')
        return
    start = time.process_time()
    for some in runs:
        MinHash(num_perm=BANDS * ROWS, seed=1).update_batch([run.encode() for run in some])
    print(f'datasketch: {(time.process_time() - start) / len(runs) * 1e6:.1f} us a text')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sizes', type=int, nargs='+', default=[30_000, 300_000])
    parser.add_argument('--one', type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        return measure(given.one)
    compare_libraries()
    points = []
    for n in given.sizes:
        told = subprocess.run([sys.executable, '-m', 'benchmarks.near_texts', '--one', str(n)], capture_output=True, text=True, check=True).stdout
        size, seconds, peak = told.split(' | ')[0].split()
        points.append((int(size), float(seconds), float(peak)))
        print(f'{int(size):,} texts: {float(seconds):.1f} s of processor time, peak {peak} MB: {told.split(" | ")[1].strip()}')
    (n, seconds, peak), (more, longer, higher) = points[0], points[-1]
    if more > n:
        exponent = math.log(longer / seconds) / math.log(more / n)
        print(f'exponent {exponent:.2f}; {WHOLE:,} texts: {longer * (WHOLE / more) ** max(1, exponent) / 60:.1f} min, '
              f'{higher + (higher - peak) / (more - n) * (WHOLE - more):,.0f} MB')
    return None


if __name__ == '__main__':
    main()
