"""Two snapshots of a kind in one page: what changed from the earlier one to the one that is shown, row by row, and how its histograms moved."""

from collections.abc import Mapping
from pathlib import Path

import duckdb

from pipelines.look.gallery.entry import entry
from pipelines.look.gallery.index import PAGE_ROWS, GalleryIndex
from pipelines.look.gallery.overview import edges, overview
from pipelines.look.gallery.query import VIEWS, Query
from pipelines.snapshot.diff import KEPT, diff_rows

BEFORE = 'before/'  # in front of the address of a picture that the earlier snapshot holds
_WHAT = f"""CASE WHEN before = '{KEPT}' AND after = '{KEPT}' THEN 'changed' WHEN after = '{KEPT}' THEN 'added' WHEN before = '{KEPT}' THEN 'removed'
            ELSE 'elsewhere' END"""
_CHANGE = 'SELECT n, id, what, before, after FROM changes'


class Against:
    """What changed from one snapshot to another. A change is `added`, `removed`, `changed`, or `elsewhere`: left out before and after."""

    def __init__(self, before: GalleryIndex, after: GalleryIndex):
        self.before, self.after = before, after
        self.diff, changes = diff_rows(before.snapshot.path, after.snapshot.path)
        self._db = duckdb.connect()
        self._db.execute(f"""CREATE TABLE changes AS SELECT row_number() OVER (ORDER BY what, before, after, id) - 1 AS n, *
                             FROM (SELECT *, {_WHAT} AS what FROM changes)""")
        del changes
        self._told = self._tell()

    def told(self) -> dict:
        """Return the counts of changes, where they moved from and to, and the overviews of both snapshots over the same bars."""
        return self._told

    def _tell(self) -> dict:
        at = edges(self.before, self.after)
        views = {view: {'before': overview(self.before, Query(view), at), 'after': overview(self.after, Query(view), at)} for view in VIEWS}
        moves = self._rows('SELECT what, before, after, count(*) AS n FROM changes GROUP BY ALL ORDER BY what, n DESC, before, after', [])
        return {'before': self.before.snapshot.snapshot_id, 'same': self.diff.same, 'columns': self.diff.columns, 'edges': at, 'views': views,
                'moves': [dict(zip(('what', 'before', 'after', 'n'), move, strict=True)) for move in moves]}  # fmt: skip

    def page(self, asked: Mapping[str, str], offset: int, limit: int) -> dict:
        """Return {total, rows} of the changes asked for by what, before and after, in the form of a gallery's rows."""
        where, values = _where(asked)
        total = self._rows(f'SELECT count(*) FROM changes WHERE {where}', values)[0][0]
        found = self._rows(f'{_CHANGE} WHERE {where} ORDER BY n LIMIT ? OFFSET ?', [*values, min(limit, PAGE_ROWS), offset])
        return {'total': total, 'rows': [self._short(*row) for row in found]}

    def place(self, asked: Mapping[str, str], n: int) -> int | None:
        """Return where among the changes asked for one stands, None if it is not one of them."""
        where, values = _where(asked)
        at, there = self._rows(f'SELECT count(*) FILTER (n < ?), count(*) FILTER (n = ?) FROM changes WHERE {where}', [n, n, *values])[0]
        return at if there else None

    def pair(self, n: int) -> dict | None:
        """Return a changed row as it was and as it is: {id, what, before, after}, each {state, entry}, None for an entry that is not there."""
        for _, name, what, before, after in self._rows(f'{_CHANGE} WHERE n = ?', [n]):
            was = {'state': before, 'entry': _earlier(self._entry(self.before, name))}
            return {'id': name, 'what': what, 'before': was, 'after': {'state': after, 'entry': self._entry(self.after, name)}}
        return None

    def numbers(self, limit: int) -> list[int]:
        """Return the numbers of at most `limit` changes: all, or those with the lowest hash of their id."""
        found = self._rows('SELECT n FROM (SELECT n, id FROM changes ORDER BY sha256(id), n LIMIT ?) ORDER BY n', [limit])
        return [n for (n,) in found]

    def change(self, n: int) -> dict:
        """Return one change in the form of a gallery's rows."""
        return self._short(*self._rows(f'{_CHANGE} WHERE n = ?', [n])[0])

    def _short(self, n: int, name: str, what: str, before: str, after: str) -> dict:
        index = self.after if self.after.find(name) else self.before
        view, at = index.find(name) or ('kept', -1)
        row = index.short(view, [at]).get(at, {'id': name, 'source': '', 'question': name, 'chosen': None, 'rejected': None})
        states = {'what': what, 'before': before, 'after': after, 'reason': f'{before} → {after}'}
        return {**row, **states, 'n': n, 'view': 'changes', 'image': None, 'score': None}

    def _entry(self, index: GalleryIndex, name: str) -> dict | None:
        found = index.find(name)
        return entry(index, None, *found) if found else None

    def _rows(self, sql: str, values: list) -> list[tuple]:
        return self._db.cursor().execute(sql, values).fetchall()  # a cursor of its own: requests come on many threads

    def close(self) -> None:
        """Remove what was noted of both."""
        self._db.close()
        self.before.close()


def _where(asked: Mapping[str, str]) -> tuple[str, list[str]]:
    names = [name for name in ('what', 'before', 'after') if asked.get(name)]
    return ' AND '.join(['true', *(f'{name} = ?' for name in names)]), [asked[name] for name in names]


def open_against(index: GalleryIndex, before: Path | None) -> Against | None:
    """Return what changed from the snapshot `before` to the one that is shown, None where there is none to hold it against."""
    if before is None:
        return None
    earlier = GalleryIndex(before)
    try:
        earlier.measure()
        return Against(earlier, index)
    except BaseException:
        earlier.close()
        raise


def _earlier(shown: dict | None) -> dict | None:
    """Return an entry whose pictures are addressed as those of the earlier snapshot."""
    if shown is None:
        return None
    images = [{**image, 'address': BEFORE + image['address'] if image['address'] else ''} for image in shown['images']]
    return {**shown, 'images': images, 'beside': []}
