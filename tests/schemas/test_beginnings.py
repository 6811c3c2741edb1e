"""How a programme begins, in processes of its own: the locale and the flags of Python are set before it runs."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

LOCALE = {'LC_ALL': 'C', 'PYTHONCOERCECLOCALE': '0', 'PYTHONUTF8': '0'}  # names are ASCII then; cron and old clusters have it, or Latin-1


def run(*words, flags=(), **environment):
    kept = {name: value for name, value in os.environ.items() if name not in ('LANG', 'LC_ALL', 'LC_CTYPE', 'PYTHONOPTIMIZE', 'PYTHONIOENCODING')}
    command = [sys.executable, *flags, '-m', 'phantom', *map(os.fsencode, map(str, words))]
    return subprocess.run(command, env={**kept, **environment}, capture_output=True, check=False)


@pytest.fixture
def recipe(tmp_path):
    """A recipe in a folder, with a licence, a category and pictures whose names no ASCII or Latin-1 locale can say."""
    root = tmp_path / 'Wörter'
    (root / 'img').mkdir(parents=True)
    rows = []
    for n, name in enumerate(('门.png', 'Tür.png', 'π.png')):
        pixels = np.random.default_rng(n).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(pixels).resize((96, 72), Image.Resampling.BICUBIC).save(root / 'img' / name)
        rows.append({'image': name, 'conversations': [{'from': 'human', 'value': f'<image>\nWas ist {n}?'}, {'from': 'gpt', 'value': 'Eine Tür, 门.'}]})
    (root / 'a.json').write_text(json.dumps(rows, ensure_ascii=False), 'utf-8')
    source = {'format': 'llava', 'annotations': ['a.json'], 'images': ['img'], 'licence': 'Lizenz für Prüfung ©', 'category': 'Türen'}
    (tmp_path / 'rezept.yaml').write_text(json.dumps({'name': 'r', 'root': str(root), 'sources': {'s': source}}, ensure_ascii=False), 'utf-8')
    return tmp_path / 'rezept.yaml'


def test_a_locale_without_utf8_changes_nothing(recipe, tmp_path):
    done = run('build', recipe, '--out', tmp_path / 'aus', **LOCALE)
    assert done.returncode == 0, done.stderr.decode()
    rows = [row for path in (tmp_path / 'aus/mix/data').glob('*.parquet') for row in pq.read_table(path).to_pylist()]
    assert {(row['licence'], row['category']) for row in rows} == {('Lizenz für Prüfung ©', 'Türen')}
    assert len(rows) == 3


@pytest.mark.parametrize('flags', [(), ('-E',)])  # -E: the environment is not read, so it cannot say that this is the second
def test_the_second_beginning_is_the_last(recipe, flags):
    done = run('validate', recipe, '--json', flags=flags, **LOCALE)
    assert (done.returncode, json.loads(done.stdout.decode('utf-8'))['ok']) == (0, True), done.stderr.decode()


def test_a_python_without_docstrings_is_refused_in_one_line():
    done = run('recipes', PYTHONOPTIMIZE='2')
    assert done.returncode == 2
    assert done.stderr.decode().strip() == (
        'phantom: expected docstrings, which Beam reads when it is imported, found a Python that drops them (-OO, or PYTHONOPTIMIZE=2); '
        'unset PYTHONOPTIMIZE, or set it to 1')
    assert run('recipes', PYTHONOPTIMIZE='1').returncode == 0
