"""Micro-batches: every row once, as little padding as any cut of the sorted rows, never more than the memory that was asked for."""

import math
import random
from itertools import combinations_with_replacement

import pytest

from model.training.branches import EncodedRow
from model.training.bucket import positions, split_micro, split_packs


def make_rows(count: int, seed: int) -> list[EncodedRow]:
    draw = random.Random(seed)
    sizes = [(int(draw.lognormvariate(4, 1)) + 1, draw.randint(1, 30), draw.randint(1, 30)) for _ in range(count)]
    return [EncodedRow((1,) * p, ((1,) * c, (1,) * r), None, f'{seed}/{index}') for index, (p, c, r) in enumerate(sizes)]


def cheapest_by_trying(rows: list[EncodedRow], count: int, limit: int) -> int:
    ordered, costs = sorted(rows, key=lambda row: (-len(row), row.row)), []
    for cuts in combinations_with_replacement(range(len(rows) + 1), count - 1):
        chunks = [ordered[a:b] for a, b in zip((0, *cuts), (*cuts, len(rows)), strict=True)]
        sizes = [positions(chunk) for chunk in chunks if chunk]
        if max(sizes) <= limit:
            costs.append(sum(sizes))
    return min(costs)


@pytest.mark.parametrize('seed', range(6))
def test_no_cut_of_the_sorted_rows_is_cheaper(seed):
    rows, most = make_rows(9, seed), 3
    chunks = split_micro(rows, 3, most=most)
    limit = most * positions(rows) // len(rows)
    assert sorted(row.row for chunk in chunks for row in chunk) == sorted(row.row for row in rows)
    assert max(positions(chunk) for chunk in chunks) <= limit
    assert sum(positions(chunk) for chunk in chunks) == cheapest_by_trying(rows, 3, limit)


def test_one_long_row_does_not_make_its_neighbours_long():
    """100 + 1 + 1 positions alone, and seven rows of 5 + 1 + 1: 151 in all; eight padded to the longest would be 816."""
    rows = [EncodedRow((1,) * length, ((1,), (1,)), None, str(index)) for index, length in enumerate([100] + [5] * 7)]
    assert [len(chunk) for chunk in split_micro(rows, 2, most=4)] == [1, 7]


@pytest.mark.parametrize('count', [0, 1, 5, 128])
def test_every_process_runs_the_same_number_of_micro_batches(count):
    most = 4
    chunks = split_micro(make_rows(count, 1), 32, most=most)
    assert len(chunks) == 32
    assert sum(len(chunk) for chunk in chunks) == count
    assert math.ceil(count / most) <= 32


def test_no_micro_batch_is_larger_than_what_was_asked_for():
    """Cheapest would be 14, 13 and seven of 12 = 84 positions together; three of the widest are 42."""
    rows = [EncodedRow((1,) * length, ((1,), (1,)), None, str(index)) for index, length in enumerate([12, 11] + [10] * 7)]
    assert [positions(chunk) for chunk in split_micro(rows, 3, most=3)] == [42, 36, 36]


@pytest.mark.parametrize('seed', range(6))
def test_packs_hold_every_row_once_and_none_is_longer_than_their_mean_and_a_row(seed):
    rows, count = make_rows(23, seed), 4
    packs = split_packs(rows, count)
    lengths = [sum(map(len, pack)) for pack in packs]
    assert sorted(row.row for pack in packs for row in pack) == sorted(row.row for row in rows)
    assert max(lengths) <= sum(lengths) / count + max(map(len, rows))
    assert packs == split_packs(rows[::-1], count)


def test_short_rows_fill_the_pack_beside_a_long_one():
    """One row of 102 tokens, seven of 7."""
    rows = [EncodedRow((1,) * length, ((1,), (1,)), None, str(index)) for index, length in enumerate([100] + [5] * 7)]
    assert [len(pack) for pack in split_packs(rows, 2)] == [1, 7]
    assert [len(pack) for pack in split_packs(rows[:1], 3)] == [1, 0, 0]
