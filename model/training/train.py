"""Training on a triples snapshot: SFT + PO (step 1) or SFT (step 2), exact to the row when resumed."""

import math
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.phantom.build import build_scratch, load_model
from model.phantom.modeling import PhantomForConditionalGeneration
from model.phantom.processor import PhantomProcessor
from model.training.checkpoint import TrainState, checkpoints, find_checkpoint, read_state, read_trained, remove_drafts, save_checkpoint
from model.training.data import Distinct, RowFilter, RowGroup, Share, batch_shares, endless_rows, list_groups, refuse_unknown
from model.training.lora import add_lora
from model.training.quantize import quantize_frozen
from model.training.runlog import RunLog
from model.training.settings import Preset, TrainSettings, differences, load_preset, resume_faults
from model.training.stepper import Stepper
from schemas.errors import UserError
from schemas.snapshot import Snapshot, open_snapshot


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a run came to."""

    checkpoint: Path
    steps: int  # taken by this call
    state: TrainState
    last: dict[str, Any]  # the last step's record, empty if this call took none


def train(
    snapshot: Path,
    out: Path,
    *,
    preset: str = 'tiny',
    max_steps: int | None = None,
    init: Path | None = None,
    quiet: bool = False,
    **overrides: Any,
) -> TrainResult:
    """The checkpoint `out/step-N` after `max_steps` steps on a triples snapshot; goes on where a killed run stopped.

    max_steps: optimiser steps in all; left out, one epoch (paper: one epoch a training step).
    init: a checkpoint whose weights to start from; presets without a model section need one.
    overrides: any field of TrainSettings.
    """
    chosen = load_preset(preset, **overrides)
    settings = chosen.settings
    opened = open_snapshot(snapshot, 'triples')
    out, groups = Path(out), list_groups(opened)
    refuse_unknown(groups, 'kind', settings.kinds)
    refuse_unknown(groups, 'source', settings.sources)
    if max_steps is None:
        max_steps = math.ceil(sum(group.rows for group in groups) / settings.batch_rows)
    if max_steps < 1:
        raise UserError(f'max_steps: expected at least 1, found {max_steps}')
    state = start_state(out, opened, chosen, max_steps=max_steps, init=init)
    if state.step >= max_steps:
        found = find_checkpoint(out)
        if not quiet:
            print(f'{found}: already at step {state.step} of {max_steps}; nothing to do')
        return TrainResult(found, 0, state, {})
    stepper = make_stepper(chosen, state, checkpoints(out)[-1] if state.step else None)
    return run(stepper, opened, replace(state, max_steps=max_steps), out, quiet=quiet)


def make_stepper(preset: Preset, state: TrainState, resume: Path | None) -> Stepper:
    """Model and optimiser where `state` stands: from the checkpoint `resume`, or at the start."""
    settings = preset.settings
    if resume and not settings.lora_rank:
        model, processor = load_model(resume)
    else:
        model, processor = start_model(preset, state.init)
    if settings.quantize_bits:
        quantize_frozen(model, bits=settings.quantize_bits)
    if settings.lora_rank:
        add_lora(model, rank=settings.lora_rank, alpha=settings.lora_alpha)
        if resume:
            model.load_state_dict(read_trained(resume), strict=False)
    paired = settings.stage == 1 and settings.preference == 'dpo'
    reference = start_model(preset, state.init)[0] if paired else None
    base = partial(start_weights, preset, state.init) if settings.quantize_bits else None
    return Stepper(model, processor, settings, resume=resume, reference=reference, base=base)


def start_weights(preset: Preset, init: str | None) -> dict[str, Tensor]:
    """The weights a run started from, as they were before they were quantised."""
    with torch.random.fork_rng():
        return start_model(preset, init)[0].state_dict()


def start_model(preset: Preset, init: str | None) -> tuple[PhantomForConditionalGeneration, PhantomProcessor]:
    """The weights a run starts from: those of `init`, or random ones from the preset's model section."""
    if init:
        torch.manual_seed(preset.settings.seed)  # of the phantom parts that a backbone lacks
        return load_model(find_checkpoint(Path(init)), fresh_phantom=True, **preset.config)
    if not preset.model:
        raise UserError(f'preset {preset.name!r}: expected weights to start from, found none; pass --init FOLDER')
    return build_scratch({**preset.model, **preset.config}, seed=preset.settings.seed)


def start_state(out: Path, snapshot: Snapshot, preset: Preset, *, max_steps: int, init: Path | None) -> TrainState:
    """The state to go on from: of the newest checkpoint, if it is of this snapshot and these settings, or a new one."""
    found = checkpoints(out)
    if not found:
        start = str(find_checkpoint(Path(init)).resolve()) if init else None
        shape = {'model': preset.model, 'config': preset.config}
        return TrainState(snapshot.snapshot_id, 0, 0, 0, 0, max_steps, preset.name, start, asdict(preset.settings), shape)
    state = read_state(found[-1])
    if state.snapshot_id != snapshot.snapshot_id:
        raise UserError(
            f'{found[-1]}: expected snapshot {state.snapshot_id}, found {snapshot.snapshot_id} at {snapshot.path}; '
            'pass another --out to start anew'
        )
    faults = resume_faults(state.settings, preset.settings)
    if state.shape is not None:
        faults += differences(state.shape, {'model': preset.model, 'config': preset.config})
    if faults:
        raise UserError(f'{found[-1]}: settings changed since: {"; ".join(faults)}; pass another --out to start anew')
    return state


def run(stepper: Stepper, snapshot: Snapshot, state: TrainState, out: Path, *, quiet: bool) -> TrainResult:
    """Steps from `state` to its max_steps, with checkpoints on the way."""
    settings, start = stepper.settings, state.step
    if stepper.processes.is_main:
        remove_drafts(out)
    log = RunLog(
        out, step=start, max_steps=state.max_steps, quiet=quiet, writes=stepper.processes.is_main, trackers=settings.trackers
    )
    groups = list_groups(snapshot)
    total = sum(group.rows for group in groups)
    log.tell(
        f'snapshot {state.snapshot_id[:12]}: {total} rows; {stepper.describe()}; steps {start} to {state.max_steps}'
    )
    rows = endless_rows(groups, seed=settings.seed, window=settings.window_groups, start=state.position)
    shares = batch_shares(
        rows,
        stepper.processor,
        row_filter(settings, groups),
        batch=settings.batch_rows,
        rank=stepper.processes.rank,
        world=stepper.processes.world,
        threads=settings.loader_threads,
    )
    record: dict[str, Any] = {}
    try:
        while state.step < state.max_steps:
            state, record = take_step(stepper, next(shares), state, log)
            refuse_fruitless(state, total, out)
            if state.step % settings.save_every == 0 or state.step == state.max_steps:
                save(stepper, state, out)
    finally:
        shares.close()
        log.close()
    stepper.processes.end()
    found = find_checkpoint(out)
    log.say(f'{found}: {state.rows_trained} rows trained on, {state.rows_dropped} left out; {summary(record)}')
    return TrainResult(found, state.step - start, state, record)


def take_step(stepper: Stepper, share: Share, state: TrainState, log: RunLog) -> tuple[TrainState, dict[str, Any]]:
    """The state after one optimiser step, and its record."""
    step = state.step + 1
    record = {'step': step, **stepper.step(share.rows, step=step, max_steps=state.max_steps)}
    drops = stepper.processes.gather(share.drops)
    for drop in drops:
        log.drop({'step': step, **asdict(drop)})
    state = replace(
        state,
        step=step,
        position=state.position + stepper.settings.batch_rows,
        rows_trained=state.rows_trained + record['rows'],
        rows_dropped=state.rows_dropped + len(drops),
    )
    assert state.rows_trained + state.rows_dropped == state.position, state
    if not math.isfinite(record['loss']):
        raise UserError(
            f'step {step}: expected a finite loss, found {record["loss"]}; the last good checkpoint stands, '
            'look at the rows of this step and lower learning_rate'
        )
    log.step(record)
    return state, record


def refuse_fruitless(state: TrainState, total: int, out: Path) -> None:
    """Stops a run that has gone through the whole snapshot without a row to train on."""
    if state.rows_trained == 0 and state.position >= total:
        raise UserError(f'snapshot: expected rows to train on, found all {total} left out; {out / "drops.jsonl"} says why')


def row_filter(settings: TrainSettings, groups: list[RowGroup]) -> RowFilter:
    """Which rows this run trains on; step 2 sees each chosen answer once."""
    wanted = RowFilter(settings.kinds, settings.sources, settings.min_score, settings.max_length, rejected=settings.stage == 1)
    return wanted if settings.stage == 1 else replace(wanted, distinct=Distinct(groups, wanted))


def save(stepper: Stepper, state: TrainState, out: Path) -> None:
    """Writes `out/step-N` from the main process."""
    write = partial(stepper.write, weights=stepper.processes.weights(), optimizer=stepper.processes.optimizer_state())
    if stepper.processes.is_main:
        save_checkpoint(out, state, write, keep_last=stepper.settings.keep_last)
    stepper.processes.wait()


def summary(record: dict[str, Any]) -> str:
    """The last step's numbers, for people."""
    names = ('loss', 'margin', 'accuracy', 'rows_per_s')
    return ', '.join(f'{name} {record[name]:.3f}' for name in names if record.get(name) is not None)
