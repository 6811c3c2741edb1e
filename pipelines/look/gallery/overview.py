"""What the rows that a page asks for are like: how many have each value, and how their scores, answers, pictures and clusters lie."""

import math

from pipelines.look.gallery.condition import COLUMNS
from pipelines.look.gallery.curves import curves
from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.query import FACETS, MEASURES, VIEWS, Query

BINS = 20  # of scores; what is counted in whole numbers has bins that double
MOST_VALUES = 500  # of one facet, the most frequent


def about(index: GalleryIndex, *, work: bool = False, against: bool = False) -> dict:
    """Return what the page says of the whole snapshot: its books and cost from the manifest, and how many rows each view has.

    `work`: whether a working folder may show pictures that no snapshot holds; `against`: whether another snapshot is held against it.
    """
    manifest = index.snapshot.manifest
    views = {view: {'total': total, 'score': [low, high]} for view, total, low, high in index.rows(
        'SELECT view, count(*), min(score), max(score) FROM entries GROUP BY 1', [])}
    empty = {'total': 0, 'score': [None, None]}
    return {
        'name': manifest['name'], 'kind': manifest['kind'], 'snapshot_id': manifest['snapshot_id'], 'rated': index.rated,
        'views': {view: views.get(view, empty) for view in VIEWS}, 'books': manifest['yield'], 'cost': manifest.get('cost') or {},
        'edges': edges(index), 'work': work, 'against': against, 'columns': list(COLUMNS), 'curves': curves(index),
    }  # fmt: skip


def edges(*indices: GalleryIndex) -> dict[str, list[float]]:
    """Return where the bars of each measure begin and the last one ends, for all rows of some snapshots; none where nothing has a value.

    A bar holds what is from its edge to below the next; the last one of scores holds the highest, too.
    """
    found: dict[str, list[float]] = {}
    for name in MEASURES:
        ends = [index.rows(f'SELECT min({name}), max({name}) FROM entries WHERE isfinite({name}::DOUBLE)', [])[0] for index in indices]
        if known := [one for one in ends if one[0] is not None]:
            low, high = min(one[0] for one in known), max(one[1] for one in known)
            found[name] = _even(low, high) if name == 'score' else _doubling(high)
    return found


def overview(index: GalleryIndex, query: Query, at: dict[str, list[float]] | None = None) -> dict:
    """Return {total, facets: {name: [[value, n]]}, bins: {measure: [n]}} of the rows asked for; bars are those of `at`, else of the snapshot.

    What is chosen in one facet or measure does not thin out that one itself, so that more of it can be chosen.
    """
    where, values = query.where()
    total = index.rows(f'SELECT count(*) FROM entries WHERE {where}', values)[0][0]
    bars = {name: _bins(index, query, name, bounds) for name, bounds in (at or edges(index)).items()}
    return {'total': total, 'facets': {name: _facet(index, query, name) for name in FACETS}, 'bins': bars}


def _facet(index: GalleryIndex, query: Query, name: str) -> list[tuple[str, int]]:
    where, values = query.without(name).where()
    each = "unnest(string_split(reason, ', '))" if name == 'reason' else name
    return index.rows(f"""SELECT value, count(*) AS n FROM (SELECT {each} AS value FROM entries WHERE {where})
                          WHERE coalesce(value, '') <> '' GROUP BY 1 ORDER BY n DESC, 1 LIMIT {MOST_VALUES}""", values)


def _bins(index: GalleryIndex, query: Query, name: str, at: list[float]) -> list[int]:
    where, values = query.without(name).where()
    found = dict(index.rows(f"""SELECT len([edge FOR edge IN ?::DOUBLE[] IF edge <= {name}]) - 1 AS bar, count(*) FROM entries
                                WHERE {where} AND isfinite({name}::DOUBLE) GROUP BY 1""", [at[:-1], *values]))
    return [found.get(bar, 0) for bar in range(len(at) - 1)]


def _even(low: float, high: float) -> list[float]:
    """Return edges that are multiples of 1, 2 or 5 times a power of ten, for BINS bars or a few fewer or more: from 0 to 1 where all lies there."""
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    least = (high - low or 1.0) / BINS
    power = 10.0 ** math.floor(math.log10(least))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= least * (1 - 1e-9))
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return [float(f'{at * step:.9g}') for at in range(first, last + 1)]


def _doubling(high: float) -> list[float]:
    return [0.0, *(float(2**k) for k in range(math.floor(math.log2(max(high, 1))) + 2))]
