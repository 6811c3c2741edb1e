"""All faults of a recipe come together: those within a part, those of the part as a whole, and those between parts."""

import pytest

from schemas.errors import UserError
from schemas.recipe import load_recipe
from tests.schemas.test_recipe import GOOD, write

MODEL = GOOD + 'models: {m: {model: x, revision: r}}\n'


def told(tmp_path, text):
    with pytest.raises(UserError) as refused:
        load_recipe(write(tmp_path, text))
    return str(refused.value)


@pytest.mark.parametrize(('text', 'faults'), [
    (GOOD + 'rate: {model: nobody, ask: [corect, needs_picture], drop: {foo: 2}, max_samples: {b: 3}}\n',
     ['rate.ask.0: expected one of correct', 'rate: drop.foo: expected one of the questions asked', "rate.model: expected one of those that the recipe names, which are none, found 'nobody'",
      "rate.max_samples: expected one of ['a'], found 'b'"]),
    (MODEL + 'rate: {model: [m, n], ask: [{name: safe, file: no.md}], claims: true, max_samples: {b: -1, c: 2}, from: no.parquet, mdel: x}\n',
     ['rate.ask.0.file: expected a text file, found none', 'rate.from.0: expected a Parquet file', 'rate.max_samples.b: Input should be greater',
      'rate.mdel: unknown key; did you mean model?', 'rate: claims: expected correct', "rate.model: expected one of ['m'], found 'n'",
      "rate.max_samples: expected one of ['a'], found 'c'"]),
    (MODEL + 'rate: {model: m, ask: needs_picture, drop: {needs_picture: {precision: 2}}}\njudge: {model: z}\n',
     ['rate.drop.needs_picture.precision: Input should be less', "judge.model: expected one of ['m'], found 'z'", 'rate.ask: expected a model that can see']),
    (MODEL + 'rate: {claims: true}\nbudget: {money: 3}\ngenerate: [{prompt: paper}]\n',
     ['rate: expected `model:` (who rates)', 'claims: expected correct', "generate.0: 'rules' takes no model"]),
    (MODEL + 'rate: {model: m, max_failed: 3, max_samples: {b: 1}}\n', ['rate.max_failed: Input should be less', "expected one of ['a'], found 'b'"]),
])  # fmt: skip
def test_faults_of_ratings_come_with_those_of_the_rest(tmp_path, text, faults):
    message = told(tmp_path, text)
    assert [fault for fault in faults if fault not in message] == []


@pytest.mark.parametrize(('text', 'not_said'), [
    (MODEL + 'rate: {model: 5}\n', 'found neither'),
    (MODEL + 'rate: {model: m, ask: [corect], drop: {corect: 0.5}}\n', 'expected one of the questions asked'),
    (MODEL.replace('revision: r', 'revision: r, images: maybe') + 'rate: {model: m, ask: [needs_picture]}\n', 'a model that can see'),
    (MODEL.replace('revision: r', 'revision: r, price_prompt: -1') + 'judge: {model: m}\nbudget: {money: 5}\n', 'expected price_prompt'),
    (MODEL + 'mix: {weights: {a: -1}, total: 5}\n', 'mix.total'),
    (MODEL + 'mix: {weights: 7, total: 5}\n', 'mix.total'),
    (MODEL.replace('revision: r', 'revison: r') + 'judge: {model: m}\n', 'judge.model'),
    (MODEL.replace('licence', 'license') + 'rate: {model: m, max_samples: {a: 3}}\n', 'max_samples'),
])
def test_what_only_follows_from_a_fault_is_none(tmp_path, text, not_said):
    message = told(tmp_path, text)
    assert '1 fault(s)' in message or 'unknown key' in message
    assert not_said not in message
