"""What `phantom replies` does with a store, by the names that it takes; a module of its own, which imports nothing heavy."""

from enum import StrEnum


class Action(StrEnum):
    """One of them; `tend` says how."""

    STATS = 'stats'
    COMPACT = 'compact'
    VERIFY = 'verify'
    FORGET = 'forget'
