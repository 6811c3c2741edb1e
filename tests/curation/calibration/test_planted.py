"""The judge's own error rate: planted cases with known truth, and judges that are broken on purpose, each caught."""

import math
import random
from collections import Counter

import pytest

from curation.calibration.planted import (
    Answered,
    CaseResult,
    PlantedCase,
    auc_interval,
    auc_of,
    best_margin,
    gate,
    plant_cases,
    rate,
    report_source,
    reworded,
)
from curation.verdicts.judging import Verdict, check_candidate
from schemas.records import Reason

CITIES = ['Paris', 'London', 'Rome', 'Berlin', 'Madrid', 'Lisbon', 'Vienna', 'Prague', 'Dublin', 'Oslo']
SAMPLES = [Answered(f's/f.json#{n}/0', 's', f'What is the capital of country {n}?', CITIES[n % 10]) for n in range(300)]
CASES = plant_cases(SAMPLES, min_cases=200, fraction=0.05)


def judged(judge, cases=CASES) -> list[CaseResult]:
    results = []
    for case in cases:
        rule = check_candidate(case.chosen, case.candidate, question='', kind='incorrect', max_length_ratio=10)
        results.append(CaseResult(case, rule[0] if rule else None, judge(case)))
    return results


def dice(case: PlantedCase, salt: str = '') -> float:
    return random.Random(case.case_id + salt).gauss(0, 1)


def good(case):
    return Verdict('likelihood', (2.0 if case.accept else -2.0 if case.plant == 'swapped' else 0.0) + 0.3 * dice(case))


def constant(case):
    return Verdict('likelihood', 0.7)


def noisy(case):
    return Verdict('likelihood', dice(case))


def always_yes(case):
    return Verdict('paper', 1.0, (('margin', 1.0),))


def backwards(case):
    return Verdict('likelihood', -2.0 if case.accept else 2.0 + dice(case))


def by_position(case):
    """Prefers what stands first by 3 nats, whatever it is."""
    bonus, true = 3.0, (0.5 if case.accept else -0.5)
    first, second = true + bonus + 0.1 * dice(case), true - bonus + 0.1 * dice(case, 'b')
    return Verdict('pairwise', (first + second) / 2, (('margin', true), ('chosen_first', first), ('candidate_first', second)))


def fair_pairwise(case):
    true = (2.0 if case.accept else -2.0) + 0.1 * dice(case)
    return Verdict('pairwise', true, (('margin', true), ('chosen_first', true), ('candidate_first', true)))


def speechless(case):
    return Verdict('yes_no', None, (), Reason.UNPARSABLE_VERDICT, '?')


@pytest.mark.parametrize('judge', [good, fair_pairwise])
def test_a_judge_that_works_passes(judge):
    report = report_source('s', judged(judge), margin=0.0)
    assert gate(report, min_auc=0.55) == []
    assert report.auc > 0.95
    assert report.catch.value > 0.95
    assert report.false_rejection.value < 0.05


@pytest.mark.parametrize(
    ('judge', 'words'),
    [
        (constant, ['AUC', 'one score for 100%']), (always_yes, ['AUC', 'one score for 100%']), (noisy, ['AUC']), (backwards, ['AUC']),
        (by_position, ['first answer preferred in 100%']), (speechless, ['unparsable']),
    ],
)
def test_a_broken_judge_is_caught_and_named(judge, words):
    faults = gate(report_source('s', judged(judge), margin=0.0), min_auc=0.55)
    assert len(faults) == len(words)
    for fault, word in zip(faults, words):
        assert word in fault
        assert "source 's'" in fault


def test_position_bias_is_caught_even_where_the_mean_of_both_orders_ranks_well():
    report = report_source('s', judged(by_position), margin=0.0)
    assert report.auc > 0.95
    assert report.false_rejection.value == 1.0  # every pair disagrees between the orders


def test_always_yes_catches_nothing_by_itself():
    report = report_source('s', judged(always_yes), margin=0.0)
    assert report.catch_by_judge.value == 0.0
    assert report.false_rejection.value == 0.0
    assert 0.0 < report.catch.value < 1.0  # rules find the equal answers


def test_planted_cases_have_the_truth_they_claim():
    assert Counter(c.plant for c in CASES) == {'equal': 67, 'swapped': 67, 'distractor': 67}
    truth = {s.sample_id: s.answer for s in SAMPLES}
    for case in CASES:
        right = truth[case.sample_id]
        if case.plant == 'equal':
            assert case.chosen == right != case.candidate
            assert right in case.candidate
        elif case.plant == 'swapped':
            assert case.candidate == right != case.chosen
        else:
            assert case.chosen == right != case.candidate
            assert case.candidate in CITIES
        assert case.accept is (case.plant == 'distractor')


def test_planted_cases_do_not_depend_on_the_order_of_samples():
    shuffled = list(SAMPLES)
    random.Random('order').shuffle(shuffled)
    assert plant_cases(shuffled, min_cases=200, fraction=0.05) == CASES
    assert len({c.case_id for c in CASES}) == len(CASES)


def test_the_number_of_cases_follows_the_recipe_and_the_samples():
    assert len(plant_cases(SAMPLES, min_cases=10, fraction=0.0)) == 12
    assert len(plant_cases(SAMPLES, min_cases=1, fraction=0.5)) == 150
    assert len(plant_cases(SAMPLES[:5], min_cases=200, fraction=0.0)) == 15
    assert plant_cases([], min_cases=200, fraction=0.1) == []


def test_a_source_with_one_answer_only_still_plants_what_it_can():
    same = [Answered(f's/f#{n}/0', 's', 'q', 'xyzzy') for n in range(5)]
    assert {c.plant for c in plant_cases(same, min_cases=5, fraction=0)} == {'equal'}


@pytest.mark.parametrize(
    ('answer', 'question'), [('5', ''), ('1,200', ''), ('B', 'Which? A) cat B) dog'), ('Yes', ''), ('A dog runs over the green grass.', ''), ('Paris', '')]
)
def test_rewording_says_the_same_and_rules_know_it(answer, question):
    for n in range(40):
        said = reworded(Answered(f's/f#{n}/0', 's', question, answer))
        assert said != answer
        assert check_candidate(answer, said, question=question, kind='incorrect', max_length_ratio=10) is not None


def test_auc_counts_ties_half():
    """Good 3, 2; bad 2, 1: pairs (3,2) (3,1) (2,1) won, (2,2) half: 3.5 / 4."""
    assert auc_of([(3.0, True), (2.0, True), (2.0, False), (1.0, False)]) == 0.875
    assert auc_of([(1.0, True), (1.0, False)]) == 0.5
    assert math.isnan(auc_of([(1.0, True)]))


def test_intervals_are_those_of_the_textbook():
    """Wilson for 8 of 10: 0.490 to 0.943 (Newcombe 1998 table style); 0 of 10: 0 to 0.278."""
    r = rate([True] * 8 + [False] * 2)
    assert (r.value, round(r.low, 3), round(r.high, 3)) == (0.8, 0.490, 0.943)
    assert (rate([False] * 10).low, round(rate([False] * 10).high, 3)) == (0.0, 0.278)
    assert (rate([]).low, rate([]).high) == (0.0, 1.0)
    low, high = auc_interval(0.5, 50, 50)
    assert low == pytest.approx(0.386, abs=0.002)
    assert high == pytest.approx(0.614, abs=0.002)


def test_the_suggested_margin_separates_best():
    assert best_margin([(-1.0, False), (0.2, False), (0.4, True), (0.5, False), (0.9, True), (1.0, True)]) in (0.2, 0.5)
    assert best_margin([(-1.0, False), (0.2, False), (0.4, True)]) == 0.2
    assert math.isnan(best_margin([(1.0, True)]))
