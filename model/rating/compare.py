"""`phantom compare`: what is learnt from one mix against what is learnt from another, on a third that neither has seen."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from scipy.stats import t

from model.rating.crossfit import EPOCHS, FEWEST_STEPS, MOST_STEPS, refuse_learnt, train_rows
from model.rating.likelihood import Rater
from model.rating.rows import SHORT, Folds, all_groups, answer_of, endless_rows, for_mix, question_of, read_rows
from model.training.branches import branch_logps, collate
from model.training.checkpoint import TrainState
from model.training.data import Drop, EncodedRow, RowFilter, encode_row, shuffle_key
from model.training.settings import Preset, as_json, load_preset
from model.training.train import make_stepper
from model.training.validation import SameAnswer, same_words
from schemas.errors import UserError
from schemas.publish import make_folder, publish_json
from schemas.refusals import refused
from schemas.snapshot import Snapshot, open_snapshot
from schemas.telling import is_hushed

VERSION = 1  # of a run's result
HELD = 1000  # held-out questions at most, by the hash of their ids
AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Result:
    """A model on the held-out questions: replies that are right, %, and the loss of the right answers, nats a token."""

    right: float
    loss: float


@dataclass(frozen=True, slots=True)
class Paired:
    """The mean difference of two arms over seeds, and half the width of its 95 % t-interval (NaN of one seed)."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f'{self.mean:+.2f} ± {self.half:.2f}' if not math.isnan(self.half) else f'{self.mean:+.2f} (one seed: no interval)'


def paired(a: Sequence[float], b: Sequence[float]) -> Paired:
    """By how much `b` is above `a`, seed by seed."""
    differences = [after - before for before, after in zip(a, b, strict=True)]
    if len(differences) < 2:
        return Paired(differences[0], math.nan)
    return Paired(mean(differences), float(t.ppf(0.975, len(differences) - 1)) * stdev(differences) / math.sqrt(len(differences)))


def compare_mixes(
    a: Path,
    b: Path,
    held_out: Path,
    *,
    preset: str = 'tiny',
    seeds: int = 5,
    steps: int | None = None,
    init: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    out: Path | None = None,
    same: SameAnswer = same_words,
    quiet: bool = False,
) -> dict[str, Any]:
    """Results of each mix and seed, and by how much B is above A; with `out` each run's result is kept there and not run again.

    Both mixes get the same steps, settings and seeds. Held-out rows with a picture of either mix (of the same bytes, or the survivor of its star)
    are left out, and those without a picture that ask one of their questions.
    Raises UserError where too little is left, for a start that has learnt from the third mix, and for what training refuses.
    """
    if seeds < 1 or (steps is not None and steps < 1):
        raise UserError(f'--seeds, --steps: expected at least 1, found {seeds}, {steps}')
    mixes, third = [open_snapshot(path, 'mix') for path in (a, b)], open_snapshot(held_out, 'mix')
    chosen = for_mix(load_preset(preset, **(settings or {})))
    refuse_learnt(init, third)  # before anything is read
    held, seen = held_rows(third, mixes)
    say = print_unless(quiet)
    sizes = [sum(group.rows for group in all_groups(mix)) for mix in mixes]
    steps = steps or min(max(FEWEST_STEPS, math.ceil(EPOCHS * max(sizes) / chosen.settings.batch_rows)), MOST_STEPS)
    say(f'A {mixes[0].path}: {sizes[0]:,} rows; B {mixes[1].path}: {sizes[1]:,} rows; held out: {len(held):,} questions of {third.path}, '
        f'{seen:,} left out that A or B show; preset {preset}, {steps} steps of {chosen.settings.batch_rows} rows, {seeds} seed(s)')  # fmt: skip
    if out:
        with writing(out):  # before anything is trained
            make_folder(out)
    results: dict[str, list[Result]] = {'a': [], 'b': []}
    for seed in range(seeds):
        for name, mix in zip(results, mixes, strict=True):
            results[name].append(found := result_of(mix, held, chosen, steps=steps, seed=seed, init=init, out=out, same=same))
            say(f'seed {seed}, {name.upper()}: {found.right:.2f} % right, loss {found.loss:.4f}')
    told = {name: {'right': [one.right for one in some], 'loss': [one.loss for one in some]} for name, some in results.items()}
    both = {key: paired(told['a'][key], told['b'][key]) for key in ('right', 'loss')}
    arms = {name: {'snapshot_id': mix.snapshot_id, 'rows': rows, **told[name]} for name, mix, rows in zip(told, mixes, sizes, strict=True)}
    found = {
        **arms, 'held_out': {'snapshot_id': third.snapshot_id, 'rows': len(held), 'left_out': seen}, 'steps': steps, 'seeds': seeds, 'preset': preset,
        'difference': {key: {'mean': one.mean, 'half': None if math.isnan(one.half) else one.half} for key, one in both.items()},
    }  # fmt: skip
    if not quiet:
        print(f'B against A: {both["right"]} points of right answers ({mean(told["a"]["right"]):.2f} and {mean(told["b"]["right"]):.2f} %), '
              f'loss {both["loss"]}; paired by seed, 95 % interval over {seeds} seed(s)')  # fmt: skip
        if not any(told['a']['right'] + told['b']['right']):
            print(f'no model answers anything right: {steps} steps teach {chosen.name} too little to compare mixes by it; take more (--steps)')
    return found


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around what writes: a refusal of the disk is told as one."""
    try:
        yield
    except OSError as e:
        raise refused(e, path) from e


def print_unless(quiet: bool) -> Callable[[str], None]:
    """What says a line on the way."""
    return (lambda text: None) if quiet or is_hushed() else (lambda text: print(text, flush=True))


def held_rows(third: Snapshot, mixes: Sequence[Snapshot]) -> tuple[list[dict], int]:
    """Up to HELD rows of the third mix that share no picture, survivor of a star or, without pictures, question with the others; how many do."""
    taken = {name for mix in mixes for row in read_rows(all_groups(mix), SHORT) for name in shown_by(row)}
    free, seen = [], 0
    for row in read_rows(all_groups(third), SHORT):
        if taken.isdisjoint(shown_by(row)):
            free.append(row['sample_id'])
        else:
            seen += 1
    if not free:
        raise UserError(f'--held-out {third.path}: expected rows whose pictures and questions A and B do not show, found all {seen} in them')
    chosen = sorted(free, key=lambda name: shuffle_key('held', name))[:HELD]
    wanted = set(chosen)
    rows = {row['sample_id']: row for row in read_rows(all_groups(third)) if row['sample_id'] in wanted}
    return [rows[name] for name in chosen], seen


def shown_by(row: dict) -> list[str]:
    """What a row shows: its pictures and the survivors of their stars, or its question."""
    return [*row['image_ids'], *Folds(1).names(row)]


def result_of(
    mix: Snapshot, held: Sequence[dict], preset: Preset, *, steps: int, seed: int, init: Path | None, out: Path | None, same: SameAnswer
) -> Result:
    """What a model that learnt from a mix makes of the held-out rows; from `out` where that was run before."""
    ids = [row['sample_id'] for row in held]
    settings = as_json(replace(preset.settings, seed=preset.settings.seed + seed))
    about = [VERSION, mix.snapshot_id, ids, settings, preset.model, preset.config, preset.fresh, steps, str(init and init.resolve())]
    path = out / f'{hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]}.json' if out else None
    if path and path.is_file():
        return Result(**json.loads(path.read_text('utf-8')))
    preset = replace(preset, settings=replace(preset.settings, seed=preset.settings.seed + seed))
    state = TrainState(mix.snapshot_id, 0, 0, 0, 0, steps, preset.name, str(init.resolve()) if init else None, settings)
    stepper = make_stepper(preset, state, None)
    groups = all_groups(mix)
    train_rows(stepper, state, endless_rows(groups, Folds(1), None, seed=preset.settings.seed, window=preset.settings.window_groups))
    rater = Rater(stepper.processes.accelerator.unwrap_model(stepper.processes.model), stepper.processor, stepper.processes.device,
                  preset.settings.precision == 'bf16')  # fmt: skip
    found = score(rater, held, same, max_length=preset.settings.max_length)
    if path:
        with writing(path):
            publish_json(path, {'right': found.right, 'loss': found.loss})
    return found


def score(rater: Rater, rows: Sequence[dict], same: SameAnswer, *, max_length: int) -> Result:
    """Right replies and the loss over some rows; a row that cannot be encoded counts as answered wrongly and has no loss."""
    wanted = RowFilter(max_length=max_length, rejected=False)
    looked = [encode_row(row, rater.processor, wanted) for row in rows]
    paired_rows = [(row, one) for row, one in zip(rows, looked, strict=True) if not isinstance(one, Drop)]
    if not paired_rows:
        raise UserError(f'--held-out: expected rows that can be asked, found all {len(rows)} left out; raise max_length or look at them')
    right, nll, tokens = 0, 0.0, 0
    for start in range(0, len(paired_rows), AT_ONCE):
        some = paired_rows[start : start + AT_ONCE]
        encoded = [one for _, one in some]
        replies = rater.replies(encoded)
        right += sum(same(answer_of(row), reply, question_of(row)) for (row, _), reply in zip(some, replies, strict=True))
        nll, tokens = nll + loss_of(rater, encoded), tokens + sum(len(one.answers[0]) for one in encoded)
    return Result(100 * right / len(rows), nll / tokens)


def loss_of(rater: Rater, rows: Sequence[EncodedRow]) -> float:
    """Sum of the negative log-likelihoods of the right answers, nats."""
    batch = collate(rows, pad_id=rater.processor.pad_id).to(rater.device)
    with torch.no_grad(), torch.autocast(rater.device.type, dtype=torch.bfloat16, enabled=rater.half):
        return -float(branch_logps(rater.model, batch).double().sum())
