"""What people are told. News say how the work goes, on standard error and in tables, and --quiet keeps them back; what was asked for stays."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

_hushed = False
_through: Callable[[str], None] | None = None


@contextmanager
def hushed() -> Iterator[None]:
    """Keep news back until the block ends."""
    global _hushed
    before, _hushed = _hushed, True
    try:
        yield
    finally:
        _hushed = before


def is_hushed() -> bool:
    """Return whether news are kept back."""
    return _hushed


def tell_news(text: str) -> None:
    """Print one line on how the work goes to standard error."""
    if _through is not None:
        _through(text)
    elif not _hushed:
        print(text, file=sys.stderr, flush=True)


def tell_through(teller: Callable[[str], None]) -> None:
    """Give every line of news to `teller`, in a process to which nobody looks."""
    global _through
    _through = teller


def tell_table(table: 'Table') -> None:
    """Print a table that the work brings along."""
    if not _hushed:
        print_table(table)


def print_table(table: 'Table', *, columns: int = 140) -> None:
    """Print a table that was asked for, as wide as the terminal, or `columns` where there is none."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else columns).print(table)
