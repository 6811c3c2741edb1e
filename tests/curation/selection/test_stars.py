import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.selection.stars import stars

EDGES = st.integers(1, 30).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.dictionaries(
            st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda e: e[0] < e[1]), st.integers(0, 7),
            max_size=60)))


def run(n: int, edges: dict[tuple[int, int], int], order: list[int] | None = None):
    pairs = [(*edge, distance) for edge, distance in edges.items()]
    pairs = [pairs[at] for at in order] if order is not None else pairs
    i, j, d = (np.array([p[k] for p in pairs], np.int64) for k in range(3))
    return stars(n, i, j, d)


def test_a_chain_is_not_one_star():
    survivor, distance = run(3, {(0, 1): 5, (1, 2): 5})
    assert survivor.tolist() == [0, 0, 2]
    assert distance.tolist() == [0, 5, 0]


def test_a_member_joins_the_nearest_survivor_and_of_two_equal_the_earlier():
    survivor, _ = run(5, {(0, 3): 6, (1, 3): 2, (0, 4): 3, (1, 4): 3})
    assert survivor.tolist() == [0, 1, 2, 1, 0]


def test_without_pairs_each_item_survives():
    survivor, distance = run(4, {})
    assert survivor.tolist() == [0, 1, 2, 3]
    assert distance.tolist() == [0, 0, 0, 0]


@settings(max_examples=200)
@given(EDGES)
def test_members_are_near_a_survivor_and_survivors_are_not_near_each_other(case):
    n, edges = case
    survivor, distance = run(n, edges)
    for item in range(n):
        if survivor[item] != item:
            assert survivor[item] < item
            assert survivor[survivor[item]] == survivor[item]
            assert edges[(int(survivor[item]), item)] == distance[item]
        else:
            assert distance[item] == 0
    standing = set(np.flatnonzero(survivor == np.arange(n)).tolist())
    assert not [edge for edge in edges if standing.issuperset(edge)]


@settings(max_examples=100)
@given(EDGES, st.randoms(use_true_random=False))
def test_the_order_and_direction_of_pairs_change_nothing(case, random):
    n, edges = case
    order = list(range(len(edges)))
    random.shuffle(order)
    plain, shuffled = run(n, edges), run(n, edges, order)
    flipped = run(n, {(j, i): d for (i, j), d in edges.items()})
    for other in (shuffled, flipped):
        assert [a.tolist() for a in plain] == [a.tolist() for a in other]
