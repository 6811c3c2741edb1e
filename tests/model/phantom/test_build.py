"""Weights load strictly, under the released names and at the released sizes."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor

from model.phantom.build import build_scratch, load_model
from model.phantom.config import RELEASED_ETA
from model.phantom.processor import PhantomProcessor
from model.phantom.tokens import make_byte_tokenizer
from model.training.settings import load_preset
from schemas.errors import UserError
from tests.promises import promise

GOLDEN = Path(__file__).parents[2] / 'golden'


@pytest.fixture
def released(tmp_path):
    """A folder as the authors would release it: their config, their key names, a tokenizer."""
    folder = tmp_path / 'released'
    shutil.copytree(GOLDEN / 'arch_0_5b', folder)
    weights = load_file(folder / 'model.safetensors') | load_file(GOLDEN / 'common' / 'vision.safetensors')
    for file in folder.glob('*.safetensors'):
        file.unlink()
    save_file(weights, folder / 'model.safetensors')
    make_byte_tokenizer().save_pretrained(folder)
    return folder


def rewrite(folder: Path, change) -> None:
    weights = load_file(folder / 'model.safetensors')
    change(weights)
    save_file(weights, folder / 'model.safetensors')


def spread(weight: torch.Tensor) -> float:
    return weight.std().item()


@pytest.mark.parametrize('decoder', ['Qwen2ForCausalLM', 'InternLM2ForCausalLM', 'Phi3ForCausalLM'])
def test_phantom_parts_start_at_random_and_the_rest_as_usual(decoder):
    section = load_preset('tiny').model
    section = {**section, 'llm_config': {**section['llm_config'], 'architectures': [decoder], 'pad_token_id': 2}}
    model, _ = build_scratch(section, seed=0)
    layer = model.language_model.model.layers[1]
    attention = getattr(layer, 'self_attn', None) or layer.attention
    assert spread(attention.xattn_query_phantom.linear_o.weight) == pytest.approx(16**-0.5, rel=0.25)
    assert attention.eta_phantom.item() == pytest.approx(0.1)
    assert spread(model.language_model.head.weight) == pytest.approx(0.08, rel=0.1)
    assert spread(model.vision_model.embeddings.position_embedding) == pytest.approx(0.02, rel=0.1)


def test_a_released_folder_loads_with_the_released_eta(released):
    model, processor = load_model(released)
    assert model.config.eta == RELEASED_ETA
    assert (processor.decoder_type, processor.tile_px, processor.tokens_per_tile) == ('qwen2', 112, 16)
    weights = load_file(released / 'model.safetensors')
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


def test_wrong_weights_are_listed(released):
    def spoil(weights):
        weights['language_model.model.extra.weight'] = weights.pop('language_model.model.norm.weight')
        weights['vision_proj.1.bias'] = torch.zeros(3)

    rewrite(released, spoil)
    with pytest.raises(UserError) as caught:
        load_model(released)
    message = str(caught.value)
    assert 'missing 1 weights: language_model.model.norm.weight' in message
    assert 'unknown 1 weights: language_model.model.extra.weight' in message
    assert 'misshapen 1 weights: vision_proj.1.bias' in message


def test_a_backbone_without_phantom_loads_only_when_asked_for(released):
    def strip(weights):
        for name in [name for name in weights if 'phantom' in name]:
            del weights[name]
        for name in [name for name in weights if name.startswith('vision_proj.')]:
            weights[name.replace('vision_proj.', 'mlp1.')] = weights.pop(name)  # InternVL2's name

    rewrite(released, strip)
    with pytest.raises(UserError, match=r'missing 48 weights: .*gating_phantom_1'):
        load_model(released)
    model, _ = load_model(released, fresh_phantom=True, eta=0.01)
    weights = load_file(released / 'model.safetensors')
    attention = model.language_model.model.layers[0].self_attn
    assert attention.eta == 0.01
    assert spread(attention.xattn_value_phantom.linear_q.weight) == pytest.approx(16**-0.5, rel=0.25)
    assert spread(attention.q_proj.weight) == pytest.approx(
        spread(weights['language_model.model.layers.0.self_attn.q_proj.weight'])
    )


def test_a_checkpoint_loads_without_its_phantom_parts_when_they_are_off(released):
    model, _ = load_model(released, phantom=False)
    assert not any('phantom' in name for name in model.state_dict())


def test_a_checkpoint_with_a_learnable_eta_loads_without_its_phantom_parts(tmp_path):
    model, processor = build_scratch(load_preset('tiny').model, seed=0)
    assert model.config.eta_learnable
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert not any('phantom' in name for name in load_model(tmp_path, phantom=False)[0].state_dict())


def test_a_checkpoint_that_lacks_some_phantom_parts_is_damaged_not_a_backbone(released):
    rewrite(released, lambda weights: weights.pop('language_model.model.layers.1.self_attn.gating_phantom_1.bias'))
    with pytest.raises(UserError, match='missing 1 weights: .*layers.1.*gating_phantom_1.bias'):
        load_model(released, fresh_phantom=True)


def test_a_head_that_was_dropped_because_it_was_tied_is_tied_again(released):
    rewrite(released, lambda weights: weights.pop('language_model.lm_head.weight'))
    model, _ = load_model(released)
    assert model.language_model.lm_head.weight is model.language_model.model.embed_tokens.weight


def test_a_learnable_eta_starts_at_its_constant(released):
    model, _ = load_model(released, eta_learnable=True, eta=0.5)
    assert [layer.self_attn.eta_phantom.item() for layer in model.language_model.model.layers] == [0.5] * 3


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(UserError, match='expected config.json'):
        load_model(tmp_path)


def test_the_processor_is_found_by_auto_processor(tmp_path):
    model, processor = build_scratch(load_preset('tiny').model, seed=0)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(loaded, PhantomProcessor)
    assert (loaded.tile_px, loaded.max_tiles, loaded.tokens_per_tile) == (112, 1, 16)
    assert loaded.encode_questions(['Hi'], [[]])['input_ids'].tolist() == processor.encode_questions(['Hi'], [[]])['input_ids'].tolist()


EVIL = "from pathlib import Path\nPath({mark!r}).touch()\nclass Thing:\n    from_pretrained = classmethod(lambda *a, **k: None)\n"


def change_json(path: Path, **fields) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text('utf-8')), **fields}), 'utf-8')


@promise('Hostile files', 'Code beside weights is not run, and nobody is asked whether it may be')
@pytest.mark.parametrize('needed', [False, True])
def test_code_beside_weights_is_not_run_and_nobody_is_asked(released, tmp_path, monkeypatch, needed):
    mark = tmp_path / 'ran'
    for name in ('configuration_evil', 'modeling_evil', 'tokenization_evil'):
        (released / f'{name}.py').write_text(EVIL.format(mark=str(mark)))
    change_json(released / 'config.json', auto_map={'AutoConfig': 'configuration_evil.Thing', 'AutoModel': 'modeling_evil.Thing'}, attn_implementation='evil/kernels')
    named = {'tokenizer_class': 'ThingTokenizer'} if needed else {}
    change_json(released / 'tokenizer_config.json', auto_map={'AutoTokenizer': ['tokenization_evil.Thing', None]}, **named)
    monkeypatch.setattr('builtins.input', lambda *words: pytest.fail('asked'))
    if needed:  # no tokenizer.json to fall back on
        (released / 'tokenizer.json').unlink()
        with pytest.raises(UserError, match=r'whose tokenizer is code of its own, which is never run.*(?<!\n)$'):
            load_model(released)
    else:
        load_model(released)
    assert not mark.exists()


def test_weights_that_are_pickles_are_refused_unread(released, tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / 'ran',))

    (released / 'model.safetensors').unlink()
    torch.save({'a': Evil()}, released / 'pytorch_model.bin')
    with pytest.raises(UserError, match=r'expected model.safetensors, found only pytorch_model.bin, whose reading may run code'):
        load_model(released)
    (released / 'model.safetensors.index.json').write_text('{"weight_map": {"a": "pytorch_model.bin"}}')
    with pytest.raises(UserError):
        load_model(released)
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('text', ['5', '[' * 100_000, '[1, "a"]', '{"a": 1}', '{'])
def test_a_config_that_is_none_is_refused(released, text):
    (released / 'config.json').write_text(text)
    with pytest.raises(UserError, match=r'config.json: expected'):
        load_model(released)
