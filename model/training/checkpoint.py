"""Checkpoints of a training run: a folder a step, whole or absent, that names the snapshot it was trained on."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from model.phantom.account import SHOWN_KEYS
from schemas.errors import UserError
from schemas.publish import drafted_folder, publish_json, publish_link, sync_names
from schemas.refusals import refused

STATE = 'training.json'
OPTIMIZER = 'optimizer.pt'
TRAINED = 'trained.safetensors'  # with adapters: what resuming puts on the weights the run started from
BEST = 'best'  # the name, in a run's folder, that points to the checkpoint of the best validation
VERSION = 1  # of training.json


@dataclass(frozen=True, slots=True)
class TrainState:
    """Where a run stands. rows_trained + rows_dropped = position."""

    snapshot_id: str
    step: int  # optimiser steps taken
    position: int  # snapshot rows consumed, over all epochs
    rows_trained: int
    rows_dropped: int
    max_steps: int  # steps that were asked for when it was saved; in checkpoints without a schedule also the length of their cosine
    preset: str
    init: str | None  # the folder of the weights it started from
    settings: dict[str, Any]
    shape: dict[str, Any] | None = None  # the preset's model and config sections; None in checkpoints older than this field
    schedule: dict[str, Any] | None = None  # the learning rate of every step (schedule.py); None in checkpoints older than this field
    dropped: dict[str, int] | None = None  # rows_dropped by reason; None in checkpoints older than this field
    version: int = VERSION


def save_checkpoint(out: Path, state: TrainState, write: Callable[[Path], None], *, keep_last: int, best: bool = False) -> Path:
    """The folder `out/step-N`, written under another name, flushed to the disk and renamed; the oldest beyond `keep_last` are removed.

    best: `out/best` points to it from now on. What that name points to is never removed.
    """
    final = checkpoint_at(out, state.step)
    if (final / STATE).is_file():
        return final
    try:
        with drafted_folder(final) as draft:
            write(draft)
            publish_json(draft / STATE, asdict(state))
    except (OSError, SafetensorError) as e:
        raise refused(e, final) from e
    if best:
        name_best(final)
    for old in checkpoints(out)[:-keep_last] if keep_last else []:
        if old == best_checkpoint(out):
            continue
        gone = out / f'.{old.name}.gone.tmp'  # a half-removed one would look finished
        old.rename(gone)
        sync_names(out)
        shutil.rmtree(gone)
    return final


def checkpoint_at(out: Path, step: int) -> Path:
    """Where a run keeps the checkpoint of a step."""
    return out / f'step-{step:08d}'


def checkpoints(out: Path) -> list[Path]:
    """Finished checkpoint folders of a run, oldest first."""
    return sorted(path.parent for path in out.glob(f'step-*/{STATE}'))


def name_best(checkpoint: Path) -> None:
    """Points the name `best` beside a checkpoint to it."""
    try:
        publish_link(checkpoint.parent / BEST, checkpoint.name)
    except OSError as e:
        raise refused(e, checkpoint.parent / BEST) from e


def best_checkpoint(out: Path) -> Path | None:
    """The checkpoint that `out/best` points to, None where there is no such name or its folder is gone."""
    link = out / BEST
    found = out / link.readlink().name if link.is_symlink() else None
    return found if found and (found / STATE).is_file() else None


def remove_drafts(out: Path) -> None:
    """Removes what a killed save left behind."""
    for draft in out.glob('.step-*.tmp'):
        shutil.rmtree(draft)
    for draft in out.glob(f'.{BEST}.*.tmp'):
        draft.unlink()


def find_checkpoint(path: Path) -> Path:
    """The checkpoint folder at `path`, or the newest of the run at `path`; raises UserError."""
    if (path / STATE).is_file() or (path / 'config.json').is_file():
        return path
    found = checkpoints(path) if path.is_dir() else []
    if not found:
        raise UserError(
            f'checkpoint {path}: expected step-N folders or a saved model, found none; '
            'run `phantom train --snapshot DIR --out CKPT` first'
        )
    return found[-1]


def read_state(checkpoint: Path) -> TrainState:
    """The state a checkpoint was saved with."""
    try:
        values = json.loads((checkpoint / STATE).read_text('utf-8'))
    except ValueError as e:
        raise damaged(checkpoint, f'{STATE} is not JSON ({e})') from e
    version = values.get('version') if isinstance(values, dict) else None
    if version != VERSION:
        raise UserError(f'{checkpoint / STATE}: expected version {VERSION}, found {version}; pass another --out to start anew')
    numbers = (values.get(name) for name in ('step', 'position', 'rows_trained', 'rows_dropped', 'max_steps'))
    sections = (values.get(name) for name in ('shape', 'schedule', 'dropped'))
    typed = isinstance(values.get('settings'), dict) and all(isinstance(some, dict | None) for some in sections)
    if not (typed and all(type(number) is int for number in numbers)):
        raise damaged(checkpoint, f'{STATE} has values of other types')
    try:
        return TrainState(**values)
    except TypeError as e:
        raise damaged(checkpoint, f'{STATE} has other fields ({e})') from e


def read_optimizer(checkpoint: Path) -> dict[str, Any]:
    """The optimiser's state a checkpoint was saved with, whole tensors on the CPU."""
    try:
        return torch.load(checkpoint / OPTIMIZER, map_location='cpu', weights_only=True)
    except (OSError, EOFError, RuntimeError, UnpicklingError) as e:
        raise damaged(checkpoint, f'{OPTIMIZER} does not read ({e})') from e


def refuse_other_state(checkpoint: Path, state: Any, optimizer: torch.optim.Optimizer) -> None:
    """Raises UserError for what is no state of this optimiser: other parts, other numbers of weights, other shapes, other settings."""
    ours = optimizer.param_groups
    try:
        state = {**state}
        groups, values = state['param_groups'], state['state']
        fits = [[*group['params']] for group in groups] == [[*group['params']] for group in optimizer.state_dict()['param_groups']]
        fits &= all(tuple(group[name]) == tuple(own[name]) for group, own in zip(groups, ours, strict=True) for name in ('betas',))
        fits &= all(group[name] == own[name] for group, own in zip(groups, ours, strict=True) for name in ('eps', 'weight_decay'))
        shapes = dict(enumerate(weight.shape for group in ours for weight in group['params']))
        fits &= all(shapes_of(value) == {'step': (), 'exp_avg': shapes[place], 'exp_avg_sq': shapes[place]} for place, value in values.items())
        fits &= bool(values)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, IndexError) as e:
        raise damaged(checkpoint, f'{OPTIMIZER} has another form ({e!r})') from e
    if not fits:
        raise damaged(checkpoint, f'{OPTIMIZER} is of other weights or settings')


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def read_trained(checkpoint: Path, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """With adapters: the trained weights as they stood, which are those of the shapes `wanted` and no others."""
    try:
        found = load_file(checkpoint / TRAINED)
    except (OSError, SafetensorError) as e:
        raise damaged(checkpoint, f'{TRAINED} does not read ({e})') from e
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    if wrong := sorted(name for name in shapes.keys() | wanted.keys() if shapes.get(name) != wanted.get(name)):
        raise damaged(checkpoint, f'{TRAINED} lacks {len(wrong)} weights, or has others or of other shapes: {", ".join(wrong[:SHOWN_KEYS])}')
    return found


def damaged(checkpoint: Path, fault: str) -> UserError:
    """The error that says what to do about a checkpoint that cannot be read."""
    return UserError(f'{checkpoint}: expected a whole checkpoint, found damage: {fault}; remove this folder to go on from the one before it')
