"""Training on a triples snapshot: SFT + PO (step 1) or SFT (step 2), exact to the row when resumed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.phantom.build import build_scratch, load_model
from model.phantom.eta import describe_eta
from model.phantom.modeling import PhantomForConditionalGeneration
from model.phantom.processor import PhantomProcessor
from model.training.bounds import read_values
from model.training.checkpoint import (
    STATE,
    TrainState,
    checkpoints,
    damaged,
    find_checkpoint,
    read_state,
    read_trained,
    remove_drafts,
    save_checkpoint,
)
from model.training.data import Distinct, RowFilter, RowGroup, Share, batch_shares, endless_rows, list_groups, refuse_unknown
from model.training.dropped import counted, dropped_fault
from model.training.lora import add_lora
from model.training.quantize import quantize_frozen
from model.training.runlog import RunLog
from model.training.schedule import Schedule, make_schedule, resumed_schedule
from model.training.settings import Preset, Steps, TrainSettings, as_json, differences, load_preset, resume_faults
from model.training.stepper import Stepper, choose_trainable
from model.training.validation import SameAnswer, same_words
from model.training.validation_rows import choose_rows
from model.training.watching import Watch
from schemas.errors import UserError
from schemas.snapshot import Snapshot, open_snapshot


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a run came to."""

    checkpoint: Path
    steps: int  # taken by this call
    state: TrainState
    last: dict[str, Any]  # the last step's record, empty if this call took none


def train(snapshot: Path, out: Path, *, quiet: bool = False, same_answer: SameAnswer = same_words, **arguments: Any) -> TrainResult:
    """The checkpoint `out/step-N` after `max_steps` steps on a triples snapshot; goes on where a killed run stopped.

    same_answer: what counts as an exact match while training (right answer, reply, question); the command line takes curation's rules.
    arguments: of `make_plan`.

    Raises UserError for what a user can mend, also after the last checkpoint of a run that left out more rows than `max_dropped`.
    """
    plan = make_plan(snapshot, out, **arguments)
    state, found = plan.state, plan.found
    if found and state.step >= state.max_steps:
        if not quiet:
            print(f'{found}: already at step {state.step} of {state.max_steps}; nothing to do')
        return TrainResult(found, 0, state, {})
    stepper = make_stepper(plan.preset, state, found)
    return run(stepper, plan.snapshot, state, plan.out, quiet=quiet, watched=plan.watched, same=same_answer)


@dataclass(frozen=True, slots=True)
class Plan:
    """A run before its weights are read."""

    snapshot: Snapshot
    out: Path
    preset: Preset
    init: Path | None
    found: Path | None  # the checkpoint to go on from
    state: TrainState  # where it begins
    watched: list[dict]  # rows of the validation split to look at
    rows: int  # of the snapshot


def make_plan(
    snapshot: Path,
    out: Path,
    *,
    preset: str = 'tiny',
    max_steps: int | None = None,
    init: Path | None = None,
    resume: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> Plan:
    """What a run would begin with; raises UserError for what it would refuse before weights are read.

    max_steps: optimiser steps in all; left out, one epoch (paper: one epoch a training step).
    init: a checkpoint whose weights to start from; presets without a model section need one.
    resume: a checkpoint of another run to go on from (weights, optimiser, rows), as long as `out` has none.
    settings, overrides: any field of TrainSettings, over what the preset says.
    """
    chosen = load_preset(preset, **{**(settings or {}), **overrides})
    opened, out = open_snapshot(snapshot, 'triples'), Path(out)
    groups = list_groups(opened)
    refuse_unknown(groups, 'kind', chosen.settings.kinds)
    refuse_unknown(groups, 'source', chosen.settings.sources)
    total = sum(group.rows for group in groups)
    if not total:
        raise UserError(f'{opened.path}: expected rows to train on, found none; build the snapshot with more input')
    epoch = math.ceil(total / chosen.settings.batch_rows)
    said, problem = read_values({'max_steps': Steps}, {'max_steps': epoch if max_steps is None else max_steps})
    if problem:
        raise UserError(problem['max_steps'])
    max_steps = said['max_steps']
    watched = choose_rows(opened, chosen.settings)
    found = newest(out, resume)
    state = start_state(found, opened, chosen, max_steps=max_steps, init=init)
    if fault := dropped_fault(state, chosen.settings, total=total, out=out):
        raise UserError(fault)
    if found and state.step >= max_steps and found.parent.resolve() != out.resolve():
        raise UserError(f'max_steps: expected more than the {state.step} steps of {found}, found {max_steps}')
    return Plan(opened, out, chosen, init, found, state, watched, total)


def newest(out: Path, resume: Path | None) -> Path | None:
    """The checkpoint to go on from: the newest in `out`, else `resume`; None where a run starts."""
    if found := checkpoints(out):
        return found[-1]
    if resume is None:
        return None
    found = find_checkpoint(Path(resume))
    if not (found / STATE).is_file():
        raise UserError(f'resume {found}: expected a checkpoint of a run, found weights alone; pass them as --init')
    return found


def make_stepper(preset: Preset, state: TrainState, resume: Path | None) -> Stepper:
    """Model and optimiser where `state` stands: from the checkpoint `resume`, or at the start."""
    settings = preset.settings
    if resume and not settings.lora_rank:
        model, processor = load_model(resume)
    else:
        model, processor = start_model(preset, state.init)
    move_to_own_memory(model)
    if settings.quantize_bits:
        quantize_frozen(model, bits=settings.quantize_bits)
    if settings.lora_rank:
        add_lora(model, rank=settings.lora_rank, alpha=settings.lora_alpha)
        if resume:
            trained = read_trained(resume, {name: tuple(model.get_parameter(name).shape) for name in choose_trainable(model, settings)})
            model.load_state_dict(trained, strict=False)
            model.came_from += f'; then {len(trained):,} trained weights of {resume}'
    paired = settings.stage == 1 and settings.preference == 'dpo'
    reference = start_model(preset, state.init)[0] if paired else None
    base = partial(start_weights, preset, state.init) if settings.quantize_bits else None
    return Stepper(model, processor, settings, resume=resume, reference=reference, base=base)


@torch.no_grad()
def move_to_own_memory(model: torch.nn.Module) -> None:
    """Weights mapped from files become copies, as those of a new model are.

    A file has them at any address, and products of small matrices round otherwise where an operand is not aligned to 64 bytes: a resumed run
    would leave the course of the whole one by 1e-8.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()


def start_weights(preset: Preset, init: str | None) -> dict[str, Tensor]:
    """The weights a run started from, as they were before they were quantised."""
    with torch.random.fork_rng():
        return start_model(preset, init)[0].state_dict()


def start_model(preset: Preset, init: str | None) -> tuple[PhantomForConditionalGeneration, PhantomProcessor]:
    """The weights a run starts from: those of `init`, or random ones from the preset's model section."""
    if init:
        torch.manual_seed(preset.settings.seed)  # of the phantom parts that a backbone lacks
        folder = find_checkpoint(Path(init))
        return load_model(folder, fresh_phantom=True, **preset.changes(folder))
    if not preset.model:
        raise UserError(f'preset {preset.name!r}: expected weights to start from, found none; pass --init FOLDER')
    return build_scratch({**preset.model, **preset.changes(None)}, seed=preset.settings.seed)


def start_state(found: Path | None, snapshot: Snapshot, preset: Preset, *, max_steps: int, init: Path | None) -> TrainState:
    """The state to go on from: of the checkpoint `found`, if it is of this snapshot and these settings, or a new one."""
    settings, shape = preset.settings, {'model': preset.model, 'config': preset.changes(None)}
    if not found:
        start = str(find_checkpoint(Path(init)).resolve()) if init else None
        schedule = asdict(make_schedule(settings, max_steps))
        return TrainState(snapshot.snapshot_id, 0, 0, 0, 0, max_steps, preset.name, start, as_json(settings), shape, schedule, {})
    state = read_state(found)
    if state.snapshot_id != snapshot.snapshot_id:
        raise UserError(
            f'{found}: expected snapshot {state.snapshot_id}, found {snapshot.snapshot_id} at {snapshot.path}; pass another --out to start anew'
        )
    if init and str(begun := find_checkpoint(Path(init)).resolve()) != state.init:
        raise UserError(f'{found}: begun from {state.init or "random weights"}, found --init {begun}; leave --init out, or pass another --out')
    schedule, moved = resumed_schedule(settings, schedule_of(state, found), state.settings, state.step)
    faults = [*resume_faults(state.settings, settings), *moved]
    if state.shape is not None:
        faults += differences(state.shape, shape)
    if faults:
        advice = 'set them as before (--set NAME=VALUE), or pass another --out to start anew'
        raise UserError(f'{found}: settings changed since: {"; ".join(faults)}; {advice}')
    return replace(state, max_steps=max_steps, settings=as_json(settings), schedule=asdict(schedule))


def schedule_of(state: TrainState, found: Path) -> Schedule:
    """The learning rates under which a checkpoint came to be."""
    try:
        if state.schedule is not None:
            return Schedule(**state.schedule)
        return Schedule('cosine', state.settings['learning_rate'], state.settings['final_learning_rate'], 0, state.max_steps)
    except (KeyError, TypeError) as e:
        raise damaged(found, f'{STATE} has another schedule ({e})') from e


def run(
    stepper: Stepper, snapshot: Snapshot, state: TrainState, out: Path, *, quiet: bool, watched: Sequence[dict], same: SameAnswer
) -> TrainResult:
    """Steps from `state` to its max_steps, or to an early stop, with checkpoints and looks at the validation split on the way."""
    settings, start, schedule = stepper.settings, state.step, Schedule(**state.schedule)
    if stepper.processes.is_main:
        remove_drafts(out)
    log = RunLog(
        out,
        step=start,
        max_steps=state.max_steps,
        quiet=quiet,
        writes=stepper.processes.is_main,
        trackers=settings.trackers,
        looks=settings.validate_every > 0,
        tell_every=settings.tell_every,
    )
    watch = Watch(stepper, watched, log, same)
    groups = list_groups(snapshot)
    total = sum(group.rows for group in groups)
    log.tell(
        f'snapshot {state.snapshot_id[:12]}: {total} rows; {stepper.describe()}; steps {start} to {state.max_steps}; '
        f'learning rate: {schedule.describe(state.max_steps)}'
    )
    log.tell(f'weights: {stepper.model.came_from}')
    log.tell(describe_eta(stepper.model, half=settings.precision == 'bf16'))
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
        while state.step < state.max_steps and not watch.is_over():
            state, record = take_step(stepper, next(shares), state, log, schedule)
            record |= watch.look(state.step, state.max_steps)
            log.step(record)
            over = watch.is_over()
            fault = dropped_fault(replace(state, max_steps=state.step) if over else state, settings, total=total, out=out)
            best = watch.is_best(state.step)
            due = state.step % settings.save_every == 0 or state.step == state.max_steps or best or over
            if state.rows_trained and (due or fault):
                save(stepper, state, out, best=best)
                watch.publish()
            if fault:
                raise UserError(fault)
    finally:
        shares.close()
        log.close()
    stepper.processes.end()
    found = find_checkpoint(out)
    log.say(f'{found}: {state.rows_trained} rows trained on, {state.rows_dropped} left out; {summary(record)}')
    watch.tell()
    return TrainResult(found, state.step - start, state, record)


def take_step(stepper: Stepper, share: Share, state: TrainState, log: RunLog, schedule: Schedule) -> tuple[TrainState, dict[str, Any]]:
    """The state after one optimiser step, and its record."""
    step = state.step + 1
    drops = stepper.processes.gather(share.drops)
    for drop in drops:
        log.drop({'step': step, **asdict(drop)})
    now = {'rate': schedule.rate(state.step), 'paired': state.step >= schedule.po_from}
    record = {'step': step, **stepper.step(share.rows, step=step, **now)}
    state = replace(
        state,
        step=step,
        position=state.position + stepper.settings.batch_rows,
        rows_trained=state.rows_trained + record['rows'],
        rows_dropped=state.rows_dropped + len(drops),
        dropped=counted(state.dropped, drops),
    )
    assert state.rows_trained + state.rows_dropped == state.position, state
    return state, record


def row_filter(settings: TrainSettings, groups: list[RowGroup]) -> RowFilter:
    """Which rows this run trains on; step 2 sees each chosen answer once."""
    wanted = RowFilter(settings.kinds, settings.sources, settings.min_score, settings.max_length, rejected=settings.stage == 1)
    return wanted if settings.stage == 1 else replace(wanted, distinct=Distinct(groups, wanted))


def save(stepper: Stepper, state: TrainState, out: Path, *, best: bool = False) -> None:
    """Writes `out/step-N` from the main process, and `out/best` to it if it is the best; where that fails all processes raise its UserError."""
    processes, fault = stepper.processes, None
    write = partial(stepper.write, weights=processes.weights(), optimizer=processes.optimizer_state(), where=f'step {state.step}')
    try:
        if processes.is_main:
            save_checkpoint(out, state, write, keep_last=stepper.settings.keep_last, best=best)
    except UserError as e:
        fault = e
    told = processes.gather([str(fault)] if fault else [])  # the others wait here
    if fault:
        raise fault
    if told:
        raise UserError(told[0])


def summary(record: dict[str, Any]) -> str:
    """The last step's numbers, for people."""
    names = ('loss', 'margin', 'accuracy', 'rows_per_s')
    return ', '.join(f'{name} {record[name]:.3f}' for name in names if record.get(name) is not None)
