"""Whether a snapshot is what its manifest says: the manifest itself, checksums, schema, identity, books, and every row with its pictures.

Each file is read in a process of its own, which damaged bytes may end. One pass over the files, a row group at a time. What grows with the rows is
16 bytes for an id and 32 for a digest: 2.8 M rows hold 135 MB.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import Progress

from pipelines.engine.progress import console
from pipelines.snapshot.apart import DiedApart, apart
from pipelines.snapshot.digests import row_digests
from pipelines.snapshot.verify_folder import differences, folder_faults, is_plain
from pipelines.snapshot.verify_rows import ID_COLUMN, Decoded, rejection_faults, row_faults, schema_of
from schemas.accounting import Line, unbalanced
from schemas.inside import open_file
from schemas.manifest import DIGEST, LISTS, MANIFEST, SIGNATURES, digest_fault, form_faults
from schemas.pixels import DECODE_ERRORS, MOST_PIXELS, open_picture
from schemas.records import REJECTIONS
from schemas.snapshot import Snapshot, snapshot_id
from schemas.telling import is_hushed

BATCH_ROWS = 256  # rows held at once; with pictures of 100 KB about 25 MB
OWN_UNIT = {'mix': 'sample', 'triples': 'candidate'}  # what a row of the snapshot is, in the words of its rejections
MOST_ODD = 100  # faults of a manifest's form that are told; nothing else is looked at then
DAMAGE = (pa.ArrowException, OSError, ValueError, MemoryError)  # what reading damaged Parquet ends with


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: the file, the row in it (None: the whole file), and what was expected and found."""

    file: str
    row: int | None
    what: str

    def __str__(self) -> str:
        return f'{self.file if self.file.isprintable() else ascii(self.file)}{"" if self.row is None else f", row {self.row}"}: {self.what}'


@dataclass
class _Seen:
    """What is remembered over all files: digests and ids as bytes, pictures' clusters per split."""

    kept: list[bytes] = field(default_factory=list)
    rejected: list[bytes] = field(default_factory=list)
    ids: list[np.ndarray] = field(default_factory=list)
    places: list[tuple[str, int]] = field(default_factory=list)  # (file, rows) in the order of `ids`
    clusters: dict[str, set[bytes]] = field(default_factory=dict)
    reasons: Counter = field(default_factory=Counter)
    readable: bool = True

    def add(self, other: '_Seen') -> None:
        """Remember also what was seen of the next file."""
        for name in ('kept', 'rejected', 'ids', 'places'):
            getattr(self, name).extend(getattr(other, name))
        for split, clusters in other.clusters.items():
            self.clusters.setdefault(split, set()).update(clusters)
        self.reasons.update(other.reasons)
        self.readable &= other.readable


def find_faults(snapshot: Snapshot, *, show: bool = False) -> Iterator[Fault]:
    """Yield every fault of a snapshot, file by file, then those that only all files together show."""
    if told := digest_fault(snapshot.manifest):
        yield Fault(MANIFEST, None, told)
    wrong = list(_manifest_faults(snapshot))
    yield from wrong
    if any(fault.file == MANIFEST for fault in wrong):
        return
    seen = _Seen()
    listed = [(entry, False) for entry in snapshot.manifest['shards']] + [(entry, True) for entry in snapshot.manifest['rejections']]
    with Progress(console=console, disable=is_hushed() or not (show and console.is_terminal)) as bar:
        task = bar.add_task('verify', total=sum(entry['bytes'] for entry, _ in listed))
        for entry, is_rejections in listed:
            if is_plain(snapshot.path / entry['file']):
                yield from _faults_apart(snapshot, entry, is_rejections, seen)
            else:
                seen.readable = False
            bar.advance(task, entry['bytes'])
    yield from _whole_faults(snapshot, seen)


def find_remarks(snapshot: Snapshot, *, signed: bool) -> Iterator[str]:
    """Yield what is no fault of a snapshot, but what who trusts it should know."""
    if DIGEST not in snapshot.manifest:
        yield ('sealed before manifests vouched for themselves: its rows were checked, but not whether licence, calibration, cost, recipe or card '
               'are those that were sealed; `phantom select` with its recipe, --work and a new --out seals it again without asking anybody')
    there = [name for name in SIGNATURES if is_plain(snapshot.path / name)]
    if there and not signed:
        yield f'{there[0]} was not looked at: --signature KEY.pub tells whether it is by who you think it is'


def books_of(manifest: dict) -> list[Line]:
    """Return the books of a manifest without faults."""
    return [Line(**{name: line[name] for name in LISTS['yield']}) for line in manifest['yield']]


def _faults_apart(snapshot: Snapshot, entry: dict, is_rejections: bool, seen: _Seen) -> Iterator[Fault]:
    """Yield the faults of a file, read in a process of its own, and remember what was seen of it."""
    try:
        for found in apart(partial(_look_through, snapshot, entry, is_rejections)):
            if isinstance(found, _Seen):
                seen.add(found)
            else:
                yield found
    except DiedApart as e:
        seen.readable = False
        yield Fault(entry['file'], None, f'expected a file that can be read, found one whose bytes end the process that reads them ({e})')


def _look_through(snapshot: Snapshot, entry: dict, is_rejections: bool) -> Iterator[Fault | _Seen]:
    seen = _Seen()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from _file_faults(snapshot, entry, is_rejections, (seen, pool))
    yield seen


def _manifest_faults(snapshot: Snapshot) -> Iterator[Fault]:
    manifest = snapshot.manifest
    odd = list(islice(form_faults(manifest), MOST_ODD))
    yield from (Fault(MANIFEST, None, what) for what in odd)
    if odd:
        return
    yield from (Fault(name, None, what) for name, what in folder_faults(snapshot))
    for told in unbalanced(books_of(manifest)):
        yield Fault(MANIFEST, None, f'expected in = kept + rejected, found {told}')


def _file_faults(snapshot: Snapshot, entry: dict, is_rejections: bool, shared: tuple[_Seen, ThreadPoolExecutor]) -> Iterator[Fault]:
    name, path = entry['file'], snapshot.path / entry['file']
    yield from (Fault(name, None, told) for told in differences(snapshot.path, entry))
    with open_file(path) as handle:
        try:
            file = pq.ParquetFile(handle)
        except DAMAGE as e:
            shared[0].readable = False
            yield Fault(name, None, f'expected a Parquet file, found one that does not open: {_first_line(e)}')
            return
        yield from _content_faults(snapshot, entry, is_rejections, (file, *shared))


def _content_faults(snapshot: Snapshot, entry: dict, is_rejections: bool, about: tuple) -> Iterator[Fault]:
    name, (file, *shared) = entry['file'], about
    with file:
        schema = REJECTIONS if is_rejections else schema_of(snapshot.kind, file.schema_arrow)
        yield from _schema_faults(name, file.schema_arrow, schema)
        if file.metadata.num_rows != entry['rows']:
            yield Fault(name, None, f'expected {entry["rows"]:,} rows, found {file.metadata.num_rows:,}')
        if file.schema_arrow.equals(schema):
            yield from _rows_faults(name, file, is_rejections, (snapshot.kind, entry['split'], *shared))
        else:
            shared[0].readable = False


def _schema_faults(name: str, found: pa.Schema, expected: pa.Schema) -> Iterator[Fault]:
    for field_ in expected:
        if field_.name not in found.names:
            yield Fault(name, None, f'expected a column {field_.name!r}, found none')
        elif found.field(field_.name).type != field_.type:
            yield Fault(name, None, f'column {field_.name!r}: expected {field_.type}, found {found.field(field_.name).type}')
    for column in found.names:
        if column not in expected.names:
            yield Fault(name, None, f'expected no column {column!r}, found one')


def _rows_faults(name: str, file: pq.ParquetFile, is_rejections: bool, about: tuple) -> Iterator[Fault]:
    kind, split, seen, pool = about
    decoded = Decoded()
    start = ids = 0
    for group in range(file.num_row_groups):
        n_rows = file.metadata.row_group(group).num_rows
        at = start
        try:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group]):
                rows, without = batch.to_pylist(), batch.select([column for column in batch.schema.names if column != 'images'])
                ids += _remember(rows, row_digests(without), is_rejections, (kind, split, seen))
                yield from (Fault(name, at + i, what) for i, what in _batch_faults(rows, is_rejections, kind, (decoded, pool)))
                at += len(rows)
        except DAMAGE as e:
            seen.readable = False
            yield Fault(name, None, f'expected rows {start} to {start + n_rows - 1} (row group {group}), found bytes that cannot be read: '
                        f'{_first_line(e)}')
        start += n_rows
    seen.places.append((name, ids))


def _remember(rows: list[dict], digests: list[bytes], is_rejections: bool, about: tuple[str, str, _Seen]) -> int:
    """Add identity and ids of `rows` to what was seen; returns how many ids."""
    kind, split, seen = about
    (seen.rejected if is_rejections else seen.kept).append(b''.join(digests))
    if is_rejections:
        seen.reasons.update((row['unit'], row['source'], row['reason']) for row in rows)
        own = OWN_UNIT[kind]
        names = [row['id'] for row in rows if row['unit'] == own]
    else:
        names = [row[ID_COLUMN[kind]] for row in rows]
        named = {cluster for row in rows for cluster in row['cluster_ids'] or ()}
        seen.clusters.setdefault(split, set()).update(bytes.fromhex(cluster)[:16] for cluster in named if _is_hex(cluster))
    # ids not given are row faults; here they must only not be equal to each other by accident
    seen.ids.append(np.array([hashlib.sha256(str(name).encode()).digest()[:16] for name in names], 'V16'))
    return len(names)


def _batch_faults(rows: list[dict], is_rejections: bool, kind: str, tools: tuple[Decoded, ThreadPoolExecutor]) -> Iterator[tuple[int, str]]:
    if is_rejections:
        for i, row in enumerate(rows):
            for what in rejection_faults(row):
                yield i, what
        return
    decoded, pool = tools
    blobs = [(image or {}).get('bytes') for row in rows for image in row['images'] or ()]
    fresh = {image_id: data for data in blobs if data and not decoded.knows(image_id := hashlib.sha256(data).hexdigest())}
    for image_id, fault in zip(fresh, pool.map(_decode, fresh.values()), strict=True):
        decoded.add(image_id, fault)
    for i, row in enumerate(rows):
        for what in row_faults(row, kind, decoded):
            yield i, what


def _decode(data: bytes) -> str:
    """Return what keeps a picture from decoding, '' for nothing; size is bounded from the header."""
    try:
        with open_picture(data, max_pixels=MOST_PIXELS) as image:
            image.load()
    except DECODE_ERRORS as e:
        return f'{type(e).__name__}: {_first_line(e)}'
    return ''


def _whole_faults(snapshot: Snapshot, seen: _Seen) -> Iterator[Fault]:
    yield from _repeated(snapshot, seen)
    if seen.readable:
        found = snapshot_id(seen.kept, seen.rejected)
        if found != snapshot.snapshot_id:
            yield Fault(MANIFEST, None, f'expected snapshot id {snapshot.snapshot_id}, found rows whose id is {found}')
    names = sorted(seen.clusters)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            shared = len(seen.clusters[one] & seen.clusters[other])
            if shared:
                yield Fault(MANIFEST, None, f'expected no picture in both {one} and {other}, found {shared} group(s) of near-equal pictures in both')
    yield from _book_faults(snapshot, seen)


def _repeated(snapshot: Snapshot, seen: _Seen) -> Iterator[Fault]:
    ids = np.concatenate(seen.ids) if seen.ids else np.empty(0, 'V16')
    order = np.argsort(ids, kind='stable')
    again = order[1:][ids[order][1:] == ids[order][:-1]]
    starts = np.cumsum([0, *(n for _, n in seen.places)])
    for at in np.sort(again):
        file = int(np.searchsorted(starts, at, side='right')) - 1
        name, nth = seen.places[file][0], int(at - starts[file])
        yield from _told_again(snapshot, name, nth)


def _told_again(snapshot: Snapshot, name: str, nth: int) -> Iterator[Fault]:
    try:
        yield from apart(partial(_name_repeated, snapshot, name, nth))
    except (DiedApart, *DAMAGE, LookupError):  # its file is damaged, which was told
        yield Fault(name, None, 'expected ids of their own, found one a second time')


def _name_repeated(snapshot: Snapshot, name: str, nth: int) -> Iterator[Fault]:
    """Yield the fault of the `nth` remembered id of a file; read again, since only hashes were kept."""
    if name not in {part['file'] for part in snapshot.manifest['rejections']}:
        value = pq.read_table(snapshot.path / name, columns=[ID_COLUMN[snapshot.kind]])[0][nth].as_py()
        yield Fault(name, nth, f'{ID_COLUMN[snapshot.kind]} {value!r}: expected an id of its own, found it a second time')
        return
    units = pq.read_table(snapshot.path / name, columns=['unit', 'id'])
    row = int(np.flatnonzero(np.array(units['unit'].to_pylist()) == OWN_UNIT[snapshot.kind])[nth])
    value = units['id'][row].as_py()
    yield Fault(name, row, f'{OWN_UNIT[snapshot.kind]} {value!r}: expected to be rejected once and not kept, found it a second time')


def _book_faults(snapshot: Snapshot, seen: _Seen) -> Iterator[Fault]:
    own = OWN_UNIT[snapshot.kind]
    lines = books_of(snapshot.manifest)
    booked = sum(line.kept for line in lines if line.unit == own)
    rows = sum(shard['rows'] for shard in snapshot.manifest['shards'])
    if booked != rows:
        yield Fault(MANIFEST, None, f'expected as many rows as {own}s kept in the books ({booked:,}), found {rows:,}')
    expected = Counter({(line.unit, line.source, reason): n for line in lines for reason, n in line.rejected.items() if n})
    if seen.readable:
        for key in sorted(expected.keys() | seen.reasons.keys(), key=str):
            if expected[key] != seen.reasons[key]:
                unit, source, reason = key
                yield Fault(MANIFEST, None, f'expected {expected[key]:,} {unit}(s) of {source} rejected for {reason}, found {seen.reasons[key]:,}')


def _is_hex(text: str | None) -> bool:
    return text is not None and len(text) == 64 and all(c in '0123456789abcdef' for c in text)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
