"""Two processes that share the weights: the loss curve of one, and checkpoints that any number of processes can go on from."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate import DistributedType
from safetensors.torch import load_file

from model.sharding import refuse_deepspeed, refuse_unsupported
from schemas.errors import UserError
from tests.model.snapshots import make_row, write_snapshot

SCRIPT = """
import sys
from pathlib import Path
import torch
from model.train import train
torch.set_num_threads(1)
result = train(Path(sys.argv[1]), Path(sys.argv[2]), max_steps=6, batch_rows=6, micro_batch_rows=2, save_every=2,
               **dict(word.split('=') for word in sys.argv[3:]), quiet=True)
from accelerate.state import AcceleratorState
print('ran as', AcceleratorState().distributed_type.value)
"""
PLAIN = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2]), 'OMP_NUM_THREADS': '1', 'ACCELERATE_USE_CPU': 'true'}
SHARDED = {
    **PLAIN,
    'ACCELERATE_USE_FSDP': 'true',
    'FSDP_VERSION': '2',
    'FSDP_AUTO_WRAP_POLICY': 'TRANSFORMER_BASED_WRAP',
    'FSDP_RESHARD_AFTER_FORWARD': 'true',
}
EXACT = ('loss', 'sft', 'po', 'margin', 'accuracy', 'grad_norm')


def launch(folder: Path, processes: int, environment: dict, *words: object) -> str:
    script = folder / 'run.py'
    script.write_text(SCRIPT)
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', str(processes), script]
    done = subprocess.run([*command, *map(str, words)], env=environment, timeout=240, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def log_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / 'log.jsonl').read_text().splitlines()]


def assert_same_course(ours: Path, theirs: Path, rel: float) -> None:
    ours, theirs = log_of(ours), log_of(theirs)
    assert len(ours) == len(theirs) == 6
    for name in EXACT:
        assert [record[name] for record in ours] == pytest.approx([record[name] for record in theirs], rel=rel), name


@pytest.mark.integration
def test_shards_on_two_processes_give_the_course_of_one_and_resume_on_either(tmp_path):
    snapshot = write_snapshot(tmp_path / 's', [make_row(index) for index in range(24)], shards=2, group=4)
    one, two, back = tmp_path / 'one', tmp_path / 'two', tmp_path / 'back'
    launch(tmp_path, 1, PLAIN, snapshot, one)
    assert 'ran as FSDP' in launch(tmp_path, 2, SHARDED, snapshot, two)
    assert_same_course(two, one, rel=2e-3)
    expected = load_file(two / 'step-00000006' / 'model.safetensors')
    saved = load_file(one / 'step-00000006' / 'model.safetensors')
    assert {name: tensor.shape for name, tensor in expected.items()} == {n: t.shape for n, t in saved.items()}
    shutil.copytree(two, back)
    for out, environment, processes in ((two, SHARDED, 2), (back, PLAIN, 1)):
        shutil.rmtree(out / 'step-00000006')
        launch(tmp_path, processes, environment, snapshot, out)
        found = load_file(out / 'step-00000006' / 'model.safetensors')
        worst = max(float((found[name] - expected[name]).abs().max()) for name in expected)
        assert worst == 0 if out == two else worst < 1e-3
        assert_same_course(out, one, rel=2e-3)


@pytest.mark.integration
def test_adapters_and_part_of_the_weights_train_in_shards(tmp_path):
    rows = [make_row(index) for index in range(3, 96, 4)]  # text only: no process has a picture
    snapshot = write_snapshot(tmp_path / 's', [*rows, *(make_row(index) for index in range(3))], group=4)
    launch(tmp_path, 1, PLAIN, snapshot, tmp_path / 'start')
    words = [snapshot, f'init={tmp_path / "start"}', 'preset=' + str(tmp_path / 'lora.yaml')]
    (tmp_path / 'lora.yaml').write_text(
        'extends: tiny\ntrain: {lora_rank: 4, lora_alpha: 8, trainable: [vision_proj, xattn_, gating_phantom, eta_phantom]}\n'
    )
    for name, processes, environment in (('one', 1, PLAIN), ('two', 2, SHARDED)):
        launch(tmp_path, processes, environment, words[0], tmp_path / name, *words[1:])
    assert_same_course(tmp_path / 'two', tmp_path / 'one', rel=5e-3)
    merged = [load_file(tmp_path / name / 'step-00000006' / 'model.safetensors') for name in ('one', 'two')]
    assert set(merged[0]) == set(merged[1])
    assert all(torch.allclose(merged[0][name], merged[1][name], atol=2e-3) for name in merged[0])


def test_what_could_not_be_resumed_is_refused(monkeypatch):
    state = SimpleNamespace(fsdp_plugin=SimpleNamespace(fsdp_version=1))
    with pytest.raises(UserError, match='FSDP version 2, found 1'):
        refuse_unsupported(SimpleNamespace(distributed_type=DistributedType.FSDP, state=state))
    refuse_deepspeed()
    monkeypatch.setenv('ACCELERATE_USE_DEEPSPEED', 'true')
    with pytest.raises(UserError, match='found DeepSpeed'):
        refuse_deepspeed()
