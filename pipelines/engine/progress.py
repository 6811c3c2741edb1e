"""Progress of a step: shards done, rate and remaining time on a terminal; one plain line per step elsewhere."""

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipelines.engine.tables import Table
from schemas.telling import is_hushed, tell_news

console = Console(stderr=True)
LOOK_S = 0.2  # between two looks at a folder, at least ...
LOOKS = 50  # ... and as many times as long as a look takes


@contextmanager
def watch(tables: Sequence[Table], n_shards: int) -> Iterator[None]:
    """Show how many of the shards of some tables lie finished on disk, whoever makes them, until the block ends."""
    name = '+'.join(dict.fromkeys(table.name for table in tables))
    started = time.monotonic()
    if is_hushed() or not sys.stderr.isatty():
        tell_news(f'{name}: {n_shards} shard(s) ...')
        yield
        tell_news(f'{name}: done in {time.monotonic() - started:.1f} s')
        return
    columns = (SpinnerColumn(), TextColumn('{task.description:<14}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    stop = threading.Event()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=n_shards)

        def poll() -> None:
            took = 0.0
            while not stop.wait(max(LOOK_S, took * LOOKS)):
                began = time.monotonic()
                bar.update(task, completed=sum(map(_finished, tables)))
                took = time.monotonic() - began

        thread = threading.Thread(target=poll, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        bar.update(task, completed=n_shards)


def _finished(table: Table) -> int:
    return sum(name.startswith('shard-') for name in os.listdir(table.path))
