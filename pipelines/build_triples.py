"""The triples: a mix snapshot -> candidates -> calibration of the judge -> verdicts -> selection -> a sealed snapshot.

It reads the mix and nothing else. Every reply is stored before it is used, so a call that was paid for is never made twice.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.parquet as pq

from pipelines import calibrate, explain_rejections, judge_candidates, pick_samples, propose_candidates, select_triples, write_triples
from pipelines.card import triples_card
from pipelines.chat.asker import Asker
from pipelines.chat.asking import needs_of
from pipelines.chat.protocol import open_backend
from pipelines.ledger import Ledger
from pipelines.replies import ReplyStore
from pipelines.report import print_books, print_calibration
from pipelines.seal import Contents, check_free, check_room, seal
from pipelines.steps import Engine
from pipelines.tables import Table, fingerprint
from pipelines.write_parquet import with_features
from schemas.accounting import fold
from schemas.errors import UserError
from schemas.recipe import Recipe
from schemas.records import TRIPLE_ROWS, Unit
from schemas.snapshot import Snapshot


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
            from pipelines.serve_demo import require_vllm

            _collect(faults, require_vllm)
        elif model.backend == 'openai':
            backend = open_backend(model)
            try:
                _collect(faults, backend.check, needs)
            finally:
                backend.close()
    if faults:
        raise UserError('\n'.join(faults))


def _collect(faults: list[str], check: Callable[..., None], *args: object) -> None:
    try:
        check(*args)
    except UserError as e:
        faults.append(str(e))


def _needs(recipe: Recipe) -> dict[str, frozenset[str]]:
    """Return what each model that will be asked must be able to do."""
    asked: list[tuple[str, str]] = [(generator.model, generator.prompt) for generator in recipe.generate if generator.model]
    if recipe.judge.model:
        asked.append((recipe.judge.model, 'paper_judge' if recipe.judge.mode == 'paper' else recipe.judge.mode))
    needs: dict[str, frozenset[str]] = {}
    for name, mode in asked:
        needs[name] = needs.get(name, frozenset()) | needs_of(mode, images=recipe.models[name].images)
    return needs


def build_triples(recipe: Recipe, mix: Snapshot, out: Path, engine: Engine, *, give_up: bool = False, ask_nobody: bool = False) -> Snapshot:
    """Return the sealed triples of a mix; raises PendingWork while calls keep failing, BudgetExceeded when the budget is spent."""
    build = fingerprint(
        recipe.name,
        mix.snapshot_id,
        recipe.model_dump(include={'generate', 'judge', 'calibration', 'triples'}),
        _identities(recipe),
        {name: [source.answers, source.accept_uncalibrated] for name, source in recipe.sources.items()},
        [module.VERSION for module in (pick_samples, propose_candidates, judge_candidates, calibrate, select_triples, write_triples)],
    )
    sealed = check_free(out, 'triples', build)
    if sealed:
        print(f'triples: nothing to do, {sealed.path} is sealed ({sealed.snapshot_id[:12]})')
        return sealed

    files = [(shard['split'], str(mix.path / shard['file'])) for shard in mix.manifest['shards']]
    paths = [path for _, path in files]
    picks = engine.table(
        'picks',
        fingerprint(
            'picks', pick_samples.VERSION, mix.snapshot_id, recipe.model_dump(include={'generate', 'triples', 'mix'}), sorted(recipe.sources)
        ),
    )
    engine.make(picks, pick_samples.PickSamples(files, recipe), [0])
    asker = Asker(recipe, str(engine.work / 'replies'), str(engine.work / 'ledger'), give_up)
    candidates, cases, verdicts = _tables(recipe, engine, picks)
    n_groups = picks.counts()['groups']
    judged = sorted(name for name in _sources(picks) if recipe.sources[name].answers == 'open') if recipe.judge.model else []
    waiting = [table for table in (candidates, cases, verdicts) if table.done() is None]
    if waiting and ask_nobody:
        raise UserError(
            f'select: expected finished tables, found {", ".join(table.name for table in waiting)} not made for these settings; '
            'only thresholds (judge.margin, triples.per_sample) can change without asking a model; use `phantom build`'
        )
    with _served(recipe) if waiting else ExitStack():
        engine.make(
            candidates, propose_candidates.ProposeCandidates(_path(picks), str(picks.path / 'pool.json'), paths, asker), list(range(n_groups))
        )
        engine.make(cases, calibrate.JudgePlanted(_path(picks), paths, asker), judged)
        reports = calibrate.reports(cases, recipe.judge.margin)
        accepted = calibrate.gate_sources(reports, recipe)
        engine.make(verdicts, judge_candidates.JudgeCandidates(paths, asker), [str(path) for path in candidates.parts()])

    if waiting:
        with closing(ReplyStore(engine.work / 'replies')) as store:
            store.compact()
    plan = _select(recipe, engine, candidates, verdicts, build)
    rows = engine.table('triple_rows', fingerprint('triple_rows', write_triples.VERSION, plan.fingerprint))
    counts = plan.counts()
    if rows.done() is None:
        check_room(engine.work, counts['bytes'])
    engine.make(
        rows,
        write_triples.WriteTriples(_path(plan), _paths(candidates), _paths(verdicts), paths, with_features(TRIPLE_ROWS)),
        list(range(counts['shards'])),
    )

    tables = [picks, candidates, _explain(engine, plan, candidates, verdicts)]
    lines = fold([table.counts() for table in (*tables, plan)])
    print_books(f'{recipe.name}: triples', lines)
    print_calibration(reports, accepted)
    spent = Ledger(engine.work / 'ledger', recipe.budget, recipe.models)
    calibration = {'reports': [asdict(report) for report in reports], 'accepted_faults': accepted, 'judge': judge_candidates.judge_name(recipe)}
    splits = dict(plan.read(columns=['shard', 'split']).to_pandas().drop_duplicates().itertuples(index=False, name=None))
    contents = Contents(
        kind='triples',
        build=build,
        shards=[(splits[i], path) for i, path in enumerate(rows.parts())],
        rejections=[path for table in tables for path in table.parts('rejections')],
        lines=lines,
        about={
            'recipe': recipe.model_dump(mode='json'),
            'parent': mix.snapshot_id,
            'calibration': calibration,
            'models': _identities(recipe),
            'cost': {'total': asdict(spent.spent()), 'by_source': {name: asdict(s) for name, s in spent.by_source().items()}},
        },
    )
    card = triples_card(recipe, sorted(set(splits.values())), lines, reports, accepted)
    sealed = seal(engine, contents, out, recipe.name, card)
    print(f'triples: sealed {sealed.path} ({sealed.snapshot_id[:12]})')
    return sealed


def _identities(recipe: Recipe) -> dict[str, list]:
    """Return what each model is, never where it answers or how fast."""
    return {name: [model.model, model.revision, model.images, model.max_image_px] for name, model in recipe.models.items()}


def _tables(recipe: Recipe, engine: Engine, picks: Table) -> tuple[Table, Table, Table]:
    """Return the tables that ask models; a new margin changes none of them."""
    identities = _identities(recipe)
    exact = {name: source.answers for name, source in recipe.sources.items()}
    judging = [judge_candidates.VERSION, recipe.judge.model_dump(exclude={'margin'}), identities, exact]
    candidates = engine.table('candidates', fingerprint('candidates', propose_candidates.VERSION, picks.fingerprint, identities))
    cases = engine.table(
        'calibration',
        fingerprint('calibration', calibrate.VERSION, picks.fingerprint, judging, recipe.calibration.model_dump(include={'min_cases', 'fraction'})),
    )
    return candidates, cases, engine.table('verdicts', fingerprint('verdicts', candidates.fingerprint, judging))


def _select(recipe: Recipe, engine: Engine, candidates: Table, verdicts: Table, build: str) -> Table:
    plan = engine.table('triple_plan', fingerprint('triple_plan', build, verdicts.fingerprint))
    engine.make(
        plan,
        select_triples.SelectTriples(
            _paths(candidates), _paths(verdicts), recipe.judge.margin, recipe.triples.per_sample, recipe.mix.shard_mb * 1_000_000, recipe.mix.seed
        ),
        [0],
    )
    if plan.counts()['shards'] == 0:
        print_books(f'{recipe.name}: triples', fold([plan.counts()]))
        raise UserError('triples: expected at least one accepted candidate, found none; the reasons are in the table above')
    return plan


def _explain(engine: Engine, plan: Table, candidates: Table, verdicts: Table) -> Table:
    rejected = engine.table('triples_rejected', fingerprint('triples_rejected', explain_rejections.VERSION, plan.fingerprint))
    shown = ['sample_id', 'question', 'chosen', 'rejected', 'kind', 'generator', 'image_ids', 'reply_key', 'judge', 'score', 'scores', 'reply_keys']
    tables = [_paths(candidates), _paths(verdicts)]
    step = explain_rejections.ExplainRejections(Unit.CANDIDATE, select_triples.STEP, 'candidate_id', str(plan.parts('out')[0]), tables, shown)
    engine.make(rejected, step, list(range(len(tables[0]))))
    return rejected


def _sources(picks: Table) -> set[str]:
    return set(picks.read(columns=['source'])['source'].to_pylist()) if pq.ParquetFile(_path(picks)).metadata.num_rows else set()


def _path(table: Table) -> str:
    return str(table.parts()[0])


def _paths(table: Table) -> list[str]:
    return [str(path) for path in table.parts()]


@contextmanager
def _served(recipe: Recipe) -> Iterator[None]:
    """Keep the demo server up for the models that say `serve: demo`, and check every model that will be asked."""
    needs = _needs(recipe)
    with ExitStack() as stack:
        for name in sorted(needs):
            if recipe.models[name].serve == 'demo':
                from pipelines.serve_demo import demo_server

                port = urlsplit(recipe.models[name].base_urls[0]).port
                stack.enter_context(demo_server(port=port or 8011, reuse=True))
        for name, wanted in sorted(needs.items()):
            backend = open_backend(recipe.models[name])
            stack.callback(backend.close)
            backend.check(wanted)
        yield
