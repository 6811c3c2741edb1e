"""The JSON Schema that editors read says what `load_recipe` says: of the shipped recipes, of examples, and of keys with faults."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from schemas.recipe import Recipe, load_recipe
from schemas.recipe_docs import PAGE, recipe_page, recipe_schema_text
from schemas.recipe_examples import EXAMPLES
from schemas.recipe_keys import REQUIRED, all_keys
from schemas.recipe_schema import recipe_schema
from schemas.shipped import MODELINE, SCHEMA, list_recipes, shipped

GOOD = {'name': 'r', 'sources': {'a': {'format': 'llava', 'annotations': ['a.json'], 'licence': 'MIT'}}}
BASE = {'extends': 'phantom', 'name': 'mine'}


def faults(recipe: dict) -> list[str]:
    return [fault.message for fault in jsonschema.Draft7Validator(recipe_schema()).iter_errors(recipe)]


@pytest.mark.parametrize('name', sorted(shipped()))
def test_each_shipped_recipe_names_the_schema_first_and_is_valid_by_it(name):
    text = shipped()[name].read_text('utf-8')
    assert (shipped()[name].parent / text.partition('\n')[0].removeprefix(MODELINE)).samefile(SCHEMA)
    assert faults(yaml.safe_load(text)) == []


def test_the_list_of_recipes_tells_their_purpose_and_not_the_line_for_editors():
    assert 'The whole chain on real input, small' in list_recipes()
    assert 'yaml-language-server' not in list_recipes()


@pytest.mark.parametrize('files', [(SCHEMA, recipe_schema_text), (PAGE, recipe_page)])
def test_the_files_are_what_the_generator_makes(files):
    path, text = files
    assert path.read_text('utf-8') == text(), 'python -m schemas.recipe_docs makes it anew'


@pytest.mark.parametrize('wrong', [
    {**GOOD, 'jugde': {}}, {**GOOD, 'judge': {'margn': 1}}, {**GOOD, 'judge': {'margin': 'high'}}, {**GOOD, 'mix': {'shard_mb': 501}},
    {**GOOD, 'sources': {'a': {**GOOD['sources']['a'], 'turns': 'every'}}}, {**GOOD, 'sources': {'a': {'format': 'llava', 'licence': 'MIT'}}},
    {**GOOD, 'sources': {'a/b': GOOD['sources']['a']}}, {**GOOD, 'sources': {}}, {'name': 'r'}, {'sources': GOOD['sources']},
    {**GOOD, 'sources': {'a': {**GOOD['sources']['a'], 'columns': {'picture': 'p'}}}}, {**GOOD, 'generate': [{'prompt': 'rule'}]},
    {**GOOD, 'models': {'m': {'model': 'x'}}}, {**GOOD, 'judge': {'second': {'margin': 1}}}, {**BASE, 'judge': {'margn': 1}},
], ids=str)  # fmt: skip
def test_a_key_with_a_fault_is_refused_as_load_recipe_refuses_it(tmp_path, wrong):
    assert faults(wrong)
    (tmp_path / 'r.yaml').write_text(yaml.safe_dump(wrong))
    with pytest.raises(Exception, match='fault'):
        load_recipe(tmp_path / 'r.yaml')


@pytest.mark.parametrize('right', [
    {**BASE, 'sources': {'smr': None, 'mathplus': {'subset': 5}}}, BASE, {**GOOD, 'rate': None, 'generate': [{'prompt': 'rules'}]},
    {**GOOD, 'sources': {'a': {**GOOD['sources']['a'], 'strip_prefix': '/mnt'}}},
    {**GOOD, 'models': {'m': {'model': 'x', 'revision': 'r'}}, 'rate': {'model': 'm', 'ask': 'correct', 'drop': {'correct': 0.1}}},
    {**GOOD, 'models': {'m': {'model': 'x', 'revision': 'r'}}, 'rate': {'model': ['m'], 'drop': {'correct': {'precision': 0.9}}}},
], ids=str)  # fmt: skip
def test_what_load_recipe_takes_is_valid(tmp_path, right):
    assert faults(right) == []
    (tmp_path / 'r.yaml').write_text(yaml.safe_dump(right))
    load_recipe(tmp_path / 'r.yaml')


def test_every_key_has_its_words_and_an_example():
    assert {key.path for key in all_keys() if not key.text} == set()
    lacking = [key for key in all_keys() if not key.example and not key.about]
    assert {key.name for key in lacking} == {'text', 'system_text'}, 'what is read from the files of prompts needs none'
    assert set(EXAMPLES) <= {key.path for key in all_keys()}


def node_of(schema: dict, path: str) -> list[dict]:
    """Return the schemas of what may stand at a path."""
    found = [schema]
    for part in path.split('.'):
        found = [inner for node in found for inner in steps(node, part, schema['$defs'])]
    return found


def steps(node: dict, part: str, defs: dict) -> list[dict]:
    if '$ref' in node:
        return steps(defs[node['$ref'].rpartition('/')[2]], part, defs)
    inside = [step for one in (*node.get('anyOf', ()), *node.get('oneOf', ())) for step in steps(one, part, defs)]
    if part != '*':
        return inside + ([node['properties'][part]] if part in node.get('properties', {}) else [])
    values = [node.get('items'), node.get('additionalProperties'), *node.get('patternProperties', {}).values()]
    return inside + [value for value in values if isinstance(value, dict)]


def test_each_example_is_valid_where_it_stands_and_no_default():
    schema = recipe_schema()
    for key in all_keys():
        if key.example:
            whole = {'anyOf': node_of(schema, key.path), '$defs': schema['$defs']}
            jsonschema.Draft7Validator(whole).validate(yaml.safe_load(key.example))
            assert key.example != key.default, key.path


def test_defaults_are_those_of_the_models():
    told = {key.path: key.default for key in all_keys()}
    recipe = Recipe.model_validate(GOOD).model_dump(mode='json')
    for path, default in told.items():
        at: object = recipe
        for part in path.split('.'):
            at = at.get(part, None) if isinstance(at, dict) else None
        if default not in ('', REQUIRED) and '*' not in path and at is not None:
            assert yaml.safe_load(default) == at, path


def test_the_schema_loads_nothing_from_elsewhere():
    jsonschema.Draft7Validator.check_schema(recipe_schema())

    def refs(node):
        values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        return [*([node['$ref']] if isinstance(node, dict) and '$ref' in node else []), *(ref for value in values for ref in refs(value))]
    assert all(ref.startswith('#/') for ref in refs(recipe_schema()))
    assert json.loads(Path(SCHEMA).read_text('utf-8'))['$schema'] == 'http://json-schema.org/draft-07/schema#'
