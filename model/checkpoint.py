"""Checkpoints of a training run: a folder a step, whole or absent, that names the snapshot it was trained on."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from schemas.errors import UserError

STATE = 'training.json'
VERSION = 1  # of training.json


@dataclass(frozen=True, slots=True)
class TrainState:
    """Where a run stands. rows_trained + rows_dropped = position."""

    snapshot_id: str
    step: int  # optimiser steps taken
    position: int  # snapshot rows consumed, over all epochs
    rows_trained: int
    rows_dropped: int
    max_steps: int  # the end of the learning rate's cosine
    preset: str
    init: str | None  # the folder of the weights it started from
    settings: dict[str, Any]
    version: int = VERSION


def save_checkpoint(out: Path, state: TrainState, write: Callable[[Path], None], *, keep_last: int) -> Path:
    """The folder `out/step-N`, written under another name and renamed; the oldest beyond `keep_last` are removed."""
    final = out / f'step-{state.step:08d}'
    if final.is_dir():
        return final
    draft = out / f'.{final.name}.{os.getpid()}.tmp'
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        write(draft)
        with open(draft / STATE, 'w') as handle:
            json.dump(asdict(state), handle, indent=1)
            handle.flush()
            os.fsync(handle.fileno())
        draft.rename(final)
    except (OSError, SafetensorError) as e:
        shutil.rmtree(draft, ignore_errors=True)
        raise UserError(
            f'{final}: expected to write a checkpoint, found: {e}; earlier ones stand, make room and run again'
        ) from e
    for old in checkpoints(out)[:-keep_last] if keep_last else []:
        shutil.rmtree(old)
    return final


def checkpoints(out: Path) -> list[Path]:
    """Finished checkpoint folders of a run, oldest first."""
    return sorted(path.parent for path in out.glob(f'step-*/{STATE}'))


def remove_drafts(out: Path) -> None:
    """Removes what a killed save left behind."""
    for draft in out.glob('.step-*.tmp'):
        shutil.rmtree(draft)


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
    values = json.loads((checkpoint / STATE).read_text())
    if values.get('version') != VERSION:
        raise UserError(f'{checkpoint / STATE}: expected version {VERSION}, found {values.get("version")}; train anew')
    return TrainState(**values)
