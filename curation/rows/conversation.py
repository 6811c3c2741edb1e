"""What a row says once it is read, whatever form it had, or why it says nothing that can be used."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.records import Reason, Turn

IMAGE = '<image>'


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a row says: perhaps a system turn, then alternating turns; its images, each a relative path or the bytes themselves."""

    turns: tuple[Turn, ...]
    images: tuple[str | bytes, ...]

    @property
    def n_before(self) -> int:
        """Return how many turns stand before the first question: 1 with a system turn, else 0."""
        return int(bool(self.turns) and self.turns[0].role == 'system')


class Talk(NamedTuple):
    """A conversation without its roles, which follow: perhaps a system text, then questions and answers in turn."""

    texts: list[str]
    images: Sequence[str | bytes]
    n_before: int = 0  # 1 with a system text

    @classmethod
    def of(cls, conversation: Conversation) -> 'Talk':
        """Return the talk of a conversation whose roles alternate."""
        return cls([turn.text for turn in conversation.turns], conversation.images, conversation.n_before)

    @property
    def n_pairs(self) -> int:
        """Return how many questions there are, each with its answer."""
        return (len(self.texts) - self.n_before) // 2

    def up_to(self, stop: int) -> 'Talk':
        """Return the first `stop` texts, and the images that are marked in their questions."""
        if stop == len(self.texts):
            return self
        kept = self.texts[:stop]
        marks = sum(text.count(IMAGE) for text in kept[self.n_before :: 2]) if self.images else 0
        return Talk(kept, self.images[:marks], self.n_before)

    def turns(self) -> tuple[Turn, ...]:
        """Return the texts with their roles."""
        roles = ['system', 'user', 'assistant'][1 - self.n_before :]
        return tuple(Turn(roles[i] if i < len(roles) else ('user', 'assistant')[(i - self.n_before) % 2], text) for i, text in enumerate(self.texts))


def alternates(roles: list[str]) -> bool:
    """Return whether roles are user, assistant, ..., perhaps after one system."""
    spoken = roles[1:] if roles[:1] == ['system'] else roles
    return bool(spoken) and spoken == ['user', 'assistant'] * (len(spoken) // 2)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row is no conversation."""

    reason: Reason
    detail: str


class RefusedError(ValueError):
    """A row that is refused for a reason of its own, from wherever that was found."""

    def __init__(self, reason: Reason, detail: str):
        super().__init__(detail)
        self.fault = Fault(reason, detail[:300])
