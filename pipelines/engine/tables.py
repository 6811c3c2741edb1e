"""Tables on disk between steps: `WORK/<table>/<fingerprint>/part-*.parquet`, then `_DONE.json`. What is done is not made again.

A folder holds the rows of one fingerprint and nothing else ever: a writer publishes only into its own, so one that a killed build left behind
on a cluster can spoil no other table, and nobody writes into a finished one. A shard's files appear by rename, its `shard-*.json` (counts, and
size and check sums of each file) last; a shard that has one is not made again either, so a killed step loses the shards in flight and nothing
else. A shard of which a file is missing, cut or changed is not made, and a table with such a one is not done.

All is flushed to the disk before `_DONE.json` vouches for it: shards that took FLUSHED_AFTER_S when they are done, quick ones with their table.
So a power cut costs the last seconds of an unfinished table, of which a later run compares every byte.
"""

import os
import re
import shutil
import time
from bisect import insort
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.written import fault_of, fault_of_unsaid, written
from schemas.accounting import IGNORED_FIELDS, OTHER_FIELDS
from schemas.errors import DamagedTable
from schemas.publish import draft_of, publish_checked, read_checked, sync_files
from schemas.records import REJECTIONS, Rejection, Unit

DONE = '_DONE.json'
STEP = '_STEP.json'  # what the rows are made of
SHARD_TEMPORARY = '.shard-*.tmp'  # folders in which shards are written
OF_SHARD = re.compile(r'(?:(?P<draft>\.shard)|[^._].*)-(?P<index>\d{5,})\..*')  # the name of a draft, or of a file
FLUSHED_AFTER_S = 2.0  # four flushes of some 10 ms each on a busy disk are 2 % of that
REJECTIONS_AT_ONCE = 10_000  # held in memory before they are written


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a build: where it lies, which says what made it."""

    path: Path
    label: str = ''  # what people call it, where that is more than its name

    @property
    def name(self) -> str:
        """Return the table's name, which tables of other fingerprints have, too."""
        return self.path.parent.name

    @property
    def key(self) -> str:
        """Return name and fingerprint: what tells it from all others of a working folder."""
        return f'{self.name}/{self.path.name}'

    def done(self) -> dict | None:
        """Return what `_DONE.json` says, None before the table is finished, and for one of which something was lost since."""
        said = self.said()
        return said if said and not any(self.fault(index) for index in range(said['shards'])) else None

    def counts(self) -> dict[str, int]:
        """Return the counts of a finished table."""
        said = self.said()
        assert said is not None, f'{self.key} is not made'
        return said['counts']

    def said(self) -> dict | None:
        """Return what `_DONE.json` says, whatever became of the files since; None where it says nothing."""
        said = read_checked(self.path / DONE) or {}
        return said if isinstance(said.get('shards'), int) and isinstance(said.get('counts'), dict) else None

    def fault(self, index: int, *, whole: bool = False) -> str:
        """Return why a shard is not made, or not what it was when it was made; '' where it is. All bytes are compared only if `whole` says so.

        Of a shard that an earlier version made no check sums are known: its files must open, and hold as many rows as were counted.
        """
        path = self.path / shard_name(index)
        said = read_checked(path)
        if said is None:
            return f'{path.name} is {"damaged" if path.exists() else "missing"}'
        if isinstance(said.get('files'), dict):
            found = (fault_of(self.path / name, of, whole=whole) for name, of in sorted(said['files'].items()))
        else:
            rows = {key.removeprefix('rows/'): n for key, n in said.items() if key.startswith('rows/')}
            others = sorted(self.path.glob('*.npy')) if index == 0 else []
            found = (fault for of in ((fault_of_unsaid(self.path / f'{kind}-{index:05d}.parquet', n) for kind, n in sorted(rows.items())),
                                      map(fault_of_unsaid, others)) for fault in of)  # fmt: skip
        return next(filter(None, found), '')

    def drop(self, index: int) -> bool:
        """Say that a shard, and so the table, is not made; returns whether that was said before."""
        was = (self.path / shard_name(index)).exists()
        (self.path / DONE).unlink(missing_ok=True)
        (self.path / shard_name(index)).unlink(missing_ok=True)
        return was

    def sweep(self, shards: set[int], unmade: set[int]) -> None:
        """Remove what killed writers left of some shards: their drafts, and files of those that they did not count."""
        with os.scandir(self.path) as entries:
            for entry in entries:
                found = OF_SHARD.fullmatch(entry.name)
                if found is None or int(found['index']) not in (shards if found['draft'] else unmade):
                    continue
                if found['draft']:
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    Path(entry.path).unlink(missing_ok=True)

    def prepared(self) -> bool:
        """Return whether the folder is ready for shards."""
        return self.described() is not None

    def complete(self, n_shards: int) -> bool:
        """Return whether every shard lies finished."""
        return all((self.path / shard_name(index)).exists() for index in range(n_shards)) and not any(map(self.fault, range(n_shards)))

    def prepare(self, described: dict) -> None:
        """Make the folder ready, saying what its rows are made of; finished shards stay."""
        if not self.prepared():
            self.path.mkdir(parents=True, exist_ok=True)
            publish_checked(self.path / STEP, described, flush=False)

    def described(self) -> dict | None:
        """Return what its rows are made of, None where that is not said."""
        said = read_checked(self.path / STEP)
        return said if said and said.keys() >= {'table', 'label', 'version', 'settings', 'tables'} else None

    def finish(self, n_shards: int) -> dict:
        """Add up the shards' counts, bring all that was not flushed yet to the disk, write `_DONE.json` and return it."""
        total: Counter = Counter()
        files = []
        for index in range(n_shards):
            said = read_checked(self.path / shard_name(index))
            assert said is not None, f'{self.key}: {shard_name(index)} is not made'
            total.update(said['counts'] if 'files' in said else said)
            files += [self.path / shard_name(index), *(self.path / name for name in said.get('files', ()))]
        sync_files(files)
        done = {'shards': n_shards, 'counts': dict(total)}
        publish_checked(self.path / DONE, done)
        return done

    def parts(self, kind: str = 'part') -> list[Path]:
        """Return the finished Parquet files of `kind`, in shard order."""
        return sorted(self.path.glob(f'{kind}-*.parquet'))

    def batches(self, kind: str = 'part', columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield one Arrow table per shard, in order, with just `columns`; raises DamagedTable for what is not what was written."""
        for path in self.parts(kind):
            index = int(path.stem.rpartition('-')[2])
            if (self.path / shard_name(index)).exists():  # of parts that others linked together nothing is known
                self.refuse_damaged(index)
            yield pq.read_table(path, columns=columns)

    def read(self, kind: str = 'part', columns: list[str] | None = None) -> pa.Table:
        """Return the whole table with just `columns`; only for narrow columns. A table without rows has no columns either."""
        tables = list(self.batches(kind, columns))
        return pa.concat_tables(tables) if tables else pa.table({})

    def refuse_any_damaged(self) -> None:
        """Raise DamagedTable where a shard of a finished table is not what was written."""
        for index in range((self.said() or {}).get('shards', 0)):
            self.refuse_damaged(index)

    def refuse_damaged(self, index: int) -> None:
        """Raise DamagedTable for a shard that is not what was written, which is dropped, so that the next build makes it again."""
        if fault := self.fault(index, whole=True):
            with suppress(OSError):  # who only looks may have no right to write
                self.drop(index)
            raise DamagedTable(f'{self.path}: {fault}, since the disk or somebody changed it; run phantom build again as before: '
                               'it is made anew from what is stored, nothing is asked twice')


def shard_name(index: int) -> str:
    """Return the file name of a shard's counts."""
    return f'shard-{index:05d}.json'


@dataclass
class ShardWriter:
    """Writes one shard of a table: rows by kind, other files, rejections and counts. Nothing is visible before `close`.

    `counts` keys: `in/<unit>/<source>`, `kept/<unit>/<source>`, `rejected/<unit>/<source>/<reason>`, `ignored/<unit>/<source>/<field>`,
    `rows/<kind>`.
    """

    table: Path
    index: int
    counts: Counter = field(default_factory=Counter)
    _writers: dict[str, pq.ParquetWriter] = field(default_factory=dict)
    _rejections: list[dict] = field(default_factory=list)
    _ignored: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._started = time.monotonic()
        self.folder = draft_of(self.table / f'shard-{self.index:05d}')  # a step's own files go there; `close` moves all to the table
        self.folder.mkdir(parents=True)

    def write(self, kind: str, rows: pa.Table, **options: object) -> None:
        """Append `rows` to the shard's file of `kind`; `options` go to the first call's ParquetWriter."""
        if kind not in self._writers:
            self._writers[kind] = pq.ParquetWriter(self.folder / f'{kind}-{self.index:05d}.parquet', rows.schema, **options)
        self._writers[kind].write_table(rows, row_group_size=max(1, rows.num_rows))
        self.counts[f'rows/{kind}'] += rows.num_rows

    def count_in(self, unit: Unit, source: str, n: int = 1) -> None:
        """Count `n` units that came in."""
        self.counts[f'in/{unit}/{source}'] += n

    def count_kept(self, unit: Unit, source: str, n: int = 1) -> None:
        """Count `n` units that went on."""
        self.counts[f'kept/{unit}/{source}'] += n

    def count_ignored(self, unit: Unit, source: str, field: str) -> None:
        """Count a unit of which a field was not read; of more than IGNORED_FIELDS those that come first by name are told, the others together."""
        about = f'ignored/{unit}/{source}/'
        if (key := about + field) not in self.counts:
            names = self._ignored.setdefault(about, [])
            insort(names, field)
            if len(names) > IGNORED_FIELDS:  # whatever the order in which they come
                last = names.pop()
                self.counts[about + OTHER_FIELDS] += self.counts.pop(about + last, 0)
                key = about + (OTHER_FIELDS if last == field else field)
        self.counts[key] += 1

    def reject(self, rejection: Rejection) -> None:
        """Keep one rejection and count it."""
        self.counts[f'rejected/{rejection.unit}/{rejection.source}/{rejection.reason}'] += 1
        self._rejections.append({name: str(getattr(rejection, name)) for name in REJECTIONS.names})
        if len(self._rejections) == REJECTIONS_AT_ONCE:
            self._flush_rejections()

    def close(self) -> None:
        """Make the shard visible: its files first, its counts last. Where another writer of it was first, its files stay as they are."""
        try:
            self._flush_rejections()
            for writer in self._writers.values():
                writer.close()
            counted = self.table / shard_name(self.index)
            if not counted.exists():
                took_long = time.monotonic() - self._started >= FLUSHED_AFTER_S
                paths = sorted(self.folder.iterdir())
                files = {path.name: written(path) for path in paths}
                if took_long:
                    sync_files(paths)
                for path in paths:
                    os.replace(path, self.table / path.name)
                publish_checked(counted, {'counts': dict(self.counts), 'files': files}, flush=took_long)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def abandon(self) -> None:
        """Remove what was written so far."""
        try:
            for writer in self._writers.values():
                writer.close()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _flush_rejections(self) -> None:
        if self._rejections:
            self.write('rejections', pa.Table.from_pylist(self._rejections, schema=REJECTIONS))
            self._rejections = []
