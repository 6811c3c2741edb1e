"""Recipes with `wrong_labels`: what it needs is told with all other faults, and nothing of it changes a recipe without."""

import pytest

from schemas.errors import UserError
from schemas.recipe import load_recipe
from schemas.wrong_labels import BELOW, SURE, below_of, sure_of

RECIPE = """
name: r
sources:
  open: {format: llava, annotations: [a.json], images: [i], licence: MIT}
  exact: {format: llava, annotations: [b.json], images: [i], licence: MIT, answers: exact}
models: {m: {base_urls: ['http://127.0.0.1:9/v1'], model: m, revision: r}}
judge: {model: m}
generate: [{prompt: wrong_labels%s}]
"""
RATED = 'rate={from: [ratings.parquet]}'


def recipe(folder, more='', *sets):
    (folder / 'ratings.parquet').touch()
    (folder / 'r.yaml').write_text(RECIPE % more)
    return load_recipe(folder / 'r.yaml', sets)


@pytest.mark.parametrize('sets', [(RATED,), ('contradictions=majority',), (RATED, 'contradictions=flag')])
def test_ratings_or_a_majority_are_enough(tmp_path, sets):
    generator = recipe(tmp_path, '', *sets).generate[0]
    assert (generator.name, generator.model, below_of(generator), sure_of(generator)) == ('wrong_labels', None, BELOW, SURE)
    assert not generator.sees


@pytest.mark.parametrize(('more', 'sets', 'told'), [
    ('', (), 'generate[0].prompt: expected `rate: {from: [...]}`'),
    ('', ('contradictions=drop_all',), 'or `contradictions: majority` for'),
    ('', ('rate={model: m}',), 'found neither'),
    (', sources: [exact]', (RATED,), "generate[0].sources: expected sources of open answers for 'wrong_labels', found exact"),
    ('', (RATED, 'sources.open=null'), 'found answers: exact in all of them'),
    (', below: 0.1', ('contradictions=majority',), 'generate[0].below, sure: expected `rate: {from: [...]}` beside them'),
    ('', ('rate={from: [ratings.parquet], drop: {correct: 0.05}}',), 'rate.drop.correct: expected less than 0.05 (generate[0].below), found 0.05'),
    (', model: m', (RATED,), "'rules' takes no model, nor does 'wrong_labels'"),
    (', per_sample: 2', (RATED,), "per_sample: expected 1 for 'wrong_labels'"),
    (', below: 1.5', (RATED,), 'below'),
    (', sure: -1', (RATED,), 'sure'),
    (', below: yes please', (RATED,), 'below'),
])  # fmt: skip
def test_what_would_find_no_wrong_label_is_refused(tmp_path, more, sets, told):
    with pytest.raises(UserError) as fault:
        recipe(tmp_path, more, *sets)
    assert told in str(fault.value)


def test_what_is_left_out_below_a_lower_rating_leaves_some(tmp_path):
    assert recipe(tmp_path, ', below: 0.2', 'rate={from: [ratings.parquet], drop: {correct: 0.05}}').generate[0].below == 0.2


def test_its_settings_are_its_own(tmp_path):
    (tmp_path / 'r.yaml').write_text((RECIPE % '').replace('wrong_labels', 'rules, below: 0.1'))
    with pytest.raises(UserError, match="below, sure: expected with prompt 'wrong_labels' alone, found with 'rules'"):
        load_recipe(tmp_path / 'r.yaml')
    (tmp_path / 'r.yaml').write_text((RECIPE % '').replace('wrong_labels', 'rules'))
    assert {'below', 'sure'}.isdisjoint(load_recipe(tmp_path / 'r.yaml').generate[0].model_dump()), 'other marks for recipes that were built before'
