"""Near-duplicate stars: each picture stands for itself or belongs to a survivor that is near to it. No chains."""

import numpy as np
from numpy.typing import NDArray


def stars(
    n: int, i: NDArray[np.int64], j: NDArray[np.int64], distance: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return (survivor int64[n], distance int32[n]) of `n` items numbered in total order, best first.

    Pairs (i, j, distance) are the near ones, in any order and either way round, listed once or more. In total order,
    each item becomes a survivor unless an earlier survivor is near; then it joins the nearest of those, the earlier of
    two equally near. A survivor is its own, at distance 0. Shuffling the pairs changes nothing.
    """
    assert ((i != j) & (i >= 0) & (j >= 0) & (i < n) & (j < n)).all(), f'pairs must join two of the {n} items'
    better, worse = np.minimum(i, j), np.maximum(i, j)
    order = np.lexsort((better, distance, worse))
    better, worse, distance = better[order], worse[order], np.asarray(distance)[order]
    survivor, to_survivor = np.arange(n), np.zeros(n, np.int32)
    stands = np.ones(n, bool)
    members, starts = np.unique(worse, return_index=True)
    stops = np.append(starts, len(worse))[1:]
    for member, start, stop in zip(members.tolist(), starts.tolist(), stops.tolist(), strict=True):
        near = stands[better[start:stop]]
        nearest = start + int(near.argmax())
        if near[nearest - start]:
            stands[member] = False
            survivor[member], to_survivor[member] = better[nearest], distance[nearest]
    return survivor, to_survivor
