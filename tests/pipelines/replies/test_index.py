"""Where keys stand: found whatever came when, and moved a bounded number of times however many there are."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.replies import index
from pipelines.replies.index import KeyIndex


def key(number: int) -> str:
    return f'{number:016x}' + '0' * 48


ADDED = st.lists(st.tuples(st.sampled_from('abc'), st.booleans(), st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 9), max_size=12)), max_size=12)


@given(ADDED, st.sets(st.sampled_from('abc'), max_size=2))
def test_every_key_is_found_in_each_file_that_holds_it(added, dropped):
    found, wanted = KeyIndex(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, 'MERGE_AT', 5)
        for at, (name, whole, numbers) in enumerate(added):
            places = [1000 * at + place for place in range(len(numbers))]
            if whole:
                found.add_sorted(name, np.array(numbers, np.uint64), np.array(places))
            else:
                found.add(name, [(key(number), place) for number, place in zip(numbers, places)])
            wanted += [(name, key(number), place) for number, place in zip(numbers, places)]
    gone = dropped & {name for name, _, _ in added}
    found.drop(gone)
    wanted = [entry for entry in wanted if entry[0] not in gone]
    keys = sorted({entry for _, entry, _ in wanted})
    assert sorted((name, of, place) for name, places in found.find(keys).items() for of, place in places) == sorted(wanted)
    assert found.distinct() == len(keys)
    assert found.find([key(11)]) == {}


def test_a_key_is_moved_as_often_as_its_store_doubles(monkeypatch):
    """4,096 batches of 8 keys: to merge each into all that came before would move 4,096 / 2 * 32,768 rows, 67 million."""
    moved = []
    whole = index.merged
    monkeypatch.setattr(index, 'MERGE_AT', 7)
    monkeypatch.setattr(index, 'merged', lambda one, other: moved.append(len(one.heads) + len(other.heads)) or whole(one, other))
    found, rng = KeyIndex(), random.Random(1)
    numbers = [rng.getrandbits(64) for _ in range(8 * 4096)]
    for at in range(0, len(numbers), 8):
        found.add('a', [(key(number), at) for number in numbers[at:at + 8]])
    assert sum(moved) < 2 * 15 * len(numbers)
    assert sum(map(len, found.find(map(key, numbers[::99])).values())) == len(numbers[::99])
