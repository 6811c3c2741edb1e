"""An index over the Parquet files of a snapshot, in a temporary DuckDB file: filters, search and pages over millions of rows.

Texts are copied into it (compressed by DuckDB); pictures stay in the shards and are read one by one. A shard's bytes are proven when it is first
read, and again whenever it was touched since.
"""

import hashlib
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from pipelines.look.gallery.columns import CREATE, FINISH, SCAN, kept_columns, rejected_columns
from pipelines.look.gallery.query import MEASURES, SORTS, VIEWS, Query
from pipelines.look.gallery.thumbnail import longer_side
from pipelines.snapshot.verify_rows import MESSAGES, hole_in
from schemas.errors import UserError
from schemas.rating import CORRECT, RATINGS_FILE
from schemas.refusals import refusal_of
from schemas.snapshot import MANIFEST, Snapshot, open_snapshot

PAGE_ROWS = 200  # at most, per page
THREADS = 4
MEMORY = '1GB'  # beyond which DuckDB goes to its temporary file
SHORT = ('view', 'n', 'id', 'source', 'kind', 'reason', 'unit', 'generator', 'split', *MEASURES, 'question', 'chosen', 'rejected')
KIN = {'image': 'same picture', 'asked': 'same question', 'cluster': 'same near-duplicates'}  # column -> how rows that have it in common are related
KIN_SHOWN = 12
AGAIN_S = 0.02  # between interrupts of what takes too long
MOST_MEASURED = 50_000  # pictures: some seconds

_JUDGED = "(view = 'kept' OR (unit = 'candidate' AND NOT list_contains(?, reason)))"


class GalleryIndex:
    """The rows of one snapshot, and the pictures of it and of the mix beside it."""

    def __init__(self, path: Path):
        self.snapshot = open_snapshot(path)
        self.files: list[tuple[Snapshot, dict]] = []
        self.rated = ''  # the question whose ratings are the scores of a mix
        self._folder = tempfile.TemporaryDirectory(prefix='phantom-gallery-')
        self._db = duckdb.connect(str(Path(self._folder.name) / 'index.duckdb'))
        self._db.execute(f"SET threads = {THREADS}; SET memory_limit = '{MEMORY}'; SET temp_directory = '{self._folder.name}'")
        self._files = self._db  # what reads shards
        self._limited = threading.local()
        try:
            self._index()
        except BaseException:
            self.close()
            raise

    def _index(self) -> None:
        self._db.execute(CREATE)
        self._index_rows()
        self._index_ratings()
        self._index_pictures(self.snapshot)
        mix = self.snapshot if self.snapshot.kind == 'mix' else _sibling_mix(self.snapshot)
        if mix is not None and mix is not self.snapshot:
            self._index_pictures(mix)
        if mix is not None:
            self._index_samples(mix)
        self._db.execute('CREATE INDEX picture_by_id ON pictures (id); CREATE INDEX sample_by_id ON samples (id)')
        self._db.execute(FINISH)

    def seal(self) -> None:
        """Let nothing change the index from now on, and nothing asked of it reach a file."""
        if self._files is not self._db:
            return
        self._db.close()
        apart = str(Path(self._folder.name) / 'files')  # two databases do not share a folder of temporary files
        self._files = duckdb.connect(config={'threads': THREADS, 'memory_limit': MEMORY, 'temp_directory': apart})
        self._db = duckdb.connect(str(Path(self._folder.name) / 'index.duckdb'), read_only=True, config={
            'enable_external_access': False, 'threads': THREADS, 'memory_limit': MEMORY, 'temp_directory': self._folder.name})
        self._db.execute('SET lock_configuration = true')

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Interrupt what this thread asks of the index once the seconds are over: then it raises duckdb.InterruptException."""
        cursor, done = self._db.cursor(), threading.Event()

        def interrupt() -> None:
            if not done.wait(seconds):
                while not done.wait(AGAIN_S):  # a statement that has not begun is not interrupted
                    cursor.interrupt()

        watch = threading.Thread(target=interrupt, daemon=True)
        watch.start()
        self._limited.cursor = cursor
        try:
            yield
        finally:
            self._limited.cursor = None
            done.set()
            watch.join()

    def close(self) -> None:
        """Remove the index."""
        self._files.close()
        self._db.close()
        self._folder.cleanup()

    def ratings(self, sample_id: str) -> dict[str, float | None]:
        """Return what was rated of a sample, by question and rater."""
        rows = self.rows('SELECT ask, rater, score FROM ratings WHERE id = ? ORDER BY ask, rater', [sample_id]) if self.rated else []
        return {f'{ask} by {by}': score for ask, by, score in rows}

    def score(self, view: str, n: int) -> float | None:
        """Return the score of a row."""
        return next((score for (score,) in self.rows('SELECT score FROM entries WHERE view = ? AND n = ?', [view, n])), None)

    def flag(self, path: str, columns: tuple[str, ...], flag: str) -> None:
        """Flag the kept samples of a mix that some columns of a Parquet file name; flags stand where the reason of a rejected row does."""
        if self.snapshot.kind == 'mix':
            named = ' UNION '.join(f'SELECT {column} AS id FROM read_parquet($path)' for column in columns)
            self._db.execute(f"""UPDATE entries SET reason = concat_ws(', ', reason, $flag)
                                 WHERE view = 'kept' AND (reason IS NULL OR NOT contains(reason, $flag))
                                    AND n IN (SELECT n FROM texts JOIN ({named}) USING (id) WHERE view = 'kept')""", {'path': path, 'flag': flag})

    def flags(self, view: str, n: int) -> str | None:
        """Return the flags of a kept sample; None where it has none."""
        found = self.rows("SELECT reason FROM entries WHERE view = 'kept' AND n = ?", [n]) if view == 'kept' else []
        return next((flags for (flags,) in found), None)

    def page(self, query: Query, offset: int, limit: int) -> dict:
        """Return {total, rows}: how many rows match, and those from `offset` on, short."""
        where, values = query.where()
        total = self.rows(f'SELECT count(*) FROM entries WHERE {where}', values)[0][0]
        numbers = self.rows(f'SELECT n FROM entries WHERE {where} {SORTS[query.sort]} LIMIT ? OFFSET ?', [*values, min(limit, PAGE_ROWS), offset])
        found = self.short(query.view, [n for (n,) in numbers])
        return {'total': total, 'rows': [found[n] for (n,) in numbers]}

    def place(self, query: Query, n: int) -> int | None:
        """Return where among the rows that match one stands, None if it is not one of them."""
        where, values = query.where()
        found = self.rows(f"""SELECT place FROM (SELECT n, row_number() OVER ({SORTS[query.sort] or 'ORDER BY n'}) - 1 AS place
                              FROM entries WHERE {where}) WHERE n = ?""", [*values, n])
        return found[0][0] if found else None

    def short(self, view: str, numbers: list[int]) -> dict[int, dict]:
        """Return what lists show of some rows of a view, by their numbers."""
        names = (*SHORT, *KIN)
        found = self.rows(f'SELECT {", ".join(names)}, image IN (SELECT id FROM pictures) FROM entries JOIN texts USING (view, n) '
                          'WHERE view = ? AND list_contains(?, n)', [view, numbers])
        return {row[1]: dict(zip((*names, 'held'), row, strict=True)) for row in found}

    def measure(self) -> None:
        """Note the longer side of the first picture of each row, from the pictures' headers; where there are more than MOST_MEASURED of none."""
        if self.rows('SELECT count(*) FROM pictures', [])[0][0] > MOST_MEASURED:
            return
        for (file,) in self.rows('SELECT DISTINCT file FROM pictures ORDER BY 1', []):
            with self._proven(*self.files[file]) as path:
                cursor = self._db.cursor().execute(f'SELECT p.id, f.images[p.place].bytes FROM {SCAN} f '
                                                   'JOIN pictures p ON p.file = ? AND p.row = f.file_row_number', [path, file])
                while some := cursor.fetchmany(PAGE_ROWS):
                    sizes = [(name, longer_side(data)) for name, data in some]
                    self._db.execute('INSERT INTO sizes SELECT unnest(?), unnest(?)', [list(column) for column in zip(*sizes, strict=True)])
        self._db.execute('UPDATE entries SET px = sizes.px FROM sizes WHERE entries.image = sizes.id')

    def related(self, view: str, n: int) -> list[dict]:
        """Return [{why, total, rows}] of the rows, kept and rejected, that have picture, question or near-duplicates in common with one."""
        shown = []
        for column, why in KIN.items():
            alike = f'{column} = (SELECT {column} FROM entries WHERE view = ? AND n = ?) AND NOT (view = ? AND n = ?)'
            found = self.rows(f'SELECT view, n, count(*) OVER () FROM entries WHERE {alike} ORDER BY view, n LIMIT {KIN_SHOWN}', [view, n, view, n])
            by_view = {of: self.short(of, [at for where, at, _ in found if where == of]) for of in VIEWS}
            if found:
                shown.append({'why': why, 'total': found[0][2], 'rows': [by_view[of][at] for of, at, _ in found]})
        return shown

    def row(self, view: str, n: int) -> dict | None:
        """Return a whole row without its pictures, as it lies in its file, with its split; None if there is no such row."""
        found = self.rows('SELECT file, row, split FROM entries WHERE view = ? AND n = ?', [view, n])
        if not found:
            return None
        file, row, split = found[0]
        whole = self._whole(file, row) if view == 'kept' else self._read(file, row, '* EXCLUDE (file_row_number)')
        return {'split': split, **whole}

    def sample(self, sample_id: str) -> dict | None:
        """Return the row of the mix, this one or that beside triples, by its sample id, without pictures; None if it is not there."""
        for file, row in self.rows('SELECT file, row FROM samples WHERE id = ? LIMIT 1', [sample_id]):
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
            cursor = self._files.cursor().execute(f'SELECT {columns} FROM {SCAN} WHERE file_row_number = ?', [path, row])
            names = [column[0] for column in cursor.description]
            return dict(zip(names, cursor.fetchall()[0], strict=True))

    def picture(self, image_id: str) -> bytes | None:
        """Return the bytes of a picture by its id, None if neither the snapshot nor the mix beside it holds it."""
        found = self.rows('SELECT file, row, place FROM pictures WHERE id = ? LIMIT 1', [image_id])
        if not found:
            return None
        file, row, place = found[0]
        with self._proven(*self.files[file]) as path:
            data = self._files.cursor().execute(f'SELECT images[?].bytes FROM {SCAN} WHERE file_row_number = ?', [place, path, row]).fetchall()[0][0]
        if hashlib.sha256(data or b'').hexdigest() != image_id:
            raise UserError(f'{path}, row {row}: expected a picture with sha256 {image_id[:12]}..., found another; `phantom verify` names the rows')
        return data

    def find(self, name: str) -> tuple[str, int] | None:
        """Return (view, number) of the row with an id, kept if one is, None if there is none."""
        found = self.rows('SELECT view, n FROM texts WHERE id = ? ORDER BY view, n LIMIT 1', [name])
        return found[0] if found else None

    def first_held(self, view: str, n: int) -> str | None:
        """Return the id of a row's first picture where `picture` would find it."""
        found = self.rows('SELECT image FROM entries WHERE view = ? AND n = ? AND image IN (SELECT id FROM pictures)', [view, n])
        return found[0][0] if found else None

    def has_picture(self, image_id: str) -> bool:
        """Return whether `picture` would find it."""
        return bool(self.rows('SELECT 1 FROM pictures WHERE id = ? LIMIT 1', [image_id]))

    def numbers(self, view: str, limit: int) -> list[int]:
        """Return the numbers of at most `limit` rows of a view: all, or those with the lowest hash of their id."""
        found = self.rows('SELECT n FROM (SELECT n, id FROM texts WHERE view = ? ORDER BY sha256(id), n LIMIT ?) ORDER BY n', [view, limit])
        return [n for (n,) in found]

    def strata(self, unjudged: tuple[str, ...]) -> dict[tuple[str, bool], int]:
        """Return how many candidates each source has that the judge accepted (True) or refused; those rejected for `unjudged` reasons are neither."""
        rows = self.rows(f"SELECT source, view = 'kept', count(*) FROM entries WHERE {_JUDGED} GROUP BY ALL", [list(unjudged)])
        return {(source, accepted): n for source, accepted, n in rows}

    def draw(self, stratum: tuple[str, bool], n: int, unjudged: tuple[str, ...]) -> list[tuple[str, int, str]]:
        """Return (view, number, id) of the `n` candidates of a stratum with the lowest hash of their id."""
        return self.rows(f"""SELECT view, n, id FROM entries JOIN texts USING (view, n) WHERE {_JUDGED} AND source = ? AND (view = 'kept') = ?
                              ORDER BY sha256('audit/' || id), id LIMIT ?""", [list(unjudged), *stratum, n])

    def decisions(self, ids: list[str], unjudged: tuple[str, ...]) -> dict[str, tuple[str, bool]]:
        """Return id -> (source, accepted) for those of `ids` that are judged candidates."""
        rows = self.rows(f"SELECT id, source, view = 'kept' FROM entries JOIN texts USING (view, n) WHERE {_JUDGED} AND list_contains(?, id)",
                          [list(unjudged), ids])
        return {found: (source, accepted) for found, source, accepted in rows}

    def read_extra(self, listed: dict, sql: str, *values: object) -> list[tuple]:
        """Return the rows of a query over a Parquet file that the manifest lists among its extras; its path is the first value."""
        with self._proven(self.snapshot, listed) as path:
            return self._files.cursor().execute(sql, [path, *values]).fetchall()

    def rows(self, sql: str, values: list) -> list[tuple]:
        """Return the rows of a query over the index."""
        cursor = getattr(self._limited, 'cursor', None) or self._db.cursor()  # of its own: requests come on many threads
        return cursor.execute(sql, values).fetchall()

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

    def _index_rows(self) -> None:
        manifest = self.snapshot.manifest
        kept, rejected = kept_columns(manifest['kind']), rejected_columns()
        for view, files, columns in (('kept', manifest['shards'], kept), ('rejected', manifest['rejections'], rejected)):
            start = 0
            for listed in files:
                self._insert(view, listed, start, columns)
                start += listed['rows']

    def _insert(self, view: str, listed: dict, start: int, columns: tuple[str, str, str]) -> None:
        """Add the rows of one file, numbered from `start`. Only values come from the manifest."""
        facts, texts, scan = columns
        numbered = '? AS view, file_row_number + ? AS n'
        split = listed['split'] if view == 'kept' else ''
        with self._proven(self.snapshot, listed) as path:
            self._db.execute(f'INSERT INTO entries BY NAME SELECT {numbered}, ? AS file, file_row_number AS row, ? AS split, {facts} FROM {scan}',
                             [view, start, self._add_file(self.snapshot, listed), split, path])
            self._db.execute(f'INSERT INTO texts BY NAME SELECT {numbered}, {texts} FROM {scan}', [view, start, path])

    def _index_ratings(self) -> None:
        """Make the rating of `correct`, or of the first question there is, the score of the samples of a mix: the highest, as a threshold sees it."""
        listed = next((extra for extra in self.snapshot.manifest.get('extras', ()) if extra['file'] == RATINGS_FILE), None)
        if listed is None or self.snapshot.kind != 'mix':
            return
        with self._proven(self.snapshot, listed) as path:
            self._db.execute('INSERT INTO ratings SELECT sample_id, ask, score, "by" FROM read_parquet(?)', [path])
        asks = [ask for (ask,) in self.rows('SELECT DISTINCT ask FROM ratings ORDER BY ask', [])]
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
                strange = self.rows("""SELECT id FROM (SELECT unnest(image_ids) AS id FROM read_parquet(?))
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
