"""A sealed, self-describing snapshot folder: its manifest, its identity, how it is found and how it is opened."""

import hashlib
import json
import reprlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from schemas.errors import UserError
from schemas.inside import InsideFile, refuse_strange
from schemas.manifest import KINDS, MANIFEST, digest_fault, form_faults, listed_names, read_manifest
from schemas.proven import prove, proven

SCHEMA_VERSION = 1
DIGEST_BYTES = 32  # of a sha256
HASHED_AT_ONCE = 4  # files: about as many as keep a disk busy


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

    def listed(self, split: str = 'train') -> list[dict]:
        """Return what the manifest says of the Parquet files of `split`, in order; raises UserError for a split that is not there."""
        found = [shard for shard in self.manifest['shards'] if shard['split'] == split]
        if not found:
            have = sorted({shard['split'] for shard in self.manifest['shards']})
            raise UserError(f'snapshot {self.path}: expected split {split!r}, found {have}; name one of these')
        return found

    def shards(self, split: str = 'train') -> list[Path]:
        """Return the Parquet files of `split`, in order; raises UserError for a split that is not there."""
        return [self.path / shard['file'] for shard in self.listed(split)]

    def proven(self, entry: dict) -> AbstractContextManager[InsideFile]:
        """Give a file of the manifest open for reading, its bytes proven to be those that were sealed; raises UserError for others."""
        return proven(self.path / entry['file'], entry['sha256'], entry['bytes'])

    def prove(self, entry: dict) -> Path:
        """Return the path of a file of the manifest whose bytes are those that were sealed; raises UserError for others."""
        return prove(self.path / entry['file'], entry['sha256'], entry['bytes'])

    def prove_all(self) -> None:
        """Return if all rows, kept and rejected, are those that were sealed; raises UserError for others. What was proven lately costs nothing."""
        with ThreadPoolExecutor(HASHED_AT_ONCE) as pool:
            for _ in pool.map(self.prove, [*self.manifest['shards'], *self.manifest['rejections']]):
                pass


def open_snapshot(path: str | Path, kind: str = '') -> Snapshot:
    """Return the snapshot sealed at `path`, for its rows to be read.

    Raises UserError where there is none, one of another `kind` or an unknown schema version, a manifest that is damaged or not of our form, and
    files that are named but no plain files in it.
    """
    snapshot = look_at(path, kind)
    if fault := next(form_faults(snapshot.manifest), '') or digest_fault(snapshot.manifest):
        raise UserError(f'snapshot {snapshot.path}: {MANIFEST}: {fault}; copy the folder again from where it came, or remove it and build it again')
    for name in listed_names(snapshot.manifest):
        refuse_strange(snapshot.path, name)
    return snapshot


def look_at(path: str | Path, kind: str = '') -> Snapshot:
    """Return the snapshot at `path`, whatever its manifest says of itself: for who looks for its faults; raises UserError where none can be told."""
    folder = Path(path)
    if not (folder / MANIFEST).is_file():
        raise UserError(f'snapshot {folder}: expected {MANIFEST}, found none; a snapshot is finished only once it has one'
                        f' (run `phantom build RECIPE --out DIR` to the end){did_you_mean(folder, kind)}')
    manifest = read_manifest(folder)
    if manifest.get('schema_version') != SCHEMA_VERSION:
        raise UserError(f'snapshot {folder}: expected schema version {SCHEMA_VERSION}, found '
                        f'{_shown(manifest.get("schema_version"))}; use the phantom release that wrote it')
    if kind and manifest.get('kind') != kind:
        raise UserError(f'snapshot {folder}: expected kind {kind}, found {_shown(manifest.get("kind"))}{did_you_mean(folder, kind)}')
    return Snapshot(folder, manifest)


def _shown(value: object) -> str:
    return value[:80] if isinstance(value, str) else reprlib.repr(value)


def sealed_in(folder: Path) -> list[Path]:
    """Return the snapshots of a folder: itself, or those that it holds as the folder of a build, mix first."""
    if (folder / MANIFEST).is_file():
        return [folder]
    return [folder / kind for kind in KINDS if (folder / kind / MANIFEST).is_file()]


def find_snapshot(folder: Path, kind: str = '') -> Path:
    """Return the snapshot at a folder or, in the folder of a build, its triples, else its mix; with `kind` none but that.

    Raises UserError where there is none.
    """
    found = sealed_in(folder)
    fits = [path for path in found if path == folder or kind in ('', path.name)]
    if found and not fits:
        raise UserError(f'{folder}: expected sealed {kind} in this folder of a build, found only {found[0]}; '
                        'build to the end, without --mix-only and with `generate:` in the recipe')
    return open_snapshot(fits[-1] if fits else folder, kind).path


def find_alike(a: Path, b: Path) -> tuple[Path, Path]:
    """Return two snapshots to be held against each other: in folders of builds the triples where both have them, else the mixes."""
    of_a, of_b = ({open_snapshot(path).kind: path for path in sealed_in(folder)} for folder in (a, b))
    both = [kind for kind in KINDS if kind in of_a and kind in of_b]
    return (of_a[both[-1]], of_b[both[-1]]) if both else (find_snapshot(a), find_snapshot(b))


def find_build(folder: Path, *, itself: bool = False) -> Path:
    """Return the folder of a build, given itself or by a snapshot that lies in it; raises UserError for a snapshot where it must be `itself`."""
    named = next((path for path in (folder, folder.resolve()) if path.name in KINDS), None)
    if named is None or not (folder / MANIFEST).is_file():
        return folder
    if itself:
        raise UserError(f'{folder}: expected the folder of a build, all of it, found one of its snapshots; did you mean {named.parent}')
    return named.parent


def did_you_mean(folder: Path, kind: str = '') -> str:
    """Return what a message says of snapshots (of this kind) that lie in a folder or beside it, '' where there are none."""
    near = [path for place in (folder, folder.parent) for path in sealed_in(place) if path != folder and kind in ('', path.name)]
    return f'; did you mean {" or ".join(map(str, near))}' if near else ''


def row_digest(row: dict) -> bytes:
    """Return the sha256 of a row's canonical JSON. Rows carry image ids, never image bytes."""
    text = json.dumps(row, sort_keys=True, ensure_ascii=False, separators=(',', ':'))
    return hashlib.sha256(text.encode()).digest()


def snapshot_id(kept: Iterable[bytes], rejected: Iterable[bytes]) -> str:
    """Return sha256 of schema version, kept and rejected row digests, each in sorted order: independent of shards and workers.

    Each element is one digest, or several in a row.
    """
    fold = hashlib.sha256(f'phantom-snapshot-{SCHEMA_VERSION}'.encode())
    for name, digests in (('kept', kept), ('rejected', rejected)):
        fold.update(name.encode())
        fold.update(np.sort(np.frombuffer(b''.join(digests), f'S{DIGEST_BYTES}')).tobytes())  # 0.2 s a million, as Python's bytes 1.3 s
    return fold.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 hex of a file's bytes."""
    with open(path, 'rb') as handle:
        return hashlib.file_digest(handle, 'sha256').hexdigest()
