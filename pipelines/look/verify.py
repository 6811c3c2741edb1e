"""What `phantom verify` says of a snapshot, or of every snapshot of a build: its faults, for people or as JSON."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from pipelines.snapshot.signing import read_key, sign, signature_fault
from pipelines.snapshot.verify import Fault, find_faults, find_remarks
from schemas.errors import PendingWork, UserError
from schemas.inside import Closed
from schemas.json_text import print_json
from schemas.manifest import KINDS, MANIFEST
from schemas.snapshot import Snapshot, look_at, sealed_in

SHOWN, TOLD = 50, 1000  # faults printed in full, and as JSON; the rest are counted


def verify_snapshot(folder: Path, *, as_json: bool = False, signature: Path | None = None) -> int:
    """Verify the snapshot at `folder` or every one that a build's folder holds; return 0 if there is no fault, else 1.

    With `signature`, a public key or a file of allowed signers, each must be signed by it. Raises UserError where there is no snapshot, and for what
    may not be read; PendingWork where that may pass.
    """
    found = [_Looked(path, signature) for path in _snapshots_of(folder)]
    if not as_json:
        return max(_print_faults(one) for one in found)
    told = [_told(one) for one in found]
    print_json({'ok': not any(one['n_faults'] for one in told), 'snapshots': told})
    return int(any(one['n_faults'] for one in told))


def sign_snapshot(folder: Path, key: Path) -> int:
    """Verify the snapshot at `folder`, or every one that a build's folder holds, then sign each; return 0, or 1 where a fault keeps all unsigned."""
    read_key(key)  # before what takes long
    found = [_Looked(path, None) for path in _snapshots_of(folder)]
    ended = [_print_faults(one, signing=True) for one in found]  # every fault is told
    if any(ended):
        return 1
    for one in found:
        if one.snapshot is not None:
            print(f'signed: {sign(one.snapshot, key)}')
    return 0


def _snapshots_of(folder: Path) -> list[Path]:
    """Return what is to be verified: also a snapshot of a build that has lost its manifest."""
    if (folder / MANIFEST).exists() or not sealed_in(folder):
        return [folder]
    return [folder / kind for kind in KINDS if (folder / kind).is_dir()]


class _Looked:
    """A snapshot and its faults; one whose manifest cannot be read has that fault and nothing else."""

    def __init__(self, path: Path, signature: Path | None):
        self.path, self.signature, self.snapshot, self.odd = path, signature, None, ''
        try:
            self.snapshot = look_at(path)
        except (PendingWork, Closed):
            raise
        except UserError as e:
            if not (path / MANIFEST).is_file():
                raise
            self.odd = str(e)

    snapshot: Snapshot | None

    def faults(self) -> Iterator[Fault]:
        if self.snapshot is None:
            yield Fault(MANIFEST, None, self.odd)
            return
        if self.signature and (told := signature_fault(self.snapshot, self.signature)):
            yield Fault(MANIFEST, None, told)
        yield from find_faults(self.snapshot, show=True)

    def remarks(self) -> list[str]:
        return list(find_remarks(self.snapshot, signed=self.signature is not None)) if self.snapshot else []


def _print_faults(looked: _Looked, *, signing: bool = False) -> int:
    """Print every fault of a snapshot and a summary; return 0 if there is none, else 1."""
    n_faults = 0
    for fault in looked.faults():
        n_faults += 1
        if n_faults <= SHOWN:
            print(fault)
    if n_faults > SHOWN:
        print(f'... and {n_faults - SHOWN:,} more')
    for remark in [] if signing else looked.remarks():
        print(f'{looked.path}: {remark}', file=sys.stderr)
    if n_faults or looked.snapshot is None:
        print(f'{looked.path}: {n_faults:,} fault(s); do not train on it: copy it again from where it came, or remove it and build it again')
        return 1
    snapshot = looked.snapshot
    rows = sum(shard['rows'] for shard in snapshot.manifest['shards'])
    signed = f', signed by {looked.signature}' if looked.signature else ''
    print(f'{snapshot.path}: {rows:,} rows verified, {snapshot.kind} snapshot {snapshot.snapshot_id}{signed}')
    return 0


def _told(looked: _Looked) -> dict[str, Any]:
    """Return what a program is told of a snapshot: at most TOLD of its faults, and how many there are."""
    faults = looked.faults()
    first = [asdict(fault) for fault in islice(faults, TOLD)]
    manifest = looked.snapshot.manifest if looked.snapshot else {}
    named = {name: manifest.get(name) for name in ('kind', 'snapshot_id')}
    return {'path': str(looked.path), **named, 'n_faults': len(first) + sum(1 for _ in faults), 'faults': first, 'remarks': looked.remarks()}
