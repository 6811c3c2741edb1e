"""FSDP by `accelerate`: which set-ups run, and an optimiser state on disk that is the same for any number of processes."""

import os
from typing import Any

import torch
from accelerate import Accelerator, DistributedType, FullyShardedDataParallelPlugin, PartialState
from accelerate.utils import DynamoBackend
from torch import Tensor
from torch.distributed._functional_collectives import AsyncCollectiveTensor
from torch.distributed.tensor import DTensor, distribute_tensor

from schemas.errors import UserError


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


def whole(value: Any) -> Any:
    """A tensor put together from its shards; anything else as it is. Every process must call this."""
    if not isinstance(value, DTensor):
        return value
    full = value.detach().full_tensor()
    return full.wait() if isinstance(full, AsyncCollectiveTensor) else full


def gather_weights(accelerator: Accelerator, model: torch.nn.Module, *, keep: bool) -> dict[str, Tensor]:
    """The model's whole weights, where sharded on the CPU of the process with `keep`; every process must call this."""
    if not is_sharded(accelerator):
        return accelerator.get_state_dict(model)
    gathered = {}
    for name, tensor in model.state_dict().items():
        tensor = whole(tensor)
        if keep:
            gathered[name] = tensor.cpu()
    return gathered


def gather_optimizer(optimizer: torch.optim.Optimizer, *, keep: bool) -> dict[str, Any]:
    """The optimiser's state with whole tensors on the CPU; every process must call this, `keep` on the one that writes."""
    state = optimizer.state_dict()
    gathered: dict[int, dict[str, Any]] = {}
    for index, values in state['state'].items():
        for name, value in values.items():
            value = whole(value)
            if keep:
                gathered.setdefault(index, {})[name] = value.cpu() if isinstance(value, Tensor) else value
    return {**state, 'state': gathered}


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Puts a state of whole tensors into an optimiser, in shards where its parameters are."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group['params']]
    shards = {
        index: {name: shard_like(parameters[index], value) for name, value in values.items()}
        for index, values in state['state'].items()
    }
    optimizer.load_state_dict({**state, 'state': shards})


def shard_like(parameter: Tensor, value: Any) -> Any:
    """This process's shard of a tensor of the parameter's shape; anything else (such as a step count) as it is."""
    if isinstance(parameter, DTensor) and isinstance(value, Tensor) and value.shape == parameter.shape:
        return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
    return value
