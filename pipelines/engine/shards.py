"""One shard of a step, made: what every way to run steps does with an element, whatever brings it there. Beam is not needed for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table, shard_name
from schemas.errors import PendingWork, UserError
from schemas.publish import publish_json

ERROR = '_ERROR.json'
PENDING = '_PENDING-'


@dataclass(frozen=True, slots=True)
class Job:
    """A table to make: its step, how many shards it has, and those (number, shard) that are to be made here and now."""

    step: Step
    table: Table
    n_shards: int
    todo: list[tuple[int, Any]]


def make_shard(step: Step, folder: Path, index: int, shard: Any) -> None:
    """Write a shard's rows into its own files below `folder`, or note there that it waits for model calls.

    A shard that lies there is not made again. Raises what the step raises; a UserError is noted there, too, for runners that turn exceptions
    into text.
    """
    if (folder / shard_name(index)).exists():  # a retried bundle, or a build that goes on
        return
    writer = ShardWriter(folder, index)
    try:
        step.process(shard, writer)
    except PendingWork as e:  # the other shards go on; this one stays open for the next run
        writer.abandon()
        publish_json(folder / f'{PENDING}{index:05d}.json', str(e))
        return
    except BaseException as e:
        writer.abandon()
        if isinstance(e, UserError):
            publish_json(folder / ERROR, {'type': type(e).__name__, 'message': str(e)})
        raise
    writer.close()
