"""Whether the pictures of a source are still those that its table of facts was made of; bytes are read only where nothing else can tell.

A table of facts is named by its pictures' sizes and modification times, which `rsync -t`, `tar -x` and `cp -p` keep whatever the bytes are. So
whoever makes it notes of each picture the whole status at which it was read (inode and change time, too) and its sha256. Where only these two differ
now, the bytes decide: equal ones, and the table holds, so that a copied folder costs reading and no rebuild; others, and another table is made.
What was read for that is remembered: pictures that nobody touches are not read again.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pipelines.engine.engine import Engine
from pipelines.engine.step import fingerprint
from pipelines.engine.tables import Table
from pipelines.mix.fingerprints import THREADS, FingerprintImages, reference_groups, seen_in, stamp, statuses
from pipelines.sources.digests import Digests, Status


def settled(step: FingerprintImages, engine: Engine) -> FingerprintImages:
    """Return the step with the stamp of its pictures: its table says what their bytes are now."""
    now = statuses(step.refs, step.store)
    step = replace(step, stamp=stamp(step.refs, step.store, now))
    while changed := _changed(step, engine.table(step), now, engine.work / 'stamps'):
        step = replace(step, stamp=fingerprint(step.stamp, changed))
    return step


def _changed(step: FingerprintImages, table: Table, now: list[np.ndarray], folder: Path) -> list[tuple[str, str]]:
    """Return (reference, sha256) of the pictures that hold other bytes than when the table, as far as it is made, was made."""
    found: list[tuple[str, str]] = []
    moved = {shard: at for shard, status in enumerate(now) if (at := _moved(seen_in(table.path, shard), status))}
    remembered = Digests(folder / f'{table.path.name}.npy')
    firsts = np.cumsum([0, *map(len, now)]).tolist()
    with ThreadPoolExecutor(THREADS) as pool:
        for shard, references in enumerate(reference_groups(step.refs) if moved else ()):
            states = [(firsts[shard] + place, tuple(now[shard][place].tolist()), references[place]) for place in moved.get(shard, ())]
            digests = pool.map(partial(_digest, step, remembered), states)
            before = seen_in(table.path, shard)['sha'] if states else ()
            found += [(state[2], sha.hex()) for state, sha in zip(states, digests, strict=True) if sha != before[state[0] - firsts[shard]].tobytes()]
    remembered.keep()
    return found


def _digest(step: FingerprintImages, remembered: Digests, state: tuple[int, Status, str]) -> bytes:
    place, status, reference = state
    return remembered.of(place, status, partial(step.digest, reference))


def _moved(seen: np.ndarray, status: np.ndarray) -> list[int]:
    return np.flatnonzero((seen['status'] != status[: len(seen)]).any(axis=1)).tolist()

