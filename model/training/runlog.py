"""What a training run says: one JSONL record a step, one a look at the validation split; for people a line on a terminal, or every N steps."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from model.training.trackers import TRACKERS, Generation, Tracker
from schemas.publish import publish_bytes
from schemas.refusals import refused
from schemas.telling import is_hushed, is_json, length_of, tell_news


class RunLog:
    """`log.jsonl`, `drops.jsonl` and, with `looks`, `validation.jsonl` of a run; records after `step` are cut: a resumed run has each step once."""

    def __init__(
        self,
        out: Path,
        *,
        step: int,
        max_steps: int,
        quiet: bool = False,
        writes: bool = True,
        trackers: tuple[str, ...] = (),
        looks: bool = False,
        tell_every: int = 0,
    ):
        self.max_steps = max_steps
        self.quiet = quiet or not writes
        self.live = sys.stderr.isatty() and not (self.quiet or is_hushed() or is_json())
        self.tell_every = 0 if self.live or self.quiet else tell_every
        self.began = step, time.monotonic()
        self.files: dict[str, TextIO] = {}
        self.trackers: list[Tracker] = []
        self.out = out
        if writes:  # one process of a run writes
            with self._explained():
                out.mkdir(parents=True, exist_ok=True)
                self.trackers = [TRACKERS[name](out, step) for name in trackers]
                looked = looks or (out / 'validation.jsonl').is_file()  # looks of steps that are gone go, too, while nobody looks
                names = ('log', 'drops', 'validation') if looked else ('log', 'drops')
                self.files = {name: open_after(out / f'{name}.jsonl', step) for name in names}

    def say(self, text: str) -> None:
        """One line for people, on a terminal or not."""
        if not self.quiet:
            print(text, flush=True)

    def tell(self, text: str) -> None:
        """One line on how the run goes, which --quiet keeps back."""
        if not is_hushed():
            self.say(text)

    def step(self, record: dict[str, Any]) -> None:
        """Stores a step's record and shows it on the progress line."""
        self._write('log', record)
        numbers = {name: value for name, value in record.items() if name != 'step' and value is not None}
        for tracker in self.trackers:
            tracker.step(numbers, record['step'])
        if self.live:
            shown = ' '.join(f'{name} {record[name]:.4g}' for name in SHOWN if record.get(name) is not None)
            end = '\n' if record['step'] == self.max_steps else ''
            print(f'\r\x1b[Kstep {record["step"]}/{self.max_steps} {shown}', end=end, file=sys.stderr, flush=True)
        elif self.tell_every and (record['step'] % self.tell_every == 0 or record['step'] == self.max_steps):
            self._tell_step(record)

    def _tell_step(self, record: dict[str, Any]) -> None:
        step, (before, at) = record['step'], self.began
        left_s = (self.max_steps - step) * (time.monotonic() - at) / (step - before)
        shown = ', '.join(f'{name} {record[name]:.4g}' for name in SHOWN if record.get(name) is not None)
        told = f'step {step} of {self.max_steps}: {shown}; about {length_of(left_s)} left'
        tell_news(told, 'train', **record, max_steps=self.max_steps, left_s=left_s)

    def drop(self, record: dict[str, Any]) -> None:
        """Stores one row that was left out."""
        self._write('drops', record)

    def look(self, line: dict[str, Any], shown: Sequence[tuple[Generation, Sequence[bytes]]]) -> None:
        """Stores a look at the validation split, and gives the replies with their pictures to the trackers."""
        self._write('validation', line)
        for tracker in self.trackers:
            tracker.look(shown, line['step'])

    def read_looks(self) -> list[dict[str, Any]]:
        """The looks of the run so far, on the process that writes."""
        if 'validation' not in self.files:
            return []
        return [json.loads(line) for line in (self.out / 'validation.jsonl').read_text('utf-8').splitlines()]

    def close(self) -> None:
        """Closes the files."""
        for open_thing in (*self.files.values(), *self.trackers):
            open_thing.close()

    def _write(self, name: str, record: dict[str, Any]) -> None:
        if self.files:
            with self._explained():
                self.files[name].write(json.dumps(record) + '\n')
                self.files[name].flush()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            raise refused(e, self.out) from e


SHOWN = ('loss', 'sft', 'po', 'margin', 'accuracy', 'val_loss', 'val_exact_match', 'rows_per_s', 'lr')


def open_after(path: Path, step: int) -> TextIO:
    """The file opened for appending, with the records up to `step` kept and a torn last line removed."""
    kept = []
    for line in path.read_text('utf-8').splitlines() if path.is_file() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue  # the line a kill tore in two
        if isinstance(record, dict) and type(record.get('step')) is int and record['step'] <= step:
            kept.append(line + '\n')
    publish_bytes(path, ''.join(kept).encode())
    return open(path, 'a', encoding='utf-8')
