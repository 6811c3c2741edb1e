"""Rejections of a selection, each with the row it left out: selections look at narrow columns, people look at rows."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.steps import ShardStep
from pipelines.engine.tables import ShardWriter
from schemas.records import Reason, Rejection, Unit, as_content

VERSION = 1
OUT = pa.schema([('part', pa.int32()), ('row', pa.int32()), ('reason', pa.string()), ('detail', pa.string())])
ROWS_AT_ONCE = 10_000  # a part's rows are found by the ranges of row groups: in one group, 1,900 parts of a mix cost 9 minutes of reading


def write_out(writer: ShardWriter, out: pa.Table) -> None:
    """Write the rows of OUT so that those of one part are read without the others."""
    out = out.sort_by([('part', 'ascending'), ('row', 'ascending')])
    for start in range(0, max(1, out.num_rows), ROWS_AT_ONCE):
        writer.write('out', out.slice(start, ROWS_AT_ONCE))


@dataclass
class ExplainRejections(ShardStep):
    """Writes the rejections of one part: `out` (OUT) says which rows and why, `tables` hold them, aligned row by row."""

    unit: Unit
    step: str
    id_column: str
    out: str
    tables: list[list[str]]
    content: list[str]

    def process(self, shard: int, writer: ShardWriter) -> None:
        out = pq.read_table(self.out, filters=[('part', '=', shard)]).sort_by('row')
        rows = [pq.read_table(table[shard]).take(out['row']).to_pylist() for table in self.tables]
        for why, *found in zip(out.to_pylist(), *rows, strict=True):
            row = {name: value for some in found for name, value in some.items()}
            content = as_content({name: row[name] for name in self.content})
            writer.reject(Rejection(self.unit, row[self.id_column], row['source'], self.step, Reason(why['reason']), why['detail'], content))
