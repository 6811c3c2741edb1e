"""A sealed snapshot from finished tables: shards hashed and counted, card and manifest written, the folder renamed into place last."""

import hashlib
import importlib.metadata
import json
import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.engine import Engine
from pipelines.engine.step import Step, versions
from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot import yield_picture
from pipelines.snapshot.card import strictest
from pipelines.snapshot.croissant import describe
from pipelines.snapshot.digests import row_digests
from pipelines.snapshot.parquet import rows_at_once
from pipelines.snapshot.rejections import GatherRejections
from schemas.accounting import Line, unbalanced
from schemas.errors import SnapshotExists, UserError
from schemas.json_text import strict
from schemas.manifest import CARD, DIGEST, listed_names, manifest_digest
from schemas.publish import publish_folder, publish_json
from schemas.revision import git_revision, package_version
from schemas.snapshot import MANIFEST, SCHEMA_VERSION, Snapshot, file_sha256, open_snapshot, snapshot_id

_DIGESTS = pa.schema([('digest', pa.binary(32))])


@dataclass(frozen=True)
class HashShard(Step):
    """Writes the digests of the rows of each file of a snapshot, which may lie beside it; sha256, rows and bytes of the file stand in `info`."""

    TABLE = 'digests'
    VERSION = 1

    rows: tuple[Table, ...]
    rejections: Table

    def shards(self) -> list[str]:
        return [str(path) for table in (*self.rows, self.rejections) for path in table.parts()]

    def process(self, shard: str, writer: ShardWriter) -> None:
        path = Path(shard)
        known = path.with_name(path.name.replace('part', 'digests', 1))  # who wrote the rows may know their digests
        with pq.ParquetFile(path) as file, ThreadPoolExecutor(1) as beside:
            sha256 = beside.submit(file_sha256, path)
            for digests in [pq.read_table(known)] if known.exists() else _digests(file):
                writer.write('part', digests)
            publish_json(
                writer.folder / f'info-{writer.index:05d}.json',
                {'sha256': sha256.result(), 'rows': file.metadata.num_rows, 'bytes': path.stat().st_size},
            )


def _digests(file: pq.ParquetFile) -> Iterator[pa.Table]:
    columns = [name for name in file.schema_arrow.names if name != 'images']
    for batch in file.iter_batches(batch_size=rows_at_once(file), columns=columns, use_threads=False):
        yield pa.table({'digest': pa.array(row_digests(batch), pa.binary(32))}, _DIGESTS)


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into a snapshot: its kept shards with their splits, its rejections, and what the manifest says besides."""

    kind: str
    build: str  # fingerprint of the rules and inputs that decide the content
    rows: tuple[Table, ...]
    splits: dict[int, str]  # shard of the rows -> split
    rejected: tuple[Table, ...]  # whose rejections go into it
    lines: list[Line]
    about: dict
    extras: dict[str, bytes] = field(default_factory=dict)  # file name -> bytes of what is no row: plots, planted cases

def check_free(out: Path, kind: str, mark: str, mark_of: Callable[[dict], str]) -> Snapshot | None:
    """Return the snapshot already sealed of these rules and inputs, None if the place is free; raises SnapshotExists for one of others.

    `mark` stands for the rules and inputs, `mark_of` gives that of a manifest. What is sealed stays as it is when steps have new versions.
    """
    if not (out / kind / MANIFEST).exists():
        return None
    found = open_snapshot(out / kind)
    try:
        same = mark_of(found.manifest) == mark
    except (ValueError, LookupError):  # a manifest whose recipe says what no recipe says now
        same = False
    if not same:
        raise _exists(out, found)
    now, then = versions(), found.manifest.get('steps', {})
    newer = [f'{name} {then[name]} -> {now[name]}' for name in sorted(now.keys() & then.keys()) if now[name] != then[name]]
    if newer:
        print(f'{found.path}: sealed with other versions of {", ".join(newer)}; it stays as it is, another --out makes it anew')
    return found


def _exists(out: Path, found: Snapshot) -> SnapshotExists:
    work, here = shlex.quote(f'{out}/work'), shlex.quote(str(out))
    return SnapshotExists(
        f'{found.path}: expected no snapshot or one of this very build, found {found.manifest["name"]!r} ({found.snapshot_id[:12]}) of other '
        f'settings or inputs; choose another --out (with --work {work} to reuse its tables), or remove it: phantom clean {here} --yes'
    )


def check_room(folder: Path, n_bytes: int) -> None:
    """Raise UserError unless the disk of `folder` has room for `n_bytes` and a reserve of 200 MB."""
    free = shutil.disk_usage(folder).free
    needed = n_bytes + 200_000_000
    if free < needed:
        raise UserError(
            f'{folder}: expected {needed / 1e6:,.0f} MB of free disk, found {free / 1e6:,.0f} MB; free some space or choose another --out'
        )


def seal(engine: Engine, contents: Contents, out: Path, name: str, card: str) -> Snapshot:
    """Return the snapshot, sealed at OUT/<kind>; raises SnapshotExists when another one lies there."""
    lost = unbalanced(contents.lines)
    assert not lost, f'the books do not balance: {lost}'
    rejected = engine.run(GatherRejections(contents.rejected))
    hashed = engine.run(HashShard(contents.rows, rejected))
    rows = [path for table in contents.rows for path in table.parts()]
    files = [(contents.splits[shard], path) for shard, path in enumerate(rows)] + [('rejections', path) for path in rejected.parts()]

    if engine.share[0] > 0:  # the first process of a shared build seals
        engine.wait_for(out / contents.kind / MANIFEST)
        return open_snapshot(out / contents.kind)
    engine.mend((*contents.rows, rejected, hashed))  # what is linked is what was hashed
    partial = out / f'.{contents.kind}.partial'
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if os.stat(engine.work).st_dev != os.stat(partial).st_dev:  # shards are copied there, not linked
        check_room(out, sum(path.stat().st_size for _, path in files))
    digests: dict[str, list[bytes]] = {'kept': [], 'rejected': []}
    listed: list[dict] = []
    names = _names(files)
    for index, (split, path) in enumerate(files):
        target = partial / names[index]
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(path, target)
        info = json.loads((hashed.path / f'info-{index:05d}.json').read_bytes())
        listed.append({'file': names[index], 'split': split, **info})
        if info['rows']:
            found = pq.read_table(hashed.path / f'part-{index:05d}.parquet')['digest'].to_numpy()
            digests['rejected' if split == 'rejections' else 'kept'].append(b''.join(found))
    identity = snapshot_id(**digests)
    manifest = {
        'schema_version': SCHEMA_VERSION,
        'kind': contents.kind,
        'name': name,
        'snapshot_id': identity,
        'build': contents.build,
        'shards': [entry for entry in listed if entry['split'] != 'rejections'],
        'rejections': [entry for entry in listed if entry['split'] == 'rejections'],
        'yield': [asdict(line) for line in contents.lines],
        **contents.about,
        'steps': engine.versions(*contents.rows, hashed),
        'code': _code_revision(),
        'sealed_at': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()),
    }
    if (out / contents.kind / MANIFEST).exists():  # sealed before, and made again because its pictures were touched
        shutil.rmtree(partial)
        found = open_snapshot(out / contents.kind)
        if found.snapshot_id != identity:
            raise _exists(out, found)
        return found
    licence = strictest([source['licence'] for source in contents.about['recipe']['sources'].values()])
    croissant = json.dumps(describe(manifest, licence), indent=1, ensure_ascii=False).encode()
    extras = {**contents.extras, 'croissant.json': croissant, yield_picture.FILE: yield_picture.yield_picture(contents.lines)}
    manifest['extras'] = [_write_extra(partial, *extra) for extra in sorted(extras.items())]
    manifest['card'] = _write_extra(partial, CARD, card.replace('{snapshot_id}', identity).encode())
    publish_json(partial / MANIFEST, vouched(manifest))
    publish_folder(partial, out / contents.kind)
    return open_snapshot(out / contents.kind)


def vouched(manifest: dict) -> dict:
    """Return a manifest that has its `card` as it is read back, with the list of all files and the digest of itself."""
    named = {**manifest, 'files': sorted([*listed_names(manifest), CARD])}
    whole = json.loads(json.dumps(strict(named)))  # keys as text, numbers as JSON has them
    return {**whole, DIGEST: manifest_digest(whole)}


def _write_extra(folder: Path, file: str, data: bytes) -> dict:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(data)
    return {'file': file, 'bytes': len(data), 'sha256': hashlib.sha256(data).hexdigest()}


def _names(files: list[tuple[str, Path]]) -> list[str]:
    totals: dict[str, int] = {}
    for split, _ in files:
        totals[split] = totals.get(split, 0) + 1
    seen: dict[str, int] = {}
    names = []
    for split, _ in files:
        number = seen.get(split, 0)
        seen[split] = number + 1
        names.append(
            f'rejections/part-{number:05d}.parquet' if split == 'rejections' else f'data/{split}-{number:05d}-of-{totals[split]:05d}.parquet'
        )
    return names


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def _code_revision() -> dict[str, str]:
    versions = {package: importlib.metadata.version(package) for package in ('apache-beam', 'pyarrow', 'pillow', 'imagehash')}
    return {**versions, 'phantom-curation': package_version(), 'git': git_revision() or 'unknown'}
