"""Files looked at one after the other, or many at once where the disk lets one wait: a network disk answers in milliseconds, a near one in none.

Threads are no gain in themselves: the other cores have processes of their own, and handing the interpreter over costs more than a small picture.
"""

import resource
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TypeVar

T = TypeVar('T')
R = TypeVar('R')
PROBED = 16  # items after which the disk is known
_THREAD = getattr(resource, 'RUSAGE_THREAD', None)  # Linux can tell one thread's from all


def waits() -> int:
    """Return how often this thread has slept so far, for a disk or a network; 0 where the system does not tell."""
    return resource.getrusage(_THREAD).ru_nvcsw if _THREAD is not None else 0


def each(work: Callable[[T], R], items: Sequence[T], threads: int, at_once: int = 1) -> Iterator[R]:
    """Yield what `work` makes of every item, in order: on so many threads, `at_once` to a task, if the first items made this one wait."""
    before = waits()
    yield from map(work, items[:PROBED])
    rest = items[PROBED:]
    if waits() - before < len(items[:PROBED]):
        yield from map(work, rest)
    else:
        runs = [rest[at : at + at_once] for at in range(0, len(rest), at_once)]
        with ThreadPoolExecutor(threads) as pool:
            yield from chain.from_iterable(pool.map(partial(_run, work), runs))


def _run(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    return [work(item) for item in items]
