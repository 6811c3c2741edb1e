"""A disk that loses power, in a model that needs no root and no loop device: after a cut it holds what an fsync covered, and of the rest what a
`loss` says.

Bytes count from the fsync of their file on, names (created, renamed, linked, removed) from the fsync of their folder on. Writes themselves are not
watched, so it does not matter who wrote (Python, Arrow's C++, a memory map): what no `os.fsync` of this process covered may be lost. That asks for
more than ext4 or XFS do, which often write a new file's names together with it. Nothing is really flushed, which also makes a build quick.
"""

import ctypes
import fcntl
import json
import os
import random
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOSSES = ('emptied', 'names', 'zeroed', 'torn')
CHANGES = ('mkdir', 'unlink', 'remove', 'rename', 'replace', 'link', 'symlink', 'rmdir')  # of names; each is a moment, as each fsync is
_link, _rename, _unlink = os.link, os.rename, os.unlink  # the disk's own doings are no moments


class Disk:
    """The disk under the folder `top`; what of it is durable lies in the folder `memory`, for the process may die at any moment."""

    def __init__(self, top: Path, memory: Path) -> None:
        self.top, self.memory = top, memory

    def settle(self) -> None:
        """Take all that lies there now as durable."""
        shutil.rmtree(self.memory, ignore_errors=True)
        for name in ('bytes', 'names', 'held'):
            (self.memory / name).mkdir(parents=True)
        self.keep_all()

    def keep_all(self) -> None:
        """Take all that lies there now as durable, and what was durable before, too, as long as nobody asks for its name."""
        for folder, _, names in os.walk(self.top):
            self.keep(Path(folder))
            for name in names:
                if not (path := Path(folder, name)).is_symlink():
                    self.keep(path)

    def keep(self, path: Path) -> None:
        """Take a file's bytes, or a folder's names, as they are now, as durable; what another thread has just removed is left out."""
        with suppress(FileNotFoundError):
            self._keep(path)

    def _keep(self, path: Path) -> None:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            self._note(found.st_ino, _names(path))
        elif stat.S_ISREG(found.st_mode):
            self._hold(path, found.st_ino)
            shutil.copy2(path, self.memory / 'bytes' / str(found.st_ino))

    def _note(self, number: int, names: dict) -> None:
        draft = self.memory / f'{number}.{os.getpid()}'
        draft.write_text(json.dumps(names), encoding='utf-8')
        _rename(draft, self.memory / 'names' / str(number))

    def _hold(self, path: Path, number: int) -> None:
        """Keep a file by a second name, for its number must not become another file's."""
        here = os.open(self.memory, os.O_RDONLY)
        with suppress(OSError):  # it is held already, or removed
            _link(path, self.memory / 'held' / str(number), src_dir_fd=here, follow_symlinks=True)  # with a folder: else Linux follows no link
        os.close(here)

    def forget(self, number: int) -> None:
        """A folder is removed: its number may become another one's."""
        with suppress(FileNotFoundError):
            _unlink(self.memory / 'names' / str(number))

    def given_anew(self, number: int) -> None:
        """A folder got the number of one that was removed: no file system does that before the removal is on the disk."""
        for path in list(self.memory.glob('names/*')):
            names = self._durable_names(int(path.name))
            left = {name: of for name, of in names.items() if tuple(of) != ('folder', number)}
            if len(left) < len(names):
                self._note(int(path.name), left)

    def after_a_cut(self, loss: str, rng: random.Random) -> dict[str, bytes | str | None]:
        """Return what a machine finds after it: each path below `top` with bytes, None for a folder, or where a link leads."""
        found: dict[str, bytes | str | None] = {}
        walk = [(self.top.stat().st_ino, self.top)]
        while walk:
            number, folder = walk.pop()
            for name, (kind, value) in (self._durable_names(number) if loss == 'names' else _names(folder)).items():
                path = folder / name
                found[str(path.relative_to(self.top))] = value if kind == 'link' else None if kind == 'folder' else self._bytes(value, path, loss, rng)
                if kind == 'folder':
                    walk.append((value, path))
        return found

    def cut(self, loss: str, rng: random.Random) -> None:
        """Put in the place of all below `top` what is found after a cut, and settle."""
        after = self.after_a_cut(loss, rng)
        for path in self.top.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        put(after, self.top)
        self.settle()

    def _durable_names(self, number: int) -> dict:
        with suppress(FileNotFoundError):
            return json.loads((self.memory / 'names' / str(number)).read_text('utf-8'))
        return {}

    def _bytes(self, number: int, path: Path, loss: str, rng: random.Random) -> bytes:
        kept = self.memory / 'bytes' / str(number)
        durable = kept.read_bytes() if kept.exists() else b''
        if loss == 'names':
            return durable
        now = path.read_bytes()
        if now[: len(durable)] != durable:  # written over: what was durable may be spoiled, too
            durable = b''
        rest = len(now) - len(durable)
        if loss == 'torn':
            return rng.choice((durable, now[: len(durable) + rest // 2], durable + bytes(rest), now))
        return durable + (bytes(rest) if loss == 'zeroed' else b'')


def put(found: dict[str, bytes | str | None], top: Path) -> None:
    """Write what `after_a_cut` returned below `top`."""
    for path, value in sorted(found.items()):
        if value is None:
            (top / path).mkdir()
        elif isinstance(value, str):
            (top / path).symlink_to(value)
        else:
            (top / path).write_bytes(value)


@dataclass(frozen=True, slots=True)
class State:
    """What a machine would find after a cut, and how much was said to be durable by then."""

    loss: str
    said: tuple[object, ...]
    found: dict[str, bytes | str | None]


def every_state(disk: Disk, operate: Callable[[list], None]) -> list[State]:
    """Return what a cut would leave at each moment of an operation, which appends to its argument what it holds for durable from then on."""
    states: list[State] = []
    said: list[object] = []
    rng = random.Random(0)

    def look() -> None:
        for loss in LOSSES:
            states.append(State(loss, tuple(said), disk.after_a_cut(loss, rng)))

    end = watched(disk, look)
    try:
        operate(said)
    finally:
        end()
    look()
    return states


def _names(folder: Path) -> dict[str, tuple[str, int | str]]:
    found = {}
    for entry in os.scandir(folder):
        kind = 'link' if entry.is_symlink() else 'folder' if entry.is_dir() else 'file' if entry.is_file() else ''
        if kind:
            found[entry.name] = (kind, os.readlink(entry.path) if kind == 'link' else entry.inode())
    return found


class _LibC:
    """The C library, as far as `ctypes` gives it, with a syncfs that the disk hears of."""

    def __init__(self, library: ctypes.CDLL, syncfs: Callable) -> None:
        self._library, self.syncfs = library, syncfs

    def __getattr__(self, name: str) -> object:
        return getattr(self._library, name)


def watched(disk: Disk, at_each: Callable[[], None]) -> Callable[[], None]:
    """Tell `disk` of every fsync of this process and call `at_each` before each and before each change of a name; returns what ends it."""
    library = ctypes.CDLL
    real = {name: getattr(os, name) for name in (*CHANGES, 'sync', 'fsync', 'fdatasync')}

    def flush(descriptor: object) -> None:
        at_each()
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        path = Path(os.readlink(f'/proc/self/fd/{number}'))
        if path.is_relative_to(disk.top):
            disk.keep(Path(f'/proc/self/fd/{number}'))
        else:
            os.fstat(number)  # raises for what is no descriptor, as fsync does

    def changing(name: str) -> Callable:
        def changed(*args, **kwargs):
            at_each()
            if name == 'rmdir':
                with suppress(OSError):
                    disk.forget(os.stat(args[0], dir_fd=kwargs.get('dir_fd')).st_ino)
            result = real[name](*args, **kwargs)
            if name == 'mkdir':
                disk.given_anew(os.stat(args[0], dir_fd=kwargs.get('dir_fd')).st_ino)
            return result

        return changed

    def flush_all(*_: object) -> int:
        at_each()
        disk.keep_all()
        return 0

    def load(name: str | None, *args: object, **kwargs: object) -> object:
        return library(name, *args, **kwargs) if name else _LibC(library(name, *args, **kwargs), flush_all)

    ctypes.CDLL, os.sync, os.fsync, os.fdatasync = load, flush_all, flush, flush
    for name in CHANGES:
        setattr(os, name, changing(name))

    def end() -> None:
        ctypes.CDLL = library
        for name, function in real.items():
            setattr(os, name, function)

    return end


class Moments:
    """Counts moments over all processes of a build, in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def next(self) -> int:
        """Return the number of this moment, from 1 on."""
        with open(self.path, 'ab') as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(b'.')
            file.flush()
            return file.tell()
