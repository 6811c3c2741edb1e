"""The processes of a run by `accelerate`: one, DDP or FSDP, asked the same things."""

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import GradientAccumulationPlugin, gather_object
from torch import Tensor
from torch.distributed.tensor import DTensor

from model.training import sharding
from model.training.settings import TrainSettings
from schemas.errors import UserError


class Processes:
    """This process among those of the run, and the model and optimiser they train together."""

    def __init__(self, settings: TrainSettings):
        # What accelerate's config says of precision and accumulation is left to the preset.
        # Micro-batches of text only leave the projector without gradients.
        sharding.refuse_deepspeed()
        self.accelerator = Accelerator(
            cpu=not torch.accelerator.is_available(),  # else processes without a GPU would each think they are alone
            mixed_precision='no',
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        sharding.shard_on_cpu(self.accelerator)
        sharding.refuse_unsupported(self.accelerator)
        self.is_sharded = sharding.is_sharded(self.accelerator)
        self.world, self.rank = self.accelerator.num_processes, self.accelerator.process_index
        self.is_main, self.device = self.accelerator.is_main_process, self.accelerator.device
        if settings.quantize_bits and self.is_sharded:
            raise UserError('quantize_bits: expected weights whole on every process, found FSDP; use DDP')
        if settings.batch_rows % self.world:
            raise UserError(f'batch_rows: expected a multiple of {self.world} processes, found {settings.batch_rows}')

    def prepare(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, *, state: dict[str, Any] | None) -> None:
        """Takes over `model` and `optimizer`, whose state is that of one process (None: new)."""
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        if state:
            sharding.load_optimizer(self.accelerator, self.model, self.optimizer.optimizer, state)

    def set_rate(self, rate: float) -> None:
        """The learning rate of the next update."""
        for group in self.optimizer.param_groups:
            group['lr'] = rate

    @contextmanager
    def accumulating(self, *, last: bool) -> Iterator[None]:
        """Around a forward and `backward`: gradients go to the other processes in the last of a step."""
        self.accelerator.sync_gradients = last
        if last:
            yield
        else:
            with self.accelerator.no_sync(self.model):
                yield

    def backward(self, loss: Tensor) -> None:
        """Adds the gradients of the sum of all processes' losses, of which accelerate would take the mean."""
        self.accelerator.backward(loss * self.world)

    def clip(self, norm: float) -> float:
        """The norm of all gradients, which are scaled down to `norm` where it is larger."""
        found = torch.nn.utils.clip_grad_norm_(self.parameters, norm)
        return float(found.full_tensor() if isinstance(found, DTensor) else found)

    def update(self) -> None:
        """Steps and forgets the gradients."""
        self.optimizer.step()
        self.optimizer.zero_grad()

    def sum(self, values: list[float]) -> list[float]:
        """Each value summed over all processes."""
        if self.world == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        return self.accelerator.reduce(tensor, reduction='sum').tolist()

    def gather(self, items: list) -> list:
        """The items of all processes, in order of rank."""
        return items if self.world == 1 else gather_object(items)

    def wait(self) -> None:
        """Until every process is here."""
        self.accelerator.wait_for_everyone()

    def weights(self) -> dict[str, Tensor]:
        """The whole model's weights on the main process; every process must call this."""
        return sharding.gather_weights(self.accelerator, self.model)

    def optimizer_state(self) -> dict[str, Any]:
        """The optimiser's state as of one process, on the main one; every process must call this."""
        return sharding.gather_optimizer(self.accelerator, self.model, self.optimizer.optimizer)

    def end(self) -> None:
        """After the last step: connections are closed before Python ends, whose threads would end in an abort."""
        if self.world > 1:
            self.wait()
            atexit.register(self.accelerator.state.destroy_process_group)
