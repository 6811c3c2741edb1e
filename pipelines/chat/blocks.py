"""What models are asked about in a shard, a block at a time: enough calls to keep a server busy, and never more pictures than memory has room for."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from schemas.errors import NotStored, PendingWork
from schemas.replies import ChatRequest

BLOCK_CALLS = 1024  # of the slowest a server waits at the end of a block: with 64 calls in flight that is once in sixteen
BLOCK_BYTES = 128_000_000  # of pictures as they are sent; a block holds one more than that at the most
T = TypeVar('T')


def in_blocks(items: Iterable[T], requests_of: Callable[[T], Sequence[ChatRequest]]) -> Iterator[list[T]]:
    """Yield `items` in order, as many at a time as have BLOCK_CALLS requests or BLOCK_BYTES of pictures in them, read no further than that."""
    block: list[T] = []
    calls = n_bytes = 0
    for item in items:
        requests = requests_of(item)
        block.append(item)
        calls += max(1, len(requests))
        n_bytes += sum({image.digest: len(image.data) for request in requests for image in request.images}.values())
        if calls >= BLOCK_CALLS or n_bytes >= BLOCK_BYTES:
            yield block
            block, calls, n_bytes = [], 0, 0
    if block:
        yield block


class Waits:
    """Notes the blocks that wait for calls, so that those behind them are asked all the same: what comes back of them is stored."""

    def __init__(self) -> None:
        self._told: list[PendingWork] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Go on behind the block where its calls keep failing."""
        try:
            yield
        except PendingWork as e:
            self._told.append(e)

    def refuse(self) -> None:
        """Raise what the first block that waits said; of calls that were never made those of all blocks."""
        never_made = [told for told in self._told if isinstance(told, NotStored)]
        if never_made:
            raise NotStored(sum(told.n for told in never_made))
        if self._told:
            raise self._told[0]
