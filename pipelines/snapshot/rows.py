"""The rows of a snapshot one by one, in its order, with bounded memory."""

from collections.abc import Iterator

import pyarrow.parquet as pq

from schemas.snapshot import Snapshot

BATCH_ROWS = 256  # with pictures of 100 KB about 25 MB


def splits_of(snapshot: Snapshot) -> list[str]:
    """Return the snapshot's splits, in the order of the manifest."""
    return list(dict.fromkeys(shard['split'] for shard in snapshot.manifest['shards']))


def each_row(snapshot: Snapshot, split: str, columns: list[str] | None = None) -> Iterator[dict]:
    """Yield every row of a split; only `columns` are read."""
    for path in snapshot.shards(split):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
                yield from batch.to_pylist()


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
