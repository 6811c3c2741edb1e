"""Recipes that would read without end, fill all memory, or leave their folder: each is refused in one message, and quickly (the bounds are counts)."""

import os
import random
from pathlib import Path

import pytest

from schemas.errors import UserError
from schemas.recipe import MOST_EXTENDED, load_recipe
from schemas.regular import read_regular
from schemas.yaml_text import MAX_CHARS, parse_yaml
from tests.pipelines.sources.mutants import mutant
from tests.promises import promise
from tests.schemas.test_recipe import GOOD, write

ROOT = Path(__file__).parents[2]
MERGES = 'b0: &b0 {k: v}\n' + ''.join(f'b{i}: &b{i} {{<<: [{", ".join([f"*b{i - 1}"] * 10)}]}}\n' for i in range(1, 10))
ALIASES = 'b0: &b0 [v, v]\n' + ''.join(f'b{i}: &b{i} [{", ".join([f"*b{i - 1}"] * 10)}]\n' for i in range(1, 10))
TEXTS = {
    'merges': (MERGES + GOOD, 'once each alias is what it stands for'),
    'aliases': (ALIASES + GOOD, 'once each alias is what it stands for'),
    'keys of aliases': (ALIASES + '? *b9\n: 1\n' + GOOD, 'once each alias is what it stands for'),
    'a merge of itself': ('a: &a {<<: *a}\n' + GOOD, 'a value that holds itself'),
    'a list of itself': ('a: &a [*a]\n' + GOOD, 'a value that holds itself'),
    'twenty thousand keys': (GOOD + ''.join(f'k{i}: v\n' for i in range(20_000)), 'more than 10,000 values'),
    'twelve thousand short keys': (GOOD + ''.join(f'{i:x}: v\n' for i in range(0x1000, 0x4000)), 'more than 10,000 values'),
    'four thousand keys': (GOOD + ''.join(f'k{i}: v\n' for i in range(4_000)), 'and 3,950 more'),
    'four thousand of a source': (GOOD.replace('licence', ''.join(f'k{i}: v, ' for i in range(4_000)) + 'licence'), 'and 3,950 more'),
    'four thousand roles': (GOOD.replace('licence', 'columns: {' + ''.join(f'k{i}: v, ' for i in range(4_000)) + '}, licence'), 'and more'),
    'a long key': (GOOD + '? ' + 'k' * 90_000 + '\n: 1\n', '...: unknown key'),
    'a key that paints': (GOOD + '"\\e[2J\\nx": 1\n', "'\\x1b[2J\\nx': unknown key"),
    'brackets': ('a: ' + '[' * 90_000, 'more than 50 deep'), 'blocks': ('- ' * 40_000, 'more than 50 deep'), 'sixty deep': ('a: ' + '[' * 60 + ']' * 60, 'lists and mappings more than 50 deep'),
    'an object': ('a: !!python/object/apply:os.system [ls]\n' + GOOD, 'could not determine a constructor'),
    'no truth': ('a: !!bool perhaps\n' + GOOD, 'not what its tag says'), 'no number': ('a: !!int ""\n' + GOOD, 'not what its tag says'),
    'no moment': ('a: !!timestamp tomorrow\n' + GOOD, 'not what its tag says'), 'no digits': ('a: !!float "-"\n' + GOOD, 'expected readable YAML'),
    'a sexagesimal number': ('a: 1' + ':1' * 40_000 + '\n' + GOOD, 'a number of 80001 digits'),
    'a sexagesimal float': ('a: 1' + ':1' * 40_000 + '.5\n' + GOOD, 'a number of 80003 digits'),
    'hexadecimal': ('a: 0x' + 'f' * 90_000 + '\n' + GOOD, 'a number of 90002 digits'),
    'before the first year': ('a: 0001-01-01 00:00:00+23:59\n' + GOOD, 'unknown key'),
    'half a surrogate': ('a: "\\ud800"\n' + GOOD, 'half a surrogate pair'),
    'documents': ('a: 1\n---\nb: 2\n', 'expected a single document'), 'NUL': ('a: \0\n', 'special characters are not allowed'),
    'a number as key': (GOOD + '1: 2\n', 'recipe'), 'a date as key': (GOOD + '2020-01-01: 2\n', 'recipe'), 'a list as key': (GOOD + '? [a]\n: 2\n', 'unhashable'),
    'a set': ('!!set {a, b}\n', 'found set'), 'a text': ('hello\n', 'found str'), 'nothing': ('', 'found NoneType'),
}


def told(path, *sets) -> str:
    with pytest.raises(UserError) as refused:
        load_recipe(path, sets)
    message = str(refused.value)
    assert len(message) < 12_000
    return message


@promise('Hostile files', 'A recipe of merge bombs, thousands of unknown keys, deep brackets, endless numbers or objects is refused at once, by its name', recipes=len(TEXTS))
@pytest.mark.parametrize('name', TEXTS)
def test_a_hostile_text_is_refused(tmp_path, name):
    text, expected = TEXTS[name]
    assert expected in told(write(tmp_path, text))


@pytest.mark.parametrize('data', [GOOD.encode('utf-16'), b'\xff\xfe\0\0' + GOOD.encode('utf-32-le'), GOOD.encode() + b'\xe9', b'\x7fELF' + bytes(200)])
def test_what_is_no_text_is_refused(tmp_path, data):
    path = tmp_path / 'recipe.yaml'
    path.write_bytes(data)
    assert 'expected readable YAML, found' in told(path)


def test_a_mark_in_front_is_no_fault(tmp_path):
    path = write(tmp_path, GOOD)
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    assert load_recipe(path) == load_recipe(write(tmp_path, GOOD))


@promise('Hostile files', 'A recipe, or what it extends, that is a FIFO, a device, a folder or huge is refused and never waited for')
@pytest.mark.parametrize('extended', [False, True])
@pytest.mark.parametrize(('kind', 'expected'), [('fifo', 'a FIFO'), ('zero', 'a device'), ('folder', 'a folder'), ('huge', f'more than {MAX_CHARS:,} bytes'), ('loop', 'symbolic links')])
def test_what_is_no_file_is_not_waited_for(tmp_path, kind, expected, extended):
    odd = tmp_path / 'odd.yaml'
    if kind == 'fifo':
        os.mkfifo(odd)
    elif kind == 'zero':
        odd.symlink_to('/dev/zero')
    elif kind == 'folder':
        odd.mkdir()
    elif kind == 'loop':
        odd.symlink_to(odd)
    else:
        with open(odd, 'wb') as out:
            out.truncate(1 << 40)  # of no blocks
    path = write(tmp_path, 'extends: odd.yaml\n' + GOOD) if extended else odd
    message = told(path)
    assert expected in message
    assert str(odd) in message


def test_a_chain_of_recipes_ends(tmp_path):
    for i in range(MOST_EXTENDED + 5):
        (tmp_path / f'{i}.yaml').write_text(f'extends: {i + 1}.yaml\n', 'utf-8')
    assert f'within {MOST_EXTENDED} recipes' in told(tmp_path / '0.yaml')
    (tmp_path / '2.yaml').write_text('extends: ./0.yaml\n', 'utf-8')
    assert 'extends' in told(tmp_path / '0.yaml')
    for name in ('"a\\0b"', 'x' * 5000, '../' * 5000 + 'x', '[1]', '{a: 1}', '5'):
        with pytest.raises((UserError, OSError)):
            load_recipe(write(tmp_path, f'extends: {name}\n' + GOOD))


@promise('Hostile files', 'Picture folders that are absolute or lead out of the root are refused by name')
@pytest.mark.parametrize('place', ['/etc', '../other', 'a/../../b', 'a|/etc', '~/pictures', 'C:\\data', 'C:/data', '\\\\host\\share', 'a\\..\\b', '"a\\0b"'])
def test_a_place_outside_the_root_is_refused(tmp_path, place):
    quoted = place if place[0] == '"' else f"'{place}'"
    assert 'sources.a.images: expected a path below `root`, found' in told(write(tmp_path, GOOD), f'sources.a.images=[{quoted}]')


def test_an_override_is_bounded_like_a_recipe(tmp_path):
    path = write(tmp_path, GOOD)
    assert 'once each alias' in told(path, 'x={' + MERGES.replace('\n', ', ') + '}')
    assert 'dots' in told(path, '.'.join('a' * 5000) + '=1')


def test_a_file_is_read_to_its_bound(tmp_path):
    path = tmp_path / 'a'
    path.write_bytes(b'abc')
    assert read_regular(path, 3) == b'abc'
    with pytest.raises(ValueError, match='more than 2 bytes'):
        read_regular(path, 2)


def test_plain_aliases_and_merges_are_read():
    assert parse_yaml('a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]\n', 'w') == {'a': {'x': 1}, 'b': {'x': 1, 'y': 2}, 'c': [{'x': 1}, {'x': 1}]}


@promise('Hostile files', "A recipe cannot make the engine in this process run a model's own code, or read weights that are pickles")
@pytest.mark.parametrize(('options', 'expected'), [
    ('trust_remote_code: true', 'trust_remote_code: expected no option by which'), ('worker_cls: evil.Worker', 'worker_cls: expected no option'),
    ('load_format: pt', 'load_format: expected one that reads no pickles'), ('load_format: auto', 'load_format: expected'),
    ('hf_overrides: {}', 'engine.hf_overrides')])
def test_an_engine_runs_no_code_of_a_model(tmp_path, options, expected):
    assert expected in told(write(tmp_path, GOOD + f'models: {{m: {{backend: vllm, model: m, revision: r, engine: {{{options}}}}}}}\n'))


def test_other_options_of_an_engine_stay(tmp_path):
    engine = 'engine: {max_model_len: 8, trust_remote_code: false, load_format: safetensors}'
    assert load_recipe(write(tmp_path, GOOD + f'models: {{m: {{backend: vllm, model: m, revision: r, {engine}}}}}\n')).models['m'].engine['max_model_len'] == 8


MUTANTS = 60
STRAY = [b'*a', b'&a ', b'<<: ', b'[', b'{', b'!!set ', b'? ', b'- ', b'| ', b'null', b'.nan', b'1e400', b'"\\ud800"', b'2001-01-01', b'...\n---\n', b'\xc2\x85', b'\t']


@promise('Damaged files', 'A damaged recipe is read, or refused by its name', mutated_recipes=MUTANTS)
def test_a_damaged_recipe_is_read_or_refused(tmp_path):
    data, path, told_or_read = (ROOT / 'recipes/demo.yaml').read_bytes(), tmp_path / 'recipe.yaml', 0
    for number in range(MUTANTS):
        rng = random.Random(number)
        found = mutant(data, rng)
        at = rng.randrange(len(found))
        path.write_bytes(found[:at] + rng.choice(STRAY) + found[at:])
        try:
            load_recipe(path)
        except UserError as e:
            told_or_read += str(path) in str(e)
        else:
            told_or_read += 1
    assert told_or_read == MUTANTS
