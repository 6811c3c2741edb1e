"""The strength of the phantom dimension: a checkpoint's own, constant or learned, and what is set in its place."""

from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import nn

from schemas.errors import UserError

# Each layer rounds its inputs to bfloat16, and what the phantom dimension changed in them is below that. Correlation of its effect on the logits
# with the effect in float32, golden models: 0.02 at eta 1e-4, 0.1 at 1e-3, 0.7 at 1e-2, 0.99 at 1e-1. Within one layer it survives (attention.py).
ACTS_IN_HALF = 1e-2


def holds_phantom(folder: Path) -> bool:
    """Whether a folder's safetensors files have phantom parts: it is a Phantom checkpoint, not a backbone without them."""
    for file in sorted(folder.glob('*.safetensors')):
        with safe_open(file, 'pt') as handle:
            names = list(handle.keys())
            if any('gating_phantom' in name for name in names):
                return True
    return False


def describe_eta(model: nn.Module, *, half: bool) -> str:
    """The model's eta, for people, and whether it acts; half: the decoder runs in bfloat16."""
    if not model.config.phantom:
        return 'phantom dimension off'
    found = [module.eta_phantom for module in model.modules() if getattr(module, 'eta_phantom', None) is not None]
    values = [float(eta.detach()) for eta in found if not hasattr(eta, 'to_local')] or [model.config.eta]  # shards are not gathered for a line
    low, high = f'{min(values):.2g}', f'{max(values):.2g}'
    shown = f'{low if low == high else f"{low} to {high}"}, {"learned" if found else "constant"}'
    if half and max(map(abs, values)) < ACTS_IN_HALF:
        shown += f': in bf16 the phantom dimension hardly acts below {ACTS_IN_HALF:g}, rounding hides it; use fp32, or set a larger eta'
    return f'eta {shown}'


def settle_eta(model: nn.Module, folder: Path, info: dict[str, Any], *, learned: bool, overrides: dict[str, Any]) -> None:
    """An eta that is set stands in place of learned ones, too; else the checkpoint's own stand.

    learned: whether the folder's config.json says that its eta is learned. Raises UserError where learned ones lack, or would be lost.
    """
    lacking, extra = ([key for key in info[kind] if 'eta_phantom' in key] for kind in ('missing_keys', 'unexpected_keys'))
    if extra:
        raise UserError(
            f'weights {folder}: expected a constant eta, found {len(extra)} learned ones ({extra[0]}, ...); leave eta_learnable as the '
            'checkpoint has it, or set phantom: false to go without the phantom dimension'
        )
    if lacking and learned:
        raise UserError(f'weights {folder}: expected learned etas as config.json says, found {len(lacking)} missing ({lacking[0]}); copy it again')
    if 'eta' in overrides:
        for module in model.modules():
            if getattr(module, 'eta_phantom', None) is not None:
                nn.init.constant_(module.eta_phantom, overrides['eta'])
