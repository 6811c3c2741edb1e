"""A verdict for every candidate: rules first, then the computed answer where a source has one, then a model. Thresholds come later.

What the computed answer does not tell, a model is asked, where the recipe names one that was calibrated on the source; else it is CANNOT_TELL.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow.parquet as pq

from curation.answers.wording import said
from curation.negatives.distractors import CLOSED
from curation.verdicts.control_tokens import neutral
from curation.verdicts.judging import Verdict, check_candidate, decide, judge_by_truth, score_outcomes
from pipelines.chat.asker import Asker
from pipelines.chat.asking import judge_requests
from pipelines.chat.remedies import told
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot.mix_rows import MixRow, mix_rows
from pipelines.triples.control_tokens import count_control_tokens
from pipelines.triples.failures import JUDGE, SECOND, count_calls
from pipelines.triples.picks import read_pool
from schemas.recipe import Judge, Model, SecondJudge
from schemas.records import VERDICTS, Reason, rows_table
from schemas.replies import ChatRequest, Failure

COMPUTED = 'computed answer'  # the judge's name where a program compares with the truth


@dataclass(frozen=True, slots=True)
class Case:
    """One candidate answer to judge against the answer it should be worse than."""

    row: MixRow
    chosen: str
    candidate: str


def judging(judge: Judge) -> Judge:
    """Return how a judge scores, without the thresholds, which are applied to stored scores and counts, and where its prompts lie."""
    judge = judge.placeless()
    second = judge.second.model_copy(update={'margin': 0.0, 'must_agree': False, 'max_failed': 1.0}) if judge.second else None
    return judge.model_copy(update={'margin': 0.0, 'max_failed': 1.0, 'second': second})


def judge_cases(
    asker: Asker, models: dict[str, Model], cases: Sequence[Case], judge: Judge | SecondJudge, *, give_up: bool, counts: Counter[str]
) -> list[tuple[Verdict, list[str]]]:
    """Return (verdict, reply keys) of a judge for each case; all calls are made at once, equal prompts once, and counted in `counts`."""
    assert judge.model is not None, 'check_plan refuses a recipe that needs a judge and names none'
    model, mode = models[judge.model], judge.mode
    requests = [
        judge_requests(
            mode, model, case.row.turns, chosen=case.chosen, candidate=case.candidate, images=case.row.shown(model), prompt=judge.prompt
        )
        for case in cases
    ]
    by_source: dict[str, list[ChatRequest]] = defaultdict(list)
    for case, asked in zip(cases, requests, strict=True):
        by_source[case.row.source] += asked
    outcomes = asker.ask(judge.model, by_source, give_up=give_up)
    count_calls(counts, SECOND if isinstance(judge, SecondJudge) else JUDGE, outcomes.values())
    judged = []
    for case, asked in zip(cases, requests, strict=True):
        answers = [outcomes[request.key] for request in asked]
        lost = [answer for answer in answers if isinstance(answer, Failure) and answer.retryable]
        if lost:
            verdict = Verdict(mode, None, (), Reason.GIVEN_UP, told(lost[0]))
        else:
            chosen, candidate = (neutral(text, model.control_tokens) for text in (case.chosen, case.candidate))  # as they were sent
            verdict = score_outcomes(mode, answers, chosen=chosen, candidate=candidate, choices=judge.choices)
        judged.append((verdict, [request.key for request in asked]))
    return judged


def judge_name(judge: Judge, models: dict[str, Model]) -> str:
    """Return the words by which rows name the model judge: model, revision, mode, and the prompt where it is not ours."""
    model = models[judge.model] if judge.model else None
    return f'{model.model} ({model.revision}), {judge.way}' if model else 'none'


@dataclass(frozen=True)
class JudgeCandidates(Step):
    """Writes `part` (VERDICTS), aligned row by row with one part of the candidates."""

    TABLE = 'verdicts'
    VERSION = 6

    candidates: Table
    picks: Table  # with the right answers of each source
    judge: Judge  # as `judging` says
    models: dict[str, Model]  # what each is, as `identity` says
    give_up: bool  # whether calls that keep failing end as rejections
    not_asked: tuple[str, ...]  # sources of exact answers on which the model judge is no better than chance
    mix: Place[tuple[str, ...]]
    asker: Place[Asker]

    def shards(self) -> list[str]:
        return [str(path) for path in self.candidates.parts()]

    def teardown(self) -> None:
        self.asker.close()

    def process(self, shard: str, writer: ShardWriter) -> None:
        self.asker.served.clear()
        candidates = pq.read_table(shard).to_pylist()
        by_program = [self._by_program(candidate) for candidate in candidates]
        waiting = [candidate for candidate, verdict in zip(candidates, by_program, strict=True) if verdict is None]
        by_model = self._by_model(waiting, writer)
        verdicts = [verdict if verdict is not None else next(by_model) for verdict in by_program]
        rows = [{'candidate_id': candidate['candidate_id'], **verdict} for candidate, verdict in zip(candidates, verdicts, strict=True)]
        writer.counts.update(self.asker.served)
        writer.counts.update(count_control_tokens(((c['source'], c['rejected']) for c in candidates), self.models))
        writer.write('part', rows_table(rows, VERDICTS))

    def _by_model(self, candidates: list[dict], writer: ShardWriter) -> Iterator[dict]:
        rows = self._mix_rows(candidates)
        cases = [Case(rows[candidate['file'], candidate['row']], candidate['chosen'], candidate['rejected']) for candidate in candidates]
        name = judge_name(self.judge, self.models)
        judges = [judge for judge in (self.judge, self.judge.second) if judge is not None and cases]
        judged = [judge_cases(self.asker, self.models, cases, judge, give_up=self.give_up, counts=writer.counts) for judge in judges]
        first = judged[0] if judged else []
        second = judged[1] if len(judged) > 1 else [None] * len(first)
        for (verdict, keys), other in zip(first, second, strict=True):
            row = _row(verdict, name, keys)
            yield row if other is None else _with_second(row, *other)

    def _by_program(self, candidate: dict) -> dict | None:
        """Return the verdict of the rules or of the computed answer, None where a model must judge."""
        against = check_candidate(
            candidate['chosen'],
            candidate['rejected'],
            question=candidate['question'],
            kind=candidate['kind'],
            max_length_ratio=self.judge.max_length_ratio,
        )
        if against:
            return _row(Verdict('rules', None, (), *against), 'rules', [])
        return self._by_truth(candidate) if candidate['answers'] == 'exact' else None

    def _by_truth(self, candidate: dict) -> dict | None:
        source, made = candidate['source'], candidate['generator'] == 'rules'
        known = () if made else self._closed.get(source, ())
        verdict = judge_by_truth(candidate['chosen'], candidate['rejected'], question=candidate['question'], known=known, made=made)
        if verdict.reason == Reason.CANNOT_TELL:
            if self.judge.model is not None and source not in self.not_asked:
                return None
            nobody = 'the judge is no better than chance on this source' if self.judge.model else 'the recipe names no judge to ask'
            verdict = replace(verdict, detail=f'{verdict.detail}; {nobody}')
        return _row(verdict, COMPUTED, [])

    @cached_property
    def _closed(self) -> dict[str, frozenset[str]]:
        """Return the right answers of each source that has few of them, so that another one of them is wrong."""
        answers = {source: [said(answer) for _, answer in exchanges] for source, exchanges in read_pool(self.picks).items()}
        return {source: frozenset(some) for source, some in answers.items() if len(set(some)) * CLOSED <= len(some)}

    def _mix_rows(self, candidates: list[dict]) -> dict[tuple[int, int], MixRow]:
        sees = any(judge is not None and self._sees(judge) for judge in (self.judge, self.judge.second))
        wanted = defaultdict(set)
        for candidate in candidates:
            wanted[candidate['file']].add(candidate['row'])
        return {
            (file, number): row
            for file, numbers in sorted(wanted.items())
            for number, row in zip(sorted(numbers), mix_rows(self.mix[file], sorted(numbers), pixels=sees), strict=True)
        }

    def _sees(self, judge: Judge | SecondJudge) -> bool:
        return judge.model is not None and self.models[judge.model].images and judge.sees


def _with_second(row: dict, verdict: Verdict, keys: list[str]) -> dict:
    """Return a VERDICTS row with the second judge's score; without one (unparsable, orders that disagree) it counts as disagreeing."""
    has_score = decide(verdict, margin=float('-inf')) is None
    scores = json.loads(row['scores']) | ({'second': verdict.score} if has_score else {})
    return {**row, 'scores': json.dumps(scores, sort_keys=True), 'reply_keys': [*row['reply_keys'], *keys]}


def _row(verdict: Verdict, judge: str, keys: list[str]) -> dict:
    """Return a VERDICTS row without its id; only reasons that no threshold can change are written, a margin is applied later."""
    final = decide(verdict, margin=float('-inf'))
    return {
        'judge': judge,
        'score': verdict.score,
        'scores': json.dumps(dict(verdict.scores), sort_keys=True),
        'reason': str(final[0]) if final else '',
        'detail': final[1] if final else '',
        'reply_keys': keys,
    }
