"""Folders as published are starts: each tensor goes where it belongs, bit by bit, and no code of theirs runs."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, InternVLForConditionalGeneration

from model.phantom.build import load_model, look_at
from schemas.errors import UserError
from tests.model.phantom.published import write_internvl2, write_json, write_native

DECODERS = ['qwen2', 'internlm2', 'phi3', 'qwen3']
PHANTOM = ('xattn_', 'gating_phantom')


def weights_of(folder):
    return {name: tensor for file in folder.glob('*.safetensors') for name, tensor in load_file(file).items()}


def change_json(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text('utf-8')), **fields}), 'utf-8')


def words(processor, text):
    return torch.tensor([processor.tokenizer(text, add_special_tokens=False)['input_ids']])


@pytest.mark.parametrize('decoder', DECODERS)
def test_internvl2_in_its_own_layout_is_a_start(tmp_path, decoder):
    folder = write_internvl2(tmp_path / 'start', decoder, shards=3)
    model, processor = load_model(folder, fresh_phantom=True)
    state, stored = model.state_dict(), weights_of(folder)
    ours = {name: name.replace('mlp1.', 'vision_proj.') for name in stored}
    assert all(torch.equal(state[ours[name]], tensor.float()) for name, tensor in stored.items())
    new = state.keys() - {*ours.values()}
    assert len(new) == 2 * 16
    assert all(any(part in name for part in PHANTOM) for name in new)
    assert processor.tokenizer.convert_tokens_to_ids('<IMG_CONTEXT>') == model.config.image_token_index
    end = {'phi3': '<|end|>'}.get(decoder, '<|im_end|>')
    assert model.config.eos_token_id == processor.tokenizer.convert_tokens_to_ids(end), 'answers are trained to end so'
    ids = words(processor, 'hello world')
    assert model(ids).logits.isfinite().all()


@pytest.mark.parametrize(('text', 'names'), [('qwen2', 'saved'), ('qwen2', 'published'), ('qwen2', 'model'), ('llama', 'saved'), ('llama', 'published'), ('qwen3', 'model')])
def test_transformers_own_layout_is_a_start_that_computes_the_same(tmp_path, text, names):
    folder = write_native(tmp_path / 'start', text, names=names)
    ours, processor = load_model(folder, phantom=False)
    theirs = InternVLForConditionalGeneration.from_pretrained(folder).eval()
    tiles = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    image = ours.config.image_token_index
    assert processor.tokenizer.convert_ids_to_tokens(image) == '<IMG_CONTEXT>'
    ids = torch.tensor([[5, 6, *[image] * 8, 7, 8]])
    with torch.no_grad():
        assert torch.allclose(ours(ids, tiles).logits, theirs(input_ids=ids, pixel_values=tiles).logits, atol=2e-5)
    account = look_at(folder, fresh_phantom=True).account
    assert sum(len(source.names) for source in account.loaded.values()) == len(account.stored.shapes)
    assert len(account.new) == 2 * 16


@pytest.mark.parametrize('start', ['internvl2-qwen2', 'internvl2-internlm2', 'internvl2-phi3', 'native-qwen2', 'native-llama'])
def test_whatever_the_layout_was_one_layout_is_saved_and_read_back_bit_by_bit(tmp_path, start):
    kind, decoder = start.split('-')
    folder = (write_internvl2 if kind == 'internvl2' else write_native)(tmp_path / 'start', decoder)
    model, processor = load_model(folder, fresh_phantom=True)
    model.save_pretrained(tmp_path / 'saved')
    processor.save_pretrained(tmp_path / 'saved')
    loaded, info = AutoModelForImageTextToText.from_pretrained(tmp_path / 'saved', output_loading_info=True)
    assert not info['missing_keys']
    assert not info['unexpected_keys']
    assert not info['mismatched_keys']
    again, _ = load_model(tmp_path / 'saved')
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name
        assert torch.equal(tensor, again.state_dict()[name]), name
    stored = {name.partition('.')[0] for name in load_file(tmp_path / 'saved' / 'model.safetensors')}
    assert stored == {'vision_model', 'vision_proj', 'language_model'}


def test_every_tensor_of_a_folder_is_accounted_for(tmp_path):
    folder = write_internvl2(tmp_path / 'start', 'internlm2')
    weights = load_file(folder / 'model.safetensors')
    weights['language_model.model.layers.0.attention.rotary_emb.inv_freq'] = torch.ones(4)
    save_file(weights, folder / 'model.safetensors')
    start = look_at(folder, fresh_phantom=True)
    account = start.account
    assert sum(len(source.names) for source in account.loaded.values()) + len(account.left_out) == len(weights)
    assert '\n'.join(account.lines()) == (
        f'{folder}: 56 tensors in BF16, F32\nloaded: 55 tensors as 55 weights (decoder 17, encoder 32, projector 6)\n'
        'new: 32 weights (phantom attention 24, phantom gates 8)\nleft out: 1 tensors (decoder 1)'
    )


@pytest.mark.parametrize(('decoder', 'fields'), [
    ('qwen2', {'rope_scaling': {'factor': 2.0, 'rope_type': 'dynamic', 'type': 'dynamic'}, 'layer_types': ['full_attention'] * 2, 'moe_config': None}),  # InternVL3-1B
    ('internlm2', {'rope_scaling': {'factor': 3.0, 'type': 'dynamic'}}),  # Mini-InternVL-Chat-2B-V1-5
])
def test_fields_that_some_published_configs_have(tmp_path, decoder, fields):
    folder = write_internvl2(tmp_path / 'start', decoder)
    llm = json.loads((folder / 'config.json').read_text('utf-8'))['llm_config']
    change_json(folder / 'config.json', llm_config={**llm, **fields}, max_dynamic_patch=12, image_fold=None, system_message=None)
    model, processor = load_model(folder, fresh_phantom=True)
    assert model(words(processor, 'hello')).logits.isfinite().all()


@pytest.mark.parametrize('lost', ['<img>', '<|im_start|>'])
def test_a_tokenizer_without_the_templates_tokens_is_refused_before_training(tmp_path, lost):
    folder = write_internvl2(tmp_path / 'start', 'qwen2')
    for name in ('tokenizer_config.json', 'added_tokens.json'):
        text = (folder / name).read_text('utf-8')
        (folder / name).write_text(text.replace(json.dumps(lost), json.dumps('<other>')), 'utf-8')
    with pytest.raises(UserError, match=rf"expected '{re.escape(lost)}' among the 272 rows of the embedding, found none"):
        load_model(folder, fresh_phantom=True)


@pytest.mark.parametrize(('name', 'content'), [('vocab.json', b'[]'), ('merges.txt', b'\xff'), ('tokenizer.json', b'{'), ('tokenizer.json', b'[]')])
def test_tokenizer_files_that_do_not_read_are_named_by_their_folder(tmp_path, name, content):
    folder = write_internvl2(tmp_path / 'start', 'qwen2')
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=f'weights {folder}: expected a saved model, found files that do not read'):
        load_model(folder, fresh_phantom=True)


def test_a_backbone_is_not_taken_for_a_checkpoint(tmp_path):
    folder = write_internvl2(tmp_path / 'start', 'qwen2')
    with pytest.raises(UserError, match=r'missing 32 weights: .*gating_phantom_1'):
        load_model(folder)


@pytest.mark.parametrize(('fields', 'told'), [
    ({'ps_version': 'v1'}, "ps_version: expected 'v2', found 'v1'"),
    ({'select_layer': -4}, 'select_layer: expected -1, found -4'),
    ({'llm_config': {'architectures': ['LlamaForCausalLM']}}, "expected an architecture of Qwen2 .* found 'llama'"),
    ({'llm_config': {'architectures': ['Qwen2MoeForCausalLM']}}, "found 'qwen2moe'"),
    ({'llm_config': 7}, 'expected the configuration of a model'),
    ({'llm_config': {'architectures': ['Qwen2ForCausalLM'], 'num_hidden_layers': 10**9}}, 'expected num_hidden_layers up to 1000'),
    ({'llm_config': {'architectures': ['Qwen2ForCausalLM'], 'hidden_size': 10**12}}, 'found one that cannot be made'),
    ({'llm_config': {'architectures': ['Qwen2ForCausalLM'], 'num_key_value_heads': 0}}, 'found one that cannot be made'),
    ({'llm_config': {'architectures': ['Qwen2ForCausalLM'], 'hidden_act': 'nonsense'}}, 'found one that cannot be made'),
    ({'vision_config': {'patch_size': 0}}, 'found one that cannot be made'),
    ({'vision_config': {'hidden_act': 'silu'}}, "expected hidden_act of vision_config to be gelu, found 'silu'"),
    ({'vision_config': {'norm_type': 'batch'}}, "expected norm_type of vision_config to be layer_norm or rms_norm, found 'batch'"),
    ({'force_image_size': 100}, 'force_image_size: expected the image_size of vision_config, 56, found 100'),
    ({'torch_dtype': 'float7'}, 'found.*float7'),
    ({'llm_config': {'architectures': ['Qwen2ForCausalLM'], 'torch_dtype': 'float7'}}, 'found a fault.*float7'),
    ({'min_tiles': 3, 'max_tiles': 2}, 'expected 1 to 100 tiles, found min_tiles 3 and max_tiles 2'),
    ({'max_tiles': 10**9}, 'expected 1 to 100 tiles'),
    ({'llm_config': {'architectures': ['Qwen2ForCausalLM'], 'hidden_size': 'wide'}}, 'expected the configuration of a model'),
])
def test_a_network_that_ours_is_not_is_refused_by_name(tmp_path, fields, told):
    folder = write_internvl2(tmp_path / 'start', 'qwen2')
    change_json(folder / 'config.json', **fields)
    with pytest.raises(UserError, match=told):
        load_model(folder, fresh_phantom=True)


@pytest.mark.parametrize(('fields', 'told'), [
    ({'vision_feature_layer': -2}, 'vision_feature_layer: expected -1, found -2'),
    ({'text_config': {'model_type': 'gpt_oss'}}, "text_config: expected model_type qwen2, qwen3, llama, found 'gpt_oss'"),
    ({'text_config': {'model_type': 'nonsense'}}, 'expected the configuration of a model that Phantom can start from'),
    ({'vision_config': 3}, 'expected the configuration of a model that Phantom can start from'),
])
def test_of_transformers_layout_too(tmp_path, fields, told):
    folder = write_native(tmp_path / 'start', 'qwen2')
    change_json(folder / 'config.json', **fields)
    with pytest.raises(UserError, match=told):
        load_model(folder, fresh_phantom=True)


def test_a_part_of_a_query_key_and_value_alone_is_refused(tmp_path):
    folder = write_native(tmp_path / 'start', 'qwen2', names='model')
    weights = load_file(folder / 'model.safetensors')
    del weights['model.vision_tower.encoder.layer.0.attention.k_proj.weight']
    save_file(weights, folder / 'model.safetensors')
    with pytest.raises(UserError, match=r'missing 1 weights: vision_model.encoder.layers.0.attn.qkv.weight; unknown 2 weights: .*q_proj.weight'):
        load_model(folder, fresh_phantom=True)


def test_a_shard_that_is_missing_or_lies_elsewhere_is_named(tmp_path):
    folder = write_internvl2(tmp_path / 'start', 'qwen2', shards=3)
    (folder / 'model-00002-of-00003.safetensors').rename(tmp_path / 'lost.safetensors')
    with pytest.raises(UserError, match=r'expected 3 files, found no model-00002-of-00003.safetensors'):
        load_model(folder, fresh_phantom=True)
    index = json.loads((folder / 'model.safetensors.index.json').read_text())
    write_json(folder / 'model.safetensors.index.json', {'weight_map': dict.fromkeys(index['weight_map'], '../lost.safetensors')})
    with pytest.raises(UserError, match=r"expected names of safetensors files beside it, found '../lost.safetensors'"):
        load_model(folder, fresh_phantom=True)


def test_quantised_weights_are_refused(tmp_path):
    folder = write_internvl2(tmp_path / 'start', 'qwen2')
    weights = load_file(folder / 'model.safetensors')
    weights['language_model.lm_head.weight'] = weights['language_model.lm_head.weight'].to(torch.int8)
    save_file(weights, folder / 'model.safetensors')
    with pytest.raises(UserError, match='expected floating-point weights .* found I8; give the folder before it was quantised'):
        load_model(folder, fresh_phantom=True)


def test_a_language_model_alone_is_sent_to_join(tmp_path):
    folder = write_internvl2(tmp_path / 'start', 'qwen2')
    llm = json.loads((folder / 'config.json').read_text())['llm_config']
    write_json(folder / 'config.json', llm)
    with pytest.raises(UserError, match='phantom join --vision DIR --language DIR'):
        load_model(folder, fresh_phantom=True)


def test_partial_rotation_of_phi4_mini_computes_the_same(tmp_path):

    folder = tmp_path / 'start'
    write_internvl2(folder, 'phi3')
    config = json.loads((folder / 'config.json').read_text())
    llm = {**config['llm_config'], 'rope_scaling': None, 'partial_rotary_factor': 0.5}
    write_json(folder / 'config.json', {**config, 'llm_config': llm})
    ours, _ = load_model(folder, phantom=False)
    alone = tmp_path / 'alone'
    alone.mkdir()
    write_json(alone / 'config.json', llm)
    weights = load_file(folder / 'model.safetensors')
    save_file({name.removeprefix('language_model.'): tensor for name, tensor in weights.items() if name.startswith('language_model.')}, alone / 'model.safetensors', {'format': 'pt'})
    theirs = AutoModelForCausalLM.from_pretrained(alone, dtype=torch.float32).eval()
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        assert torch.allclose(ours(ids).logits, theirs(ids).logits, atol=2e-5)


@pytest.mark.parametrize('decoder', DECODERS)
def test_a_start_decodes_with_its_cache_as_without(tmp_path, decoder):
    """Qwen3 is in no golden case: its phantom attention is held to its own whole pass, and to plain Qwen3 where eta is 0."""
    folder = write_internvl2(tmp_path / 'start', decoder)
    torch.manual_seed(0)
    model, processor = load_model(folder, fresh_phantom=True, eta=1.0)
    ids = words(processor, 'hello world')
    new = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False, eos_token_id=None)
    with torch.no_grad():
        whole = model(new).logits
        assert torch.equal(whole[:, ids.shape[1] - 1 : -1].argmax(-1), new[:, ids.shape[1] :])
        plain = load_model(folder, phantom=False)[0](ids).logits
        off = load_model(folder, fresh_phantom=True, eta=0.0)[0](ids).logits
    assert torch.allclose(plain, off, atol=1e-5)
    assert not torch.allclose(plain, whole[:, : ids.shape[1]], atol=1e-3)
