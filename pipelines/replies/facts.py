"""What a stored outcome is, without what it says: enough to count and to choose by, read from few columns."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import NamedTuple

from schemas.replies import Failure, Outcome

REPLY = 'reply'  # the kind of an outcome that is no failure


@dataclass(frozen=True, slots=True)
class Fact:
    """One stored outcome: a reply, or the kind of its failure."""

    key: str
    kind: str
    model: str
    revision: str
    served_by: str
    prompt_tokens: int
    completion_tokens: int


FACT_COLUMNS = ('outcome', *(field.name for field in fields(Fact)))


def fact_of(outcome: Outcome) -> Fact:
    """Return what an outcome is."""
    kind = outcome.kind if isinstance(outcome, Failure) else REPLY
    return Fact(outcome.key, kind, outcome.model, outcome.revision, outcome.served_by, outcome.prompt_tokens, outcome.completion_tokens)


def fact_of_row(row: dict) -> Fact:
    """Return what a row of a pack is; columns that packs of before lack are empty."""
    kind = row['kind'] if row['outcome'] == 'failure' else REPLY
    return Fact(
        row['key'], kind, row['model'], row['revision'], row.get('served_by') or '', row['prompt_tokens'] or 0, row['completion_tokens'] or 0
    )


@dataclass(frozen=True, slots=True)
class Meant:
    """Which outcomes are meant: those that are all of what is said."""

    failures: bool = False
    model: str | None = None
    revision: str | None = None
    kind: str | None = None

    @property
    def anything(self) -> bool:
        """Return whether it says which."""
        return self.failures or any(said is not None for said in (self.model, self.revision, self.kind))

    def holds(self, fact: Fact) -> bool:
        """Return whether an outcome is one of those."""
        asked = ((self.model, fact.model), (self.revision, fact.revision), (self.kind, fact.kind))
        return not (self.failures and fact.kind == REPLY) and all(said is None or said == found for said, found in asked)


class Alike(NamedTuple):
    """What outcomes have in common that are counted together."""

    model: str
    revision: str
    kind: str
    served_by: str


@dataclass(slots=True)
class Sum:
    """How many outcomes, and what they cost."""

    n: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, fact: Fact) -> None:
        """Count one more."""
        self.n += 1
        self.prompt_tokens += fact.prompt_tokens
        self.completion_tokens += fact.completion_tokens


def sums(facts: Iterable[Fact]) -> dict[Alike, Sum]:
    """Return how many outcomes there are of each model, revision, kind and server."""
    found: dict[Alike, Sum] = {}
    for fact in facts:
        found.setdefault(Alike(fact.model, fact.revision, fact.kind, fact.served_by), Sum()).add(fact)
    return dict(sorted(found.items()))


def kinds(counted: dict[Alike, Sum]) -> Counter[str]:
    """Return how many outcomes there are of each kind."""
    found: Counter[str] = Counter()
    for alike, some in counted.items():
        found[alike.kind] += some.n
    return found
