"""A build on one core and on several: `python -m benchmarks.cores RECIPE [--root DIR] [--workers 2] [--mix-only] [--rounds 1]`.

Each round builds with one worker process and with several, in turns, into new folders, and prints the time by the clock of both: on a machine with
other work the processor's time tells more. So the processor's time is split, too: what each shard of each table took on a worker, and what the
build's own process took, which nobody shares. From these follows what more cores would give, shards being handed out in their order.
"""

import argparse
import os
import tempfile
import time
from collections import defaultdict
from heapq import heapify, heapreplace
from operator import itemgetter
from pathlib import Path

from pipelines.build import Way, build_all
from pipelines.engine import runners
from pipelines.engine.pool import Pool
from pipelines.engine.shards import Job
from schemas.recipe import load_recipe
from schemas.telling import hushed

CORES = (1, 2, 4, 8, 16, 64)
HERE = defaultdict[str, float](float)  # seconds of steps of one shard, by table
TOGETHER: list[list[str]] = []  # tables that were made as one job


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('recipe', type=Path)
    parser.add_argument('--root', type=Path)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--mix-only', action='store_true')
    parser.add_argument('--rounds', type=int, default=1)
    parser.add_argument('--once', action='store_true', help='only with several workers, and the model from that')
    args = parser.parse_args()
    for _ in range(args.rounds):
        many = build(args, args.workers)
        one = None if args.once else build(args, 1)
        print_model(*many[1:])
        if one:
            print(f'by the clock, load {os.getloadavg()[0]:.1f}: 1 worker {one[0]:.1f} s, {args.workers} workers {many[0]:.1f} s: '
                  f'{one[0] / many[0]:.2f} times')
            print(f"processors' time: 1 worker {total(*one[1:]):.1f} s, {args.workers} workers {total(*many[1:]):.1f} s")


def build(args: argparse.Namespace, workers: int) -> tuple[float, float, dict[str, list[float]]]:
    """Return seconds by the clock, of the build's own process, and of each shard by table."""
    pools: list[Pool] = []
    make_here = runners.make_here

    def noted(size: int, log: Path, alone_s: float) -> Pool:
        pools.append(Noting(size, log, alone_s))
        return pools[-1]

    class Noting(Pool):
        def run(self, jobs: list[Job]) -> None:
            TOGETHER.append([job.table.key for job in jobs])
            super().run(jobs)

    def timed(job: Job) -> None:
        began = time.process_time()
        make_here(job)
        HERE[job.table.name] += time.process_time() - began

    HERE.clear()
    TOGETHER.clear()
    with tempfile.TemporaryDirectory() as folder, hushed():
        runners.Pool, runners.make_here = noted, timed  # type: ignore[assignment, misc]
        began, own = time.monotonic(), time.process_time()
        try:
            build_all(load_recipe(args.recipe, ()), Path(folder, 'out'), Way(root=args.root, mix_only=args.mix_only, workers=workers))
        finally:
            runners.Pool, runners.make_here = Pool, make_here  # type: ignore[misc]
        return time.monotonic() - began, time.process_time() - own, pools[-1].took


def total(own: float, shards: dict[str, list[float]]) -> float:
    """Return the seconds of all processors."""
    return own + sum(map(sum, shards.values()))


def print_model(own: float, shards: dict[str, list[float]]) -> None:
    """Print where the time is, and what so many cores make of it."""
    for key, seconds in sorted(shards.items(), key=lambda pair: -sum(pair[1])):
        if sum(seconds) > total(own, shards) / 200:
            print(f'  {key.partition("/")[0]:<16} {len(seconds):>6} shards {sum(seconds):>8.1f} s, longest {max(seconds):.2f} s')
    here = ', '.join(f'{name} {seconds:.1f}' for name, seconds in sorted(HERE.items(), key=itemgetter(1), reverse=True) if seconds >= 0.05)
    print(f'  {"the build itself":<16} {"":>13} {own:>8.1f} s, of which steps of one shard: {here}')
    alone = total(own, shards)
    for cores in CORES:
        there = own + sum(makespan([each for key in keys for each in shards.get(key, ())], cores) for keys in TOGETHER)
        print(f'  {cores:>3} cores: {there:>8.1f} s, {alone / there:.2f} times, efficiency {alone / there / cores:.2f}')


def makespan(seconds: list[float], cores: int) -> float:
    """Return how long shards take that are handed out in their order to whoever is free."""
    busy = [0.0] * cores
    heapify(busy)
    for each in seconds:
        heapreplace(busy, busy[0] + each)
    return max(busy)


if __name__ == '__main__':
    main()
