"""Two processes that talk through a folder alone, as two nodes that share nothing else can: numbered requests and answers, each a file."""

import errno
import fcntl
import mmap
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import UserError
from schemas.publish import publish_checked, read_checked

LOOK_S = 0.01
ANSWER_S = 60.0  # attributes of files are cached for up to a minute (NFS: acregmax, acdirmax 60 s): who answers later is not there
END = 'end'


def awaited(path: Path, wait_s: float) -> dict[str, Any] | None:
    """Return what a file of the other process says once it is there, None if it does not come."""
    until = time.monotonic() + wait_s
    while (said := read_checked(path)) is None and time.monotonic() < until:
        time.sleep(LOOK_S)
    return said


@dataclass
class Asker:
    """The side that asks; `folder` is empty at first."""

    folder: Path
    wait_s: float = ANSWER_S
    _number: int = 0

    def __call__(self, do: str, name: str = '') -> Any:
        """Return what the other process says to one request; raises UserError where it says nothing."""
        self._number += 1
        publish_checked(self.folder / f'ask-{self._number}.json', {'do': do, 'name': name}, flush=False)
        answer = awaited(self.folder / f'answer-{self._number}.json', self.wait_s)
        if answer is None:
            raise UserError(f'{self.folder}: expected an answer from the other process within {self.wait_s:.0f} s, found none; it ended, it '
                            'sees another folder under this path, or it sees what is new here only later (mount with lookupcache=none or actimeo=1)')
        return answer['said']


def answer(folder: Path, wait_s: float) -> None:
    """Do what the other side asks until it asks to end; raises UserError where it does not ask.

    What lies there of a side that was killed is answered, too, until the next one makes the folder anew.
    """
    held: dict[str, int] = {}
    number, until = 1, time.monotonic() + wait_s
    while True:
        if (asked := read_checked(folder / f'ask-{number}.json')) is not None:
            with suppress(FileNotFoundError):  # made anew at this moment
                publish_checked(folder / f'answer-{number}.json', {'said': _done(asked, folder, held)}, flush=False)
                if asked['do'] == END:
                    return
            number, until = number + 1, time.monotonic() + wait_s
        elif number > 1 and not (folder / f'answer-{number - 1}.json').exists():
            number = 1
        elif time.monotonic() > until:
            raise UserError(f'{folder}: expected something to do from the first process within {wait_s:.0f} s, found nothing; start it: phantom '
                            f'doctor --work {folder.parent} --with-node')
        else:
            time.sleep(LOOK_S)


def _done(asked: dict[str, Any], folder: Path, held: dict[str, int]) -> Any:
    """Return what one request gives; an error of the system by its words."""
    path = folder / str(asked.get('name', ''))
    try:
        match asked['do']:
            case 'end':
                return 'end'
            case 'who':
                return [socket.gethostname(), time.time()]
            case 'read':
                return path.read_bytes().hex()
            case 'map':
                with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                    return bytes(mapped).hex()
            case 'list':
                return sorted(name for name in os.listdir(path) if not name.startswith('.'))
            case 'lock':
                descriptor = os.open(path, os.O_RDWR)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(descriptor)
                    return 'held'
                held[path.name] = descriptor
                return 'free'
            case 'unlock':
                os.close(held.pop(path.name))
                return 'free'
    except OSError as e:
        return f'error: {errno.errorcode.get(e.errno or 0, "?")} {e.strerror}'
    return 'error: nothing of that name to do'
