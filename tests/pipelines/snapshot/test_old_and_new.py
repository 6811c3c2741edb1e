"""A sealed snapshot opened with the oldest and the newest versions that docs/handoff.md promises, each installed alone into a folder of its own.

A package index is needed; where there is none, the tests are skipped.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.snapshot.sealed import rejection, says, seal_rows, triple
from tests.pipelines.snapshot.test_exports import TRIPLES

ROOT = Path(__file__).parents[3]
PROMISED = {row[0]: row[1:] for row in re.findall(r'^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \|', (ROOT / 'docs/handoff.md').read_text('utf-8'), re.M)}
WITH = {('pandas', 0): ['pyarrow==12.0.0', 'numpy<2'], ('pandas', 1): ['pyarrow'], ('pyarrow', 0): ['numpy<2'], ('datasets', 0): ['pillow'], ('datasets', 1): ['pillow']}
ROWS = [*TRIPLES, triple(9, prompt=[says('system', 'Be brief.'), says('user', 'Why\u2028?')], chosen=[says('assistant', '2021-03-01')], score=None)]
TELL = '''
import hashlib, json, sys
def tell(rows, why):  # rows of id, prompt's texts, hashes of pictures
    print(json.dumps([sorted(rows), sorted(why)]))
def texts(prompt): return [part['text'] for message in prompt for part in message['content']]
def sha(data): return hashlib.sha256(data).hexdigest()
folder = sys.argv[1]
'''
READ = {
    'pyarrow': '''
import pyarrow.parquet as pq, pyarrow.dataset as ds
rows = [row for split in ('train', 'validation') for row in ds.dataset(sorted(map(str, __import__('pathlib').Path(folder, 'data').glob(split + '-*')))).to_table().to_pylist()]
why = pq.read_table(folder + '/rejections').to_pylist()
tell([(r['triple_id'], texts(r['prompt']), [sha(i['bytes']) for i in r['images']]) for r in rows], [r['reason'] for r in why])
''',
    'pandas': '''
import pandas as pd
rows, why = pd.read_parquet(folder + '/data'), pd.read_parquet(folder + '/rejections')
tell([(r.triple_id, texts(r.prompt), [sha(i['bytes']) for i in r.images]) for r in rows.itertuples()], list(why.reason))
''',
    'duckdb': '''
import duckdb
rows = duckdb.sql(f"select triple_id, prompt, images from '{folder}/data/*.parquet'").fetchall()
why = duckdb.sql(f"select reason from '{folder}/rejections/*.parquet'").fetchall()
tell([(i, texts(p), [sha(x['bytes']) for x in images]) for i, p, images in rows], [r for r, in why])
''',
    'polars': '''
import polars as pl
rows, why = pl.read_parquet(folder + '/data/*.parquet').to_dicts(), pl.read_parquet(folder + '/rejections/*.parquet').to_dicts()
tell([(r['triple_id'], texts(r['prompt']), [sha(i['bytes']) for i in r['images']]) for r in rows], [r['reason'] for r in why])
''',
    'datasets': '''
import datasets
rows = datasets.load_dataset(folder)
assert sorted(rows) == ['train', 'validation'], rows
found = []
for part in rows.values():
    for r in part:
        assert all(i.size == (32, 32) and i.convert('RGB') for i in r['images'])
        found.append((r['triple_id'], texts(r['prompt']), [sha(i.convert('RGB').tobytes()) for i in r['images']]))
tell(found, [r['reason'] for r in datasets.load_dataset('parquet', data_files=folder + '/rejections/*.parquet', split='train')])
''',
}  # fmt: skip


@pytest.fixture(scope='module')
def snapshot(tmp_path_factory):
    rejections = [rejection(300, 'LOW_MARGIN'), rejection(301, 'NOT_WRONG')]
    return seal_rows(tmp_path_factory.mktemp('s') / 'sealed', 'triples', {'train': [ROWS[:3], ROWS[3:5]], 'validation': [ROWS[5:]]}, rejections)


def shown(data: bytes) -> str:
    import io

    from PIL import Image

    return hashlib.sha256(Image.open(io.BytesIO(data)).convert('RGB').tobytes()).hexdigest()


def expected(package: str) -> list:
    known = shown if package == 'datasets' else lambda data: hashlib.sha256(data).hexdigest()
    rows = [[row['triple_id'], [part['text'] for message in row['prompt'] for part in message['content']], [known(image['bytes']) for image in row['images']]] for row in ROWS]
    return [sorted(rows), ['LOW_MARGIN', 'NOT_WRONG']]


def test_five_readers_are_promised():
    assert sorted(PROMISED) == sorted(READ)


@pytest.mark.integration
@pytest.mark.long
@pytest.mark.parametrize('which', [0, 1], ids=['oldest', 'newest'])
@pytest.mark.parametrize('package', sorted(READ))
def test_a_snapshot_opens_in_the_promised_versions(snapshot, tmp_path, package, which):
    wanted = [f'{package}=={PROMISED[package][which]}', *WITH.get((package, which), [])]
    pip = [sys.executable, '-m', 'pip', '--no-input', '--disable-pip-version-check', 'install', '-q', '--only-binary', ':all:', '--target', str(tmp_path / 'lib'), *wanted]
    installed = subprocess.run(pip, capture_output=True, text=True, check=False)
    if installed.returncode and ('Temporary failure' in installed.stderr or 'Connection' in installed.stderr):
        pytest.skip('no package index answers')
    assert installed.returncode == 0, installed.stderr
    alone = {**os.environ, 'PYTHONPATH': str(tmp_path / 'lib'), 'HF_HOME': str(tmp_path / 'hf'), 'HF_HUB_OFFLINE': '1', 'HF_DATASETS_OFFLINE': '1'}
    words = [sys._base_executable, '-S', '-c', TELL + READ[package], str(snapshot)]
    done = subprocess.run(words, env=alone, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected(package)
