"""Two processes that share weights or optimiser states: the loss curve of one, and checkpoints any number of processes can go on from."""

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
from accelerate.utils import DynamoBackend
from safetensors.torch import load_file
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from model.training.readback import leaves, same
from model.training.sharding import gather_optimizer, gather_weights, load_optimizer, refuse_deepspeed, refuse_unsupported
from schemas.errors import UserError
from tests.model.training.snapshots import SMALL, make_row, write_snapshot

SCRIPT = """
import sys
from pathlib import Path
import torch
from model.training.train import train
from tests.model.training.snapshots import SMALL
torch.set_num_threads(1)
result = train(Path(sys.argv[1]), Path(sys.argv[2]), max_steps=6, batch_rows=6, micro_batch_rows=2, save_every=2,
               **{'preset': SMALL, 'po_start': 0.0, **dict(word.split('=') for word in sys.argv[3:])}, quiet=True)
from accelerate.state import AcceleratorState
print('ran as', AcceleratorState().distributed_type.value)
"""
PLAIN = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get('PYTHONPATH', '')]), 'OMP_NUM_THREADS': '1'}
SHARDED = {
    **PLAIN,
    'ACCELERATE_USE_FSDP': 'true',
    'FSDP_VERSION': '2',
    'FSDP_AUTO_WRAP_POLICY': 'TRANSFORMER_BASED_WRAP',
    'FSDP_RESHARD_AFTER_FORWARD': 'true',
}
# Against what accelerate's own config may say of them: the preset's accumulation and precision hold.
FOREIGN = {'ACCELERATE_GRADIENT_ACCUMULATION_STEPS': '4', 'ACCELERATE_MIXED_PRECISION': 'bf16'}
EXACT = ('loss', 'sft', 'po', 'margin', 'accuracy', 'grad_norm')


def launch(folder: Path, processes: int, environment: dict, *words: object) -> str:
    script = folder / 'run.py'
    script.write_text(SCRIPT)
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', str(processes), script]
    done = subprocess.run([*command, *map(str, words)], env=environment, capture_output=True, text=True)
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
@pytest.mark.long
def test_shards_on_two_processes_give_the_course_of_one_and_resume_on_either(tmp_path):
    snapshot = write_snapshot(tmp_path / 's', [make_row(index) for index in range(24)], shards=2, group=4)
    one, two, back = tmp_path / 'one', tmp_path / 'two', tmp_path / 'back'
    launch(tmp_path, 1, PLAIN, snapshot, one)
    assert 'ran as FSDP' in launch(tmp_path, 2, {**SHARDED, **FOREIGN}, snapshot, two)
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
@pytest.mark.long
def test_adapters_and_part_of_the_weights_train_in_shards(tmp_path):
    rows = [make_row(index) for index in range(3, 96, 4)]  # text only: no process has a picture
    snapshot = write_snapshot(tmp_path / 's', [*rows, *(make_row(index) for index in range(3))], group=4)
    launch(tmp_path, 1, PLAIN, snapshot, tmp_path / 'start')
    words = [snapshot, f'init={tmp_path / "start"}', 'preset=' + str(tmp_path / 'lora.yaml')]
    (tmp_path / 'lora.yaml').write_text(
        f'extends: {SMALL}\ntrain: {{lora_rank: 4, lora_alpha: 8, preference: dpo, gradient_checkpointing: true, '
        'trainable: [vision_proj, xattn_, gating_phantom, eta_phantom]}\n'
    )
    for name, processes, environment in (('one', 1, PLAIN), ('two', 2, SHARDED)):
        launch(tmp_path, processes, environment, words[0], tmp_path / name, *words[1:])
    assert_same_course(tmp_path / 'two', tmp_path / 'one', rel=5e-3)
    merged = [load_file(tmp_path / name / 'step-00000006' / 'model.safetensors') for name in ('one', 'two')]
    assert set(merged[0]) == set(merged[1])
    assert all(torch.allclose(merged[0][name], merged[1][name], atol=2e-3) for name in merged[0])


@pytest.fixture
def shards():
    """One process among one, whose shards are the whole: what is put together and taken apart is the same as with more."""
    torch.distributed.init_process_group('gloo', store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield SimpleNamespace(distributed_type=DistributedType.FSDP, is_main_process=True)
    torch.distributed.destroy_process_group()


def sharded_net(seed: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    net = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(3)))
    net[0].requires_grad_(False)
    mesh = init_device_mesh('cpu', (1,))
    for layer in net:
        fully_shard(layer, mesh=mesh)
    fully_shard(net, mesh=mesh)
    return net, torch.optim.AdamW([parameter for parameter in net.parameters() if parameter.requires_grad], lr=0.1)


def test_a_sharded_state_is_on_disk_as_one_process_has_it_and_comes_back_to_the_bit(shards, tmp_path):
    net, optimizer = sharded_net(0)
    net(torch.ones(2, 3)).sum().backward()
    net[2].bias.grad = None  # as for an encoder that no picture has reached: it has no state
    optimizer.step()
    state = gather_optimizer(shards, net, optimizer)
    assert (sorted(state['state']), state['param_groups'][0]['params']) == ([0, 1, 2], [0, 1, 2, 3])
    assert not any(isinstance(value, DTensor) for values in state['state'].values() for value in values.values())
    torch.save(state, tmp_path / 'optimizer.pt')
    other, fresh = sharded_net(1)
    other.load_state_dict(net.state_dict())
    load_optimizer(shards, other, fresh, torch.load(tmp_path / 'optimizer.pt', weights_only=True))
    assert other[2].bias not in fresh.state
    for ours, its in ((net, optimizer), (other, fresh)):
        its.zero_grad()
        ours(torch.ones(2, 3)).sum().backward()
        its.step()
    found, expected = gather_weights(shards, other), gather_weights(shards, net)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    again, known = (dict(leaves(gather_optimizer(shards, *pair))) for pair in ((other, fresh), (net, optimizer)))
    assert again.keys() == known.keys()
    assert all(same(again[name], known[name]) for name in known)


def test_what_would_go_wrong_is_refused(monkeypatch):
    off = SimpleNamespace(backend=DynamoBackend.NO)
    state = SimpleNamespace(fsdp_plugin=SimpleNamespace(fsdp_version=1), dynamo_plugin=off)
    with pytest.raises(UserError, match='FSDP version 2, found 1'):
        refuse_unsupported(SimpleNamespace(distributed_type=DistributedType.FSDP, state=state))
    state = SimpleNamespace(dynamo_plugin=SimpleNamespace(backend=DynamoBackend.INDUCTOR))
    with pytest.raises(UserError, match='no dynamo_backend, found INDUCTOR; set compile: true'):
        refuse_unsupported(SimpleNamespace(distributed_type=DistributedType.NO, state=state))
    monkeypatch.setenv('ACCELERATE_USE_DEEPSPEED', 'true')
    with pytest.raises(UserError, match='expected DDP or FSDP, found DeepSpeed; FSDP spreads the same'):
        refuse_deepspeed()
