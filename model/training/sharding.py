"""FSDP2 by `accelerate`: which set-ups run, and states that are the same for any number of processes (torch.distributed.checkpoint)."""

import os
from typing import Any

import torch
from accelerate import Accelerator, DistributedType, FullyShardedDataParallelPlugin, PartialState
from accelerate.utils import DynamoBackend
from torch import Tensor
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, get_optimizer_state_dict, set_optimizer_state_dict

from schemas.errors import UserError

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)  # whole tensors, on the main process alone


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether weights, gradients and optimiser states are spread over the processes (FSDP2)."""
    return accelerator.distributed_type == DistributedType.FSDP


def shard_on_cpu(accelerator: Accelerator) -> None:
    """Turns FSDP on between CPU processes where it was asked for: accelerate takes DDP there and does not say so."""
    wanted = os.environ.get('ACCELERATE_USE_FSDP', 'false').lower() == 'true'
    if wanted and accelerator.distributed_type == DistributedType.MULTI_CPU:
        accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin()  # reads the FSDP_* variables
        # Every new AcceleratorState copies what PartialState says.
        accelerator.state.distributed_type = PartialState().distributed_type = DistributedType.FSDP


def refuse_deepspeed() -> None:
    """Raises a UserError where accelerate's config asks for DeepSpeed, whose engine would take optimiser and precision from the preset."""
    if os.environ.get('ACCELERATE_USE_DEEPSPEED', 'false').lower() == 'true':
        raise UserError('accelerate: expected DDP or FSDP, found DeepSpeed; FSDP spreads the same: use model/training/accelerate/fsdp.yaml')


def refuse_unsupported(accelerator: Accelerator) -> None:
    """Raises a UserError for a set-up of accelerate whose runs could not be resumed or would go wrong."""
    if is_sharded(accelerator) and accelerator.state.fsdp_plugin.fsdp_version != 2:
        raise UserError('accelerate: expected FSDP version 2, found 1; set fsdp_version: 2 in its config')
    dynamo = accelerator.state.dynamo_plugin.backend
    if dynamo != DynamoBackend.NO:
        raise UserError(f'accelerate: expected no dynamo_backend, found {dynamo.value}; set compile: true in the preset instead')
    if is_sharded(accelerator):
        # Every process has read the weights; sending them from the first would only cost time.
        accelerator.state.fsdp_plugin.cpu_ram_efficient_loading = False


def gather_weights(accelerator: Accelerator, model: torch.nn.Module) -> dict[str, Tensor]:
    """The model's whole weights, where sharded on the main process alone; every process must call this."""
    return get_model_state_dict(model, options=WHOLE) if is_sharded(accelerator) else accelerator.get_state_dict(model)


def gather_optimizer(accelerator: Accelerator, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimiser's state as one process has it, where sharded on the main process alone; every process must call this."""
    if not is_sharded(accelerator):
        return optimizer.state_dict()
    state = get_optimizer_state_dict(model, optimizer, options=WHOLE)
    if not accelerator.is_main_process:
        return {}
    numbers = {name: number for number, name in enumerate(trained_names(model))}
    groups = [{**group, 'params': [numbers[name] for name in group['params']]} for group in state['param_groups']]
    return {'state': {numbers[name]: values for name, values in state['state'].items()}, 'param_groups': groups}


def load_optimizer(accelerator: Accelerator, model: torch.nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Puts a state of whole tensors into an optimiser, in shards where its parameters are."""
    if not is_sharded(accelerator):
        optimizer.load_state_dict(state)
        return
    names = trained_names(model)
    groups = [{**group, 'params': [names[number] for number in group['params']]} for group in state['param_groups']]
    values = {names[number]: values for number, values in state['state'].items()}
    options = StateDictOptions(full_state_dict=True, strict=False)
    set_optimizer_state_dict(model, optimizer, {'state': values, 'param_groups': groups}, options=options)
    for name, parameter in model.named_parameters():
        if name not in values:
            optimizer.state.pop(parameter, None)  # it was never stepped, which is not the same as stepped by nothing


def trained_names(model: torch.nn.Module) -> list[str]:
    """Names of the parameters of the optimiser, in its order."""
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]
