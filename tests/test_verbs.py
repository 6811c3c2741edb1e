"""Verbs whose work is tested by function elsewhere, run here as people run them: words in, files and an exit code out."""

import json
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.model.phantom.published import write_language, write_vision
from tests.model.rating.mixes import mix_row, write_mix
from tests.model.serving.checkpoints import picture
from tests.model.training.snapshots import COLOURS, SMALL, make_row, png, write_snapshot
from tests.pipelines.benches.test_items import PUBLISHED, put
from tests.pipelines.snapshot.sealed import seal_rows, triple, vouch

ROOT = Path(__file__).parents[1]
QUICK = ('--set', 'batch_rows=4', '--set', 'micro_batch_rows=4')


def done(told: tuple[int, str, str]) -> str:
    """Return what a command that went well printed."""
    assert told[0] == 0, told
    return told[1]


@pytest.mark.integration
def test_demo_data(front, tmp_path):
    assert 'shapes' in done(front('demo-data', tmp_path / 'data'))
    assert (tmp_path / 'data/shapes/images').is_dir()


def test_read_bench(front, tmp_path):
    files, items, _ = PUBLISHED['pope']
    told = done(front('read-bench', 'pope', put(tmp_path / 'POPE', files), '--out', tmp_path / 'bench/pope.parquet'))
    assert told == f'{tmp_path}/bench/pope.parquet: {len(items)} items\n'
    assert pq.read_metadata(tmp_path / 'bench/pope.parquet').num_rows == len(items)


@pytest.mark.skipif(shutil.which('ssh-keygen') is None, reason='needs ssh-keygen')
def test_seal_and_verify_with_a_signature(front, tmp_path):
    snapshot = vouch(seal_rows(tmp_path / 's', 'triples', [triple(0)]))
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', tmp_path / 'id'], check=True)
    done(front('seal', snapshot, '--sign', tmp_path / 'id'))
    assert (snapshot / 'manifest.json.sig').exists()
    assert 'signed by' in ''.join(front('verify', snapshot, '--signature', tmp_path / 'id.pub')[1:])


def test_join(front, tmp_path):
    vision, language = write_vision(tmp_path / 'vision'), write_language(tmp_path / 'language', 'qwen2', tied=True, shards=1)
    done(front('join', '--vision', vision, '--language', language, '--out', tmp_path / 'start'))
    assert {'config.json', 'README.md'} <= {path.name for path in (tmp_path / 'start').iterdir()}


def test_train_and_ask(front, tmp_path):
    rows = [make_row(at) for at in range(8)]
    write_snapshot(tmp_path / 'triples', rows)
    words = ('train', '--snapshot', tmp_path / 'triples', '--preset', SMALL, '--max-steps', 2, '--out', tmp_path / 'ckpt', *QUICK)
    done(front(*words, '--dry-run'))
    assert not (tmp_path / 'ckpt').exists()
    done(front(*words))
    (tmp_path / 'a.png').write_bytes(png(COLOURS['red'], 32))
    assert done(front('ask', tmp_path / 'ckpt', tmp_path / 'a.png', 'What colour?')).endswith('\n')


def test_rate_and_compare(front, tmp_path):
    a = write_mix(tmp_path / 'a', [mix_row(at) for at in range(12)])
    b = write_mix(tmp_path / 'b', [mix_row(at, label='red') for at in range(12)], snapshot_id='b' * 64)
    held = write_mix(tmp_path / 'c', [mix_row(at) for at in (40, 41, 42)], snapshot_id='c' * 64)
    done(front('rate', '--self', 2, '--rounds', 1, '--mix', a, '--preset', SMALL, '--steps', 2, '--out', tmp_path / 'rated', *QUICK))
    assert pq.read_metadata(tmp_path / 'rated/ratings.parquet').num_rows == 12
    assert 'one seed: no interval' in done(front('compare', a, b, '--train', SMALL, '--held-out', held, '--seeds', 1, '--steps', 2, *QUICK))


def test_verify_model(front):
    assert done(front('verify-model', ROOT / 'tests/golden/arch_0_5b')).endswith('all cases within tolerance\n')


def test_the_commands_of_the_readme_on_a_folder_of_ones_own(front, tmp_path, monkeypatch):
    """init, validate, preview, build, show, gallery and export, as the first screen shows them, without a server."""
    monkeypatch.chdir(tmp_path)
    rows = [{'id': at, 'image': f'{at}.png', 'conversations': [{'from': 'human', 'value': f'<image>\nWhich number has this picture, {at} or none?'},
                                                                 {'from': 'gpt', 'value': str(at)}]} for at in range(4)]  # fmt: skip
    put(Path('my-folder'), {'rows.json': json.dumps(rows), **{f'{at}.png': picture(at) for at in range(4)}})
    done(front('init', 'my-folder', '--out', 'mine.yaml'))
    done(front('validate', 'mine.yaml'))
    done(front('preview', 'mine.yaml', '-n', 20, '--out', 'mine'))
    done(front('build', 'mine.yaml', '--out', 'mine', '--workers', 0))
    assert f'mine/mix: {len(rows)} rows' in done(front('show', 'mine'))
    done(front('gallery', 'mine', '--export', 'page'))
    done(front('export', 'mine', '--to', 'trl', '--out', 'mine-trl'))
    assert Path('page/index.html').exists()
    assert Path('mine-trl/README.md').exists()
