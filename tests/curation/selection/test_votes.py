"""Of answers that contradict each other those go that others which stay contradict; those that go for another reason have no vote."""

import numpy as np
import pytest

from curation.selection.votes import Votes, outvoted


def votes(rows: list[tuple[int, int, int, list[int]]], *, computed: tuple[int, ...] = (), majority: bool = True) -> Votes:
    """Return votes of rows (sample, group, class, classes against it)."""
    sample, group, of, against = zip(*rows, strict=True) if rows else ((), (), (), ())
    flat = [one for some in against for one in some]
    arrays = [np.array(column, np.int64) for column in (sample, group, of, flat, list(map(len, against)))]
    return Votes(*arrays, computed=np.isin(arrays[0], computed), majority_stays=majority)


def gone(given: Votes, *out: int) -> set[int]:
    """Return the samples that are outvoted where `out` go for another reason."""
    return set(given.sample[outvoted(given, np.isin(np.arange(9), out))].tolist())


TWO_TO_ONE = [(0, 0, 0, [1]), (1, 0, 0, [1]), (2, 0, 1, [0])]


@pytest.mark.parametrize('majority', [True, False])
def test_what_nothing_contradicts_any_more_stays(majority):
    """Two say red, one blue: both reds are rated out, so blue is not contradicted; of one red rated out, one is left against one."""
    given = votes(TWO_TO_ONE, majority=majority)
    assert gone(given) == ({2} if majority else {0, 1, 2})
    assert gone(given, 0, 1) == set()
    assert gone(given, 0) == {1, 2}
    assert gone(given, 2) == set()


def test_a_loser_may_win_once_the_winner_is_rated_out():
    """Three red, two blue, one green."""
    given = votes([(0, 4, 0, [1, 2]), (1, 4, 0, [1, 2]), (2, 4, 0, [1, 2]), (3, 4, 1, [0, 2]), (4, 4, 1, [0, 2]), (5, 4, 2, [0, 1])])
    assert gone(given) == {0, 1, 2, 3, 4, 5}, 'three of six are no majority'
    assert gone(given, 0, 1, 2) == {5}


def test_a_class_counts_only_where_one_of_those_against_it_is_left():
    """red contradicts blue and green, which may both be right: without red neither is contradicted."""
    given = votes([(0, 0, 0, [1, 2]), (1, 0, 1, [0]), (2, 0, 2, [0])], majority=False)
    assert gone(given) == {0, 1, 2}
    assert gone(given, 0) == set()
    assert gone(given, 1) == {0, 2}


def test_computed_answers_alone_have_votes_until_they_are_rated_out():
    given = votes(TWO_TO_ONE, computed=(2,))
    assert gone(given) == {0, 1}
    three = votes([(0, 0, 0, [1, 2]), (1, 0, 0, [1, 2]), (2, 0, 1, [0, 2]), (3, 0, 2, [0, 1])], computed=(3,))
    assert gone(three) == {0, 1, 2}
    assert gone(three, 3) == {2}


def test_groups_do_not_mix_and_none_are_none():
    given = votes([*TWO_TO_ONE, (3, 1, 0, [1]), (4, 1, 1, [0])])
    assert gone(given) == {2, 3, 4}
    assert outvoted(votes([]), np.zeros(9, bool)).tolist() == []
