"""A build in small, and what it needs at any size: `python -m benchmarks.rehearsal --records 160000 [--before DIR] [--pool] [--workers 1 2]`.

Synthetic sources in real formats (benchmarks/rehearsal_sources.py) of a quarter, half and all of the records; of each a whole build with triples by
rule, and a select with another threshold. Prints for every stage the seconds of processor time at each size, the exponent of their growth and what
that makes at the size of the paper's mix; what the driver does alone, memory, disk; then what a machine or a cluster needs for other sizes
(benchmarks/scale_model.py). `--before DIR` does all of it with another checkout, too, in turns. `--pool` runs the mix against a script of
multiprocessing.Pool, Pillow, imagehash and pandas (benchmarks/pool_mix.py) on the same records, and compares what was kept. `--workers 1 2`
compares numbers of worker processes by the clock.

Processor time is less disturbed by other work than the clock, but not undisturbed: two busy threads of one core are slower each.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.rehearsal_sources import write_sources
from benchmarks.scale_model import HELD_BYTES, PAPER_RECORDS, TOKENS_A_SECOND, Needs, print_model
from benchmarks.staged import DRIVER, Run, watched
from benchmarks.synthetic import REPOSITORY
from pipelines.engine.step import Step, all_steps
from pipelines.mix import programme as _mix  # noqa: F401  so that all steps are known
from pipelines.triples import programme as _triples  # noqa: F401

WANTED_S, WANTED_EXPONENT, WANTED_POOL, WANTED_BYTES, WANTED_SELECT, WANTED_DRIVER = 9_000, 1.05, 1.3, 4e9, 0.03, 0.03
TOLD_S = 0.5  # stages below that at the largest size are added up: their exponents are noise
KINDS = ('mix', 'triples')
OTHER_THRESHOLD = 'triples.differ_within=12'


@dataclass
class Rehearsed:
    """What the builds of one checkout needed, by number of records."""

    builds: dict[int, Run]
    selects: dict[int, Run]
    disk: dict[int, dict[str, int]]  # bytes by folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--records', type=int, default=160_000, help='of the largest build')
    parser.add_argument('--before', type=Path, help='another checkout')
    parser.add_argument('--folder', type=Path, help='where to build, some 12 KB a record; default: the folder for temporary files')
    parser.add_argument('--pool', action='store_true', help='also the mix against a script, at half of the records')
    parser.add_argument('--workers', type=int, nargs='*', default=[], help='numbers of processes to compare by the clock, at half of them')
    parser.add_argument('--tokens-a-second', type=int, default=TOKENS_A_SECOND, help='that one GPU of yours takes in as a judge')
    parser.add_argument('--rounds', type=int, default=1, help='of the comparisons, in turns; medians are told')
    args = parser.parse_args()
    sizes = [args.records // 4, args.records // 2, args.records]
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        recipes = {n: write_sources(Path(folder) / f'sources-{n}', n) for n in sizes}
        trees = ([args.before.resolve()] if args.before else []) + [REPOSITORY]
        found = rehearse(trees, recipes, Path(folder))
        for tree in trees:
            show('before' if len(trees) > 1 and tree is trees[0] else 'now', found[tree])
        if args.pool:
            against_script(recipes[sizes[1]], Path(folder), args.rounds)
        if args.workers:
            by_workers(recipes[sizes[1]], Path(folder), args.workers, args.rounds)
    print_model(needs_of(found[REPOSITORY]), args.tokens_a_second)


def rehearse(trees: list[Path], recipes: dict[int, Path], folder: Path) -> dict[Path, Rehearsed]:
    """Return what builds and selects of every size needed, by each checkout in turns."""
    found = {tree: Rehearsed({}, {}, {}) for tree in trees}
    ids: dict[int, set[str]] = {}
    for n, recipe in recipes.items():
        for tree, of in found.items():
            out, other = folder / 'out', folder / 'other'
            of.builds[n] = watched(tree, ['build', str(recipe), '--out', str(out)], folder / 'log')
            words = ['select', str(recipe), '--set', OTHER_THRESHOLD, '--work', str(out / 'work'), '--out', str(other)]
            of.selects[n] = watched(tree, words, folder / 'log')
            of.disk[n] = {path.name: _bytes_below(path) for path in sorted([*out.iterdir(), *(out / 'work').iterdir()]) if path.is_dir()}
            ids.setdefault(n, set()).add(' '.join(snapshot_id(where / kind) for where in (out, other) for kind in KINDS))
            for where in (out, other):
                shutil.rmtree(where)
            print(f'{n:,} records, {tree}: {of.builds[n].cpu_s:,.0f} s of processor time, {of.builds[n].clock_s:,.0f} s; '
                  f'select {of.selects[n].cpu_s:,.1f} s, {of.selects[n].clock_s:,.1f} s', flush=True)
    if len(trees) > 1:
        print('snapshot ids: ' + ', '.join(f'{n:,} {"the same" if len(of) == 1 else "OTHERS"}' for n, of in ids.items()))
    return found


def snapshot_id(folder: Path) -> str:
    """Return the id of a snapshot."""
    return json.loads((folder / 'manifest.json').read_text('utf-8'))['snapshot_id']


def _bytes_below(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob('*') if path.is_file() and 'work' not in path.relative_to(folder).parts[:1])


def exponent(by_size: dict[int, float]) -> float:
    """Return e of seconds = c * records ** e, from the smallest to the largest size; nan where that is nothing."""
    (first, a), (last, b) = min(by_size.items()), max(by_size.items())
    return math.log(b / a) / math.log(last / first) if a > 0 and b > 0 else math.nan


def at_size(by_size: dict[int, float], n: int) -> float:
    """Return the seconds at `n` records: by the exponent where they grow faster than the records, else along the line of the two largest sizes."""
    (before, a), (last, b) = sorted(by_size.items())[-2:]
    if (e := exponent(by_size)) > 1:
        return b * (n / last) ** e
    return b + max(0.0, b - a) / (last - before) * (n - last)


def show(title: str, found: Rehearsed) -> None:
    """Print the table of one checkout."""
    sizes = sorted(found.builds)
    last = found.builds[sizes[-1]]
    names = list(last.stages)
    told = [name for name in names if last.stages[name].cpu_s >= TOLD_S or name == DRIVER]
    rows = {name: {n: found.builds[n].stages[name].cpu_s for n in sizes} for name in told}
    rows['the rest'] = {n: sum(found.builds[n].stages[name].cpu_s for name in names if name not in told) for n in sizes}
    total = {n: found.builds[n].cpu_s for n in sizes}
    at_paper = {name: at_size(row, PAPER_RECORDS) for name, row in rows.items()}
    print(f'\n## {title}: processor seconds by stage\n\n| stage | shards | {" | ".join(f"{n:,}" for n in sizes)} | exponent | {PAPER_RECORDS:,} |')
    print('|---' * (len(sizes) + 4) + '|')
    for name, row in rows.items():
        shards = last.stages[name].shards or '' if name in last.stages else ''
        print(f'| {name} | {shards} | {" | ".join(f"{row[n]:,.1f}" for n in sizes)} | {exponent(row):.2f} | {at_paper[name]:,.0f} |')
    whole = sum(at_paper.values())
    told_total = ' | '.join(f'{total[n]:,.0f}' for n in sizes)
    print(f'| **all** (wanted: {WANTED_S:,}) | | {told_total} | {exponent(total):.2f} (wanted: {WANTED_EXPONENT}) | **{whole:,.0f}** |')
    selects = {n: run.cpu_s for n, run in found.selects.items()}
    clock = ', '.join(f'{n:,}: {run.clock_s:.1f}' for n, run in found.selects.items())
    share = at_size(selects, PAPER_RECORDS) / whole
    print(f'| select, another threshold | | {" | ".join(f"{selects[n]:,.1f}" for n in sizes)} | {exponent(selects):.2f} | '
          f'{at_size(selects, PAPER_RECORDS):,.0f}: {share:.1%} of a build (wanted: {WANTED_SELECT:.0%}) |\n\nselect by the clock, seconds: {clock}')
    print(f'peak: {", ".join(f"{n:,}: {run.peak_bytes / 1e9:.2f} GB" for n, run in found.builds.items())} (wanted: {WANTED_BYTES / 1e9:.0f} GB)')
    _show_driver(found, whole)
    _show_disk(found)


def _show_driver(found: Rehearsed, whole: float) -> None:
    sizes = sorted(found.builds)
    names = sorted({name for run in found.builds.values() for name in run.alone_s})
    rows = {name: {n: found.builds[n].alone_s.get(name, 0.0) for n in sizes} for name in names}
    rows |= {f'{name} (one shard)': {n: found.builds[n].stages[name].cpu_s for n in sizes} for name in of_one_shard(found)}
    rows['all between the stages, start included'] = {n: found.builds[n].driver_s for n in sizes}
    head = ' | '.join(f'{n:,}' for n in sizes)
    print(f'\n| alone | {head} | exponent | {PAPER_RECORDS:,} | of a build (wanted: {WANTED_DRIVER:.0%}) | ten times that |')
    print('|---' * (len(sizes) + 5) + '|')
    for name, row in rows.items():
        at = [at_size(row, n) for n in (PAPER_RECORDS, 10 * PAPER_RECORDS)]
        if max(row.values()) >= 0.05:
            shares = f'{at[0] / whole:.1%} | {at[1] / whole / 10:.1%}'
            print(f'| {name} | {" | ".join(f"{row[n]:,.2f}" for n in sizes)} | {exponent(row):.2f} | {at[0]:,.0f} | {shares} |')


def _show_disk(found: Rehearsed) -> None:
    each = disk_each(found)
    told = ', '.join(f'{name} {size:,.0f}' for name, size in sorted(each.items(), key=itemgetter(1), reverse=True) if size >= 20)
    work = sum(size for name, size in each.items() if name not in KINDS)
    print(f'\ndisk, bytes a record: {told}; the working folder {work:,.0f}, to which snapshots on the same disk are hard links', flush=True)


def disk_each(found: Rehearsed) -> dict[str, float]:
    """Return by how many bytes each folder grows with a record."""
    first, last = min(found.disk), max(found.disk)
    return {name: (size - found.disk[first].get(name, 0)) / (last - first) for name, size in found.disk[last].items() if name != 'work'}


def of_one_shard(found: Rehearsed) -> list[str]:
    """Return the stages that have one shard at any size."""
    alone = {step.TABLE for step in all_steps() if step.shards is Step.shards}
    return [name for name in max(found.builds.items())[1].stages if name in alone]


def needs_of(found: Rehearsed) -> Needs:
    """Return what the model of other sizes starts from."""
    sizes = sorted(found.builds)
    total = {n: found.builds[n].cpu_s for n in sizes}
    whole = at_size(total, PAPER_RECORDS) / PAPER_RECORDS
    last, single = found.builds[sizes[-1]], [*of_one_shard(found), DRIVER]
    serial = {n: sum(found.builds[n].stages[name].cpu_s for name in single) for n in sizes}
    disk = sum(size for name, size in disk_each(found).items() if name not in KINDS)
    memory = max(HELD_BYTES, (last.driver_peak_bytes - found.builds[sizes[-2]].driver_peak_bytes) / (sizes[-1] - sizes[-2]))
    constant = last.driver_peak_bytes - memory * sizes[-1]
    return Needs(whole, max(exponent(total), 1.0), at_size(serial, PAPER_RECORDS) / PAPER_RECORDS, memory, disk, constant)


def against_script(recipe: Path, folder: Path, rounds: int) -> None:
    """Build the mix alone, and have the script make it, in turns; print both, and which rows only one of them keeps."""
    ours, script = [], []
    for _ in range(rounds):
        ours.append(watched(REPOSITORY, ['build', str(recipe), '--out', str(folder / 'mix'), '--mix-only'], folder / 'log').cpu_s)
        kept = set(pq.read_table(folder / 'mix/mix/data', columns=['sample_id'])['sample_id'].to_pylist())
        script.append(_script(recipe.parent, folder / 'script'))
        theirs = set((folder / 'script/kept.txt').read_text('utf-8').split())
        for where in ('mix', 'script'):
            shutil.rmtree(folder / where)
    ratio = sorted(one / other for one, other in zip(ours, script, strict=True))[rounds // 2]
    print(f'\nmix alone: {sorted(ours)[rounds // 2]:,.1f} s of processor time, a script with Pool, Pillow, imagehash, pandas '
          f'{sorted(script)[rounds // 2]:,.1f} s: {ratio:.2f} (wanted: {WANTED_POOL}); '
          f'kept by both {len(kept & theirs):,}, by the build alone {len(kept - theirs)}, '
          f'by the script alone {len(theirs - kept)}', flush=True)


def _script(sources: Path, out: Path) -> float:
    before = os.times()
    subprocess.run([sys.executable, '-m', 'benchmarks.pool_mix', str(sources), str(out)], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def by_workers(recipe: Path, folder: Path, numbers: list[int], rounds: int) -> None:
    """Build with several numbers of worker processes in turns; print what each took by the clock."""
    seconds: dict[int, list[float]] = {n: [] for n in numbers}
    for _ in range(rounds):
        for n, of in seconds.items():
            started = time.monotonic()
            watched(REPOSITORY, ['build', str(recipe), '--out', str(folder / 'out'), '--workers', str(n)], folder / 'log')
            of.append(time.monotonic() - started)
            shutil.rmtree(folder / 'out')
    medians = {n: sorted(of)[rounds // 2] for n, of in seconds.items()}
    first = medians[numbers[0]]
    told = ', '.join(f'{n} worker(s) {of:,.0f} s ({first / of:.2f}x)' for n, of in medians.items())
    print(f'\nby the clock: {told}; load {os.getloadavg()[0]:.1f}', flush=True)


if __name__ == '__main__':
    main()
