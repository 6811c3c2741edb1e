"""What thresholds are said to do is what they do: scores are drawn whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from model.rating.calibrate import FEWEST, Calibration, Line, Share, calibrate


def drawn(share, n=4000, seed=0, weak=False):
    """Scores of own and planted answers, and which labels are wrong: wrong ones score like planted ones, right ones mostly near 1."""
    dice = np.random.default_rng(seed)
    wrong = dice.random(n) < share
    low, high = dice.beta(0.3, 12, n), dice.beta(2, 0.4, n)
    if weak:
        low, high = dice.random(n), dice.random(n)
    return np.where(wrong, low, high), np.roll(low, 1), wrong


@pytest.mark.parametrize('share', [0.02, 0.075, 0.2])
def test_the_threshold_has_the_precision_that_was_asked_for_and_finds_most(share):
    scores, planted, wrong = drawn(share)
    found = calibrate('s', scores, planted)
    assert found.wrong.low <= wrong.mean() <= found.wrong.high + 0.01
    line = found.pick(0.95)
    flagged = scores < line.threshold
    assert flagged.sum() == line.flagged
    assert (flagged & wrong).sum() / flagged.sum() > 0.93
    recall = (flagged & wrong).sum() / wrong.sum()
    assert recall > 0.5
    assert recall == pytest.approx(line.recall.value, abs=0.1)
    assert line.precision.low <= line.precision.value <= line.precision.high


def test_a_handful_of_rows_chooses_no_threshold():
    """Precision 1 of one row, and of eight."""
    certain, unsure = Share(1, 0, 1), Share(0.8, 0.7, 0.9)
    lines = (Line(0.001, 1, certain, unsure), Line(0.01, FEWEST - 1, certain, unsure), Line(0.1, 400, unsure, unsure))
    found = Calibration('', 2000, unsure, unsure, lines)
    assert found.pick(0.95) is None
    assert replace(found, lines=(Line(0.02, FEWEST, certain, unsure), *lines)).pick(0.95).flagged == FEWEST


def test_where_no_label_is_wrong_no_threshold_is_chosen():
    assert all(calibrate('s', *drawn(0, seed=seed)[:2]).pick(0.95) is None for seed in range(20))


def test_ratings_that_are_dice_are_told_from_ratings_and_choose_nothing():
    dice = calibrate('s', *drawn(0.2, weak=True)[:2])
    assert dice.is_chance
    assert dice.pick(0.1) is None
    assert not calibrate('s', *drawn(0.2)[:2]).is_chance


def test_scores_that_are_too_small_for_a_float_still_tell_the_share():
    scores, planted, wrong = drawn(0.2)
    found = calibrate('s', np.where(scores < 0.05, 0, scores), np.where(planted < 0.05, 0, planted))
    assert found.wrong.value == pytest.approx(wrong.mean(), abs=0.03)
    assert found.pick(0.95).flagged > 0


def test_few_rows_say_nothing():
    few = calibrate('s', [0.9, 0.2], [0.1, 0.3])
    assert few.pick(0.5) is None
    one = calibrate('s', [1.0], [1.0])
    assert (one.auc.value, one.pick(0.5)) == (0.5, None)


def test_a_stricter_precision_never_flags_more():
    found = calibrate('s', *drawn(0.1)[:2])
    lines = [found.pick(precision) for precision in (0.5, 0.8, 0.9, 0.99)]
    flagged = [line.flagged if line else 0 for line in lines]
    assert flagged == sorted(flagged, reverse=True)
    assert flagged[0] > 0
