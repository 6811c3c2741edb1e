"""Whether the pictures of a source are still those that its table of facts was made of; bytes are read only where that cannot be told without.

A table of facts is named by its pictures' sizes and modification times, which `rsync -t`, `tar -x` and `cp -p` keep whatever the bytes are. So whoever
makes it notes of each picture the whole status at which it was read (inode and change time, too) and its sha256. Where only these two differ now, the bytes
decide: equal ones, and the table holds, so that a copied folder costs reading and no rebuild; others, and another table is made. What was read for that is
remembered: pictures that nobody touches are not read again.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipelines.engine.engine import Engine
from pipelines.engine.step import fingerprint
from pipelines.engine.tables import Table
from pipelines.mix.fingerprints import THREADS, FingerprintImages, seen_in

Status = tuple[int, ...]
_READ = np.dtype([('place', 'i8'), ('status', 'i8', 4), ('sha', 'V32')])


def settled(step: FingerprintImages, engine: Engine) -> FingerprintImages:
    """Return the step whose table says what the pictures' bytes are now; the stamp of `step` is of their sizes and times alone."""
    now = [_status(step, references) for references in _shards(step.refs)]
    while changed := _changed(step, engine.table(step), now, engine.work / 'stamps'):
        step = replace(step, stamp=fingerprint(step.stamp, changed))
    return step


def _shards(refs: Table) -> Iterator[list[str]]:
    with pq.ParquetFile(refs.parts()[0]) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)['ref'].to_pylist()


def _status(step: FingerprintImages, references: list[str]) -> np.ndarray:
    return np.array([step.status(reference) for reference in references], np.int64).reshape(-1, 4)


def _changed(step: FingerprintImages, table: Table, now: list[np.ndarray], folder: Path) -> list[tuple[str, str]]:
    """Return (reference, sha256) of the pictures that hold other bytes than when the table, as far as it is made, was made."""
    found: list[tuple[str, str]] = []
    moved = {shard: (seen, at) for shard, status in enumerate(now) if len(at := _moved(seen := seen_in(table.path, shard), status))}
    if not moved:
        return found
    remembered = _Remembered(folder / f'{table.path.name}.npy')
    firsts = np.cumsum([0, *map(len, now)]).tolist()
    with ThreadPoolExecutor(THREADS) as pool:
        for shard, references in enumerate(_shards(step.refs)):
            seen, at = moved.get(shard, ((), ()))
            states = [(firsts[shard] + place, tuple(now[shard][place].tolist()), references[place]) for place in at]
            digests = pool.map(lambda state: remembered.digest(*state, step), states)
            found += [(state[2], sha.hex()) for state, place, sha in zip(states, at, digests, strict=True) if sha != seen['sha'][place].tobytes()]
    remembered.keep()
    return found


def _moved(seen: np.ndarray, status: np.ndarray) -> list[int]:
    return np.flatnonzero((seen['status'] != status[: len(seen)]).any(axis=1)).tolist()


class _Remembered:
    """The sha256 of pictures that were read to see whether they changed, by their place among the source's and their status then."""

    def __init__(self, path: Path) -> None:
        rows = np.load(path) if path.is_file() else np.zeros(0, _READ)
        self._path, self._fresh = path, False
        self._found: dict[int, tuple[Status, bytes]] = {row['place'].item(): (tuple(row['status'].tolist()), row['sha'].tobytes()) for row in rows}

    def digest(self, place: int, status: Status, reference: str, step: FingerprintImages) -> bytes:
        """Return the sha256 of a picture that has this status; it is read if it was not."""
        before = self._found.get(place)
        if before is None or before[0] != status:
            before = self._found[place] = (status, step.digest(reference))
            self._fresh = True
        return before[1]

    def keep(self) -> None:
        """Write what is known for the next build, whole or not at all."""
        if not self._fresh:
            return
        rows = np.array([(place, status, sha) for place, (status, sha) in sorted(self._found.items())], _READ)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f'.{self._path.name}.{os.getpid()}.tmp')
        with open(temporary, 'wb') as handle:
            np.save(handle, rows)
        os.replace(temporary, self._path)
