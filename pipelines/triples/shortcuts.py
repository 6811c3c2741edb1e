"""The shortcut audit of a triples snapshot: how well the answers alone tell chosen from rejected, per source."""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from curation.calibration.shortcut import AnswerPair, ShortcutReport, audit_shortcuts
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.triples.rows import parts_of

REPORTS = pa.schema(
    [('source', pa.string()), ('n', pa.int64()), *((name, pa.float64()) for name in ('auc', 'low', 'high', 'auc_length'))]
)  # fmt: skip
COLUMNS = ['source', 'sample_id', 'chosen', 'rejected']
LEAK = 0.6  # an AUC whose interval lies above is called a leak in the card; our mark, not a published one


@dataclass(frozen=True)
class AuditShortcuts(Step):
    """Writes `part` (REPORTS), one row per source. One shard: it reads the answers of the triples that the plan chose for it, some of each source."""

    TABLE = 'shortcuts'
    VERSION = 2

    plan: Table
    candidates: tuple[Table, ...]

    def process(self, shard: int, writer: ShardWriter) -> None:
        by_source: dict[str, list[AnswerPair]] = defaultdict(list)
        for source, *answers in self._answers():
            by_source[source].append(AnswerPair(*answers))
        reports = [audit_shortcuts(source, pairs) for source, pairs in sorted(by_source.items())]
        writer.write('part', pa.Table.from_pylist([asdict(report) for report in reports], REPORTS))

    def _answers(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield (source, sample id, chosen, rejected) of what is audited; each part of the candidates is read once."""
        chosen = pq.read_table(self.plan.parts('audited')[0]).to_pandas()
        paths = parts_of(self.candidates)
        for part, at in chosen.groupby('part')['at']:
            rows = pq.read_table(paths[part], columns=COLUMNS).take(pa.array(at))
            yield from zip(*(rows[name].to_pylist() for name in COLUMNS), strict=True)


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
