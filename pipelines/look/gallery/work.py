"""What no snapshot holds, from the working folder of its build while that is there: rejected pictures, those of benchmarks, flags of samples."""

import re
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from pipelines.engine.place import work_of
from pipelines.engine.uses import Uses, all_uses, uses_of
from pipelines.look.gallery.flagged import Flagged
from pipelines.snapshot.rows import media_type
from pipelines.sources.images import ImageTooManyBytes, ImageUnavailable, from_note
from schemas.errors import DamagedPicture, Unreadable
from schemas.pixels import BadImage, open_picture

MAX_PIXELS = 50_000_000  # of a picture that a browser is given; a rejected one may be a decompression bomb
_IMAGE_ID = re.compile('[0-9a-f]{64}')


def find_work(snapshot: Path, given: Path | None) -> 'WorkPictures | None':
    """Return the pictures of the work folder given, else of the snapshot's own build, else None; raises UserError where a given one holds none."""
    out = snapshot.resolve().parent
    folder = given or work_of(out)
    if given is not None or any(uses.out == out for uses in all_uses(folder, 'mix')):
        return WorkPictures(uses_of(folder, out, 'mix'))
    return None


class WorkPictures:
    """What a build's working folder still shows. References are opened below their source's roots only, as when the build read them."""

    def __init__(self, uses: Uses):
        for table in (*uses.tables('index'), *uses.tables('bench')):
            table.refuse_any_damaged()
        self.flagged = Flagged(uses)
        self._store = from_note(uses.about['store'], uses.work)
        self._images = [path for table in uses.tables('index') for path in table.parts()]  # image_facts has thousands
        self._items: dict[tuple[str, str], tuple[Path, int]] = {}
        for path in (path for table in uses.tables('bench') for path in table.parts('items')):
            names = pq.read_table(path, columns=['bench', 'item_id'])
            for row, name in enumerate(zip(names['bench'].to_pylist(), names['item_id'].to_pylist(), strict=True)):
                self._items[name] = (path, row)

    def picture(self, name: str) -> bytes | None:
        """Return the bytes behind a reference or of an image id if a browser may be given them, None otherwise."""
        try:
            data = self._store.read((self._reference(name) or name) if _IMAGE_ID.fullmatch(name) else name)
        except (ImageUnavailable, ImageTooManyBytes, Unreadable, DamagedPicture):
            return None
        return data if _harmless(data) else None

    def _reference(self, image_id: str) -> str | None:
        for path in self._images:
            with duckdb.connect() as db:
                found = db.execute('SELECT ref FROM read_parquet(?) WHERE image_id = ?', [str(path), image_id]).fetchone()
            if found:
                return found[0]
        return None

    def item(self, bench: str, item_id: str) -> dict | None:
        """Return a benchmark's item: question, options, answer, and the bytes of its pictures; None if the build read none of that name."""
        if (bench, item_id) not in self._items:
            return None
        path, row = self._items[bench, item_id]
        with duckdb.connect() as db:
            cursor = db.execute('SELECT question, options, answer, [i.bytes FOR i IN images] AS images FROM read_parquet(?, file_row_number = true) '
                                'WHERE file_row_number = ?', [str(path), row])
            names = [column[0] for column in cursor.description]
            found = dict(zip(names, cursor.fetchall()[0], strict=True))
        return {**found, 'images': [data if _harmless(data) else None for data in found['images']]}


def _harmless(data: bytes) -> bool:
    if media_type(data) == 'application/octet-stream':
        return False
    try:
        with open_picture(data, max_pixels=MAX_PIXELS):  # the header alone
            return True
    except BadImage:
        return False
