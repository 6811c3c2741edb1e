"""A verdict for every candidate: rules first, then the computed answer where a source has one, then a model. Thresholds come later.

What the computed answer does not tell, a model is asked, where the recipe names one that was calibrated on the source; else it is CANNOT_TELL.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from operator import attrgetter

import pyarrow.parquet as pq

from curation.answers.wording import said
from curation.negatives.distractors import CLOSED
from curation.verdicts.control_tokens import neutral
from curation.verdicts.judging import Verdict, check_candidate, decide, judge_by_truth, score_outcomes
from pipelines.chat.asker import Asker
from pipelines.chat.asking import judge_requests
from pipelines.chat.blocks import Waits, in_blocks
from pipelines.chat.failures import JUDGE, SECOND, count_calls
from pipelines.chat.models import asking_at_once
from pipelines.chat.remedies import told
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot.mix_rows import MixRow
from pipelines.triples.control_tokens import count_control_tokens
from pipelines.triples.picks import read_pool
from pipelines.triples.rows_at import rows_at
from schemas.recipe import Judge, Model, SecondJudge
from schemas.records import VERDICTS, Reason, rows_table
from schemas.replies import ChatRequest, Failure, Outcome

CALLS = {'likelihood': 2, 'yes_no': 2, 'pairwise': 2, 'paper': 1}  # that one judgement takes, by its mode
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


Judged = tuple[Verdict, list[str]]  # and the reply keys


@dataclass(frozen=True, slots=True)
class _Asked:
    """A case, without the pictures of its row, and what each judge is asked about it, which holds them."""

    case: Case
    requests: list[tuple[ChatRequest, ...]]  # of each judge

    @property
    def all_requests(self) -> list[ChatRequest]:
        return [request for some in self.requests for request in some]


@dataclass(frozen=True, slots=True)
class Bench:
    """The judges of a step, in order, and how they are asked."""

    asker: Asker
    models: dict[str, Model]
    judges: Sequence[Judge | SecondJudge]
    give_up: bool

    def judge(self, cases: Iterable[Case], counts: Counter[str]) -> Iterator[list[Judged]]:
        """Yield what each judge says of each case, in order; the calls of a block are made at once, equal prompts once, and counted in `counts`.

        `cases` are read as they are needed. Raises PendingWork, once all of them were asked about, where some calls keep failing.
        """
        waits = Waits()
        for block in in_blocks(map(self._asked, cases), attrgetter('all_requests')):
            with waits.noted():
                by_judge = [self._judged(number, block, counts) for number in range(len(self.judges))]
                yield from map(list, zip(*by_judge, strict=True))
            del block  # before the pictures of the next one are read
        waits.refuse()

    def sees(self) -> bool:
        """Return whether a judge is shown pictures."""
        return any(self.models[judge.model or ''].images and judge.sees for judge in self.judges)

    def _asked(self, case: Case) -> _Asked:
        return _Asked(replace(case, row=replace(case.row, images=())), [self._requests(judge, case) for judge in self.judges])

    def _requests(self, judge: Judge | SecondJudge, case: Case) -> tuple[ChatRequest, ...]:
        assert judge.model is not None, 'check_plan refuses a recipe that needs a judge and names none'
        model = self.models[judge.model]
        images = case.row.shown(model)
        return judge_requests(
            judge.mode, model, case.row.turns, chosen=case.chosen, candidate=case.candidate, images=images, prompt=judge.prompt
        )

    def _judged(self, number: int, block: Sequence[_Asked], counts: Counter[str]) -> list[Judged]:
        judge = self.judges[number]
        by_source: dict[str, list[ChatRequest]] = defaultdict(list)
        for asked in block:
            by_source[asked.case.row.source] += asked.requests[number]
        outcomes = self.asker.ask(judge.model or '', by_source, give_up=self.give_up)
        count_calls(counts, SECOND if isinstance(judge, SecondJudge) else JUDGE, outcomes.values())
        return [self._verdict(judge, asked.case, [outcomes[request.key] for request in asked.requests[number]]) for asked in block]

    def _verdict(self, judge: Judge | SecondJudge, case: Case, outcomes: list[Outcome]) -> Judged:
        keys = [outcome.key for outcome in outcomes]
        if lost := [outcome for outcome in outcomes if isinstance(outcome, Failure) and outcome.retryable]:
            return Verdict(judge.mode, None, (), Reason.GIVEN_UP, told(lost[0])), keys
        others = self.models[judge.model or ''].control_tokens
        chosen, candidate = (neutral(text, others) for text in (case.chosen, case.candidate))  # as they were sent
        return score_outcomes(judge.mode, outcomes, chosen=chosen, candidate=candidate, choices=judge.choices), keys


def judge_name(judge: Judge, models: dict[str, Model]) -> str:
    """Return the words by which rows name the model judge: model, revision, mode, and the prompt where it is not ours."""
    model = models[judge.model] if judge.model else None
    return f'{model.model} ({model.revision}), {judge.way}' if model else 'none'


@dataclass(frozen=True)
class JudgeCandidates(Step):
    """Writes `part` (VERDICTS), aligned row by row with one part of the candidates."""

    TABLE = 'verdicts'
    VERSION = 7

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

    def most_calls(self, shards: Sequence[str]) -> int:
        judges = [judge for judge in (self.judge, self.judge.second) if judge and judge.model]
        return sum(CALLS[judge.mode] for judge in judges) * sum(pq.read_metadata(shard).num_rows for shard in shards)

    def at_once(self) -> int | None:
        return asking_at_once(self.asker.models[name] for name in self.models)

    def teardown(self) -> None:
        self.asker.close()

    def process(self, shard: str, writer: ShardWriter) -> None:
        self.asker.begin(self.TABLE)
        candidates = pq.read_table(shard).to_pylist()
        verdicts = [self._by_program(candidate) for candidate in candidates]
        waiting = [at for at, verdict in enumerate(verdicts) if verdict is None]
        for at, verdict in self._by_model(candidates, waiting, writer):
            verdicts[at] = verdict
        rows = [{'candidate_id': candidate['candidate_id'], **(verdict or {})} for candidate, verdict in zip(candidates, verdicts, strict=True)]
        writer.counts.update(self.asker.served)
        writer.counts.update(count_control_tokens(((c['source'], c['rejected']) for c in candidates), self.models))
        writer.write('part', rows_table(rows, VERDICTS))

    def _by_model(self, candidates: list[dict], waiting: list[int], writer: ShardWriter) -> Iterator[tuple[int, dict]]:
        """Yield (place, VERDICTS row without its id) of the candidates that wait for a model."""
        if not waiting:
            return
        bench = Bench(self.asker, self.models, [judge for judge in (self.judge, self.judge.second) if judge is not None], self.give_up)
        waiting = sorted(waiting, key=[(candidate['file'], candidate['row']) for candidate in candidates].__getitem__)
        rows = rows_at(self.mix, ((candidates[at]['file'], candidates[at]['row']) for at in waiting), pixels=bench.sees())
        cases = (Case(row, candidates[at]['chosen'], candidates[at]['rejected']) for at, row in zip(waiting, rows, strict=True))
        name = judge_name(self.judge, self.models)
        for at, ((verdict, keys), *second) in zip(waiting, bench.judge(cases, writer.counts), strict=True):
            row = _row(verdict, name, keys)
            yield at, _with_second(row, *second[0]) if second else row

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


def _with_second(row: dict, verdict: Verdict, keys: list[str]) -> dict:
    """Return a VERDICTS row with the second judge's score; without one (unparsable, orders that disagree) it counts as disagreeing."""
    has_score = decide(verdict, margin=float('-inf')) is None
    scores = json.loads(row['scores']) | ({'second': verdict.score} if has_score else {})
    return {**row, 'scores': json.dumps(scores, sort_keys=True), 'reply_keys': [*row['reply_keys'], *keys]}


@lru_cache(maxsize=16)
def _of_program(scores: tuple[tuple[str, float], ...]) -> str:
    return json.dumps(dict(scores), sort_keys=True)


def _as_json(verdict: Verdict) -> str:
    """Return the scores as JSON. Those of programs are few; to remember a model's would take -0.0 for 0.0."""
    return _of_program(verdict.scores) if verdict.mode in ('rules', 'truth') else json.dumps(dict(verdict.scores), sort_keys=True)


def _row(verdict: Verdict, judge: str, keys: list[str]) -> dict:
    """Return a VERDICTS row without its id; only reasons that no threshold can change are written, a margin is applied later."""
    final = decide(verdict, margin=float('-inf'))
    return {
        'judge': judge,
        'score': verdict.score,
        'scores': _as_json(verdict),
        'reason': str(final[0]) if final else '',
        'detail': final[1] if final else '',
        'reply_keys': keys,
    }
