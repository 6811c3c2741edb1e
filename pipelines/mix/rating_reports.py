"""What planted cases and the ratings of a source say of its raters, and the thresholds that follow."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from curation.calibration.rated import RatingReport, Scored, report_ratings
from curation.calibration.rating_plants import PLANTS
from pipelines.engine.tables import Table
from pipelines.mix.rated import RATED, Drop
from schemas.rating import MEASURED, FromCalibration, name_of
from schemas.recipe import Recipe

ALL = 'all'  # raters together: the highest of their ratings counts


def reports_of(recipe: Recipe, planted: Table, ratings: Table) -> list[RatingReport]:
    """Return the reports on each source and question that can be measured, by each model and, of several, by all together."""
    rate = recipe.rate
    assert rate is not None
    raters = [*rate.model, *([ALL] if len(rate.model) > 1 else [])]
    cases: defaultdict[tuple, dict[str, dict[str, dict]]] = defaultdict(lambda: defaultdict(dict))  # (source, ask) -> case id -> rater -> row
    for part in planted.batches(columns=['case_id', 'source', 'ask', 'by', 'plant', 'good', 'score']):
        for row in part.to_pylist():
            cases[row['source'], row['ask']][row['case_id']][row['by']] = row
    own = _own(ratings)
    none = own.iloc[:0]
    mine = dict(iter(own.groupby(['source', 'ask'], observed=True)))
    found = []
    for source in recipe.sources:
        for ask in (name for name in map(name_of, rate.ask) if name in PLANTS):
            threshold = rate.drop.get(ask)
            precision = threshold.precision if isinstance(threshold, FromCalibration) else None
            for by in raters:
                told = [_scored(rows, by) for rows in cases[source, ask].values()]
                scores = _scores(mine.get((source, ask), none), by)
                if told or len(scores):
                    found.append(report_ratings((source, ask, by), told, scores, min_auc=recipe.calibration.min_auc, precision=precision))
    return found


def _own(ratings: Table) -> pd.DataFrame:
    """Return the ratings of samples that have one: part, row, source, ask, by, score."""
    columns = ['part', 'row', 'source', 'ask', 'by', 'score']
    none = pa.schema([RATED.field(name) for name in columns]).empty_table()
    rows = pa.concat_tables([none, *ratings.batches(columns=columns)])
    return rows.filter(pc.is_valid(rows['score'])).to_pandas(categories=['source', 'ask', 'by'])


def _scores(rows: pd.DataFrame, by: str) -> np.ndarray:
    """Return float64[samples]: what a rater says of each that he rated; ALL: the highest that anybody says."""
    return (rows.groupby(['part', 'row'])['score'].max() if by == ALL else rows.loc[rows['by'] == by, 'score']).to_numpy(float)


def _score(said: dict[str, float], by: str) -> float | None:
    return max(said.values(), default=None) if by == ALL else said.get(by)


def _scored(rows: dict[str, dict], by: str) -> Scored:
    said = {name: row['score'] for name, row in rows.items() if row['score'] is not None}
    one = next(iter(rows.values()))
    return Scored(one['plant'], one['good'], _score(said, by))


def drops_of(recipe: Recipe, reports: list[RatingReport], *, files: bool) -> tuple[tuple[Drop, ...], tuple[str, ...]]:
    """Return what is left out in which source, and what is refused, in words: by a model that is no better than chance there nothing is left out.

    `files`: whether files rate, too. Their ratings are heard wherever there is a threshold.
    """
    rate = recipe.rate
    assert rate is not None
    drops, refused = [], []
    deciding = {(report.source, report.ask): report for report in reports if report.by == (ALL if len(rate.model) > 1 else rate.model[0])}
    for ask, threshold in rate.drop.items():
        asked = bool(rate.model) and ask in map(name_of, rate.ask)
        for source in recipe.sources:
            report = deciding.get((source, ask))
            fault = _fault(report, ask, source, recipe) if asked else ''
            chosen = report.chosen if report else None
            below = chosen if isinstance(threshold, FromCalibration) else threshold
            if asked and not fault and below is None:
                fault = (f'{ask} on source {source!r}: expected a threshold below which {_precision(threshold):.0%} are wrong, found none; '
                         'nothing is left out for it')
            if fault:
                refused.append(fault)
            if below is not None and (files or asked and not fault):
                drops.append(Drop(ask, source, below, models=asked and not fault))
    return tuple(drops), tuple(refused)


def _fault(report: RatingReport | None, ask: str, source: str, recipe: Recipe) -> str:
    """Return why a model's ratings may leave nothing out in a source, '' where they may."""
    if ask not in MEASURED or recipe.sources[source].accept_uncalibrated:
        return ''
    if report is None:
        return f'{ask} on source {source!r}: expected planted cases that measure who rates, found none; nothing is left out for it'
    return f'{report.fault}; nothing is left out for it' if report.fault else ''


def _precision(threshold: object) -> float:
    return threshold.precision if isinstance(threshold, FromCalibration) else 0.0
