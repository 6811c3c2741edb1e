"""A few samples taken all the way, and what the whole build would cost: requests, tokens, money, disk. Nothing is paid twice.

The mix is built (no model), then some picked samples of every kind get candidates and verdicts by the build's own steps, with the
build's own reply store and ledger: what the preview asks, `phantom build` with the same --out finds stored.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.build import Way, alone, build_all
from pipelines.chat.asker import Asker
from pipelines.engine.engine import Engine
from pipelines.engine.step import make_here
from pipelines.engine.tables import Table, write_json
from pipelines.engine.uses import Uses
from pipelines.look.cost import Answered, Projection, Seen, project, stratum_of
from pipelines.look.preview_page import preview_page
from pipelines.replies.segments import encode_line
from pipelines.sources.files import resolve
from pipelines.triples.candidates import ProposeCandidates, proposing
from pipelines.triples.models import check_plan, identity, served
from pipelines.triples.picks import PICKS, pick_lot
from pipelines.triples.programme import picking
from pipelines.triples.verdicts import JudgeCandidates, judging
from schemas.errors import UserError
from schemas.recipe import Recipe
from schemas.replies import ChatRequest, Outcome
from schemas.snapshot import open_snapshot


@dataclass
class WatchedAsker(Asker):
    """An asker that remembers what was asked and answered, for which source."""

    answered: list[Answered] = field(default_factory=list)
    purpose: str = ''

    def ask(self, model: str, requests: dict[str, list[ChatRequest]], *, give_up: bool = False) -> dict[str, Outcome]:
        """Ask as the build does, and remember."""
        outcomes = super().ask(model, requests, give_up=give_up)
        for source, some in requests.items():
            for request in dict.fromkeys(some):
                outcome = outcomes[request.key]
                self.answered.append(Answered(self.purpose, source, model, request, outcome, len(encode_line(outcome))))
        return outcomes


def preview_recipe(recipe: Recipe, n: int, out: Path, way: Way) -> Projection:
    """Write OUT/preview/preview.html and preview.json; return the projection. Raises UserError for a recipe that generates nothing."""
    if not recipe.generate:
        raise UserError(f'recipe {recipe.name}: expected `generate:`, found none; without it no model is asked and there is nothing to preview')
    build_all(recipe, out, Way(way.work, way.root, way.beam_args, mix_only=True))
    out, work = out.resolve(), (way.work or out / 'work').resolve()
    root = (way.root or recipe.root_of(out)).resolve()
    recipe = resolve(recipe, root)
    check_plan(recipe)
    with alone(work, out, 0):
        return _preview(recipe, n, out, Engine(work, way.beam_args, uses=Uses(work, out, 'triples')))


def _preview(recipe: Recipe, n: int, out: Path, engine: Engine) -> Projection:
    mix = open_snapshot(out / 'mix')
    picks = engine.run(picking(recipe, mix))
    rows = picks.read().to_pylist()
    chosen = choose(rows, n, recipe.mix.seed)
    folder = engine.work / 'preview'
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    asker = WatchedAsker(recipe.models, recipe.budget, str(engine.work / 'replies'), str(engine.work / 'ledger'))
    paths = tuple(str(mix.path / shard['file']) for shard in mix.manifest['shards'])
    with served(recipe, engine.work):
        candidates, rejected, verdicts = _ask(recipe, chosen, picks, paths, (asker, folder))
    seen = [_seen(row, recipe, asker.answered, (candidates, rejected, verdicts)) for row in chosen]
    found = project(recipe, rows, seen, sum(shard['bytes'] for shard in mix.manifest['shards']))
    _write(out / 'preview', preview_page(recipe, seen, paths, found), found)
    shutil.rmtree(folder)
    return found


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


def _ask(
    recipe: Recipe, chosen: list[dict], picks: Table, mix: tuple[str, ...], at: tuple[WatchedAsker, Path]
) -> tuple[list[dict], list[dict], list[dict]]:
    """Return candidates, rejections of places that got none, and verdicts aligned with the candidates."""
    asker, folder = at
    some = Table(folder / 'picks')
    some.path.mkdir()
    pq.write_table(pa.Table.from_pylist(chosen, PICKS), some.path / 'part-00000.parquet')
    shutil.copyfile(picks.path / 'pool.json', some.path / 'pool.json')
    models = {name: identity(model) for name, model in recipe.models.items()}
    asker.purpose = 'generate'
    generate = tuple(proposing(generator) for generator in recipe.generate)
    candidates = make_here(ProposeCandidates(some, (0,), generate, models, False, mix, asker), folder)
    asker.purpose = 'judge'
    verdicts = make_here(JudgeCandidates(candidates, some, judging(recipe.judge), models, False, (), mix, asker), folder)
    return candidates.read().to_pylist(), candidates.read('rejections').to_pylist(), verdicts.read().to_pylist()


def _seen(row: dict, recipe: Recipe, answered: list[Answered], tables: tuple[list[dict], list[dict], list[dict]]) -> Seen:
    candidates, rejected, verdicts = tables
    judged = [(c, v) for c, v in zip(candidates, verdicts, strict=True) if c['sample_id'] == row['sample_id']]
    lost = [(r, content) for r in rejected if (content := json.loads(r['content'])).get('sample_id') == row['sample_id']]
    keys = {c['reply_key'] for c, _ in judged} | {content.get('reply_key') for _, content in lost}
    keys |= {key for _, v in judged for key in v['reply_keys']}
    return Seen(row, judged, [r for r, _ in lost], [a for a in answered if a.request.key in keys], recipe.judge.margin)


def _write(folder: Path, page: str, found: Projection) -> None:
    folder.mkdir(exist_ok=True)
    temporary = folder / f'.preview.{os.getpid()}.tmp'
    temporary.write_text(page, encoding='utf-8')
    os.replace(temporary, folder / 'preview.html')
    write_json(folder / 'preview.json', asdict(found))
