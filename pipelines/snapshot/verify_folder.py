"""What lies in the folder of a snapshot, held against what its manifest names. Nothing but plain files is opened."""

import os
from collections.abc import Iterator
from pathlib import Path

from schemas.errors import UserError
from schemas.inside import COPY, KINDS, hub_blob, kind_of, open_file, unreadable
from schemas.manifest import CARD, MANIFEST, SIGNATURES, listed_names
from schemas.proven import sha256_of
from schemas.snapshot import Snapshot

# What git and the Hub's client leave in a folder they fetched; it is passed over, and no reader of ours looks at it.
LEFT_BY_HUB = ('.git', '.gitattributes', '.cache/huggingface', '.huggingface')
CARD_BYTES = 10_000_000  # of a card that is searched for the snapshot's id


def folder_faults(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Yield (file, fault) of everything that is missing, too much, or no plain file, and of the files that hold no rows."""
    listed = listed_names(snapshot.manifest)
    named = {*listed, MANIFEST, CARD, *SIGNATURES}
    folders = {str(parent) for name in [*named, *LEFT_BY_HUB] for parent in Path(name).parents}
    plain = set()
    for name, kind in _walk(snapshot.path, folders):
        if kind == 'a file' and name in named:
            plain.add(name)
        elif kind in ('a file', 'a folder') and name not in named:
            yield name, f'expected only files that {MANIFEST} lists, found one more' if kind == 'a file' else f'expected no such folder, found {kind}'
        else:
            yield name, f'expected a file, found {kind}' + (f'; {COPY}' if kind == 'a link' and name in named else '')
    yield from ((name, 'expected a file, found none') for name in listed if name not in plain and not os.path.lexists(snapshot.path / name))
    yield from _card_faults(snapshot, plain)
    for entry in snapshot.manifest.get('extras', []):
        if entry['file'] in plain:
            yield from ((entry['file'], told) for told in differences(snapshot.path, entry))


def _walk(root: Path, folders: set[str]) -> Iterator[tuple[str, str]]:
    """Yield (name, kind) of what lies in a folder, down to where no file of it can be."""
    waiting = ['']
    while waiting:
        at = waiting.pop()
        try:
            with os.scandir(root / at) as found:
                entries = sorted((entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in found)
        except OSError as e:
            raise unreadable(root / at, e) from e
        for own, mode in entries:
            name = f'{at}/{own}' if at else own
            kind = next((told for is_one, told in KINDS if is_one(mode)), 'a file')
            if kind == 'a link' and hub_blob(root / name) is not None:
                kind = 'a file'
            if name in LEFT_BY_HUB and kind in ('a file', 'a folder'):
                continue
            if kind == 'a folder' and name in folders:
                waiting.append(name)
            else:
                yield name, kind


def _card_faults(snapshot: Snapshot, plain: set[str]) -> Iterator[tuple[str, str]]:
    card, wanted = snapshot.manifest.get('card'), f'expected a card that names snapshot {snapshot.snapshot_id}'
    if CARD not in plain:
        if not os.path.lexists(snapshot.path / CARD):
            yield CARD, f'{wanted}, found none'
    elif card is not None:
        if any(differences(snapshot.path, card)):
            yield CARD, ('expected the card that was sealed, found another text: it was edited since, on the Hub perhaps; rows and manifest do not '
                         'depend on it, but nothing vouches for what it says')  # fmt: skip
    else:
        with open_file(snapshot.path / CARD) as file:
            text = file.read(CARD_BYTES)
        if snapshot.snapshot_id.encode() not in text:  # `datasets` tells snapshots apart by it
            yield CARD, f'{wanted}, found another'


def differences(folder: Path, entry: dict) -> Iterator[str]:
    """Yield how a file's bytes differ from what the manifest says of them."""
    with open_file(folder / entry['file']) as file:
        size, found = os.fstat(file.fileno()).st_size, sha256_of(file)
    if size != entry['bytes']:
        yield f'expected {entry["bytes"]:,} bytes, found {size:,}'
    if found != entry['sha256']:
        yield f'expected sha256 {entry["sha256"][:16]}..., found {found[:16]}...'


def is_plain(path: Path) -> bool:
    """Return whether a plain file lies there."""
    try:
        return kind_of(path) == ''
    except UserError:
        return False
