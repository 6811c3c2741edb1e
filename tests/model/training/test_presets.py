"""The presets: each reads, and the tiny ones take the paper's two steps from a start of their own."""

import pytest
import torch
from safetensors.torch import load_file

from model.evaluation.ask import ask
from model.training.settings import PRESETS, STEP_1, load_preset
from model.training.train import train
from schemas.errors import UserError
from tests.model.training.snapshots import make_row, write_snapshot

FEW = {'batch_rows': 4, 'micro_batch_rows': 4, 'quiet': True}


@pytest.fixture(scope='module')
def snapshot(tmp_path_factory):
    return write_snapshot(tmp_path_factory.mktemp('snap') / 's', [make_row(index) for index in range(24)])


@pytest.mark.parametrize('name', sorted(file.stem for file in PRESETS.glob('*.yaml')))
def test_every_preset_reads(name):
    assert load_preset(name).name == name


@pytest.mark.parametrize('size', ['tiny', '0.5b', '7b'])
def test_step_1_and_2_are_the_papers_at_every_size(size):
    first, second = (load_preset(f'{size}-step{step}').settings for step in (1, 2))
    assert (first.stage, second.stage) == (1, 2)
    assert first.trainable == second.trainable == STEP_1
    assert first.lora_rank == 0 < second.lora_rank


def test_the_tiny_steps_train_what_the_papers_do(snapshot, tmp_path):
    folders, init = {}, None
    for name in ('tiny-start', 'tiny-step1', 'tiny-step2'):
        result = train(snapshot, tmp_path / name, preset=name, init=init, max_steps=2, **FEW)
        assert (result.last['po'] is None) == (name != 'tiny-step1')
        folders[name] = init = result.checkpoint
    start, first, second = (load_file(folder / 'model.safetensors') for folder in folders.values())
    changed = {name for name in start if not torch.equal(start[name], first[name])}
    assert changed == {name for name in start if any(part in name for part in STEP_1)}
    kept = {name for name in first if torch.equal(first[name], second[name])}
    assert not any('mlp' in name and name.endswith('weight') for name in kept)
    assert 'language_model.lm_head.weight' in kept
    assert isinstance(ask(init, None, '1 + 1?', max_new_tokens=2), str)


def test_the_tiny_steps_ask_for_weights_to_start_from(snapshot, tmp_path):
    with pytest.raises(UserError, match='expected weights to start from, found none; pass --init'):
        train(snapshot, tmp_path, preset='tiny-step1', max_steps=1, **FEW)
