"""What a row says once it is read, whatever form it had, or why it says nothing that can be used."""

from dataclasses import dataclass

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
