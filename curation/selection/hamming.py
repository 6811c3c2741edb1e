"""Every pair of 64-bit hashes within a Hamming distance, exactly, from an index that workers memory-map.

Multi-index hashing. The 64 bits are dealt out to three bands (bit k to band k mod 3, so that the correlated low
frequencies of a perceptual hash are spread). If two hashes differ in at most d bits, then in some band b they differ in
at most t_b bits, for any t with sum(t_b + 1) > d. So each hash looks up, in each band, its own key and every key within
t_b bits of it, and only those candidates are compared in full. d = 7 gives t = (1, 2, 2): 487 look-ups a hash.

Equal hashes are collapsed first: the join works on the distinct ones, called codes. Memory is bounded by CANDIDATES,
however full one bucket is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

N_BANDS = 3
BAND_BITS = (22, 21, 21)  # bits k of 64 with k mod 3 = 0, 1, 2
BAND_MASKS = tuple(np.uint64(sum(1 << k for k in range(b, 64, N_BANDS))) for b in range(N_BANDS))
MAX_DISTANCE = 12  # as the recipe allows. 7 bits: 487 look-ups a hash; 12: 10,903; 16: 64,901, where comparing everything is as quick
QUERIES = 1 << 16  # hashes looked up at a time
CANDIDATES = 1 << 21  # pairs compared at a time, about 100 MB of temporaries
WIDE = 1 << 12  # codes in one bucket; a query compares with so many by one slice: 57 s became 14 s for a 100k bucket
FILES = ('codes', 'code_of_row') + tuple(f'{name}{b}' for b in range(N_BANDS) for name in ('order', 'banded', 'starts'))


@dataclass(frozen=True, slots=True)
class Matches:
    """Pairs of numbers and their distance: `i` int64[P], `j` int64[P], `distance` uint8[P]."""

    i: NDArray[np.int64]
    j: NDArray[np.int64]
    distance: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Band:
    """The codes in order of one band's key: code numbers uint32[U], codes uint64[U], where a key starts uint32."""

    order: NDArray[np.uint32]
    banded: NDArray[np.uint64]
    starts: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class HammingIndex:
    """The distinct hashes in ascending order (`codes` uint64[U]) and the code of each row (`code_of_row` uint32[N])."""

    codes: NDArray[np.uint64]
    code_of_row: NDArray[np.uint32]
    bands: tuple[Band, ...]


def build_index(hashes: NDArray[np.uint64], out: Path) -> HammingIndex:
    """Return the index of `hashes` uint64[N], written as .npy files into the folder `out` and opened from there."""
    out.mkdir(parents=True, exist_ok=True)
    codes, code_of_row = np.unique(np.ascontiguousarray(hashes, np.uint64), return_inverse=True)
    np.save(out / 'codes.npy', codes)
    np.save(out / 'code_of_row.npy', code_of_row.astype(np.uint32))
    del code_of_row
    for b in range(N_BANDS):
        keys = band_keys(codes, b)
        order = np.argsort(keys, kind='stable').astype(np.uint32)
        counts = np.bincount(keys, minlength=1 << BAND_BITS[b])
        np.save(out / f'order{b}.npy', order)
        np.save(out / f'banded{b}.npy', codes[order])
        np.save(out / f'starts{b}.npy', np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32))
    return open_index(out)


def open_index(folder: Path) -> HammingIndex:
    """Return the index in `folder`, memory-mapped: many processes on one machine share its pages."""
    parts = {name: np.load(folder / f'{name}.npy', mmap_mode='r') for name in FILES}
    bands = tuple(Band(parts[f'order{b}'], parts[f'banded{b}'], parts[f'starts{b}']) for b in range(N_BANDS))
    return HammingIndex(parts['codes'], parts['code_of_row'], bands)


def pairs_within(index: HammingIndex, block: slice, max_distance: int) -> Matches:
    """Return pairs of code numbers i < j within `max_distance`, as found by one query block.

    Blocks that partition `slice(0, len(index.codes))` find each pair exactly once between them; which block finds it is
    not defined (a block is a range of each band's own order, which keeps look-ups local). Pairs of rows with the same
    code are not listed: `code_of_row` says them.
    """
    return _gather(iter_pairs(index, block, max_distance))


def iter_pairs(index: HammingIndex, block: slice, max_distance: int) -> Iterator[Matches]:
    """Yield `pairs_within` in batches that come from at most CANDIDATES comparisons each."""
    lo, hi, _ = block.indices(len(index.codes))
    for b, spread in enumerate(band_spreads(max_distance)):
        band = index.bands[b]
        for start in range(lo, hi, QUERIES):
            at = np.arange(start, min(start + QUERIES, hi))
            for q, found, distance in _search(band, b, band.banded[at], spread, max_distance, own=at):
                x, y = band.order[at[q]].astype(np.int64), band.order[found].astype(np.int64)
                yield Matches(np.minimum(x, y), np.maximum(x, y), distance)


def matches_within(index: HammingIndex, queries: NDArray[np.uint64], max_distance: int) -> Matches:
    """Return (i: number of the query, j: code number, distance) for each query of uint64[M] and each code near it."""
    return _gather(iter_matches(index, queries, max_distance))


def iter_matches(index: HammingIndex, queries: NDArray[np.uint64], max_distance: int) -> Iterator[Matches]:
    """Yield `matches_within` in batches that come from at most CANDIDATES comparisons each."""
    queries = np.ascontiguousarray(queries, np.uint64)
    for b, spread in enumerate(band_spreads(max_distance)):
        band = index.bands[b]
        order = np.argsort(band_keys(queries, b), kind='stable')
        for start in range(0, len(order), QUERIES):
            at = order[start : start + QUERIES]
            for q, found, distance in _search(band, b, queries[at], spread, max_distance):
                yield Matches(at[q], band.order[found].astype(np.int64), distance)


def rows_by_code(index: HammingIndex) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (rows int64[N], starts int64[U + 1]): the rows of code c, ascending, are rows[starts[c]:starts[c + 1]]."""
    counts = np.bincount(index.code_of_row, minlength=len(index.codes))
    return np.argsort(index.code_of_row, kind='stable'), np.concatenate([[0], np.cumsum(counts)])


def distance256(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Return the Hamming distances uint16[P] of the 256-bit hashes uint64[P, 4] in `a` and `b`."""
    return np.bitwise_count(a ^ b).sum(axis=-1, dtype=np.uint16)


def nearest_each(group: NDArray[np.int64], *, by: tuple[NDArray[np.integer], ...], most: int) -> NDArray[np.int64]:
    """Return the places of the `most` first entries of each group in order of `by` (first key first), group by group.

    Doing it on parts and then on what they gave is doing it on the whole, as long as `by` leaves no ties.
    """
    order = np.lexsort((*reversed(by), group))
    ordered = group[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.empty(0, np.int64)
    rank = np.arange(len(ordered)) - np.repeat(starts, np.diff(np.r_[starts, len(ordered)]))
    return order[rank < most]


def words256(hashes: list[bytes]) -> NDArray[np.uint64]:
    """Return uint64[N, 4] for N 256-bit hashes of 32 bytes each."""
    return np.frombuffer(b''.join(hashes), dtype='>u8').astype(np.uint64).reshape(-1, 4)


def band_keys(codes: NDArray[np.uint64], b: int) -> NDArray[np.uint32]:
    """Return the key uint32[N] of each code in band `b`: its bits b, b + 3, b + 6, ... packed together."""
    keys = np.zeros(len(codes), np.uint32)
    for place, k in enumerate(range(b, 64, N_BANDS)):
        keys |= (((codes >> np.uint64(k)) & np.uint64(1)) << np.uint64(place)).astype(np.uint32)
    return keys


def band_spreads(max_distance: int) -> tuple[int, ...]:
    """Return t_b per band with sum(t_b + 1) = max_distance + 1, the widest band (0) least; -1 means: skip the band."""
    if not 0 <= max_distance <= MAX_DISTANCE:
        raise ValueError(f'expected a Hamming distance of 0 to {MAX_DISTANCE} bits, found {max_distance}')
    return tuple((max_distance + 1 + b) // N_BANDS - 1 for b in range(N_BANDS))


def _masks(n_bits: int, spread: int) -> list[int]:
    """Return every key difference of at most `spread` bits, those with equal highest bit next to each other."""
    masks = [sum(1 << k for k in chosen) for n in range(spread + 1) for chosen in combinations(range(n_bits), n)]
    return sorted(masks)


def _search(
    band: Band,
    b: int,
    queries: NDArray[np.uint64],
    spread: int,
    max_distance: int,
    *,
    own: NDArray[np.int64] | None = None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]]:
    """Yield (query number, place in `band.banded`, distance) of the matches that this band is the first to see.

    With `own` (the places of the queries themselves) each pair is seen from one side only: from the larger key, and
    between equal keys from the later place.
    """
    keys = band_keys(queries, b)
    side, side_bit = np.arange(len(keys)), 0
    for mask in _masks(BAND_BITS[b], spread):
        if own is not None and mask.bit_length() != side_bit:
            side_bit = mask.bit_length()  # key ^ mask < key exactly when the key has the mask's highest bit
            side = np.flatnonzero(keys & np.uint32(1 << (side_bit - 1)))
        wanted = keys[side] ^ np.uint32(mask)
        starts, stops = band.starts[wanted].astype(np.int64), band.starts[wanted + np.uint32(1)].astype(np.int64)
        if own is not None and mask == 0:
            stops = own
        counts = stops - starts
        few, wide = np.flatnonzero((counts > 0) & (counts < WIDE)), np.flatnonzero(counts >= WIDE)
        yield from _compare(band, b, queries, max_distance, ranges=(side[few], starts[few], stops[few]))
        yield from _compare_wide(band, b, queries, max_distance, ranges=(side[wide], starts[wide], stops[wide]))


def _compare(
    band: Band,
    b: int,
    queries: NDArray[np.uint64],
    max_distance: int,
    *,
    ranges: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]]:
    """Yield the matches between each query and its range of places, at most CANDIDATES comparisons at a time."""
    asking, starts, stops = ranges
    ends = np.cumsum(stops - starts)
    done = 0
    while done < len(asking):
        seen = ends[done - 1] if done else 0
        last = max(done + 1, int(np.searchsorted(ends, seen + CANDIDATES, side='right')))
        counts = (stops - starts)[done:last]
        q = np.repeat(asking[done:last], counts)
        place = np.arange(len(q)) + np.repeat(starts[done:last] - (ends[done:last] - counts - seen), counts)
        differing = queries[q] ^ band.banded[place]
        distance = np.bitwise_count(differing)
        near = np.flatnonzero(distance <= max_distance)
        near = near[_unseen(differing[near], b, max_distance)]
        if len(near):
            yield q[near], place[near], distance[near]
        done = last


def _compare_wide(
    band: Band,
    b: int,
    queries: NDArray[np.uint64],
    max_distance: int,
    *,
    ranges: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]]:
    """Yield the matches between each query and its long range of places: one query and one slice at a time."""
    for q, start, stop in zip(*(part.tolist() for part in ranges), strict=True):
        differing = band.banded[start:stop] ^ queries[q]
        distance = np.bitwise_count(differing)
        near = np.flatnonzero(distance <= max_distance)
        near = near[_unseen(differing[near], b, max_distance)] if len(near) else near
        if len(near):
            yield np.full(len(near), q, np.int64), start + near, distance[near]


def _unseen(differing: NDArray[np.uint64], b: int, max_distance: int) -> NDArray[np.bool_]:
    """Return bool[P]: no band before `b` has these pairs among its candidates, so each pair is reported once."""
    fresh = np.ones(len(differing), bool)
    for earlier, spread in enumerate(band_spreads(max_distance)[:b]):
        fresh &= np.bitwise_count(differing & BAND_MASKS[earlier]).astype(np.int16) > spread
    return fresh


def _gather(batches: Iterator[Matches]) -> Matches:
    """Return all batches as one, in order of (i, j)."""
    found = list(batches)
    i = np.concatenate([np.empty(0, np.int64)] + [m.i for m in found])
    j = np.concatenate([np.empty(0, np.int64)] + [m.j for m in found])
    distance = np.concatenate([np.empty(0, np.uint8)] + [m.distance for m in found])
    order = np.lexsort((j, i))
    return Matches(i[order], j[order], distance[order])
