"""What thresholds are said to do is what they do: labels are drawn whose truth is known, and models that know it more or less."""

from dataclasses import replace

import numpy as np
import pytest

from model.rating.calibrate import CHI_95, EVEN, FEWEST, Calibration, Line, Noise, Share, calibrate, fitted, logs_of, pooled

ANSWERS = 8


def drawn(share, n=3000, seed=0, sure=3.0, sharp=1.0):
    """What a model gives to the answers of rows, their labels' first, places of planted answers, and which labels are wrong.

    The model's probabilities are right; what it says of them is sharper (above 1) or flatter, as a model's is that learnt too much or from noise.
    """
    dice = np.random.default_rng(seed)
    chances = np.exp(sure * dice.standard_normal((n, ANSWERS)))
    chances /= chances.sum(1, keepdims=True)
    truth = (chances.cumsum(1) > dice.random((n, 1))).argmax(1)
    wrong = dice.random(n) < share
    label = np.where(wrong, (truth + dice.integers(1, ANSWERS, n)) % ANSWERS, truth)
    said = chances**sharp
    said /= said.sum(1, keepdims=True)
    order = np.argsort(np.arange(ANSWERS) != label[:, None], axis=1, kind='stable')
    return logs_of(np.take_along_axis(said, order, 1).tolist()), dice.integers(1, ANSWERS, n), wrong


@pytest.mark.parametrize('sharp', [0.5, 1, 2])
@pytest.mark.parametrize('share', [0.02, 0.075, 0.2])
def test_the_share_of_wrong_labels_and_what_a_threshold_flags_are_what_was_drawn(share, sharp):
    logs, planted, wrong = drawn(share, sharp=sharp)
    found = calibrate('s', logs, planted)
    assert found.wrong.low <= wrong.mean() <= found.wrong.high
    scores = found.noise.truths(logs)[:, 0]
    for line in (found.line(EVEN), found.pick(0.95)):
        flagged = scores < line.threshold
        assert flagged.sum() == line.flagged
        assert line.precision.low <= wrong[flagged].mean() <= line.precision.high
        assert line.precision.low <= line.precision.value <= line.precision.high
        assert flagged[wrong].mean() == pytest.approx(line.recall.value, abs=0.08)


def test_a_score_is_how_likely_the_label_is_right():
    logs, planted, wrong = drawn(0.2, n=20_000, sharp=0.6)
    scores = calibrate('s', logs, planted).noise.truths(logs)[:, 0]
    for low in np.arange(0, 1, 0.2):
        some = (scores >= low) & (scores < low + 0.2)
        assert (~wrong[some]).mean() == pytest.approx(scores[some].mean(), abs=0.05)


def test_temperature_undoes_what_the_model_exaggerates():
    noise, spread = fitted(drawn(0.1, n=20_000, sharp=2)[0])
    assert noise.temperature == pytest.approx(2, rel=0.15)
    assert noise.wrong == pytest.approx(0.1, abs=0.01)
    assert np.all(np.linalg.eigvalsh(spread) > 0)


def test_truths_are_by_bayes():
    """A label with 0.2 of the model's probability, one in five wrong, three others: 0.8 * 0.2 against 0.2 / 3 * (0.8 for the others together)."""
    truths = Noise(1, 0, 0.2).truths(logs_of([[0.2, 0.7, 0.06, 0.04], [0.9, 0.1]]))
    right, other = 0.8 * 0.2, 0.2 / 3 * np.array([0.7, 0.06, 0.04])
    assert truths[0] == pytest.approx([right, *other] / (right + other.sum()))
    assert truths[1] == pytest.approx([0.72 / 0.74, 0.02 / 0.74, 0, 0])
    swapped = Noise(1, 0, 0.2).truths(logs_of([[0.2, 0.7, 0.06, 0.04]]), np.array([1]))[0]
    assert swapped == pytest.approx(Noise(1, 0, 0.2).truths(logs_of([[0.7, 0.2, 0.06, 0.04]]))[0][[1, 0, 2, 3]])


def test_a_handful_of_rows_chooses_no_threshold():
    """Precision 1 of one row, and of seven."""
    certain, unsure = Share(1, 0, 1), Share(0.8, 0.7, 0.9)
    lines = (Line(0.001, 1, certain, unsure), Line(0.01, FEWEST - 1, certain, unsure), Line(EVEN, FEWEST - 1, unsure, unsure))
    found = Calibration('', 2000, unsure, unsure, lines)
    assert found.pick(0.95) is None
    assert found.pick() is None
    enough = replace(found, lines=(Line(0.02, FEWEST, certain, unsure), *lines[:2], Line(EVEN, 400, unsure, unsure)))
    assert enough.pick(0.95).flagged == FEWEST
    assert enough.pick().threshold == EVEN


def test_where_no_label_is_wrong_none_is_flagged_but_by_chance():
    """By CHI_95 one clean source in twenty is taken for one with wrong labels, of which then few are doubted."""
    assert CHI_95 < 4
    found = [calibrate('s', *drawn(0, n=1000, seed=seed)[:2]) for seed in range(20)]
    assert sum(one.pick() is not None for one in found) <= 2
    assert sum(one.pick(0.95) is not None for one in found) <= 1
    assert sum(one.wrong.value == 0 for one in found) >= 15
    assert all(0.003 <= one.wrong.high < 0.1 for one in found), 'what cannot be told from none'


def test_ratings_that_are_dice_are_told_from_ratings_and_choose_nothing():
    dice = calibrate('s', *drawn(0.9, sure=0.1)[:2])
    assert dice.is_chance
    assert dice.pick(0.1) is None
    assert not calibrate('s', *drawn(0.2)[:2]).is_chance


def test_probabilities_that_are_too_small_for_a_float_are_no_fault():
    logs, planted, wrong = drawn(0.2)
    chances = np.exp(logs)
    found = calibrate('s', logs_of(np.where(chances < 1e-4, 0, chances).tolist()), planted)
    assert found.wrong.value == pytest.approx(wrong.mean(), abs=0.03)
    assert found.pick(0.95).flagged > 0


def test_few_rows_say_nothing():
    few = calibrate('s', logs_of([[0.9, 0.1], [0.2, 0.8]]), np.array([1, 1]))
    assert few.pick(0.5) is None
    one = calibrate('s', logs_of([[0.5, 0.5]]), np.array([1]))
    assert (one.auc.value, one.pick(0.5)) == (0.5, None)


def test_a_stricter_precision_never_flags_more():
    found = calibrate('s', *drawn(0.1)[:2])
    lines = [found.pick(precision) for precision in (0.5, 0.8, 0.9, 0.99)]
    flagged = [line.flagged if line else 0 for line in lines]
    assert flagged == sorted(flagged, reverse=True)
    assert flagged[0] > 0


def test_sources_together_count_as_their_rows_do():
    clean, noisy = calibrate('a', *drawn(0, n=1000)[:2]), calibrate('b', *drawn(0.2)[:2])
    both = pooled([clean, noisy])
    assert both.rows == 4000
    assert both.wrong.value == pytest.approx(noisy.wrong.value * 3 / 4)
    assert both.line(EVEN).flagged == noisy.line(EVEN).flagged, 'nothing in the clean one'
    assert both.line(EVEN).precision == noisy.line(EVEN).precision
    assert both.line(EVEN).recall == noisy.line(EVEN).recall
    assert pooled([noisy]).line(EVEN).precision.value == pytest.approx(noisy.line(EVEN).precision.value)
