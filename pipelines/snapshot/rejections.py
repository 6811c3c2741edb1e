"""Rejections of a selection, each with the row it left out: selections look at narrow columns, people look at rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot.digests import contents
from pipelines.snapshot.spread import GROUPS, in_groups
from schemas.records import REJECTIONS, Reason, Unit

OUT = pa.schema([('part', pa.int32()), ('row', pa.int32()), ('reason', pa.string()), ('detail', pa.string())])
ROWS_AT_ONCE = 10_000  # a part's rows are found by the ranges of row groups: in one group, 1,900 parts of a mix cost 9 minutes of reading
BYTES_AT_ONCE = 32_000_000  # held before they are written, where rows are long: they show up to 20,000 characters of what they are about
ROWS_READ = 1000
WORK = 8  # rows are read, and texts made JSON, for one that is left out
FILE_ROWS = 250_000  # of rejections: more are gathered by several shards, into as many files


def write_out(writer: ShardWriter, out: pa.Table) -> None:
    """Write the rows of OUT so that those of one part are read without the others."""
    out = out.sort_by([('part', 'ascending'), ('row', 'ascending')])
    for start in range(0, max(1, out.num_rows), ROWS_AT_ONCE):
        writer.write('out', out.slice(start, ROWS_AT_ONCE))


@dataclass(frozen=True)
class ExplainRejections(Step):
    """Writes the rejections of some parts: the plan's `out` (OUT) says which rows and why, `rows` and the tables `beside` hold them, aligned."""

    TABLE = 'rejected'
    VERSION = 2

    plan: Table
    rows: tuple[Table, ...]
    beside: tuple[Table, ...]  # of the same parts: more columns of the same rows
    unit: Unit
    step: str
    id_column: str
    content: tuple[str, ...]

    def label(self) -> str:
        return f'rejected {self.unit}s'

    @cached_property
    def _parts(self) -> list[tuple[Path, ...]]:
        """Return each part's file, with the file beside it if there is one."""
        tables = [self.rows, self.beside] if self.beside else [self.rows]
        return list(zip(*([path for table in some for path in table.parts()] for some in tables), strict=True))

    def shards(self) -> list[tuple[int, int]]:
        return in_groups(len(self._parts), WORK * pq.read_metadata(self.plan.parts('out')[0]).num_rows)

    def process(self, shard: tuple[int, int], writer: ShardWriter) -> None:
        first, stop = shard
        out = pq.read_table(self.plan.parts('out')[0], filters=[('part', '>=', first), ('part', '<', stop)])
        out = out.sort_by([('part', 'ascending'), ('row', 'ascending')])
        cuts = np.searchsorted(out['part'].to_numpy(), np.arange(first, stop + 1)).tolist()
        explained = (self._explained(part, out.slice(a, b - a)) for part, a, b in zip(range(first, stop), cuts, cuts[1:], strict=False) if b > a)
        for rows in in_row_groups(explained):
            writer.write('rejections', rows)
            found = rows.group_by(['source', 'reason']).aggregate([([], 'count_all')])
            for source, reason, n in zip(*(found[name].to_pylist() for name in ('source', 'reason', 'count_all')), strict=True):
                writer.counts[f'rejected/{self.unit}/{source}/{Reason(reason)}'] += n

    def _explained(self, part: int, out: pa.Table) -> pa.Table:
        """Return REJECTIONS for the rows of a part that are left out."""
        found: dict[str, pa.ChunkedArray] = {}
        for path in self._parts[part]:
            with pq.ParquetFile(path) as file:
                names = [name for name in file.schema_arrow.names if name in (self.id_column, 'source', *self.content)]
                rows = file.read(names, use_threads=False).take(out['row'])
            found |= dict(zip(rows.column_names, rows.columns, strict=True))
        content = contents(pa.RecordBatch.from_arrays([found[name].combine_chunks() for name in self.content], self.content))
        told = {'unit': pa.repeat(str(self.unit), len(out)), 'id': found[self.id_column], 'source': found['source'],
                'step': pa.repeat(self.step, len(out)), 'reason': out['reason'], 'detail': out['detail'], 'content': content}  # fmt: skip
        return pa.table(told, REJECTIONS)


@dataclass(frozen=True)
class GatherRejections(Step):
    """Writes `part`s with the rejections of several tables, in table order: one, or a few of about FILE_ROWS rows or more."""

    TABLE = 'rejections'
    VERSION = 2

    tables: tuple[Table, ...]

    @cached_property
    def _parts(self) -> list[Path]:
        return [path for table in self.tables for path in table.parts('rejections')]

    def shards(self) -> list[tuple[int, int]]:
        n_rows = sum(table.counts().get('rows/rejections', 0) for table in self.tables)
        n_files = max(1, min(GROUPS, n_rows // FILE_ROWS, len(self._parts)))
        cuts = np.linspace(0, len(self._parts), n_files + 1).astype(int).tolist()
        return list(zip(cuts, cuts[1:], strict=False))

    def process(self, shard: tuple[int, int], writer: ShardWriter) -> None:
        n_rows = 0
        for rows in in_row_groups(table for path in self._parts[slice(*shard)] for table in _tables(path)):
            writer.write('part', rows)
            n_rows += rows.num_rows
        if not n_rows:
            writer.write('part', REJECTIONS.empty_table())


def in_row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield small tables together, as many as make a row group of about ROWS_AT_ONCE rows or BYTES_AT_ONCE bytes."""
    waiting: list[pa.Table] = []
    n_rows = n_bytes = 0
    for table in tables:
        waiting.append(table)
        n_rows, n_bytes = n_rows + table.num_rows, n_bytes + table.nbytes
        if n_rows >= ROWS_AT_ONCE or n_bytes >= BYTES_AT_ONCE:
            yield pa.concat_tables(waiting)
            waiting, n_rows, n_bytes = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting)


def _tables(path: Path) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS_READ, use_threads=False):
            yield pa.Table.from_batches([batch])
