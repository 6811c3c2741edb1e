"""Which candidates people look at, and what their labels say; expected numbers are worked out in each docstring."""

import math
import random

import pytest

from curation.calibration.audit import ALL, BAD_CHOSEN, BAD_REJECTED, GOOD, UNSURE, Estimate, allot, measure, recall_of
from curation.calibration.planted import rate, wilson

YES, NO = ('a', True), ('a', False)


def test_small_strata_get_their_least_and_the_rest_goes_by_size():
    given = allot({('big', True): 1000, ('big', False): 1000, ('small', True): 2, ('small', False): 50}, 60)
    assert sum(given.values()) == 60
    assert given[('small', True)] == 2
    assert given[('small', False)] >= 3
    assert abs(given[('big', True)] - given[('big', False)]) <= 3


def test_no_more_are_asked_than_there_are():
    assert allot({YES: 3, NO: 1}, 100) == {YES: 3, NO: 1}
    assert allot({}, 5) == {}


def test_precision_recall_and_lost_of_one_source():
    """100 accepted, 9 of 10 good -> 90; 50 refused, 2 of 10 good -> 10; recall 90 of 100. Unsure labels count nowhere."""
    labels = [(YES, GOOD)] * 9 + [(YES, BAD_REJECTED)] + [(NO, GOOD)] * 2 + [(NO, BAD_REJECTED)] * 7 + [(NO, BAD_CHOSEN)] + [(YES, UNSURE)] * 5
    one, everything = measure({YES: 100, NO: 50}, labels)
    assert (one.source, everything.source) == ('a', ALL)
    assert (one.precision.value, one.lost.value, one.precision.n, one.unsure) == (0.9, 0.2, 10, 5)
    assert one.recall.value == pytest.approx(0.9)
    expected = rate([True] * 9 + [False])
    assert (one.precision.low, one.precision.high) == (expected.low, expected.high)
    assert one.recall.low == pytest.approx(100 * expected.low / (100 * expected.low + 50 * one.lost.high))
    assert everything.recall.value == one.recall.value


def test_a_label_weighs_what_it_stands_for():
    """900 of one source all good, 100 of another all bad: 0.9, although each has ten labels; effectively 1000^2 / (900^2/10 + 100^2/10) = 12.2 labels."""
    labels = [(('a', True), GOOD)] * 10 + [(('b', True), BAD_REJECTED)] * 10
    found = measure({('a', True): 900, ('b', True): 100}, labels)[-1].precision
    assert found.value == pytest.approx(0.9)
    assert (found.low, found.high) == pytest.approx(wilson(0.9, 12.195), abs=1e-3)
    assert found.n == 20


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """Precision 0.8 in both of two unequal strata, 300 draws: a 95 % interval may miss 15, and hardly ever 30."""
    rng, missed = random.Random(4), 0
    for _ in range(300):
        labels = [(stratum, GOOD if rng.random() < 0.8 else BAD_REJECTED) for stratum in [('a', True)] * 30 + [('b', True)] * 15]
        found = measure({('a', True): 500, ('b', True): 100}, labels)[-1].precision
        missed += not found.low <= 0.8 <= found.high
    assert missed < 30


def test_nothing_labelled_says_nothing_and_no_refusal_loses_nothing():
    found = measure({YES: 5, NO: 5}, [(YES, GOOD)])[0]
    assert math.isnan(found.lost.value)
    assert (found.lost.low, found.lost.high) == (0.0, 1.0)
    assert math.isnan(found.recall.value)
    assert recall_of(Estimate(0.5, 0.4, 0.6, 9), Estimate(math.nan, 0, 1, 0), 10, 0).value == 1.0
