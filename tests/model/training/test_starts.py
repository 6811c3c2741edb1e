"""Runs that start from published folders: one layout is saved, and a dry run says beforehand what they would be."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from model.phantom.build import load_model
from model.phantom.join import join
from model.training.dry_run import activations, count_saved, dry_run
from model.training.settings import load_preset
from model.training.stepper import choose_trainable
from model.training.train import train
from schemas.errors import UserError
from tests.model.phantom.published import write_internvl2, write_language, write_native, write_vision
from tests.model.training.snapshots import SMALL, make_row, write_snapshot

SETTINGS = {'batch_rows': 4, 'micro_batch_rows': 4, 'max_length': 256, 'precision': 'fp32', 'torch_threads': 1, 'learning_rate': 1e-3}


@pytest.fixture(scope='module')
def snapshot(tmp_path_factory):
    return write_snapshot(tmp_path_factory.mktemp('snapshot') / 'triples', [make_row(index) for index in range(8)])


@pytest.fixture
def preset(tmp_path):
    (tmp_path / 'small.yaml').write_text('config: {eta: 0.1, max_tiles: 1}\ntrain: {stage: 1}\n')
    return str(tmp_path / 'small.yaml')


@pytest.mark.parametrize('start', ['internvl2-qwen2', 'internvl2-internlm2', 'native-llama', 'join-qwen3'])
def test_a_run_from_a_published_folder_saves_what_everyone_reads_back(tmp_path, snapshot, preset, start):
    kind, decoder = start.split('-')
    folder = tmp_path / 'start'
    if kind == 'join':
        join(write_vision(tmp_path / 'vision'), write_language(tmp_path / 'language', decoder), folder)
    else:
        (write_internvl2 if kind == 'internvl2' else write_native)(folder, decoder)
    made = train(snapshot, tmp_path / 'run', preset=preset, init=folder, max_steps=2, save_every=1, quiet=True, **SETTINGS)
    stored = load_file(made.checkpoint / 'model.safetensors')
    assert {name.partition('.')[0] for name in stored} == {'vision_model', 'vision_proj', 'language_model'}
    loaded, info = AutoModelForImageTextToText.from_pretrained(made.checkpoint, output_loading_info=True)
    assert [*info['missing_keys'], *info['unexpected_keys'], *info['mismatched_keys']] == []
    ours = load_model(made.checkpoint)[0].state_dict()
    assert all(torch.equal(tensor, ours[name]) for name, tensor in loaded.state_dict().items())
    before = load_model(folder, fresh_phantom=True)[0].state_dict()
    changed = {name for name, tensor in ours.items() if not torch.equal(tensor, before[name]) and 'phantom' not in name}
    assert changed == {f'vision_proj.{layer}.{kind}' for layer in (0, 1, 3) for kind in ('weight', 'bias')}


def test_a_dry_run_tells_account_parameters_and_memory_and_makes_nothing(tmp_path, snapshot, preset):
    folder = write_internvl2(tmp_path / 'start', 'qwen2')
    told = dry_run(snapshot, tmp_path / 'run', preset=preset, init=folder, **SETTINGS)
    text = '\n'.join(told)
    model = load_model(folder, fresh_phantom=True)[0]
    trained = sum(tensor.numel() for name, tensor in model.named_parameters() if any(part in name for part in ('vision_proj', 'xattn_', 'gating')))
    frozen = sum(tensor.numel() for tensor in model.parameters()) - trained
    assert 'start: loaded: 65 tensors as 65 weights (decoder 27, encoder 32, projector 6)\nstart: new: 32 weights' in text
    assert f'parameters: {trained:,} trained, {frozen:,} frozen' in text
    assert f'  encoder: 0 trained, {sum(tensor.numel() for tensor in model.vision_model.parameters()):,} frozen' in text
    assert f"  AdamW's moments, float32: {8 * trained / 1e9:,.3f} GB" in text
    assert told[-1].startswith('fits: ')
    assert not (tmp_path / 'run').exists()


def test_a_run_tells_the_account_of_every_tensor_in_a_line(tmp_path, snapshot, preset, capsys):
    folder = write_internvl2(tmp_path / 'start', 'qwen2')
    made = train(snapshot, tmp_path / 'run', preset=preset, init=folder, max_steps=1, **SETTINGS).checkpoint
    new = '32 new (phantom attention 24, phantom gates 8), none refused'
    assert f'weights: {folder}: 65 of 65 tensors loaded as 65 weights, {new}\n' in capsys.readouterr().out
    train(snapshot, tmp_path / 'run', preset=preset, max_steps=2, **SETTINGS)
    assert f'weights: {made}: 97 of 97 tensors loaded as 97 weights, 0 new, none refused\n' in capsys.readouterr().out
    train(snapshot, tmp_path / 'new', preset=SMALL, max_steps=1, **SETTINGS)
    assert 'weights: every weight is new, at random\n' in capsys.readouterr().out
    adapters = {**SETTINGS, 'lora_rank': 2, 'lora_alpha': 2, 'trainable': ['vision_proj']}
    for steps in (1, 2):
        train(snapshot, tmp_path / 'adapters', preset=preset, init=folder, max_steps=steps, **adapters)
    assert f'none refused; then 50 trained weights of {tmp_path}/adapters/step-00000001\n' in capsys.readouterr().out


@pytest.mark.parametrize(('values', 'told'), [
    ({'precision': 'bf16', 'base_precision': 'bf16'}, 'frozen weights, bfloat16'),
    ({'precision': 'bf16', 'lora_rank': 4, 'lora_alpha': 4, 'quantize_bits': 8}, 'frozen weights, 8 bits'),
    ({'preference': 'dpo'}, "DPO's reference, float32"),
    ({'lora_rank': 4, 'lora_alpha': 4}, '  adapters: '),
])
def test_a_dry_run_counts_memory_by_type(tmp_path, snapshot, preset, values, told):
    folder = write_internvl2(tmp_path / 'start', 'internlm2')
    assert told in '\n'.join(dry_run(snapshot, tmp_path / 'run', preset=preset, init=folder, **{**SETTINGS, **values}))


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_activations_of_a_dry_run_are_what_autograd_saves(tmp_path, snapshot, preset, precision):
    """A row of 256 tokens: counted without computing, and on the model itself."""
    folder = write_internvl2(tmp_path / 'start', 'qwen2')
    settings = load_preset(preset, **{**SETTINGS, 'precision': precision}).settings
    model, _ = load_model(folder, fresh_phantom=True, max_tiles=1)
    choose_trainable(model, settings)
    real, told = count_saved(model.train(), settings), activations(model.config, settings)
    assert told == pytest.approx(real, rel=0.02)
    assert activations(model.config, replace(settings, gradient_checkpointing=True)) < told


def test_a_dry_run_of_a_preset_from_scratch_and_of_one_without_weights(tmp_path, snapshot):
    text = '\n'.join(dry_run(snapshot, tmp_path / 'run', preset='tiny'))
    assert 'start: preset tiny: every weight is new, at random by seed 0' in text
    assert 'eta: 0.1, where learning begins' in text
    with pytest.raises(UserError, match='pass --init FOLDER'):
        dry_run(snapshot, tmp_path / 'run', preset='0.5b-step1')


def test_a_dry_run_refuses_the_start_that_training_refuses(tmp_path, snapshot, preset):
    folder = write_internvl2(tmp_path / 'start', 'qwen2')
    (folder / 'model.safetensors').write_bytes((folder / 'model.safetensors').read_bytes()[:-10])
    with pytest.raises(UserError, match='found files that do not read'):
        dry_run(snapshot, tmp_path / 'run', preset=preset, init=folder)


@pytest.mark.parametrize(('ways', 'said'), [
    ({'max_steps': 0}, 'max_steps: expected a whole number from 1'),
    ({'resume': Path('/nowhere')}, 'checkpoint /nowhere: expected'),
    ({'settings': {'kinds': ['foo']}}, 'kinds: expected kinds of this snapshot'),
    ({'settings': {'schedule': 'wsd', 'warmup_ratio': 0.9}}, 'warmup_ratio|decay'),
])  # fmt: skip
def test_a_dry_run_refuses_what_training_refuses(tmp_path, snapshot, ways, said):
    with pytest.raises(UserError, match=said):
        dry_run(snapshot, tmp_path / 'run', preset=SMALL, **ways)


def test_a_dry_run_says_what_to_set_where_it_does_not_fit(tmp_path, snapshot, preset, monkeypatch):
    folder = write_internvl2(tmp_path / 'start', 'qwen2')
    monkeypatch.setattr('model.training.dry_run.free_memory', lambda: (1e6, 'a watch'))
    last = dry_run(snapshot, tmp_path / 'run', preset=preset, init=folder, **SETTINGS)[-1]
    assert last == (
        'does not fit: a watch has 0.0 GB free; set gradient_checkpointing=true or base_precision=bf16 (with precision=bf16) or max_length=128'
    )
