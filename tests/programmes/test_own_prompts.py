"""Prompts that a recipe brings itself, through whole builds: what is asked, what rows and manifest say, what makes tables anew, which judge is better."""

import csv
import hashlib
import json
import re
import shutil

import pytest
import yaml
from typer.testing import CliRunner

import phantom
from schemas.recipe import load_recipe
from schemas.snapshot import open_snapshot
from tests.fakes import FakeChatServer, Script
from tests.programmes.project import RECIPE, TRUTH, ids, rows_of, write_project

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('own prompts')]

HARD = """{{ question }}
{% if context %}Before it:
{{ context }}
{% endif %}
It is {{ answer }}. Two other answers, as {"incorrect": ..., "ambiguous": ...}:"""
SURE = 'Kennst du dich aus? {question}\n\nJemand sagt: {candidate}\nStimmt das? Ja oder Nein.'
VAGUE = '{question}\nPerhaps {candidate}? Ja / Nein'


def lean(body: dict) -> float:
    """Return how surely a model says Ja: it knows the capitals, and listens only to a prompt that asks whether it does."""
    text = body['messages'][-1]['content']
    if not (named := re.search(r'kingdom of (\w+)', str(text))):
        return 1.0  # whoever tries it out
    right = TRUTH[named[1]] in text.split('\n', 1)[1]
    noise = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32 - 0.5
    return (2.0 if right else -2.0) * (1.0 if 'Kennst du' in text else 0.15) + 2.0 * noise


@pytest.fixture(scope='module')
def asked():
    with FakeChatServer(Script(lean=lean)) as running:
        yield running


@pytest.fixture(scope='module')
def own(tmp_path_factory):
    project = write_project(tmp_path_factory.mktemp('project'))
    folder = project.recipe.parent / 'prompts'
    folder.mkdir()
    for name, text in (('hard.jinja', HARD), ('sure.md', SURE), ('vague.md', VAGUE)):
        (folder / name).write_text(text, encoding='utf-8')
    hard = {'file': 'prompts/hard.jinja', 'answers': 'json', 'kinds': ['incorrect', 'ambiguous']}
    judge = {'model': 'fake', 'mode': 'yes_no', 'prompt': {'file': 'prompts/sure.md', 'choices': ['Ja', 'Nein']}}
    recipe = {**RECIPE, 'generate': [{'prompt': 'rules'}, {'prompt': hard, 'model': 'fake', 'sources': ['facts'], 'max_samples': 30}], 'judge': judge,
              'calibration': {'min_cases': 90}}
    project.recipe.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return project


@pytest.fixture(scope='module')
def sure(own, asked, tmp_path_factory):
    out = tmp_path_factory.mktemp('sure')
    own.build(out, url=asked.url)
    return out


@pytest.fixture(scope='module')
def vague(own, asked, sure, tmp_path_factory):
    out = tmp_path_factory.mktemp('vague')
    own.build(out, url=asked.url, sets=('judge.prompt.file=prompts/vague.md',), work=sure / 'work')
    return out


def questions(asked: FakeChatServer) -> int:
    """Return how many questions of the build were asked: whoever tries a server out asks others."""
    return sum('kingdom' in str(body) for body in asked.bodies)


def door(*words: object):
    return CliRunner().invoke(phantom.app, [str(word) for word in words])


def test_what_is_asked_is_what_the_files_say(sure, asked):
    said = {body['messages'][-1]['content'] for body in asked.bodies if 'Kennst du' in str(body) and 'kingdom' in str(body)}
    assert len(said) >= 90
    assert all(re.fullmatch(r'Kennst du dich aus\? What is .*\?\n\nJemand sagt: .+\nStimmt das\? Ja oder Nein\.', text) for text in said)
    made = [body for body in asked.bodies if 'response_format' in body and 'kingdom' in str(body)]
    assert len(made) == 30
    assert re.fullmatch(r'What is .*\?\nIt is \w+\. Two other answers, as \{"incorrect": \.\.\., "ambiguous": \.\.\.\}:', made[0]['messages'][0]['content'])
    assert made[0]['response_format']['json_schema']['schema']['required'] == ['incorrect', 'ambiguous']
    assert {tuple(body['structured_outputs']['choice']) for body in asked.bodies if 'structured_outputs' in body and 'kingdom' in str(body)} == {('Ja', 'Nein')}


def test_rows_card_manifest_show_and_diff_name_the_prompts(sure, vague):
    rows = [row for row in rows_of(sure / 'triples') if row['generator'] != 'rules']
    assert {row['generator'] for row in rows} == {'hard'}
    assert {row['kind'] for row in rows} == {'incorrect', 'ambiguous'}
    assert re.search(r'/hard-1\.0\.[01]$', rows[0]['triple_id'])
    assert {row['judge'] for row in rows} == {'fake-model (r1), yes_no, sure'}
    recipe = open_snapshot(sure / 'triples').manifest['recipe']
    assert recipe['generate'][1]['prompt']['text'] == HARD
    assert recipe['judge']['prompt']['text'] == SURE
    card = (sure / 'triples/README.md').read_text()
    assert 'mode `yes_no, sure`' in card
    assert '- generate[1]: `hard`, text `' in card
    assert 'prompt of the recipe, judge: sure (prompts/sure.md, text ' in door('show', sure).output
    told = json.loads(door('show', sure, '--json').output)['snapshots'][1]['prompts']
    assert [prompt['use'] for prompt in told] == ['generate[1]', 'judge']
    found = re.search(r'prompt of the recipe, judge: sure (.*) -> judge: vague (.*)', door('diff', sure, vague).output)
    assert found
    assert found[1] != found[2]


def test_where_a_prompt_lies_changes_nothing_and_its_words_change_everything_that_hangs_on_them(own, asked, sure, tmp_path):
    elsewhere = tmp_path / 'other'
    elsewhere.mkdir()
    shutil.copytree(own.recipe.parent / 'prompts', elsewhere / 'texts')
    moved = yaml.safe_load(own.recipe.read_text())
    moved['generate'][1]['prompt']['file'], moved['judge']['prompt']['file'] = 'texts/hard.jinja', str(elsewhere / 'texts/sure.md')
    (elsewhere / 'recipe.yaml').write_text(yaml.safe_dump(moved, sort_keys=False))
    before, n = ids(sure), questions(asked)
    own.recipe, kept = elsewhere / 'recipe.yaml', own.recipe
    try:
        own.build(tmp_path / 'moved', url=asked.url, work=sure / 'work')
        own.build(sure, url=asked.url)  # finds its own snapshot sealed
        assert (ids(tmp_path / 'moved'), ids(sure), questions(asked)) == (before, before, n)
        made = set((sure / 'work/verdicts').iterdir())
        (elsewhere / 'texts/sure.md').write_text(SURE + ' ')  # blanks around it are no words
        own.build(tmp_path / 'blank', url=asked.url, work=sure / 'work')
        assert questions(asked) == n
        assert set((sure / 'work/verdicts').iterdir()) == made
        (elsewhere / 'texts/sure.md').write_text(SURE + '\nBitte.')
        own.build(tmp_path / 'changed', url=asked.url, work=sure / 'work')
        assert questions(asked) > n
        assert set((sure / 'work/verdicts').iterdir()) > made
    finally:
        own.recipe = kept


def test_a_snapshot_says_what_was_asked_when_the_file_is_gone(sure, tmp_path):
    assert door('verify', sure).exit_code == 0
    manifest = open_snapshot(sure / 'triples').manifest
    (tmp_path / 'again.yaml').write_text(yaml.safe_dump(manifest['recipe']))
    recipe = load_recipe(tmp_path / 'again.yaml')
    assert recipe.judge.prompt.text == SURE
    assert recipe.generate[1].own.text == HARD


def test_two_prompts_side_by_side_show_which_makes_the_better_judge(sure, vague, tmp_path):
    done = door('audit', '--compare', vague, sure, '--out', tmp_path / 'compared.json')
    assert done.exit_code == 0, done.output
    assert re.search(r'A: fake-model \(r1\), yes_no, vague \(prompt: prompts/vague\.md, text \w{8}\)', done.output)
    assert re.search(r'on the planted cases: B is better, its AUC is 0\.\d+ higher', done.output)
    told = json.loads((tmp_path / 'compared.json').read_text())
    assert told['better'] == {'planted': 'b'}
    assert told['beside'][0]['only'] == [0, 0]
    assert told['spent'][0]['requests'] == 2
    assert 0 < told['spent'][0]['prompt_tokens'] < told['spent'][1]['prompt_tokens']
    same = door('audit', '--compare', sure, sure)
    assert 'no difference that these' in same.output


def test_labelled_candidates_are_compared_too(sure, vague, tmp_path):
    assert door('audit', sure, '-n', 60, '--out', tmp_path / 'audit').exit_code == 0
    with open(tmp_path / 'audit/labels.csv', newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    with open(tmp_path / 'labels.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, 'label': 'good' if n % 2 else 'rejected-is-right'} for n, row in enumerate(rows))
    done = door('audit', '--compare', sure, vague, '--labels', tmp_path / 'labels.csv', '--out', tmp_path / 'compared.json')
    assert done.exit_code == 0, done.output
    planted, labelled = json.loads((tmp_path / 'compared.json').read_text())['beside']
    assert labelled['kind'] == 'labelled'
    assert labelled['n'] >= 20  # the others were judged by program
    assert 'on the labelled cases: ' in done.output


def test_judges_of_different_modes_share_the_cases_of_a_mix(built, sure):
    done = door('audit', '--compare', built.out, sure)
    assert done.exit_code == 0, done.output
    assert 'A: fake-model (r1), likelihood (prompt: ours of mode likelihood)' in done.output
    assert '0 only A has, 60 only B has' in ' '.join(done.output.split())
