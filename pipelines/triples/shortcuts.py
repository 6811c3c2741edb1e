"""The shortcut audit of a triples snapshot: how well the answers alone tell chosen from rejected, per source, from its finished rows."""

import heapq
import math
from collections import defaultdict
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from curation.calibration.shortcut import MAX_ROWS, AnswerPair, ShortcutReport, audit_shortcuts
from curation.selection.select import lot
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot.mix_rows import text_of

REPORTS = pa.schema(
    [('source', pa.string()), ('n', pa.int64()), *((name, pa.float64()) for name in ('auc', 'low', 'high', 'auc_length'))]
)  # fmt: skip
LEAK = 0.6  # an AUC whose interval lies above is called a leak in the card; our mark, not a published one


@dataclass(frozen=True)
class AuditShortcuts(Step):
    """Writes `part` (REPORTS), one row per source. One shard: it reads texts only, at most MAX_ROWS of a source are held."""

    TABLE = 'shortcuts'
    VERSION = 1

    rows: Table  # the finished files of the snapshot

    def process(self, shard: int, writer: ShardWriter) -> None:
        """Read every file once, keeping per source the triples with the lowest lot."""
        heaps: dict[str, list[tuple[int, str, AnswerPair]]] = defaultdict(list)
        for path in self.rows.parts():
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=5000, columns=['triple_id', 'sample_id', 'source', 'chosen', 'rejected']):
                    for row in batch.to_pylist():
                        _keep(heaps[row['source']], row)
        reports = [audit_shortcuts(source, [pair for _, _, pair in heap]) for source, heap in sorted(heaps.items())]
        writer.write('part', pa.Table.from_pylist([asdict(report) for report in reports], REPORTS))


def _keep(heap: list, row: dict) -> None:
    pair = AnswerPair(row['sample_id'], text_of(row['chosen'][0]), text_of(row['rejected'][0]))
    entry = (-lot(f'shortcut/{row["sample_id"]}'), row['triple_id'], pair)
    if len(heap) < MAX_ROWS:
        heapq.heappush(heap, entry)
    else:
        heapq.heappushpop(heap, entry)


def read_reports(table: Table) -> list[ShortcutReport]:
    """Return what AuditShortcuts wrote."""
    return [ShortcutReport(**row) for row in table.read().to_pylist()]


def as_json(reports: list[ShortcutReport]) -> list[dict]:
    """Return the reports for the manifest."""
    return [asdict(report) for report in reports]


def markdown_shortcuts(reports: list[ShortcutReport]) -> str:
    """Return the section of the card."""
    rows = ['| source | triples | AUC of the answers alone | AUC of length alone | |', '|---|--:|--:|--:|---|']
    for report in reports:
        if math.isnan(report.auc):
            rows.append(f'| {report.source} | {report.n} | too few | | |')
            continue
        verdict = '**a leak**: style tells them apart' if report.low > LEAK else ''
        rows.append(f'| {report.source} | {report.n} | {report.auc:.2f} ({report.low:.2f}-{report.high:.2f}) | {report.auc_length:.2f} | {verdict} |')
    told = (
        'A plain classifier that sees neither question nor picture tries to tell chosen from rejected answers (cross-validated by sample). '
        '0.5 and below are clean (below, because an answer that is right in the rows learnt from is wrong in others); what it finds, a trainer can '
        'learn instead of the truth. Above 0.5 in length: chosen answers are longer.'
    )
    return '\n\n'.join(['## Shortcuts', told, '\n'.join(rows)])
