"""The mix: sources -> samples -> images -> duplicates -> contamination -> selection -> a sealed snapshot. Nothing here asks a model.

Each line of `build_mix` makes one table from the tables before it; a table that is there is not made again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from curation.pictures.images import ImageLimits
from pipelines.benches.items import stamp_benchmark
from pipelines.engine.engine import Engine
from pipelines.engine.step import canonical, fingerprint
from pipelines.engine.tables import Table
from pipelines.engine.uses import Uses, all_uses
from pipelines.mix import canaries
from pipelines.mix.agreement import Agreement, lacking_of, look_for_agreement
from pipelines.mix.benchmark_texts import text_rules
from pipelines.mix.canaries import Recall
from pipelines.mix.contamination import MatchBenchmark, check_complete, read_benchmarks
from pipelines.mix.copies import find_copies
from pipelines.mix.copy_canaries import check_copies
from pipelines.mix.description import AddStars, DescribeSamples
from pipelines.mix.duplicates import BITS, FindPairs, IndexHashes, MakeStars, join_bits
from pipelines.mix.excluded import about_excluded, markdown_excluded, tell_excluded
from pipelines.mix.excluded import digests_of as list_digests_of
from pipelines.mix.excluded import reading as reading_lists
from pipelines.mix.fingerprints import FingerprintImages, ListReferences
from pipelines.mix.given_ratings import digests_of
from pipelines.mix.index import IndexImages, IndexReferences
from pipelines.mix.rating import Looked, Manner, Rated, about_ratings, rate_mix, raters_of, summarized
from pipelines.mix.rating_files import look_at_ratings
from pipelines.mix.reshaped_pairs import find_reshaped, markdown_reshaped
from pipelines.mix.rows import WriteMix
from pipelines.mix.selection import STEP, SelectMix
from pipelines.mix.spread import SpreadMix
from pipelines.mix.stamps import refuse_given_up, settled_all
from pipelines.snapshot.card import mix_card
from pipelines.snapshot.compared import print_compared
from pipelines.snapshot.copies import CopyRecall, about_copies, markdown_copies
from pipelines.snapshot.parquet import with_features
from pipelines.snapshot.ratings import markdown_ratings, print_ratings
from pipelines.snapshot.rejections import ExplainRejections
from pipelines.snapshot.report import invisible_text, print_books, print_contamination, print_expected, print_invisible, print_mixture
from pipelines.snapshot.seal import Contents, check_free, check_room, seal
from pipelines.sources.annotations import annotation_digests
from pipelines.sources.digests import Digests
from pipelines.sources.images import ImageStore, as_note, filled
from pipelines.sources.packed import samples_with_pictures
from pipelines.sources.read import plan_chunks, read_sources
from pipelines.sources.usable import refuse_useless
from schemas.accounting import Line, fold
from schemas.errors import UserError, refuse
from schemas.recipe import Recipe
from schemas.records import MIX_ROWS, Unit
from schemas.snapshot import MANIFEST, Snapshot


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a build reads and writes: sources below `root`, snapshots below `out`."""

    root: Path
    out: Path


def build_mix(recipe: Recipe, folders: Folders, engine: Engine, *, again: bool = False, give_up: bool = False) -> Snapshot:
    """Return the sealed mix of a recipe; raises UserError listing all faults of its inputs before anything is read.

    With `again` it is one that was sealed from this working folder before, or a UserError. Raises Unreadable while the disk does not give a picture,
    unless such pictures are given up.
    """
    inputs = inputs_of(recipe, folders.root, engine.work)
    mark = mark_of(recipe, inputs)
    sealed = check_free(folders.out, 'mix', mark, partial(_mark_of_manifest, inputs['order']))
    reading = read_sources(recipe, folders.root, inputs['annotations'], engine.work)
    _check_sources(recipe, folders, engine, [engine.table(step) for step in reading], (mark, asked_mark_of(recipe, inputs)) if again else None)
    store = _store(recipe, folders.root, engine.work)
    engine.uses = Uses(engine.work, folders.out, 'mix')
    if engine.share[0] == 0:
        engine.uses.tell(store=as_note(store))

    benches = engine.run_each(read_benchmarks(recipe, folders.root, inputs['benchmarks']))
    compared = check_complete(recipe, benches)  # first: a benchmark that is not whole stops here
    samples = samples_with_pictures(engine, reading, store.packed)
    groups = sharing_folders(recipe)
    refs = engine.run_each(ListReferences(tuple(samples[at] for at in group)) for group in groups)
    limits, rules, texts = ImageLimits(**recipe.images.model_dump()), recipe.contamination, text_rules(recipe.contamination)
    renamed = [list(recipe.sources.values())[group[0]].other_extensions for group in groups]
    looked_in = replace(store, give_up=give_up)
    looking = settled_all((FingerprintImages(table, '', other, limits, looked_in) for table, other in zip(refs, renamed, strict=True)), engine)
    touched = fingerprint([step.stamp for step in looking], inputs['benchmarks'])
    if sealed and _untouched(engine.uses, sealed, touched):
        if not again and engine.uses.about.get('selected') and engine.share[0] == 0:
            engine.uses.tell(selected=False)
        print(f'mix: nothing to do, {sealed.path} is sealed ({sealed.snapshot_id[:12]})')
        return sealed

    print_compared(recipe.name, compared)
    images = engine.run_each(looking)
    if not give_up:
        refuse_given_up(images)
    *named, index = engine.run_each([*map(IndexReferences, images), IndexImages(images)])
    indexed = dict(zip(groups, named, strict=True))
    references = tuple(table for at in range(len(samples)) for group, table in indexed.items() if at in group)
    planted, hashes = engine.run_each([canaries.planting(recipe, samples, benches, index, store), IndexHashes(index)])
    recalls = canaries.check(recipe, engine, planted, index, hashes, store), check_copies(recipe, engine, benches)
    finding = FindPairs(index, hashes, *join_bits(recipe.duplicates), store)
    matching = [MatchBenchmark(bench, index, hashes, rules.image_bits, rules.image_bits_256, store) for bench in benches]
    describing = [DescribeSamples(*of_source, benches, texts, recipe.mix.seed) for of_source in zip(samples, references, strict=True)]
    pairs, *others = engine.run_each([finding, *matching, *describing])  # one job: what has few shards is made beside what has many
    hits, described = tuple(others[: len(matching)]), tuple(others[len(matching) :])
    hits += find_copies(recipe, engine, benches, hits, (samples, references), (index, hashes), store)
    reshaped = find_reshaped(recipe, engine, index, hashes, pairs=pairs, store=store)
    stars = engine.run(MakeStars(index, pairs, **recipe.duplicates.model_dump(include=set(BITS)), reshaped=reshaped))
    features = engine.run(AddStars(described, samples, index, stars, benches, hits, texts))
    rated = rate_mix(recipe, engine, Looked(samples, features, store), inputs, Manner(give_up, again))
    agreement = look_for_agreement(recipe, engine, samples, features, benches)
    lists = tuple(engine.run(step) for step in reading_lists(recipe.exclude, inputs.get('excluded', [])))
    plan = engine.run(replace(_selection(recipe, index, features, rated, agreement), excluded=lists))
    rejected = engine.run(ExplainRejections(plan, samples, (), Unit.SAMPLE, STEP, 'sample_id', ('turns', 'images')))
    lines = _books(recipe, (*samples, *images, rejected), plan)
    rows = _written(recipe, engine, (plan, samples, features), store)

    ratings, files = summarized(recipe, rated, engine, plan, features)
    print_ratings(ratings, rated.reports, rated.refused)
    print_expected(recipe, lines)
    invisible = invisible_text(table.counts() for table in samples)
    print_invisible(invisible)
    agreement.tell(recipe)
    excluded = about_excluded(recipe.exclude, inputs.get('excluded', []), plan, 'sample')
    tell_excluded(excluded, plan, engine.work)
    told = {'invisible': invisible, 'compared': compared, 'ratings': about_ratings(recipe, engine, rated, ratings),
            'agreement': agreement, 'excluded': excluded}
    contents, card = _contents(recipe, inputs, mark, (plan, rows, stars, features), (*samples, *images, rejected), lines, recalls, told)
    sealed = seal(engine, replace(contents, extras=files), folders.out, recipe.name, card)
    if engine.share[0] == 0:
        asked: dict[str, Any] = {'asked': asked_mark_of(recipe, inputs)} if recipe.rate or recipe.exclude else {}
        if again or 'selected' in engine.uses.about:
            asked['selected'] = again and not sealed_before(engine.work, mark)
        engine.uses.seal(snapshot_id=sealed.snapshot_id, build=mark, touched=touched, shards=sealed.manifest['shards'], **asked)
    print(f'mix: sealed {sealed.path} ({sealed.snapshot_id[:12]})')
    return sealed


def _contents(
    recipe: Recipe, inputs: dict, mark: str, tables: tuple[Table, ...], rejected: tuple[Table, ...], lines: list[Line],
    recalls: tuple[list[Recall], list[CopyRecall]], told: dict[str, Any],
) -> tuple[Contents, str]:
    """Return what the snapshot holds, and its card."""
    plan, rows, stars, features = tables
    hits = Counter({key: n for key, n in features.counts().items() if key.startswith('hit/')}) + told['agreement'].paraphrased()
    found = {**found_of(hits), 'compared': told['compared']}
    print_contamination(found)
    about = {
        'recipe': recipe.model_dump(mode='json'), 'parent': None, 'inputs': inputs, 'contamination': found,
        'duplicates': _duplicates(recipe, stars), 'canaries': canaries.about(recalls[0]),
        **({'copies': about_copies(recalls[1])} if recalls[1] else {}), 'invisible': told['invisible'], **told['ratings'],
        **told['agreement'].about(), **told['excluded'],
    }
    contents = Contents(kind='mix', build=mark, rows=(rows,), splits=_splits(plan), rejected=rejected, lines=lines, about=about)
    canary = '\n'.join(filter(None, (canaries.markdown_recall(recalls[0]), markdown_copies(recalls[1]))))
    reshaped = markdown_reshaped(recipe, about['duplicates'].get('reshaped', 0))
    said = '\n\n'.join(filter(None, [canary, reshaped, markdown_ratings(told['ratings'].get('ratings', {})), markdown_excluded(told['excluded'])]))
    splits = sorted(set(contents.splits.values()))
    return contents, mix_card(recipe, splits, lines, found, said, told['invisible'], told['agreement'].markdown(recipe))


def _duplicates(recipe: Recipe, stars: Table) -> dict[str, int]:
    counts = stars.counts()
    reshaped = {'reshaped': counts.get('reshaped', 0)} if recipe.duplicates.transforms else {}
    return {**{name: counts[name] for name in ('images', 'members', 'stars')}, **reshaped}


def found_of(counts: dict[str, int]) -> dict[str, dict]:
    """Return what the manifest says of benchmarks: samples that stand in each, by which rule, and those that are only near."""
    rules: defaultdict[str, dict[str, int]] = defaultdict(dict)
    near = {}
    for key, n in sorted(counts.items()):
        kind, _, rest = key.partition('/')
        bench, _, rule = rest.rpartition('/')
        if kind == 'hit' and rule == 'near':
            near[bench] = n
        elif kind == 'hit':
            rules[bench][rule] = n
    return {'samples_per_benchmark': {bench: sum(of.values()) for bench, of in rules.items()}, 'by_rule': dict(rules), 'near_per_benchmark': near}


def sharing_folders(recipe: Recipe) -> list[tuple[int, ...]]:
    """Return the sources by number in groups: in one, by name, all whose pictures lie in the same folders, so that each is looked at once."""
    groups: dict[tuple, list[int]] = {}
    numbers = {name: at for at, name in enumerate(recipe.sources)}
    for name, source in sorted(recipe.sources.items()):
        groups.setdefault((*source.images, source.other_extensions) if source.images else (name,), []).append(numbers[name])
    return sorted(map(tuple, groups.values()))


def inputs_of(recipe: Recipe, root: Path, work: Path | None = None) -> dict:
    """Return sha256 of every annotation file, a stamp of every benchmark, and the order of the sources: of equal samples the first stays.

    In `work` it is remembered which of these files were read. Raises UserError listing all that are missing.
    """
    faults, stamps = list[UserError](), {}
    for bench in recipe.contamination.benchmarks:
        try:
            known = Digests(work / 'stamps' / f'bench-{bench.name}.npy' if work else None)
            stamps[bench.name] = stamp_benchmark(bench.name, root / bench.path, bench.format, known)
        except UserError as e:
            faults.append(e)
    faults += map(UserError, lacking_of(recipe))
    refuse(faults)
    ratings = {'ratings': digests_of(tuple(recipe.rate.from_))} if recipe.rate and recipe.rate.from_ else {}
    excluded = {'excluded': list_digests_of(recipe.exclude)} if recipe.exclude else {}
    return {'annotations': annotation_digests(recipe, root, work), 'benchmarks': stamps, 'order': list(recipe.sources), **ratings, **excluded}


def mark_of(recipe: Recipe, inputs: dict) -> str:
    """Return what stands for the rules and annotations of a mix: two of one mark have the same rows, but for pictures that changed."""
    told = {'expected_paper', 'expected_today', 'get_it', 'accept_uncalibrated'}
    sources = {name: source.model_dump(exclude=told) for name, source in recipe.sources.items()}
    rules = recipe.model_dump(include={'images', 'text', 'duplicates', 'contamination', 'mix'}, exclude={'contamination': {'min_recall'}})
    if recipe.duplicates.text is None:  # the mark of a recipe without new keys is what it was
        rules['duplicates'] = recipe.duplicates.model_dump(include={*BITS, 'max_per_near_duplicate'})
    rules['duplicates'].pop('transforms', None)
    if recipe.duplicates.transforms:
        rules['duplicates']['transforms'] = sorted(set(recipe.duplicates.transforms))
    if recipe.contamination.paraphrases is None:
        del rules['contamination']['paraphrases']
    if not recipe.contamination.paraphrases_by_meaning:
        del rules['contamination']['paraphrases_by_meaning']
    if recipe.contradictions is not None:
        rules['contradictions'] = recipe.contradictions
    rated = [recipe.rate.placeless(), inputs.get('ratings', []), raters_of(recipe)] if recipe.rate else []
    excluded = [{'excluded': inputs['excluded']}] if inputs.get('excluded') else []
    return fingerprint('mix', recipe.name, sources, rules, inputs['annotations'], inputs['order'], *map(canonical, rated), *excluded)


def asked_mark_of(recipe: Recipe, inputs: dict) -> str:
    """Return the mark of a mix without what is applied to finished ratings, or leaves out by lists: of two with the same one nobody is asked anew."""
    rate = recipe.rate.model_copy(update={'drop': {}, 'from_': []}) if recipe.rate and recipe.rate.model else None
    return mark_of(recipe.model_copy(update={'rate': rate}), {**inputs, 'ratings': [], 'excluded': []})


def _mark_of_manifest(order: list[str], manifest: dict) -> str:
    """Return the mark of a sealed mix; manifests of earlier versions do not say in which order its sources stood."""
    return mark_of(Recipe.model_validate(manifest['recipe']), {'order': order, **manifest['inputs']})


def _check_sources(recipe: Recipe, folders: Folders, engine: Engine, samples: list[Table], again: tuple[str, str] | None) -> None:
    """Raise UserError where the sources can't be used, or there is no room for their samples.

    `again`: marks (`mark_of`, `asked_mark_of`) of which one must have been sealed.
    """
    made = all(table.done() for table in samples)
    if again and not (made and (sealed_before(engine.work, again[0]) or rated_before(engine.work, again[1]))):
        raise UserError(f'select: expected the sources and settings of the mix that was built in {engine.work}, found others; use phantom build')
    engine.work.mkdir(parents=True, exist_ok=True)
    if not made:
        check_room(engine.disk, sum((folders.root / file).stat().st_size for source in recipe.sources.values() for file in source.annotations))
        refuse_useless(recipe, folders.root, str(engine.work / 'offsets'))
        refuse([UserError(fault) for fault in look_at_ratings(recipe, folders.root, {}).faults])
    if not (folders.out / 'mix' / MANIFEST).exists():
        planned = plan_chunks(recipe, folders.root, engine.work / 'offsets')
        print_mixture(recipe, {name: sum(some.chunk.n for some in selected) for name, selected in planned.items()})


def _store(recipe: Recipe, root: Path, work: Path) -> ImageStore:
    """Return where the pictures lie; raises UserError listing the archives that cannot be read."""
    roots = {name: tuple(str(root / images) for images in source.images) for name, source in recipe.sources.items()}
    store = ImageStore(
        roots,
        str(work / 'images'),
        recipe.images.max_bytes,
        frozenset(name for name, source in recipe.sources.items() if source.other_extensions),
        str(work / 'offsets'),
        filled=filled(path for paths in roots.values() for path in paths),
    )
    if faults := list(store.faults()):
        raise UserError('\n'.join(faults))
    return store


def sealed_before(work: Path, mark: str) -> list[dict]:
    """Return the data files, as its manifest lists them, of a mix that was built of this mark from a working folder; [] where none was.

    One that was only selected does not count: nobody was asked about it.
    """
    return next((uses.about['shards'] for uses in all_uses(work, 'mix') if uses.about.get('build') == mark and not uses.about.get('selected')), [])


def rated_before(work: Path, mark: str) -> bool:
    """Return whether a mix was sealed from a working folder that asked what one of this mark (`asked_mark_of`) asks."""
    return any(uses.about.get('asked', uses.about.get('build')) == mark for uses in all_uses(work, 'mix') if 'build' in uses.about)


def _untouched(uses: Uses, sealed: Snapshot, touched: str) -> bool:
    """Return whether no picture has changed since this snapshot was sealed from this working folder.

    Pictures that were touched, or a folder that was cleaned, cost a rebuild, which asks nobody; its id tells whether bytes changed.
    """
    return (uses.about.get('snapshot_id'), uses.about.get('touched')) == (sealed.snapshot_id, touched)


def _selection(recipe: Recipe, index: Table, features: Table, rated: Rated, agreement: Agreement) -> SelectMix:
    return SelectMix(
        index=index,
        features=features,
        sources=list(recipe.sources),
        licences=recipe.mix.licences,
        drop_contaminated=recipe.contamination.action == 'drop',
        max_per_near_duplicate=recipe.duplicates.max_per_near_duplicate,
        quotas={name: source.quota for name, source in recipe.sources.items() if source.quota is not None},
        categories={name: source.category for name, source in recipe.sources.items()},
        weights=dict(recipe.mix.weights),
        total=recipe.mix.total,
        category_quotas=dict(recipe.mix.category_quotas),
        validation_fraction=recipe.mix.validation_fraction,
        shard_bytes=recipe.mix.shard_mb * 1_000_000,
        seed=recipe.mix.seed,
        ratings=rated.ratings,
        given_ratings=rated.given,
        drop=rated.drops,
        contradictions=agreement.deciding(recipe),
        majority_stays=recipe.contradictions == 'majority',
        text_stars=agreement.capping(recipe),
        paraphrases=agreement.contaminated(recipe),
        max_per_near_text=recipe.duplicates.max_per_near_text if recipe.duplicates.text == 'drop' else 1,
    )


def _books(recipe: Recipe, tables: Iterable[Table], plan: Table) -> list[Line]:
    """Return the books of the mix, printed; raises UserError where nothing is kept."""
    lines = fold([table.counts() for table in (*tables, plan)])
    print_books(f'{recipe.name}: mix', lines)
    if plan.counts()['shards'] == 0:
        raise UserError('mix: expected at least one kept sample, found none; the reasons are in the table above (without --quiet)')
    return lines


def _written(recipe: Recipe, engine: Engine, of: tuple[Table, tuple[Table, ...], Table], store: ImageStore) -> Table:
    """Return the rows of the mix; raises UserError where the disk has no room for them."""
    plan, samples, features = of
    revisions = {name: source.revision for name, source in recipe.sources.items()}
    answers = {name: source.answers for name, source in recipe.sources.items()}
    spreading = SpreadMix(plan, samples, features, revisions, answers)
    writing = WriteMix(plan, engine.table(spreading), store, with_features(MIX_ROWS))
    if engine.table(writing).done() is None:
        check_room(engine.disk, plan.counts()['bytes'])
    engine.run(spreading)
    return engine.run(writing)


def _splits(plan: Table) -> dict[int, str]:
    """Return the split of each output shard."""
    pairs = plan.read(columns=['split', 'shard']).group_by(['split', 'shard']).aggregate([])
    return dict(zip(pairs['shard'].to_pylist(), pairs['split'].to_pylist(), strict=True))
