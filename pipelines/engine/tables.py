"""Tables on disk between steps: `WORK/<table>/<fingerprint>/part-*.parquet`, then `_DONE.json`. What is done is not made again.

A folder holds the rows of one fingerprint and nothing else ever: a writer publishes only into its own, so one that a killed build left behind
on a cluster can spoil no other table, and nobody writes into a finished one. A shard's files appear by rename, its `shard-*.json` (counts)
last; a shard that has one is not made again either, so a killed step loses the shards in flight and nothing else.
"""

import json
import os
import shutil
from bisect import insort
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.accounting import IGNORED_FIELDS, OTHER_FIELDS
from schemas.publish import publish_json
from schemas.records import REJECTIONS, Rejection, Unit

DONE = '_DONE.json'
STEP = '_STEP.json'  # what the rows are made of
SHARD_TEMPORARY = '.shard-*.tmp'  # folders in which shards are written
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
        """Return what `_DONE.json` says, None before the table is finished."""
        try:
            return json.loads((self.path / DONE).read_text('utf-8'))
        except FileNotFoundError:
            return None

    def counts(self) -> dict[str, int]:
        """Return the counts of a finished table."""
        done = self.done()
        assert done is not None, f'{self.key} is not made'
        return done['counts']

    def prepared(self) -> bool:
        """Return whether the folder is ready for shards."""
        return (self.path / STEP).is_file()

    def complete(self, n_shards: int) -> bool:
        """Return whether every shard lies finished."""
        return all((self.path / shard_name(index)).exists() for index in range(n_shards))

    def prepare(self, described: dict) -> None:
        """Make the folder ready, saying what its rows are made of; finished shards stay."""
        if not self.prepared():
            self.path.mkdir(parents=True, exist_ok=True)
            publish_json(self.path / STEP, described)

    def described(self) -> dict | None:
        """Return what its rows are made of, None where that is not said."""
        try:
            return json.loads((self.path / STEP).read_text('utf-8'))
        except FileNotFoundError:
            return None

    def finish(self, n_shards: int) -> dict:
        """Add up the shards' counts, write `_DONE.json` and return it."""
        total: Counter = Counter()
        for index in range(n_shards):
            total.update(json.loads((self.path / shard_name(index)).read_text('utf-8')))
        done = {'shards': n_shards, 'counts': dict(total)}
        publish_json(self.path / DONE, done)
        return done

    def parts(self, kind: str = 'part') -> list[Path]:
        """Return the finished Parquet files of `kind`, in shard order."""
        return sorted(self.path.glob(f'{kind}-*.parquet'))

    def batches(self, kind: str = 'part', columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield one Arrow table per shard, in order, with just `columns`."""
        for path in self.parts(kind):
            yield pq.read_table(path, columns=columns)

    def read(self, kind: str = 'part', columns: list[str] | None = None) -> pa.Table:
        """Return the whole table with just `columns`; only for narrow columns. A table without rows has no columns either."""
        tables = list(self.batches(kind, columns))
        return pa.concat_tables(tables) if tables else pa.table({})


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
        self.table.mkdir(parents=True, exist_ok=True)
        self.folder = Path(mkdtemp('.tmp', f'.shard-{self.index:05d}.', self.table))  # a step's own files go there; `close` moves all to the table

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
                for stale in self.table.glob(f'[!._]*-{self.index:05d}.*'):  # of a writer that was killed before it counted
                    if not (self.folder / stale.name).exists():
                        stale.unlink()
                for path in sorted(self.folder.iterdir()):
                    os.replace(path, self.table / path.name)
                publish_json(counted, dict(self.counts))
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
