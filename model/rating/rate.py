"""`phantom rate --self`: ratings of a mix by a cross-fit, what they are worth, and the rows that they doubt most."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.rating.alternatives import KindOf, one_kind
from model.rating.calibrate import EVEN, Calibration, Line, calibrate, logs_of, pooled
from model.rating.crossfit import Plan, cross_fit, load_rater, make_plan
from model.rating.page import Doubt, render
from model.rating.rows import answer_of, question_of, read_rows
from model.training.checkpoint import checkpoints
from model.training.data import EncodedRow, RowFilter, encode_row
from model.training.settings import load_preset
from schemas.errors import UserError
from schemas.publish import drafted, make_folder, publish_bytes, publish_json
from schemas.records import PROPOSALS, RATINGS
from schemas.refusals import refused
from schemas.snapshot import open_snapshot

ASK = 'correct'
SHOWN = 100  # rows on the page
TOLD = (0.05, 0.2, EVEN)  # thresholds that are told on the way; all are in rating.json and on the page
AT_ONCE = 32  # replies


def rate_self(
    snapshot: Path,
    out: Path,
    *,
    folds: int,
    preset: str = 'tiny',
    steps: int | None = None,
    init: Path | None = None,
    rounds: int = 2,
    precision: float | None = None,
    settings: Mapping[str, Any] | None = None,
    kind_of: KindOf = one_kind,
    quiet: bool = False,
) -> dict[str, Any]:
    """Writes `out/ratings.parquet` (RATINGS, PROPOSALS), `details.parquet` (RATED, score, other_p), `rating.json` and `report.html`; returns what
    rating.json holds. A score is how likely the row's answer is right, a `proposed_p` how likely the other one is.

    folds: models, each trained on all folds but the one that it rates. steps: of each; left out, six epochs within bounds.
    rounds: in each after the first the models learn anew without the labels that the one before found likelier wrong than right, if there are any.
    precision: the share of flagged rows whose labels are wrong that a threshold is chosen for; left out, it is the one below which a label is
    likelier wrong than right.

    Raises UserError for what a user can mend.
    """
    if folds < 2:
        raise UserError(f'--self: expected at least 2 folds, found {folds}; 3 trains each model on two thirds of the mix')
    if steps is not None and steps < 1:
        raise UserError(f'--steps: expected at least 1, found {steps}')
    if rounds < 1:
        raise UserError(f'--rounds: expected at least 1, found {rounds}')
    if precision is not None and not 0 < precision <= 1:
        raise UserError(f'--precision: expected a share above 0 and at most 1, found {precision:g}; with 0.95 19 of 20 flagged labels are wrong')
    opened = open_snapshot(snapshot, 'mix')
    if opened.path.resolve() in (out.resolve(), *out.resolve().parents):
        raise UserError(f'--out: expected a folder outside the sealed mix {opened.path}, found {out}; name another folder')
    plan = make_plan(opened, load_preset(preset, **(settings or {})), folds=folds, steps=steps, init=init, rounds=rounds, kind_of=kind_of)
    of_source, rated = calibrated(cross_fit(plan, out, quiet=quiet))
    while plan.rounds > 1 and (wrong := likelier_wrong(of_source, rated)) and wrong != plan.without:
        plan = replace(plan, without=wrong, rounds=plan.rounds - 1)
        of_source, rated = calibrated(cross_fit(plan, out, quiet=quiet))
    trusted = [one for one in of_source.values() if not one.is_chance]
    calibrations = ([pooled(trusted)] if trusted else []) + list(of_source.values())
    found = about(plan, out, rated, calibrations, precision)
    doubted = doubts(plan, out, rated)
    page = render(f'{opened.manifest.get("name") or opened.path.name}: answers that are doubted', found['told'], calibrations, doubted)
    try:
        make_folder(out)
        publish_bytes(out / 'report.html', page.encode(errors='replace'))
        write(out / 'details.parquet', rated)
        write(out / 'ratings.parquet', ratings_of(plan, rated, calibrations))
        publish_json(out / 'rating.json', found)
    except OSError as e:
        raise refused(e, out) from e
    if not quiet:
        print('\n'.join([*found['told'], f'look: {out}/report.html; ratings: {out}/ratings.parquet']), flush=True)
    return found


def write(path: Path, table: pa.Table) -> None:
    """A table as Parquet, whole or not at all."""
    with drafted(path) as draft:
        pq.write_table(table, draft)


def calibrated(rated: pa.Table) -> tuple[dict[str, Calibration], pa.Table]:
    """How far the ratings of each source can be trusted, and by that the rows with how likely each answer is right (`score`), and the likeliest
    other one (`other_p`).
    """
    found, columns = {}, np.full((rated.num_rows, 2), np.nan)
    valid = pc.is_valid(rated['chance'])
    for source in sorted(pc.unique(rated['source'].filter(valid)).to_pylist()):
        places = np.flatnonzero(pc.and_(valid, pc.equal(rated['source'], source)))
        some = rated.take(pa.array(places))
        logs = logs_of(some['chances'].to_pylist())
        found[source] = calibrate(source, logs, some['planted_at'].to_numpy())
        truths = found[source].noise.truths(logs)
        columns[places] = np.column_stack([truths[:, 0], truths[:, 1:].max(1)])
    for name, column in zip(('score', 'other_p'), columns.T, strict=True):
        rated = rated.append_column(name, pa.array(column, from_pandas=True))
    return found, rated


def likelier_wrong(of_source: Mapping[str, Calibration], rated: pa.Table) -> frozenset[str]:
    """The samples whose labels are likelier wrong than right, of sources whose ratings are better than chance."""
    trusted = pa.array([source for source, one in of_source.items() if not one.is_chance], pa.string())
    wrong = pc.and_(pc.is_in(rated['source'], trusted), pc.less(rated['score'], EVEN))
    return frozenset(rated.filter(wrong)['sample_id'].to_pylist())


def about(plan: Plan, out: Path, rated: pa.Table, calibrations: Sequence[Calibration], precision: float | None) -> dict[str, Any]:
    """What rating.json says: who rated what, the calibrations, the threshold chosen, and all that in lines for people."""
    left_out = Counter(text.partition(':')[0] for text in rated['left_out'].to_pylist() if text)
    chance = [one.source for one in calibrations if one.source and one.is_chance]
    every = next((one for one in calibrations if not one.source), None)
    n_rated = rated.num_rows - sum(left_out.values())
    others = ''.join(f'; {count:,} {reason}' for reason, count in sorted(left_out.items()))
    learnt = f'; models of the last round learnt without {len(plan.without):,} doubted rows' if plan.without else ''
    told = [f'{n_rated:,} of {rated.num_rows:,} rows rated by {plan.by}{others}{learnt}']
    told += [f'source {source}: no better than chance, its rows get no score: take more steps, or a larger preset' for source in chance]
    picked = every.pick(precision) if every else None
    if every:
        told.append(f'a row\'s own answer above a planted one: AUC {every.auc}; wrong labels, estimated: {every.wrong}')
        told += [f'below {line.threshold:g}: {line.flagged:,} rows, precision {line.precision}, recall {line.recall}'
                 for line in every.lines if line.threshold in TOLD and line.flagged]  # fmt: skip
    told += told_of_pick(picked, out, precision, calibrations)
    return {
        'snapshot_id': plan.snapshot.snapshot_id, 'by': plan.by, 'folds': list(plan.rows), 'steps': plan.steps, 'preset': plan.preset.name,
        'learnt_without': len(plan.without), 'rated': n_rated, 'left_out': dict(left_out), 'chance': chance, 'precision': precision,
        'threshold': picked.threshold if picked else None, 'told': told,
        'calibration': [{**asdict(one), 'is_chance': one.is_chance} for one in calibrations],
    }  # fmt: skip


def told_of_pick(picked: Line | None, out: Path, precision: float | None, calibrations: Sequence[Calibration]) -> list[str]:
    """The threshold that was chosen and what it does, with a word on each source where it does worse."""
    if picked is None:
        wanted = f'no threshold reaches a precision of {precision:g}' if precision else 'too few labels are likelier wrong than right'
        return [f'{wanted}: nothing to drop; the most doubtful rows are in the report all the same']
    why = '' if precision else ', whose labels are likelier wrong than right'
    told = [f'rate: {{from: [{out}/ratings.parquet], drop: {{{ASK}: {picked.threshold:g}}}}} drops {picked.flagged:,} rows{why}: '
            f'precision {picked.precision}, recall {picked.recall}']  # fmt: skip
    for one in calibrations if precision else ():
        line = one.line(picked.threshold)
        if one.source and not one.is_chance and line.flagged and line.precision.value < precision:
            told.append(f'source {one.source}: {line.flagged:,} rows below {picked.threshold:g}, fewer of them wrong: {line.precision}; look at them')
    return told


def ratings_of(plan: Plan, rated: pa.Table, calibrations: Sequence[Calibration]) -> pa.Table:
    """The rows of RATINGS and PROPOSALS, one of each row of the mix; no score where it could not be rated, or in its source no better than by chance.

    Proposed is the likeliest other answer of those that it was held against, where that is likelier right than the row's own.
    """
    chance = pa.array([one.source for one in calibrations if one.source and one.is_chance], pa.string())
    scores = pc.if_else(pc.is_in(rated['source'], chance), pa.scalar(None, pa.float64()), rated['score'])
    n = rated.num_rows
    other = pc.fill_null(pc.greater(rated['other_p'], scores), False)
    proposals = [pc.if_else(other, rated[name], pa.scalar(None, rated[name].type)) for name in ('other', 'other_p')]
    columns = [rated['sample_id'], pa.array([ASK] * n, pa.string()), scores, pa.array([plan.by] * n, pa.string()), *proposals]
    return pa.table(columns, schema=pa.schema([*RATINGS, *PROPOSALS]))


def doubts(plan: Plan, out: Path, rated: pa.Table) -> list[Doubt]:
    """The rows with the lowest scores, the lowest first, with what their fold's model replies."""
    valid = rated.filter(pc.is_valid(rated['score']))
    order = pc.sort_indices(valid, [(name, 'ascending') for name in ('score', 'chance', 'sample_id')])[:SHOWN]
    wanted = {row['sample_id']: row for row in valid.take(order).to_pylist()}
    rows = {row['sample_id']: row for row in read_rows(plan.groups) if row['sample_id'] in wanted}
    said: dict[str, str] = {}
    for fold in sorted({row['fold'] for row in wanted.values()}):
        said |= replies(plan, out, fold, [rows[name] for name, row in wanted.items() if row['fold'] == fold])
    return [
        Doubt(name, row['source'], row['score'], question_of(rows[name]), answer_of(rows[name]), row['other'], row['other_p'], said.get(name, ''),
              tuple(image['bytes'] or b'' for image in rows[name]['images'] or ()))
        for name, row in wanted.items()
    ]  # fmt: skip


def replies(plan: Plan, out: Path, fold: int, rows: Sequence[dict]) -> dict[str, str]:
    """What a fold's model replies to the questions of some of its rows; nothing where the model is gone."""
    found = checkpoints(out / 'work' / plan.name / f'model-{fold + 1}')
    if not found:
        return {}
    rater, said = load_rater(plan, found[-1]), {}
    wanted = RowFilter(max_length=plan.preset.settings.max_length, rejected=False)
    encoded = [one for row in rows if isinstance(one := encode_row(row, rater.processor, wanted), EncodedRow)]
    for start in range(0, len(encoded), AT_ONCE):
        some = encoded[start : start + AT_ONCE]
        said |= dict(zip((one.row for one in some), rater.replies(some), strict=True))
    return said
