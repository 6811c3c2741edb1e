"""How fast annotations become samples: `python -m benchmarks.reading [-n 20000]`.

A LLaVA list, LLaVA lines and chat messages in lines go through the reading step (record ranges, parsing, checks, Parquet) in this process, n records
of each and eight times as many: megabytes of annotations a second of processor time, and the exponent by which that grows. The ratio is against
`json.loads` of the same records and nothing else.
"""

import argparse
import json
import math
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.engine.step import make_here
from pipelines.sources.read import read_sources
from schemas.recipe import Recipe

TIMES = 8
WORDS = ('a', 'the', 'of', 'is', 'on', 'red', 'blue', 'small', 'large', 'house', 'bird', 'train', 'window', 'left', 'right', 'next', 'behind', 'two',
         'seven', 'colour', 'name', 'shape', 'near', 'people', 'walk')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('-n', type=int, default=20_000)
    n = parser.parse_args().n
    for kind in ('list', 'lines', 'messages'):
        some, all_ = measured(kind, n), measured(kind, TIMES * n)
        mb, spans_s, step_s, plain_s = all_
        whole_s, exponent = spans_s + step_s, math.log((all_[1] + all_[2]) / (some[1] + some[2]), TIMES)
        print(f'{kind}: {mb:.0f} MB, {mb / whole_s:.1f} MB a second of processor time (at {n} records {some[0] / (some[1] + some[2]):.1f}), exponent '
              f'{exponent:.2f}; record ranges alone {mb / spans_s:.0f}, json.loads alone {mb / plain_s:.0f}: ratio {whole_s / plain_s:.1f}')


def measured(kind: str, n: int) -> tuple[float, float, float, float]:
    """Return megabytes, and seconds of processor time: of finding the records, of making samples of them, of plain json."""
    with tempfile.TemporaryDirectory() as folder:
        root, name = Path(folder), 'a.json' if kind == 'list' else 'a.jsonl'
        records = [json.dumps(record(kind, random.Random(i), i)) for i in range(n)]
        (root / name).write_text('[' + ',\n'.join(records) + ']' if kind == 'list' else '\n'.join(records), 'ascii')
        source = {'format': 'messages' if kind == 'messages' else 'llava', 'annotations': [name], 'licence': 'MIT'}
        (step,) = read_sources(Recipe.model_validate({'name': 'r', 'sources': {'s': source}}), root, {'s': {name: ''}}, root / 'work')
        spans_s, shards = timed(step.shards)
        step_s, table = timed(lambda: make_here(step, root / 'work', shards))
        assert sum(json.loads(path.read_text('utf-8'))['counts']['rows/part'] for path in table.path.glob('shard-*.json')) == n
        plain_s, _ = timed(lambda: [len(json.loads(text)) for text in records])
        return (root / name).stat().st_size / 1e6, spans_s, step_s, plain_s


def timed(do: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor time of a call, and what it returns."""
    start = time.process_time()
    found = do()
    return time.process_time() - start, found


def record(kind: str, chance: random.Random, i: int) -> dict:
    """Return a chat of one to five exchanges, half of them long answers."""
    said = [(' '.join(chance.choices(WORDS, k=chance.randint(6, 14))).capitalize() + '?',
             ' '.join(chance.choices(WORDS, k=chance.choice([1, chance.randint(30, 130)]))).capitalize() + '.') for _ in range(chance.randint(1, 5))]
    if kind == 'messages':
        return {'messages': [{'role': role, 'content': text} for pair in said for role, text in zip(('user', 'assistant'), pair, strict=True)]}
    turns = [{'from': role, 'value': text} for pair in said for role, text in zip(('human', 'gpt'), pair, strict=True)]
    turns[0]['value'] = '<image>\n' + turns[0]['value']
    return {'id': f'r{i}', 'image': f'coco/{i % 97:04d}/{i:012d}.jpg', 'conversations': turns}


if __name__ == '__main__':
    main()
