"""A small triples snapshot in the layout the trainer reads: coloured squares with computed answers, and text rows."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from schemas.snapshot import file_sha256

SMALL = str(Path(__file__).with_name('small.yaml'))  # a preset whose steps take milliseconds
COLOURS = {'red': (220, 30, 30), 'green': (30, 180, 60), 'blue': (40, 70, 220), 'yellow': (240, 220, 40)}
PART = pa.struct([('type', pa.string()), ('text', pa.string())])
MESSAGES = pa.list_(pa.struct([('role', pa.string()), ('content', pa.list_(PART))]))
SCHEMA = pa.schema(
    [
        ('images', pa.list_(pa.struct([('bytes', pa.binary()), ('path', pa.string())]))),
        ('prompt', MESSAGES),
        ('chosen', MESSAGES),
        ('rejected', MESSAGES),
        ('triple_id', pa.string()),
        ('sample_id', pa.string()),
        ('source', pa.string()),
        ('kind', pa.string()),
        ('score', pa.float64()),
    ]
)


def png(colour: tuple[int, int, int], side: int = 32) -> bytes:
    """A square of one colour."""
    buffer = io.BytesIO()
    Image.new('RGB', (side, side), colour).save(buffer, 'PNG')
    return buffer.getvalue()


def message(role: str, text: str, images: int = 0) -> list[dict]:
    """One turn in TRL's conversational form."""
    parts = [{'type': 'image', 'text': None}] * images + [{'type': 'text', 'text': text}]
    return [{'role': role, 'content': parts}]


def make_row(index: int) -> dict:
    """Row `index`: three of four ask for a colour, every fourth is text only."""
    names = list(COLOURS)
    name, other = names[index % 4], names[(index + 1) % 4]
    if index % 4 == 3:
        question, images, chosen, rejected = f'{index} + 1?', [], str(index + 1), str(index + 2)
    else:
        question, images = 'What colour?', [{'bytes': png(COLOURS[name], 32 + index), 'path': None}]
        chosen, rejected = name, other
    return {
        'images': images,
        'prompt': message('user', question, len(images)),
        'chosen': message('assistant', chosen),
        'rejected': message('assistant', rejected),
        'triple_id': f'toy/rows.json#{index}/0:1',
        'sample_id': f'toy/rows.json#{index}/0',
        'source': 'sums' if index % 4 == 3 else 'squares',
        'kind': 'incorrect' if index % 3 else 'ambiguous',
        'score': index / 10,
    }


def write_snapshot(
    folder: Path, rows: list[dict], *, snapshot_id: str = 'a' * 64, shards: int = 1, group: int = 8, validation: list[dict] | None = None
) -> Path:
    """A sealed triples snapshot of `rows`, spread over `shards` files with row groups of `group` rows, and of `validation` as another split."""
    (folder / 'data').mkdir(parents=True)
    names = []
    for split, some in (('train', rows), ('validation', validation)):
        for index in range(0 if some is None else shards):
            name = f'data/{split}-{index:05d}-of-{shards:05d}.parquet'
            table = pa.Table.from_pylist(some[index::shards], schema=SCHEMA)
            pq.write_table(table, folder / name, row_group_size=group)
            about = {'bytes': (folder / name).stat().st_size, 'rows': table.num_rows, 'sha256': file_sha256(folder / name)}
            names.append({'split': split, 'file': name, **about})
    manifest = {'schema_version': 1, 'snapshot_id': snapshot_id, 'kind': 'triples', 'name': 'toy', 'shards': names, 'rejections': [], 'yield': []}
    (folder / 'manifest.json').write_text(json.dumps(manifest))
    return folder
