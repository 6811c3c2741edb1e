"""Writes a drafted source in its on-disk format; the same draft gives the same bytes."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.demo.parts import SourceDraft

EMOJI_SCHEMA = pa.schema([
    ('image', pa.struct([('bytes', pa.binary()), ('path', pa.string())])),
    ('question', pa.string()),
    ('answer', pa.string()),
]).with_metadata({'huggingface': json.dumps({'info': {'features': {
    'image': {'_type': 'Image'},
    'question': {'dtype': 'string', '_type': 'Value'},
    'answer': {'dtype': 'string', '_type': 'Value'},
}}})})  # fmt: skip


def write_source(folder: Path, draft: SourceDraft) -> None:
    """Write the pictures and the annotation file of one source into its folder."""
    for path, data in sorted(draft.images.items()):
        write_file(folder / path, data)
    records = [draft.records[key] for key in draft.ordered_keys()]
    target = folder / draft.annotation
    if draft.form == 'hf_parquet':
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(records, EMOJI_SCHEMA), target, compression='none', row_group_size=100)
    elif target.suffix == '.jsonl':
        write_file(target, jsonl_bytes(records))
    else:
        write_file(target, json_bytes(records))


def json_bytes(value: Any) -> bytes:
    """Return a JSON file."""
    return (json.dumps(value, ensure_ascii=False, indent=1) + '\n').encode()


def jsonl_bytes(records: list[dict[str, Any]]) -> bytes:
    """Return a JSON-lines file."""
    return ''.join(json.dumps(record, ensure_ascii=False) + '\n' for record in records).encode()


def write_file(path: Path, data: bytes) -> None:
    """Write one file, making its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
