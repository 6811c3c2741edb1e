"""The files of a snapshot that are handed on, each with the ids by which the Hub knows contents."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from schemas.inside import open_file
from schemas.manifest import CARD, MANIFEST, SIGNATURES
from schemas.snapshot import Snapshot, file_sha256


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One file: its name in snapshot and repository, where it lies, its bytes and their sha256 hex."""

    name: str
    path: Path
    size: int
    sha256: str

    def blob_id(self) -> str:
        """Return git's id of the contents, by which the Hub knows small files."""
        with open_file(self.path) as file:
            return hashlib.sha1(b'blob %d\0' % self.size + file.read(), usedforsecurity=False).hexdigest()


def files_of(snapshot: Snapshot) -> list[SealedFile]:
    """Return what the manifest lists, then signatures, card and manifest; what else lies in the folder is not handed on."""
    listed = [entry for name in ('shards', 'rejections', 'extras') for entry in snapshot.manifest.get(name, [])]
    files = [SealedFile(entry['file'], snapshot.path / entry['file'], entry['bytes'], entry['sha256']) for entry in listed]
    beside = [snapshot.path / name for name in (*SIGNATURES, CARD, MANIFEST) if (snapshot.path / name).is_file()]
    return files + [SealedFile(path.name, path, path.stat().st_size, file_sha256(path)) for path in beside]
