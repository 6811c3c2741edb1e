"""Two judges on the same cases: figures that agree with those of one judge, and intervals that hold what they say."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest

from curation.calibration.compared import SharedCase, auc_influence, compare_cases, half_width
from curation.calibration.planted import auc_of


def case(n: int, good: bool, a: float | None, b: float | None, *, source: str = 's', sample: str = '', weight: float = 1.0) -> SharedCase:
    accepts = tuple(score is not None and score > 0 for score in (a, b))
    return SharedCase(f'{source}/{n:05d}', sample or f'{source}/{n:05d}', source, good, (a, b), accepts, weight)


def drawn(n: int, strong: float, weak: float, seed: int, *, each: int = 3) -> list[SharedCase]:
    """Return cases of `n` samples, `each` of them; what a judge knows of a sample helps it in all of its cases."""
    rng = random.Random(seed)
    cases = []
    for sample in range(n):
        known = rng.gauss(0, 1), rng.gauss(0, 1)
        for k in range(each):
            good = k == 0
            side = 0.5 if good else -0.5
            a, b = (side * (by + 2 * knows) + rng.gauss(0, 1) for by, knows in zip((weak, strong), known, strict=True))
            cases.append(case(sample * each + k, good, a, b, sample=f's{sample}'))
    return cases


def test_the_figures_are_those_of_each_judge_alone():
    cases = drawn(60, 2.0, 0.5, 1)
    (found,) = compare_cases(cases)
    for side, figure in enumerate((found.auc.a, found.auc.b)):
        assert figure.value == pytest.approx(auc_of([(c.scores[side], c.good) for c in cases]))
        assert figure.low < figure.value < figure.high
    assert found.auc.difference.value == pytest.approx(found.auc.b.value - found.auc.a.value)
    bad = [c for c in cases if not c.good]
    assert found.caught.a.value == pytest.approx(sum(not c.accepts[0] for c in bad) / len(bad))
    assert (found.good, found.bad, found.unread) == (60, 120, (0, 0))
    assert found.agree.value == pytest.approx(sum(c.accepts[0] == c.accepts[1] for c in cases) / 180)


def test_the_interval_of_an_auc_is_that_of_samples_drawn_again():
    cases = drawn(80, 1.5, 1.0, 7)
    scores = np.array([c.scores[1] for c in cases])
    good, samples = np.array([c.good for c in cases]), [c.sample_id for c in cases]
    auc, moved = auc_influence(scores, good, np.ones(len(cases)))
    assert sum(moved) == pytest.approx(0, abs=1e-12)
    rng = np.random.default_rng(0)
    by_sample = np.arange(len(cases)).reshape(80, 3)
    again = []
    for _ in range(600):
        rows = by_sample[rng.integers(0, 80, 80)].ravel()
        again.append(auc_influence(scores[rows], good[rows], np.ones(len(rows)))[0])
    assert half_width(moved, samples) == pytest.approx(1.96 * np.std(again), rel=0.15)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of equal judges 5 % are called different: 2 to 9 % in 300 draws (1 in 1,000 is outside by chance)."""
    false = sum(compare_cases(drawn(40, 1.0, 1.0, seed))[0].better != '' for seed in range(300)) / 300
    assert 0.02 <= false <= 0.09


def test_a_better_judge_is_found_and_one_that_only_may_be_is_not():
    assert compare_cases(drawn(200, 2.0, 0.3, 3))[-1].better == 'b'
    swapped = [replace(c, scores=c.scores[::-1], accepts=c.accepts[::-1]) for c in drawn(200, 2.0, 0.3, 3)]
    assert compare_cases(swapped)[-1].better == 'a'
    assert compare_cases(drawn(12, 1.1, 1.0, 3))[-1].better == ''
    few = [case(n, n < 5, float(n < 5), float(n)) for n in range(40)]
    assert compare_cases(few)[-1].better == '', 'five good cases are too few, whatever they say'


def test_the_same_judge_twice_differs_by_nothing():
    cases = [replace(c, scores=(c.scores[0],) * 2, accepts=(c.accepts[0],) * 2) for c in drawn(30, 1.0, 1.0, 1)]
    (found,) = compare_cases(cases)
    assert (found.auc.difference.value, found.auc.difference.low, found.auc.difference.high, found.better) == (0, 0, 0, '')
    assert found.agree.value == 1


def test_sources_are_told_apart_and_the_order_of_cases_changes_nothing():
    cases = [*drawn(30, 2.0, 0.5, 1), *(replace(c, source='t', name=f't/{c.name}') for c in drawn(20, 1.0, 1.0, 2))]
    found = compare_cases(cases)
    assert [line.source for line in found] == ['s', 't', '(all)']
    random.Random(1).shuffle(cases)
    assert compare_cases(cases) == found


def test_a_reply_without_a_score_refuses_and_is_left_out_of_the_auc():
    cases = [case(n, n % 2 == 0, None if n == 0 else 1.0 * (n % 2 == 0), float(n)) for n in range(40)]
    (found,) = compare_cases(cases)
    assert found.unread == (1, 0)
    assert found.lost.a.value == pytest.approx(1 / 20)
    assert found.auc.a.value == 1.0
    assert found.auc.a.low < 0.9, 'twenty cases without a fault show no more'


def test_weights_count_for_as_many_cases():
    weighted = [case(0, True, 1.0, 0.0, weight=3), case(1, True, -1.0, 0.0), case(2, False, 0.0, 0.5, weight=2), case(3, False, -2.0, -1.0)]
    repeated = [case(n, c.good, *c.scores, sample=f'{c.name} {n}') for n, c in enumerate(c for c in weighted for _ in range(int(c.weight)))]
    one, other = compare_cases(weighted)[0], compare_cases(repeated)[0]
    for name in ('auc', 'caught', 'lost'):
        assert getattr(one, name).a.value == pytest.approx(getattr(other, name).a.value)
        assert getattr(one, name).b.value == pytest.approx(getattr(other, name).b.value)
    assert one.agree.value == pytest.approx(other.agree.value)


def test_cases_of_one_kind_have_no_auc():
    (found,) = compare_cases([case(n, True, 1.0, 0.5) for n in range(20)])
    assert math.isnan(found.auc.difference.value)
    assert found.better == ''
    assert math.isnan(found.caught.a.value)
    assert compare_cases([]) == []
