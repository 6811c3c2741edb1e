"""The planted cases as a file of the snapshot: what the judge was asked, what it said of each, and how many tokens that took."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.tables import Table
from pipelines.replies.store import ReplyStore
from pipelines.triples.calibration import CASES

FILE = 'calibration/cases.parquet'
SPENT = (('requests', pa.int32()), ('prompt_tokens', pa.int64()), ('completion_tokens', pa.int64()))
SEALED = pa.schema([field for field in CASES if field.name != 'reply_keys'] + [pa.field(*column) for column in SPENT])


def planted_file(planted: Table, replies: str | Path) -> dict[str, bytes]:
    """Return {FILE: the cases as Parquet, with the tokens of the replies that each is read from}; nothing where none was judged.

    Tokens are null where the store at `replies` no longer holds them.
    """
    out = io.BytesIO()
    store = ReplyStore(replies)
    n = 0
    try:
        with pq.ParquetWriter(out, SEALED, compression='zstd') as writer:
            for part in planted.batches():
                rows = _with_spent(part.to_pylist(), store)
                writer.write_table(pa.Table.from_pylist(rows, SEALED))
                n += len(rows)
    finally:
        store.close()
    return {FILE: out.getvalue()} if n else {}


def _with_spent(rows: list[dict], store: ReplyStore) -> list[dict]:
    found = store.get_many(key for row in rows for key in row['reply_keys'])
    told = []
    for row in rows:
        keys = row.pop('reply_keys')
        known = all(key in found for key in keys)
        tokens = {name: sum(getattr(found[key], name) for key in keys) if known else None for name in ('prompt_tokens', 'completion_tokens')}
        told.append({**row, 'requests': len(keys), **tokens})
    return told
