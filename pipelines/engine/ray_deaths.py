"""What is said of workers of a Ray cluster that died: what they were making, how they ended as far as that is known, and what to do."""

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.engine.notes import SLOT, SLOTS, read_notes
from pipelines.engine.ray_worker import CALL_BYTES, NOTES, STACK

FATAL = 'Fatal Python error: '
OUT_OF_MEMORY = "Ray's memory monitor (no memory was left on its node)"
NODE = 'the end of its node'
UNKNOWN = 'SIGKILL, or itself'
ADVICE = {
    OUT_OF_MEMORY: 'give the nodes more memory, or fewer CPUs (ray start --num-cpus), so that fewer shards are made there at once',
    NODE: 'see why its node went',
    UNKNOWN: "out of memory? See the kernel's log on its node, and Ray's in /tmp/ray/session_latest/logs there",
}
MOST_SAID = 600  # characters of what Ray says of itself
NATIVE = 'a library failed on what it was given: look for a damaged file in this shard; {log} holds the stack'


@dataclass
class Ends:
    """How the workers ended that tried to make a shard, and what of it the last of them worked on."""

    hows: list[str] = field(default_factory=list)
    at: str = ''
    advice: dict[str, None] = field(default_factory=dict)  # in the order in which it came up

    @property
    def n(self) -> int:
        """Return how many they were."""
        return len(self.hows)

    def note(self, kind: str, run: Path, call: str, log: Path) -> None:
        """Note one more: its end as Ray tells it, the folder of the run, the call that it was at; the stack that it may have left goes to `log`."""
        how, advice = kind, ADVICE[kind]
        with suppress(OSError):
            if (notes := _notes_of(run, call)) is not None:
                self.at = ' and '.join(_noted(notes)) or self.at
                if (stack := notes.with_suffix(STACK).read_text('utf-8', 'replace')) and kind == UNKNOWN:
                    how, advice = stack.partition('\n')[0].removeprefix(FATAL), NATIVE.format(log=log)
                    with open(log, 'a', encoding='utf-8') as file:
                        file.write(stack)
        self.hows.append(how)
        self.advice[advice] = None


def explain_ends(making: str, ends: Ends) -> str:
    """Return one line on a shard whose workers ended again and again, with what to do."""
    at = f', at {ends.at}' if ends.at else ''
    hows = ' and '.join(dict.fromkeys(ends.hows))
    return (f'{making}{at}: the {ends.n} worker processes that tried to make it, one after the other, were ended by {hows}: '
            f'{"; ".join(ends.advice)}; finished shards are kept, run the same command again to go on')


def one_line(error: Exception) -> str:
    """Return what Ray says, shortened to a line."""
    return ' '.join(str(error).split())[:MOST_SAID]


def _notes_of(run: Path, call: str) -> Path | None:
    """Return the notes of the worker that was at a call."""
    for path in run.glob(f'*{NOTES}'):
        with open(path, 'rb') as file:
            file.seek(SLOTS * SLOT)
            if file.read(CALL_BYTES).rstrip(b'\0') == call.encode():
                return path
    return None


def _noted(notes: Path) -> list[str]:
    descriptor = os.open(notes, os.O_RDONLY)
    try:
        return read_notes(descriptor)
    finally:
        os.close(descriptor)
