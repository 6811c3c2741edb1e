"""What `phantom verify` says of a snapshot, or of every snapshot of a build: its faults, for people or as JSON."""

from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from pipelines.snapshot.verify import find_faults
from schemas.json_text import print_json
from schemas.snapshot import Snapshot, open_snapshot, sealed_in

SHOWN, TOLD = 50, 1000  # faults printed in full, and as JSON; the rest are counted


def verify_snapshot(folder: Path, *, as_json: bool = False) -> int:
    """Verify the snapshot at `folder` or every one that a build's folder holds; return 0 if there is no fault, else 1."""
    found = [open_snapshot(path) for path in sealed_in(folder) or [folder]]
    if not as_json:
        return max(_print_faults(snapshot) for snapshot in found)
    told = [_told(snapshot) for snapshot in found]
    print_json({'ok': not any(one['n_faults'] for one in told), 'snapshots': told})
    return int(any(one['n_faults'] for one in told))


def _print_faults(snapshot: Snapshot) -> int:
    """Print every fault of a snapshot and a summary; return 0 if there is none, else 1."""
    n_faults = 0
    for fault in find_faults(snapshot, show=True):
        n_faults += 1
        if n_faults <= SHOWN:
            print(fault)
    if n_faults > SHOWN:
        print(f'... and {n_faults - SHOWN:,} more')
    if n_faults:
        print(f'{snapshot.path}: {n_faults:,} fault(s); do not train on it: copy it again from where it came, or build it again')
        return 1
    rows = sum(shard['rows'] for shard in snapshot.manifest['shards'])
    print(f'{snapshot.path}: {rows:,} rows verified, {snapshot.kind} snapshot {snapshot.snapshot_id}')
    return 0


def _told(snapshot: Snapshot) -> dict[str, Any]:
    """Return what a program is told of a snapshot: at most TOLD of its faults, and how many there are."""
    faults = find_faults(snapshot, show=True)
    first = [asdict(fault) for fault in islice(faults, TOLD)]
    named = {name: snapshot.manifest.get(name) for name in ('kind', 'snapshot_id')}
    return {'path': str(snapshot.path), **named, 'n_faults': len(first) + sum(1 for _ in faults), 'faults': first}
