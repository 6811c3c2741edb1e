"""How often Python looks for objects that only refer to each other."""

import gc

AFTER = 10_000  # new objects; Python's own 700 took 4 % of a worker's time, most of it while modules were imported, and freed next to nothing


def collect_rarely() -> None:
    """Have the garbage collector look after AFTER new objects; what nobody refers to is freed at once as ever."""
    gc.set_threshold(AFTER)
