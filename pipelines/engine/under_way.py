"""How many calls to models are under way: each process that asks says so in a small file of its own while it waits, whatever machine it is on.

`WORK/progress/calls/NAME.json`, written anew every few seconds. Its modification time is the last sign of life; ages are told by the clock of the
file system, that of the freshest file.
"""

import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from schemas.publish import publish_checked, read_checked

FOLDER = 'progress/calls'  # in a working folder
EVERY_S = 5.0  # between two words of a process that waits
QUIET_S = 60.0  # behind the freshest word: of a process that was killed
OLD_S = 3600.0  # then anybody removes it


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What the processes of a working folder say of their calls."""

    work: Path

    def count(self) -> int:
        """Return the calls that are under way."""
        return sum(said['under_way'] for said in self.said())

    def said(self) -> list[dict]:
        """Return what each process that waits said last: model, source, `answered` of `total`, `lost`, `under_way`."""
        aged = _aged(self.work / FOLDER)
        newest = max(aged.values(), default=0.0)
        told = [read_checked(path) for path, at in sorted(aged.items()) if newest - at <= QUIET_S]
        return [said for said in told if said and isinstance(said.get('under_way'), int)]


@contextmanager
def telling_calls(work: Path | None, say: Callable[[], dict]) -> Iterator[None]:
    """Say again and again what `say` returns, until the block ends; nothing is said where there is no working folder."""
    if work is None:
        yield
        return
    path, over = work / FOLDER / f'{socket.gethostname()}-{secrets.token_hex(6)}.json', threading.Event()

    def tell() -> None:
        while not over.wait(EVERY_S):
            with suppress(OSError):  # a full disk is told by what matters
                path.parent.mkdir(parents=True, exist_ok=True)
                publish_checked(path, say(), flush=False)
                _sweep(path)

    thread = threading.Thread(target=tell, daemon=True, name='calls')
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _sweep(own: Path) -> None:
    """Remove what processes left behind that were killed long ago."""
    aged = _aged(own.parent)
    for path, at in aged.items():
        if aged.get(own, 0.0) - at > OLD_S:
            path.unlink(missing_ok=True)


def _aged(folder: Path) -> dict[Path, float]:
    found = {}
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.name.endswith('.json') and entry.name[0] != '.':
                    found[Path(entry.path)] = entry.stat().st_mtime
    return found
