"""Published folders in our layout: which tensors of theirs become which of our weights, and what their config.json says.

Three layouts: ours, which is that of the released Phantom; InternVL's own, which differs in the projector's name (`mlp1`);
and transformers' InternVLForConditionalGeneration, which splits query, key and value and names most things otherwise.
Names and order of the last are those of transformers' models/internvl/modeling_internvl.py and of the script that made
the published folders (convert_internvl_weights_to_hf.py).
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import InternVLConfig

# transformers' names -> ours, applied in this order. `model.` in front is missing in folders of before transformers 4.52.
NATIVE = [
    (r'^lm_head\.', 'language_model.lm_head.'),
    (r'^(model\.)?language_model\.(model\.)?(?!lm_head\.)', 'language_model.model.'),
    (r'^(model\.)?multi_modal_projector\.layer_norm\.', 'vision_proj.0.'),
    (r'^(model\.)?multi_modal_projector\.linear_1\.', 'vision_proj.1.'),
    (r'^(model\.)?multi_modal_projector\.linear_2\.', 'vision_proj.3.'),
    (r'^(model\.)?vision_tower\.', 'vision_model.'),
]
NATIVE_VISION = [
    (r'^vision_model\.embeddings\.cls_token$', 'vision_model.embeddings.class_embedding'),
    (r'^vision_model\.embeddings\.position_embeddings$', 'vision_model.embeddings.position_embedding'),
    (r'^vision_model\.embeddings\.patch_embeddings\.projection\.', 'vision_model.embeddings.patch_embedding.'),
    (r'^vision_model\.encoder\.layer\.(\d+)\.', r'vision_model.encoder.layers.\1.'),
    (r'^(vision_model\..*\.)attention\.projection_layer\.', r'\1attn.proj.'),
    (r'^(vision_model\..*\.)attention\.', r'\1attn.'),
    (r'^(vision_model\..*\.)lambda_([12])$', r'\1ls\2'),
    (r'^(vision_model\..*\.)layernorm_before\.', r'\1norm1.'),
    (r'^(vision_model\..*\.)layernorm_after\.', r'\1norm2.'),
]
LLAMA = [  # InternLM2 is Llama's mathematics: transformers' folders hold it as a Llama
    (r'^language_model\.lm_head\.', 'language_model.output.'),
    (r'^language_model\.model\.embed_tokens\.', 'language_model.model.tok_embeddings.'),
    (r'^(language_model\..*\.)self_attn\.o_proj\.', r'\1attention.wo.'),
    (r'^(language_model\..*\.)self_attn\.', r'\1attention.'),
    (r'^(language_model\..*\.)mlp\.gate_proj\.', r'\1feed_forward.w1.'),
    (r'^(language_model\..*\.)mlp\.down_proj\.', r'\1feed_forward.w2.'),
    (r'^(language_model\..*\.)mlp\.up_proj\.', r'\1feed_forward.w3.'),
    (r'^(language_model\..*\.)input_layernorm\.', r'\1attention_norm.'),
    (r'^(language_model\..*\.)post_attention_layernorm\.', r'\1ffn_norm.'),
]
OWN = [(r'^mlp1\.', 'vision_proj.')]
SPLIT = re.compile(r'^(vision_model\..*\.attn|language_model\..*\.attention)\.([qkv])_proj\.(weight|bias)$')
TEXTS = {'qwen2': 'Qwen2ForCausalLM', 'qwen3': 'Qwen3ForCausalLM', 'llama': 'InternLM2ForCausalLM'}


@dataclass(frozen=True, slots=True)
class Source:
    """The tensors of a folder that make one of our weights: one, or query, key and value."""

    names: tuple[str, ...]
    groups: int = 1  # key-value heads whose queries, key and value lie side by side (InternLM2's wqkv); 1: all queries, all keys, all values

    def shape(self, shapes: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
        """The shape of the weight, from the shapes of the folder's tensors."""
        first = shapes[self.names[0]]
        return first if len(self.names) == 1 else (sum(shapes[name][0] for name in self.names), *first[1:])

    def make(self, parts: list[Tensor]) -> Tensor:
        """The weight, from the folder's tensors."""
        if len(parts) == 1:
            return parts[0]
        return torch.cat([part.unflatten(0, (self.groups, -1)) for part in parts], dim=1).flatten(0, 1)


def is_native(raw: dict[str, Any]) -> bool:
    """Whether a config.json is of transformers' own InternVL."""
    return 'llm_config' not in raw and raw.get('model_type') == 'internvl'


def sources(names: Iterable[str], raw: dict[str, Any]) -> dict[str, Source]:
    """Our weight name -> where it comes from, for the tensors of a folder with this config.json.

    Names that mean nothing here stay as they are; a part of a query, key and value whose other parts are missing stays alone.
    """
    rules = OWN
    groups = 1
    if is_native(raw):
        text = InternVLConfig(**raw).text_config
        llama = text.model_type == 'llama'
        rules = NATIVE + NATIVE_VISION + (LLAMA if llama else [])
        groups = text.num_key_value_heads if llama else 1
    found: dict[str, Source] = {}
    split: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        ours = renamed(name, rules)
        if rules is not OWN and (parts := SPLIT.match(ours)):
            at, which, kind = parts.groups()
            split[f'{at}.{"qkv" if at.startswith("vision_model") else "wqkv"}.{kind}'][which] = name
        else:
            found[ours if ours not in found else name] = Source((name,))
    for ours, heads in split.items():
        if len(heads) == 3:
            found[ours] = Source((heads['q'], heads['k'], heads['v']), groups if ours.startswith('language_model') else 1)
        else:
            found |= {name: Source((name,)) for name in heads.values()}
    return found


def renamed(name: str, rules: list[tuple[str, str]]) -> str:
    """The name after all rules, in order."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def our_fields(raw: dict[str, Any]) -> dict[str, Any]:
    """A published config.json as fields of PhantomConfig; raises ValueError for what our network does not compute."""
    if not is_native(raw):
        refuse_other_network(raw)
        return raw
    config = InternVLConfig(**raw)
    vision, text = config.vision_config, config.text_config
    if text.model_type not in TEXTS:
        raise ValueError(f'text_config: expected model_type {", ".join(TEXTS)}, found {text.model_type!r}')
    wanted = {'vision_feature_layer': -1, 'vision_feature_select_strategy': 'default', 'projector_hidden_act': 'gelu'}
    for name, value in wanted.items():
        if getattr(config, name) != value:
            raise ValueError(f'{name}: expected {value!r}, found {getattr(config, name)!r}')
    sides = {*vision.image_size}, {*vision.patch_size}
    if any(len(side) != 1 for side in sides):
        raise ValueError(f'vision_config: expected square pictures and patches, found {vision.image_size} and {vision.patch_size}')
    same = ('hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads', 'norm_type', 'hidden_act', 'layer_norm_eps')
    encoder = {name: getattr(vision, name) for name in same} | {
        'image_size': vision.image_size[0],
        'patch_size': vision.patch_size[0],
        'qkv_bias': vision.attention_bias,
        'qk_normalization': vision.use_qk_norm,
    }
    decoder = {**text.to_dict(), 'architectures': [TEXTS[text.model_type]]}
    if text.model_type == 'llama':
        decoder['bias'] = text.attention_bias
    return {
        'vision_config': encoder,
        'llm_config': decoder,
        'image_token_index': config.image_token_id,
        'downsample_ratio': config.downsample_ratio,
    }


def refuse_other_network(raw: dict[str, Any]) -> None:
    """Raises ValueError for an InternVL of before 1.5, whose picture tokens are made in another way, or whose tiles are not its encoder's."""
    if raw.get('model_type') != 'internvl_chat':
        return
    wanted = {'ps_version': ('v1', 'v2'), 'select_layer': (-1, -1)}  # what InternVL takes where nothing is said; what our network does
    for name, (unsaid, value) in wanted.items():
        if raw.get(name, unsaid) != value:
            raise ValueError(f'{name}: expected {value!r}, found {raw.get(name, unsaid)!r}; give InternVL 1.5 or younger')
    forced, side = raw.get('force_image_size'), raw['vision_config'].get('image_size')
    if forced is not None and side is not None and forced != side:
        raise ValueError(f'force_image_size: expected the image_size of vision_config, {side!r}, found {forced!r}')
