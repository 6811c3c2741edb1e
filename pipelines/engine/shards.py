"""One shard of a step, made: what every way to run steps does with an element, whatever brings it there. Beam is not needed for it."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.engine.step import Step, release
from pipelines.engine.tables import ShardWriter, Table, shard_name
from pipelines.engine.told import tell_error
from schemas.errors import NotStored, PendingWork, Unreadable, listed
from schemas.publish import publish_json

PENDING = '_PENDING-'


@dataclass(frozen=True, slots=True)
class Job:
    """A table to make: its step, how many shards it has, and those (number, shard) that are to be made here and now."""

    step: Step
    table: Table
    n_shards: int
    todo: list[tuple[int, Any]]


def make_here(job: Job) -> None:
    """Make what is to be made of a job in this process."""
    try:
        for index, shard in job.todo:
            make_shard(job.step, job.table.path, index, shard)
    finally:
        release(job.step)


def make_shard(step: Step, folder: Path, index: int, shard: Any) -> None:
    """Write a shard's rows into its own files below `folder`, or note there that it waits for the next run; of one that fails nothing is left.

    A shard that lies there is not made again. Raises what the step raises; what people are to be told of is raised as that, and noted there,
    too, for runners that turn exceptions into text.
    """
    if (folder / shard_name(index)).exists():  # a retried bundle, or a build that goes on
        return
    try:
        _make(step, folder, index, shard)
    except Exception as e:
        if (told := tell_error(folder, e)) is not None and told is not e:
            raise told from e
        raise


def _make(step: Step, folder: Path, index: int, shard: Any) -> None:
    writer = ShardWriter(folder, index)
    try:
        step.process(shard, writer)
        writer.close()
    except PendingWork as e:  # the other shards go on; this one stays open
        writer.abandon()
        about = {'files': e.files, 'remedies': e.remedies, 'or_else': e.or_else} if isinstance(e, Unreadable) else None
        never_made = e.n if isinstance(e, NotStored) else 0
        publish_json(folder / f'{PENDING}{index:05d}.json', {'message': str(e), 'unreadable': about, 'never_made': never_made})
    except BaseException:
        with suppress(Exception):  # what is half written may fail to close on the disk that failed; the first failure is told
            writer.abandon()
        raise


def refuse_pending(jobs: list[Job]) -> None:
    """Raise PendingWork where shards that were to be made here and now wait for something; what other processes left behind tells nothing of them.

    It is NotStored, of all calls that were never made, where nobody may be asked.
    """
    waiting = [(job.table.label, path) for job in jobs for index, _ in job.todo if (path := job.table.path / f'{PENDING}{index:05d}.json').is_file()]
    told = [json.loads(path.read_text('utf-8')) for _, path in waiting]
    label = listed(list(dict.fromkeys(label for label, _ in waiting)))
    if never_made := sum(one.get('never_made', 0) for one in told):
        raise NotStored(never_made)
    if calls := [one['message'] for one in told if not one['unreadable']]:
        raise PendingWork(f'{label}: {len(calls)} shard(s) wait for model calls that kept failing: {calls[0]}\n'
                          'everything that came back is stored; run the same command again to go on, or add --give-up to seal without these')
    if told:
        unread = Unreadable.together([Unreadable(**one['unreadable']) for one in told])
        raise PendingWork(f'{label}: {len(told)} shard(s) wait, all others are kept: {unread}')
