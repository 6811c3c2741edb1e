"""The reply store at a million replies: put, open, get, compact, against sqlite3 with the same lines and the same batches.

Run: python benchmarks/reply_store.py [--rows 1000000] [--folder DIR]. Prints seconds, replies/s, peak memory, and the ratio.
"""

import argparse
import hashlib
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipelines.replies.segments import encode_line
from pipelines.replies.store import ReplyStore
from schemas.replies import Reply, TokenLogprob

BATCH = 32
CHUNK = 500  # requests looked up together, as a build does


def key(number: int) -> str:
    return hashlib.sha256(b'%d' % number).hexdigest()


def reply(number: int) -> Reply:
    tail = tuple(TokenLogprob(f' w{i}', -0.5 - number % 97 / 100 - i) for i in range(12))
    return Reply(key(number), 'm', 'r', f'an answer of some words, number {number}', 'stop', 100, 12, (), tail, '{"id":"chatcmpl-0123456789"}')


def timed(name: str, count: int, work) -> float:
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    print(f'{name:<34} {seconds:8.2f} s {count / seconds:12,.0f} replies/s', flush=True)
    return seconds


def put(store: ReplyStore, start: int, stop: int) -> None:
    for at in range(start, stop, BATCH):
        store.put_many([reply(n) for n in range(at, min(at + BATCH, stop))])


def put_sqlite(path: Path, count: int) -> None:
    base = sqlite3.connect(path)
    base.execute('create table replies (key text primary key, line blob)')
    base.execute('pragma synchronous = full')
    for at in range(0, count, BATCH):
        with base:
            base.executemany('insert into replies values (?, ?)', [(key(n), encode_line(reply(n))) for n in range(at, min(at + BATCH, count))])
    base.close()


OPEN = """
import resource, sys, time
from pipelines.replies.store import ReplyStore
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
store = ReplyStore(sys.argv[1])
seconds, more = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base
print(f'  opened in {seconds:.2f} s, +{more / 1024:.0f} MB, {store.stats()}')
"""


def open_elsewhere(folder: Path) -> None:
    subprocess.run([sys.executable, '-c', OPEN, str(folder)], check=True)


def get(folder: Path, count: int) -> None:
    store = ReplyStore(folder)
    for at in range(0, count, CHUNK):
        wanted = [key(n) for n in range(at, min(at + CHUNK, count))]
        assert len(store.get_many(wanted)) == len(wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rows', type=int, default=1_000_000)
    parser.add_argument('--folder', type=Path, default=None)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    rows, sample = options.rows, min(options.rows, 50_000)
    try:
        store = ReplyStore(folder / 'store')
        ours = timed(f'put {sample:,} (fsync per {BATCH})', sample, lambda: put(store, 0, sample))
        theirs = timed(f'sqlite put {sample:,} (the same)', sample, lambda: put_sqlite(folder / 'sqlite', sample))
        print(f'put: {theirs / ours:.2f} times sqlite')
        timed(f'put the rest of {rows:,}', rows - sample, lambda: put(store, sample, rows)) if rows > sample else None
        store.close()
        open_elsewhere(folder / 'store')
        timed('get 50,000 from segments', sample, lambda: get(folder / 'store', sample))
        timed(f'compact {rows:,}', rows, lambda: ReplyStore(folder / 'store').compact())
        open_elsewhere(folder / 'store')
        timed('get 50,000 from packs', sample, lambda: get(folder / 'store', sample))
        print(f'peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB')
    finally:
        shutil.rmtree(folder)


if __name__ == '__main__':
    main()
