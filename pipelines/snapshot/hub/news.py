"""What the Hub's client library tells while it works: its bars only on a terminal, its warnings as our news, without the signed part of addresses."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from pipelines.engine.progress import console
from schemas.telling import is_hushed, tell_news

_LIBRARY = logging.getLogger('huggingface_hub')
_SIGNED = re.compile(r'\?\S+')  # who has such an address may write there for some minutes


class _News(logging.Handler):
    """Tells each record on one line: that the Hub was asked again, that it is waited for."""

    def emit(self, record: logging.LogRecord) -> None:
        tell_news(f'push: {" ".join(_SIGNED.sub("?...", record.getMessage()).split())}')


@contextmanager
def told_by_us() -> Iterator[None]:
    """Tell what the library tells in our way until the block ends."""
    before, _LIBRARY.handlers = _LIBRARY.handlers, [_News()]
    quiet = not are_progress_bars_disabled() and (is_hushed() or not console.is_terminal)
    if quiet:
        disable_progress_bars()
    try:
        yield
    finally:
        _LIBRARY.handlers = before
        if quiet:
            enable_progress_bars()
