"""A sealed, self-describing snapshot folder: its manifest, its identity, and how to open it."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import UserError

SCHEMA_VERSION = 1
MANIFEST = 'manifest.json'


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One finished snapshot. `manifest` is the parsed manifest.json."""

    path: Path
    manifest: dict

    @property
    def snapshot_id(self) -> str:
        """Return the sha256 hex that names the snapshot's content."""
        return self.manifest['snapshot_id']

    @property
    def kind(self) -> str:
        """Return 'mix' or 'triples'."""
        return self.manifest['kind']

    def shards(self, split: str = 'train') -> list[Path]:
        """Return the Parquet files of `split`, in order; raises UserError for a split that is not there."""
        names = [shard['file'] for shard in self.manifest['shards'] if shard['split'] == split]
        if not names:
            have = sorted({shard['split'] for shard in self.manifest['shards']})
            raise UserError(f'snapshot {self.path}: expected split {split!r}, found {have}; name one of these')
        return [self.path / name for name in names]


def open_snapshot(path: str | Path) -> Snapshot:
    """Return the snapshot sealed at `path`; raises UserError where there is none or an unknown schema version."""
    folder = Path(path)
    if not (folder / MANIFEST).is_file():
        raise UserError(f'snapshot {folder}: expected {MANIFEST}, found none; a snapshot is finished only once it has one'
                        ' (run `phantom build RECIPE --out DIR` to the end)')
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except ValueError as e:
        raise UserError(f'snapshot {folder}: {MANIFEST} is not JSON ({e}); the folder is damaged, build it again') from e
    if not isinstance(manifest, dict):
        raise UserError(f'snapshot {folder}: expected an object in {MANIFEST}, found something else; the folder is damaged, build it again')
    if manifest.get('schema_version') != SCHEMA_VERSION:
        raise UserError(f'snapshot {folder}: expected schema version {SCHEMA_VERSION}, found '
                        f'{manifest.get("schema_version")}; use the phantom release that wrote it')
    return Snapshot(folder, manifest)


def row_digest(row: dict) -> bytes:
    """Return the sha256 of a row's canonical JSON. Rows carry image ids, never image bytes."""
    text = json.dumps(row, sort_keys=True, ensure_ascii=False, separators=(',', ':'))
    return hashlib.sha256(text.encode()).digest()


def snapshot_id(kept: Iterable[bytes], rejected: Iterable[bytes]) -> str:
    """Return sha256 of schema version, kept and rejected row digests, each in sorted order: independent of shards and workers."""
    fold = hashlib.sha256(f'phantom-snapshot-{SCHEMA_VERSION}'.encode())
    for name, digests in (('kept', kept), ('rejected', rejected)):
        fold.update(name.encode())
        for digest in sorted(digests):
            fold.update(digest)
    return fold.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 hex of a file's bytes."""
    with open(path, 'rb') as handle:
        return hashlib.file_digest(handle, 'sha256').hexdigest()
