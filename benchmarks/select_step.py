"""Another threshold over candidates that are judged: what each step of a select costs, at several sizes, and how it grows.

    python -m benchmarks.select_step --samples 20000 80000

Made up: one sample for each candidate, each with a picture of --picture random bytes, answers of ten words, scores between -1 and 1. `judged` is made
once, in the build; the others are what `phantom select` makes again.
"""

import argparse
import hashlib
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipelines.engine.step import Step, make_here
from pipelines.engine.tables import Table
from pipelines.snapshot.parquet import parquet_options, with_features
from pipelines.triples.judged import NarrowJudged
from pipelines.triples.rows import WriteTriples
from pipelines.triples.selection import SelectTriples
from pipelines.triples.shortcuts import AuditShortcuts
from schemas.records import CANDIDATES, MIX_ROWS, TRIPLE_ROWS, VERDICTS, rows_table

AT_ONCE = 2048
WORDS = ('red', 'green', 'seven', 'left', 'a', 'dog', 'on', 'the', 'table', 'under')


def main() -> None:
    """Print processor seconds of each step at each size, and the exponent between the first and the last."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--samples', type=int, nargs='+', default=[20_000, 80_000])
    parser.add_argument('--picture', type=int, default=5000, help='bytes of a picture')
    args = parser.parse_args()
    found = []
    for n in args.samples:
        with tempfile.TemporaryDirectory() as folder:
            found.append(_measured(Path(folder), n, args.picture))
    print(f'{"step":12}', *(f'{n:>12,}' for n in args.samples), '    exponent', '   us a sample')
    for step in found[0]:
        seconds = [costs[step] for costs in found]
        exponent = math.log(seconds[-1] / seconds[0]) / math.log(args.samples[-1] / args.samples[0]) if len(seconds) > 1 else math.nan
        print(f'{step:12}', *(f'{one:10.2f} s' for one in seconds), f'{exponent:12.2f}', f'{1e6 * seconds[-1] / args.samples[-1]:12.1f}')


def _measured(folder: Path, n: int, picture: int) -> dict[str, float]:
    mix, candidates, verdicts = _made_up(folder, n, picture)
    costs: dict[str, float] = {}

    def made(step: Step) -> Table:
        start = time.process_time()
        table = make_here(step, folder / step.TABLE)
        costs[step.TABLE] = costs.get(step.TABLE, 0) + time.process_time() - start
        return table

    judged = made(NarrowJudged(candidates, verdicts, 'seed', (mix,)))
    plan = made(SelectTriples((candidates,), (judged,), 0.3, None, None, {}, None, 500_000_000))
    for number, chosen in enumerate(plan.read('shards')['chosen'].to_pylist()):
        start = time.process_time()
        make_here(WriteTriples((candidates,), (verdicts,), (judged,), chosen, plan, (mix,), with_features(TRIPLE_ROWS)), folder / f'file-{number}')
        costs['triple_rows'] = costs.get('triple_rows', 0) + time.process_time() - start
    made(AuditShortcuts(plan, (candidates,)))
    return costs


def _made_up(folder: Path, n: int, picture: int) -> tuple[str, Table, Table]:
    rng = np.random.default_rng(0)
    schema = with_features(MIX_ROWS)
    (folder / 'candidates').mkdir()
    (folder / 'verdicts').mkdir()
    with pq.ParquetWriter(folder / 'mix.parquet', schema, **parquet_options(schema)) as writer:
        for part, start in enumerate(range(0, n, AT_ONCE)):
            rows = [_row(number, rng.bytes(picture), _said(rng)) for number in range(start, min(n, start + AT_ONCE))]
            writer.write_table(rows_table(rows, MIX_ROWS).cast(schema), row_group_size=len(rows))
            proposed = [_candidate(number, row, _said(rng)) for number, row in enumerate(rows, start)]
            pq.write_table(rows_table(proposed, CANDIDATES), folder / f'candidates/part-{part:05d}.parquet')
            said = [_verdict(one, rng.uniform(-1, 1)) for one in proposed]
            pq.write_table(rows_table(said, VERDICTS), folder / f'verdicts/part-{part:05d}.parquet')
    return str(folder / 'mix.parquet'), Table(folder / 'candidates'), Table(folder / 'verdicts')


def _said(rng: np.random.Generator) -> str:
    return ' '.join(WORDS[at] for at in rng.integers(0, len(WORDS), 10))


def _row(number: int, data: bytes, answer: str) -> dict:
    image_id = hashlib.sha256(data).hexdigest()
    asked = [{'type': 'image', 'text': None}, {'type': 'text', 'text': f'What stands on shelf {number}?'}]
    return {
        'images': [{'bytes': data, 'path': image_id}], 'image_ids': [image_id], 'cluster_ids': [image_id], 'sample_id': f's/a.json#{number}/0',
        'messages': [{'role': 'user', 'content': asked}, {'role': 'assistant', 'content': [{'type': 'text', 'text': answer}]}],
        'content_sha': image_id, 'source': f's{number % 3}', 'category': 'photo', 'licence': 'MIT', 'revision': '', 'file': 'a.json',
        'ordinal': number, 'contamination': '', 'answers': 'judged', 'n_bytes': len(data) + 500,
    }  # fmt: skip


def _candidate(number: int, row: dict, wrong: str) -> dict:
    return {
        **{name: row[name] for name in ('sample_id', 'source', 'n_bytes', 'answers', 'image_ids')}, 'candidate_id': f'{row["sample_id"]}/m-0.0',
        'split': 'train', 'file': 0, 'row': number, 'generator': 'm', 'kind': 'incorrect', 'question': row['messages'][0]['content'][1]['text'],
        'chosen': row['messages'][1]['content'][0]['text'], 'rejected': wrong, 'reply_key': row['image_ids'][0], 'differs_at': 0,
    }  # fmt: skip


def _verdict(candidate: dict, score: float) -> dict:
    return {'candidate_id': candidate['candidate_id'], 'judge': 'm', 'score': score, 'scores': f'{{"wrong": {score}}}', 'reason': '', 'detail': '',
            'reply_keys': [candidate['reply_key']]}  # fmt: skip


if __name__ == '__main__':
    main()
