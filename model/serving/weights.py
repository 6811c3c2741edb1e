"""A checkpoint's weights on their way into vLLM: all of them by the checkpoint's own names, with a LoRA adapter added in where one is named."""

import copy
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from model.phantom.build import PHANTOM_PARTS, SHOWN_KEYS
from model.phantom.config import PhantomConfig
from model.phantom.modeling import PhantomForConditionalGeneration

ADAPTER_CONFIG, ADAPTER_WEIGHTS = 'adapter_config.json', 'adapter_model.safetensors'  # as PEFT saves them
FROM_PEFT = 'base_model.model.'  # before the names of the model's own modules
# of adapter_config.json: what changes the sum W + scale * B A, with the value under which it does not
PLAIN = {'peft_type': 'LORA', 'use_dora': False, 'fan_in_fan_out': False, 'bias': 'none', 'lora_bias': False, 'rank_pattern': {}, 'alpha_pattern': {}}


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter as PEFT saves it: pairs of A float[r, in] and B float[out, r] by weight name, and weights that it replaces."""

    folder: Path
    scale: float
    pairs: dict[str, tuple[Tensor, Tensor]]
    replaced: dict[str, Tensor]

    @classmethod
    def read(cls, folder: Path) -> 'Adapter':
        """The adapter of a folder; raises ValueError for a kind that is more than a sum of two products."""
        settings = json.loads((folder / ADAPTER_CONFIG).read_text('utf-8'))
        if other := {name: settings[name] for name, value in PLAIN.items() if settings.get(name, value) not in (value, None)}:
            raise ValueError(f'adapter {folder}: expected a plain LoRA, found {other}; merge it with PEFT (merge_and_unload) and serve the result')
        rank, alpha = settings['r'], settings['lora_alpha']
        scale = alpha / (math.sqrt(rank) if settings.get('use_rslora') else rank)
        found = {name.removeprefix(FROM_PEFT): tensor for name, tensor in load_file(folder / ADAPTER_WEIGHTS).items()}
        sides = [{name.replace(f'.lora_{side}.', '.'): found.pop(name) for name in [*found] if f'.lora_{side}.' in name} for side in 'AB']
        if sides[0].keys() != sides[1].keys() or any('.lora_' in name for name in found):
            raise ValueError(f'adapter {folder}: expected pairs of lora_A and lora_B, found others in {ADAPTER_WEIGHTS}')
        return cls(folder, scale, {name: (down, sides[1][name]) for name, down in sides[0].items()}, found)

    def apply(self, name: str, weight: Tensor) -> Tensor:
        """The weight with what the adapter says of it; a changed one in float32, in which small changes survive."""
        if name in self.replaced:
            return self.replaced[name]
        if name not in self.pairs:
            return weight
        down, up = (side.float() for side in self.pairs[name])
        return weight.float() + self.scale * (up @ down)

    def check(self, seen: set[str]) -> None:
        """Raises ValueError where it names weights that the checkpoint has not."""
        if unknown := sorted((self.pairs.keys() | self.replaced.keys()) - seen):
            raise ValueError(f'adapter {self.folder}: expected to change weights of the checkpoint, found {shown(unknown)} of none; is it its own?')


def as_adapted(config: PhantomConfig) -> PhantomConfig:
    """The configuration, with the eta under which `config.adapter` was trained where it says so (as `phantom train` saves it)."""
    if getattr(config, 'adapter', None):
        with safe_open(Path(config.adapter) / ADAPTER_WEIGHTS, 'pt') as file:
            said = file.metadata() or {}
        for name in {'eta', 'eta_learnable'} & said.keys():
            setattr(config, name, json.loads(said[name]))
    return config


def checked(weights: Iterable[tuple[str, Tensor]], config: PhantomConfig) -> Iterator[tuple[str, Tensor]]:
    """The weights of a checkpoint, `config.adapter` added in; raises ValueError at the end where some were missing.

    vLLM itself does not miss the weight of a linear layer.
    """
    adapter = Adapter.read(Path(config.adapter)) if getattr(config, 'adapter', None) else None
    seen: set[str] = set()
    for name, tensor in weights:
        seen.add(name)
        if config.phantom or not any(part in name for part in PHANTOM_PARTS):
            yield name, adapter.apply(name, tensor) if adapter else tensor
    expected = expected_names(config)
    if adapter:
        for name in sorted((adapter.replaced.keys() & expected) - seen):  # an eta that the base had as a constant
            seen.add(name)
            yield name, adapter.replaced[name]
        adapter.check(seen)
    if missing := sorted(expected - seen):
        raise ValueError(f'weights: expected all of a Phantom checkpoint, missing {len(missing)}: {shown(missing)}; copy it again')


def expected_names(config: PhantomConfig) -> set[str]:
    """Names a checkpoint of this configuration must have: all but a tied head."""
    with torch.device('meta'):
        model = PhantomForConditionalGeneration(copy.deepcopy(config))
    tied = set(model._tied_weights_keys) if config.tie_word_embeddings else set()
    return {name for name, _ in model.named_parameters(remove_duplicate=False) if name not in tied}


def shown(names: Any) -> str:
    """The first names of many."""
    return f'{", ".join(names[:SHOWN_KEYS])}{" ..." if len(names) > SHOWN_KEYS else ""}'
