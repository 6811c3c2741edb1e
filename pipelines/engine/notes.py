"""What each thread of a worker process works on, such as a picture, noted where the build's process finds it when the worker has died.

The notes lie in memory that both share, so they outlive a worker that was killed without warning. Elsewhere nothing is noted.
"""

import mmap
import os
import tempfile
from collections.abc import Callable
from typing import TypeVar

T = TypeVar('T')
SLOTS = 64  # threads that can note something at once
SLOT = 256  # bytes of a note
_memory: mmap.mmap | None = None
_free: list[int] = []  # slots; a thread takes the last and gives it back: one step each, so no lock is needed


def open_notes() -> int:
    """Return the descriptor of new shared memory for one worker's notes."""
    if hasattr(os, 'memfd_create'):
        descriptor = os.memfd_create('notes')
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.write(descriptor, bytes(SLOTS * SLOT))  # room for all of it is taken now: where there is none later, a note would be a SIGBUS
    return descriptor


def keep_notes(descriptor: int) -> None:
    """Note in this memory from now on what this process works on."""
    global _memory
    _memory = mmap.mmap(descriptor, SLOTS * SLOT)
    _free[:] = range(SLOTS)


def read_notes(descriptor: int) -> list[str]:
    """Return what the worker was working on."""
    data = os.pread(descriptor, SLOTS * SLOT, 0)
    notes = [data[start : start + SLOT].rstrip(b'\0').decode(errors='replace') for start in range(0, len(data), SLOT)]
    return sorted(note for note in notes if note)


def noted(work: Callable[[str], T]) -> Callable[[str], T]:
    """Return a function that does `work` on a name, which is noted meanwhile."""

    def working(name: str) -> T:
        if _memory is None or not _free:
            return work(name)
        slot = _free.pop()
        _memory[slot * SLOT : (slot + 1) * SLOT] = name.encode(errors='replace')[:SLOT].ljust(SLOT, b'\0')
        try:
            return work(name)
        finally:
            _memory[slot * SLOT : (slot + 1) * SLOT] = bytes(SLOT)
            _free.append(slot)

    return working
