"""Which look at the validation split was the best so far, and since when there was no better one. Pure functions of the run's lines."""

import math
from collections.abc import Sequence
from typing import Any

LESS_IS_BETTER = ('loss',)


def worth(line: dict[str, Any], by: str) -> float:
    """How good a look was, more being better; minus infinity where its figure is missing or not a number."""
    value = line.get(by)
    if not isinstance(value, int | float) or not math.isfinite(value):
        return -math.inf
    return -value if by in LESS_IS_BETTER else value


def best_of(lines: Sequence[dict[str, Any]], by: str) -> dict[str, Any] | None:
    """The best look, the earliest of several that are as good; None where none has a figure."""
    found = max(lines, key=lambda line: (worth(line, by), -line['step']), default=None)
    return found if found is not None and worth(found, by) > -math.inf else None


def looks_since_best(lines: Sequence[dict[str, Any]], by: str) -> int:
    """How many looks came after the best one."""
    best = best_of(lines, by)
    return len(lines) if best is None else sum(line['step'] > best['step'] for line in lines)
