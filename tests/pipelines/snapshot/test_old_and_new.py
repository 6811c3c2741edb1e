"""A sealed snapshot opened with the oldest and the newest versions that docs/handoff.md promises: installed alone into a folder of their own, or those
of this environment where they are the same. A package index is needed for the others; where none answers, they are skipped.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from PIL import Image

from tests.pipelines.snapshot.sealed import picture, rejection, says, seal_rows, triple

ROOT = Path(__file__).parents[3]
PROMISED = {row[0]: row[1:] for row in re.findall(r'^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \|', (ROOT / 'docs/handoff.md').read_text('utf-8'), re.M)}
OF_2023 = ['pyarrow==12.0.0', 'numpy==1.26.4']
WITH = {  # what an old version needs and does not find in newer ones
    'pandas': [*OF_2023, 'python-dateutil==2.9.0.post0', 'pytz==2024.1', 'tzdata==2024.1', 'six==1.16.0'], 'pyarrow': OF_2023[1:],
    'datasets': ['huggingface-hub<1', 'pandas<3', 'pyarrow==15.0.0', 'numpy<2', 'pillow'],
}  # fmt: skip
RED, BLUE, GREEN = picture('red'), picture('blue', 'JPEG'), picture('green', 'WEBP')
TURNS = [says('user', '<image>', 'First?'), says('assistant', 'Red.'), says('user', 'And <b>now</b>?\nTwo lines')]
ROWS = [triple(0, images=[RED]), triple(1), triple(2, images=[RED, BLUE, GREEN]), triple(3, images=[RED], prompt=TURNS), triple(4, images=[BLUE, GREEN]),
        triple(9, prompt=[says('system', 'Be brief.'), says('user', 'Why\u2028?')], chosen=[says('assistant', '2021-03-01')], score=None)]
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
    return hashlib.sha256(Image.open(io.BytesIO(data)).convert('RGB').tobytes()).hexdigest()


def expected(package: str) -> list:
    known = shown if package == 'datasets' else lambda data: hashlib.sha256(data).hexdigest()
    rows = [[row['triple_id'], [part['text'] for message in row['prompt'] for part in message['content']], [known(image['bytes']) for image in row['images']]] for row in ROWS]
    return [sorted(rows), ['LOW_MARGIN', 'NOT_WRONG']]


def is_here(package: str, wanted: str) -> bool:
    try:
        return version(package) == wanted
    except PackageNotFoundError:
        return False


def installed(folder: Path, wanted: str, beside: list[str]) -> list[str]:
    """Return a Python that knows nothing but what was put into `folder`."""
    pip = [sys.executable, '-m', 'pip', '--no-input', '--disable-pip-version-check', 'install', '-q', '--only-binary', ':all:', '--target', str(folder)]
    alone = [] if wanted.startswith(('datasets', 'polars')) else ['--no-deps']  # these need more than is named here
    done = subprocess.run([*pip, *alone, wanted, *beside], capture_output=True, text=True, check=False)
    if done.returncode and re.search('Temporary failure|Connection|ProxyError|from versions: none', done.stderr):
        pytest.skip(f'no package index answers: {done.stderr.splitlines()[-1][:200]}')
    assert done.returncode == 0, done.stderr
    return [sys._base_executable, '-S']


def test_five_readers_are_promised():
    assert sorted(PROMISED) == sorted(READ)


@pytest.mark.integration
@pytest.mark.long
@pytest.mark.parametrize('which', [0, 1], ids=['oldest', 'newest'])
@pytest.mark.parametrize('package', sorted(READ))
def test_a_snapshot_opens_in_the_promised_versions(snapshot, tmp_path, package, which):
    wanted = PROMISED[package][which]
    python = [sys.executable] if is_here(package, wanted) else installed(tmp_path / 'lib', f'{package}=={wanted}', WITH.get(package, []) if which == 0 else [])
    alone = {**os.environ, 'PYTHONPATH': str(tmp_path / 'lib'), 'HF_HOME': str(tmp_path / 'hf'), 'HF_HUB_OFFLINE': '1', 'HF_DATASETS_OFFLINE': '1'}
    done = subprocess.run([*python, '-c', TELL + READ[package], str(snapshot)], env=alone, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected(package)
