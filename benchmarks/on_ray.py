"""A build on worker processes and on Ray: `python -m benchmarks.on_ray RECIPE [--root DIR] [--workers 2] [--mix-only] [--ray local]`.

Both build into new folders; printed are the processors' time of all processes of each, Ray's own among them where it is `local`, the time by the
clock, and whether the snapshots are the same.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from schemas.snapshot import open_snapshot

LOOK_S = 0.3  # between two looks: what a process takes after the last is not counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('recipe', type=Path)
    parser.add_argument('--root', type=Path)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--ray', default='local')
    parser.add_argument('--mix-only', action='store_true')
    args = parser.parse_args()
    common = [*(['--root', str(args.root)] if args.root else []), *(['--mix-only'] if args.mix_only else [])]
    with tempfile.TemporaryDirectory() as folder:
        pool, on_ray = Path(folder, 'pool'), Path(folder, 'ray')
        own = build([str(args.recipe), '--out', str(pool), '--workers', str(args.workers), *common])
        theirs = build([str(args.recipe), '--out', str(on_ray), '--ray', args.ray, *common])
        same = ids(pool) == ids(on_ray)
    print(f"{args.workers} workers: processors' time {own[0]:.1f} s, by the clock {own[1]:.1f} s")
    print(f"--ray {args.ray}: processors' time {theirs[0]:.1f} s, by the clock {theirs[1]:.1f} s")
    print(f"{theirs[0] - own[0]:+.1f} s of processors' time, {theirs[0] / own[0]:.2f} times; {'same snapshots' if same else 'OTHER SNAPSHOTS'}")


def build(words: list[str]) -> tuple[float, float]:
    """Return the seconds of all processors, and by the clock, of a build."""
    began = time.monotonic()
    command = [sys.executable, '-P', '-m', 'phantom', '--quiet', 'build', *words]
    process = psutil.Process(subprocess.Popen(command).pid)
    took: dict[tuple[int, float], float] = {}
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        for each in (process, *process.children(recursive=True)):
            try:
                times = each.cpu_times()
                took[each.pid, each.create_time()] = times.user + times.system
            except psutil.Error:
                continue
        time.sleep(LOOK_S)
    return sum(took.values()), time.monotonic() - began


def ids(out: Path) -> list[str]:
    """Return the ids of the snapshots of a build."""
    return [open_snapshot(out / kind).snapshot_id for kind in ('mix', 'triples') if (out / kind).exists()]


if __name__ == '__main__':
    main()
