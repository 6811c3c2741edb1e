"""Small honest snapshots written by hand, rows and pictures of the test's choice, sealed by the rules of schemas/snapshot.py."""

import hashlib
import io
import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from curation.verdicts.lateness import differs_at
from pipelines.snapshot.mix_rows import text_of
from pipelines.snapshot.parquet import parquet_options, with_features
from pipelines.snapshot.seal import vouched
from schemas.records import MIX_ROWS, REJECTIONS, TRIPLE_ROWS, rows_table
from schemas.snapshot import SCHEMA_VERSION, file_sha256, row_digest, snapshot_id

SCHEMAS = {'mix': MIX_ROWS, 'triples': TRIPLE_ROWS}
OWN_UNIT = {'mix': 'sample', 'triples': 'candidate'}


def picture(colour: str, form: str = 'PNG', side: int = 32) -> bytes:
    """Return the bytes of a one-coloured picture."""
    out = io.BytesIO()
    Image.new('RGB', (side, side), colour).save(out, form)
    return out.getvalue()


def says(role: str, *parts: str) -> dict:
    """Return a message; a part '<image>' is an image part."""
    return {'role': role, 'content': [{'type': 'image', 'text': None} if p == '<image>' else {'type': 'text', 'text': p} for p in parts]}


def _common(number: int, images: list[bytes], source: str) -> dict:
    image_ids = [hashlib.sha256(data).hexdigest() for data in images]
    return {
        'images': [{'bytes': data, 'path': image_id} for data, image_id in zip(images, image_ids)], 'image_ids': image_ids,
        'cluster_ids': image_ids, 'sample_id': f'{source}/file.json#{number}/0', 'source': source, 'category': 'test', 'licence': 'MIT',
        'contamination': '', 'revision': 'r1', 'file': f'{source}/file.json', 'ordinal': number,
    }


def triple(number: int, *, prompt: list[dict] | None = None, images: list[bytes] | None = None, source: str = 'shapes', **other: object) -> dict:
    """Return a row of TRIPLE_ROWS; text-only unless pictures are given."""
    images = images or []
    asked = prompt or [says('user', *['<image>'] * len(images), f'Question number {number}?')]
    row = {
        **_common(number, images, source), 'prompt': asked, 'chosen': [says('assistant', f'right {number}')],
        'rejected': [says('assistant', f'wrong {number}')], 'triple_id': f'{source}/file.json#{number}/0/rules-0.0', 'kind': 'incorrect',
        'generator': 'rules', 'judge': 'computed answer', 'score': number / 10, 'scores': '{"wrong": 1.0}', 'reply_keys': [],
    }
    row = {**row, **other}
    return {**row, 'differs_at': differs_at(text_of(row['chosen'][0]), text_of(row['rejected'][0])), **other}


def sample(number: int, *, messages: list[dict] | None = None, images: list[bytes] | None = None, source: str = 'shapes', **other: object) -> dict:
    """Return a row of MIX_ROWS."""
    images = images or []
    said = messages or [says('user', *['<image>'] * len(images), f'Question number {number}?'), says('assistant', f'right {number}')]
    row = {**_common(number, images, source), 'messages': said, 'content_sha': f'{number:064x}', 'answers': 'open', 'n_bytes': 100}
    return {**row, **other}


def rejection(number: int, reason: str = 'LOW_MARGIN', *, unit: str = 'candidate', source: str = 'shapes', **content: object) -> dict:
    """Return a row of REJECTIONS; `content` is what is needed to look at it."""
    return {'unit': unit, 'id': f'{source}/file.json#{number}/0' + ('/rules-0.0' if unit == 'candidate' else ''), 'source': source, 'step': 'select',
            'reason': reason, 'detail': 'why', 'content': json.dumps(content) if content else ''}


def seal_rows(folder: Path, kind: str, splits: dict[str, list[list[dict]]] | list[dict], rejections: list[dict] = (), *,
              extras: dict[str, bytes] | None = None, **manifest: object) -> Path:
    """Return `folder`, a sealed snapshot of the rows: split -> shards of rows (or just the rows of one train shard).

    Its manifest vouches for rows alone, as those of older snapshots; `vouch` makes it one of today.
    """
    shards = splits if isinstance(splits, dict) else {'train': [list(splits)]}
    listed, kept = [], []
    schema = with_features(SCHEMAS[kind])
    for split, parts in shards.items():
        for i, rows in enumerate(parts):
            name = f'data/{split}-{i:05d}-of-{len(parts):05d}.parquet'
            write_rows(folder / name, rows, schema)
            listed.append({'split': split, **_info(folder, name)})
            kept += [row_digest({k: v for k, v in row.items() if k != 'images'}) for row in rows]
    (folder / 'rejections').mkdir(parents=True, exist_ok=True)
    name = 'rejections/part-00000.parquet'
    pq.write_table(rows_table(list(rejections), REJECTIONS), folder / name)
    out = {
        'schema_version': SCHEMA_VERSION, 'kind': kind, 'name': 'little', 'shards': listed, 'build': 'b', 'parent': None,
        'snapshot_id': snapshot_id(kept, [row_digest(row) for row in rejections]), 'rejections': [{'split': 'rejections', **_info(folder, name)}],
        'extras': [_extra(folder, *extra) for extra in (extras or {}).items()],
        'yield': _books(kind, [row for parts in shards.values() for rows in parts for row in rows], list(rejections)), **manifest,
    }
    (folder / 'README.md').write_text(f'# little\n\nSnapshot `{out["snapshot_id"]}`.\n')
    (folder / 'manifest.json').write_text(json.dumps(out))
    return folder


def vouch(folder: Path, **changes: object) -> Path:
    """Return `folder` with a manifest that vouches for itself, the card and all files; `changes` to it are sealed along."""
    manifest = {**json.loads((folder / 'manifest.json').read_text()), **changes}
    card = (folder / 'README.md').read_bytes()
    manifest['card'] = {'file': 'README.md', 'bytes': len(card), 'sha256': hashlib.sha256(card).hexdigest()}
    (folder / 'manifest.json').write_text(json.dumps(vouched(manifest)))
    return folder


def _extra(folder: Path, name: str, data: bytes) -> dict:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return {'file': name, 'bytes': len(data), 'sha256': hashlib.sha256(data).hexdigest()}


def write_rows(path: Path, rows: list[dict], schema: object) -> None:
    """Write one shard as the pipeline does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, schema, **parquet_options(schema)) as writer:
        writer.write_table(rows_table(rows, schema.remove_metadata()).cast(schema))


def _info(folder: Path, name: str) -> dict:
    path = folder / name
    return {'file': name, 'sha256': file_sha256(path), 'rows': pq.ParquetFile(path).metadata.num_rows, 'bytes': path.stat().st_size}


def _books(kind: str, rows: list[dict], rejections: list[dict]) -> list[dict]:
    own = OWN_UNIT[kind]
    kept = Counter((own, row['source']) for row in rows)
    rejected = Counter((r['unit'], r['source'], r['reason']) for r in rejections)
    lines = []
    for unit, source in sorted(kept.keys() | {(u, s) for u, s, _ in rejected}):
        reasons = {reason: n for (u, s, reason), n in sorted(rejected.items()) if (u, s) == (unit, source)}
        lines.append({'unit': unit, 'source': source, 'kept': kept[unit, source], 'rejected': reasons,
                      'n_in': kept[unit, source] + sum(reasons.values())})
    return lines
