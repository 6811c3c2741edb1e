"""How sure a judge, or a rater, is at each threshold: recall and precision over planted cases, as curves for the overview."""

import math
from itertools import groupby
from operator import itemgetter
from typing import Any

from curation.calibration.planted import INJECTED
from pipelines.look.gallery.index import GalleryIndex
from pipelines.triples.cases import FILE
from schemas.errors import UserError

MOST_POINTS = 60  # of a curve
MOST_CURVES = 60


def curves(index: GalleryIndex) -> list[dict]:
    """Return [{title, what, at, points: [[threshold, recall, precision]]}], a curve for each source; `at`: the threshold that was used, or None.

    Of triples from the sealed cases: of those that score above a threshold, which share should be accepted (precision), and which share of those
    that should be is (recall). Of a mix as its manifest says: what of the planted wrong answers lies below a threshold, and how many there are wrong.
    """
    manifest = index.snapshot.manifest
    try:
        found = _judged(index) if manifest['kind'] == 'triples' else _rated(manifest.get('ratings') or {})
    except (KeyError, TypeError, ValueError, AttributeError, UserError):  # of another version; what is damaged `phantom verify` says
        return []
    return found[:MOST_CURVES]


def _judged(index: GalleryIndex) -> list[dict]:
    listed = next((extra for extra in index.snapshot.manifest.get('extras', ()) if extra['file'] == FILE), None)
    if listed is None:
        return []
    sql = 'SELECT source, score, accept FROM read_parquet(?) WHERE isfinite(score) AND plant <> ? ORDER BY source, score'
    rows = index.read_extra(listed, sql, INJECTED)
    margin = float((index.snapshot.manifest.get('recipe') or {}).get('judge', {}).get('margin', math.nan))
    what = 'accepted above the threshold: share of the right cases (recall), share that is right (precision)'
    return [{'title': f'judge: {source}', 'what': what, 'at': _number(margin), 'points': points}
            for source, some in groupby(rows, itemgetter(0)) if (points := _points([(score, accept) for _, score, accept in some]))]


def _points(scored: list[tuple[float, bool]]) -> list[list[float | None]]:
    """Return [threshold, recall, precision] where there are cases of both kinds; `scored` ascends."""
    good = sum(accept for _, accept in scored)
    if not 0 < good < len(scored):
        return []
    marks = sorted({score for score, _ in scored})
    marks = [marks[round(at * (len(marks) - 1) / (MOST_POINTS - 1))] for at in range(MOST_POINTS)] if len(marks) > MOST_POINTS else marks
    above = [[accept for score, accept in scored if score > mark] for mark in marks]
    return [[mark, sum(some) / good, sum(some) / len(some) if some else None] for mark, some in zip(marks, above, strict=True)]


def _rated(told: dict) -> list[dict[str, Any]]:
    what = 'left out below the threshold: share of the planted wrong ones (recall), share that is wrong (precision)'
    found: list[dict[str, Any]] = [{'title': f'rating {one["ask"]} by {one["by"]}: {one["source"]}', 'what': what, 'at': _number(one.get('chosen')),
              'points': [[float(cut['below']), _share(cut['recall']), _number(cut['precision'])] for cut in one['cuts']]}
             for one in told.get('reports', ())]
    return [one for one in found if one['points'][1:]]


def _share(rate: dict) -> float | None:
    return rate['hits'] / rate['total'] if rate['total'] else None


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
