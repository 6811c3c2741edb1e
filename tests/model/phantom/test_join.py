"""An encoder and a language model become a start: both unchanged, new parts named, licences told."""

import errno
import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoProcessor, AutoTokenizer, InternVLVisionConfig, InternVLVisionModel

from model.phantom.build import load_model, look_at
from model.phantom.join import join
from schemas.errors import UserError
from tests.model.phantom.published import SIDE, VISION_CONFIG, write_internvl2, write_json, write_language, write_native, write_vision


@pytest.mark.parametrize(('decoder', 'tied'), [('qwen2', False), ('qwen2', True), ('qwen3', True), ('internlm2', False), ('phi3', False)])
def test_both_halves_are_unchanged_and_new_parts_are_named(tmp_path, decoder, tied):
    vision, language = write_vision(tmp_path / 'vision'), write_language(tmp_path / 'language', decoder, tied=tied, shards=2)
    made = join(vision, language, tmp_path / 'out')
    model, processor = load_model(tmp_path / 'out', fresh_phantom=True)
    state = model.state_dict()
    for name, tensor in load_file(vision / 'model.safetensors').items():
        assert torch.equal(state[f'vision_model.{name}'], tensor.float()), name
    tables = []
    for name, tensor in ((name, tensor) for file in language.glob('*.safetensors') for name, tensor in load_file(file).items()):
        ours = state[f'language_model.{name}']
        if any(part in name for part in ('embed', 'lm_head', 'output.')):
            tables.append(ours)
            rows = [row for row in range(len(tensor)) if row not in made.added.values()]
            ours, tensor = ours[rows], tensor[rows]
        assert torch.equal(ours, tensor.float()), name
    assert len(tables) == (1 if tied else 2)
    assert (model.language_model.head.weight is model.language_model.embedding.weight) == tied
    ids = processor.tokenizer.convert_tokens_to_ids
    assert made.added == {token: ids(token) for token in ('<img>', '</img>', '<IMG_CONTEXT>')}
    assert made.new_rows == (3 if decoder == 'internlm2' else 0), "InternLM2's table has no spare rows"
    for table in tables:
        assert torch.equal(table[ids('<img>')], table[ids('<IMG_CONTEXT>')])
    assert (model.config.image_token_index, model.config.max_tiles, processor.tokens_per_tile) == (ids('<IMG_CONTEXT>'), 6, 4)
    assert [len(look_at(tmp_path / 'out', fresh_phantom=True).account.new), made.projector] == [2 * 16, 6]


@pytest.mark.parametrize('decoder', ['qwen2', 'qwen3', 'phi3'])
def test_without_phantom_the_joined_decoder_computes_what_transformers_does(tmp_path, decoder):
    language = write_language(tmp_path / 'language', decoder)
    llm = json.loads((language / 'config.json').read_text())
    write_json(language / 'config.json', {**llm, 'rope_scaling': None})  # transformers 5.19 does not read Phi-3's own `su`
    made = join(write_vision(tmp_path / 'vision'), language, tmp_path / 'out')
    ours, processor = load_model(tmp_path / 'out', phantom=False)
    theirs = AutoModelForCausalLM.from_pretrained(language, dtype=torch.float32).eval()
    ids = torch.tensor([processor.tokenizer('hello world', add_special_tokens=False)['input_ids']])
    known = [index for index in range(llm['vocab_size']) if index not in made.added.values()]
    with torch.no_grad():
        assert torch.allclose(ours(ids).logits[..., known], theirs(ids).logits[..., known], atol=2e-5)


def test_the_card_says_what_came_from_where_and_under_which_licence(tmp_path):
    vision, language = write_vision(tmp_path / 'InternViT-tiny'), write_language(tmp_path / 'Qwen2-tiny', 'qwen2')
    join(vision, language, tmp_path / 'out', seed=3)
    card = (tmp_path / 'out' / 'README.md').read_text('utf-8')
    assert card.startswith('---\nlicense: other\n')
    for words in ('InternViT-tiny', 'Qwen2-tiny', 'licence: mit', 'licence: apache-2.0', 'seed 3', 'token `<IMG_CONTEXT>` | id', str(vision), str(language), 'sha256'):
        assert words in card, words
    assert (tmp_path / 'out' / 'LICENSE.language.txt').read_text() == 'Apache License\n'
    (language / 'README.md').unlink()
    join(vision, language, tmp_path / 'again', seed=3)
    assert '- licence: not stated in its folder' in (tmp_path / 'again' / 'README.md').read_text('utf-8')
    same = [load_file(tmp_path / name / 'model.safetensors') for name in ('out', 'again')]
    assert all(torch.equal(tensor, same[1][name]) for name, tensor in same[0].items()), 'the seed decides the projector'


@pytest.mark.parametrize('kind', ['internvl2', 'native', 'transformers-vit'])
def test_the_encoder_may_come_out_of_an_internvl(tmp_path, kind):
    if kind == 'transformers-vit':
        fields = {name: VISION_CONFIG[name] for name in ('hidden_size', 'intermediate_size', 'num_attention_heads', 'num_hidden_layers')}
        InternVLVisionModel(InternVLVisionConfig(**fields, image_size=SIDE, patch_size=14, attention_bias=True)).save_pretrained(tmp_path / 'vision')
    elif kind == 'native':
        write_native(tmp_path / 'vision', 'qwen2')
    else:
        write_internvl2(tmp_path / 'vision', 'phi3')
    made = join(tmp_path / 'vision', write_language(tmp_path / 'language', 'qwen2'), tmp_path / 'out')
    loaded = load_model(tmp_path / 'out', fresh_phantom=True)[0].vision_model.state_dict()
    if kind != 'transformers-vit':
        whole = load_model(tmp_path / 'vision', fresh_phantom=True)[0].vision_model.state_dict()
        assert all(torch.equal(tensor, loaded[name]) for name, tensor in whole.items())
        assert made.others > 0
    assert len(loaded) == 32


def test_the_start_is_found_by_transformers_and_keeps_its_tokens(tmp_path):
    join(write_vision(tmp_path / 'vision'), write_language(tmp_path / 'language', 'internlm2'), tmp_path / 'out')
    tokenizer, processor = AutoTokenizer.from_pretrained(tmp_path / 'out'), AutoProcessor.from_pretrained(tmp_path / 'out')
    assert tokenizer.convert_tokens_to_ids('<IMG_CONTEXT>') == processor.tokenizer.convert_tokens_to_ids('<IMG_CONTEXT>') == len(tokenizer) - 1
    assert not list((tmp_path / 'out').glob('tokenization_*.py')), 'code of a source is not carried over'


@pytest.mark.parametrize(('change', 'told'), [
    ({'architectures': ['LlamaForCausalLM'], 'model_type': 'llama'}, "expected an architecture of Qwen2 .* found 'llama'"),
    ({'quantization_config': {'bits': 4}}, 'found quantization_config'),
    ({'num_hidden_layers': 3}, 'missing 12 weights: language_model.model.layers.2'),
    ({'hidden_size': 64}, 'misshapen .* weights'),
])
def test_another_language_model_is_refused_and_nothing_is_left(tmp_path, change, told):
    vision, language = write_vision(tmp_path / 'vision'), write_language(tmp_path / 'language', 'qwen2')
    write_json(language / 'config.json', {**json.loads((language / 'config.json').read_text()), **change})
    with pytest.raises(UserError, match=told):
        join(vision, language, tmp_path / 'out')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['language', 'vision']


def test_another_encoder_or_a_folder_in_use_is_refused(tmp_path):
    vision, language = write_vision(tmp_path / 'vision'), write_language(tmp_path / 'language', 'qwen2')
    with pytest.raises(UserError, match=r'language: expected no folder or an empty one'):
        join(vision, language, language)
    with pytest.raises(UserError, match=r"expected model_type intern_vit_6b or internvl_vision, or an InternVL, found 'qwen2'"):
        join(language, language, tmp_path / 'out')
    with pytest.raises(UserError, match=r'--vision .*: expected config.json'):
        join(tmp_path / 'nothing', language, tmp_path / 'out')


def test_large_weights_are_saved_in_several_files(tmp_path, monkeypatch):
    monkeypatch.setattr('model.phantom.join.SHARD', '20KB')
    join(write_vision(tmp_path / 'vision'), write_language(tmp_path / 'language', 'qwen2', tied=True), tmp_path / 'out')
    files = sorted(path.name for path in (tmp_path / 'out').glob('*.safetensors'))
    assert len(files) > 2
    assert files[0] == f'model-00001-of-{len(files):05d}.safetensors'
    assert len(look_at(tmp_path / 'out', fresh_phantom=True).account.loaded) == 32 + 26 + 6


def test_a_full_disk_is_told_and_nothing_is_left(tmp_path, monkeypatch):
    vision, language = write_vision(tmp_path / 'vision'), write_language(tmp_path / 'language', 'qwen2')

    def full(*_, **__):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr('model.phantom.join.save_file', full)
    with pytest.raises(UserError, match='out'):
        join(vision, language, tmp_path / 'out')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['language', 'vision']


def test_hostile_words_of_a_card_stay_words(tmp_path):
    vision, language = write_vision(tmp_path / 'vision'), write_language(tmp_path / 'language', 'qwen2')
    (language / 'README.md').write_text('---\nlicense: "mit\\n---\\n# Trust me | `x`"\n---\n', 'utf-8')
    (vision / 'README.md').write_text('---\n' + '[' * 10_000 + '\n---\n', 'utf-8')
    join(vision, language, tmp_path / 'out')
    card = (tmp_path / 'out' / 'README.md').read_text('utf-8')
    assert card.count('\n---\n') == 1
    assert '\n# Trust me' not in card
