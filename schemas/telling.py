"""What people are told. News say how the work goes, on standard error and in tables, and --quiet keeps them back; what was asked for stays.

With --log-json a programme is told instead: each line of standard error is then a JSON object (docs/json.md).
"""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from schemas.json_text import json_line, strict

if TYPE_CHECKING:
    from rich.table import Table

_hushed = False
_through: Callable[[str], None] | None = None
_as_json = False


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


def tell_news(text: str, event: str = 'news', **facts: Any) -> None:
    """Print one line on how the work goes to standard error; a programme is told the facts of an `event` by name, too."""
    if _through is not None:
        _through(text)
    elif not _hushed:
        print(_line(event, text, **facts) if _as_json else text, file=sys.stderr, flush=True)


def tell_end(text: str, code: int) -> None:
    """Print why a programme ends before its work is done, whoever wants to hear of it."""
    print(_line('end', text, code=code) if _as_json else text, file=sys.stderr, flush=True)


def tell_json() -> None:
    """Print news, warnings and the end as JSON lines from now on: what ends a programme is told after its verb is left."""
    global _as_json
    _as_json = True
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Logged())


def tell_plain() -> None:
    """Print them as text from now on."""
    global _as_json
    if _as_json:
        _as_json = False
        for handler in logging.getLogger().handlers:
            handler.setFormatter(None)


def is_json() -> bool:
    """Return whether a programme is told."""
    return _as_json


class _Logged(logging.Formatter):
    """A line of the log as an event."""

    def format(self, record: logging.LogRecord) -> str:
        return _line('log', super().format(record), level=record.levelname, logger=record.name)


def _line(event: str, text: str, **facts: Any) -> str:
    at = datetime.now(UTC).isoformat(timespec='milliseconds').replace('+00:00', 'Z')
    return json_line(strict({'at': at, 'event': event, 'text': text, **facts})).rstrip('\n')


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


def length_of(seconds: float) -> str:
    """Return a length of time as people say it, in its largest unit, or two."""
    if seconds < 90:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 90 else f'{minutes // 60} h {minutes % 60} min'
