"""Whose eta stands: a checkpoint's own, unless another is set; and whether it acts."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.exactness.golden import Golden
from model.phantom.build import load_model
from model.phantom.eta import ACTS_IN_HALF, describe_eta
from model.training.settings import load_preset
from model.training.train import start_model
from schemas.errors import UserError
from tests.model.phantom.tiny import save_tiny


@torch.no_grad()
def etas(model) -> list[float]:
    found = [layer.self_attn for layer in model.language_model.model.layers]
    return [float(attention.eta if attention.eta_phantom is None else attention.eta_phantom) for attention in found]


@pytest.fixture
def constant(tmp_path):
    """As released: a constant of 1e-4."""
    return save_tiny(tmp_path / 'constant', eta=1e-4, eta_learnable=False)


@pytest.fixture
def learned(tmp_path):
    folder = save_tiny(tmp_path / 'learned', eta=0.25)
    weights = load_file(folder / 'model.safetensors')
    for name in [name for name in weights if 'eta_phantom' in name]:
        weights[name] = weights[name] * 2
    save_file(weights, folder / 'model.safetensors', {'format': 'pt'})
    return folder


@pytest.mark.parametrize('preset', ['paper-step1', 'paper-step2', '0.5b-step1'])
def test_a_preset_leaves_a_checkpoints_eta_as_it_is(constant, learned, preset):
    model, _ = start_model(load_preset(preset), str(constant))
    assert etas(model) == pytest.approx([1e-4] * 3)
    assert model.config.eta_learnable
    model, _ = start_model(load_preset(preset), str(learned))
    assert etas(model) == [0.5] * 3


def test_a_presets_eta_is_for_phantom_parts_that_start_at_random(constant):
    weights = load_file(constant / 'model.safetensors')
    save_file({name: tensor for name, tensor in weights.items() if 'phantom' not in name}, constant / 'model.safetensors', {'format': 'pt'})
    model, _ = start_model(load_preset('paper-step1'), str(constant))
    assert etas(model) == pytest.approx([0.01] * 3)


def test_an_eta_that_is_set_stands(constant, learned, tmp_path):
    mine = tmp_path / 'mine.yaml'
    mine.write_text('extends: paper-step1\nconfig: {eta: 0.3}\n', 'utf-8')
    for folder in (constant, learned):
        assert etas(start_model(load_preset(str(mine)), str(folder))[0]) == pytest.approx([0.3] * 3)
        assert etas(load_model(folder, eta=0.7)[0]) == pytest.approx([0.7] * 3)


def test_a_learned_eta_goes_with_the_phantom_parts_or_stays(learned):
    model, _ = load_model(learned, phantom=False)
    assert not any('phantom' in name for name in model.state_dict())
    with pytest.raises(UserError, match=r'expected a constant eta, found 3 learned ones .*leave eta_learnable as the checkpoint has it'):
        load_model(learned, eta_learnable=False)


def test_learned_etas_that_lack_are_damage(learned):
    weights = load_file(learned / 'model.safetensors')
    lacking = {name: tensor for name, tensor in weights.items() if name != 'language_model.model.layers.1.self_attn.eta_phantom'}
    save_file(lacking, learned / 'model.safetensors', {'format': 'pt'})
    with pytest.raises(UserError, match='expected learned etas of 3 layers as config.json says, found 2; copy it again'):
        load_model(learned)


def test_a_constant_eta_may_become_a_learned_one(constant):
    assert etas(load_model(constant, eta_learnable=True)[0]) == pytest.approx([1e-4] * 3)
    assert torch.is_tensor(load_model(constant, eta_learnable=True)[0].language_model.model.layers[0].self_attn.eta_phantom)


def effect_on_logits(eta: float, dtype: torch.dtype) -> torch.Tensor:
    """What eta changes in the logits, in float32, flat."""
    golden, logits = Golden.open(Path(__file__).parents[2] / 'golden' / 'arch_0_5b'), []
    for value in (0.0, eta):
        model = golden.model('eta1').to(dtype)
        for layer in model.language_model.model.layers:
            layer.self_attn.eta = value
        with torch.no_grad():
            logits.append(model(**golden.case('text')).logits.float().flatten())
    return logits[1] - logits[0]


def test_the_bound_in_bfloat16_is_where_rounding_hides_it():
    likeness = {}
    for eta in (ACTS_IN_HALF / 100, ACTS_IN_HALF * 10):
        both = torch.stack([effect_on_logits(eta, dtype) for dtype in (torch.float32, torch.bfloat16)])
        likeness[eta] = float(torch.corrcoef(both)[0, 1])
    assert likeness[ACTS_IN_HALF / 100] < 0.2
    assert likeness[ACTS_IN_HALF * 10] > 0.9


def test_people_are_told_whether_it_acts(constant, learned):
    model, _ = load_model(constant)
    assert describe_eta(model, half=False) == 'eta 0.0001, constant'
    assert describe_eta(model, half=True).startswith('eta 0.0001, constant: in bf16 the phantom dimension hardly acts below 0.01')
    assert describe_eta(load_model(learned)[0], half=True) == 'eta 0.5, learned'
    assert describe_eta(load_model(learned, phantom=False)[0], half=True) == 'phantom dimension off'
