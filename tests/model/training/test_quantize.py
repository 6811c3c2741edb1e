"""Frozen weights in half precision and in 8 or 4 bits: what is chosen, what is refused, what adapters are merged into."""

import sys
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from model.phantom.build import build_scratch
from model.training.lora import add_lora, merged_weights
from model.training.quantize import halve_frozen, quantizable, quantize_frozen
from model.training.settings import load_preset
from model.training.train import train
from schemas.errors import UserError
from tests.model.training.snapshots import make_row, write_snapshot

PARTS = ['vision_proj', 'xattn_', 'gating_phantom', 'eta_phantom']
LORA = {'lora_rank': 4, 'lora_alpha': 8, 'trainable': PARTS, 'batch_rows': 4, 'micro_batch_rows': 4, 'quiet': True}


@pytest.fixture
def tiny():
    return build_scratch(load_preset('tiny').model, seed=0)[0]


class FakeLayer(nn.Linear):
    """Takes what bitsandbytes' layers take and computes in full."""

    def __init__(self, *sizes, bias, **options):
        super().__init__(*sizes, bias=bias)
        self.options = options


def fake_parameter(data, requires_grad, **_options):
    return nn.Parameter(data, requires_grad=requires_grad)


@pytest.fixture
def bitsandbytes(monkeypatch):
    module = ModuleType('bitsandbytes')
    module.nn = SimpleNamespace(Linear8bitLt=FakeLayer, Linear4bit=FakeLayer, Int8Params=fake_parameter, Params4bit=fake_parameter)
    monkeypatch.setitem(sys.modules, 'bitsandbytes', module)


def test_the_released_skip_list_leaves_phantom_parts_projections_projector_and_head(tiny):
    names = set(quantizable(tiny))
    layer = 'language_model.model.layers.0'
    assert {f'{layer}.self_attn.o_proj', f'{layer}.mlp.up_proj', f'{layer}.mlp.down_proj'} <= names
    assert not any(part in name for name in names for part in (*PARTS, 'q_proj', 'k_proj', 'v_proj', 'lm_head'))
    assert len([name for name in names if name.startswith('language_model')]) == 3 * 4
    assert {name.rpartition('.')[2] for name in names if name.startswith('vision_model')} == {'qkv', 'proj', 'fc1', 'fc2'}


@pytest.mark.parametrize(('bits', 'options'), [(8, {'threshold': 6.0}), (4, {'quant_type': 'nf4', 'compute_dtype': torch.bfloat16})])
def test_layers_are_replaced_with_their_weights_and_frozen(tiny, bitsandbytes, bits, options):
    before = {name: tensor.clone() for name, tensor in tiny.state_dict().items()}
    names = quantize_frozen(tiny, bits=bits)
    for name in names:
        layer = tiny.get_submodule(name)
        assert isinstance(layer, FakeLayer)
        assert options.items() <= layer.options.items()
        assert not any(parameter.requires_grad for parameter in layer.parameters())
        assert torch.equal(layer.weight, before[f'{name}.weight'].bfloat16())
        assert layer.bias is None or torch.equal(layer.bias, before[f'{name}.bias'])
    assert set(tiny.state_dict()) == set(before)
    assert (tiny.is_loaded_in_8bit, tiny.is_loaded_in_4bit) == (bits == 8, bits == 4)


def test_adapters_are_merged_into_the_weights_as_they_were(tiny):
    """B A scaling = 1 * 1 * 4 * (8 / 4): every entry of a merged weight grows by 8; the base's own small digits stay."""
    base = tiny.state_dict()
    base = {name: tensor.clone() for name, tensor in base.items()}
    add_lora(tiny, rank=4, alpha=8)
    for name, parameter in tiny.named_parameters():
        if '.lora_' in name:
            parameter.data.fill_(1)
    adapters = {name: tensor for name, tensor in tiny.state_dict().items() if '.lora_' in name}
    merged = merged_weights(tiny, {**base, **adapters})
    assert set(merged) == set(base)
    name = 'language_model.model.layers.0.mlp.up_proj.weight'
    assert torch.allclose(merged[name], base[name] + 8)
    assert torch.equal(merged['language_model.lm_head.weight'], base['language_model.lm_head.weight'])


def test_without_bitsandbytes_it_is_said(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, 'bitsandbytes', None)
    with pytest.raises(UserError, match='pip install bitsandbytes'):
        quantize_frozen(tiny, bits=8)


@pytest.mark.skipif(find_spec('bitsandbytes') is None, reason='bitsandbytes is not in requirements.lock; pip install bitsandbytes')
@pytest.mark.parametrize(('bits', 'dtype'), [(8, torch.int8), (4, torch.uint8)])
def test_real_quantised_layers_train_adapters_on_the_cpu_and_resume_to_the_bit(tmp_path, bits, dtype):
    snapshot = write_snapshot(tmp_path / 's', [make_row(index) for index in range(24)], group=4)
    start = train(snapshot, tmp_path / 'start', max_steps=30, batch_rows=8, micro_batch_rows=4, quiet=True).checkpoint
    arguments = {'init': start, 'precision': 'bf16', 'learning_rate': 1e-3, **LORA}
    full = train(snapshot, tmp_path / 'full', max_steps=4, **arguments)
    small = train(snapshot, tmp_path / 'small', max_steps=4, quantize_bits=bits, save_every=2, **arguments)
    assert small.last['loss'] == pytest.approx(full.last['loss'], rel=0.2)
    assert small.last['loss'] != full.last['loss']
    model = build_scratch(load_preset('tiny').model, seed=0)[0]
    layer = model.get_submodule(quantize_frozen(model, bits=bits)[-1])
    assert layer.to('cpu').weight.dtype == dtype
    expected = load_file(small.checkpoint / 'model.safetensors')
    small.checkpoint.rename(tmp_path / 'lost')
    resumed = load_file(train(snapshot, tmp_path / 'small', max_steps=4, quantize_bits=bits, **arguments).checkpoint / 'model.safetensors')
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'quantize_bits': 8}, 'found lora_rank 0'),
        ({'quantize_bits': 3, **LORA}, 'expected 0, 4 or 8, found 3'),
        ({'base_precision': 'bf16', 'precision': 'fp32'}, 'precision: expected bf16'),
        ({'base_precision': 'fp8'}, 'base_precision: expected fp32 or bf16'),
    ],
)
def test_settings_that_do_not_go_together_are_named(settings, message):
    settings.pop('quiet', None)
    with pytest.raises(UserError, match=message):
        load_preset('tiny', **settings)


def test_a_half_precision_base_trains_adapters_and_phantom_parts_like_a_full_one(tmp_path):
    snapshot = write_snapshot(tmp_path / 's', [make_row(index) for index in range(24)], group=4)
    start = train(snapshot, tmp_path / 'start', max_steps=3, batch_rows=4, micro_batch_rows=4, quiet=True).checkpoint
    arguments = {'init': start, 'max_steps': 3, 'precision': 'bf16', 'learning_rate': 1e-3, **LORA}
    full = train(snapshot, tmp_path / 'full', **arguments)
    half = train(snapshot, tmp_path / 'half', base_precision='bf16', **arguments)
    assert half.last['loss'] == pytest.approx(full.last['loss'], rel=0.02)
    before, after = load_file(start / 'model.safetensors'), load_file(half.checkpoint / 'model.safetensors')
    phantom = [name for name in before if any(part in name for part in PARTS[1:])]
    assert len(phantom) == 3 * 17
    assert [name for name in phantom if torch.equal(before[name], after[name])] == []
    assert after['language_model.lm_head.weight'].dtype == torch.bfloat16


def test_only_frozen_weights_are_halved(tiny):
    for name, parameter in tiny.named_parameters():
        parameter.requires_grad_('vision_proj' in name)
    halve_frozen(tiny)
    assert {p.dtype for n, p in tiny.named_parameters() if 'vision_proj' in n} == {torch.float32}
    assert {p.dtype for n, p in tiny.named_parameters() if 'vision_proj' not in n} == {torch.bfloat16}
