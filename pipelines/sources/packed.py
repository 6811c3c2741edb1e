"""Pictures that a source embeds, packed once under the sha256 of their bytes, which tells whether they are still those: what a disk lost of them
is made again from the source, by reading again the records that they came from."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from pipelines.engine.engine import Engine
from pipelines.engine.step import Step
from pipelines.engine.tables import Table
from pipelines.sources.images import PACKED, packed_path
from schemas.publish import sync_all
from schemas.telling import tell_news


def sync_packed(folder: Path, references: list[str]) -> None:
    """Return once the packed pictures of some references are on the disk: before the shard that holds them is counted."""
    if references:
        sync_all(dict.fromkeys(path for path in _packed(folder, [references]) if path.exists()))


def samples_with_pictures(engine: Engine, reading: Iterable[Step], packed: str) -> tuple[Table, ...]:
    """Return the tables of samples; records whose packed pictures are gone or empty are read again."""
    steps = list(reading)
    tables = engine.run_each(steps)
    return engine.run_each(steps) if not engine.dry and drop_lost(tables, packed) else tables


def drop_lost(tables: Sequence[Table], packed: str, *, whole: bool = False) -> bool:
    """Remove packed pictures that are empty, or with `whole` hold other bytes than their name says; returns whether records are to be read again.

    These are the shards of records that refer to a picture that is not there.
    """
    again = False
    for table in tables:
        for part in table.parts():
            lost = [path for path in _packed(Path(packed), pq.read_table(part, columns=['images'])['images'].to_pylist()) if _is_lost(path, whole)]
            if lost:
                tell_news(f'{table.label}: {len(lost)} packed pictures are damaged, such as {lost[0]}: made again from the source')
                for path in lost:
                    path.unlink(missing_ok=True)
                table.drop(int(part.stem.rpartition('-')[2]))
                again = True
    return again


def _packed(folder: Path, references: Iterable[list[str]]) -> Iterator[Path]:
    for reference in (one for some in references for one in some):
        name = reference.partition('/')[2]
        if name.startswith(PACKED) and len(name) == len(PACKED) + 64 and name.removeprefix(PACKED).isalnum():
            yield packed_path(folder, name.removeprefix(PACKED))


def _is_lost(path: Path, whole: bool) -> bool:
    try:
        if whole:
            with open(path, 'rb') as file:
                return hashlib.file_digest(file, 'sha256').hexdigest() != path.name
        return path.stat().st_size == 0
    except FileNotFoundError:
        return True
