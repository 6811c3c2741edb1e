"""TensorBoard and wandb, if asked for and installed; JSONL is always written."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from textwrap import indent
from typing import Any, Protocol

import numpy as np
from PIL import Image

from model.phantom.tiling import decode_image
from schemas.errors import UserError
from schemas.pixels import decode_rgb

THUMBNAIL_PX = 224


@dataclass(frozen=True, slots=True)
class Generation:
    """A question of the validation split with what the model replied."""

    row: str  # its triple_id
    question: str
    chosen: str  # the right answer
    reply: str
    right: bool

    def lines(self) -> str:
        """Question, right answer and reply, for people."""
        return f'{self.question}\nright: {self.chosen}\nreply: {self.reply} ({"right" if self.right else "wrong"})'


Shown = Sequence[tuple[Generation, Sequence[bytes]]]  # replies with the stored bytes of their pictures


class Tracker(Protocol):
    """Where a step's numbers go, and the replies of a look at the validation split."""

    def step(self, numbers: dict[str, float], step: int) -> None:
        """Stores the numbers of one step."""

    def look(self, shown: Shown, step: int) -> None:
        """Stores replies with their pictures."""

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

    def look(self, shown: Shown, step: int) -> None:
        """Stores replies as text and their pictures beside them, under the same tag."""
        for number, (one, pictures) in enumerate(shown):
            tag = f'validation/{number}'
            # Indented, Markdown shows it as it is; TensorBoard takes what is no safe HTML out of it.
            self.writer.add_text(tag, f'{one.row}\n\n' + indent(one.lines(), '    ', lambda line: True), step)
            for place, picture in enumerate(thumbnails(pictures)):
                self.writer.add_image(f'{tag}/{place}', np.asarray(picture), step, dataformats='HWC')

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

    def look(self, shown: Shown, step: int) -> None:
        """Stores replies as the captions of their pictures, those without one in a table."""
        wandb = load('wandb', 'wandb')
        images = [wandb.Image(picture, caption=one.lines()) for one, pictures in shown for picture in thumbnails(pictures)[:1]]
        rows = [[one.row, one.question, one.chosen, one.reply, one.right] for one, _ in shown]
        table = wandb.Table(columns=['row', 'question', 'chosen', 'reply', 'right'], data=rows)
        self.run.log({'validation/pictures': images, 'validation/replies': table}, step=step)

    def close(self) -> None:
        """Ends the run."""
        self.run.finish()


TRACKERS = {'tensorboard': TensorBoard, 'wandb': Wandb}


def thumbnails(pictures: Sequence[bytes]) -> list[Image.Image]:
    """Stored pictures as they were decoded for training, small."""
    found = [decode_rgb(decode_image(data)) for data in pictures]
    for picture in found:
        picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return found


def load(module: str, package: str) -> Any:
    """The module, or a UserError that says what to install."""
    try:
        return import_module(module)
    except ImportError as e:
        raise UserError(f'trackers: expected {package} to be installed, found none; pip install {package}') from e
