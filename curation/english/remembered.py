"""What was found out about a text, remembered: rules look at one answer from many sides, and at the answers of a closed set again and again."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

T = TypeVar('T')
SHORT_CHARS = 200  # longer texts hardly come again once their sample is done, and would fill the memory
SHORT, LONG = 16_384, 64  # texts that are remembered: of four sources whole pools, in some 10 MB for each function


def remembered(function: Callable[[str], T]) -> Callable[[str], T]:
    """Return a function of a text, of no side effects, that is not worked out twice in a row; what it returns must not be changed."""
    of_short, of_long = lru_cache(SHORT)(function), lru_cache(LONG)(function)

    @wraps(function)
    def remembering(text: str) -> T:
        return of_short(text) if len(text) <= SHORT_CHARS else of_long(text)

    return remembering


def lacks(text: str, *words: str) -> bool:
    """Return whether a text surely holds none of some words, in ASCII and lower case, in whatever case: what it costs is nothing beside a pattern.

    Other characters than ASCII's may be equal to one of its letters where case does not count, such as the long s.
    """
    if not text.isascii():
        return False
    low = text.lower()
    return not any(word in low for word in words)
