"""A row that is no record, and a value that nobody asked for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Malformed:
    """What was found instead of a record, or instead of a value."""

    found: str


class Unread:
    """Stands for a value that is there and was not converted; no text, no number, no list."""

    __slots__ = ()

    def __repr__(self) -> str:
        return 'not read'


UNREAD = Unread()
