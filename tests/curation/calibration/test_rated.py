"""What planted cases say of ratings: how many of a source's own answers are wrong, and which threshold finds these."""

import math

import numpy as np
import pytest

from curation.calibration.rated import Scored, choose, report_ratings, share_wrong


def normal(seed, n, mean):
    return np.sort(np.random.default_rng(seed).normal(mean, 1, n))


def mixed(seed, n, wrong, apart):
    """Return (planted wrong, own ratings, which of these are of wrong answers): own ones of which so many are wrong."""
    bad, good = normal(seed, round(n * wrong), 0), normal(seed + 1, n - round(n * wrong), apart)
    return normal(seed + 2, 300, 0), np.concatenate([bad, good]), np.arange(n) < len(bad)


@pytest.mark.parametrize('wrong', [0.02, 0.1, 0.3])
def test_the_share_of_wrong_answers_is_bounded_from_ratings_alone(wrong):
    planted, own, _ = mixed(1, 5000, wrong, apart=4)
    assert share_wrong(planted, np.sort(own)) == pytest.approx(wrong, abs=0.2 * wrong + 0.01)


@pytest.mark.parametrize('wrong', [0.05, 0.2])
def test_the_threshold_chosen_leaves_out_wrong_answers_and_few_others(wrong):
    planted, own, is_wrong = mixed(5, 4000, wrong, apart=4)
    below = choose(planted, np.sort(own), share_wrong(planted, np.sort(own)), 0.95)
    out = own < below
    assert is_wrong[out].mean() > 0.9
    assert is_wrong[out].sum() / is_wrong.sum() > 0.6  # of 300 planted ones the lowest of many ratios is a little low, so is the threshold


def test_without_wrong_answers_almost_nothing_is_left_out():
    planted, own, _ = mixed(9, 4000, 0.0, apart=4)
    below = choose(planted, np.sort(own), share_wrong(planted, np.sort(own)), 0.95)
    assert below is None or (own < below).mean() < 0.02


def cases(good, bad, plant='other answer'):
    return [*(Scored('own', True, score) for score in good), *(Scored(plant, False, score) for score in bad)]


def test_a_report_has_recall_and_precision_with_intervals_at_each_threshold():
    report = report_ratings(('s', 'correct', 'm'), cases([0.9] * 40, [0.04] * 30 + [0.4] * 10), [0.9] * 80 + [0.04] * 20, min_auc=0.55, precision=0.9)
    assert (report.auc, report.fault, report.unread) == (1.0, '', 0)
    assert report.wrong == pytest.approx(0.2)
    cut = next(cut for cut in report.cuts if cut.below == 0.05)
    assert (cut.recall.value, cut.own.value) == (0.75, 0.2)
    assert cut.recall.low < 0.75 < cut.recall.high
    assert cut.precision == pytest.approx(0.75, abs=0.01)
    assert cut.precision_low < cut.precision <= cut.precision_high
    nothing = next(cut for cut in report.cuts if cut.below == 0.01)
    assert math.isnan(nothing.precision)
    assert report.auc_of == (('other answer', 1.0),)


@pytest.mark.parametrize(('told', 'fault'), [
    (cases([0.5] * 20, []), 'expected rated planted cases of both kinds'),
    (cases([0.5] * 20, [0.5] * 20), 'found one for 100% of them'),
    (cases([0.2, 0.4, 0.6, 0.8] * 5, [0.2, 0.4, 0.6, 0.8] * 5), 'expected an AUC above 0.55 and surely above chance, found 0.50'),
    (cases([None] * 5, [None] * 5), '10 without a rating'),
    ([], 'expected rated planted cases of both kinds, found {}'),
])  # fmt: skip
def test_ratings_that_tell_nothing_may_leave_nothing_out(told, fault):
    report = report_ratings(('s', 'correct', 'm'), told, [], min_auc=0.55, precision=0.9)
    assert fault in report.fault


def test_ratings_of_no_sample_choose_no_threshold():
    assert choose(np.zeros(0), np.zeros(0), math.nan, 0.9) is None
    assert math.isnan(share_wrong(np.zeros(0), np.ones(3)))
