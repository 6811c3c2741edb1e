"""Whom a judge may judge: a source of open answers needs a calibrated one; of exact answers, where it is none, it is not asked, and the card says so."""

import pytest

from curation.calibration.planted import Rate, SourceReport
from pipelines.chat.models import check_plan, may_be_judged
from pipelines.snapshot.card import triples_card
from pipelines.snapshot.report import markdown_calibration
from pipelines.triples.calibration import gate_sources, not_asked
from schemas.errors import UserError
from schemas.recipe import Recipe

NO_RATE = Rate(0, 10, 0.0, 0.3)


def report(source, auc):
    return SourceReport(source, 'yes_no', (('equal', 10),), NO_RATE, NO_RATE, NO_RATE, NO_RATE, auc, auc - 0.1, auc + 0.1, 0.0, 0.1, float('nan'))


def recipe(**more):
    sources = {name: {'format': 'llava', 'annotations': ['a'], 'licence': 'MIT', 'answers': answers, 'accept_uncalibrated': accepts}
               for name, answers, accepts in (('open', 'open', False), ('exact', 'exact', False), ('shrugs', 'open', True), ('bold', 'exact', True))}  # fmt: skip
    return Recipe.model_validate({
        'name': 'r', 'sources': sources, 'models': {'m': {'base_urls': ['http://127.0.0.1:9/v1'], 'model': 'm', 'revision': '1'}},
        'generate': [{'prompt': 'rules'}, {'prompt': 'paper', 'model': 'm'}], 'judge': {'model': 'm'}, **more})  # fmt: skip


def test_a_judge_at_chance_stops_open_sources_only():
    with pytest.raises(UserError, match="source 'open'") as told:
        gate_sources([report('open', 0.5), report('exact', 0.5), report('shrugs', 0.5)], recipe())
    assert "'exact'" not in str(told.value)
    assert list(gate_sources([report('open', 0.9), report('exact', 0.5), report('shrugs', 0.5), report('bold', 0.5)], recipe())) == ['shrugs', 'bold']


def test_on_exact_answers_a_judge_at_chance_is_not_asked():
    found = not_asked([report('open', 0.5), report('exact', 0.5), report('bold', 0.5)], recipe())
    assert list(found) == ['exact']
    assert not_asked([report('exact', 0.9)], recipe()) == {}
    page = triples_card(recipe(), ['train'], [], [report('exact', 0.5)], {}, '', found)
    assert 'On exact the judge was not asked' in page
    assert '`CANNOT_TELL`' in page
    assert '| not asked |' in markdown_calibration([report('exact', 0.5)], {}, found)


def test_exact_answers_that_only_rules_make_wrong_need_no_judge():
    rules = recipe(generate=[{'prompt': 'rules'}, {'prompt': 'paper', 'model': 'm', 'sources': ['open']}])
    assert [name for name in rules.sources if may_be_judged(rules, name)] == ['open', 'shrugs']
    assert [name for name in recipe().sources if may_be_judged(recipe(), name)] == ['open', 'exact', 'shrugs', 'bold']
    assert not any(may_be_judged(recipe(judge={}), name) for name in recipe().sources)


def test_exact_answers_without_a_judge_are_a_plan_that_works_and_open_ones_are_none():
    exact = {name: {'format': 'llava', 'annotations': ['a'], 'licence': 'MIT', 'answers': 'exact'} for name in ('a', 'b')}
    check_plan(recipe(sources=exact, judge={}), reach=False)
    with pytest.raises(UserError, match='open, shrugs have open answers'):
        check_plan(recipe(judge={}), reach=False)
