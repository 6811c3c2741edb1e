"""The part of the triples that asks models: candidates, the judge's calibration and gate, verdicts; in rounds where a number is wanted."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from curation.calibration import SourceReport
from pipelines.chat.asker import Asker
from pipelines.chat.asking import needs_of
from pipelines.chat.open import open_backend
from pipelines.chat.vllm_engine import kept
from pipelines.engine.steps import Engine
from pipelines.engine.tables import Table, fingerprint
from pipelines.replies.store import ReplyStore
from pipelines.triples import calibration as calibrate
from pipelines.triples import candidates as propose_candidates
from pipelines.triples import picks as pick_samples
from pipelines.triples import selection as select_triples
from pipelines.triples import verdicts as judge_candidates
from schemas.errors import UserError
from schemas.recipe import Model, Recipe


def check_plan(recipe: Recipe, *, reach: bool = True) -> None:
    """Raise one UserError with everything that cannot work about the recipe's models: nothing has been read or paid by then.

    With `reach` each model's server must answer, too.
    """
    faults = []
    judged = [name for name, source in recipe.sources.items() if source.answers == 'open']
    if recipe.judge.model is None and judged:
        faults.append(
            f'judge.model: expected a model, since {", ".join(judged)} have open answers, found none; name one, '
            'or say answers: exact where they are computed'
        )
    for name, needs in _needs(recipe).items() if reach else ():
        model = recipe.models[name]
        if model.serve == 'demo':
            from pipelines.demo.server import require_vllm

            _collect(faults, require_vllm)
        else:
            _collect(faults, _check, model, needs)
    if faults:
        raise UserError('\n'.join(faults))


def _collect(faults: list[str], check: Callable[..., None], *args: object) -> None:
    try:
        check(*args)
    except UserError as e:
        faults.append(str(e))


def _check(model: Model, needs: frozenset[str]) -> None:
    backend = open_backend(model)
    try:
        backend.check(needs)
    finally:
        backend.close()


def _needs(recipe: Recipe) -> dict[str, frozenset[str]]:
    """Return what each model that will be asked must be able to do."""
    asked: list[tuple[str, str]] = [(generator.model, generator.prompt) for generator in recipe.generate if generator.model]
    for judge in (recipe.judge, recipe.judge.second):
        if judge is not None and judge.model:
            asked.append((judge.model, 'paper_judge' if judge.mode == 'paper' else judge.mode))
    needs: dict[str, frozenset[str]] = {}
    for name, mode in asked:
        needs[name] = needs.get(name, frozenset()) | needs_of(mode, images=recipe.models[name].images)
    return needs


def identities(recipe: Recipe) -> dict[str, list]:
    """Return what each model is, never where it answers or how fast."""
    return {name: [model.model, model.revision, model.images, model.max_image_px] for name, model in recipe.models.items()}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the models were asked and said: parts of candidates and verdicts over all rounds, and how good the judge is."""

    candidates: list[str]
    verdicts: list[str]
    tables: list[Table]  # whose counts and rejections belong to the books
    reports: list[SourceReport]
    accepted: dict[str, list[str]]
    fingerprint: str


def ask_models(recipe: Recipe, engine: Engine, picks: Table, mix: list[str], asker: Asker, *, ask_nobody: bool) -> Asked:
    """Return what as many rounds as the recipe's exact numbers need have brought, after the judge passed its gate."""
    rounds = _Rounds(recipe, engine, picks, mix, asker, ask_nobody)
    with rounds.served:
        rounds.run()
    for source, n in sorted(rounds.short.items()):
        wanted = recipe.triples.exactly[source]
        print(f'triples: {source} has {n} accepted of the {wanted} wanted; its candidate budget is used up (triples.max_samples)')
    if engine.ran:
        with closing(ReplyStore(asker.replies)) as store:
            store.compact()
    marks = [table.fingerprint for table in rounds.verdicts]
    return Asked(*rounds.parts(), [*rounds.candidates, rounds.leave_unasked()], rounds.reports, rounds.accepted, fingerprint(marks))


def check_asked(recipe: Recipe, engine: Engine, picks: Table, asker: Asker) -> None:
    """Raise UserError where a select would have to ask in its first round."""
    if picks.done() is None:
        raise _unfinished([picks])
    _Rounds(recipe, engine, picks, [], asker, ask_nobody=True).check()


def _unfinished(tables: list[Table]) -> UserError:
    names = ', '.join(table.name for table in tables)
    return UserError(
        f'select: expected finished tables in {tables[0].path.parent}, found {names} not made for these settings; '
        'only thresholds (judge.margin, triples.per_sample) can change without asking a model; use `phantom build`'
    )


@dataclass
class _Rounds:
    """The tables of every round so far. Round 0 asks all sources; a later one only those that still lack accepted triples."""

    recipe: Recipe
    engine: Engine
    picks: Table
    mix: list[str]
    asker: Asker
    ask_nobody: bool
    candidates: list[Table] = field(default_factory=list)
    verdicts: list[Table] = field(default_factory=list)
    reports: list[SourceReport] = field(default_factory=list)
    accepted: dict[str, list[str]] = field(default_factory=dict)
    served: ExitStack = field(default_factory=ExitStack)
    _serving: bool = False

    def __post_init__(self) -> None:
        self.short = dict.fromkeys(self.recipe.triples.exactly, 0)
        self._asked: set[int] = set()
        self._groups = pick_samples.read_groups(self.picks.path / 'groups.json')
        self._picks = str(self.picks.parts()[0])
        judge = self.recipe.judge.model_dump(exclude={'margin': True, 'second': {'margin', 'must_agree'}})
        answers = {name: source.answers for name, source in self.recipe.sources.items()}
        self._judging = [judge_candidates.VERSION, judge, identities(self.recipe), answers]

    def run(self) -> None:
        """Ask round by round until no source is short or nobody is left to ask."""
        for number in range(1 + max((group.round for group in self._groups), default=0)):
            wanted = self._wanted(number)
            if wanted or number == 0:
                self._ask(number, wanted)

    def check(self) -> None:
        """Raise UserError where round 0 must ask and nobody may be asked."""
        candidates, verdicts = self._tables(0, self._wanted(0))
        self._allow(candidates, self._cases(), verdicts)

    def _wanted(self, number: int) -> list[int]:
        return [group.number for group in self._groups if group.round == number and (not group.source or group.source in self.short)]

    def _tables(self, number: int, wanted: list[int]) -> tuple[Table, Table]:
        candidates = self._table(f'candidates-{number}', propose_candidates.VERSION, self.picks.fingerprint, identities(self.recipe), wanted)
        return candidates, self._table(f'verdicts-{number}', candidates.fingerprint, self._judging)

    def _ask(self, number: int, wanted: list[int]) -> None:
        candidates, verdicts = self._tables(number, wanted)
        self._allow(candidates, self._cases(), verdicts)
        pool = str(self.picks.path / 'pool.json')
        self.engine.make(candidates, propose_candidates.ProposeCandidates(self._picks, pool, self.mix, self.asker), wanted)
        self._calibrate()
        self.engine.make(verdicts, judge_candidates.JudgeCandidates(self.mix, self.asker), [str(path) for path in candidates.parts()])
        self._asked.update(wanted)
        self.candidates.append(candidates)
        self.verdicts.append(verdicts)
        self.short = select_triples.selection(self.recipe, *self.parts()).short()

    def _table(self, name: str, *marks: object) -> Table:
        return self.engine.table(name, fingerprint(name, *marks))

    def _cases(self) -> Table:
        sizes = self.recipe.calibration.model_dump(include={'min_cases', 'fraction'})
        return self._table('calibration', calibrate.VERSION, self.picks.fingerprint, self._judging, sizes)

    def _calibrate(self) -> None:
        """Judge the planted cases of every source the model judges; raises UserError where the judge fails its gate."""
        sources = sorted(set(self.picks.read(columns=['source'])['source'].to_pylist()))
        judged = [name for name in sources if self.recipe.judge.model and self.recipe.sources[name].answers == 'open']
        cases = self._cases()
        self.engine.make(cases, calibrate.JudgePlanted(self._picks, self.mix, self.asker), judged)
        self.reports = calibrate.reports(cases, self.recipe.judge.margin)
        self.accepted = calibrate.gate_sources(self.reports, self.recipe)

    def _allow(self, *tables: Table) -> None:
        """Bring up what must be asked, if anything must; raises UserError where nobody may be asked."""
        waiting = [table for table in tables if table.done() is None]
        if waiting and self.ask_nobody:
            raise _unfinished(waiting)
        if waiting and not self._serving:
            self.served.enter_context(served(self.recipe))
            self._serving = True

    def parts(self) -> tuple[list[str], list[str]]:
        """Return the parts of candidates and of verdicts over all rounds, aligned."""
        return [str(p) for table in self.candidates for p in table.parts()], [str(p) for table in self.verdicts for p in table.parts()]

    def leave_unasked(self) -> Table:
        """Return the table that rejects the picks of rounds that were not needed."""
        unasked = [group.number for group in self._groups if group.number not in self._asked]
        table = self._table('unasked', pick_samples.VERSION, self.picks.fingerprint, unasked)
        self.engine.make(table, pick_samples.LeaveUnasked(self._picks), unasked)
        return table


@contextmanager
def served(recipe: Recipe) -> Iterator[None]:
    """Keep the demo server up for the models that say `serve: demo`, and check every model that will be asked."""
    needs = _needs(recipe)
    with ExitStack() as stack:
        for name in sorted(needs):
            if recipe.models[name].serve == 'demo':
                from pipelines.demo.server import demo_server

                port = urlsplit(recipe.models[name].base_urls[0]).port
                stack.enter_context(demo_server(port=port or 8011, reuse=True))
        for name, wanted in sorted(needs.items()):
            _check(recipe.models[name], wanted)
        stack.enter_context(kept())  # an engine in this process serves all steps, it is not started for each
        yield
