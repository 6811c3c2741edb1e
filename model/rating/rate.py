"""`phantom rate --self`: ratings of a mix by a cross-fit, what they are worth, and the rows that they doubt most."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.rating.alternatives import KindOf, one_kind
from model.rating.calibrate import Calibration, calibrate
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
TOLD = (0.01, 0.05, 0.1, 0.2)  # thresholds that are told on the way; all are in rating.json and on the page
AT_ONCE = 32  # replies


def rate_self(
    snapshot: Path,
    out: Path,
    *,
    folds: int,
    preset: str = 'tiny',
    steps: int | None = None,
    init: Path | None = None,
    precision: float | None = None,
    settings: Mapping[str, Any] | None = None,
    kind_of: KindOf = one_kind,
    quiet: bool = False,
) -> dict[str, Any]:
    """Writes `out/ratings.parquet` (RATINGS, PROPOSALS), `details.parquet` (RATED), `rating.json` and `report.html`; returns what rating.json holds.

    folds: models, each trained on all folds but the one that it rates. steps: of each; left out, five epochs within bounds.
    precision: the share of flagged rows whose labels are wrong that a threshold is chosen for, by planted answers.

    Raises UserError for what a user can mend.
    """
    if folds < 2:
        raise UserError(f'--self: expected at least 2 folds, found {folds}; 3 trains each model on two thirds of the mix')
    if steps is not None and steps < 1:
        raise UserError(f'--steps: expected at least 1, found {steps}')
    if precision is not None and not 0 < precision <= 1:
        raise UserError(f'--precision: expected a share above 0 and at most 1, found {precision:g}; with 0.95 19 of 20 flagged labels are wrong')
    opened = open_snapshot(snapshot, 'mix')
    if opened.path.resolve() in (out.resolve(), *out.resolve().parents):
        raise UserError(f'--out: expected a folder outside the sealed mix {opened.path}, found {out}; name another folder')
    plan = make_plan(opened, load_preset(preset, **(settings or {})), folds=folds, steps=steps, init=init, kind_of=kind_of)
    rated = cross_fit(plan, out, quiet=quiet)
    calibrations = calibrations_of(rated)
    found = about(plan, rated, calibrations, precision)
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


def calibrations_of(rated: pa.Table) -> list[Calibration]:
    """How far the ratings can be trusted: of each source, and of all whose ratings are better than chance together, which comes first."""
    scored = rated.filter(pc.is_valid(rated['score']))
    found = {}
    for source in sorted(pc.unique(scored['source']).to_pylist()):
        of_source = scored.filter(pc.equal(scored['source'], source))
        found[source] = calibrate(source, of_source['score'].to_numpy(), of_source['planted_p'].to_numpy())
    trusted = [source for source, one in found.items() if not one.is_chance]
    together = scored.filter(pc.is_in(scored['source'], pa.array(trusted, pa.string())))
    every = [calibrate('', together['score'].to_numpy(), together['planted_p'].to_numpy())] if together.num_rows else []
    return every + list(found.values())


def about(plan: Plan, rated: pa.Table, calibrations: Sequence[Calibration], precision: float | None) -> dict[str, Any]:
    """What rating.json says: who rated what, the calibrations, the threshold chosen, and all that in lines for people."""
    left_out = Counter(text.partition(':')[0] for text in rated['left_out'].to_pylist() if text)
    chance = [one.source for one in calibrations if one.source and one.is_chance]
    every = next((one for one in calibrations if not one.source), None)
    n_rated = rated.num_rows - sum(left_out.values())
    others = ''.join(f'; {count:,} {reason}' for reason, count in sorted(left_out.items()))
    told = [f'{n_rated:,} of {rated.num_rows:,} rows rated by {plan.by}{others}']
    told += [f'source {source}: no better than chance, its rows get no score: take more steps, or a larger preset' for source in chance]
    picked = None
    if every:
        told.append(f'a row\'s own answer above a planted one: AUC {every.auc}; wrong labels, estimated: {every.wrong}')
        told += [f'below {line.threshold:g}: {line.flagged:,} rows, precision {line.precision}, recall {line.recall}'
                 for line in every.lines if line.threshold in TOLD and line.flagged]  # fmt: skip
    if precision is not None:
        picked = every.pick(precision) if every else None
        told += told_of_pick(picked, precision, calibrations)
    return {
        'snapshot_id': plan.snapshot.snapshot_id, 'by': plan.by, 'folds': list(plan.rows), 'steps': plan.steps, 'preset': plan.preset.name,
        'rated': n_rated, 'left_out': dict(left_out), 'chance': chance, 'precision': precision,
        'threshold': picked.threshold if picked else None, 'told': told,
        'calibration': [{**asdict(one), 'is_chance': one.is_chance} for one in calibrations],
    }  # fmt: skip


def told_of_pick(picked: Any, precision: float, calibrations: Sequence[Calibration]) -> list[str]:
    """The threshold that was chosen and what it does, with a word on each source where it does worse."""
    if picked is None:
        return [f'no threshold reaches a precision of {precision:g}: nothing to drop; the most doubtful rows are in the report all the same']
    told = [f'rate: {{from: [ratings.parquet], drop: {{{ASK}: {picked.threshold:g}}}}} drops {picked.flagged:,} rows: '
            f'precision {picked.precision}, recall {picked.recall}']  # fmt: skip
    for one in calibrations:
        line = next(line for line in one.lines if line.threshold == picked.threshold)
        if one.source and not one.is_chance and line.flagged and line.precision.value < precision:
            told.append(f'source {one.source}: {line.flagged:,} rows below {picked.threshold:g}, fewer of them wrong: {line.precision}; look at them')
    return told


def ratings_of(plan: Plan, rated: pa.Table, calibrations: Sequence[Calibration]) -> pa.Table:
    """The rows of RATINGS and PROPOSALS, one of each row of the mix; no score where it could not be rated, or in its source no better than by chance.

    Proposed is the likeliest of the answers that were held against each other, where that is not the row's own.
    """
    chance = pa.array([one.source for one in calibrations if one.source and one.is_chance], pa.string())
    scores = pc.if_else(pc.is_in(rated['source'], chance), pa.scalar(None, pa.float64()), rated['score'])
    n = rated.num_rows
    other = pc.fill_null(pc.greater(rated['own_p'], scores), False)
    proposals = [pc.if_else(other, rated[name], pa.scalar(None, rated[name].type)) for name in ('own', 'own_p')]
    columns = [rated['sample_id'], pa.array([ASK] * n, pa.string()), scores, pa.array([plan.by] * n, pa.string()), *proposals]
    return pa.table(columns, schema=pa.schema([*RATINGS, *PROPOSALS]))


def doubts(plan: Plan, out: Path, rated: pa.Table) -> list[Doubt]:
    """The rows with the lowest scores, the lowest first, with what their fold's model replies."""
    scored = rated.filter(pc.is_valid(rated['score']))
    order = pc.sort_indices(scored, [('score', 'ascending'), ('sample_id', 'ascending')])[:SHOWN]
    wanted = {row['sample_id']: row for row in scored.take(order).to_pylist()}
    rows = {row['sample_id']: row for row in read_rows(plan.groups) if row['sample_id'] in wanted}
    said: dict[str, str] = {}
    for fold in sorted({row['fold'] for row in wanted.values()}):
        said |= replies(plan, out, fold, [rows[name] for name, row in wanted.items() if row['fold'] == fold])
    return [
        Doubt(name, row['source'], row['score'], question_of(rows[name]), answer_of(rows[name]), row['own'], row['own_p'], said.get(name, ''),
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
