"""A row that is no record."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Malformed:
    """What was found instead of a record."""

    found: str
