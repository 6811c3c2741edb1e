"""DeepSpeed's ZeRO by `accelerate`: its engine under the run's settings, its weights and optimiser state as whole tensors."""

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from accelerate import Accelerator, DeepSpeedPlugin, DistributedType, PartialState
from torch import Tensor, nn
from torch.nn import functional as F

from model.training.settings import TrainSettings
from schemas.errors import UserError

MOMENTS = ('exp_avg', 'exp_avg_sq')  # what Adam keeps of a parameter beside its step


def read_plugin() -> DeepSpeedPlugin | None:
    """What accelerate's config says of DeepSpeed, None where it says nothing; raises UserError where it cannot run."""
    if os.environ.get('ACCELERATE_USE_DEEPSPEED', 'false').lower() != 'true':
        return None
    try:
        import_module('deepspeed')
    except ImportError as e:
        raise UserError('accelerate: expected deepspeed to be installed, found none; pip install deepspeed') from e
    plugin = DeepSpeedPlugin()
    if plugin.zero_stage == 0:
        raise UserError('accelerate: expected DeepSpeed with zero_stage 1, 2 or 3, found 0; use plain DDP instead')
    if found := sorted({'optimizer', 'scheduler'} & set(plugin.deepspeed_config)):
        raise UserError(f'accelerate: expected a DeepSpeed config that leaves {found} to the preset, found them; take them out')
    if found := [name for name in ('bf16', 'fp16') if plugin.deepspeed_config.get(name, {}).get('enabled') is True]:
        raise UserError(f'accelerate: expected a DeepSpeed config that leaves precision to the preset, found {found}; take them out')
    return plugin


def is_zero(accelerator: Accelerator) -> bool:
    """Whether DeepSpeed's engine holds the weights and steps the optimiser."""
    return accelerator.distributed_type == DistributedType.DEEPSPEED


def start_zero(accelerator: Accelerator, plugin: DeepSpeedPlugin | None, settings: TrainSettings) -> None:
    """Gives DeepSpeed the run's settings, so that a preset means the same as without it; does nothing without a plugin."""
    if plugin is None:
        return
    if accelerator.distributed_type == DistributedType.MULTI_CPU:  # accelerate takes DDP there and does not say so
        plugin.set_mixed_precision('no')
        plugin.select(_from_accelerator_state=True)
        accelerator.state.deepspeed_plugins = plugin
        accelerator.state.distributed_type = PartialState().distributed_type = DistributedType.DEEPSPEED
    if not is_zero(accelerator):
        raise UserError('accelerate: expected DeepSpeed to be started by a launcher, found one process; use `accelerate launch`')
    plugin.deepspeed_config |= {
        'train_micro_batch_size_per_gpu': settings.micro_batch_rows,
        'train_batch_size': 'auto',
        'gradient_accumulation_steps': 1,  # losses are sums over the whole batch already
        'gradient_clipping': settings.clip_norm,
        'torch_autocast': {  # the engine allows no other; weights and gradients travel in float32
            'enabled': settings.precision == 'bf16',
            'dtype': 'bfloat16',
            'lower_precision_safe_modules': [],
        },
        'zero_force_ds_cpu_optimizer': False,  # AdamW of torch, where its state is moved to the CPU too
    }


def whole_weights(model: Any, *, keep: bool) -> dict[str, Tensor]:
    """The engine's weights under the model's names, on the process with `keep`; every process must call this."""
    gathered = import_module('deepspeed.runtime.zero').GatheredParameters
    weights = {}
    for name, parameter in model.module.named_parameters(remove_duplicate=False):
        with gathered([parameter]):
            if keep:
                weights[name] = parameter.detach().cpu().clone()
    return weights


def whole_state(optimizer: Any, parameters: Sequence[nn.Parameter], *, keep: bool) -> dict[str, Any]:
    """Adam's state as one process would have it, on the process with `keep`; every process must call this."""
    utils, adam = import_module('deepspeed.utils'), optimizer.optimizer.optimizer
    step = next(iter(adam.state.values()))['step'].cpu()
    state = {}
    for index, parameter in enumerate(parameters):
        moments = {name: utils.safe_get_full_optimizer_state(parameter, name) for name in MOMENTS}
        if keep:
            state[index] = {'step': step.clone(), **{name: value.cpu() for name, value in moments.items()}}
    group = {name: value for name, value in adam.param_groups[0].items() if name != 'params'}
    return {'state': state, 'param_groups': [{**group, 'params': list(range(len(parameters)))}]}


def load_whole_state(optimizer: Any, parameters: Sequence[nn.Parameter], state: dict[str, Any]) -> None:
    """Puts a state of whole tensors into the engine, in this process's parts."""
    utils, zero = import_module('deepspeed.utils'), optimizer.optimizer
    step = next(iter(state['state'].values()))['step']
    sharded = hasattr(parameters[0], 'ds_id')  # stage 3
    # The engine makes Adam's state in the first step: here it is filled before that.
    for flat in zero.fp32_partitioned_groups_flat if sharded else zero.single_partition_of_fp32_groups:
        zero.optimizer.state[flat] = {'step': step.clone(), **{name: torch.zeros_like(flat) for name in MOMENTS}}
    if not sharded:
        zero._lazy_init_hp_params_optimizer_state()
    for index, parameter in enumerate(parameters):
        for name in MOMENTS:
            value = state['state'][index][name]
            if sharded:
                set_shard(utils, parameter, name, value.flatten())
            else:
                utils.safe_set_full_optimizer_state(parameter, value, name)


def set_shard(utils: Any, parameter: nn.Parameter, name: str, value: Tensor) -> None:
    """This process's part of one flat moment, the last part padded with zeros."""
    size = utils.safe_get_local_optimizer_state(parameter, name).numel()
    start = size * PartialState().process_index
    part = value[start : start + size]
    utils.safe_set_local_optimizer_state(parameter, F.pad(part, (0, size - len(part))), name)
