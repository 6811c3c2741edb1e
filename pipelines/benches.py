"""Benchmark items as one table: what contamination is checked against, and what `model/` is evaluated on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.formats import is_safe
from curation.images import ImageFacts, ImageLimits, inspect_image
from pipelines.images import ImageStore, ImageTooManyBytes, ImageUnavailable
from pipelines.sources.containers import Malformed, chunks, rows
from pipelines.steps import ShardStep
from pipelines.tables import ShardWriter, fingerprint
from schemas.errors import UserError
from schemas.records import BENCH_ITEMS, rows_table

VERSION = 1
BATCH = 64  # items written at once; each may hold several pictures
FINGERPRINTS = pa.schema([
    ('bench', pa.string()), ('item_id', pa.string()), ('question', pa.string()), ('answer', pa.string()), ('n_images', pa.int32()),
    ('phash64', pa.list_(pa.uint64())), ('phash256', pa.list_(pa.binary(32))), ('thumb', pa.list_(pa.binary(192))),
    ('is_document', pa.list_(pa.bool_())),
])


def annotation_files(name: str, folder: Path) -> list[Path]:
    """Return the .json, .jsonl and .parquet files of a benchmark folder, sorted; raises UserError where there are none."""
    files = sorted(path for suffix in ('json', 'jsonl', 'parquet') for path in folder.glob(f'*.{suffix}'))
    if not files:
        raise UserError(f'benchmark {name}: expected .json, .jsonl or .parquet files in {folder}, found none; check `path`')
    return files


def read_items(name: str, folder: Path, max_bytes: int) -> Iterator[dict]:
    """Yield BENCH_ITEMS rows of a folder whose rows have question, answer, and optionally id, options, image(s); raises UserError for others."""
    store = ImageStore({name: (str(folder),)}, '', max_bytes)
    for path in annotation_files(name, folder):
        for chunk in chunks(name, folder, path.name):
            for ordinal, row in rows(chunk, folder):
                where = f'benchmark {name}: {path}#{ordinal}'
                if isinstance(row, Malformed) or 'question' not in row:
                    found = row.found if isinstance(row, Malformed) else f'keys {sorted(row)}'
                    raise UserError(f'{where}: expected an object with question and answer, found {found}')
                images = row.get('images') or ([row['image']] if row.get('image') else [])
                yield {
                    'bench': name, 'item_id': str(row.get('id', ordinal)), 'question': str(row['question']),
                    'options': [str(option) for option in row.get('options') or []], 'answer': str(row.get('answer', '')),
                    'images': [_image(store, name, image, where) for image in images], 'meta': '{}',
                }


def _image(store: ImageStore, name: str, image: object, where: str) -> dict:
    if isinstance(image, dict) and image.get('bytes') is not None:
        return {'bytes': image['bytes'], 'path': str(image.get('path') or '')}
    reference = image.get('path') if isinstance(image, dict) else image
    if not isinstance(reference, str) or not is_safe(reference):
        raise UserError(f'{where}: expected an image path inside the benchmark folder, found {str(reference)[:200]!r}')
    try:
        return {'bytes': store.read(f'{name}/{reference.removeprefix("./")}'), 'path': reference}
    except (ImageUnavailable, ImageTooManyBytes) as e:
        raise UserError(f'{where}: {e}; a benchmark must be complete, download it again') from e


@dataclass
class ReadBenchmark(ShardStep):
    """Writes `items` (BENCH_ITEMS) and `part` (FINGERPRINTS) of one benchmark folder."""

    limits: ImageLimits

    def process(self, shard: tuple[str, str], writer: ShardWriter) -> None:
        name, folder = shard
        run: list[dict] = []
        writer.write('part', FINGERPRINTS.empty_table())
        for item in read_items(name, Path(folder), self.limits.max_bytes):
            run.append(item)
            if len(run) == BATCH:
                self._write(run, writer)
                run = []
        if run:
            self._write(run, writer)

    def _write(self, items: list[dict], writer: ShardWriter) -> None:
        writer.write('items', rows_table(items, BENCH_ITEMS))
        prints = []
        for item in items:
            facts = [found for image in item['images'] if isinstance(found := inspect_image(image['bytes'], self.limits), ImageFacts)]
            prints.append({
                **{key: item[key] for key in ('bench', 'item_id', 'question', 'answer')}, 'n_images': len(item['images']),
                'phash64': [f.phash64 for f in facts], 'phash256': [f.phash256 for f in facts], 'thumb': [f.thumb for f in facts],
                'is_document': [f.kind == 'document' for f in facts],
            })
        writer.write('part', rows_table(prints, FINGERPRINTS))


def stamp_benchmark(name: str, folder: Path) -> str:
    """Return a digest of a benchmark's annotations (by sha256) and pictures (by size and time)."""
    from schemas.snapshot import file_sha256

    annotations = [(path.name, file_sha256(path)) for path in annotation_files(name, folder)]
    pictures = sorted((str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns)
                      for path in folder.rglob('*') if path.is_file() and path.parent != folder)
    return fingerprint(annotations, pictures)


def read_prints(paths: list[Path]) -> pa.Table:
    """Return the FINGERPRINTS of several benchmarks as one table."""
    return pa.concat_tables([FINGERPRINTS.empty_table(), *(pq.read_table(path, schema=FINGERPRINTS) for path in paths)])
