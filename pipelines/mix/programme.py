"""The mix: sources -> samples -> images -> duplicates -> contamination -> selection -> a sealed snapshot. Nothing here asks a model.

Each line of `build_mix` makes one table from the tables before it; a table whose fingerprint holds is not made again.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from curation.checks import TextBounds
from curation.images import ImageLimits
from pipelines.benches import items as benches
from pipelines.engine.steps import Engine
from pipelines.engine.tables import Table, fingerprint, write_json
from pipelines.mix import canaries, contamination, duplicates
from pipelines.mix import description as describe_samples
from pipelines.mix import fingerprints as fingerprint_images
from pipelines.mix import index as image_index
from pipelines.mix import rows as write_mix
from pipelines.mix import selection as select_mix
from pipelines.snapshot import rejections as explain_rejections
from pipelines.snapshot.card import mix_card
from pipelines.snapshot.parquet import with_features
from pipelines.snapshot.report import print_books, print_expected, print_mixture
from pipelines.snapshot.seal import Contents, check_free, check_room, seal
from pipelines.sources import read as read_sources
from pipelines.sources.images import ImageStore, remember
from pipelines.sources.usable import refuse_useless
from schemas.accounting import fold
from schemas.errors import UserError
from schemas.recipe import Recipe
from schemas.records import MIX_ROWS, Unit
from schemas.snapshot import MANIFEST, Snapshot, file_sha256

# what of a source does not change its samples
NOT_READ = {'images', 'other_extensions', 'revision', 'answers', 'quota', 'expected_paper', 'expected_today', 'get_it', 'accept_uncalibrated'}


SEALED = 'mix.sealed.json'  # in the working folder: which snapshot was sealed from it, of which build, and the stamp of its pictures


@dataclass(frozen=True, slots=True)
class Place:
    """Where a build reads and writes: sources below `root`, snapshots below `out`."""

    root: Path
    out: Path


def build_mix(recipe: Recipe, place: Place, engine: Engine, *, again: bool = False) -> Snapshot:
    """Return the sealed mix of a recipe; raises UserError listing all faults of its inputs before anything is read.

    With `again` it is the one that was sealed from this working folder before, or a UserError.
    """
    inputs = _inputs(recipe, place.root)
    samples = _samples(recipe, place, engine, inputs)
    build = fingerprint(recipe.name, _rules(recipe), samples.fingerprint, select_mix.VERSION, write_mix.VERSION)
    if again and (samples.done() is None or sealed_before(engine.work).get('build') != build):
        raise UserError(f'select: expected the sources and settings of the mix that was built in {engine.work}, found others; use phantom build')
    if samples.done() is None:
        refuse_useless(recipe, place.root, str(engine.work / 'offsets'))
    planned = read_sources.plan_chunks(recipe, place.root, engine.work / 'offsets')
    store = ImageStore(
        {name: tuple(str(place.root / images) for images in source.images) for name, source in recipe.sources.items()},
        str(engine.work / 'images'),
        recipe.images.max_bytes,
        frozenset(name for name, source in recipe.sources.items() if source.other_extensions),
        str(engine.work / 'offsets'),
    )
    if faults := list(store.faults()):
        raise UserError('\n'.join(faults))
    remember(engine.work, store)
    if not (place.out / 'mix' / MANIFEST).exists():
        print_mixture(recipe, {name: sum(some.chunk.n for some in planned if some.chunk.source == name) for name in recipe.sources})
    items = contamination.read_items(recipe, place.root, engine, inputs['benchmarks'])  # first: a benchmark that is not whole stops here
    engine.make(samples, _reading(recipe, place, engine), planned)
    refs = engine.table('refs', fingerprint('refs', fingerprint_images.VERSION, samples.fingerprint))
    engine.make(refs, fingerprint_images.ListReferences(), [_paths(samples)])
    stamped, n_groups = fingerprint_images.stamp(refs, store)
    sealed = check_free(place.out, 'mix', build)
    touched = fingerprint(stamped, inputs['benchmarks'])
    if sealed and untouched(engine.work, sealed, touched):
        print(f'mix: nothing to do, {sealed.path} is sealed ({sealed.snapshot_id[:12]})')
        return sealed

    images = _inspect(recipe, engine, refs, n_groups, stamped, store)
    index = engine.table('index', fingerprint('index', image_index.VERSION, images.fingerprint))
    engine.make(index, image_index.IndexImages(_paths(images), _paths(images, 'rejections')), [0])
    stars = duplicates.find(recipe.duplicates, engine, index, store)
    hits = contamination.find(recipe, items, engine, index, stars.hashes, store)
    recalls = canaries.check(recipe, engine, index, stars.hashes, samples, store)
    described = engine.table(
        'described', fingerprint('described', describe_samples.VERSION, samples.fingerprint, index.fingerprint, hits.fingerprint, recipe.mix.seed)
    )
    engine.make(described, describe_samples.DescribeSamples(str(index.path), hits.reader, recipe.mix.seed), _paths(samples))
    features = engine.table('features', fingerprint('features', describe_samples.VERSION, described.fingerprint, stars.fingerprint))
    engine.make(features, describe_samples.AddStars(str(index.path), str(stars.path)), _paths(described))
    plan = _select(recipe, engine, index, features, build)
    tables = [samples, images, _explain(engine, plan, samples)]
    lines = fold([table.counts() for table in (*tables, plan)])
    print_books(f'{recipe.name}: mix', lines)
    if plan.counts()['shards'] == 0:
        raise UserError('mix: expected at least one kept sample, found none; the reasons are in the table above')
    rows = _write(recipe, engine, plan, samples, features, store, build)

    found = {'samples_per_benchmark': {key.removeprefix('hit/'): n for key, n in described.counts().items() if key.startswith('hit/')}}
    print_expected(recipe, lines)
    splits = {shard: split for split, shard in _plan_splits(plan)}
    contents = Contents(
        kind='mix',
        build=build,
        shards=[(splits[i], path) for i, path in enumerate(rows.parts())],
        rejections=[path for table in tables for path in table.parts('rejections')],
        lines=lines,
        about={
            'recipe': recipe.model_dump(mode='json'), 'parent': None, 'inputs': inputs, 'contamination': found, 'duplicates': stars.about,
            'canaries': canaries.about(recalls),
        },
    )
    card = mix_card(recipe, sorted(set(splits.values())), lines, found, canaries.markdown_recall(recalls))
    sealed = seal(engine, contents, place.out, recipe.name, card)
    write_json(engine.work / SEALED, {'snapshot_id': sealed.snapshot_id, 'build': build, 'stamp': touched})
    print(f'mix: sealed {sealed.path} ({sealed.snapshot_id[:12]})')
    return sealed


def untouched(work: Path, sealed: Snapshot, stamp: str) -> bool:
    """Return whether no picture's size or time has changed since this snapshot was sealed from this working folder.

    Pictures that were touched, or a folder that was cleaned, cost a rebuild, which asks nobody; its id tells whether bytes changed.
    """
    before = sealed_before(work)
    return (before.get('snapshot_id'), before.get('stamp')) == (sealed.snapshot_id, stamp)


def sealed_before(work: Path) -> dict[str, str]:
    """Return the id of the snapshot that was sealed last from this working folder, its build and the stamp of its pictures; {} before."""
    path = work / SEALED
    return json.loads(path.read_text()) if path.is_file() else {}


def _inputs(recipe: Recipe, root: Path) -> dict:
    """Return sha256 of every annotation file and a stamp of every benchmark; raises UserError listing all that are missing."""
    faults, stamps = [], {}
    for bench in recipe.contamination.benchmarks:
        try:
            stamps[bench.name] = benches.stamp_benchmark(bench.name, root / bench.path, bench.format)
        except UserError as e:
            faults.append(str(e))
    if faults:
        raise UserError('\n'.join(faults))
    files = {name: {file: file_sha256(root / file) for file in source.annotations} for name, source in recipe.sources.items()}
    return {'annotations': files, 'benchmarks': stamps}


def _rules(recipe: Recipe) -> dict:
    sources = {
        name: source.model_dump(exclude={'expected_paper', 'expected_today', 'get_it', 'accept_uncalibrated'})
        for name, source in recipe.sources.items()
    }
    return {'sources': sources, **recipe.model_dump(include={'images', 'text', 'duplicates', 'contamination', 'mix'})}


def _paths(table: Table, kind: str = 'part') -> list[str]:
    return [str(path) for path in table.parts(kind)]


def _samples(recipe: Recipe, place: Place, engine: Engine, inputs: dict) -> Table:
    """Return the table of samples, not made yet; raises UserError where the disk has no room for it."""
    reading = {name: source.model_dump(exclude=NOT_READ) for name, source in recipe.sources.items()}
    rules = (reading, recipe.text.model_dump(), recipe.images.max_bytes, recipe.mix.seed, inputs['annotations'])
    table = engine.table('samples', fingerprint('samples', read_sources.VERSION, *rules))
    if table.done() is None:
        engine.work.mkdir(parents=True, exist_ok=True)
        annotated = sum((place.root / file).stat().st_size for source in recipe.sources.values() for file in source.annotations)
        check_room(engine.work, annotated)
    return table


def _reading(recipe: Recipe, place: Place, engine: Engine) -> read_sources.ReadSources:
    bounds = TextBounds(**recipe.text.model_dump())
    return read_sources.ReadSources(str(place.root), str(engine.work / 'images'), dict(recipe.sources), bounds, recipe.images.max_bytes)


def _inspect(recipe: Recipe, engine: Engine, refs: Table, n_groups: int, stamped: str, store: ImageStore) -> Table:
    limits = ImageLimits(**recipe.images.model_dump())
    images = engine.table(
        'image_facts', fingerprint('image_facts', fingerprint_images.VERSION, recipe.images.model_dump(), refs.fingerprint, stamped)
    )
    engine.make(images, fingerprint_images.FingerprintImages(str(refs.parts()[0]), store, limits), list(range(n_groups)))
    return images


def _select(recipe: Recipe, engine: Engine, index: Table, features: Table, build: str) -> Table:
    plan = engine.table('plan', fingerprint('plan', build, features.fingerprint))
    engine.make(
        plan,
        select_mix.SelectMix(
            index=str(index.path),
            features=_paths(features),
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
        ),
        [0],
    )
    return plan


def _explain(engine: Engine, plan: Table, samples: Table) -> Table:
    rejected = engine.table('mix_rejected', fingerprint('mix_rejected', explain_rejections.VERSION, plan.fingerprint))
    paths = _paths(samples)
    engine.make(rejected, explain_rejections.ExplainRejections(
        Unit.SAMPLE, select_mix.STEP, 'sample_id', _paths(plan, 'out')[0], [paths], ['turns', 'images']), list(range(len(paths))))
    return rejected


def _write(recipe: Recipe, engine: Engine, plan: Table, samples: Table, features: Table, store: ImageStore, build: str) -> Table:
    rows = engine.table('mix_rows', fingerprint('mix_rows', write_mix.VERSION, plan.fingerprint))
    counts = plan.counts()
    if rows.done() is None:
        check_room(engine.work, counts['bytes'])
    step = write_mix.WriteMix(
        plan=str(plan.parts()[0]),
        samples=_paths(samples),
        features=_paths(features),
        store=store,
        revisions={name: source.revision for name, source in recipe.sources.items()},
        answers={name: source.answers for name, source in recipe.sources.items()},
        schema=with_features(MIX_ROWS),
    )
    engine.make(rows, step, list(range(counts['shards'])))
    return rows


def _plan_splits(plan: Table) -> list[tuple[str, int]]:
    pairs = plan.read(columns=['split', 'shard']).group_by(['split', 'shard']).aggregate([])
    return sorted(zip(*(pairs[name].to_pylist() for name in ('split', 'shard')), strict=True))
