"""The strength of the phantom dimension: a checkpoint's own, constant or learned, and what is set in its place."""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn

from model.phantom.config import PhantomConfig
from model.phantom.stored import open_weights
from schemas.errors import UserError

# Each layer rounds its inputs to bfloat16, and what the phantom dimension changed in them is below that. Correlation of its effect on the logits
# with the effect in float32, golden models: 0.02 at eta 1e-4, 0.1 at 1e-3, 0.7 at 1e-2, 0.99 at 1e-1. Within one layer it survives (attention.py).
# Of a tiny model by benchmarks/eta_in_half.py, also with autocast: one projection of the rounded sum in place of two gives 0.03 for 0.10 at 1e-3,
# 0.52 for 0.57 at 1e-2, the same from 1e-1 on; a projection in float32 gives what two give, 0.01 at 1e-4: what is lost is lost between layers.
ACTS_IN_HALF = 1e-2


def stored_names(folder: Path) -> set[str]:
    """Names of the weights in a folder's safetensors files; raises UserError."""
    return {*open_weights(folder).shapes}


def holds_phantom(folder: Path) -> bool:
    """Whether a folder has phantom parts of its own: it is a Phantom checkpoint, not a backbone without them."""
    return any('gating_phantom' in name for name in stored_names(folder))


def describe_eta(model: nn.Module, *, half: bool) -> str:
    """The model's eta, for people, and whether it acts; half: the decoder runs in bfloat16."""
    if not model.config.phantom:
        return 'phantom dimension off'
    found = [module.eta_phantom for module in model.modules() if getattr(module, 'eta_phantom', None) is not None]
    values = [float(eta.detach()) for eta in found if not hasattr(eta, 'to_local')] or [model.config.eta]  # shards are not gathered for a line
    low, high = f'{min(values):.2g}', f'{max(values):.2g}'
    shown = f'{low if low == high else f"{low} to {high}"}, {"learned" if found else "constant"}'
    shown += eta_in_half(max(map(abs, values))) if half else ''
    return f'eta {shown}'


def eta_in_half(eta: float) -> str:
    """What to add to an eta that runs in bfloat16, for people; empty where it acts."""
    if abs(eta) >= ACTS_IN_HALF:
        return ''
    return f': in bf16 the phantom dimension hardly acts below {ACTS_IN_HALF:g}, rounding hides it; use fp32, or set a larger eta'


def refuse_lost_eta(folder: Path, names: Iterable[str], *, learned: bool, config: PhantomConfig) -> None:
    """Raises UserError where learned etas are not where config.json says (`learned`), or would be lost. `names`: of the stored weights."""
    etas = sorted(name for name in names if 'eta_phantom' in name)
    if not config.phantom:
        return
    if etas and not config.eta_learnable:
        raise UserError(
            f'weights {folder}: expected a constant eta, found {len(etas)} learned ones ({etas[0]}, ...); leave eta_learnable as the '
            'checkpoint has it, or set phantom: false to go without the phantom dimension'
        )
    layers = config.get_text_config().num_hidden_layers
    if learned and len(etas) != layers:
        raise UserError(f'weights {folder}: expected learned etas of {layers} layers as config.json says, found {len(etas)}; copy it again')


@torch.no_grad()
def set_eta(model: nn.Module, eta: float) -> None:
    """Every learned eta becomes this one."""
    for module in model.modules():
        if getattr(module, 'eta_phantom', None) is not None:
            module.eta_phantom.fill_(eta)
