"""A few samples taken all the way, and what the whole build would cost: requests, tokens, money, disk. Nothing is paid twice.

Where the mix of the recipe is sealed, its own picks are taken. Elsewhere some records of each source are (`sampled_mix`): no source is read whole.
They get candidates and verdicts by the build's own steps, with the build's own reply store and ledger: what is asked here and there is equal when
sample and prompt are, and then `phantom build` with the same --out finds it stored.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.build import Way, alone
from pipelines.chat.models import check_plan, identity, parts_of, served
from pipelines.engine.engine import Engine
from pipelines.engine.step import make_here
from pipelines.engine.tables import Table
from pipelines.engine.uses import Uses
from pipelines.look.cost import Projection, Seen, project, strata_of, stratum_of
from pipelines.look.disk import look_at_sources, print_disk, sizes_of
from pipelines.look.preview_page import Shown, notes_of, preview_page
from pipelines.look.rated_sample import RatedSample, rate_some, rating_costs
from pipelines.look.sampled_mix import Looked, SampledMix, sample_mix
from pipelines.look.watched import WatchedAsker
from pipelines.mix.programme import mark_of
from pipelines.sources.archives import archive_of
from pipelines.sources.files import resolve
from pipelines.triples.candidates import ProposeCandidates, proposing
from pipelines.triples.picks import PICKS, pick_lot, read_pool
from pipelines.triples.programme import picking
from pipelines.triples.verdicts import JudgeCandidates, judging
from pipelines.triples.wrong_labels import stored_wrong_labels, write_wrong_labels
from schemas.errors import UserError
from schemas.models import WRONG_LABELS
from schemas.publish import publish_bytes, publish_json
from schemas.recipe import Recipe
from schemas.snapshot import MANIFEST, Snapshot, open_snapshot
from schemas.telling import tell_news


@dataclass(frozen=True, slots=True)
class Previewed:
    """The projection, and why not all that was asked is answered, if so: the error with which a build would have ended.

    `seconds`: what the calls of a build take at the pace seen here, None where none was made: all were stored.
    """

    projection: Projection
    stopped: UserError | None
    seconds: float | None = None


def preview_recipe(recipe: Recipe, n: int, out: Path, way: Way) -> Previewed:
    """Print the disk that the mix needs, write OUT/preview/preview.html and preview.json.

    The models are asked first what they can do; raises UserError for one that cannot, for sources of no use, and for a recipe by which no model rates
    and nothing is generated.
    """
    if not (recipe.generate or rates(recipe)):
        raise UserError(f'recipe {recipe.name}: expected `generate:` or `rate: {{model: ...}}`, found neither; no model is asked and there is '
                        'nothing to preview')
    check_plan(recipe, parts=parts_of(recipe))
    out, work = out.resolve(), (way.work or out / 'work').resolve()
    root = (way.root or recipe.root_of(out)).resolve()
    recipe = resolve(recipe, root)
    with alone(work, out, 0):
        archives = any(archive_of(str(root / images))[0] for source in recipe.sources.values() for images in source.images)
        tell_news(f'preview: looking at {len(recipe.sources)} source(s)'
                  + (', and where the pictures lie in their archives, which is kept for the build ...' if archives else ' ...'))
        looked = look_at_sources(recipe, root, str(work / 'offsets'))
        print_disk(recipe, looked, out)
        with Engine(work, way.beam_args, uses=Uses(work, out, 'triples'), workers=way.workers) as engine, _folder(work / 'preview'):
            sealed = _sealed(recipe, root, out)
            mix = _of_sealed(recipe, sealed, engine) if sealed else sample_mix(recipe, root, work, sizes=sizes_of(recipe, looked), n=n)
            return _preview(recipe, n, out, (mix, engine))


def rates(recipe: Recipe) -> bool:
    """Return whether models rate the mix."""
    return recipe.rate is not None and bool(recipe.rate.model)


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make an empty folder, and remove it at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sealed(recipe: Recipe, root: Path, out: Path) -> Snapshot | None:
    """Return the sealed mix of the recipe, None where there is none, or a file of its sources was written after it."""
    if not (out / 'mix' / MANIFEST).is_file():
        return None
    sealed = open_snapshot(out / 'mix')
    inputs = {**sealed.manifest['inputs'], 'order': list(recipe.sources)}
    named = {name: source.annotations for name, source in recipe.sources.items()}
    same = {name: list(files) for name, files in inputs['annotations'].items()} == named
    before = Recipe.model_validate(sealed.manifest['recipe'])
    if not same or mark_of(before, {**inputs, 'order': list(before.sources)}) != mark_of(recipe, inputs):
        return None
    written = (out / 'mix' / MANIFEST).stat().st_mtime
    return sealed if all((root / file).stat().st_mtime <= written for files in named.values() for file in files) else None


def _of_sealed(recipe: Recipe, mix: Snapshot, engine: Engine) -> SampledMix:
    """Return the picks of a sealed mix: nothing is estimated of it."""
    tell_news(f'preview: the mix is sealed ({mix.snapshot_id[:12]}), its own samples are taken')
    if rates(recipe):
        tell_news('preview: they are rated, nothing is asked for that again')
    mix.prove_all()
    files, n_bytes = tuple(str(mix.path / shard['file']) for shard in mix.manifest['shards']), sum(shard['bytes'] for shard in mix.manifest['shards'])
    if not recipe.generate:
        return SampledMix(files, [], {}, {}, [], n_bytes)
    picks = engine.run(picking(recipe, mix))
    rows = picks.read().to_pylist()
    return SampledMix(files, rows, read_pool(picks), strata_of(rows), [], n_bytes, wrong_labels=stored_wrong_labels(picks))


def _preview(recipe: Recipe, n: int, out: Path, at: tuple[SampledMix, Engine]) -> Previewed:
    mix, engine = at
    folder = engine.work / 'preview'
    chosen = choose(mix.picks, n, recipe.mix.seed)
    asker = WatchedAsker(recipe.models, recipe.budget, str(engine.work / 'replies'), str(engine.work / 'ledger'))
    if mix.looked and any(generator.prompt == WRONG_LABELS for generator in recipe.generate):
        tell_news('preview: wrong labels are known once the mix is sealed; what judging them costs is not in the bill')
    seen, rated, costs = [], RatedSample([], {}), []
    if chosen or (rates(recipe) and mix.ratable):
        with engine.asking(), served(recipe, engine.work, parts_of(recipe)):
            if rates(recipe) and mix.ratable:
                tell_news('preview: samples are rated by ' + ', '.join(recipe.rate.model if recipe.rate else ()) + ' ...')
                rated = rate_some(recipe, mix.ratable, n, (asker, folder))
                costs = rating_costs(recipe, mix.ratable, rated)
            if chosen:
                tell_news(f'preview: {len(chosen)} sample(s) go through {len(recipe.generate)} prompt(s) and the judge ...')
                tables = _ask(recipe, chosen, mix, (asker, folder))
                seen = [_seen(row, recipe, asker, tables) for row in chosen]
    estimated = [one.source for one in mix.looked if not one.exact] if mix.looked else None
    found = project(recipe, mix.sizes, seen, mix.mix_bytes, estimated, costs)
    is_sealed = mix.ratable is None
    stopped = asker.stopped if chosen or rated.rated or is_sealed else _nothing(mix)
    shown = Shown(seen, mix.files, mix.looked, str(stopped or ''), rated.rated, notes_of(found, _seconds(found, asker)))
    _write(out / 'preview', preview_page(recipe, shown, found), found, mix.looked, str(stopped or ''))
    return Previewed(found, stopped, _seconds(found, asker))


def _seconds(found: Projection, asker: WatchedAsker) -> float | None:
    """Return how long all calls take, each as long as those of its purpose here; planted cases as those of the judge, or of who rates."""
    each = {purpose: seconds / n for purpose, (n, seconds) in asker.took.items()}
    if not each:
        return None
    total, like = found.total, sum(each.values()) / len(each)
    judged = each.get('judge', each.get('rate', like))
    return sum(n * each.get(purpose, like) for purpose, n in (('rate', total.rate), ('generate', total.generate), ('judge', total.judge))) \
        + total.calibrate * judged


def _nothing(mix: SampledMix) -> UserError:
    """Return what is said where there is nothing to preview."""
    why = '; '.join(f'{one.source}: {", ".join(one.reasons) or "nothing"}' for one in mix.looked)
    return UserError(f'expected at least one sample that a prompt takes, found none{f" ({why})" if why else ""}')


def choose(rows: list[dict], n: int, seed: str) -> list[dict]:
    """Return `n` picks: of each (source, prompts) in turn those that the build takes first."""
    strata: dict[tuple, list[dict]] = {}
    for row in sorted(rows, key=_Lot(seed)):
        strata.setdefault(stratum_of(row), []).append(row)
    chosen: list[dict] = []
    turn = 0
    while len(chosen) < min(n, len(rows)):
        chosen += [some[turn] for _, some in sorted(strata.items()) if turn < len(some)]
        turn += 1
    return chosen[:n]


@dataclass(frozen=True, slots=True)
class _Lot:
    seed: str

    def __call__(self, row: dict) -> tuple[int, str]:
        return pick_lot(self.seed, row['sample_id']), row['sample_id']


def _ask(recipe: Recipe, chosen: list[dict], mix: SampledMix, at: tuple[WatchedAsker, Path]) -> tuple[list[dict], list[dict], list[dict]]:
    """Return candidates, rejections of places that got none, and verdicts aligned with the candidates.

    Calls that fail leave their places empty here (`give_up`), and are asked again by the next preview or build: nothing of this is kept.
    """
    asker, folder = at
    some = Table(folder / 'picks')
    some.path.mkdir()
    pq.write_table(pa.Table.from_pylist(chosen, PICKS), some.path / 'part-00000.parquet', row_group_size=len(chosen))
    publish_json(some.path / 'pool.json', mix.pool)
    write_wrong_labels(some.path, mix.wrong_labels)
    models = {name: identity(model) for name, model in recipe.models.items()}
    asker.purpose = 'generate'
    generate = tuple(proposing(generator) for generator in recipe.generate)
    candidates = make_here(ProposeCandidates(some, (0,), generate, models, True, mix.files, asker), folder)
    asker.purpose = 'judge'
    verdicts = make_here(JudgeCandidates(candidates, some, judging(recipe.judge), models, True, (), mix.files, asker), folder)
    return candidates.read().to_pylist(), candidates.read('rejections').to_pylist(), verdicts.read().to_pylist()


def _seen(row: dict, recipe: Recipe, asker: WatchedAsker, tables: tuple[list[dict], list[dict], list[dict]]) -> Seen:
    candidates, rejected, verdicts = tables
    judged = [(c, v) for c, v in zip(candidates, verdicts, strict=True) if c['sample_id'] == row['sample_id']]
    lost = [(r, content) for r in rejected if (content := json.loads(r['content'])).get('sample_id') == row['sample_id']]
    keys = {c['reply_key'] for c, _ in judged} | {content.get('reply_key') for _, content in lost}
    keys |= {key for _, v in judged for key in v['reply_keys']}
    answered = {a.request.key: a for a in asker.answered if a.request.key in keys}
    return Seen(row, judged, [r for r, _ in lost], list(answered.values()), recipe.judge.margin)


def _write(folder: Path, page: str, found: Projection, looked: list[Looked], stopped: str) -> None:
    folder.mkdir(exist_ok=True)
    publish_bytes(folder / 'preview.html', page.encode())
    publish_json(folder / 'preview.json', {**asdict(found), 'looked': [asdict(one) for one in looked], 'stopped': stopped})
