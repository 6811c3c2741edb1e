"""Synthetic sources of any size, and what a command needs of time and memory."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.curation.drawn import encoded

REPOSITORY = Path(__file__).parents[1]
WORDS = ('river', 'stone', 'copper', 'lantern', 'orchard', 'meadow', 'signal', 'engine', 'harbour', 'winter', 'castle', 'barley', 'thunder', 'velvet')


def sentence(number: int, length: int) -> str:
    """Return words that depend on `number`, the number itself among them."""
    return ' '.join([WORDS[number // len(WORDS) ** (at % 4) % len(WORDS)] for at in range(length)] + [str(number)])


def write_text(path: Path, n: int) -> None:
    """Write `n` instruction records as JSON lines, about 200 bytes each."""
    with open(path, 'w', encoding='utf-8') as handle:
        for number in range(n):
            handle.write(json.dumps({'instruction': f'What follows {sentence(number, 12)}?', 'output': sentence(number * 7, 8)}) + '\n')


def write_pictures(folder: Path, n: int, side_px: int = 64) -> list[str]:
    """Write `n` different small pictures; return their names."""
    folder.mkdir(parents=True)
    names = [f'{number:06d}.png' for number in range(n)]
    for name in names:
        cells = Image.frombytes('RGB', (4, 4), hashlib.sha512(name.encode()).digest()[:48])
        (folder / name).write_bytes(encoded(cells.resize((side_px, side_px), Image.Resampling.NEAREST)))
    return names


def peak_of(command: list[str]) -> tuple[float, int, str]:
    """Run a command of this interpreter; return its seconds, its own peak RSS in bytes (children not counted) and what it printed."""
    wrapped = ('import resource, runpy, sys, time; start = time.perf_counter(); sys.argv = sys.argv[1:]\n'
               'try: runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)\n'
               'except SystemExit as e: assert not e.code, e.code\n'
               'print("PEAK", time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)')
    env = {**os.environ, 'PYTHONPATH': str(REPOSITORY), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run([sys.executable, '-c', wrapped, *command], capture_output=True, text=True, env=env, check=False)
    found = re.search(r'PEAK (\S+) (\d+)', done.stdout)
    assert found, done.stdout[-2000:] + done.stderr[-4000:]
    return float(found[1]), int(found[2]), done.stdout
