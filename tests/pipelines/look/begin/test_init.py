"""`phantom init` on folders as people have them: the recipe validates, says what was guessed, and asks what nobody else knows."""

import json
import os

import pytest
import yaml

from schemas.recipe import load_recipe
from schemas.shipped import MODELINE, SCHEMA, shipped
from tests.pipelines.look.begin import folders

COLUMNS = {'question': 'question', 'answer': 'answer'}
ASKED = [[f'{i}.png', f'What is {i}?', f'It is {i}.'] for i in range(5)]


def csv_beside(folder, header=('image', 'question', 'answer'), sign=','):
    folders.table(folder / 'labels.csv', list(header), ASKED, sign)
    folders.pictures(folder / 'pics')


KINDS = {
    'llava': (folders.llava, {'format': 'llava', 'annotations': ['talks.json'], 'images': ['.']}),
    'pictures in another folder': (lambda at: folders.llava(at, lies='data/images'), {'images': ['data']}),
    'paths of another machine': (lambda at: folders.llava(at, image='/mnt/x/images/{}.png', lies='p/images'),
                                 {'images': ['p'], 'strip_prefix': ['/mnt/x']}),
    'paths of Windows': (lambda at: folders.llava(at, image='C:\\x\\{}.png'), {'images': ['images'], 'strip_prefix': ['C:/x']}),
    'Windows separators': (lambda at: folders.llava(at, image='images\\{}.png'), {'images': ['.'], 'strip_prefix': ['']}),
    'another ending': (lambda at: folders.llava(at, image='images/{}.jpg'), {'images': ['.'], 'other_extensions': True}),
    'several turns': (lambda at: folders.llava(at, n=3), {'turns': 'each'}),
    'csv': (csv_beside, {'format': 'columns', 'columns': {'image': 'image', **COLUMNS}, 'images': ['pics']}),
    'csv of strange names': (lambda at: csv_beside(at, ('Datei', 'was', 'darauf'), ';'),
                             {'columns': {'image': 'Datei', 'question': 'was', 'answer': 'darauf'}}),
    'parquet': (folders.parquet, {'format': 'columns', 'annotations': ['part-*.parquet'], 'columns': {'image': 'picture', **COLUMNS}}),
    'saved by datasets': (lambda at: folders.saved(at / 'saved'), {'annotations': ['saved'], 'columns': {'image': 'picture', **COLUMNS}}),
    'a saved folder itself': (folders.saved, {'annotations': ['.']}),
    'messages': (folders.messages, {'format': 'messages', 'annotations': ['chat.jsonl']}),
    'instructions': (folders.instructions, {'format': 'instruction', 'annotations': ['alpaca.json']}),
    'tars': (folders.tars, {'format': 'webdataset', 'annotations': ['shard-*.tar'], 'columns': COLUMNS}),
    'pictures in a zip': (folders.zipped, {'images': ['pictures.zip/inner'], 'columns': {'image': 'file_name', **COLUMNS}}),
}  # fmt: skip


@pytest.mark.parametrize('kind', KINDS)
def test_what_lies_there_becomes_a_recipe_that_validates(front, tmp_path, kind):
    write, expected = KINDS[kind]
    write(tmp_path / 'mine')
    recipe = tmp_path / 'r.yaml'
    code, out, err = front('init', tmp_path / 'mine', '--out', recipe)
    assert code == 0, err
    text = recipe.read_text()
    assert text.startswith(f'{MODELINE}{SCHEMA}\n')
    (source,) = yaml.safe_load(text)['sources'].values()
    assert {key: source.get(key) for key in expected} == expected
    assert 'licence: unstated   # QUESTION' in text
    code, out, _ = front('validate', recipe, '--json')
    assert code == 0, out
    (found,) = json.loads(out)['sources']
    assert (found['state'], found['faults'], found['first_and_last']) == ('ok', [], 'ok')
    assert found['taken'] >= 5
    pictured = kind not in ('messages', 'instructions')
    assert found['pictures'] == (f'{min(found["taken"], 8 if kind == "tars" else 5)} of {8 if kind == "tars" else 5}' if pictured else 'none')


def test_guesses_are_marked(front, tmp_path):
    csv_beside(tmp_path / 'mine', ('Datei', 'was', 'darauf'))
    front('init', tmp_path / 'mine', '--out', tmp_path / 'r.yaml')
    lines = {line.split(':')[0].strip(): line for line in (tmp_path / 'r.yaml').read_text().splitlines()}
    assert 'GUESS: by what stands there, since no name told: question and answer' in lines['columns']
    assert 'GUESS: 5 of 5 names of pictures looked at lie there' in lines['images']


def test_the_licence_of_a_card_is_a_guess(front, tmp_path):
    folders.messages(tmp_path / 'mine')
    folders.write(tmp_path / 'mine/README.md', '---\nlanguage: en\nlicense: cc-by-4.0\n---\n# mine\n')
    front('init', tmp_path / 'mine', '--out', tmp_path / 'r.yaml')
    assert 'licence: cc-by-4.0   # GUESS' in (tmp_path / 'r.yaml').read_text()


def test_several_folders_and_files_make_one_recipe_whose_root_they_share(front, tmp_path, monkeypatch):
    folders.messages(tmp_path / 'in/a')
    csv_beside(tmp_path / 'in/b')
    monkeypatch.chdir(tmp_path)
    assert front('init', 'in/a', 'in/b/labels.csv', 'in/b/pics')[0] == 0
    recipe = load_recipe('recipe.yaml')
    assert (recipe.root, set(recipe.sources)) == ('in', {'chat', 'b'})
    assert recipe.sources['b'].annotations == ['b/labels.csv']
    assert front('validate', tmp_path / 'recipe.yaml')[0] == 0


def test_nothing_is_overwritten(front, tmp_path):
    folders.messages(tmp_path / 'mine')
    (tmp_path / 'r.yaml').write_text('mine')
    os.symlink(tmp_path / 'gone', tmp_path / 'link.yaml')
    for name in ('r.yaml', 'link.yaml'):
        for words in (('init', tmp_path / 'mine'), ('init', '--from', 'demo')):
            code, _, err = front(*words, '--out', tmp_path / name)
            assert code == 2
            assert 'which is not overwritten' in err
    assert (tmp_path / 'r.yaml').read_text() == 'mine'
    assert not (tmp_path / 'gone').exists()


@pytest.mark.parametrize('name', sorted(shipped()))
def test_a_shipped_recipe_is_copied_and_says_the_same(front, tmp_path, name):
    assert front('init', '--from', name, '--out', tmp_path / 'copy.yaml')[0] == 0
    assert load_recipe(tmp_path / 'copy.yaml') == load_recipe(name)
    assert (tmp_path / 'copy.yaml').read_text().startswith(f'{MODELINE}{SCHEMA}\n')


@pytest.mark.parametrize(('words', 'told'), [
    (['--from', 'nothing'], 'expected one of demo, '), ([], 'found neither'), (['.', '--from', 'demo'], 'found both'),
    (['no-such-folder'], 'expected folders or files, found none at no-such-folder'), (['.', '--out', 'no/r.yaml'], 'expected a folder no'),
    (['/tmp', '/usr'], 'expected folders and files below one folder, found only /'),
])  # fmt: skip
def test_a_mistake_is_one_sentence(front, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    code, out, err = front('init', *words)
    assert (code, out) == (2, '')
    assert told in err
    assert list(tmp_path.iterdir()) == []
