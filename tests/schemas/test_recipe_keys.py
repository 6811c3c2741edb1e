"""`phantom help KEY` and `phantom schema`."""

import json

import pytest

from schemas.recipe_schema import recipe_schema


@pytest.mark.parametrize(('key', 'told'), [
    ('judge.margin', ['judge.margin\n', 'number  default: 0.0', 'Keep a candidate only above this score', 'example: margin: 0.5']),
    ('sources.*.turns', ['first | all | each  default: first', 'example: turns: each']),
    ('sources.mine.turns', ['sources.*.turns\n']), ('sources.turns', ['sources.*.turns\n']), ('turns', ['sources.*.turns\n']),
    ('generate[0].prompt', ['generate.*.prompt\n', 'rules | paper | grounded']), ('generate.0.per_sample', ['whole number from 1 to 16']),
    ('licence', ['sources.*.licence\n', 'text  required']), ('judge', ['judge.second ', 'judge.margin ']),
    ('max_failed', ['generate.*.max_failed\n', 'judge.max_failed\n', 'rate.max_failed\n']),
    ('budget', ['A request is a post that a server took', 'budget.money']),
])  # fmt: skip
def test_help_tells_a_key(front, key, told):
    code, out, err = front('help', key)
    assert (code, err) == (0, '')
    assert all(words in out for words in told), out


def test_help_lists_the_sections(front):
    out = front('help')[1]
    assert [line.split()[0] for line in out.split('\n\n')[0].splitlines()] == list(recipe_schema()['properties'])


@pytest.mark.parametrize(('key', 'meant'), [
    ('jugde.margin', 'did you mean judge.margin'), ('marjin', 'judge.second.margin'), ('sources.a.license', 'sources.*.licence'), ('qqqq', '`phantom help` lists'),
])
def test_a_key_nobody_knows_is_told_with_those_that_are_near(front, key, meant):
    code, out, err = front('help', key)
    assert (code, out) == (2, '')
    assert f"expected a key of a recipe, found '{key}'" in err
    assert meant in err


def test_the_schema_is_printed(front):
    code, out, err = front('schema')
    assert (code, err) == (0, '')
    assert json.loads(out) == recipe_schema()
