"""The triples: a mix snapshot -> candidates -> calibration of the judge -> verdicts -> selection -> a sealed snapshot.

It reads the mix and nothing else. Every reply is stored before it is used, so a call that was paid for is never made twice.
"""

from dataclasses import asdict
from pathlib import Path

from pipelines.chat.asker import Asker
from pipelines.engine.steps import Engine
from pipelines.engine.tables import DONE, Table, fingerprint
from pipelines.replies.ledger import Ledger
from pipelines.snapshot import rejections as explain_rejections
from pipelines.snapshot.card import triples_card
from pipelines.snapshot.parquet import with_features
from pipelines.snapshot.plots import calibration_plots
from pipelines.snapshot.report import markdown_cost, print_books, print_calibration
from pipelines.snapshot.seal import Contents, check_free, check_room, seal
from pipelines.triples import calibration as calibrate
from pipelines.triples import candidates as propose_candidates
from pipelines.triples import picks as pick_samples
from pipelines.triples import rows as write_triples
from pipelines.triples import selection as select_triples
from pipelines.triples import shortcuts as audit_shortcuts
from pipelines.triples import verdicts as judge_candidates
from pipelines.triples.rounds import Asked, ask_models, check_asked, identities
from schemas.accounting import fold
from schemas.errors import UserError
from schemas.recipe import Recipe
from schemas.records import TRIPLE_ROWS, Unit
from schemas.snapshot import Snapshot


def build_triples(recipe: Recipe, mix: Snapshot, out: Path, engine: Engine, *, give_up: bool = False, ask_nobody: bool = False) -> Snapshot:
    """Return the sealed triples of a mix; raises PendingWork while calls keep failing, BudgetExceeded when the budget is spent."""
    build = fingerprint(
        recipe.name,
        mix.snapshot_id,
        recipe.model_dump(include={'generate', 'judge', 'calibration', 'triples'}),
        identities(recipe),
        {name: [source.answers, source.accept_uncalibrated] for name, source in recipe.sources.items()},
        [module.VERSION for module in (pick_samples, propose_candidates, judge_candidates, calibrate, select_triples, write_triples)],
    )
    sealed = check_free(out, 'triples', build)
    if sealed:
        print(f'triples: nothing to do, {sealed.path} is sealed ({sealed.snapshot_id[:12]})')
        return sealed

    paths = [str(mix.path / shard['file']) for shard in mix.manifest['shards']]
    picks = pick(recipe, mix, engine)
    if not (engine.work / 'candidates-0' / DONE).exists():
        check_room(engine.work, picks.counts()['bytes'])  # before anything is paid
    asked = ask_models(recipe, engine, picks, paths, _asker(recipe, engine, give_up=give_up), ask_nobody=ask_nobody)
    plan = _select(recipe, engine, asked, build)
    tables = [picks, *asked.tables, _explain(engine, plan, asked)]
    lines = fold([table.counts() for table in (*tables, plan)])
    print_books(f'{recipe.name}: triples', lines)
    if plan.counts()['shards'] == 0:
        raise UserError('triples: expected at least one accepted candidate, found none; the reasons are in the table above')
    rows = engine.table('triple_rows', fingerprint('triple_rows', write_triples.VERSION, plan.fingerprint))
    counts = plan.counts()
    if rows.done() is None:
        check_room(engine.work, counts['bytes'])
    engine.make(
        rows,
        write_triples.WriteTriples(_path(plan), asked.candidates, asked.verdicts, paths, with_features(TRIPLE_ROWS)),
        list(range(counts['shards'])),
    )

    shortcuts = engine.table('shortcuts', fingerprint('shortcuts', audit_shortcuts.VERSION, rows.fingerprint))
    engine.make(shortcuts, audit_shortcuts.AuditShortcuts([str(path) for path in rows.parts()]), [0])
    leaks = audit_shortcuts.read_reports(shortcuts)
    pictures = calibration_plots(calibrate.scores(Table(engine.work / 'calibration', '')), recipe.judge.margin) if asked.reports else {}

    print_calibration(asked.reports, asked.accepted)
    spent = Ledger(engine.work / 'ledger', recipe.budget, recipe.models)
    reports = [asdict(report) for report in asked.reports]
    calibration = {'reports': reports, 'accepted_faults': asked.accepted, 'judge': judge_candidates.judge_name(recipe)}
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
            'second_judge': {name: counts[name] for name in ('judges_asked_twice', 'judges_agree') if name in counts},
            'shortcuts': audit_shortcuts.as_json(leaks),
            'models': identities(recipe),
            'cost': {'total': asdict(spent.spent()), 'by_source': {name: asdict(s) for name, s in spent.by_source().items()}},
        },
        extras=pictures,
    )
    sections = [audit_shortcuts.markdown_shortcuts(leaks), *_markdown_agreement(counts), markdown_cost(spent.by_source(), lines)]
    shown = '\n\n'.join([*(f'![{name}]({name})' for name in sorted(pictures)), *sections])
    card = triples_card(recipe, sorted(set(splits.values())), lines, asked.reports, asked.accepted, shown)
    sealed = seal(engine, contents, out, recipe.name, card)
    print(f'triples: sealed {sealed.path} ({sealed.snapshot_id[:12]})')
    return sealed


def pick(recipe: Recipe, mix: Snapshot, engine: Engine) -> Table:
    """Return the finished table of the samples that get candidates."""
    files = [(shard['split'], str(mix.path / shard['file'])) for shard in mix.manifest['shards']]
    picks = _picks(recipe, mix.snapshot_id, engine)
    engine.make(picks, pick_samples.PickSamples(files, recipe), [0])
    return picks


def _picks(recipe: Recipe, mix: str, engine: Engine) -> Table:
    settings = recipe.model_dump(include={'generate', 'mix'})
    limits = (recipe.triples.max_samples, recipe.triples.exactly)
    return engine.table('picks', fingerprint('picks', pick_samples.VERSION, mix, settings, sorted(recipe.sources), *limits))


def _asker(recipe: Recipe, engine: Engine, *, give_up: bool = False) -> Asker:
    return Asker(recipe, str(engine.work / 'replies'), str(engine.work / 'ledger'), give_up)


def refuse_to_ask(recipe: Recipe, mix: str, engine: Engine) -> None:
    """Raise UserError unless the working folder holds what the models said of the mix of this id with these settings."""
    check_asked(recipe, engine, _picks(recipe, mix, engine), _asker(recipe, engine))


def _select(recipe: Recipe, engine: Engine, asked: Asked, build: str) -> Table:
    plan = engine.table('triple_plan', fingerprint('triple_plan', build, asked.fingerprint))
    engine.make(plan, select_triples.selection(recipe, asked.candidates, asked.verdicts), [0])
    return plan


def _explain(engine: Engine, plan: Table, asked: Asked) -> Table:
    rejected = engine.table('triples_rejected', fingerprint('triples_rejected', explain_rejections.VERSION, plan.fingerprint))
    shown = ['sample_id', 'question', 'chosen', 'rejected', 'kind', 'generator', 'image_ids', 'reply_key', 'judge', 'score', 'scores', 'reply_keys']
    tables = [asked.candidates, asked.verdicts]
    step = explain_rejections.ExplainRejections(Unit.CANDIDATE, select_triples.STEP, 'candidate_id', str(plan.parts('out')[0]), tables, shown)
    engine.make(rejected, step, list(range(len(tables[0]))))
    return rejected


def _markdown_agreement(counts: dict) -> list[str]:
    asked = counts.get('judges_asked_twice', 0)
    return [f'The second judge agrees with the first on {counts["judges_agree"]:,} of {asked:,} candidates.'] if asked else []


def _path(table: Table) -> str:
    return str(table.parts()[0])
