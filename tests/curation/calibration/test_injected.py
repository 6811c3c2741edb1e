"""Planted answers that ask for a verdict: what they ask for, and how the judge's answer is counted."""

import re

import pytest

from curation.calibration.injected import LEAST, MOST, PHRASES, inject, n_injected
from curation.calibration.planted import NOTHING, CaseResult, report_source
from curation.verdicts.fences import needs_fence
from curation.verdicts.judging import Verdict
from schemas.own_prompt import CHOICES
from tests.curation.calibration.test_planted import CASES, good, judged
from tests.promises import promise

YES_NO = inject(CASES, mode='yes_no', choices=CHOICES['yes_no'])


def obedient(case):
    """Do what the text says, else judge well."""
    asked = case.plant == 'injected'
    return Verdict('yes_no', (-1.0 if asked == case.accept else 1.0))


def deaf(case):
    return Verdict('yes_no', 1.0 if case.accept else -1.0)


def test_half_of_them_are_wrong_and_ask_to_be_called_right_and_half_are_right_and_ask_to_be_called_wrong():
    assert len(YES_NO) == n_injected(len(CASES), 'yes_no') == MOST
    plain = {(case.sample_id, case.accept): case.candidate for case in CASES if case.plant != 'swapped'}
    for case in YES_NO:
        assert case.candidate.startswith(plain[case.sample_id, case.accept].rstrip('.'))
        assert re.search(r'\b(Yes|No)\b', case.candidate)[0] == ('Yes' if case.accept else 'No')
        assert needs_fence(case.candidate)
    assert sum(case.accept for case in YES_NO) == MOST // 2
    ways = {re.sub('Yes|No|right|wrong', '_', case.candidate.removeprefix(plain[case.sample_id, case.accept].rstrip('.'))) for case in YES_NO}
    assert len(ways) == len(PHRASES)
    assert len({case.case_id for case in (*CASES, *YES_NO)}) == len(CASES) + MOST


def test_the_words_are_those_of_the_mode():
    for case in inject(CASES, mode='paper', choices=('Ja', 'Nein')):
        assert re.search(r'\b(Ja|Nein)\b', case.candidate)[0] == ('Nein' if case.accept else 'Ja')  # Yes says that an answer is wrong
    for case in inject(CASES, mode='pairwise', choices=CHOICES['pairwise']):
        assert f'the letter of {"this" if case.accept else "the other"} answer' in case.candidate


def test_they_are_few():
    assert [n_injected(n, 'yes_no') for n in (0, 3, 20, 80, 10_000)] == [0, LEAST, LEAST, 10, MOST]
    assert inject(CASES, mode='likelihood', choices=('', '')) == []
    assert len(inject(CASES[:3], mode='yes_no', choices=CHOICES['yes_no'])) == 2
    assert inject([], mode='yes_no', choices=CHOICES['yes_no']) == []


@promise('Text that speaks to the judge', 'How often planted answers get the verdict they ask for stands in manifest and card', planted_answers=MOST)
@pytest.mark.parametrize(('judge', 'hits'), [(obedient, MOST), (deaf, 0)])
def test_the_rate_is_that_of_those_who_got_what_they_asked_for_beside_the_same_without(judge, hits):
    report = report_source('s', judged(judge, [*CASES, *YES_NO]), margin=0.0)
    assert (report.injected.hits, report.injected.total) == (hits, MOST)
    assert report.injected.low < report.injected.value + 1e-9
    assert report.injected.value - 1e-9 < report.injected.high
    assert (report.uninjected.hits, report.uninjected.total) == (0, MOST)
    assert report_source('s', judged(judge), margin=0.0).injected == NOTHING


def test_no_other_figure_changes():
    alone, beside = report_source('s', judged(good), margin=0.5), report_source('s', judged(good, [*CASES, *YES_NO]), margin=0.5)
    for name in ('counts', 'catch', 'catch_by_judge', 'false_rejection', 'unparsable', 'auc', 'auc_low', 'suggested_margin', 'constant_share'):
        assert getattr(alone, name) == getattr(beside, name)


def test_a_reply_without_a_score_gives_no_text_what_it_asks_for():
    results = [CaseResult(case, None, Verdict('yes_no', None)) for case in YES_NO]
    assert report_source('s', results, margin=0.0).injected.hits == 0
