"""The judge's own error rate on this build: planted cases of each source it judges, their scores kept as a table, and the report on them."""

import heapq
import json
import math
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from curation.calibration.injected import inject
from curation.calibration.planted import INJECTED, POOL, Answered, CaseResult, PlantedCase, SourceReport, gate, pick, plant_cases, report_source
from curation.verdicts.judging import Verdict, check_candidate
from pipelines.chat.asker import Asker
from pipelines.chat.models import asking_at_once
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.triples.rows_at import rows_at
from pipelines.triples.verdicts import Bench, Case, Judged
from schemas.errors import UserError
from schemas.recipe import Judge, Model, Recipe
from schemas.records import STRINGS, Reason

CASES = pa.schema(
    [
        ('case_id', pa.string()),
        ('sample_id', pa.string()),
        ('source', pa.string()),
        ('plant', pa.string()),
        ('question', pa.string()),
        ('chosen', pa.string()),
        ('candidate', pa.string()),
        ('accept', pa.bool_()),
        ('rule', pa.string()),
        ('mode', pa.string()),
        ('score', pa.float64()),
        ('scores', pa.string()),
        ('reason', pa.string()),
        ('detail', pa.string()),
        ('reply_keys', STRINGS),
    ]
)


@dataclass(frozen=True)
class JudgePlanted(Step):
    """Writes `part` (CASES) of one source."""

    TABLE = 'calibration'
    VERSION = 5

    picks: Table
    sources: tuple[str, ...]  # those that the model judges
    min_cases: int
    fraction: float
    judge: Judge  # as `verdicts.judging` says
    models: dict[str, Model]  # what each is, as `candidates.identity` says
    give_up: bool  # whether calls that keep failing end as rejections
    mix: Place[tuple[str, ...]]
    asker: Place[Asker]

    def shards(self) -> tuple[str, ...]:
        return self.sources

    def teardown(self) -> None:
        self.asker.close()

    def at_once(self) -> int | None:
        return asking_at_once(self.asker.models[name] for name in self.models)

    def process(self, shard: str, writer: ShardWriter) -> None:
        self.asker.begin(self.TABLE)
        picks = pq.read_table(self.picks.parts()[0], columns=['sample_id', 'file', 'row'], filters=[('source', '=', shard)])
        wanted = max(self.min_cases, math.ceil(self.fraction * picks.num_rows))
        for controls in self.picks.parts('controls'):  # cases are planted beside answers that may well be right
            picks = pq.read_table(controls, columns=['sample_id', 'file', 'row'], filters=[('source', '=', shard)])
        places = _lowest(picks, wanted + POOL)
        rows = {row.sample_id: row for row in rows_at(self.mix, sorted(places.values()), pixels=False)}
        cases = plant_cases([Answered(r.sample_id, r.source, r.question, r.answer) for r in rows.values()], min_cases=wanted, fraction=0.0)
        cases += inject(cases, mode=self.judge.mode, choices=self.judge.choices)
        judged = self._judged(cases, [places[case.sample_id] for case in cases], writer)
        found = [self._row(case, rows[case.sample_id].question, *of) for case, of in zip(cases, judged, strict=True)]
        writer.counts.update(self.asker.served)
        writer.write('part', pa.Table.from_pylist(found, CASES))

    def _judged(self, cases: list[PlantedCase], places: list[tuple[int, int]], writer: ShardWriter) -> list[Judged]:
        """Return what the judge says of each case; they are asked about in the order of their rows, of which few are held with their pictures."""
        bench = Bench(self.asker, self.models, [self.judge], self.give_up)
        order = sorted(range(len(cases)), key=places.__getitem__)
        rows = rows_at(self.mix, (places[at] for at in order), pixels=bench.sees())
        asked = (Case(row, cases[at].chosen, cases[at].candidate) for at, row in zip(order, rows, strict=True))
        judged = {at: of for at, [of] in zip(order, bench.judge(asked, writer.counts), strict=True)}
        return [judged[at] for at in range(len(cases))]

    def _row(self, case: PlantedCase, question: str, verdict: Verdict, keys: list[str]) -> dict:
        against = check_candidate(
            case.chosen, case.candidate, question=question, kind='incorrect', max_length_ratio=self.judge.max_length_ratio
        )
        return {
            **asdict(case), 'question': question, 'rule': str(against[0]) if against else '', 'mode': verdict.mode, 'score': verdict.score,
            'scores': json.dumps(dict(verdict.scores), sort_keys=True), 'reason': str(verdict.reason or ''), 'detail': verdict.detail,
            'reply_keys': keys,
        }  # fmt: skip


def _lowest(picks: pa.Table, n: int) -> dict[str, tuple[int, int]]:
    """Return where the rows of the `n` samples with the lowest id hash stand."""
    files, rows = (picks[name].to_pylist() for name in ('file', 'row'))
    lots = ((pick(sample_id, 'plant', 2**64), sample_id, at) for at, sample_id in enumerate(picks['sample_id'].to_pylist()))
    return {sample_id: (files[at], rows[at]) for _, sample_id, at in heapq.nsmallest(n, lots)}


def reports(table: Table, margin: float) -> list[SourceReport]:
    """Return the report on each source's planted cases at a margin."""
    found = []
    for part in table.batches():
        rows = part.to_pylist()
        results = [_result(row) for row in rows]
        if results:
            found.append(report_source(rows[0]['source'], results, margin=margin))
    return found


def scores(table: Table) -> dict[str, list[tuple[float, bool]]]:
    """Return, per source, the score of every scored case and whether a good judge accepts it; without answers that ask for a verdict."""
    found: dict[str, list[tuple[float, bool]]] = {}
    for part in table.batches(columns=['source', 'plant', 'score', 'accept']):
        for row in part.to_pylist():
            if row['score'] is not None and row['plant'] != INJECTED:
                found.setdefault(row['source'], []).append((row['score'], row['accept']))
    return found


def _result(row: dict) -> CaseResult:
    case = PlantedCase(*(row[name] for name in ('case_id', 'sample_id', 'source', 'plant', 'chosen', 'candidate', 'accept')))
    verdict = Verdict(
        row['mode'], row['score'], tuple(json.loads(row['scores']).items()), Reason(row['reason']) if row['reason'] else None, row['detail']
    )
    return CaseResult(case, Reason(row['rule']) if row['rule'] else None, verdict)


def gate_sources(found: list[SourceReport], recipe: Recipe) -> dict[str, list[str]]:
    """Return the faults of the judge per source that accepts them; raises UserError with the faults of those with open answers that do not."""
    faults = _faults(found, recipe)
    accepting, spared = _accepting(faults, recipe), not_asked(found, recipe)
    refused = [fault for source, told in faults.items() if source not in accepting and source not in spared for fault in told]
    if refused:
        raise UserError(
            '\n'.join(refused) + '\nno candidate of these sources was judged; use a better judge, or say accept_uncalibrated: true '
            'for the source, which the card will print'
        )
    return {source: faults[source] for source in accepting}


def not_asked(found: list[SourceReport], recipe: Recipe) -> dict[str, list[str]]:
    """Return the faults of the judge per source with exact answers on which it is not asked for them: a program judges there, or nobody."""
    accepting = _accepting(faults := _faults(found, recipe), recipe)
    return {source: told for source, told in faults.items() if source not in accepting and recipe.sources[source].answers == 'exact'}


def _faults(found: list[SourceReport], recipe: Recipe) -> dict[str, list[str]]:
    faults = {report.source: gate(report, min_auc=recipe.calibration.min_auc) for report in found}
    return {source: told for source, told in faults.items() if told}


def _accepting(faults: dict[str, list[str]], recipe: Recipe) -> list[str]:
    return [source for source in faults if recipe.sources[source].accept_uncalibrated]
