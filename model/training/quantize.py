"""QLoRA: frozen linear layers in 8 or 4 bits by bitsandbytes, which is imported only where it is asked for."""

from importlib import import_module
from typing import Any

import torch
from torch import nn

from schemas.errors import UserError

# Parts of layer names that the released code leaves alone in 8 bits (load_model.py of ByungKwanLee/Phantom @ aa61802): phantom parts,
# projector, and of the decoder the query, key and value projections and the head, whatever their names. The same for 4 bits.
SKIPPED = frozenset({
    *('linear_q', 'linear_k', 'linear_v', 'linear_o', 'gating_phantom_1', 'gating_phantom_2'),
    *('vision_proj', 'q_proj', 'k_proj', 'v_proj', 'qkv_proj', 'wqkv', 'lm_head', 'output'),
})  # fmt: skip
THRESHOLD = 6.0  # 8 bits: larger activations are multiplied in 16 bits; of the released code


def quantize_frozen(model: nn.Module, *, bits: int) -> list[str]:
    """Replaces linear layers of encoder and decoder by layers of `bits` (8 or 4), filled when they move to a device; their names."""
    bnb = load_bitsandbytes()
    names = quantizable(model)
    for name in names:
        parent, _, leaf = name.rpartition('.')
        holder = model.get_submodule(parent)
        setattr(holder, leaf, quantized(bnb, getattr(holder, leaf), bits))
    model.is_loaded_in_8bit, model.is_loaded_in_4bit = bits == 8, bits == 4  # how peft knows which adapters fit
    return names


def load_bitsandbytes() -> Any:
    """The module, or a UserError that says what is missing."""
    try:
        return import_module('bitsandbytes')
    except ImportError as e:
        raise UserError('quantize_bits: expected bitsandbytes to be installed, found none; pip install bitsandbytes') from e


def quantizable(model: nn.Module) -> list[str]:
    """Names of the linear layers that are quantised."""
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and not SKIPPED & set(name.split('.'))]


def quantized(bnb: Any, layer: nn.Linear, bits: int) -> nn.Module:
    """A layer of `bits` with the weights of `layer`, frozen."""
    sizes, bias = (layer.in_features, layer.out_features), layer.bias is not None
    weight = layer.weight.data.to(torch.bfloat16)
    if bits == 8:
        new = bnb.nn.Linear8bitLt(*sizes, bias=bias, has_fp16_weights=False, threshold=THRESHOLD)
        new.weight = bnb.nn.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    else:  # NormalFloat4 with doubly quantised scales: QLoRA, arXiv 2305.14314
        new = bnb.nn.Linear4bit(*sizes, bias=bias, compute_dtype=torch.bfloat16, compress_statistics=True, quant_type='nf4')
        new.weight = bnb.nn.Params4bit(weight, requires_grad=False, compress_statistics=True, quant_type='nf4')
    if bias:
        new.bias = nn.Parameter(layer.bias.data, requires_grad=False)
    return new


def halve_frozen(model: nn.Module) -> None:
    """Stores every frozen floating-point weight in bfloat16; trained ones stay float32, and so do the residual stream's sums."""
    for parameter in model.parameters():
        if not parameter.requires_grad and parameter.dtype == torch.float32:
            parameter.data = parameter.data.to(torch.bfloat16)
