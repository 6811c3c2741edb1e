"""What a hostile or hasty recipe is told: each of these once ended in a traceback, in a hang, or in a value silently lost."""

import pytest

from schemas.errors import UserError
from schemas.recipe import load_recipe
from tests.promises import promise
from tests.schemas.test_recipe import GOOD, write

LEVELS = ''.join(f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]\n' for i in range(1, 12))
BOMB = 'a0: &a0 [x, x, x, x, x, x, x, x, x]\n' + LEVELS.replace('a11: &a11', 'name: &a11')


def told(tmp_path, text, *sets):
    with pytest.raises(UserError) as refused:
        load_recipe(write(tmp_path, text), sets)
    return str(refused.value)


def test_an_unknown_key_comes_with_the_one_that_was_meant(tmp_path):
    message = told(tmp_path, GOOD.replace('licence', 'license') + 'contamination: {benchmarks: [{name: b, paht: b}]}\nbudgett: {}\nzzz: 1\n'
                   'judge: {second: {model: m, margni: 1}}\n')
    assert 'sources.a.license: unknown key; did you mean licence?' in message
    assert 'contamination.benchmarks.0.paht: unknown key; did you mean path?' in message
    assert 'judge.second.margni: unknown key; did you mean margin?' in message
    assert 'budgett: unknown key; did you mean budget?' in message
    assert 'zzz: unknown key; `phantom help` lists those there are' in message


def test_names_that_do_not_exist_are_told_beside_unknown_keys(tmp_path):
    message = told(tmp_path, GOOD + 'jugde: {}\ngenerate: [{prompt: paper, model: nobody, tokens: 1}]\n')
    assert '3 fault(s)' in message
    assert 'jugde: unknown key; did you mean judge?' in message
    assert "generate[0].model: expected one of those that the recipe names, which are none, found 'nobody'" in message


@pytest.mark.parametrize(('text', 'expected'), [
    (BOMB + 'sources: {}\n', 'values once each alias is what it stands for'),
    ('name: ' + '[' * 1500, 'more than 50 deep'),
    (GOOD + 'budget: {requests: ' + '9' * 6000 + '}\n', 'a number of 6000 digits'),
    (GOOD.replace('tiny', '0x' + 'f' * 6000), 'a number of 6002 digits'),
    (GOOD.replace('tiny', '2024-13-45'), 'month must be in 1..12'),
    (GOOD.replace('MIT}', 'MIT, quota: 99999999999999999999}'), 'sources.a.quota: Input should be less than or equal to'),
    (GOOD + 'triples: {max_samples: {a: -5}}\n', 'triples.max_samples.a: Input should be greater than or equal to 0, found -5'),
    (GOOD + 'judge: {margin: .nan}\n', 'judge.margin: Input should be a finite number, found nan'),
    (GOOD + '  a: {format: messages, annotations: [b.json], licence: MIT}\n', "the key 'a' stands twice"),
    (GOOD + 'root: "a\\0b"\n', 'root: String should match pattern'),
    ('&s\nname: x\nsources: *s\n', 'a value that holds itself'),
])
@promise('Hostile files', 'A hostile recipe is one short message.')
def test_a_hostile_document_is_one_short_message(tmp_path, text, expected):
    message = told(tmp_path, text)
    assert expected in message
    assert len(message) < 2000


@pytest.mark.parametrize('value', ['[', '!!python/name:os.system', '2024-13-45', '[' * 1500])
def test_a_value_from_the_command_line_that_is_no_yaml_is_told(tmp_path, value):
    assert '--set judge.margin=' in told(tmp_path, GOOD, f'judge.margin={value}')


@pytest.mark.parametrize('key', ['base_urls: ["http://me:hunter2@host/v1"]', 'base_urls: ["http://host/v1?key=hunter2"]',
                                 'base_urls: "http://me:hunter2@host/v1"', 'base_urls: ["hunter2"]', 'api_key_env: hunter-2-hunter2',
                                 'base_urls: ["http://hunter2:hunter2/v1"]'])
@promise('Keys', 'A key that stands where none belongs is refused and not repeated.')
def test_a_key_in_the_wrong_place_is_refused_and_not_repeated(tmp_path, key):
    message = told(tmp_path, GOOD + f'models: {{m: {{model: x, revision: r, {key}}}}}\n')
    assert 'models.m' in message
    assert 'hunter2' not in message


def test_a_served_model_needs_an_address(tmp_path):
    assert 'models.m: serve: expected base_urls beside it' in told(tmp_path, GOOD + 'models: {m: {model: x, revision: r, serve: demo}}\n')


def test_money_without_a_price_would_never_stop_anything(tmp_path):
    text = GOOD + 'models: {m: {model: x, revision: r}}\njudge: {model: m}\nbudget: {money: 20}\n'
    assert 'budget.money: expected price_prompt or price_completion' in told(tmp_path, text)
    assert load_recipe(write(tmp_path, text), ('models.m.price_completion=2',)).budget.money == 20


def test_merge_keys_and_aliases_are_no_double_keys(tmp_path):
    text = GOOD.replace('a: {', 'a: &a {') + '  b: &b {<<: *a, licence: CC0-1.0}\n  c: {<<: *b, turns: each}\n'
    sources = load_recipe(write(tmp_path, text)).sources
    assert [(name, source.licence, source.turns) for name, source in sources.items()] == [
        ('a', 'MIT', 'first'), ('b', 'CC0-1.0', 'first'), ('c', 'CC0-1.0', 'each')]


def test_braces_in_a_root_are_a_name_and_only_out_is_filled_in(tmp_path):
    recipe = load_recipe(write(tmp_path, GOOD + "root: '{out}/a{b}/{out.__class__}'\n"))
    assert str(recipe.root_of(tmp_path)) == f'{tmp_path}/a{{b}}/{{out.__class__}}'
