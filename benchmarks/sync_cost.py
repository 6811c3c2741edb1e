"""What it costs that files are flushed to the disk: `python -m benchmarks.sync_cost [--folder DIR -n 4000 --images 2000 --rounds 5]`.

One build of chats and pictures, once as it is and once with fsync, fdatasync and syncfs doing nothing, in turns, in processes of their own, by the
clock: waiting for a disk costs no processor time. The folder should lie on the disk that is meant. Prints medians, their ratio, the number of
flushes and what share of a build was inside them, which a busy machine disturbs less; at most 1.03 is wanted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.text_build import write_source
from tests.curation.drawn import encoded, photo

WANTED = 1.03
SIZE = (320, 240)
RUN = """
import atexit, ctypes, os, sys, time
flushes, real = [0, 0.0], (os.fsync, os.fdatasync, ctypes.CDLL)
mode = sys.argv.pop(1)
def counted(flush):
    def call(*args):
        flushes[0] += 1
        started = time.perf_counter()
        try:
            return flush(*args) if mode == 'flushed' else 0
        finally:
            flushes[1] += time.perf_counter() - started
    return call
class LibC:
    def __init__(self, library): self.library, self.syncfs = library, counted(library.syncfs)
    def __getattr__(self, name): return getattr(self.library, name)
os.fsync, os.fdatasync = counted(real[0]), counted(real[1])
ctypes.CDLL = lambda name, *args, **kwargs: real[2](name, *args, **kwargs) if name else LibC(real[2](name, *args, **kwargs))
atexit.register(lambda: print(f'flushes {flushes[0]} {flushes[1]}'))
import phantom
phantom.main()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--folder', type=Path, help='where to build; default: the folder for temporary files')
    parser.add_argument('-n', type=int, default=4000, help='chats; half as many instructions')
    parser.add_argument('--images', type=int, default=2000, help='pictures with a question each')
    parser.add_argument('--rounds', type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        recipe = add_pictures(write_source(Path(folder), args.n), args.images)
        rounds = [(build(recipe, 'flushed'), build(recipe, 'unflushed')) for _ in range(args.rounds)]
    flushed, unflushed = (statistics.median(seconds for seconds, _, _ in side) for side in zip(*rounds, strict=True))
    waited = statistics.median(waited / seconds for (seconds, _, waited), _ in rounds)
    print(f'{args.n} chats, {args.images} pictures, {args.rounds} rounds, {rounds[0][0][1]} flushes: {flushed:.2f} s, without {unflushed:.2f} s, '
          f'ratio {flushed / unflushed:.3f} (wanted: at most {WANTED}); inside flushes {waited:.1%} of the time')


def add_pictures(recipe: Path, n: int) -> Path:
    """Add a source of drawn pictures to the recipe; return it."""
    folder = recipe.parent / 'pictures'
    folder.mkdir()
    records = []
    for number in range(n):
        (folder / f'{number}.jpg').write_bytes(encoded(photo(number % 100, SIZE), 'JPEG', quality=80) + number.to_bytes(4))
        turns = [{'from': 'human', 'value': f'<image>\nWhich number is on door {number}?'}, {'from': 'gpt', 'value': f'It is number {number * 7}.'}]
        records.append({'image': f'pictures/{number}.jpg', 'conversations': turns})
    (recipe.parent / 'pictures.json').write_text(json.dumps(records), encoding='utf-8')
    said = yaml.safe_load(recipe.read_text('utf-8'))
    said['sources']['pictures'] = {'format': 'llava', 'annotations': ['pictures.json'], 'images': ['.'], 'licence': 'MIT', 'answers': 'exact'}
    recipe.write_text(yaml.safe_dump(said, sort_keys=False), encoding='utf-8')
    return recipe


def build(recipe: Path, how: str) -> tuple[float, int, float]:
    """Return seconds, flushes and the seconds inside them of one build, before which all that was written earlier is flushed."""
    with tempfile.TemporaryDirectory(dir=recipe.parent) as out:
        os.sync()
        started = time.perf_counter()
        words = ['build', str(recipe), '--root', str(recipe.parent), '--out', f'{out}/out']
        done = subprocess.run([sys.executable, '-c', RUN, how, *words], capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f'the build ended with {done.returncode}: {done.stderr[-2000:]}')
    n, waited = done.stdout.rpartition('flushes ')[2].split()
    return seconds, int(n), float(waited)


if __name__ == '__main__':
    main()
