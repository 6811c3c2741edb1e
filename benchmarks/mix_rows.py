"""Writing, hashing and sealing of the rows of a mix, each step alone: processor time, growth, memory and scratch disk.

Synthetic samples with text of about 1 kB; four in five show a picture of 3 to 8 KB (random bytes, from memory), each picture in 2.4 records
that stand anywhere, which is the hard case: rows of the snapshot that are neighbours come from everywhere. A tenth is left out.

    python -m benchmarks.mix_rows [--records 20000 80000 320000] [--part-rows 500]
"""

import argparse
import hashlib
import math
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.synthetic import WORDS
from pipelines.engine.step import Step, make_here
from pipelines.engine.tables import Table
from pipelines.mix.rows import WriteMix
from pipelines.mix.selection import PLAN
from pipelines.mix.spread import OF_FEATURES, SpreadMix
from pipelines.snapshot.parquet import with_features
from pipelines.snapshot.rejections import OUT, ExplainRejections, GatherRejections
from pipelines.snapshot.seal import HashShard
from schemas.records import MIX_ROWS, SAMPLES, Unit
from schemas.snapshot import snapshot_id

PAPER = 2_852_771
SHARD_BYTES = 500_000_000
RECORDS_A_PICTURE = 2.4
FEATURES = pa.schema([MIX_ROWS.field(name) for name in OF_FEATURES])
NOISE = np.random.default_rng(0).bytes(1 << 22)


@dataclass(frozen=True)
class Pictures:
    """Pictures by number, made when they are asked for."""

    def read(self, reference: str) -> bytes:
        number = int(reference.rpartition('/')[2])
        start, size = number * 7919 % (1 << 21), 3000 + number * 31 % 5000
        return number.to_bytes(8) + NOISE[start : start + size]


@dataclass(frozen=True)
class Corpus:
    """The tables before the rows are written."""

    plan: Table
    samples: Table
    features: Table


def corpus(folder: Path, n: int, part_rows: int) -> Corpus:
    """Write the tables of `n` records."""
    rng = np.random.default_rng(n)
    pictures = np.where(rng.random(n) < 0.2, -1, rng.integers(0, int(n / RECORDS_A_PICTURE), n))
    used = np.unique(pictures[pictures >= 0])
    ids = {int(number): hashlib.sha256(Pictures().read(f's/{number}')).hexdigest() for number in used}
    sizes = np.zeros(n, np.int64)
    for name in ('plan', 'samples', 'features'):
        (folder / name).mkdir()
    for part, start in enumerate(range(0, n, part_rows)):
        numbers = pictures[start : start + part_rows].tolist()
        samples, features = zip(*(_row(start + i, number, ids, rng) for i, number in enumerate(numbers)), strict=True)
        sizes[start : start + len(numbers)] = [row['n_bytes'] for row in features]
        pq.write_table(pa.Table.from_pylist(list(samples), SAMPLES), folder / f'samples/part-{part:05d}.parquet')
        pq.write_table(pa.Table.from_pylist(list(features), FEATURES), folder / f'features/part-{part:05d}.parquet')
    _, first, group = np.unique(np.where(pictures < 0, -1 - np.arange(n), pictures), return_index=True, return_inverse=True)
    order = np.argsort(first[group], kind='stable')
    kept, out = order[order % 10 > 0], np.flatnonzero(np.arange(n) % 10 == 0)
    shard = (np.cumsum(sizes[kept]) - 1) // SHARD_BYTES
    plan = {'split': ['train'] * len(kept), 'shard': shard, 'part': kept // part_rows, 'row': kept % part_rows}
    pq.write_table(pa.table(plan, PLAN), folder / 'plan/part-00000.parquet')
    why = {'part': out // part_rows, 'row': out % part_rows, 'reason': ['OVER_QUOTA'] * len(out), 'detail': [''] * len(out)}
    pq.write_table(pa.table(why, OUT), folder / 'plan/out-00000.parquet', row_group_size=10_000)
    return Corpus(*(Table(folder / name) for name in ('plan', 'samples', 'features')))


def _row(i: int, number: int, ids: dict[int, str], rng: np.random.Generator) -> tuple[dict, dict]:
    images = [f's/{number}'] if number >= 0 else []
    turns = [f'{"<image>" * len(images)}\n{i}: {" ".join(rng.choice(WORDS, 30))}?', f'"{" ".join(rng.choice(WORDS, 90))}"\n{i}']
    sample = {'sample_id': f's/f#{i}/0', 'source': 's', 'category': 'c', 'licence': 'MIT', 'file': 'f', 'ordinal': i, 'images': images,
              'turns': [{'role': role, 'text': text} for role, text in zip(('user', 'assistant'), turns, strict=True)]}  # fmt: skip
    n_bytes = sum(map(len, turns)) + sum(len(Pictures().read(image)) for image in images)
    shown = [ids[number]] if images else []
    sha = hashlib.sha256(turns[0].encode()).hexdigest()
    return sample, {'image_ids': shown, 'cluster_ids': shown, 'content_sha': sha, 'contamination': '', 'n_bytes': n_bytes}


def measured(folder: Path, of: Corpus) -> dict[str, float]:
    """Return seconds of processor time by step."""
    spent = {}

    def timed(name: str, work: Callable[[], object]) -> object:
        start = time.process_time()
        made = work()
        spent[name] = time.process_time() - start
        return made

    def made(step: Step, shards: range | None = None) -> Table:
        def work() -> Table:
            table = make_here(step, folder, shards)
            table.finish(len(shards if shards is not None else step.shards()))
            return table

        return timed(step.TABLE, work)  # type: ignore[return-value]

    n_shards = int(pq.read_table(of.plan.parts()[0], columns=['shard'])['shard'][-1].as_py()) + 1
    spread = made(SpreadMix(of.plan, (of.samples,), of.features, {'s': 'r'}, {'s': 'exact'}))
    rows = made(WriteMix(of.plan, spread, Pictures(), with_features(MIX_ROWS)), range(n_shards))  # type: ignore[arg-type]
    rejected = made(ExplainRejections(of.plan, (of.samples,), (), Unit.SAMPLE, 'select', 'sample_id', ('turns', 'images')))
    hashed = made(HashShard(rows, made(GatherRejections((rejected,)))))
    timed('snapshot id', lambda: snapshot_id((b''.join(pq.read_table(path)['digest'].to_numpy()) for path in hashed.parts()), []))
    return spent


def main(arguments: list[str] | None = None) -> None:
    """Print a table of steps by number of records, and what growth says of the paper's size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--records', type=int, nargs='+', default=[20_000, 80_000, 320_000])
    parser.add_argument('--part-rows', type=int, default=500, help='rows in a part of samples and features')
    parser.add_argument('--folder', default=None, help='where about 6 KB a record are written and removed')
    asked = parser.parse_args(arguments)
    found: dict[int, dict[str, float]] = {}
    for n in sorted(asked.records):
        folder = Path(tempfile.mkdtemp(dir=asked.folder))
        try:
            of = corpus(folder, n, asked.part_rows)
            found[n] = measured(folder, of)
            scratch = sum(path.stat().st_size for path in (folder / 'spread').iterdir())
        finally:
            shutil.rmtree(folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        print(f'{n:>9,} records: {sum(found[n].values()):7.2f} s; scratch {scratch / n:.0f} bytes a record, peak so far {peak:.0f} MB', flush=True)
    few, many = min(found), max(found)
    for name in found[many]:
        steps = '  '.join(f'{found[n][name]:8.2f}' for n in found)
        growth = math.log(found[many][name] / found[few][name]) / math.log(many / few) if many > few else math.nan
        print(f'{name:<12}{steps} s  exponent {growth:5.2f}  at {PAPER:,}: {found[many][name] * PAPER / many:7.1f} s')


if __name__ == '__main__':
    main()
