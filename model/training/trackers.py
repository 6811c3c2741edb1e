"""TensorBoard and wandb, if asked for and installed; JSONL is always written."""

import hashlib
import os
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from schemas.errors import UserError


class Tracker(Protocol):
    """Where a step's numbers go."""

    def step(self, numbers: dict[str, float], step: int) -> None:
        """Stores the numbers of one step."""

    def close(self) -> None:
        """Ends the record."""


class TensorBoard:
    """Event files under `out/tensorboard`."""

    def __init__(self, out: Path, resumed: int):
        writer = load('torch.utils.tensorboard', 'tensorboard').SummaryWriter
        # Events after the checkpoint that is resumed belong to steps that are taken again.
        self.writer = writer(out / 'tensorboard', purge_step=resumed + 1 if resumed else None)

    def step(self, numbers: dict[str, float], step: int) -> None:
        """Stores the numbers of one step."""
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flushes the event file."""
        self.writer.close()


class Wandb:
    """A wandb run of the output folder, gone on with when training is; offline unless WANDB_MODE says otherwise."""

    def __init__(self, out: Path, resumed: int):
        self.run = load('wandb', 'wandb').init(
            project='phantom',
            name=out.name,
            id=hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:16],
            dir=str(out),
            resume='allow',
            mode=os.environ.get('WANDB_MODE', 'offline'),
        )

    def step(self, numbers: dict[str, float], step: int) -> None:
        """Stores the numbers of one step."""
        self.run.log(numbers, step=step)

    def close(self) -> None:
        """Ends the run."""
        self.run.finish()


TRACKERS = {'tensorboard': TensorBoard, 'wandb': Wandb}


def load(module: str, package: str) -> Any:
    """The module, or a UserError that says what to install."""
    try:
        return import_module(module)
    except ImportError as e:
        raise UserError(f'trackers: expected {package} to be installed, found none; pip install {package}') from e
