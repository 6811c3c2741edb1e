"""Which thresholds follow from rated cases and samples, and what a model asks about a sample."""

import json
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipelines.mix.rated import RATED, Drop, highest
from pipelines.mix.rater import Rater, exchanges
from pipelines.mix.rating_cases import CASES
from pipelines.mix.rating_reports import drops_of, reports_of
from pipelines.snapshot.mix_rows import MixRow
from schemas.recipe import Model, Recipe
from schemas.records import Turn
from tests.pipelines.mix.mixes import table_of
from tests.programmes.project import picture

SOURCES = {name: {'format': 'llava', 'annotations': ['a'], 'licence': 'MIT'} for name in ('good', 'chance')}
MODELS = {name: {'base_urls': ['http://127.0.0.1:9/v1'], 'model': name, 'revision': 'r'} for name in ('one', 'two')}


def recipe(**rate):
    return Recipe.model_validate({'name': 'r', 'sources': SOURCES, 'models': MODELS, 'rate': rate})


def rated(*rows):
    """Return ratings: (source, row, rater, score)."""
    empty = {'sample_id': '', 'ask': 'correct', 'scores': '{}', 'reason': '', 'detail': '', 'reply_keys': []}
    return pa.Table.from_pylist([{**empty, 'part': 0, 'row': row, 'source': source, 'by': by, 'score': score} for source, row, by, score in rows], RATED)


def cases(source, *rows):
    """Return planted cases of a source: (rater, good, score)."""
    empty = {'question': '', 'answer': '', 'pictures_of': '', 'scores': '{}', 'reason': '', 'detail': '', 'reply_keys': []}
    return pa.Table.from_pylist([{**empty, 'case_id': f'{source}{at}', 'sample_id': '', 'source': source, 'ask': 'correct', 'by': by,
                                  'plant': 'own' if good else 'other answer', 'good': good, 'score': score} for at, (by, good, score) in enumerate(rows)], CASES)


@pytest.fixture
def tables(tmp_path):
    """A source on which `one` knows, and one on which it tosses a coin; one in five of the good one's answers is wrong."""
    knows = [('one', True, 0.9 - n / 100) for n in range(20)] + [('one', False, 0.05 + n / 500) for n in range(20)]
    tosses = [('one', good, n / 20) for n in range(20) for good in (True, False)]
    own = [('good', n, 'one', 0.06 if n % 5 == 0 else 0.8 + n / 1000) for n in range(100)] + [('chance', n, 'one', n / 100) for n in range(100)]
    return table_of(tmp_path / 'cases', cases('good', *knows), cases('chance', *tosses)), table_of(tmp_path / 'ratings', rated(*own))


def test_where_a_rater_knows_the_calibration_chooses_and_where_it_tosses_a_coin_nothing_is_left_out(tables):
    asked = recipe(model='one', drop={'correct': {'precision': 0.9}})
    good, chance = reports_of(asked, *tables)
    assert (good.source, good.fault, chance.source) == ('good', '', 'chance')
    assert good.wrong == pytest.approx(0.2, abs=0.08)
    assert 0.06 < good.chosen < 0.8
    drops, refused = drops_of(asked, [good, chance], files=False)
    assert drops == (Drop('correct', 'good', good.chosen, models=True),)
    assert len(refused) == 1
    assert "on source 'chance'" in refused[0]


def test_a_file_is_heard_where_the_model_is_not(tables):
    asked = recipe(model='one', drop={'correct': 0.5}, **{'from': ['x.parquet']})
    drops, refused = drops_of(asked, reports_of(asked, *tables), files=True)
    assert drops == (Drop('correct', 'good', 0.5, models=True), Drop('correct', 'chance', 0.5, models=False))
    assert len(refused) == 1


def test_a_source_that_accepts_it_is_thinned_all_the_same(tables):
    asked = recipe(model='one', drop={'correct': 0.5})
    accepting = asked.model_copy(update={'sources': {name: s.model_copy(update={'accept_uncalibrated': True}) for name, s in asked.sources.items()}})
    drops, refused = drops_of(accepting, reports_of(accepting, *tables), files=False)
    assert [drop.source for drop in drops] == ['good', 'chance']
    assert refused == ()


def test_of_several_raters_the_highest_counts(tmp_path):
    asked = recipe(model=['one', 'two'], drop={'correct': 0.5})
    own = table_of(tmp_path / 'ratings', rated(*(('good', n, by, score) for n in range(10) for by, score in (('one', 0.1), ('two', 0.7)))))
    reports = reports_of(asked, table_of(tmp_path / 'cases', CASES.empty_table()), own)
    assert [report.by for report in reports] == ['one', 'two', 'all']
    below = {report.by: next(cut.own.value for cut in report.cuts if cut.below == 0.5) for report in reports}
    assert below == {'one': 1.0, 'two': 0.0, 'all': 0.0}


def test_the_highest_rating_of_each_sample_stands_at_its_place():
    rows = rated(('s', 0, 'one', 0.1), ('s', 0, 'two', 0.4), ('s', 2, 'one', 0.9))
    scores = highest(rows, np.array([0, 3]), 3)
    assert scores[[0, 2]].tolist() == [0.4, 0.9]
    assert math.isnan(scores[1])


@pytest.fixture
def talk():
    """A conversation of two exchanges, a picture in each."""
    turns = (Turn('user', '<image>\nWhat is it?'), Turn('assistant', 'A boat.'), Turn('user', '<image>\nAnd here?'))
    return MixRow('s/a#0/0', 's', '', turns, 'A red car. It has two doors.', ('p0', 'p1'), (('p0', picture('p0')), ('p1', picture('p1'))))


def rater(**changes):
    return replace(Rater(None, {'m': Model(model='m', revision='r', images=True)}, ('correct',), False, False), **changes)


def test_each_answer_of_a_conversation_is_asked_about_with_the_pictures_shown_until_then(talk):
    assert [answer for _, answer in exchanges(talk)] == ['A boat.', 'A red car. It has two doors.']
    (inquiry,) = rater()._answered(talk, ['correct']).inquiries
    first, second = (json.dumps(json.loads(request.body)['messages']) for request in inquiry.requests)
    assert (first.count('image_url":'), second.count('image_url":')) == (1, 2)
    assert 'And here?' not in first


def test_long_answers_are_asked_about_by_statement(talk):
    (inquiry,) = rater(claims=True)._answered(talk, ['correct']).inquiries
    assert inquiry.said == ('A boat.', 'A red car.', 'It has two doors.')
    assert len(inquiry.requests) == 3
    short = replace(talk, answer='A red car')
    assert rater(claims=True)._answered(short, ['correct']).inquiries[0].said == ()


def test_text_alone_is_not_asked_whether_it_needs_a_picture(talk):
    alone = replace(talk, turns=(Turn('user', 'What is it?'),), image_ids=(), images=())
    assert rater()._answered(alone, ['needs_picture']).inquiries == []
    (inquiry,) = rater()._answered(talk, ['needs_picture']).inquiries
    assert [len(request.images) for request in inquiry.requests] == [2, 0, 2]
