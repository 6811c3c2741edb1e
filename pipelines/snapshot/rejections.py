"""Rejections of a selection, each with the row it left out: selections look at narrow columns, people look at rows."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from schemas.records import Reason, Rejection, Unit, as_content

OUT = pa.schema([('part', pa.int32()), ('row', pa.int32()), ('reason', pa.string()), ('detail', pa.string())])
ROWS_AT_ONCE = 10_000  # a part's rows are found by the ranges of row groups: in one group, 1,900 parts of a mix cost 9 minutes of reading


def write_out(writer: ShardWriter, out: pa.Table) -> None:
    """Write the rows of OUT so that those of one part are read without the others."""
    out = out.sort_by([('part', 'ascending'), ('row', 'ascending')])
    for start in range(0, max(1, out.num_rows), ROWS_AT_ONCE):
        writer.write('out', out.slice(start, ROWS_AT_ONCE))


@dataclass(frozen=True)
class ExplainRejections(Step):
    """Writes the rejections of one part: the plan's `out` (OUT) says which rows and why, `rows` and the tables `beside` hold them, aligned."""

    TABLE = 'rejected'
    VERSION = 1

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

    def shards(self) -> range:
        return range(len(self._parts))

    def process(self, shard: int, writer: ShardWriter) -> None:
        out = pq.read_table(self.plan.parts('out')[0], filters=[('part', '=', shard)]).sort_by('row')
        rows = [pq.read_table(path).take(out['row']).to_pylist() for path in self._parts[shard]]
        for why, *found in zip(out.to_pylist(), *rows, strict=True):
            row = {name: value for some in found for name, value in some.items()}
            content = as_content({name: row[name] for name in self.content})
            writer.reject(Rejection(self.unit, row[self.id_column], row['source'], self.step, Reason(why['reason']), why['detail'], content))
