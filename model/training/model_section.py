"""The model and config sections of a preset: the fields of PhantomConfig that shape a model, each within its range."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal

from transformers.activations import ACT2FN

from model.phantom.config import VISION_DEFAULTS, PhantomConfig
from model.phantom.tokens import TINY_SPECIALS
from model.training.bounds import Flag, Range, Word, read_values

Width = Annotated[int, Range(1, 65_536)]
Count = Annotated[int, Range(1, 1_024)]
Side = Annotated[int, Range(1, 16_384)]  # pixels
Spread = Annotated[float, Range(0, 10)]
Epsilon = Annotated[float, Range(0, 1, above=True)]

VISION = {
    'hidden_size': Width,
    'intermediate_size': Annotated[int, Range(1, 262_144)],
    'num_hidden_layers': Count,
    'num_attention_heads': Count,
    'image_size': Side,
    'patch_size': Side,
    'qkv_bias': Flag,
    'qk_normalization': Flag,
    'norm_type': Literal['layer_norm', 'rms_norm'],
    'hidden_act': Literal['gelu'],  # the one that vision.py computes
    'layer_norm_eps': Epsilon,
    'initializer_range': Spread,
}
DECODER = {
    'architectures': list[Word],
    'vocab_size': Annotated[int, Range(1, 10_000_000)],
    'hidden_size': Width,
    'hidden_act': Literal[tuple(ACT2FN)],
    'intermediate_size': Annotated[int, Range(1, 1_048_576)],
    'num_hidden_layers': Count,
    'num_attention_heads': Count,
    'num_key_value_heads': Count,
    'max_position_embeddings': Annotated[int, Range(1, 100_000_000)],
    'rope_theta': Annotated[float, Range(0, 1e12, above=True)],
    'rms_norm_eps': Epsilon,
    'initializer_range': Spread,
    'attention_dropout': Annotated[float, Range(0, 1, below=True)],
    'tie_word_embeddings': Flag,
    'use_sliding_window': Flag,
}
MODEL = {
    'phantom': Flag,
    'eta': Annotated[float, Range(0, 100)],
    'eta_learnable': Flag,
    'downsample_ratio': Annotated[float, Range(0, 1, above=True)],
    'min_tiles': Annotated[int, Range(1, 100)],
    'max_tiles': Annotated[int, Range(1, 100)],
    'use_thumbnail': Flag,
    'vision_config': VISION,
    'llm_config': DECODER,
}
OTHERS = {field.name for field in fields(PhantomConfig)} - set(MODEL)  # checked by transformers


def read_section(values: Mapping[str, Any], section: str) -> tuple[dict[str, Any], list[str]]:
    """A model or config section as it was read, and what is wrong with it. transformers would keep unknown names and do nothing with them."""
    read, told = read_values(MODEL, values, section=section, as_they_are=OTHERS)
    faults = list(told.values())
    vision = read.get('vision_config', {})
    known = ', '.join(VISION_DEFAULTS)
    faults += [f'unknown setting {section}vision_config.{name}; known are {known}' for name in vision if name not in VISION_DEFAULTS]
    least, most = read.get('min_tiles', 1), read.get('max_tiles')
    if most is not None and least > most:
        faults.append(f'{section}min_tiles: expected at most max_tiles {most}, found {least}')
    vision, ratio = {**VISION_DEFAULTS, **vision}, read.get('downsample_ratio', PhantomConfig.downsample_ratio)
    if 'vision_config' in read and not faults and not tiles_fit(vision['image_size'], vision['patch_size'], ratio):
        multiple = f'a multiple of patch_size {vision["patch_size"]} over downsample_ratio {ratio:g}, which divides 1'
        faults.append(f'{section}vision_config.image_size: expected {multiple}, found {vision["image_size"]}')
    words, fewest = read.get('llm_config', {}).get('vocab_size'), 256 + len(TINY_SPECIALS)
    if section == 'model.' and words and words < fewest:
        faults.append(f'{section}llm_config.vocab_size: expected at least the {fewest} of bytes and specials, found {words}')
    heads, groups = (read.get('llm_config', {}).get(f'num_{name}_heads') for name in ('attention', 'key_value'))
    if heads and groups and heads % groups:
        faults.append(f'{section}llm_config.num_attention_heads: expected a multiple of num_key_value_heads {groups}, found {heads}')
    return read, faults


def tiles_fit(image: int, patch: int, ratio: float) -> bool:
    """Whether a tile's patches, joined by the pixel shuffle, cover it exactly."""
    return image % patch == 0 and image // patch * ratio % 1 == 0 and 1 / ratio % 1 == 0
