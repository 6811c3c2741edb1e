"""Benchmark items as one table: what contamination is checked against, and what `model/` is evaluated on.

A row (BENCH_ITEMS) has the question without options, the options without letters, and as answer the letter of the right option where there
are options, else the text ('' where it is not published). `meta` is a JSON object with what scoring needs besides (category, hint, query, ...);
`answers` in it are all that are accepted where there are several.
"""

import csv
import hashlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.rows.references import is_safe
from pipelines.benches.compared import Compared, lacks
from pipelines.benches.layouts.folder import folder_items
from pipelines.benches.layouts.item import Item
from pipelines.benches.layouts.layouts import LAYOUTS
from pipelines.engine.step import fingerprint
from pipelines.sources.archives import stamp_of
from pipelines.sources.digests import Digests
from pipelines.sources.images import ImageStore, ImageTooManyBytes, ImageUnavailable
from schemas.disk import globbed, is_file, is_folder, of_the_moment, readable, unreadable
from schemas.errors import PendingWork, UserError
from schemas.publish import drafted
from schemas.records import BENCH_ITEMS, rows_table
from schemas.snapshot import file_sha256
from schemas.telling import tell_news

ITEMS_AT_ONCE = 64  # each may hold several pictures
MAX_IMAGE_BYTES = 50_000_000
_ANNOTATIONS = ('.json', '.jsonl', '.parquet', '.arrow', '.tsv', '.csv', '.txt')


def read_items(name: str, layout: str, folder: Path, columns: Mapping[str, str] | None = None) -> Iterator[Item]:
    """Yield the items of a benchmark in one of the LAYOUTS, pictures unopened; raises UserError for a folder that is not in that layout.

    An id that the benchmark uses twice gets ~2, ~3, ... the next times.
    """
    if layout not in LAYOUTS:
        raise UserError(f'benchmark {name}: expected a format out of {", ".join(sorted(LAYOUTS))}, found {layout!r}')
    with readable(folder):
        there = is_folder(folder)
    if not there:
        raise UserError(f'benchmark {name}: expected a folder at {folder}, found none; is the path right?')
    seen: Counter = Counter()
    try:
        for item in folder_items(folder, columns) if columns else LAYOUTS[layout].items(folder):
            if not isinstance(item.question, str):
                raise UserError(f'item {item.item_id}: expected a question, found {type(item.question).__name__}')
            for text in (item.item_id, item.question, item.answer, *item.options):
                text.encode()  # half a surrogate pair is no text
            for image in item.images:
                if isinstance(image, str) and not is_safe(image) and '://' not in image:  # an address is a picture that is not here
                    raise UserError(f'item {item.item_id}: expected an image path inside the benchmark folder, found {image[:200]!r}')
            seen[item.item_id] += 1
            yield item if seen[item.item_id] == 1 else replace(item, item_id=f'{item.item_id}~{seen[item.item_id]}')
    except UserError as e:
        raise (PendingWork if isinstance(e, PendingWork) else UserError)(f'benchmark {name}: {e}') from e
    except (LookupError, TypeError, ValueError, AttributeError, OSError, csv.Error, pa.ArrowException) as e:
        if of_the_moment(e):
            raise unreadable(f'benchmark {name}: {folder}', e) from e
        found = f'{type(e).__name__} {e}'[:300]
        raise UserError(f'benchmark {name}: expected the {layout} layout in {folder}, found after {seen.total()} item(s): {found}') from e


def read_bench(
    name: str, layout: str, folder: Path, max_bytes: int, *, columns: Mapping[str, str] | None = None, compared: Compared | None = None,
    pictured: bool = True,
) -> Iterator[dict]:
    """Yield the BENCH_ITEMS rows of a benchmark, counted in `compared`. A picture that is not there is a UserError, or if not `pictured` counted."""
    compared = compared or Compared(layout)
    with readable(folder):
        store = image_store(name, layout, folder, max_bytes)
    for item in read_items(name, layout, folder, columns):
        compared.add(item)
        images = []
        for image in item.images:
            try:
                images.append({'bytes': image, 'path': ''} if isinstance(image, bytes) else {'bytes': store.read(f'{name}/{image}'), 'path': image})
            except (ImageUnavailable, ImageTooManyBytes) as e:
                if pictured:
                    raise UserError(f'benchmark {name}: item {item.item_id}: {e}; a benchmark must be complete, download it again') from e
                compared.lack('pictures', f'item {item.item_id}: {e}')
        yield {'bench': name, 'item_id': item.item_id, 'question': item.question, 'options': list(item.options), 'answer': item.answer,
               'images': images, 'meta': json.dumps(item.meta, sort_keys=True, ensure_ascii=False)}


def image_store(name: str, layout: str, folder: Path, max_bytes: int) -> ImageStore:
    """Return where the pictures of a benchmark lie, an images.zip that is not unpacked included."""
    roots = [str(folder / root) for root in LAYOUTS[layout].image_roots if (folder / root).is_dir()]
    if (folder / 'images.zip').is_file():
        roots += [str(folder / 'images.zip'), str(folder / 'images.zip' / 'images')]
    return ImageStore({name: tuple(roots)}, '', max_bytes)


def write_bench(name: str, layout: str, folder: Path, out: Path) -> int:
    """Write a benchmark as one Parquet file of BENCH_ITEMS, whole or not at all; tell what it lacks, return the number of its items."""
    compared = Compared(layout)
    items = read_bench(name, layout, folder, MAX_IMAGE_BYTES, compared=compared)
    n = 0
    try:
        with drafted(out) as draft:
            with pq.ParquetWriter(draft, BENCH_ITEMS) as writer:
                while run := list(itertools.islice(items, ITEMS_AT_ONCE)):
                    writer.write_table(rows_table(run, BENCH_ITEMS))
                    n += len(run)
            if n == 0:
                raise UserError(f'benchmark {name}: expected items in {folder}, found none')
        compared.finish(folder)
        for lack in lacks(compared):
            tell_news(f'benchmark {name}: {lack}')
    except OSError as e:
        raise UserError(f'{out}: expected a file that can be written, found: {e.strerror or e}') from e
    return n


def stamp_benchmark(name: str, folder: Path, layout: str = 'folder', digests: Digests | None = None) -> str:
    """Return a digest of the bytes of a benchmark's annotations and pictures, those outside its folder included.

    Pictures and archives of them that `digests` knows are not read.
    """
    with readable(folder):
        return _stamp_of(name, folder, layout, digests or Digests(None))


def _stamp_of(name: str, folder: Path, layout: str, known: Digests) -> str:
    if not is_folder(folder):
        raise UserError(f'benchmark {name}: expected a folder at {folder}, found none; check `path`')
    outside = [folder / root for root in LAYOUTS[layout].image_roots if root.startswith('..') and (folder / root).is_dir()]
    stamps = [_stamp(path, base, known) for base in (folder, *outside) for path in globbed(base, '**/*') if is_file(path)]
    if not stamps:
        raise UserError(f'benchmark {name}: expected files in {folder}, found none; check `path`')
    known.keep()
    return fingerprint(stamps)


def _stamp(path: Path, base: Path, digests: Digests) -> tuple[str, ...]:
    about = path.stat()
    if path.suffix in _ANNOTATIONS:
        mark = file_sha256(path)
    else:
        key = int.from_bytes(hashlib.sha256(os.fsencode(os.path.realpath(path))).digest()[:8], 'big', signed=True)
        mark = digests.of(key, stamp_of(about), lambda: bytes.fromhex(file_sha256(path))).hex()
    return path.relative_to(base).as_posix(), mark
