"""An index over the Parquet files of a snapshot, in a temporary DuckDB file: filters, search and pages over millions of rows.

Texts are copied into it (compressed by DuckDB); pictures stay in the shards and are read one by one. A shard's bytes are proven when it is first
read, and again whenever it was touched since.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines.snapshot.verify_rows import MESSAGES, hole_in
from schemas.errors import UserError
from schemas.rating import CORRECT, RATINGS_FILE
from schemas.refusals import refusal_of
from schemas.snapshot import MANIFEST, Snapshot, open_snapshot

VIEWS = ('kept', 'rejected')
PAGE_ROWS = 200  # at most, per page
HEAD_CHARS = 160  # of a text, in the list of rows
# Without ORDER BY DuckDB gives rows in the order they were inserted (preserve_insertion_order), which is the snapshot's.
SORTS = {'order': '', 'lowest score': 'ORDER BY score ASC NULLS LAST, n', 'highest score': 'ORDER BY score DESC NULLS LAST, n'}
BINS = 20  # of a histogram
THREADS = 4
MEMORY = '1GB'  # beyond which DuckDB goes to its temporary file
_TEXT = "array_to_string([p.text FOR p IN {} IF p.text IS NOT NULL], ' ')"
_KEPT = {
    'triples': {'id': 'triple_id', 'kind': 'kind', 'generator': 'generator', 'score': 'score', 'question': _TEXT.format('prompt[-1].content'),
                'chosen': _TEXT.format('chosen[1].content'), 'rejected': _TEXT.format('rejected[1].content'),
                'said': "array_to_string(flatten([[p.text FOR p IN m.content IF p.text IS NOT NULL] FOR m IN prompt]), ' ')"},
    'mix': {'id': 'sample_id', 'kind': 'category', 'generator': 'answers', 'score': 'NULL::DOUBLE', 'question': _TEXT.format('messages[-2].content'),
            'chosen': _TEXT.format('messages[-1].content'), 'rejected': 'NULL::VARCHAR',
            'said': "array_to_string(flatten([[p.text FOR p IN m.content IF p.text IS NOT NULL] FOR m IN messages]), ' ')"},
}  # fmt: skip
_SCAN = 'read_parquet(?, file_row_number = true)'
_CREATE = """
CREATE TABLE entries (view VARCHAR, n INTEGER, file INTEGER, row BIGINT, source VARCHAR, split VARCHAR, unit VARCHAR, reason VARCHAR,
    kind VARCHAR, generator VARCHAR, score DOUBLE);
CREATE TABLE texts (view VARCHAR, n INTEGER, id VARCHAR, question VARCHAR, chosen VARCHAR, rejected VARCHAR, searched VARCHAR);
CREATE TABLE pictures (id VARCHAR, file INTEGER, row BIGINT, place INTEGER);
CREATE TABLE samples (id VARCHAR, file INTEGER, row BIGINT);
CREATE TABLE ratings (id VARCHAR, ask VARCHAR, score DOUBLE, rater VARCHAR);
"""


_JUDGED = "(view = 'kept' OR (unit = 'candidate' AND NOT list_contains(?, reason)))"


@dataclass(frozen=True, slots=True)
class Query:
    """What a page asks for; empty means any."""

    view: str = 'kept'
    source: str = ''
    kind: str = ''
    reason: str = ''
    unit: str = ''
    generator: str = ''
    split: str = ''
    text: str = ''
    low: float | None = None
    high: float | None = None
    sort: str = 'order'

    def where(self) -> tuple[str, list]:
        """Return the SQL condition and its values; values never become SQL."""
        terms, values = ['view = ?'], [self.view]
        for name in ('source', 'kind', 'reason', 'unit', 'generator', 'split'):
            if getattr(self, name):
                terms.append(f'{name} = ?')
                values.append(getattr(self, name))
        for name, sign in (('low', '>='), ('high', '<=')):
            if getattr(self, name) is not None:
                terms.append(f'score {sign} ?')
                values.append(getattr(self, name))
        if self.text:
            terms.append('n IN (SELECT n FROM texts WHERE view = ? AND contains(searched, lower(?)))')
            values += [self.view, self.text]
        return ' AND '.join(terms), values


class GalleryIndex:
    """The rows of one snapshot, and the pictures of it and of the mix beside it."""

    def __init__(self, path: Path):
        self.snapshot = open_snapshot(path)
        self.files: list[tuple[Snapshot, dict]] = []
        self.rated = ''  # the question whose ratings are the scores of a mix
        self._folder = tempfile.TemporaryDirectory(prefix='phantom-gallery-')
        self._db = duckdb.connect(str(Path(self._folder.name) / 'index.duckdb'))
        self._db.execute(f"SET threads = {THREADS}; SET memory_limit = '{MEMORY}'; SET temp_directory = '{self._folder.name}'")
        try:
            self._index()
        except BaseException:
            self.close()
            raise

    def _index(self) -> None:
        self._db.execute(_CREATE)
        self._index_kept()
        self._index_rejected()
        self._index_ratings()
        self._index_pictures(self.snapshot)
        mix = self.snapshot if self.snapshot.kind == 'mix' else _sibling_mix(self.snapshot)
        if mix is not None and mix is not self.snapshot:
            self._index_pictures(mix)
        if mix is not None:
            self._index_samples(mix)
        self._db.execute('CREATE INDEX picture_by_id ON pictures (id); CREATE INDEX sample_by_id ON samples (id)')

    def close(self) -> None:
        """Remove the index."""
        self._db.close()
        self._folder.cleanup()

    def facets(self) -> dict:
        """Return, per view, how many rows there are and the values each filter may take with their counts."""
        found: dict[str, dict] = {}
        for view in VIEWS:
            total, low, high = self._rows('SELECT count(*), min(score), max(score) FROM entries WHERE view = ?', [view])[0]
            names = ('source', 'reason', 'kind', 'generator', 'split') if view == 'kept' else ('source', 'reason', 'unit', 'kind', 'generator')
            values = {name: self._rows(f"SELECT {name}, count(*) AS n FROM entries WHERE view = ? AND coalesce({name}, '') <> '' "
                                       'GROUP BY 1 ORDER BY n DESC, 1 LIMIT 500', [view]) for name in names}
            found[view] = {'total': total, 'score': [low, high], 'filters': values, **self._histogram(view)}
        return found

    def _histogram(self, view: str) -> dict:
        """Return how the ratings of a view lie, by the question that is its score: {} where nothing was rated."""
        if not self.rated:
            return {}
        low, high = self._rows('SELECT min(score), max(score) FROM entries', [])[0]
        low, high = (0.0, 1.0) if low is None or (low >= 0 and high <= 1) else (low, high if high > low else low + 1)
        bins = dict(self._rows("""SELECT least(?, floor((score - ?) / ? * ?))::INTEGER, count(*) FROM entries
                                  WHERE view = ? AND score IS NOT NULL GROUP BY 1""", [BINS - 1, low, high - low, BINS, view]))
        return {'histogram': {'ask': self.rated, 'low': low, 'high': high, 'bins': [bins.get(at, 0) for at in range(BINS)]}}

    def ratings(self, sample_id: str) -> dict[str, float | None]:
        """Return what was rated of a sample, by question and rater."""
        rows = self._rows('SELECT ask, rater, score FROM ratings WHERE id = ? ORDER BY ask, rater', [sample_id]) if self.rated else []
        return {f'{ask} by {by}': score for ask, by, score in rows}

    def score(self, view: str, n: int) -> float | None:
        """Return the score of a row."""
        return next((score for (score,) in self._rows('SELECT score FROM entries WHERE view = ? AND n = ?', [view, n])), None)

    def flag(self, path: str, columns: tuple[str, ...], flag: str) -> None:
        """Flag the kept samples of a mix that some columns of a Parquet file name; flags stand where the reason of a rejected row does."""
        if self.snapshot.kind == 'mix':
            named = ' UNION '.join(f'SELECT {column} AS id FROM read_parquet($path)' for column in columns)
            self._db.execute(f"""UPDATE entries SET reason = concat_ws(', ', reason, $flag)
                                 WHERE view = 'kept' AND (reason IS NULL OR NOT contains(reason, $flag))
                                    AND n IN (SELECT n FROM texts JOIN ({named}) USING (id) WHERE view = 'kept')""", {'path': path, 'flag': flag})

    def flags(self, view: str, n: int) -> str | None:
        """Return the flags of a kept sample; None where it has none."""
        found = self._rows("SELECT reason FROM entries WHERE view = 'kept' AND n = ?", [n]) if view == 'kept' else []
        return next((flags for (flags,) in found), None)

    def page(self, query: Query, offset: int, limit: int) -> dict:
        """Return {total, rows}: how many rows match, and those from `offset` on, short."""
        where, values = query.where()
        total = self._rows(f'SELECT count(*) FROM entries WHERE {where}', values)[0][0]
        numbers = self._rows(f'SELECT n FROM entries WHERE {where} {SORTS[query.sort]} LIMIT ? OFFSET ?', [*values, min(limit, PAGE_ROWS), offset])
        place = {n: i for i, (n,) in enumerate(numbers)}
        names = ('n', 'id', 'source', 'kind', 'reason', 'unit', 'score', 'question', 'chosen', 'rejected')
        rows = self._rows(f'SELECT {", ".join(names)} FROM entries JOIN texts USING (view, n) WHERE view = ? AND n IN ({",".join("?" * len(place))})',
                          [query.view, *place]) if place else []
        found: list[dict] = [{} for _ in place]
        for row in rows:
            found[place[row[0]]] = dict(zip(names, row, strict=True))
        return {'total': total, 'rows': found}

    def row(self, view: str, n: int) -> dict | None:
        """Return a whole row without its pictures, as it lies in its file, with its split; None if there is no such row."""
        found = self._rows('SELECT file, row, split FROM entries WHERE view = ? AND n = ?', [view, n])
        if not found:
            return None
        file, row, split = found[0]
        whole = self._whole(file, row) if view == 'kept' else self._read(file, row, '* EXCLUDE (file_row_number)')
        return {'split': split, **whole}

    def sample(self, sample_id: str) -> dict | None:
        """Return the row of the mix, this one or that beside triples, by its sample id, without pictures; None if it is not there."""
        for file, row in self._rows('SELECT file, row FROM samples WHERE id = ? LIMIT 1', [sample_id]):
            return self._whole(file, row)
        return None

    def _whole(self, file: int, row: int) -> dict:
        """Return a kept row without its pictures; raises UserError for one that has not the form that everything shown of it relies on."""
        found, (snapshot, listed) = self._read(file, row, '* EXCLUDE (images, file_row_number)'), self.files[file]
        lacking = [column for column in MESSAGES[snapshot.kind] if not found[column]]
        if lacking or found['image_ids'] is None or hole_in(found, snapshot.kind):
            raise UserError(f'{snapshot.path / listed["file"]}, row {row}: expected whole messages, found nulls; `phantom verify` names all faults')
        return found

    def _read(self, file: int, row: int, columns: str) -> dict:
        with self._proven(*self.files[file]) as path:
            cursor = self._db.cursor().execute(f'SELECT {columns} FROM {_SCAN} WHERE file_row_number = ?', [path, row])
            names = [column[0] for column in cursor.description]
            return dict(zip(names, cursor.fetchall()[0], strict=True))

    def picture(self, image_id: str) -> bytes | None:
        """Return the bytes of a picture by its id, None if neither the snapshot nor the mix beside it holds it."""
        found = self._rows('SELECT file, row, place FROM pictures WHERE id = ? LIMIT 1', [image_id])
        if not found:
            return None
        file, row, place = found[0]
        with self._proven(*self.files[file]) as path:
            data = self._rows(f'SELECT images[?].bytes FROM {_SCAN} WHERE file_row_number = ?', [place, path, row])[0][0]
        if hashlib.sha256(data or b'').hexdigest() != image_id:
            raise UserError(f'{path}, row {row}: expected a picture with sha256 {image_id[:12]}..., found another; `phantom verify` names the rows')
        return data

    def has_picture(self, image_id: str) -> bool:
        """Return whether `picture` would find it."""
        return bool(self._rows('SELECT 1 FROM pictures WHERE id = ? LIMIT 1', [image_id]))

    def numbers(self, view: str, limit: int) -> list[int]:
        """Return the numbers of at most `limit` rows of a view: all, or those with the lowest hash of their id."""
        found = self._rows('SELECT n FROM (SELECT n, id FROM texts WHERE view = ? ORDER BY sha256(id), n LIMIT ?) ORDER BY n', [view, limit])
        return [n for (n,) in found]

    def strata(self, unjudged: tuple[str, ...]) -> dict[tuple[str, bool], int]:
        """Return how many candidates each source has that the judge accepted (True) or refused; those rejected for `unjudged` reasons are neither."""
        rows = self._rows(f"SELECT source, view = 'kept', count(*) FROM entries WHERE {_JUDGED} GROUP BY ALL", [list(unjudged)])
        return {(source, accepted): n for source, accepted, n in rows}

    def draw(self, stratum: tuple[str, bool], n: int, unjudged: tuple[str, ...]) -> list[tuple[str, int, str]]:
        """Return (view, number, id) of the `n` candidates of a stratum with the lowest hash of their id."""
        return self._rows(f"""SELECT view, n, id FROM entries JOIN texts USING (view, n) WHERE {_JUDGED} AND source = ? AND (view = 'kept') = ?
                              ORDER BY sha256('audit/' || id), id LIMIT ?""", [list(unjudged), *stratum, n])

    def decisions(self, ids: list[str], unjudged: tuple[str, ...]) -> dict[str, tuple[str, bool]]:
        """Return id -> (source, accepted) for those of `ids` that are judged candidates."""
        rows = self._rows(f"SELECT id, source, view = 'kept' FROM entries JOIN texts USING (view, n) WHERE {_JUDGED} AND list_contains(?, id)",
                          [list(unjudged), ids])
        return {found: (source, accepted) for found, source, accepted in rows}

    def _rows(self, sql: str, values: list) -> list[tuple]:
        return self._db.cursor().execute(sql, values).fetchall()  # a cursor of its own: requests come on many threads

    def _add_file(self, snapshot: Snapshot, listed: dict) -> int:
        self.files.append((snapshot, listed))
        return len(self.files) - 1

    @contextmanager
    def _proven(self, snapshot: Snapshot, listed: dict) -> Iterator[str]:
        """Give the path of a file whose bytes are those that were sealed, before and after it was read; raises UserError for another one."""
        try:
            yield str(snapshot.prove(listed))
        except duckdb.Error as e:
            snapshot.prove(listed)  # it may be the disk
            raise refusal_of(e, snapshot.path / listed['file']) or _unlike(snapshot, listed, e) from e
        snapshot.prove(listed)

    def _index_kept(self) -> None:
        columns = _KEPT[self.snapshot.kind]
        facts = f"NULL, NULL, {columns['kind']}, {columns['generator']}, {columns['score']}"
        start = 0
        for shard in self.snapshot.manifest['shards']:
            self._insert('kept', shard, start, (facts, columns, _SCAN))
            start += shard['rows']

    def _index_rejected(self) -> None:
        told = {name: f"told->>'$.{name}'" for name in ('kind', 'generator', 'score', 'question', 'chosen', 'rejected')}
        facts = f"unit, reason, {told['kind']}, {told['generator']}, try_cast({told['score']} AS DOUBLE)"
        turn = "trim(replace(told->>'$.turns[#-{}].text', '<image>', ''), ' ' || chr(10))"  # of a sample, counted from its last
        said = {'question': turn.format(2), 'chosen': turn.format(1)}
        texts = {**told, 'id': 'id', 'question': f'coalesce({told["question"]}, {said["question"]}, content)',
                 'chosen': f'coalesce({told["chosen"]}, {said["chosen"]})', 'said': "detail || ' ' || content"}
        start = 0
        for part in self.snapshot.manifest['rejections']:
            self._insert('rejected', part, start, (facts, texts, f'(SELECT *, try_cast(content AS JSON) AS told FROM {_SCAN})'))
            start += part['rows']

    def _insert(self, view: str, listed: dict, start: int, sql: tuple[str, dict[str, str], str]) -> None:
        """Add the rows of one file, numbered from `start`; `sql` gives facts and texts as columns of a scan. Only values come from the manifest."""
        facts, texts, scan = sql
        split = listed['split'] if view == 'kept' else ''
        heads = ', '.join(f'left({texts[name]}, {HEAD_CHARS})' for name in ('question', 'chosen', 'rejected'))
        searched = ', '.join(texts[name] for name in ('id', 'said', 'chosen', 'rejected'))
        with self._proven(self.snapshot, listed) as path:
            self._db.execute(f'INSERT INTO entries SELECT ?, file_row_number + ?, ?, file_row_number, source, ?, {facts} FROM {scan}',
                             [view, start, self._add_file(self.snapshot, listed), split, path])
            columns = f"{texts['id']}, {heads}, lower(concat_ws(' ', {searched}))"
            self._db.execute(f'INSERT INTO texts SELECT ?, file_row_number + ?, {columns} FROM {scan}', [view, start, path])

    def _index_ratings(self) -> None:
        """Make the rating of `correct`, or of the first question there is, the score of the samples of a mix: the highest, as a threshold sees it."""
        listed = next((extra for extra in self.snapshot.manifest.get('extras', ()) if extra['file'] == RATINGS_FILE), None)
        if listed is None or self.snapshot.kind != 'mix':
            return
        with self._proven(self.snapshot, listed) as path:
            self._db.execute('INSERT INTO ratings SELECT sample_id, ask, score, "by" FROM read_parquet(?)', [path])
        asks = [ask for (ask,) in self._rows('SELECT DISTINCT ask FROM ratings ORDER BY ask', [])]
        self.rated = CORRECT if CORRECT in asks else next(iter(asks), '')
        self._db.execute("""UPDATE entries SET score = found.score FROM (
                                SELECT t.view, t.n, r.score FROM texts t
                                JOIN (SELECT id, max(score) AS score FROM ratings WHERE ask = ? GROUP BY id) r ON r.id = t.id) found
                            WHERE entries.view = found.view AND entries.n = found.n
                                AND (entries.unit IS NULL OR entries.unit = 'sample')""", [self.rated])
        self._db.execute('CREATE INDEX rating_by_id ON ratings (id)')

    def _index_pictures(self, snapshot: Snapshot) -> None:
        for shard in snapshot.manifest['shards']:
            with self._proven(snapshot, shard) as path:
                strange = self._rows("""SELECT id FROM (SELECT unnest(image_ids) AS id FROM read_parquet(?))
                                        WHERE NOT coalesce(regexp_full_match(id, '[0-9a-f]{64}'), false) LIMIT 1""", [path])
                if strange:
                    raise UserError(f'{path}: expected image ids of 64 hex digits, found {str(strange[0][0])[:80]!r}; do not use this snapshot')
                self._db.execute(
                    """INSERT INTO pictures SELECT u.id, ?, min(u.row), arg_min(u.place, u.row) FROM (
                           SELECT unnest(image_ids) AS id, file_row_number AS row, generate_subscripts(image_ids, 1) AS place
                           FROM read_parquet(?, file_row_number = true)) u
                       WHERE u.id NOT IN (SELECT id FROM pictures) GROUP BY u.id""",
                    [self._add_file(snapshot, shard), path])

    def _index_samples(self, mix: Snapshot) -> None:
        for shard in mix.manifest['shards']:
            with self._proven(mix, shard) as path:
                self._db.execute('INSERT INTO samples SELECT sample_id, ?, file_row_number FROM read_parquet(?, file_row_number = true)',
                                 [self._add_file(mix, shard), path])


def _sibling_mix(snapshot: Snapshot) -> Snapshot | None:
    """Return the mix that a triples snapshot was made from, if it lies beside it: it holds the pictures of rejected candidates."""
    path = snapshot.path.resolve().parent / 'mix'
    if snapshot.kind == 'mix' or not (path / MANIFEST).is_file():
        return None
    found = open_snapshot(path)
    return found if found.snapshot_id == snapshot.manifest.get('parent') else None


def _unlike(snapshot: Snapshot, listed: dict, error: duckdb.Error) -> UserError:
    """Return what to raise for a file that is what was sealed, and yet not what a snapshot's files are."""
    told = str(error).splitlines()[0][:200]
    return UserError(f'{snapshot.path / listed["file"]}: expected rows of a {snapshot.kind} snapshot, found: {told}; run `phantom verify`')
