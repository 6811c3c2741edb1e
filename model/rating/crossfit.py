"""Ratings of a mix by models trained on it: each is trained on all folds but one, and rates the one that it has not seen."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from model.phantom.build import load_model
from model.rating.alternatives import KindOf, Pools, one_kind
from model.rating.likelihood import Asked, Rater, ask, in_batches
from model.rating.rows import SHORT, Folds, all_groups, answer_of, endless_rows, for_mix, question_of, read_rows
from model.training.checkpoint import STATE, TrainState, checkpoints, find_checkpoint, read_state, remove_drafts, save_checkpoint
from model.training.data import Drop, RowFilter, RowGroup, batch_shares
from model.training.schedule import make_schedule
from model.training.settings import FREE_TO_CHANGE, Preset, as_json
from model.training.stepper import Stepper
from model.training.train import make_stepper
from schemas.errors import UserError
from schemas.publish import drafted, make_folder
from schemas.refusals import refused
from schemas.snapshot import Snapshot, open_snapshot, sealed_in
from schemas.telling import is_hushed

VERSION = 2  # of what a fold's file holds
# Of a fold's model, where no steps are asked for: of 500 wrong labels in 2,500 of easy-vqa's models after 300 steps find more than after 200.
EPOCHS, FEWEST_STEPS, MOST_STEPS = 6, 300, 2000
ROWS_LOOKED = 512  # rows of a fold that are encoded, then rated, together

# chance, chances: what the fold's model gives to the row's own answer, and to all that were held against each other, its own first. other: the
# likeliest of the others. planted, planted_at: an answer as a wrong label would be, and its place among the chances.
RATED = pa.schema([
    ('sample_id', pa.string()), ('source', pa.string()), ('fold', pa.int32()), ('group', pa.string()), ('chance', pa.float64()),
    ('chances', pa.list_(pa.float64())), ('other', pa.string()), ('planted', pa.string()), ('planted_at', pa.int64()), ('left_out', pa.string()),
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """A cross-fit before it runs: everything that its ratings depend on."""

    snapshot: Snapshot
    preset: Preset
    folds: int
    steps: int
    init: Path | None
    groups: list[RowGroup] = field(repr=False)
    of: Folds = field(repr=False)
    pools: Pools = field(repr=False)
    rows: tuple[int, ...] = ()  # of each fold
    without: frozenset[str] = frozenset()  # samples that no model learns from; they are rated all the same
    rounds: int = 1  # at most, this one with them

    @property
    def name(self) -> str:
        """Twelve hex digits that name all that the ratings depend on."""
        settings = {name: value for name, value in as_json(self.preset.settings).items() if name not in FREE_TO_CHANGE}
        shape = [self.preset.model, self.preset.config, self.preset.fresh]
        about = [VERSION, self.snapshot.snapshot_id, self.folds, self.steps, settings, shape, str(self.init and self.init.resolve())]
        about += [sorted(self.without)] if self.without else []
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def by(self) -> str:
        """Who the ratings are by."""
        return f'self:{Path(self.preset.name).stem}@{self.name}'

    def state(self, fold: int) -> TrainState:
        """Where the training of a fold's model begins; its seed is the fold's own."""
        settings = as_json(replace(self.preset.settings, seed=self.preset.settings.seed + fold))
        start = str(self.init.resolve()) if self.init else None
        schedule = asdict(make_schedule(self.preset.settings, self.steps))
        return TrainState(f'{self.snapshot.snapshot_id}/{self.name}/{fold}', 0, 0, 0, 0, self.steps, self.preset.name, start, settings,
                          schedule=schedule)  # fmt: skip


def make_plan(
    snapshot: Snapshot, preset: Preset, *, folds: int, steps: int | None, init: Path | None, rounds: int = 1, kind_of: KindOf = one_kind
) -> Plan:
    """The plan of a cross-fit, from one look at the rows without their pictures; raises UserError for a mix with too little in it."""
    refuse_learnt(init, snapshot)
    preset, groups, of, pools = for_mix(preset), all_groups(snapshot), Folds(folds), Pools(kind_of)
    for row in read_rows(groups, SHORT):
        of.add(row)
        pools.add(row['source'], question_of(row), answer_of(row))
    counts = [0] * folds
    for row in read_rows(groups, SHORT):
        counts[of.fold(row)] += 1
    if not all(counts):
        raise UserError(
            f'--self {folds}: expected pictures or questions enough for {folds} folds, found rows in {sum(map(bool, counts))} '
            f'({sum(counts)} rows in all; near-duplicates stay together); use a larger mix or fewer folds'
        )
    if steps is None:
        of_training = max(sum(counts) - count for count in counts)
        steps = min(max(FEWEST_STEPS, -(-EPOCHS * of_training // preset.settings.batch_rows)), MOST_STEPS)
    return Plan(snapshot, preset, folds, steps, init, groups, of, pools, tuple(counts), rounds=rounds)


def refuse_learnt(init: Path | None, snapshot: Snapshot) -> None:
    """Raises UserError for a start that is none, or was trained on the mix, on its triples, or by a cross-fit of it: it has seen the answers."""
    found = find_checkpoint(init) if init else None
    if not (found and (found / STATE).is_file()):
        return
    beside = {open_snapshot(path).snapshot_id for path in sealed_in(snapshot.path.parent)}
    if read_state(found).snapshot_id.partition('/')[0] in {snapshot.snapshot_id, *beside}:
        raise UserError(f'--init {found}: expected weights that have not learnt from {snapshot.path}, found a checkpoint that was trained on it; '
                        'take the one that it began from, or leave --init out')  # fmt: skip


class Told:
    """What a cross-fit says on the way, and its minutes ahead: from a few steps and a few rated rows, measured here."""

    def __init__(self, plan: Plan, missing: int, *, quiet: bool):
        self.plan, self.quiet, self.missing = plan, quiet or is_hushed(), missing
        self.step_s: float | None = None

    def say(self, text: str) -> None:
        """One line."""
        if not self.quiet:
            print(text, flush=True)

    def measured(self, step_s: float, row_s: float) -> None:
        """Tells the minutes of what is missing, once."""
        if self.step_s is not None:
            return
        self.step_s = step_s
        rows = sum(self.plan.rows) * self.missing / self.plan.folds
        minutes = (self.missing * self.plan.steps * step_s + rows * row_s) / 60
        again = f'; as long again for each of {self.plan.rounds - 1} more round(s), where labels look wrong' if self.plan.rounds > 1 else ''
        self.say(
            f'about {minutes:.1f} minutes: {self.missing} fold(s) of {self.plan.steps} steps of {self.plan.preset.settings.batch_rows} rows '
            f'({step_s:.2f} s a step, measured), {rows:,.0f} rows to rate ({1000 * row_s:.1f} ms a row){again}'
        )


def cross_fit(plan: Plan, out: Path, *, quiet: bool = False) -> pa.Table:
    """The rated rows (RATED) of all folds, in the order of the folds and of the mix. A fold that was rated before is not rated again, and a model
    that was trained before is not trained again: they lie in `out/work/NAME`.
    """
    work = out / 'work' / plan.name
    files = [work / f'fold-{fold + 1}-of-{plan.folds}.parquet' for fold in range(plan.folds)]
    told = Told(plan, sum(not file.is_file() for file in files), quiet=quiet)
    without = f', {len(plan.without):,} of them likelier wrong than right and not learnt from' if plan.without else ''
    told.say(f'mix {plan.snapshot.snapshot_id[:12]}: {sum(plan.rows):,} rows in folds of {", ".join(f"{count:,}" for count in plan.rows)}{without}; '
             f'preset {plan.preset.name}, {plan.steps} steps a fold; work in {work}')  # fmt: skip
    for fold, file in enumerate(files):
        if file.is_file():
            told.say(f'fold {fold + 1}: rated before')
            continue
        try:
            make_folder(work)
            rater = load_rater(plan, trained(plan, fold, work / f'model-{fold + 1}', told))
            table = pa.Table.from_pylist(list(rate_fold(plan, fold, rater)), schema=RATED)
            with drafted(file) as draft:
                pq.write_table(table, draft)
        except OSError as e:
            raise refused(e, file) from e
        told.say(f'fold {fold + 1}: {table.num_rows - table["chance"].null_count:,} rows rated, {table["chance"].null_count:,} could not be')
    return pa.concat_tables([pq.read_table(file, schema=RATED) for file in files])


def trained(plan: Plan, fold: int, folder: Path, told: Told) -> Path:
    """The checkpoint of a fold's model: the one that is there, else after training."""
    start = plan.state(fold)
    found = checkpoints(folder)
    if found and read_state(found[-1]).step == plan.steps:
        told.say(f'fold {fold + 1}: its model is there, {found[-1]}')
        return found[-1]
    remove_drafts(folder)
    preset = replace(plan.preset, settings=replace(plan.preset.settings, seed=start.settings['seed']))
    stepper = make_stepper(preset, start, None)
    rows = endless_rows(plan.groups, plan.of, fold, plan.without, seed=preset.settings.seed, window=preset.settings.window_groups)
    state, losses = train_rows(stepper, start, rows, measured=lambda seconds: told.measured(seconds, row_seconds(plan, fold, stepper)))
    told.say(f'fold {fold + 1}: trained, loss {losses[0]:.3f} to {losses[-1]:.3f}, {state.rows_dropped} rows left out')
    write = partial(stepper.write, weights=stepper.processes.weights(), optimizer=stepper.processes.optimizer_state(), where=f'fold {fold + 1}')
    make_folder(folder)
    return save_checkpoint(folder, state, write, keep_last=1)


MEASURED = 3  # steps, after a first one that is slower


def train_rows(
    stepper: Stepper, state: TrainState, rows: Iterator[dict], *, measured: Callable[[float], None] | None = None
) -> tuple[TrainState, list[float]]:
    """The state after all steps on the rows, and each step's loss. `measured` is told the seconds of a step, once some are."""
    settings = stepper.settings
    schedule = make_schedule(settings, state.max_steps)
    shared = batch_shares(rows, stepper.processor, RowFilter(max_length=settings.max_length, rejected=False), batch=settings.batch_rows,
                          threads=settings.loader_threads)  # fmt: skip
    losses, began = [], 0.0
    try:
        while state.step < state.max_steps:
            share = next(shared)
            losses.append(stepper.step(share.rows, step=state.step + 1, rate=schedule.rate(state.step))['loss'])
            state = replace(state, step=state.step + 1, position=state.position + settings.batch_rows,
                            rows_trained=state.rows_trained + len(share.rows), rows_dropped=state.rows_dropped + len(share.drops))  # fmt: skip
            if state.step == 1:
                began = time.perf_counter()
            if measured and 1 < state.step == min(1 + MEASURED, state.max_steps):
                measured((time.perf_counter() - began) / (state.step - 1))
    finally:
        shared.close()
    if not state.rows_trained:
        raise UserError('mix: expected rows that can be trained on, found none; look at their pictures and lengths with `phantom verify`')
    return state, losses


def row_seconds(plan: Plan, fold: int, stepper: Stepper) -> float:
    """How long a row takes to be rated, measured on a few."""
    rater = Rater(stepper.model, stepper.processor, stepper.processes.device, stepper.settings.precision == 'bf16')
    began = time.perf_counter()
    some = list(rate_rows(plan, fold, rater, islice(rows_of(plan, fold), 32)))
    stepper.model.train()
    return (time.perf_counter() - began) / max(1, len(some))


def load_rater(plan: Plan, checkpoint: Path) -> Rater:
    """A fold's model as it is stored, so that ratings are the same whether it was trained just now or long ago."""
    if plan.preset.settings.torch_threads:
        torch.set_num_threads(plan.preset.settings.torch_threads)
    model, processor = load_model(checkpoint)
    device = torch.device(torch.accelerator.current_accelerator() or 'cpu') if torch.accelerator.is_available() else torch.device('cpu')
    return Rater(model.to(device), processor, device, plan.preset.settings.precision == 'bf16')


def rows_of(plan: Plan, fold: int) -> Iterator[dict]:
    """The rows of a fold, in the order of the mix."""
    return (row for row in read_rows(plan.groups) if plan.of.fold(row) == fold)


def rate_fold(plan: Plan, fold: int, rater: Rater) -> Iterator[dict[str, Any]]:
    """A row of RATED for each row of a fold."""
    return rate_rows(plan, fold, rater, rows_of(plan, fold))


def rate_rows(plan: Plan, fold: int, rater: Rater, rows: Iterator[dict]) -> Iterator[dict[str, Any]]:
    """A row of RATED for each row; what cannot be rated has no score and says why."""
    most = plan.preset.settings.max_length
    while some := list(islice(rows, ROWS_LOOKED)):
        others = [plan.pools.of(row['sample_id'], row['source'], question_of(row), answer_of(row)) for row in some]
        looked = [ask(row, rater.processor, one, max_length=most) for row, one in zip(some, others, strict=True)]
        asked = [one for one in looked if isinstance(one, Asked)]
        found = (chances for batch in in_batches(asked) for chances in rater.chances(batch))
        for row, one in zip(some, looked, strict=True):
            about = {'sample_id': row['sample_id'], 'source': row['source'], 'fold': fold, 'group': plan.of.group(row)}
            yield {**about, **(rated(one, next(found)) if isinstance(one, Asked) else left_out(one))}


def rated(one: Asked, chances: list[float]) -> dict[str, Any]:
    """The figures of a row that was rated."""
    others = one.alternatives.answers
    likeliest = max(range(len(others)), key=lambda place: (chances[1 + place], -place))
    planted = one.alternatives.planted(one.row['sample_id'])
    return {
        'chance': chances[0], 'chances': chances, 'other': others[likeliest], 'planted': others[planted], 'planted_at': 1 + planted, 'left_out': '',
    }  # fmt: skip


def left_out(drop: Drop) -> dict[str, Any]:
    """The same of a row that could not be rated."""
    return {**dict.fromkeys(('chance', 'chances', 'other', 'planted', 'planted_at')), 'left_out': f'{drop.reason}: {drop.detail}'}
