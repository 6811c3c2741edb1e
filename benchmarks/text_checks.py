"""Synthetic samples end to end through reading and text checks: `python -m benchmarks.text_checks [-n 1000000]`.

A JSON-lines source of 1,000,000 text records through the front door's reading step (`samples` table: parse, checks, Parquet), in one process,
and the same at a tenth: memory is flat if the peaks are equal but for what Python's allocator keeps. Also how fast it goes. Nothing outside
the project does the same, so the ratio is against parsing the same lines with `json` and nothing else.

With `--described` how much text a second of processor time describes: strict form, look-up of 1,000 benchmark items, hashes, and the loose form by
itself, of records of some 850 bytes, as the paper's mix has them; one in fifty has a letter beyond ASCII. The floor is one sha256 of each text.
"""

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from benchmarks.synthetic import peak_of, sentence, write_text

PART = 4000  # records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('-n', type=int, default=1_000_000)
    parser.add_argument('--described', action='store_true')
    parser.add_argument('--child', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.described:
        describe(min(args.n, 40_000))
        return
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


def describe(n: int) -> None:
    """Print how much text is described in a second of processor time, of `n` records in parts of 4,000."""
    from curation.texts.plain import Column
    from pipelines.engine.step import make_here
    from pipelines.engine.tables import ShardWriter, Table
    from pipelines.mix.benchmark_texts import TextRules
    from pipelines.mix.contamination import write_items
    from pipelines.mix.description import DescribeSamples
    from pipelines.mix.index import IndexReferences
    from schemas.records import IMAGE_FACTS, SAMPLES

    texts = [text for number in range(n) for text in (f'What follows {sentence(number, 12)}?', prose(number))]
    n_bytes = sum(len(text.encode()) for text in texts)
    item = {**dict.fromkeys(('bench', 'item_id', 'answer'), 'x'), 'options': [], 'images': [], 'meta': '{}'}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        writer = ShardWriter(root / 'bench', 0)
        write_items(({**item, 'question': f'Which of them is behind the {sentence(10**6 + number, 9)}?'} for number in range(1000)), writer)
        writer.close()
        for name in ('samples', 'facts'):
            (root / name).mkdir()
        for part in range(0, n, PART):
            rows = [{'sample_id': f's/{k}', 'source': 's', 'licence': 'MIT', 'images': [],
                     'turns': [{'role': 'user', 'text': texts[2 * k]}, {'role': 'assistant', 'text': texts[2 * k + 1]}]}
                    for k in range(part, min(n, part + PART))]  # fmt: skip
            pq.write_table(pa.Table.from_pylist(rows, SAMPLES), root / f'samples/part-{part // PART:05d}.parquet')
        pq.write_table(IMAGE_FACTS.empty_table(), root / 'facts/part-00000.parquet')
        references = make_here(IndexReferences(Table(root / 'facts')), root)
        step = DescribeSamples(Table(root / 'samples'), references, (Table(root / 'bench'),), TextRules(8, 0.8), 'seed')
        blocks = [pa.array(texts[at : at + 2000]) for at in range(0, len(texts), 2000)]
        for name, run in (('described', lambda: make_here(step, root / 'made')),
                          ('loose form by itself', lambda: [Column(block).units() for block in blocks]),
                          ('strict form by itself', lambda: [Column(block).strict() for block in blocks]),
                          ('one sha256 of each text', lambda: [hashlib.sha256(text.encode()).digest() for text in texts])):  # fmt: skip
            took = statistics.median(seconds_of(run) for _ in range(5))
            print(f'{name}: {n_bytes / took / 1e6:.0f} MB of text a second ({took / n * 1e6:.1f} us a record of {n_bytes // n} bytes)')


def seconds_of(run: Callable[[], object]) -> float:
    """Return the processor time of a call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def prose(number: int) -> str:
    """Return an answer of eight sentences; one in fifty has a word with a letter beyond ASCII."""
    lines = [f'The {sentence(number * 13 + k, 9)} is {k}.5 m behind it.' for k in range(8)]
    return ' '.join(lines) + (' It’s a café.' if number % 50 == 0 else '')


if __name__ == '__main__':
    sys.exit(main())
