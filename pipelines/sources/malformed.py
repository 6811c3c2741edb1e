"""A row that is no record, a value that nobody asked for, and a file that is no good."""

from dataclasses import dataclass

MAX_RECORD_BYTES = 64_000_000  # a record beyond is not data but an accident or an attack


class Damaged(ValueError):
    """A file that cannot be read: says what was found in it."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """What was found instead of a record, or instead of a value."""

    found: str


class Unread:
    """Stands for a value that is there and was not converted; no text, no number, no list."""

    __slots__ = ()

    def __repr__(self) -> str:
        return 'not read'

    def __reduce__(self) -> str:
        return 'UNREAD'  # there is one, also where rows come from another process


UNREAD = Unread()
