"""Prompts in files beside a recipe: how they are found, read and checked, and what of them a recipe keeps."""

import os
from pathlib import Path

import pytest
import yaml

from schemas.errors import UserError
from schemas.own_prompt import MAX_BYTES, GeneratorPrompt, OwnPrompt
from schemas.recipe import load_recipe

BASE = {
    'name': 'r', 'sources': {'a': {'format': 'llava', 'annotations': ['x'], 'licence': 'MIT'}}, 'models': {'m': {'model': 'm', 'revision': '1'}},
    'generate': [{'prompt': {'file': 'prompts/hard.md'}, 'model': 'm'}], 'judge': {'model': 'm', 'mode': 'yes_no', 'prompt': {'file': 'judge.md'}},
}  # fmt: skip
HARD = '{question}: not {answer}'
JUDGE = '{question} {candidate}?'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'prompts').mkdir()
    (tmp_path / 'prompts/hard.md').write_text(HARD)
    (tmp_path / 'judge.md').write_text(JUDGE)
    return tmp_path


def load(folder, *sets, **changes):
    (folder / 'r.yaml').write_text(yaml.safe_dump({**BASE, **changes}))
    return load_recipe(folder / 'r.yaml', sets)


def faults(folder, *sets, **changes):
    with pytest.raises(UserError) as told:
        load(folder, *sets, **changes)
    return str(told.value)


def generator(**prompt):
    return [{'prompt': prompt, 'model': 'm'}]


def test_files_lie_beside_the_recipe_wherever_the_command_runs(folder, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp('elsewhere'))
    recipe = load(folder)
    assert recipe.generate[0].own.text == HARD
    assert recipe.judge.prompt.text == JUDGE
    assert (recipe.generate[0].name, recipe.judge.way) == ('hard', 'yes_no, judge')


def test_a_recipe_that_is_extended_finds_its_own_files(folder):
    load(folder)
    other = folder / 'other'
    (other / 'prompts').mkdir(parents=True)
    (other / 'judge.md').write_text('Mine: {question} {candidate}')
    (other / 'mine.yaml').write_text(yaml.safe_dump({'extends': '../r.yaml', 'judge': {'prompt': {'file': 'judge.md'}}}))
    recipe = load_recipe(other / 'mine.yaml')
    assert recipe.generate[0].own.text == HARD
    assert recipe.judge.prompt.text == 'Mine: {question} {candidate}'
    (folder / 'judge.md').unlink()  # nobody reads it
    assert load_recipe(other / 'mine.yaml', ['judge.prompt.choices=[Ja, Nein]']).judge.choices == ('Ja', 'Nein')


def test_set_names_a_file_beside_the_recipe_or_where_the_command_runs(folder, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp('here'))
    Path('mine.md').write_text('Mine: {question} {candidate}', 'utf-8')
    Path('judge.md').write_text('Not this: {question} {candidate}', 'utf-8')
    assert load(folder, 'judge.prompt.file=mine.md').judge.prompt.text.startswith('Mine')
    assert load(folder, 'judge.prompt.file=judge.md').judge.prompt.text == JUDGE
    assert f'found none: {folder}/no.md' in faults(folder, 'judge.prompt.file=no.md')
    (folder / 'strict.md').write_text('Strictly: {question} {candidate}')
    assert load(folder, 'judge.prompt.file=strict.md').judge.prompt.text.startswith('Strictly')
    assert load(folder, f'judge.prompt.file={folder}/strict.md').judge.prompt.name == 'strict'


def test_all_faults_are_told_together_with_their_place(folder):
    (folder / 'judge.md').write_text('\n{qestion} {candidate}')
    (folder / 'prompts/latin.md').write_bytes('{question}\n{answer} é'.encode('latin-1'))
    told = faults(folder, generate=[*generator(file='prompts/none.md'), *generator(file='prompts/latin.md'), *generator(file='prompts'),
                                    *generator(file='prompts/hard.md', kinds=['incorrect', 'ambiguous']), {'prompt': 'hard', 'model': 'm'}])
    assert 'generate.0.prompt.file: expected a text file, found none: ' in told
    assert 'latin.md line 2: expected UTF-8, found the byte 0xe9' in told
    assert 'generate.2.prompt.file: expected a text file, found something else at ' in told
    assert 'generate.3.prompt: kinds: expected one, since `answers: text` is one answer a reply; or say `answers: json`' in told
    assert "generate.4.prompt: expected one of rules, paper, grounded, mistakes, wrong_labels, or {file: prompts/mine.md} for a prompt of your own, found 'hard'" in told
    assert 'judge: prompt: judge.md line 2: unknown field {qestion}; did you mean {question}?' in told
    assert '; prompt: judge.md: expected {question} somewhere, found none' in told


@pytest.mark.parametrize(
    ('data', 'fault'),
    [
        (b'', 'expected the text of a prompt, found an empty file'), (b' \n', 'found an empty file'), (b'{question}{answer}\0', 'found bytes that are none'),
        (b'{question}{answer}' + b'x' * MAX_BYTES, 'expected at most 100,000 bytes, found more'), (b'{question}', 'expected {answer} somewhere, found none'),
        (b'nothing', 'expected {question} and {answer} somewhere, found none'), (b'{question}{answer}{first}', 'line 1: unknown field {first}; expected one of'),
        (b'{{question}} {answer}', 'found none; {{ and }} are braces as text here: write {name}, or end the name of a Jinja file in .jinja'),
    ],
)
def test_what_is_no_prompt_is_refused_with_the_reason(folder, data, fault):
    (folder / 'prompts/hard.md').write_bytes(data)
    assert fault in faults(folder)


def test_a_pipe_is_no_file_to_wait_for(folder):
    (folder / 'prompts/hard.md').unlink()
    os.mkfifo(folder / 'prompts/hard.md')
    assert 'expected a text file, found something else' in faults(folder)
    assert 'expected a text file' in faults(folder, generate=generator(file='x' * 5000))
    assert 'generate.0.prompt.file' in faults(folder, generate=generator(file=''))


def test_a_byte_order_mark_and_the_line_ends_of_windows_are_no_words(folder):
    (folder / 'prompts/hard.md').write_bytes(b'\xef\xbb\xbf{question}\r\n{answer}\r\n\r\n')
    assert load(folder).generate[0].own.text == '{question}\n{answer}'
    (folder / 'prompts/hard.md').write_bytes(b'{question}\r{answer}\r')  # of old Macs
    assert load(folder).generate[0].own.text == '{question}\n{answer}'


@pytest.mark.parametrize(
    ('mode', 'text', 'fault'),
    [
        ('likelihood', '{question} {candidate}', 'expected mode yes_no, pairwise or paper beside it, found likelihood, which asks nothing'),
        ('yes_no', 'Is {answer} right? {question}', 'expected {candidate} somewhere'), ('pairwise', '{question} {candidate}', 'unknown field {candidate}'),
        ('pairwise', '{question} {first}', 'expected {second} somewhere'), ('paper', '{candidate}', 'expected {answer} somewhere'),
    ],
)
def test_each_mode_has_its_fields(folder, mode, text, fault):
    (folder / 'judge.md').write_text(text)
    assert fault in faults(folder, judge={**BASE['judge'], 'mode': mode})
    assert fault in faults(folder, judge={'model': 'm', 'second': {**BASE['judge'], 'mode': mode}})


def test_the_words_of_a_verdict_must_begin_differently(folder):
    for words in (['Yes'], ['yes', 'Yup'], ['', 'No'], ['A', 'B', 'C']):
        assert 'choices' in faults(folder, judge={**BASE['judge'], 'prompt': {'file': 'judge.md', 'choices': words}})
    assert load(folder, judge={**BASE['judge'], 'prompt': {'file': 'judge.md', 'choices': ['是', '否']}}).judge.choices == ('是', '否')
    assert load(folder).judge.choices == ('Yes', 'No')
    assert "which is how YAML reads Yes and No without quotes; write ['Yes', 'No']" in faults(folder, 'judge.prompt.choices=[Yes, No]')


def test_what_is_nearly_right_is_taken_or_told(folder):
    assert load(folder, generate=generator(file='prompts/hard.md', kinds='ambiguous')).generate[0].own.kinds == ('ambiguous',)
    assert "judge.prompt: expected {file: judge.md}, found 'judge.md'" in faults(folder, judge={**BASE['judge'], 'prompt': 'judge.md'})
    assert load(folder, 'judge.prompt=null').judge.prompt is None


def test_a_jinja_file_is_tried_on_examples(folder):
    (folder / 'prompts/hard.jinja').write_text('{{ question }}\n{{ answer.nope }}')
    assert "prompts/hard.jinja line 2: UndefinedError: 'str object' has no attribute 'nope'" in faults(folder, generate=generator(file='prompts/hard.jinja'))
    (folder / 'prompts/hard.jinja').write_text('{{ question }}\n{% if context %}{{ answer }}{% else %}{{ anwser }}{% endif %}')
    assert 'line 2: unknown field {{ anwser }}; did you mean {{ answer }}?' in faults(folder, generate=generator(file='prompts/hard.jinja'))
    (folder / 'prompts/hard.jinja').write_text('{{ images }}{{ question }}{% if context %}{{ images }}{% endif %}{{ answer }}')
    assert 'hard.jinja: expected {{ images }} once in what is sent, found it again' in faults(folder, generate=generator(file='prompts/hard.jinja'))


def test_a_system_text_is_a_second_file_without_pictures(folder):
    (folder / 'system.md').write_text('You know {answer}.')
    recipe = load(folder, generate=generator(file='prompts/hard.md', system='system.md'))
    assert recipe.generate[0].own.system_text == 'You know {answer}.'
    (folder / 'system.md').write_text('{images}')
    assert 'system.md line 1: unknown field {images}' in faults(folder, generate=generator(file='prompts/hard.md', system='system.md'))
    assert 'generate.0.prompt.system: expected a text file, found none' in faults(folder, generate=generator(file='prompts/hard.md', system='no.md'))


def test_the_recipe_keeps_the_text_and_loads_again_without_the_file(folder, tmp_path_factory):
    told = load(folder).model_dump(mode='json')
    again = tmp_path_factory.mktemp('again') / 'r.yaml'
    again.write_text(yaml.safe_dump(told))
    assert load_recipe(again) == load(folder)
    (again.parent / 'judge.md').write_text('Other: {question} {candidate}')
    with pytest.raises(UserError, match='judge.prompt.file: expected the text of .*judge.md beside it, found text: with other words'):
        load_recipe(again)


def test_only_the_name_and_the_words_of_a_prompt_matter():
    one, other = (GeneratorPrompt(file=file, text=HARD) for file in ('a/hard.md', '/b/c/hard.txt'))
    assert one.placeless() == other.placeless()
    assert one.placeless() != GeneratorPrompt(file='a/hard.md', text=HARD + '!').placeless()
    assert one.placeless().placeless() == one.placeless()
    assert GeneratorPrompt(file='a/hard.jinja', text='{{question}}{{answer}}').placeless().render({'question': 'a', 'answer': 'b'}, pictures=False)[1].text == 'ab'


@pytest.mark.parametrize(
    ('file', 'name'),
    [('p/hard.md', 'hard'), ('hard.md.jinja', 'hard'), ('v1.2-hard.txt', 'v1.2-hard'), ('my prompt #3.md', 'my-prompt-3'), ('rules.md', 'own-rules'),
     ('é.md', 'é'), ('e\u0301.md', 'é'), ('/x/#.md', 'prompt'), ('難.md', '難'), ('.jinja', 'prompt')],
)  # fmt: skip
def test_a_prompt_is_called_by_the_name_of_its_file(file, name):
    assert OwnPrompt(file=file, text='x').name == name


def test_a_preset_leaves_no_trace_of_prompts_of_ones_own(folder):
    judge = load(folder, judge={'model': 'm'}).judge
    assert 'prompt' not in judge.model_dump(mode='json')
    assert judge.placeless() == judge
