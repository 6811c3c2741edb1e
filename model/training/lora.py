"""LoRA adapters (peft) on every linear layer of encoder and decoder, and their weights merged for saving."""

import re

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from model.phantom.build import PHANTOM_PARTS

ADAPTER = 'default'  # peft's name of the one adapter


def add_lora(model: nn.Module, *, rank: int, alpha: int) -> None:
    """Puts adapters on the linear layers of vision_model and language_model but the head and the phantom parts."""
    head = f'language_model.{model.language_model.head_name}'
    targets = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and name.startswith(('vision_model.', 'language_model.'))
        and name != head
        and not any(part in name for part in PHANTOM_PARTS)
    ]
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules='|'.join(map(re.escape, targets)))
    inject_adapter_in_model(config, model, adapter_name=ADAPTER)


@torch.no_grad()
def merged_weights(model: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The model's weights under their own names, adapters added in; `weights` are its state as it stands."""
    merged = {}
    scaling = {name: module.scaling[ADAPTER] for name, module in model.named_modules() if isinstance(module, LoraLayer)}
    for name, tensor in weights.items():
        if '.lora_' in name:
            continue
        plain = name.replace('.base_layer.', '.')
        layer = plain.removesuffix('.weight')
        if layer in scaling and plain != layer:
            down, up = (weights[f'{layer}.lora_{side}.{ADAPTER}.weight'].float() for side in 'AB')
            tensor = tensor.float() + up @ down * scaling[layer]  # half precision would round small changes away
        merged[plain] = tensor
    return merged
