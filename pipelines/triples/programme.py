"""The triples: a mix snapshot -> candidates -> calibration of the judge -> verdicts -> selection -> a sealed snapshot.

It reads the mix and nothing else. Every reply is stored before it is used, so a call that was paid for is never made twice.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from curation.verdicts.lateness import BINS
from pipelines.chat.asker import Asker
from pipelines.chat.served import served_by
from pipelines.engine.engine import Engine
from pipelines.engine.step import fingerprint
from pipelines.engine.tables import Table
from pipelines.engine.uses import Uses
from pipelines.mix.excluded import about_excluded, digests_of, markdown_excluded, reading, tell_excluded
from pipelines.replies.ledger import Ledger
from pipelines.snapshot.card import triples_card
from pipelines.snapshot.costs import markdown_cost, markdown_served, print_mixed
from pipelines.snapshot.own_prompts import markdown_own_prompts
from pipelines.snapshot.parquet import with_features
from pipelines.snapshot.rejections import ExplainRejections
from pipelines.snapshot.report import print_books, print_calibration
from pipelines.snapshot.seal import Contents, check_free, check_room, seal
from pipelines.triples.calibration import scores
from pipelines.triples.cases import planted_file
from pipelines.triples.control_tokens import control_tokens_of, markdown_control_tokens
from pipelines.triples.lateness import markdown_places, read_places
from pipelines.triples.picks import PickSamples, files_of, pick_samples
from pipelines.triples.rounds import Asked, Manner, ask_models, check_asked
from pipelines.triples.rows import WriteTriples
from pipelines.triples.selection import STEP, selection
from pipelines.triples.shortcuts import AuditShortcuts, as_json, markdown_shortcuts, read_reports
from pipelines.triples.verdicts import judge_name
from pipelines.triples.wrong_labels import about_wrong_labels, markdown_wrong_labels, notes_of
from schemas.accounting import Line, fold
from schemas.errors import UserError
from schemas.models import WRONG_LABELS
from schemas.recipe import Recipe
from schemas.records import TRIPLE_ROWS, Unit
from schemas.snapshot import Snapshot

SHOWN = ('sample_id', 'question', 'chosen', 'rejected', 'kind', 'generator', 'image_ids', 'reply_key', 'judge', 'score', 'scores', 'reply_keys')


def build_triples(recipe: Recipe, mix: Snapshot, out: Path, engine: Engine, *, give_up: bool = False, ask_nobody: bool = False) -> Snapshot:
    """Return the sealed triples of a mix; raises PendingWork while calls keep failing, BudgetExceeded when the budget is spent."""
    lists = digests_of(recipe.exclude)
    mark = mark_of(recipe, mix.snapshot_id, lists)
    sealed = check_free(out, 'triples', mark, _mark_of_manifest)
    if sealed:
        print(f'triples: nothing to do, {sealed.path} is sealed ({sealed.snapshot_id[:12]})')
        return sealed

    engine.uses = Uses(engine.work, out, 'triples')
    files = tuple(str(mix.path / shard['file']) for shard in mix.manifest['shards'])
    with ThreadPoolExecutor(1) as beside:
        proof = beside.submit(mix.prove_all)  # steps read it by name, on whatever machine: proven before anybody is asked, and before it is sealed
        try:
            picks = engine.run(picking(recipe, mix))
        finally:
            proof.result()  # bytes that changed are what is told, whatever they did to a step
    if not engine.uses.tables('candidates'):
        check_room(engine.disk, picks.counts()['bytes'])  # before anything is paid
    excluded = tuple(engine.run(step) for step in reading(recipe.exclude, lists))
    asked = ask_models(recipe, engine, picks, files, _asker(recipe, engine), Manner(give_up, ask_nobody, excluded))
    plan = engine.run(selection(recipe, asked.candidates, asked.judged, excluded))
    shards = plan.read('shards').to_pylist()
    writing = _writing(engine, plan, asked, files, [shard['chosen'] for shard in shards])
    explaining = ExplainRejections(plan, asked.candidates, asked.verdicts, Unit.CANDIDATE, STEP, 'candidate_id', SHOWN)
    *rows, audited, rejected = engine.run_each([*writing, AuditShortcuts(plan, asked.candidates), explaining])
    tables = (picks, *asked.candidates, asked.unasked, rejected)
    lines = _books(recipe, tables, plan)
    leaks, places = read_reports(audited), read_places(plan)

    counts = plan.counts()
    pictures = _plots(asked, recipe.judge.margin)
    print_calibration(asked.reports, asked.accepted, asked.not_asked)
    served = served_by(table.counts() for table in (*asked.candidates, asked.planted, *asked.verdicts))
    print_mixed(served)
    control = control_tokens_of(table.counts() for table in (*asked.candidates, *asked.verdicts))
    spent = Ledger(engine.work / 'ledger', recipe.budget, recipe.models)
    wrong = about_wrong_labels(picks)
    left_out = about_excluded(recipe.exclude, lists, plan, 'candidate')
    tell_excluded(left_out, plan, engine.work)
    contents = Contents(
        kind='triples',
        build=mark,
        rows=tuple(rows),
        splits={number: shard['split'] for number, shard in enumerate(shards)},
        rejected=tables,
        lines=lines,
        about={
            'recipe': recipe.model_dump(mode='json'),
            'parent': mix.snapshot_id,
            'calibration': {
                'reports': [asdict(report) for report in asked.reports],
                'accepted_faults': asked.accepted,
                'not_asked': asked.not_asked,
                'judge': judge_name(recipe.judge, recipe.models),
            },
            'second_judge': {name: counts[name] for name in ('judges_asked_twice', 'judges_agree') if name in counts},
            'shortcuts': as_json(leaks),
            'differs_at': {'from': list(BINS), 'triples': places},
            'models': identities(recipe),
            'served_by': served,
            'control_tokens': control,
            **wrong,
            **left_out,
            'cost': {'total': asdict(spent.spent()), 'by_source': {name: asdict(s) for name, s in spent.by_source().items()}},
        },
        extras=pictures | planted_file(asked.planted, engine.work / 'replies'),
    )
    audits = [markdown_shortcuts(leaks), markdown_places(places, recipe.triples.differ_within)]
    own = markdown_own_prompts(contents.about['recipe'])
    said = [*own, *markdown_wrong_labels(wrong), *markdown_control_tokens(control)]
    ended = [markdown_served(served), markdown_cost(spent.by_source(), lines), markdown_excluded(left_out)]
    sections = [*audits, *_markdown_agreement(counts), *said, *ended]
    shown = '\n\n'.join([*(f'![{name}]({name})' for name in sorted(pictures)), *sections])
    card = triples_card(recipe, sorted(set(contents.splits.values())), lines, asked.reports, asked.accepted, shown, asked.not_asked)
    mix.prove_all()
    sealed = seal(engine, contents, out, recipe.name, card)
    if engine.share[0] == 0:
        engine.uses.seal(snapshot_id=sealed.snapshot_id, build=mark)
    print(f'triples: sealed {sealed.path} ({sealed.snapshot_id[:12]})')
    return sealed


def mark_of(recipe: Recipe, mix_id: str, lists: list[str]) -> str:
    """Return what stands for the mix and the rules of triples: two of one mark come from the same questions to the same models."""
    placeless = {'generate': [generator.placeless() for generator in recipe.generate], 'judge': recipe.judge.placeless()}
    rules = recipe.model_copy(update=placeless).model_dump(include={'generate', 'judge', 'calibration', 'triples'})
    told = {name: [source.answers, source.accept_uncalibrated] for name, source in recipe.sources.items()}
    excluded = [{'excluded': lists}] if lists else []
    return fingerprint('triples', recipe.name, mix_id, rules, identities(recipe), told, *excluded)


def _mark_of_manifest(manifest: dict) -> str:
    lists = [one['sha256'] for one in manifest.get('excluded', {}).get('lists', [])]
    return mark_of(Recipe.model_validate(manifest['recipe']), manifest['parent'], lists)


def identities(recipe: Recipe) -> dict[str, list]:
    """Return what each model is, never where it answers or how fast."""
    return {
        name: [model.model, model.revision, model.images, model.max_image_px, *([model.thinking_tokens] if model.thinking_tokens else []),
               *([list(model.control_tokens)] if model.control_tokens else [])]
        for name, model in recipe.models.items()
    }


def _asker(recipe: Recipe, engine: Engine) -> Asker:
    return Asker(recipe.models, recipe.budget, str(engine.work / 'replies'), str(engine.work / 'ledger'))


def picking(recipe: Recipe, mix: Snapshot) -> PickSamples:
    """Return the step that picks the samples of a mix that get candidates."""
    return pick_samples(recipe, files_of(mix.manifest['shards']), mix.path, notes_of(mix.manifest))


def refuse_to_ask(recipe: Recipe, shards: list[dict], engine: Engine) -> None:
    """Raise UserError unless the working folder holds what the models said of the mix of these files with these settings.

    Where samples are picked by what the mix says of them, that is known only once it is made; who then would have to ask refuses.
    """
    if any(generator.prompt == WRONG_LABELS for generator in recipe.generate):
        return
    check_asked(recipe, engine, engine.table(pick_samples(recipe, files_of(shards), engine.work)), _asker(recipe, engine))


def _books(recipe: Recipe, tables: tuple[Table, ...], plan: Table) -> list[Line]:
    """Return the books of the triples, printed; raises UserError where nothing is kept."""
    lines = fold([table.counts() for table in (*tables, plan)])
    print_books(f'{recipe.name}: triples', lines)
    if plan.counts()['shards'] == 0:
        raise UserError('triples: expected at least one accepted candidate, found none; the reasons are in the table above (without --quiet)')
    return lines


def _writing(engine: Engine, plan: Table, asked: Asked, mix: tuple[str, ...], chosen: list[str]) -> list[WriteTriples]:
    """Return the steps that write the files of rows; raises UserError where the disk has no room for them."""
    schema = with_features(TRIPLE_ROWS)
    steps = [WriteTriples(asked.candidates, asked.verdicts, asked.judged, where, plan, mix, schema) for where in chosen]
    if any(engine.table(step).done() is None for step in steps):
        check_room(engine.disk, plan.counts()['bytes'])
        engine.mend([plan])
    return steps


def _plots(asked: Asked, margin: float) -> dict[str, bytes]:
    if not asked.reports:
        return {}
    from pipelines.snapshot.plots import calibration_plots  # matplotlib takes half a second to import

    return calibration_plots(scores(asked.planted), margin)


def _markdown_agreement(counts: dict) -> list[str]:
    asked = counts.get('judges_asked_twice', 0)
    return [f'The second judge agrees with the first on {counts["judges_agree"]:,} of {asked:,} candidates.'] if asked else []
