"""What went wrong with a shard, on its way to the process of the build: runners turn exceptions into text, on any machine, with any disk."""

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import schemas.errors
from schemas.errors import PendingWork, Unreadable, UserError
from schemas.publish import publish_json
from schemas.refusals import refusal_of

ERROR = '_ERROR.json'
BEAMS = r"(?: \[while running '[^']*'\])?$"  # what Beam adds to the message of an exception
IN_TEXT = re.compile(rf'schemas\.errors\.(\w+): (.+?){BEAMS}', re.MULTILINE)


def tell_error(folder: Path, error: BaseException) -> UserError | None:
    """Note in a table's folder what people are to be told of an error, and return it; None for a bug.

    The note may fail, too, on a full disk: then the runner's text holds it.
    """
    told = error if isinstance(error, UserError) else refusal_of(error, folder)
    if told is not None:
        with suppress(OSError):
            publish_json(folder / ERROR, {'type': type(told).__name__, 'message': str(told)})
    return told


def noted_error(folders: Iterable[Path]) -> UserError | None:
    """Return what a worker noted of an error, None where nothing is noted."""
    for folder in folders:
        with suppress(OSError, ValueError):
            said = json.loads((folder / ERROR).read_text('utf-8'))
            return _known(said['type'], said['message'])
    return None


def told_error(folders: Iterable[Path], error: Exception) -> UserError | None:
    """Return what was told of an error that a runner raised: noted by a worker, or in the runner's text; None for a bug."""
    if (noted := noted_error(folders)) is not None:
        return noted
    if isinstance(error, UserError):
        return _known(type(error).__name__, re.sub(BEAMS, '', str(error)))
    found = IN_TEXT.findall(str(error))
    return _known(*found[-1]) if found else refusal_of(error)


def _known(name: str, message: str) -> UserError | None:
    kind = getattr(schemas.errors, name, None)
    if kind is Unreadable:  # made from files: of one that is told by its message alone as much is known
        kind = PendingWork
    return kind(message) if isinstance(kind, type) and issubclass(kind, UserError) else None
