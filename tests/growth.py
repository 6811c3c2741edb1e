"""How the time of a call grows with its input: by ratio, never by speed."""

import gc
import time
from collections.abc import Callable


def least_seconds(call: Callable[[], object], times: int = 3) -> float:
    """Return the processor time of the quickest of some calls; the collector of garbage, whose time hangs on what other tests left, waits."""
    gc.collect()
    gc.disable()
    try:
        return min(_seconds(call) for _ in range(times))
    finally:
        gc.enable()


def assert_in_proportion(read: Callable[[str], object], piece: str, start: str = '', end: str = '') -> None:
    """Assert that 20,000 characters of pieces take far less than sixteen times as long as 5,000: what grows with the square takes that."""
    texts = [start + (piece * n)[:n] + end for n in (20_000, 5_000)]
    long, short = (least_seconds(lambda text=text: read(text)) for text in texts)
    assert long < 8 * short + 0.3, f'{long:.3f} s for 20,000 characters, {short:.3f} s for 5,000'


def _seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started
