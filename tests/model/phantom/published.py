"""Folders as they are published, tiny and random: files, keys and fields of the originals, shapes by the same formulas.

Sources: keys and shapes of the encoder, the projector and InternLM2 from OpenGVLab/InternVL (internvl_chat/internvl/model: modeling_intern_vit.py,
modeling_internvl_chat.py, internlm2/modeling_internlm2.py); of Qwen2, Qwen3 and Phi-3 from transformers (models/qwen2, qwen3, phi3); fields of
config.json and ids of the added tokens from the cards and files of InternVL2-1B, -2B, -4B, InternVL2_5-1B, InternVL3-1B, Mini-InternVL-Chat-2B-V1-5;
transformers' own layout is written by transformers itself, the older one by undoing conversion_mapping.py ("llava").
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel
from transformers import InternVLConfig, InternVLForConditionalGeneration

from model.phantom.layouts import renamed
from model.phantom.tokenizers import pieces

WIDTH, LAYERS, HEADS, KV, INNER = 32, 2, 4, 2, 48
SIDE, PATCH, ENCODER = 56, 14, 16  # pixels, pixels, encoder's width: 16 patches, 4 tokens a tile
INTERNVL_TOKENS = ('<img>', '</img>', '<IMG_CONTEXT>', '<quad>', '</quad>', '<ref>', '</ref>', '<box>', '</box>')
INTERNLM2_CHAT = ('<|plugin|>', '<|interpreter|>', '<|action_end|>', '<|action_start|>', '<|im_end|>', '<|im_start|>')
PHI3_CHAT = ('<|endoftext|>', '<|assistant|>', '<|placeholder1|>', '<|placeholder2|>', '<|placeholder3|>', '<|placeholder4|>', '<|system|>',
             '<|end|>', '<|placeholder5|>', '<|placeholder6|>', '<|user|>')  # fmt: skip
QWEN2_CHAT = ('<|endoftext|>', '<|im_start|>', '<|im_end|>')
MERGED = ('h', 'e', 'l', 'o', 'w', 'r', 'd', '▁', 'he', 'll', 'hell', 'hello', '▁w', 'or', 'ld', '▁wor', '▁world', '▁▁')
VISION_CONFIG = {
    'architectures': ['InternVisionModel'], 'attention_dropout': 0.0, 'drop_path_rate': 0.0, 'dropout': 0.0, 'hidden_act': 'gelu', 'hidden_size': ENCODER,
    'image_size': SIDE, 'initializer_factor': 1.0, 'initializer_range': 0.02, 'intermediate_size': 24, 'layer_norm_eps': 1e-06,
    'model_type': 'intern_vit_6b', 'norm_type': 'layer_norm', 'num_attention_heads': 2, 'num_channels': 3, 'num_hidden_layers': LAYERS,
    'patch_size': PATCH, 'qk_normalization': False, 'qkv_bias': True, 'torch_dtype': 'bfloat16', 'use_bfloat16': True, 'use_flash_attn': True,
}  # fmt: skip
DECODERS: dict[str, dict[str, Any]] = {
    'qwen2': {'architectures': ['Qwen2ForCausalLM'], 'model_type': 'qwen2', 'rope_theta': 1000000.0, 'rms_norm_eps': 1e-6, 'max_window_layers': 24,
              'use_sliding_window': False, 'sliding_window': 32768, 'bos_token_id': 151643, 'eos_token_id': 151645},
    'qwen3': {'architectures': ['Qwen3ForCausalLM'], 'model_type': 'qwen3', 'rope_theta': 1000000.0, 'rms_norm_eps': 1e-6, 'head_dim': 16,
              'use_sliding_window': False, 'sliding_window': None, 'attention_bias': False, 'bos_token_id': 151643, 'eos_token_id': 151645},
    'internlm2': {'architectures': ['InternLM2ForCausalLM'], 'model_type': 'internlm2', 'rope_theta': 1000000, 'rms_norm_eps': 1e-5, 'bias': False,
                  'rope_scaling': {'factor': 2.0, 'type': 'dynamic'}, 'bos_token_id': 1, 'eos_token_id': 2, 'pad_token_id': 2,
                  'auto_map': {'AutoConfig': 'configuration_internlm2.InternLM2Config'}, 'attn_implementation': 'flash_attention_2'},
    'phi3': {'architectures': ['Phi3ForCausalLM'], 'model_type': 'phi3', 'rope_theta': 10000.0, 'rms_norm_eps': 1e-5, 'sliding_window': 262144,
             'original_max_position_embeddings': 4096, 'max_position_embeddings': 131072, 'bos_token_id': 1, 'eos_token_id': 32000,
             'pad_token_id': 32000, 'rope_scaling': {'type': 'su', 'long_factor': [1.5] * 4, 'short_factor': [1.1] * 4}},
}  # fmt: skip


def write_internvl2(folder: Path, decoder: str, *, shards: int = 1, seed: int = 0) -> Path:
    """An InternVL2 (1B: qwen2, 2B and 8B: internlm2, 4B: phi3; Mini-InternVL is the same) in its own layout, bfloat16."""
    folder.mkdir(parents=True)
    vocabulary = write_tokenizer(folder, decoder, INTERNVL_TOKENS)
    llm = llm_config(decoder, vocabulary)
    config = {
        'architectures': ['InternVLChatModel'],
        'auto_map': {'AutoConfig': 'configuration_internvl_chat.InternVLChatConfig', 'AutoModel': 'modeling_internvl_chat.InternVLChatModel'},
        'downsample_ratio': 0.5, 'dynamic_image_size': True, 'force_image_size': SIDE, 'llm_config': llm, 'max_dynamic_patch': 6,
        'min_dynamic_patch': 1, 'model_type': 'internvl_chat', 'pad2square': False, 'ps_version': 'v2', 'select_layer': -1,
        'template': {'qwen2': 'Hermes-2', 'internlm2': 'internlm2-chat', 'phi3': 'phi3-chat'}.get(decoder, 'internvl2_5'),
        'torch_dtype': 'bfloat16', 'use_backbone_lora': 0, 'use_llm_lora': 0, 'use_thumbnail': True,
        'vision_config': {**VISION_CONFIG, 'auto_map': {'AutoConfig': 'configuration_intern_vit.InternVisionConfig'}},
    }  # fmt: skip
    write_json(folder / 'config.json', config)
    save(folder, random_weights(internvl2_shapes(decoder, config), seed), shards)
    return folder


def internvl2_shapes(decoder: str, config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """InternVLChatModel's tensors."""
    llm, vision = config['llm_config'], config['vision_config']
    return {
        **{f'vision_model.{name}': shape for name, shape in vision_shapes(vision).items()},
        **{f'language_model.{name}': shape for name, shape in language_shapes(decoder, llm).items()},
        **projector_shapes(vision['hidden_size'], llm['hidden_size']),
    }


def write_native(folder: Path, text: str, *, names: str = 'saved', seed: int = 0) -> Path:
    """An InternVL 2.5, 3 or 3.5 in transformers' layout (text: qwen2, llama for InternLM2.5, qwen3).

    names: saved, as transformers saves today; published, as the first folders have them; model, as the modules are called.
    """
    decoder = 'internlm2' if text == 'llama' else text
    folder.mkdir(parents=True)
    vocabulary = write_tokenizer(folder, 'qwen2', INTERNVL_TOKENS)
    fields = {name: value for name, value in llm_config(decoder, vocabulary).items() if name not in ('architectures', 'auto_map', 'bias', 'attn_implementation', 'torch_dtype')}
    image = vocabulary - len(INTERNVL_TOKENS) + INTERNVL_TOKENS.index('<IMG_CONTEXT>')
    vision = {name: VISION_CONFIG[name] for name in ('hidden_size', 'intermediate_size', 'num_attention_heads', 'num_hidden_layers', 'layer_norm_eps')}
    vision |= {'image_size': [SIDE, SIDE], 'patch_size': [PATCH, PATCH], 'attention_bias': True}
    config = InternVLConfig(text_config={**fields, 'model_type': text}, vision_config=vision, image_token_id=image, tie_word_embeddings=False)
    torch.manual_seed(seed)
    model = InternVLForConditionalGeneration(config)
    for tensor in model.state_dict().values():
        tensor.normal_(std=0.2)
    model.save_pretrained(folder)
    if names != 'saved':
        weights = {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}
        rules = {'published': [(r'^lm_head', 'language_model.lm_head'), (r'^model\.language_model', 'language_model.model'), (r'^model\.', '')], 'model': []}
        save_file({renamed(name, rules[names]): tensor for name, tensor in weights.items()}, folder / 'model.safetensors', {'format': 'pt'})
    return folder


def write_vision(folder: Path, seed: int = 1) -> Path:
    """InternViT-300M-448px as published."""
    folder.mkdir(parents=True)
    write_json(folder / 'config.json', {**VISION_CONFIG, 'auto_map': {'AutoModel': 'modeling_intern_vit.InternVisionModel'}})
    (folder / 'README.md').write_text('---\nlicense: mit\npipeline_tag: image-feature-extraction\n---\n# InternViT\n', 'utf-8')
    save(folder, random_weights(vision_shapes(VISION_CONFIG), seed), 1)
    return folder


def write_language(folder: Path, decoder: str, *, tied: bool = False, shards: int = 1, seed: int = 2) -> Path:
    """A plain language model as published: Qwen2 or 2.5, Qwen3, InternLM2, Phi-3."""
    folder.mkdir(parents=True)
    vocabulary = write_tokenizer(folder, decoder, ())
    llm = llm_config(decoder, vocabulary if decoder == 'internlm2' else vocabulary + 20) | {'tie_word_embeddings': tied}  # Qwen's and Phi-3's have spare rows
    write_json(folder / 'config.json', llm)
    (folder / 'README.md').write_text('---\nlicense: apache-2.0\nlicense_link: LICENSE\n---\n# a language model\n', 'utf-8')
    (folder / 'LICENSE').write_text('Apache License\n', 'utf-8')
    shapes = language_shapes(decoder, llm)
    if tied:
        del shapes['lm_head.weight']
    save(folder, random_weights(shapes, seed), shards)
    return folder


def llm_config(decoder: str, vocabulary: int) -> dict[str, Any]:
    """The decoder's config.json at this size."""
    sizes = {'hidden_size': WIDTH, 'intermediate_size': INNER, 'num_hidden_layers': LAYERS, 'num_attention_heads': HEADS, 'vocab_size': vocabulary}
    usual = {'num_key_value_heads': HEADS if decoder == 'phi3' else KV, 'hidden_act': 'silu', 'initializer_range': 0.02, 'max_position_embeddings': 32768}
    ends = {name: 2 for name in ('bos_token_id', 'eos_token_id', 'pad_token_id') if DECODERS[decoder].get(name, 0) > 2}
    return {**usual, 'tie_word_embeddings': False, 'torch_dtype': 'bfloat16', 'use_cache': True, **DECODERS[decoder], **sizes, **ends}


def vision_shapes(vision: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """InternVisionModel's tensors."""
    wide, inner, patch = vision['hidden_size'], vision['intermediate_size'], vision['patch_size']
    shapes = {
        'embeddings.class_embedding': (1, 1, wide),
        'embeddings.position_embedding': (1, (vision['image_size'] // patch) ** 2 + 1, wide),
        'embeddings.patch_embedding.weight': (wide, 3, patch, patch),
        'embeddings.patch_embedding.bias': (wide,),
    }
    one = {'ls1': (wide,), 'ls2': (wide,)}
    for name, shape in {'attn.qkv': (3 * wide, wide), 'attn.proj': (wide, wide), 'mlp.fc1': (inner, wide), 'mlp.fc2': (wide, inner)}.items():
        one |= {f'{name}.weight': shape, f'{name}.bias': shape[:1]}
    for name in ('norm1', 'norm2'):
        one |= {f'{name}.weight': (wide,), f'{name}.bias': (wide,)}
    return shapes | {f'encoder.layers.{layer}.{name}': shape for layer in range(vision['num_hidden_layers']) for name, shape in one.items()}


def projector_shapes(encoder: int, width: int) -> dict[str, tuple[int, ...]]:
    """mlp1: LayerNorm, Linear, GELU, Linear."""
    packed = 4 * encoder
    shapes = {'mlp1.0': (packed,), 'mlp1.1': (width, packed), 'mlp1.3': (width, width)}
    return {f'{name}.{kind}': shape if kind == 'weight' else shape[:1] for name, shape in shapes.items() for kind in ('weight', 'bias')}


def language_shapes(decoder: str, llm: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The decoder's tensors, as its own class names them."""
    width, inner, vocabulary = llm['hidden_size'], llm['intermediate_size'], llm['vocab_size']
    head = llm.get('head_dim', width // llm['num_attention_heads'])
    q, kv = llm['num_attention_heads'] * head, llm['num_key_value_heads'] * head
    if decoder == 'internlm2':
        one = {'attention.wqkv.weight': (q + 2 * kv, width), 'attention.wo.weight': (width, q), 'feed_forward.w1.weight': (inner, width),
               'feed_forward.w3.weight': (inner, width), 'feed_forward.w2.weight': (width, inner), 'attention_norm.weight': (width,),
               'ffn_norm.weight': (width,)}  # fmt: skip
        ends = {'model.tok_embeddings.weight': (vocabulary, width), 'output.weight': (vocabulary, width)}
    else:
        ends = {'model.embed_tokens.weight': (vocabulary, width), 'lm_head.weight': (vocabulary, width)}
        one = {'input_layernorm.weight': (width,), 'post_attention_layernorm.weight': (width,), 'mlp.down_proj.weight': (width, inner), 'self_attn.o_proj.weight': (width, q)}
        if decoder == 'phi3':
            one |= {'self_attn.qkv_proj.weight': (q + 2 * kv, width), 'mlp.gate_up_proj.weight': (2 * inner, width)}
        else:
            one |= {'mlp.gate_proj.weight': (inner, width), 'mlp.up_proj.weight': (inner, width)}
            for name, rows in {'q': q, 'k': kv, 'v': kv}.items():
                one |= {f'self_attn.{name}_proj.weight': (rows, width)} | ({f'self_attn.{name}_proj.bias': (rows,)} if decoder == 'qwen2' else {})
        if decoder == 'qwen3':
            one |= {'self_attn.q_norm.weight': (head,), 'self_attn.k_norm.weight': (head,)}
    return {**ends, 'model.norm.weight': (width,), **{f'model.layers.{layer}.{name}': shape for layer in range(llm['num_hidden_layers']) for name, shape in one.items()}}


def random_weights(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, torch.Tensor]:
    """Small random tensors in bfloat16, as published."""
    generator = torch.Generator().manual_seed(seed)
    return {name: (torch.randn(shape, generator=generator) * 0.2).bfloat16() for name, shape in shapes.items()}


def save(folder: Path, weights: dict[str, torch.Tensor], shards: int) -> None:
    """One file, or `shards` files and their index."""
    if shards == 1:
        save_file(weights, folder / 'model.safetensors', {'format': 'pt'})
        return
    names = [f'model-{index + 1:05d}-of-{shards:05d}.safetensors' for index in range(shards)]
    placed = {name: names[index % shards] for index, name in enumerate(weights)}
    for file in names:
        save_file({name: tensor for name, tensor in weights.items() if placed[name] == file}, folder / file, {'format': 'pt'})
    total = sum(tensor.nbytes for tensor in weights.values())
    write_json(folder / 'model.safetensors.index.json', {'metadata': {'total_size': total}, 'weight_map': placed})


def write_tokenizer(folder: Path, decoder: str, added: tuple[str, ...]) -> int:
    """The tokenizer's files of a decoder with `added` tokens behind its own; how many tokens there are."""
    if decoder in ('qwen2', 'qwen3'):
        return write_qwen2_tokenizer(folder, added)
    return write_piece_tokenizer(folder, decoder, added)


def write_qwen2_tokenizer(folder: Path, added: tuple[str, ...]) -> int:
    """vocab.json, merges.txt, added_tokens.json and tokenizer_config.json of Qwen2."""
    words = [*sorted(ByteLevel.alphabet()), 'he', 'll', 'hell', 'hello']
    write_json(folder / 'vocab.json', {word: index for index, word in enumerate(words)})
    (folder / 'merges.txt').write_text('#version: 0.2\nh e\nl l\nhe ll\nhell o\n', 'utf-8')
    special = {len(words) + index: name for index, name in enumerate((*QWEN2_CHAT, *added))}
    write_json(folder / 'added_tokens.json', {name: index for index, name in special.items()})
    config = {'add_prefix_space': False, 'added_tokens_decoder': decoder_of(special), 'bos_token': None, 'eos_token': '<|im_end|>',
              'pad_token': '<|endoftext|>', 'tokenizer_class': 'Qwen2Tokenizer', 'unk_token': None}  # fmt: skip
    write_json(folder / 'tokenizer_config.json', config)
    return len(words) + len(special)


def write_piece_tokenizer(folder: Path, decoder: str, added: tuple[str, ...]) -> int:
    """tokenizer.model and tokenizer_config.json: InternLM2's, whose class is code of its own, or Phi-3's, which is Llama's."""
    proto = piece_model(prefix=decoder == 'phi3', unused=decoder == 'internlm2')
    (folder / 'tokenizer.model').write_bytes(proto.SerializeToString())
    known = len(proto.pieces)
    if decoder == 'internlm2':
        special = dict(zip((0, 1, 2), ('<unk>', '<s>', '</s>'), strict=True))
        special |= {known - len(INTERNLM2_CHAT) + index: name for index, name in enumerate(INTERNLM2_CHAT)}
        special |= {known + index: name for index, name in enumerate(added)}
        own = {'auto_map': {'AutoTokenizer': ['tokenization_internlm2.InternLM2Tokenizer', 'tokenization_internlm2_fast.InternLM2TokenizerFast']},
               'tokenizer_class': 'InternLM2Tokenizer', 'eos_token': '</s>', 'pad_token': '</s>'}  # fmt: skip
        (folder / 'tokenization_internlm2_fast.py').write_text('raise SystemExit("this code must never run")\n')
    else:
        special = {known + index: name for index, name in enumerate((*PHI3_CHAT, *added))}
        own = {'tokenizer_class': 'LlamaTokenizer', 'eos_token': '<|end|>', 'pad_token': '<|endoftext|>', 'legacy': False, 'add_bos_token': True}
    config = {'added_tokens_decoder': decoder_of(special), 'bos_token': '<s>', 'unk_token': '<unk>', 'clean_up_tokenization_spaces': False, **own}
    write_json(folder / 'tokenizer_config.json', config)
    return known + sum(index >= known for index in special)


def piece_model(*, prefix: bool, unused: bool) -> Any:
    """A sentencepiece model of pair merges with bytes to fall back on, and InternLM2's unused pieces."""
    proto = pieces.ModelProto()
    kinds = pieces.ModelProto.SentencePiece
    named = [('<unk>', kinds.UNKNOWN), ('<s>', kinds.CONTROL), ('</s>', kinds.CONTROL)]
    named += [(f'<0x{byte:02X}>', kinds.BYTE) for byte in range(256)]
    named += [(piece, kinds.NORMAL) for piece in (*reversed(MERGED[8:]), *MERGED[:8])]  # pairs first: the better score merges first
    named += [(f'[UNUSED_TOKEN_{141 + index}]', kinds.NORMAL) for index in range(6 if unused else 0)]
    for index, (piece, kind) in enumerate(named):
        proto.pieces.add(piece=piece, type=kind, score=-float(index) if kind == kinds.NORMAL else 0.0)
    proto.trainer_spec.model_type = pieces.TrainerSpec.BPE
    proto.trainer_spec.byte_fallback = True
    proto.trainer_spec.unk_id, proto.trainer_spec.bos_id, proto.trainer_spec.eos_id = 0, 1, 2
    proto.normalizer_spec.name = 'identity'
    proto.normalizer_spec.add_dummy_prefix = prefix
    proto.normalizer_spec.remove_extra_whitespaces = False
    return proto


def decoder_of(special: dict[int, str]) -> dict[str, dict[str, Any]]:
    """added_tokens_decoder of tokenizer_config.json."""
    marks = {'lstrip': False, 'normalized': False, 'rstrip': False, 'single_word': False, 'special': True}
    return {str(index): {'content': name, **marks} for index, name in special.items()}


def write_json(file: Path, value: Any) -> None:
    """A JSON file as these folders have them."""
    file.write_text(json.dumps(value, indent=2) + '\n', 'utf-8')
