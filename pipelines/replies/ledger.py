"""What a build has spent: tokens and money folded from the stored replies it uses, each reply once, over all its processes.

A line is appended whenever a build uses a reply, stored before or just arrived; after a kill the same replies are found in
the store again, so nothing is lost and nothing counts twice.
"""

import itertools
import json
import os
import socket
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from schemas.errors import BudgetExceeded
from schemas.recipe import Budget, Model
from schemas.replies import Outcome

TOKENS_PER_PRICE = 1_000_000  # prices are money per million tokens


@dataclass(frozen=True, slots=True)
class Spend:
    """Requests, tokens and money."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: 'Spend') -> 'Spend':
        return Spend(
            self.requests + other.requests, self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens,
            self.money + other.money,
        )  # fmt: skip

    def __sub__(self, other: 'Spend') -> 'Spend':
        return self + Spend(-other.requests, -other.prompt_tokens, -other.completion_tokens, -other.money)


NOTHING = Spend()


class Ledger:
    """The spending of one build, kept under its work folder; processes see each other's lines."""

    _counter = itertools.count()

    def __init__(self, folder: str | Path, budget: Budget, models: Mapping[str, Model] | Iterable[Model] = ()):
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self.budget = budget
        listed = models.values() if isinstance(models, Mapping) else models
        self._prices = {(m.model, m.revision): (m.price_prompt, m.price_completion) for m in listed}
        self._counted: set[int] = set()
        self._totals: Counter[tuple[str, str, str]] = Counter()  # (source, model@revision, what) -> count
        self._money: defaultdict[str, float] = defaultdict(float)  # source -> money
        self._read: dict[str, int] = {}
        self._own: Path | None = None
        self._pid = os.getpid()
        self.refresh()

    def charge(self, source: str, outcomes: Iterable[Outcome]) -> None:
        """Count `outcomes`, used for `source`, unless this build has counted them before."""
        lines = []
        for outcome in outcomes:
            entry = [outcome.key[:16], source, outcome.model, outcome.revision, outcome.prompt_tokens, outcome.completion_tokens]
            if self._count(entry):
                lines.append(json.dumps(entry, ensure_ascii=False) + '\n')
        if lines:
            self._append(''.join(lines).encode())

    def spent(self) -> Spend:
        """Return the build's spending so far, as far as this process has seen."""
        what: Counter[str] = Counter()
        for (_, _, name), count in self._totals.items():
            what[name] += count
        return Spend(what['requests'], what['prompt'], what['completion'], sum(self._money.values()))

    def by_source(self) -> dict[str, Spend]:
        """Return the spending of each source."""
        counts: dict[str, Counter] = {}
        for (source, _, name), count in self._totals.items():
            counts.setdefault(source, Counter())[name] += count
        return {
            source: Spend(c['requests'], c['prompt'], c['completion'], self._money[source]) for source, c in sorted(counts.items())
        }

    def spend_of(self, outcome: Outcome) -> Spend:
        """Return the tokens and the money of one outcome, at this build's prices."""
        return Spend(1, outcome.prompt_tokens, outcome.completion_tokens, self._money_of(
            outcome.model, outcome.revision, outcome.prompt_tokens, outcome.completion_tokens))

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
                try:
                    self._count(json.loads(line))
                except ValueError:
                    continue  # spoiled by a full disk: its replies are counted again as they are used

    def _count(self, entry: list) -> bool:
        head, source, model, revision, prompt, completion = entry
        number = int(head, 16)
        if number in self._counted:
            return False
        self._counted.add(number)
        for name, count in (('requests', 1), ('prompt', prompt), ('completion', completion)):
            self._totals[source, f'{model}@{revision}', name] += count
        self._money[source] += self._money_of(model, revision, prompt, completion)
        return True

    def _money_of(self, model: str, revision: str, prompt: int, completion: int) -> float:
        price_prompt, price_completion = self._prices.get((model, revision), (0.0, 0.0))
        return (prompt * price_prompt + completion * price_completion) / TOKENS_PER_PRICE

    def _append(self, data: bytes) -> None:
        if self._own is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._own = self._create()
        with open(self._own, 'ab') as file:
            file.write(data)

    def _create(self) -> Path:
        while True:
            path = self._folder / f'{socket.gethostname()}-{os.getpid()}-{next(self._counter)}.jsonl'
            try:
                path.touch(exist_ok=False)
                return path
            except FileExistsError:
                continue
