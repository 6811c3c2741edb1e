"""The gallery as one folder that opens from disk: the page, its rows as scripts (a page from disk may not fetch), its pictures."""

import hashlib
import json
from pathlib import Path

from pipelines.look.gallery.against import BEFORE, Against, open_against
from pipelines.look.gallery.entry import entry, open_replies, work_picture
from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.overview import about
from pipelines.look.gallery.query import VIEWS
from pipelines.look.gallery.serve import FILES, page_file
from pipelines.look.gallery.work import WorkPictures, find_work
from pipelines.replies.store import ReplyStore
from pipelines.snapshot.inline_picture import for_browser
from pipelines.snapshot.rows import extension_of
from schemas.errors import UserError
from schemas.json_text import strict
from schemas.publish import drafted_folder, holds_something

CHUNK_ROWS = 200  # rows in one script


def export_gallery(
    snapshot: Path, out: Path, *, limit: int, replies: Path | None = None, work: Path | None = None, against: Path | None = None
) -> dict[str, int]:
    """Write the page to the new folder `out`; return rows per view and pictures. Beyond `limit` rows of a view a sample by id hash is taken.

    What the working folder still shows is written only where `work` names it: an exported page is made to be passed on.
    Raises UserError if `out` holds anything.
    """
    out = out.resolve()
    if holds_something(out):
        raise UserError(f'{out}: expected an empty or no folder to export to, found one that holds something; choose another folder')
    pictures = find_work(snapshot, work) if work else None
    index = GalleryIndex(snapshot)
    try:
        index.measure()
        if pictures:
            pictures.flagged.mark(index)
        with drafted_folder(out) as draft:
            (draft / 'images').mkdir()
            compared = open_against(index, against)
            try:
                scripts = _write_changes(compared, draft, limit) if compared else []
                return _write(index, open_replies(snapshot, replies), pictures, draft, limit, scripts)
            finally:
                if compared:
                    compared.close()
    finally:
        index.close()


def _write(
    index: GalleryIndex, replies: ReplyStore | None, work: WorkPictures | None, folder: Path, limit: int, compared: list[str]
) -> dict[str, int]:
    told, counts, scripts = about(index, against=bool(compared)), {}, []
    saved: dict[str, str] = {}
    for view in VIEWS:
        numbers = index.numbers(view, limit)
        counts[view] = told['views'][view]['exported'] = len(numbers)
        for start in range(0, len(numbers), CHUNK_ROWS):
            some = numbers[start : start + CHUNK_ROWS]
            short = index.short(view, some)
            rows = [{**row, 'short': short[n]} for n in some if (row := entry(index, replies, view, n, work)) is not None]
            for row in rows:
                for place, image in enumerate([*row['images'], *(image for other in row['beside'] for image in other['images'])]):
                    image['url'] = _save(index, work, (view, row['n'], place), image, folder, saved)
            scripts.append(f'rows-{view}-{start // CHUNK_ROWS:05d}.js')
            (folder / scripts[-1]).write_text(f'PHANTOM_ROWS.push(...{script_json(rows)});\n', encoding='utf-8')
    (folder / 'about.js').write_text(f'const PHANTOM_ROWS = [];\nconst PHANTOM_ABOUT = {script_json(told)};\n', encoding='utf-8')
    tags = ''.join(f'<script src="{name}" defer></script>\n' for name in ['about.js', *compared, *scripts])
    page = page_file('index.html').decode()
    (folder / 'index.html').write_text(page.replace('<script src="page.js"', tags + '<script src="page.js"'), encoding='utf-8')
    for name in FILES:
        (folder / name).write_bytes(page_file(name))
    return {**counts, 'pictures': len({name for name in saved.values() if name})}


def _write_changes(against: Against, folder: Path, limit: int) -> list[str]:
    """Write what changed, the rows as they were and as they are; return the scripts that hold it."""
    numbers = against.numbers(limit)
    told = {**against.told(), 'exported': len(numbers)}
    (folder / 'changes.js').write_text(f'const PHANTOM_CHANGES = [];\nconst PHANTOM_COMPARED = {script_json(told)};\n', encoding='utf-8')
    scripts, saved = ['changes.js'], dict[str, str]()
    for start in range(0, len(numbers), CHUNK_ROWS):
        rows = [{**against.change(n), 'pair': _with_pictures(against, against.pair(n), folder, saved)} for n in numbers[start : start + CHUNK_ROWS]]
        scripts.append(f'changes-{start // CHUNK_ROWS:05d}.js')
        (folder / scripts[-1]).write_text(f'PHANTOM_CHANGES.push(...{script_json(rows)});\n', encoding='utf-8')
    return scripts


def _with_pictures(against: Against, pair: dict | None, folder: Path, saved: dict[str, str]) -> dict | None:
    for side, index in (('before', against.before), ('after', against.after)):
        for place, image in enumerate(((pair or {}).get(side, {}).get('entry') or {'images': []})['images']):
            bare = {**image, 'address': image['address'].removeprefix(BEFORE)}
            image['url'] = _save(index, None, ('kept', 0, place), bare, folder, saved)
    return pair


def _save(
    index: GalleryIndex, work: WorkPictures | None, at: tuple[str, int, int], image: dict, folder: Path, saved: dict[str, str]
) -> str:
    """Return where in the folder a picture lies, '' if it is not there; each distinct one is written once, under the sha256 of its bytes."""
    if not image['here']:
        return ''
    if image['address'] not in saved:
        data = index.picture(image['id']) if image['address'].startswith('image/') else work_picture(index, work, *at)
        data = for_browser(data)[1] if data else None
        name = f'images/{hashlib.sha256(data).hexdigest()}.{extension_of(data)}' if data else ''
        if data:
            (folder / name).write_bytes(data)
        saved[image['address']] = name
    return saved[image['address']]


def script_json(value: object) -> str:
    """Return JSON that is safe inside a script: no `<`, no line separators of JavaScript."""
    text = json.dumps(strict(value), ensure_ascii=False, default=str, allow_nan=False)
    return text.replace('<', '\\u003c').replace('\u2028', '\\u2028').replace('\u2029', '\\u2029')
