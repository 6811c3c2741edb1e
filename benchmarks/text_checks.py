"""Synthetic samples end to end through reading and text checks: `python -m benchmarks.text_checks [-n 1000000]`.

A JSON-lines source of 1,000,000 text records through the front door's reading step (`samples` table: parse, checks, Parquet), in one process,
and the same at a tenth: memory is flat if the peaks are equal but for what Python's allocator keeps. Also how fast it goes. Nothing outside
the project does the same, so the ratio is against parsing the same lines with `json` and nothing else.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.synthetic import peak_of, write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('-n', type=int, default=1_000_000)
    parser.add_argument('--child', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        read(args.child)
        return
    (tenth_s, tenth_peak, _), (whole_s, whole_peak, plain_s) = measured(args.n // 10), measured(args.n)
    print(f'{args.n} samples through reading and text checks, one process: {whole_s:.0f} s ({args.n / whole_s:,.0f} a second), peak '
          f'{whole_peak / 1e6:.0f} MB; at a tenth {tenth_s:.0f} s, peak {tenth_peak / 1e6:.0f} MB: '
          f'{(whole_peak - tenth_peak) / (args.n * 0.9):.1f} bytes a sample. '
          f'json.loads of the same lines: {plain_s:.1f} s, ratio {whole_s / plain_s:.1f}')


def measured(n: int) -> tuple[float, int, float]:
    """Return seconds and peak RSS in bytes of a process that reads `n` records, and the seconds of plain json."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / 'data').mkdir()
        write_text(root / 'data/s.jsonl', n)
        source = {'format': 'instruction', 'annotations': ['s.jsonl'], 'licence': 'MIT'}
        (root / 'r.yaml').write_text(yaml.safe_dump({'name': 'text', 'sources': {'s': source}}))
        _, peak, told = peak_of(['benchmarks.text_checks', '--child', str(root)])
        start = time.perf_counter()
        with open(root / 'data/s.jsonl', encoding='utf-8') as handle:
            assert sum(bool(json.loads(line)['output']) for line in handle) == n
        plain_s = time.perf_counter() - start
        kept, seconds = told.split('KEPT ')[1].split()[:2]
        assert int(kept) == n, told
        return float(seconds), peak, plain_s


def read(root: Path) -> None:
    """Make the samples table of the source below `root`, as a build does."""
    from pipelines.engine.engine import Engine
    from pipelines.mix.programme import inputs_of
    from pipelines.sources.files import resolve
    from pipelines.sources.read import read_sources
    from schemas.recipe import load_recipe

    recipe = resolve(load_recipe(root / 'r.yaml', ()), root / 'data')
    (root / 'work').mkdir()
    engine = Engine(root / 'work')
    start = time.perf_counter()
    (table,) = engine.run_each(read_sources(recipe, root / 'data', inputs_of(recipe, root / 'data')['annotations'], engine.work))
    print('KEPT', table.counts()['rows/part'], time.perf_counter() - start)


if __name__ == '__main__':
    sys.exit(main())
