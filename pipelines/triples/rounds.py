"""The part of the triples that asks models: candidates, the judge's calibration and gate, verdicts; in rounds where a number is wanted."""

from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import cached_property

from curation.calibration.planted import SourceReport
from pipelines.chat.asker import Asker
from pipelines.chat.failures import allowed, refuse_failed
from pipelines.chat.models import identity, may_be_judged, served
from pipelines.engine.engine import Engine
from pipelines.engine.step import Step
from pipelines.engine.tables import Table
from pipelines.replies.store import ReplyStore
from pipelines.triples.calibration import JudgePlanted, gate_sources, not_asked, reports
from pipelines.triples.candidates import ProposeCandidates, proposing
from pipelines.triples.judged import NarrowJudged
from pipelines.triples.picks import Group, LeaveUnasked, read_groups
from pipelines.triples.remembered import never_asked, planted_before
from pipelines.triples.selection import selection
from pipelines.triples.verdicts import JudgeCandidates, judging
from schemas.errors import NotStored, UserError
from schemas.recipe import Model, Recipe
from schemas.telling import tell_news


@dataclass(frozen=True, slots=True)
class Asked:
    """What the models were asked and said over all rounds, and how good the judge is."""

    candidates: tuple[Table, ...]
    verdicts: tuple[Table, ...]
    judged: tuple[Table, ...]
    unasked: Table
    planted: Table
    reports: list[SourceReport]
    accepted: dict[str, list[str]]
    not_asked: dict[str, list[str]]  # sources of exact answers on which the judge is no better than chance, and so was not asked


@dataclass(frozen=True, slots=True)
class Manner:
    """How models are asked: whether calls that keep failing end as rejections, whether nobody may be asked, and which candidates do not count."""

    give_up: bool = False
    ask_nobody: bool = False
    excluded: tuple[Table, ...] = ()  # EXCLUDED


def ask_models(recipe: Recipe, engine: Engine, picks: Table, mix: tuple[str, ...], asker: Asker, manner: Manner) -> Asked:
    """Return what as many rounds as the recipe's exact numbers need have brought, after the judge passed its gate."""
    rounds = _Rounds(recipe, engine, picks, mix, asker, manner)
    if manner.ask_nobody and rounds.waiting():  # what was given up may be selected from, too
        rounds = _Rounds(recipe, engine, picks, mix, asker, replace(manner, give_up=True))
        if rounds.waiting():  # of another mix: what its samples ask may be stored all the same
            rounds = _Rounds(recipe, engine, picks, mix, replace(asker, only_stored=True), manner)
    with rounds.served:
        try:
            rounds.run()
        except NotStored as e:
            raise never_asked(engine, picks, e) from e
    for source, n in sorted(rounds.short.items()):
        wanted = recipe.triples.exactly[source]
        print(f'triples: {source} has {n} accepted of the {wanted} wanted; its candidate budget is used up (triples.max_samples)')
    if engine.ran:
        with closing(ReplyStore(asker.replies)) as store:
            store.compact()
    unasked = engine.run(LeaveUnasked(picks, tuple(group.number for group in rounds.groups if group.number not in rounds.asked)))
    return Asked(
        candidates=tuple(rounds.candidates),
        verdicts=tuple(rounds.verdicts),
        judged=tuple(rounds.judged),
        unasked=unasked,
        planted=rounds.planted or engine.table(rounds.planting),
        reports=rounds.reports,
        accepted=rounds.accepted,
        not_asked=rounds.not_asked,
    )


def check_asked(recipe: Recipe, engine: Engine, picks: Table, asker: Asker) -> None:
    """Raise UserError where a select would have to ask in its first round."""
    if picks.done() is None:
        raise _unfinished(engine, [picks])
    rounds = _Rounds(recipe, engine, picks, (), asker, Manner(ask_nobody=True))
    if (waiting := rounds.waiting()) and _Rounds(recipe, engine, picks, (), asker, Manner(give_up=True, ask_nobody=True)).waiting():
        raise _unfinished(engine, waiting)


def _unfinished(engine: Engine, tables: list[Table]) -> UserError:
    names, work = ', '.join(table.name for table in tables), tables[0].path.parents[1]
    if told := _other_versions(engine, tables[0]):
        return UserError(f'select: expected tables of this version of phantom in {work}, found {names} of another one ({told}); use `phantom build`')
    return UserError(
        f'select: expected finished tables in {work}, found {names} not made for these settings; '
        'only thresholds (judge.margin, triples.per_sample, triples.differ_within) can change without asking a model; use `phantom build`'
    )


def _other_versions(engine: Engine, table: Table) -> str:
    """Return what steps had and have other versions, where all tables of that name that lie there are of another version; else ''."""
    now, told = engine.versions(table), ''
    for path in sorted(table.path.parent.glob('[!._]*')):
        then = engine.versions(Table(path))
        changed = [f'{name} {then[name]} -> {now[name]}' for name in sorted(then.keys() & now.keys()) if then[name] != now[name]]
        if then and not changed:
            return ''
        told = ', '.join(changed) or told
    return told


@dataclass
class _Rounds:
    """The tables of every round so far. Round 0 asks all sources; a later one only those that still lack accepted triples."""

    recipe: Recipe
    engine: Engine
    picks: Table
    mix: tuple[str, ...]
    asker: Asker
    manner: Manner
    candidates: list[Table] = field(default_factory=list)
    verdicts: list[Table] = field(default_factory=list)
    judged: list[Table] = field(default_factory=list)
    reports: list[SourceReport] = field(default_factory=list)
    accepted: dict[str, list[str]] = field(default_factory=dict)
    not_asked: dict[str, list[str]] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)
    planted: Table | None = None
    served: ExitStack = field(default_factory=ExitStack)
    _serving: bool = False

    def __post_init__(self) -> None:
        self.short = dict.fromkeys(self.recipe.triples.exactly, 0)
        self.groups: list[Group] = read_groups(self.picks)
        exact = any(self.recipe.sources[source].answers == 'exact' for source in self.planting.sources)
        if exact and (planted := self.engine.table(self.planting)).done() is not None:
            self.not_asked = not_asked(reports(planted, self.recipe.judge.margin), self.recipe)

    def run(self) -> None:
        """Ask round by round until no source is short or nobody is left to ask."""
        for number in range(1 + max((group.round for group in self.groups), default=0)):
            wanted = self._wanted(number)
            if wanted or number == 0:
                self._ask(wanted)

    def waiting(self) -> list[Table]:
        """Return the tables of round 0 that are not made."""
        proposing = self._proposing(self._wanted(0))
        steps = (proposing, self.planting, self._judging(self.engine.table(proposing)))
        return [table for table in map(self.engine.table, steps) if table.done() is None]

    def _wanted(self, number: int) -> tuple[int, ...]:
        return tuple(group.number for group in self.groups if group.round == number and (not group.source or group.source in self.short))

    def _ask(self, wanted: tuple[int, ...]) -> None:
        proposing = self._proposing(wanted)
        self._allow(proposing, self.planting, self._judging(self.engine.table(proposing)))
        candidates = self._run(proposing)
        self.planted = planted = self._planted()
        self.reports = reports(planted, self.recipe.judge.margin)
        self.not_asked = not_asked(self.reports, self.recipe)
        self.accepted = gate_sources(self.reports, self.recipe)
        self.candidates.append(candidates)
        self.verdicts.append(self._run(self._judging(candidates)))
        self.judged.append(self.engine.run(NarrowJudged(candidates, self.verdicts[-1], self.recipe.mix.seed, self.mix)))
        self.asked.update(wanted)
        self.short = selection(self.recipe, tuple(self.candidates), tuple(self.judged), self.manner.excluded).short()

    def _planted(self) -> Table:
        """Return the judged cases; where nobody may be asked and some are of samples that were none before, those of the mix before."""
        try:
            return self._run(self.planting)
        except NotStored:
            if (before := planted_before(self.engine, self.planting)) is None:
                raise
            tell_news('select: the judge is known by the planted cases of the mix before; of this one some were never judged')
            return before

    def _run(self, step: Step) -> Table:
        """Return the finished table of a step that asks; raises PendingWork where too many of its calls failed for good."""
        table = self.engine.run(step)
        if not (self.manner.give_up or self.manner.ask_nobody):  # else who built it has seen to that
            refuse_failed(table, allowed(self.recipe))
        return table

    def _proposing(self, wanted: tuple[int, ...]) -> ProposeCandidates:
        generate = tuple(proposing(generator) for generator in self.recipe.generate)
        return ProposeCandidates(self.picks, wanted, generate, self._models(*(g.model for g in generate)), self.manner.give_up, self.mix, self.asker)

    @cached_property
    def planting(self) -> JudgePlanted:
        """Return the step that judges the planted cases of every source that the model may judge."""
        sources = sorted(set(self.picks.read(columns=['source'])['source'].to_pylist()))
        judged = tuple(name for name in sources if may_be_judged(self.recipe, name))
        sizes = self.recipe.calibration
        judge, models = judging(self.recipe.judge), self._models(self.recipe.judge.model)
        return JudgePlanted(self.picks, judged, sizes.min_cases, sizes.fraction, judge, models, self.manner.give_up, self.mix, self.asker)

    def _judging(self, candidates: Table) -> JudgeCandidates:
        judge = self.recipe.judge
        models = self._models(judge.model, judge.second.model if judge.second else None)
        return JudgeCandidates(
            candidates, self.picks, judging(judge), models, self.manner.give_up, tuple(sorted(self.not_asked)), self.mix, self.asker
        )

    def _models(self, *names: str | None) -> dict[str, Model]:
        return {name: identity(self.recipe.models[name]) for name in names if name is not None}

    def _allow(self, *steps: Step) -> None:
        """Bring up what must be asked, if anything must; raises UserError where nobody may be asked."""
        waiting = [table for table in map(self.engine.table, steps) if table.done() is None]
        if self.asker.only_stored:
            return
        if waiting and self.manner.ask_nobody:
            raise _unfinished(self.engine, waiting)
        if waiting and not self._serving:
            self.served.enter_context(self.engine.asking())
            self.served.enter_context(served(self.recipe, self.engine.work))
            self._serving = True
