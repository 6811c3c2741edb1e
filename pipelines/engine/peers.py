"""Who else makes a shared build (`--shard i/n`): a note of each process, touched while it lives, so that nobody waits for ever for one that is gone.

`WORK/peers/BUILD-i.json` holds share, host, process id, when it began and how it ended; its modification time is the last sign of life. Ages are told
by the clock of the file system, which all share, never by that of a machine.
"""

import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from schemas.endings import is_order_to_stop
from schemas.errors import PendingWork, UserError
from schemas.publish import publish_json
from schemas.telling import tell_news

FOLDER = 'peers'
BEAT_S = 5.0  # between two signs of life
QUIET_S = 60.0  # without one: gone, on another machine; network disks keep what they know of a file for as long
FRESH_S = 120.0  # an end that is older than this when we begin is of an earlier run
POLL_S = 0.5  # between two looks at what is waited for ...
POLLS = 4  # ... of which this many for one at the others' notes
TELL_S = (5.0, 60.0, 600.0)  # of waiting, after which it is told
RUNNING, ENDED, STOPPED, FOLLOWED = 'running', 'ended', 'stopped', 'followed'  # FOLLOWED: ended since another one had ended with an error


@dataclass(frozen=True)
class Note:
    """What a process says of itself. Times are seconds of the file system's clock."""

    share: int  # counted from 0
    of: int
    host: str
    machine: str  # the running kernel: what it locks is seen by all of its processes
    pid: int
    run: str
    started: float
    state: str = RUNNING
    code: int = 0
    why: str = ''
    waiting_for: str = ''  # the table that it waits for now ...
    waiting_since: float = 0.0
    beat: float = 0.0  # its last sign of life

    @property
    def name(self) -> str:
        """Return which share it makes, and where."""
        return f'{self.share + 1}/{self.of} ({self.host}, process {self.pid})'

    @property
    def failed(self) -> bool:
        """Return whether it ended with an error of its own."""
        return self.state == ENDED and self.code != 0


class PeerEnded(PendingWork):
    """Another process of a shared build has ended with an error, and so does this one, with its exit code."""

    def __init__(self, note: Note) -> None:
        super().__init__(f'{note.name} of this build ended, so this process does too: {note.why}')
        self.code = note.code


class Peers:
    """The processes of one shared build as one of them sees them. `build` names the build, `lock_of` the file that a share's process holds."""

    def __init__(self, folder: Path, build: str, share: tuple[int, int], *, wait_s: float, lock_of: Callable[[int], Path],
                 sleep: Callable[[float], object] = time.sleep) -> None:
        self._folder, self._build, self._lock_of, self._sleep = folder, build, lock_of, sleep
        self.own, self.n = share
        self.wait_s = wait_s
        self._path = self._path_of(self.own)
        self._before = read_note(self._path)  # what this share's process of an earlier run said
        self._note: Note | None = None

    def _path_of(self, share: int) -> Path:
        return self._folder / f'{self._build}-{share}.json'

    @contextmanager
    def present(self) -> Iterator[None]:
        """Say in the block that this process is there, and behind it how it ended; raises UserError where processes of another n are at work."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._before is not None and self._before.state == RUNNING:  # killed: what it was then is over
            self._before = Note(**{**asdict(self._before), 'state': STOPPED})
        self._say(Note(self.own, self.n, socket.gethostname(), machine(), os.getpid(), secrets.token_hex(6), 0.0))
        self._say(started=self._now())
        over = threading.Event()
        beating = threading.Thread(target=self._beat, args=(over,), daemon=True)
        beating.start()
        try:
            self._refuse_others()
            yield
        except BaseException as e:
            over.set()
            with suppress(OSError):  # the error says more than a note that cannot be written
                self._say(state=_state(e), code=getattr(e, 'code', 1) or 1, why=str(e) if isinstance(e, UserError) else type(e).__name__)
            raise
        else:
            over.set()
            self._say(state=ENDED)
        finally:
            beating.join(BEAT_S)

    def wait(self, done: Callable[[], object], key: str, label: str, needed: Callable[[], Iterable[int]]) -> None:
        """Return when `done` says so, of the table `key`, or what stands for it.

        Raises PeerEnded where another process ended with an error, PendingWork where one that is `needed` is gone, or waits for another table, for
        `wait_s`.
        """
        began, told, polls = 0.0, set[str](), 0
        try:
            while not done():
                if polls % POLLS == 0:
                    now = self._now()
                    began = began or now
                    self._look(label, key, now, began, list(needed()), told)
                polls += 1
                self._sleep(POLL_S)
        finally:
            if self._note is not None and self._note.waiting_for:
                self._say(waiting_for='')

    def _look(self, label: str, key: str, now: float, began: float, needed: list[int], told: set[str]) -> None:
        notes = self.others()
        if failed := next((note for note in notes if note.failed and self._is_of_now(note)), None):
            raise PeerEnded(failed)
        gone = self._gone(key, began, needed, {note.share: note for note in notes if note.of == self.n})
        if late := [about for since, about in gone if now - since >= self.wait_s]:
            raise PendingWork(f'{label}: waited {said_wait(self.wait_s)} (--wait) for {"; ".join(late)}; start the same command again for '
                              'each share, this one too: what is made is kept')
        self._tell(label, gone, now - began, told)
        if now - began >= TELL_S[0] and not (self._note and self._note.waiting_for):
            self._say(waiting_for=key, waiting_since=began)

    def others(self) -> list[Note]:
        """Return what the other processes of this build said last, those of another n too."""
        return [note for path in notes_of(self._folder, self._build) if path != self._path and (note := read_note(path)) is not None]

    def is_alive(self, note: Note) -> bool:
        """Return whether a process is at work: it said so, not long ago, and on this machine it still holds what it held."""
        if note.state != RUNNING or self._now() - note.beat > QUIET_S:  # stopped, killed, or its machine is gone
            return False
        return note.machine != machine() or is_held(self._lock_of(note.share))

    def _gone(self, key: str, began: float, needed: Iterable[int], notes: dict[int, Note]) -> list[tuple[float, str]]:
        """Return of each process that is needed and not at work since when we miss it, and in words who it is."""
        found = []
        for share in sorted(set(needed) - {self.own}):
            note = notes.get(share)
            if note is None:
                found.append((began, f'{share + 1}/{self.n}, which was never started'))
            elif not self.is_alive(note):
                found.append((max(began, note.beat), f'{note.name}, {_last_seen(note)}'))
            elif note.waiting_for not in ('', key):
                told = f'{note.name}, which waits for {note.waiting_for}, and this one for {key}: do both see the same inputs?'
                found.append((max(began, note.waiting_since), told))
        return found

    def _tell(self, what: str, gone: list[tuple[float, str]], waited: float, told: set[str]) -> None:
        due = sum(waited >= after for after in TELL_S)
        if not due:
            return
        for _, about in gone:
            if about not in told:
                told.add(about)
                tell_news(f'{what}: waiting for {about}, at most {said_wait(self.wait_s)}')
        if not gone and f'#{due}' not in told:
            told.add(f'#{due}')
            tell_news(f'{what}: waiting for the other {self.n - 1} process(es) of this build, which are at work')

    def _is_of_now(self, note: Note) -> bool:
        """Return whether an end belongs to this run of the build: it came after this process began, or shortly before, in a run that began after
        this share's process of an earlier run had ended."""
        assert self._note is not None, 'asked outside of `present`'
        if note.of != self.n:
            return False
        if note.beat >= self._note.started:
            return True
        return self._note.started - note.beat < FRESH_S and (self._before is None or note.started > self._before.beat)

    def _refuse_others(self) -> None:
        for note in self.others():
            if note.of != self.n and self.is_alive(note):
                raise UserError(f'--shard {self.own + 1}/{self.n}: expected all processes of this build to be of {self.n}, found {note.name} at '
                                f'work; stop it, or start this one as one of {note.of}')

    def _say(self, note: Note | None = None, **change: object) -> None:
        said = note or self._note
        assert said is not None, 'said outside of `present`'
        self._note = Note(**{**asdict(said), **change})  # type: ignore[arg-type]
        publish_json(self._path, {name: value for name, value in asdict(self._note).items() if name != 'beat'})

    def _now(self) -> float:
        """Return what time it is for the file system; to ask is a sign of life."""
        os.utime(self._path)
        return os.stat(self._path).st_mtime

    def _beat(self, over: threading.Event) -> None:
        while not over.wait(BEAT_S):
            with suppress(OSError):  # the disk may be back at the next beat
                os.utime(self._path)


def notes_of(folder: Path, build: str) -> list[Path]:
    """Return the notes of a build's processes."""
    return sorted(folder.glob(f'{build}-*.json'))


def read_note(path: Path) -> Note | None:
    """Return a note and its last beat; opened anew, so that a network disk looks at it again."""
    try:
        with open(path, encoding='utf-8') as handle:
            return Note(**json.load(handle), beat=os.fstat(handle.fileno()).st_mtime)
    except (FileNotFoundError, ValueError, TypeError):  # none, or none of ours
        return None


def is_held(lock: Path) -> bool:
    """Return whether a process of this machine holds the lock on a file; True where that cannot be told."""
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def machine() -> str:
    """Return what tells the kernel that runs here from all others (Linux: /proc/sys/kernel/random/boot_id), else the host's name."""
    try:
        return Path('/proc/sys/kernel/random/boot_id').read_text('ascii').strip()
    except OSError:
        return socket.gethostname()


def _state(error: BaseException | None) -> str:
    if isinstance(error, PeerEnded):
        return FOLLOWED
    return STOPPED if is_order_to_stop(error) else ENDED


def _last_seen(note: Note) -> str:
    when = time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime(note.beat))
    if note.state == RUNNING:
        return f'last seen at {when}: killed, or its machine is gone'
    how = {STOPPED: 'was told to stop', FOLLOWED: 'ended'}.get(note.state, f'ended with exit code {note.code}')
    return f'which {how} at {when}' + (f': {note.why}' if note.why and note.state != STOPPED else '')


def said_wait(seconds: float) -> str:
    """Return a time as `--wait` takes it."""
    for unit, length in (('h', 3600), ('m', 60)):
        if seconds >= length and seconds % length == 0:
            return f'{seconds / length:.0f}{unit}'
    return f'{seconds:g}s'
