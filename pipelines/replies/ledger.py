"""What a build has spent: tokens and money of the replies it uses, each once, and of the posts that brought none, over all its processes.

A line is appended whenever a build uses a reply, stored before or just arrived; after a kill the same replies are found in the store again, so
nothing is lost and nothing counts twice. A failure that will be asked again is in no store: its line is all that is known of what it cost. It
is written as soon as the failure is heard of, and has a name of its own, so that one line is never counted twice and two posts always are.

Each line ends with a check sum: one that a disk damaged is passed over, and the reply that it told of is counted when it is used again.
"""

import itertools
import json
import os
import re
import socket
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from schemas.errors import BudgetExceeded
from schemas.publish import make_folder, sync_names
from schemas.recipe import Budget, Model
from schemas.refusals import refused
from schemas.replies import Failure, Outcome

TOKENS_PER_PRICE = 1_000_000  # prices are money per million tokens
# Refused at the door, by the names of HTTP (RFC 9110, 6585): no model has worked. A 400 is not among them: Azure bills one that its content
# filter gave, and a 408 (learn.microsoft.com, "Plan to manage costs for Azure OpenAI"); behind a 5xx a model may have worked, too.
FREE_STATUS = frozenset({401, 402, 403, 404, 405, 407, 413, 415, 421, 426, 429, 431})
# What our backends say where nobody took the request: httpx's exceptions before a connection stands, no server left, a batch that is awaited,
# an engine in this process that broke.
UNSENT = re.compile(
    r'(ConnectError|ConnectTimeout|ProxyError|UnsupportedProtocol)\b|no server answered|(the )?answers to |batch |the engine failed'
)
FREE_KINDS = frozenset({'awaited', 'batch'})  # of failures: the answer is on its way; a whole file of requests was not taken
AGAIN, TRY = 'again', 'try'  # how the names of lines begin: a reply that was paid for once more; a post that brought none


@dataclass(frozen=True, slots=True)
class Spend:
    """Requests, tokens and money."""

    requests: int = 0  # posts: one for each reply, and the tries
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0
    tries: int = 0  # of the requests those that brought no reply and were, or will be, made again
    counted_tokens: int = 0  # of the tokens those that we counted, since the server told none

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: 'Spend') -> 'Spend':
        return Spend(
            self.requests + other.requests, self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens,
            self.money + other.money, self.tries + other.tries, self.counted_tokens + other.counted_tokens,
        )  # fmt: skip

    def __sub__(self, other: 'Spend') -> 'Spend':
        return self + Spend(
            -other.requests, -other.prompt_tokens, -other.completion_tokens, -other.money, -other.tries, -other.counted_tokens
        )  # fmt: skip


NOTHING = Spend()
HEAD = 16  # digits of a key that name it in a line
NEW_FIELDS = ['', '', '']  # how the tokens were counted, the name of a line, and the step that asked: lines of before lack some
NAME = 7  # which field is the name of a line
N_FIELDS = 9
N_FIELDS_BEFORE = 8  # of lines with a check sum
LINE_START = re.compile(rb'\["[0-9a-f]{16}",')  # none stands within a line: JSON escapes the quotes of texts


class Ledger:
    """The spending of one build, kept under its work folder; processes see each other's lines."""

    _counter = itertools.count()

    def __init__(self, folder: str | Path, budget: Budget, models: Mapping[str, Model] | Iterable[Model] = ()):
        self._folder = Path(folder)
        make_folder(self._folder)
        self.budget = budget
        self.step = ''  # the step for which is charged
        listed = models.values() if isinstance(models, Mapping) else models
        self._prices = {(m.model, m.revision): (m.price_prompt, m.price_completion) for m in listed}
        self._counted: set[int] = set()  # 64 bits each of keys and of the names of lines
        self._spent = Spend()
        self._by_source: dict[str, Spend] = {}
        self._by_step: dict[tuple[str, str, str], Spend] = {}
        self._read: dict[str, int] = {}
        self._own: Path | None = None
        self._pid = os.getpid()
        self.refresh()

    def charge(self, source: str, outcomes: Iterable[Outcome]) -> None:
        """Count `outcomes`, found in the store and used for `source`, unless this build has counted them before."""
        self._add([self._entry(source, outcome) for outcome in outcomes if not self._has(outcome)])

    def charge_asked(self, source: str, outcomes: Iterable[Outcome]) -> None:
        """Count `outcomes` that were just asked for: one that this build has counted before was forgotten since, and is paid for again."""
        entries = [self._entry(source, o, AGAIN if self._has(o) else '') for o in outcomes]
        self._add(entries, sync=any(entry[NAME] for entry in entries))

    def charge_tries(self, source: str, outcomes: Iterable[Outcome]) -> None:
        """Count posts that brought nothing to be kept, whatever comes of the call; those that surely cost nothing are not counted."""
        self._add([self._entry(source, outcome, TRY) for outcome in outcomes if not cost_nothing(outcome)], sync=True)

    def spent(self) -> Spend:
        """Return the build's spending so far, as far as this process has seen."""
        return self._spent

    def by_source(self) -> dict[str, Spend]:
        """Return the spending of each source."""
        return dict(sorted(self._by_source.items()))

    def by_step(self) -> dict[tuple[str, str, str], Spend]:
        """Return the spending of each (step, model, revision); '' stands for the step of lines that do not say it."""
        return dict(sorted(self._by_step.items()))

    def spend_of(self, outcome: Outcome) -> Spend:
        """Return what one outcome cost, at this build's prices."""
        return self._spend(self._entry('', outcome))

    def fault(self, in_flight: int = 0, arrived: Spend = NOTHING) -> str:
        """Return what is spent if one more request may not be sent; '' while there is room.

        `in_flight` requests are not charged yet; `arrived` is what those of them cost that are back.
        """
        spent, budget = self.spent() + replace(arrived, requests=0), self.budget
        limits = (
            ('requests', spent.requests + in_flight, budget.requests),
            ('tokens', spent.tokens, budget.tokens),
            ('money', spent.money, budget.money),
        )
        over = [f'{name}: {used:g} of {limit:g}' for name, used, limit in limits if limit is not None and used >= limit]
        return ', '.join(over)

    def stop(self, fault: str, *, missing: int) -> BudgetExceeded:
        """Return the error that ends a build whose budget is spent."""
        return BudgetExceeded(
            f'budget: expected to stay within it, found spent {fault} with at least {missing} requests still to ask; every reply '
            'is stored, so raise `budget:` in the recipe and run the same command again'
        )

    def refresh(self) -> None:
        """Read the lines that other processes of this build have appended."""
        for path in sorted(self._folder.glob('*.jsonl')):
            if path != self._own:
                self._read_lines(path)

    def _read_lines(self, path: Path) -> None:
        with open(path, 'rb') as file:
            file.seek(self._read.get(path.name, 0))
            for line in file:
                if not line.endswith(b'\n'):
                    return  # still being written, or torn by a kill
                self._read[path.name] = self._read.get(path.name, 0) + len(line)
                for start in LINE_START.finditer(line):  # several, where the end of one was lost
                    if (entry := _read_entry(line[start.start():])) is not None:
                        self._count(entry)

    def _has(self, outcome: Outcome) -> bool:
        return int(outcome.key[:HEAD], 16) in self._counted

    def _add(self, entries: list[list], *, sync: bool = False) -> None:
        lines = [_line(entry) for entry in entries if self._count(entry)]
        if lines:
            self._append(''.join(lines).encode(), sync=sync)

    def _count(self, entry: list) -> bool:
        head, source, model, revision, *_, name, step = entry
        number = int((name or head)[-HEAD:], 16)
        if number in self._counted:
            return False
        spend = self._spend(entry)
        self._counted.add(number)
        self._spent += spend
        self._by_source[source] = self._by_source.get(source, NOTHING) + spend
        self._by_step[step, model, revision] = self._by_step.get((step, model, revision), NOTHING) + spend
        return True

    def _spend(self, entry: list) -> Spend:
        _, _, model, revision, prompt, completion, counted, name, _ = entry
        price_prompt, price_completion = self._prices.get((model, revision), (0.0, 0.0))
        money = (prompt * price_prompt + completion * price_completion) / TOKENS_PER_PRICE
        return Spend(1, prompt, completion, money, int(name.startswith(TRY)), prompt + completion if counted else 0)

    def _entry(self, source: str, outcome: Outcome, name: str = '') -> list:
        """Return the line of an outcome; what is counted by post and not by key gets a name that no other line has."""
        about = (outcome.model, outcome.revision, outcome.prompt_tokens, outcome.completion_tokens, outcome.counted)
        return [outcome.key[:HEAD], source, *about, f'{name}-{os.urandom(8).hex()}' if name else '', self.step]

    def _append(self, data: bytes, *, sync: bool) -> None:
        if self._own is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._own = self._create()
        with open(self._own, 'ab', buffering=0) as file:
            start = file.tell()
            try:
                view = memoryview(data)
                while view:
                    view = view[file.write(view):]
                if sync:  # nothing else tells of what has a name of its own; what was paid for replies is found in the store again
                    os.fdatasync(file.fileno())
            except OSError as e:
                file.truncate(start)  # a torn line would spoil the next one
                raise refused(e, self._own) from e

    def _create(self) -> Path:
        while True:
            path = self._folder / f'{socket.gethostname()}-{os.getpid()}-{next(self._counter)}.jsonl'
            try:
                path.touch(exist_ok=False)
                sync_names(self._folder)
                return path
            except FileExistsError:
                continue


def cost_nothing(outcome: Outcome) -> bool:
    """Return whether a call that failed was surely not billed: nobody took it, or it was refused before a model worked, and no usage was told."""
    if not isinstance(outcome, Failure) or outcome.prompt_tokens or outcome.completion_tokens:
        return False
    return outcome.status in FREE_STATUS or outcome.kind in FREE_KINDS or (not outcome.status and UNSENT.match(outcome.detail) is not None)


def _line(entry: list) -> str:
    text = json.dumps(entry, ensure_ascii=False)
    return f'{text[:-1]}, "{zlib.crc32(text.encode()):08x}"]\n'


def _read_entry(line: bytes) -> list | None:
    """Return what a line says, None for a damaged one; lines of earlier versions have no check sum."""
    try:
        *entry, said = json.loads(line)
        if len(entry) in (N_FIELDS, N_FIELDS_BEFORE):
            return [*entry, *NEW_FIELDS[: N_FIELDS - len(entry)]] if _line(entry).encode() == line else None
        entry = [*entry, said]
        entry += NEW_FIELDS[len(entry) - N_FIELDS:] if len(entry) < N_FIELDS else []
        texts, tokens = [*entry[:4], *entry[6:]], entry[4:6]
        int((entry[NAME] or entry[0])[-HEAD:], 16)
        return entry if len(entry) == N_FIELDS and all(isinstance(of, str) for of in texts) and all(type(n) is int for n in tokens) else None
    except (ValueError, TypeError):
        return None
