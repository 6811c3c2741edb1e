import pickle
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipelines.chat.models import identity
from schemas.errors import UserError
from schemas.recipe import Model, load_recipe

GOOD = """
name: tiny
sources:
  a: {format: llava, annotations: [a.json], licence: MIT}
"""


def write(tmp_path, text):
    path = tmp_path / 'recipe.yaml'
    path.write_text(text)
    return path


def test_a_short_recipe_has_all_sections(tmp_path):
    recipe = load_recipe(write(tmp_path, GOOD))
    assert recipe.sources['a'].turns == 'first'
    assert recipe.judge.mode == 'likelihood'
    assert recipe.budget.requests is None


def test_all_faults_are_told_at_once(tmp_path):
    bad = GOOD + """
jugde: {margin: 1}
images: {max_pixels: -3}
generate: [{prompt: paper, model: nobody}, {prompt: rules, model: x}]
"""
    with pytest.raises(UserError) as told:
        load_recipe(write(tmp_path, bad))
    assert 'jugde: unknown key' in str(told.value)
    assert 'images.max_pixels: Input should be greater than or equal to 1, found -3' in str(told.value)
    assert "'rules' takes no model" in str(told.value)
    assert "recipe: generate[0].model: expected one of those that the recipe names, which are none, found 'nobody'; generate[1].model: expected one of those that the recipe names, which are none, found 'x'" in str(told.value)
    assert '4 fault(s)' in str(told.value)


def test_names_that_do_not_exist_are_told_with_those_that_do(tmp_path):
    bad = GOOD + "models: {m: {model: x, revision: r}}\ngenerate: [{prompt: paper, model: n, sources: [b]}]\n"
    with pytest.raises(UserError, match=r"generate\[0\].model: expected one of \['m'\], found 'n'; generate\[0\].sources: expected one of \['a'\], found 'b'"):
        load_recipe(write(tmp_path, bad))


COLUMNS = 'question: q, answer: a'


@pytest.mark.parametrize(('source', 'told'), [
    (f'{{format: columns, columns: {{picture: file, {COLUMNS}}}', "unknown role 'picture'; did you mean image?"),
    (f'{{format: columns, images: [p], columns: {{picture: file, {COLUMNS}}}', "unknown role 'picture'; did you mean image?"),
    (f'{{format: columns, columns: {{Image: file, {COLUMNS}}}', "unknown role 'Image'; did you mean image?"),
    (f'{{format: columns, columns: {{img: file, {COLUMNS}}}', "unknown role 'img'; did you mean image?"),
    ('{format: columns, columns: {qestion: q, answer: a}', "unknown role 'qestion'; did you mean question?"),
    ('{format: columns, columns: {prompt: q, response: a}', "unknown role 'response'; did you mean answer?"),
    (f'{{format: columns, columns: {{zzz: x, {COLUMNS}}}', "unknown role 'zzz'; expected one of"),
    ('{format: columns, columns: {question: q}', 'needs at least'),
    ('{format: columns, columns: {question: q, answer: [a, b]}', 'answer: expected the name of one column, found a list'),
    ("{format: columns, columns: {question: '', answer: a}", 'question: expected the name of a column, found nothing'),
    (f'{{format: columns, images: [pictures], columns: {{{COLUMNS}}}', "expected image: NAME beside `images: ['pictures']`"),
    (f'{{format: llava, columns: {{{COLUMNS}}}', "question: only the formats 'columns' and 'webdataset' read columns, found 'llava'"),
])
def test_columns_that_nothing_reads_are_faults_of_the_recipe(tmp_path, source, told):
    with pytest.raises(UserError) as fault:
        load_recipe(write(tmp_path, f'name: r\nsources:\n  a: {source}, annotations: [a.json], licence: MIT}}\n'))
    assert told in str(fault.value)
    assert 'sources.a.columns: ' in str(fault.value)


def test_a_role_that_was_meant_is_told_once(tmp_path):
    with pytest.raises(UserError) as fault:
        load_recipe(write(tmp_path, f'name: r\nsources:\n  a: {{format: columns, images: [p], columns: {{picture: file, {COLUMNS}}}, annotations: [a], licence: MIT}}\n'))
    assert str(fault.value).count('sources.a') == 1


@pytest.mark.parametrize('source', [
    f'{{format: columns, images: [p], columns: {{image: [i, j], options: o, system: s, id: [n, m], ignore: x, {COLUMNS}}}',
    f'{{format: webdataset, columns: {{{COLUMNS}}}', '{format: messages, columns: {ignore: [label], id: n}'])
def test_every_role_of_a_column_is_taken(tmp_path, source):
    load_recipe(write(tmp_path, f'name: r\nsources:\n  a: {source}, annotations: [a.json], licence: MIT}}\n'))


def test_a_value_can_be_set_from_outside_and_a_wrong_one_is_a_fault(tmp_path):
    path = write(tmp_path, GOOD)
    assert load_recipe(path, ('judge.margin=0.2', 'sources.a.turns=each')).judge.margin == 0.2
    with pytest.raises(UserError, match='judge.margine: unknown key'):
        load_recipe(path, ('judge.margine=0.2',))
    with pytest.raises(UserError, match='expected key.sub=value'):
        load_recipe(path, ('judge.margin',))


@pytest.mark.parametrize(('text', 'message'), [('- a\n', 'expected a mapping'), ('a: [\n', 'expected readable YAML'), ('', 'expected a mapping')])
def test_a_file_that_is_no_recipe_is_told(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        load_recipe(write(tmp_path, text))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match='expected a YAML file, found none'):
        load_recipe(tmp_path / 'no.yaml')


def test_known_placeholder_pictures_are_named_by_their_whole_sha256(tmp_path):
    known = 'ab' * 32
    assert load_recipe(write(tmp_path, GOOD), (f'images.placeholder_ids=[{known}]',)).images.placeholder_ids == (known,)
    with pytest.raises(UserError, match='images.placeholder_ids.0'):
        load_recipe(write(tmp_path, GOOD), ('images.placeholder_ids=[abc]',))


@pytest.mark.parametrize(('root', 'lies'), [('~/data', '/home/me/data'), ('{out}/data', '/o/data'), ('$HOME/data', '$HOME/data'), ('a~/b', 'a~/b')])
def test_a_root_in_the_home_of_the_user_is_found_and_no_variable_is_read(tmp_path, monkeypatch, root, lies):
    monkeypatch.setenv('HOME', '/home/me')
    assert load_recipe(write(tmp_path, GOOD + f"root: '{root}'")).root_of(Path('/o')) == tmp_path / lies


def test_resources_are_those_of_a_model_in_process_and_no_part_of_what_it_is():
    model = {'model': 'm', 'revision': 'r', 'backend': 'vllm'}
    shared = Model(**model, resources={'num_gpus': 0.5, 'num_cpus': 4})
    assert identity(shared) == identity(Model(**model))
    assert 'resources' not in Model(**model).model_dump(), 'what is written of models that say nothing stays as it was'
    for resources, told in (
        ({'num_gpus': 1.5}, 'expected a fraction of one, or a whole number, found 1.5'),
        ({'num_gpus': -1}, 'greater than or equal to 0'),
        ({'num_cpus': 0}, 'greater than 0'),
        ({'gpus': 1}, 'Extra inputs are not permitted'),
    ):
        with pytest.raises(ValidationError, match=told):
            Model(**model, resources=resources)
    with pytest.raises(ValidationError, match='resources: expected backend vllm beside it, found openai: a server has its devices already'):
        Model(model='m', revision='r', base_urls=['http://h/v1'], resources={'num_gpus': 1})


def test_set_reaches_into_lists_and_takes_out_what_is_null(tmp_path):
    path = write(tmp_path, GOOD + 'models: {m: {base_urls: [http://127.0.0.1:1/v1], model: m, revision: r}}\nbudget: {requests: 3}\n'
                 'generate: [{prompt: rules}, {prompt: grounded, model: m, temperature: 1.0}]\n')
    assert load_recipe(path, ['generate.1.temperature=0.5']).generate[1].temperature == 0.5
    (left,) = load_recipe(path, ['generate.0=null', 'generate.1.temperature=0.7']).generate
    assert left.temperature == 0.7, 'places are those of the file'
    assert load_recipe(path, ['sources.a.annotations.0=b.json']).sources['a'].annotations == ['b.json']
    assert load_recipe(path, ['budget=null']).budget.requests is None
    for override, told in {'generate.2.prompt=x': 'places, 0 to 1, found .2.', 'generate.few=1': 'found .few.', 'name.x=1': 'name is not a section'}.items():
        with pytest.raises(UserError, match=told):
            load_recipe(path, [override])


RELATIVE = GOOD + 'root: data\n'


def test_a_relative_root_is_seen_from_the_folder_of_the_recipe_wherever_the_command_runs(tmp_path, monkeypatch):
    for folder in ('mine/data', 'elsewhere/data'):
        (tmp_path / folder).mkdir(parents=True)
    recipe = write(tmp_path / 'mine', RELATIVE)
    monkeypatch.chdir(tmp_path / 'elsewhere')
    loaded = load_recipe(recipe)
    assert loaded.root_of(Path('/o')) == tmp_path / 'mine/data'
    assert pickle.loads(pickle.dumps(loaded.model_copy(update={'name': 'x'}))).root_of(Path('/o')) == tmp_path / 'mine/data'
    assert (loaded.root, type(loaded.root)) == ('data', str), 'what a manifest says of it, so every id, stays as it was'
    assert load_recipe(recipe, ['root=data']).root_of(Path('/o')) == Path('data')
    (tmp_path / 'elsewhere/recipe.yaml').write_text('extends: ../mine/recipe.yaml\nname: other\n')
    assert load_recipe('recipe.yaml').root_of(Path('/o')).samefile(tmp_path / 'mine/data')


def test_a_relative_root_that_is_only_where_the_command_runs_is_still_found_and_told(tmp_path, monkeypatch, capsys):
    (tmp_path / 'recipes').mkdir()
    (tmp_path / 'data').mkdir()
    recipe = write(tmp_path / 'recipes', RELATIVE)
    monkeypatch.chdir(tmp_path)
    assert load_recipe(recipe).root_of(Path('/o')) == Path('data')
    assert 'root data: found where the command runs, none beside the recipe' in capsys.readouterr().err
