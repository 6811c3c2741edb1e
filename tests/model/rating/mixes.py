"""A small mix snapshot: coloured squares of different sizes, each its own star unless said otherwise, and text rows."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.records import MIX_ROWS
from schemas.snapshot import file_sha256
from tests.model.training.snapshots import COLOURS, message, png

NAMES = list(COLOURS)


def mix_row(index: int, *, label: str = '', stars: list[str] | None = None, source: str = 'squares', side: int = 0) -> dict:
    """A question for the colour of a square of side `side`, or 32 + index; its answer is the truth unless `label` says another."""
    colour = NAMES[index % 4]
    picture = png(COLOURS[colour], side or 32 + index)
    name = hashlib.sha256(picture).hexdigest()
    return {
        **dict.fromkeys(MIX_ROWS.names), 'images': [{'bytes': picture, 'path': name}], 'image_ids': [name], 'cluster_ids': stars or [name],
        'messages': message('user', 'What colour?', 1) + message('assistant', label or colour), 'sample_id': f'{source}/rows.json#{index}/0',
        'source': source,
    }  # fmt: skip


def text_row(index: int, question: str, answer: str) -> dict:
    """A question without a picture."""
    return {
        **dict.fromkeys(MIX_ROWS.names), 'images': [], 'image_ids': [], 'cluster_ids': [], 'sample_id': f'sums/rows.json#{index}/0',
        'messages': message('user', question) + message('assistant', answer), 'source': 'sums',
    }  # fmt: skip


def write_mix(folder: Path, rows: list[dict], *, snapshot_id: str = 'a' * 64, group: int = 8) -> Path:
    """A sealed mix snapshot of these rows in one file."""
    (folder / 'data').mkdir(parents=True)
    name = 'data/train-00000-of-00001.parquet'
    pq.write_table(pa.Table.from_pylist(rows, schema=MIX_ROWS), folder / name, row_group_size=group)
    shard = {'split': 'train', 'file': name, 'bytes': (folder / name).stat().st_size, 'rows': len(rows), 'sha256': file_sha256(folder / name)}
    manifest = {'schema_version': 1, 'snapshot_id': snapshot_id, 'kind': 'mix', 'name': 'toy', 'shards': [shard], 'rejections': [], 'yield': []}
    (folder / 'manifest.json').write_text(json.dumps(manifest))
    return folder
