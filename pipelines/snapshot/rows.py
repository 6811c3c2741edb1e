"""The rows of a snapshot one by one, in its order, with bounded memory; each file's bytes are proven before its first row is handed on."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.snapshot.verify_rows import Decoded, row_faults, schema_of
from schemas.errors import UserError
from schemas.inside import InsideFile
from schemas.snapshot import Snapshot

BATCH_ROWS = 256  # with pictures of 100 KB about 25 MB


def splits_of(snapshot: Snapshot) -> list[str]:
    """Return the snapshot's splits, in the order of the manifest."""
    return list(dict.fromkeys(shard['split'] for shard in snapshot.manifest['shards']))


def each_row(snapshot: Snapshot, split: str, columns: list[str] | None = None) -> Iterator[dict]:
    """Yield every row of a split; only `columns` are read."""
    for entry in snapshot.listed(split):
        with parquet(snapshot, entry) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
                yield from batch.to_pylist()


def sound_rows(snapshot: Snapshot, split: str) -> Iterator[dict]:
    """Yield every row of a split, whole; raises UserError for the first that `phantom verify` would name, pictures decoded or not."""
    for entry in snapshot.listed(split):
        with parquet(snapshot, entry) as file:
            for number, row in enumerate(row for batch in file.iter_batches(batch_size=BATCH_ROWS) for row in batch.to_pylist()):
                refuse_unsound(snapshot, entry, number, row)
                yield row


def refuse_unsound(snapshot: Snapshot, entry: dict, number: int, row: dict) -> None:
    """Raise UserError for a row of another form, or whose pictures are not the ones that its ids name; nothing of it may be handed on."""
    if fault := next(row_faults(row, snapshot.kind, Decoded()), None):
        raise UserError(f'{snapshot.path / entry["file"]}, row {number}: {fault}; do not use this snapshot, `phantom verify` names all its faults')


@contextmanager
def parquet(snapshot: Snapshot, entry: dict) -> Iterator[pq.ParquetFile]:
    """Give a data file of a snapshot open, proven and with the columns of its kind; raises UserError for another one."""
    with snapshot.proven(entry) as proven, parquet_of(proven) as file:
        if not file.schema_arrow.equals(schema_of(snapshot.kind, file.schema_arrow)):
            raise UserError(f'{proven.path}: expected the columns of a {snapshot.kind} snapshot, found others; `phantom verify` names them')
        yield file


@contextmanager
def parquet_of(proven: InsideFile) -> Iterator[pq.ParquetFile]:
    """Give a proven file open as Parquet; raises UserError where it was sealed as something else."""
    try:
        with pq.ParquetFile(proven) as file:
            yield file
    except pa.ArrowException as e:
        told = (str(e).splitlines() or [type(e).__name__])[0][:200]
        raise UserError(f'{proven.path}: expected Parquet, found bytes that do not read: {told}; `phantom verify` names the rows') from e


def media_type(data: bytes) -> str:
    """Return the media type that a picture's first bytes show; 'application/octet-stream' for anything a page must not show."""
    for magic, found in MAGIC:
        if data.startswith(magic):
            return found
    return 'image/webp' if data[:4] == b'RIFF' and data[8:12] == b'WEBP' else 'application/octet-stream'


MAGIC = (
    (b'\x89PNG\r\n\x1a\n', 'image/png'), (b'\xff\xd8\xff', 'image/jpeg'), (b'GIF87a', 'image/gif'), (b'GIF89a', 'image/gif'), (b'BM', 'image/bmp'),
    (b'II*\0', 'image/tiff'), (b'MM\0*', 'image/tiff'),
)  # fmt: skip
EXTENSION = {'image/png': 'png', 'image/jpeg': 'jpg', 'image/gif': 'gif', 'image/bmp': 'bmp', 'image/tiff': 'tif', 'image/webp': 'webp'}


def extension_of(data: bytes) -> str:
    """Return the file extension for a picture, by its bytes."""
    return EXTENSION.get(media_type(data), 'img')
