"""What the default of `turns` leaves out is told where sources are looked at, and what is written is meant; `validate` has no empty columns."""

import json

import pytest
import yaml

TOLD = '120 further turns are not taken: turns: each takes every question'


@pytest.fixture
def mine(tmp_path):
    """A recipe of one source: 60 records of three questions each."""
    def write(**more):
        talk = [turn for i in range(3) for turn in ({'from': 'human', 'value': f'Question {i}?'}, {'from': 'gpt', 'value': f'Answer {i}.'})]
        (tmp_path / 'a.json').write_text(json.dumps([{'id': i, 'conversations': talk} for i in range(60)]))
        source = {'format': 'llava', 'annotations': ['a.json'], 'licence': 'MIT', **more}
        (tmp_path / 'r.yaml').write_text(yaml.safe_dump({'name': 'r', 'root': '.', 'sources': {'mine': source}}))
        return tmp_path / 'r.yaml'

    return write


def test_turns_that_the_default_leaves_out_are_told(front, mine):
    code, out, _ = front('validate', mine())
    assert code == 0
    assert TOLD in ' '.join(out.split())


@pytest.mark.parametrize('turns', ['first', 'each', 'all'])
def test_turns_that_the_recipe_says_are_meant(front, mine, turns):
    assert 'further turns' not in front('validate', mine(turns=turns))[1]


def test_preview_and_build_tell_it_too(front, mine, tmp_path):
    recipe = mine()
    assert TOLD in front('preview', recipe, '--out', tmp_path / 'p')[2]
    code, _, err = front('build', recipe, '--out', tmp_path / 'b', '--mix-only', '--workers', 0)
    assert code == 0
    assert TOLD in err


@pytest.mark.parametrize(('more', 'columns'), [({}, set()), ({'expected_today': 60}, {'today'}), ({'expected_paper': 9}, {'paper'})])
def test_what_no_source_expects_has_no_column(front, mine, more, columns):
    out = front('validate', mine(**more))[1]
    assert {word for word in ('today', 'paper') if word in out.split('┡')[0]} == columns
