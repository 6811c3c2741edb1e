"""Whether the pictures of a source are still those that its table of facts was made of; bytes are read only where nothing else can tell.

A table of facts is named by its pictures' sizes and modification times, which `rsync -t`, `tar -x` and `cp -p` keep whatever the bytes are. So
whoever makes it notes of each picture the whole status at which it was read (inode and change time, too) and its sha256. Where only these two differ
now, the bytes decide: equal ones, and the table holds, so that a copied folder costs reading and no rebuild; others, and another table is made.
What was read for that is remembered: pictures that nobody touches are not read again.

A picture that was given up (IMAGE_UNREADABLE) is always looked at again. One that the disk does not give now ends the build, which cannot tell what
it holds, unless it is given up.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pipelines.engine.engine import Engine
from pipelines.engine.step import fingerprint
from pipelines.engine.tables import Table
from pipelines.mix.fingerprints import NO_SHA, OR_ELSE, THREADS, FingerprintImages, name_of, reference_groups, seen_in, stamp, statuses
from pipelines.sources.digests import Digests, Status
from pipelines.sources.images import UNREADABLE
from pipelines.sources.waits import each
from schemas.errors import PendingWork, Unreadable, listed
from schemas.records import Reason


def settled(step: FingerprintImages, engine: Engine) -> FingerprintImages:
    """Return the step with the stamp of its pictures: its table says what their bytes are now. Raises Unreadable where the disk does not say so."""
    now = statuses(step.refs, step.store)
    if not step.store.give_up:
        _refuse_unreadable(step, now)
    step = replace(step, stamp=stamp(step.refs, step.store, now))
    while changed := _changed(step, engine.table(step), now, engine.work / 'stamps'):
        step = replace(step, stamp=fingerprint(step.stamp, changed))
    return step


def settled_all(steps: Iterable[FingerprintImages], engine: Engine) -> list[FingerprintImages]:
    """Return several steps `settled`; raises Unreadable for all of them together once the tables of the others are made."""
    found, unread = [], list[Unreadable]()
    for step in steps:
        try:
            found.append(settled(step, engine))
        except Unreadable as e:
            unread.append(e)
    if unread:
        engine.run_each(found)
        raise Unreadable.together(unread)
    return found


def refuse_given_up(tables: Iterable[Table]) -> None:
    """Raise PendingWork where a table holds pictures that were given up: by a process that builds it, too, and was told --give-up."""
    wanted = f'/{Reason.IMAGE_UNREADABLE}'
    if given_up := [f'{table.label}: {n} picture(s)' for table in tables for key, n in table.counts().items() if key.endswith(wanted)]:
        raise PendingWork(f'expected pictures that can be read, found some that another process left out with --give-up: {listed(given_up)}; run '
                          'the same command again, which reads them')


def _refuse_unreadable(step: FingerprintImages, now: list[np.ndarray]) -> None:
    """Raise Unreadable for the pictures of which the disk does not say whether they are there."""
    unread = []
    lacking = [np.flatnonzero((status == UNREADABLE).all(axis=1)).tolist() for status in now]
    for references, places in zip(reference_groups(step.refs) if any(lacking) else (), lacking, strict=False):
        unread += [_why(step, references[place]) for place in places]
    if unread:
        raise Unreadable.together(unread, OR_ELSE)


def _why(step: FingerprintImages, reference: str) -> Unreadable:
    try:
        step.digest(reference)
    except Unreadable as e:
        return e
    return Unreadable([f'{reference} (the disk did not say whether it is there)'])


def _changed(step: FingerprintImages, table: Table, now: list[np.ndarray], folder: Path) -> list[tuple[str, str]]:
    """Return (reference, sha256) of the pictures that hold other bytes than when the table, as far as it is made, was made."""
    found: list[tuple[str, str]] = []
    moved = {shard: some for shard, status in enumerate(now) if (some := _moved(seen_in(table.path, shard), status))}
    unread: list[Unreadable] = []
    remembered = Digests(folder / f'{table.path.name}.npy')
    firsts = np.cumsum([0, *map(len, now)]).tolist()
    for shard, references in enumerate(reference_groups(step.refs) if moved else ()):
        places = [at for at in moved.get(shard, ()) if at == 0 or name_of(references[at]) != name_of(references[at - 1])]  # of one picture the first
        states = [(firsts[shard] + at, tuple(now[shard][at].tolist()), references[at]) for at in places]
        before = seen_in(table.path, shard)['sha'] if states else ()
        for at, sha in zip(places, each(partial(_digest, step, remembered), states, THREADS), strict=True):
            if isinstance(sha, Unreadable):
                unread.append(sha)
            elif sha != before[at].tobytes():
                found.append((references[at], sha.hex()))
    remembered.keep()
    if unread:
        raise Unreadable.together(unread, OR_ELSE)
    return found


def _digest(step: FingerprintImages, remembered: Digests, state: tuple[int, Status, str]) -> bytes | Unreadable:
    place, status, reference = state
    try:
        if status == UNREADABLE:
            return step.digest(reference)
        return remembered.of(place, status, partial(step.digest, reference))
    except Unreadable as e:
        return NO_SHA if step.store.give_up else e


def _moved(seen: np.ndarray, status: np.ndarray) -> list[int]:
    given_up = (seen['status'] == UNREADABLE).all(axis=1)
    return np.flatnonzero((seen['status'] != status[: len(seen)]).any(axis=1) | given_up).tolist()
