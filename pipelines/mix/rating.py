"""The part of a mix that rates the answers its sources came with: by files, by models whose worth is measured, and what is left out for it."""

import io
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.calibration.rated import RatingReport
from pipelines.chat.asker import Asker
from pipelines.chat.failures import refuse_failed
from pipelines.chat.models import identity, served
from pipelines.chat.served import served_by
from pipelines.chat.trials import RATE
from pipelines.engine.engine import Engine
from pipelines.engine.step import Step, canonical
from pipelines.engine.tables import Table
from pipelines.mix.given_ratings import ReadRatings, refuse_unrated
from pipelines.mix.rated import Drop
from pipelines.mix.rated_picks import PickRated
from pipelines.mix.rater import rater
from pipelines.mix.rating_cases import CASES, RatePlanted
from pipelines.mix.rating_reports import drops_of, reports_of
from pipelines.mix.rating_summary import SummarizeRatings, read_summary
from pipelines.mix.ratings import RateSamples
from pipelines.replies.ledger import Ledger
from pipelines.replies.store import ReplyStore
from pipelines.sources.images import ImageStore
from schemas.errors import UserError
from schemas.rating import RATINGS_FILE, OwnQuestion, name_of
from schemas.recipe import Recipe

SEALED_CASES = pa.schema([field for field in CASES if field.name != 'reply_keys'])
CASES_FILE = 'ratings/cases.parquet'  # in the snapshot


@dataclass(frozen=True, slots=True)
class Looked:
    """What samples are rated from: texts, pictures by id, and where their bytes lie."""

    samples: tuple[Table, ...]
    features: Table
    store: ImageStore


@dataclass(frozen=True, slots=True)
class Manner:
    """How models are asked: whether calls that keep failing end as samples without a rating, and whether nobody may be asked."""

    give_up: bool = False
    ask_nobody: bool = False


@dataclass(frozen=True, slots=True)
class Rated:
    """What was rated by whom, how far that can be trusted, and what is left out for it."""

    ratings: tuple[Table, ...] = ()
    given: tuple[Table, ...] = ()
    planted: tuple[Table, ...] = ()
    reports: list[RatingReport] = field(default_factory=list)
    drops: tuple[Drop, ...] = ()
    refused: tuple[str, ...] = ()  # what may not be left out, and why


def rate_mix(recipe: Recipe, engine: Engine, looked: Looked, inputs: dict, manner: Manner) -> Rated:
    """Return the ratings of a mix; raises UserError for files that are none of its, PendingWork while calls keep failing, BudgetExceeded."""
    rate = recipe.rate
    if rate is None:
        return Rated()
    given = (engine.run(ReadRatings(looked.features, tuple(inputs['ratings']), tuple(rate.from_))),) if rate.from_ else ()
    refuse_unrated(rate.drop, map(name_of, rate.ask) if rate.model else (), (table.read(columns=['ask']) for table in given))
    if not rate.model:
        drops, refused = drops_of(recipe, [], files=True)
        return Rated((), given, (), [], drops, refused)
    planted, ratings = _asked(recipe, engine, looked, manner)
    reports = reports_of(recipe, planted, ratings)
    drops, refused = drops_of(recipe, reports, files=bool(given))
    return Rated((ratings,), given, (planted,), reports, drops, refused)


def _asked(recipe: Recipe, engine: Engine, looked: Looked, manner: Manner) -> tuple[Table, Table]:
    """Return the rated cases and the rated samples."""
    picks = engine.run(_picking(recipe, looked.features))
    asker = Asker(recipe.models, recipe.budget, str(engine.work / 'replies'), str(engine.work / 'ledger'))
    steps: tuple[Step, ...] = _asking(recipe, picks, looked, asker, give_up=manner.give_up)
    waiting = [table for table in map(engine.table, steps) if table.done() is None]
    if waiting and manner.ask_nobody:  # what was given up may be selected from, too
        steps = _asking(recipe, picks, looked, asker, give_up=True)
        if any(engine.table(step).done() is None for step in steps):
            names = ', '.join(table.name for table in waiting)
            raise UserError(f'select: expected finished tables in {engine.work}, found {names} not made for these settings; '
                            'only thresholds (rate.drop) and files (rate.from) can change without asking a model; use `phantom build`')
    with ExitStack() as stack:
        if waiting and not manner.ask_nobody:
            stack.enter_context(engine.asking())
            stack.enter_context(served(recipe, engine.work, (RATE,)))
        tables = tuple(_made(recipe, engine, step, manner) for step in steps)
    if waiting and engine.ran:
        with closing(ReplyStore(asker.replies)) as store:
            store.compact()
    return tables[0], tables[1]


def _made(recipe: Recipe, engine: Engine, step: Step, manner: Manner) -> Table:
    table = engine.run(step)
    if recipe.rate and not (manner.give_up or manner.ask_nobody):
        refuse_failed(table, {rater(name): recipe.rate.max_failed for name in recipe.rate.model})
    return table


def _picking(recipe: Recipe, features: Table) -> PickRated:
    return PickRated(
        features=features,
        sources=list(recipe.sources),
        categories={name: source.category for name, source in recipe.sources.items()},
        licences=recipe.mix.licences,
        drop_contaminated=recipe.contamination.action == 'drop',
        max_samples=dict(recipe.rate.max_samples) if recipe.rate else {},
    )


def _asking(recipe: Recipe, picks: Table, looked: Looked, asker: Asker, *, give_up: bool) -> tuple[RatePlanted, RateSamples]:
    rate = recipe.rate
    assert rate is not None
    asks = tuple(ask.placeless() if isinstance(ask, OwnQuestion) else ask for ask in rate.ask)
    models = {name: identity(recipe.models[name]) for name in rate.model}
    sources = tuple(name for name in sorted(recipe.sources) if rate.max_samples.get(name) != 0)
    about = (picks, looked.samples, looked.features, asks, rate.claims, models, give_up, looked.store, asker)
    return RatePlanted(*about, sources, recipe.calibration.min_cases), RateSamples(*about)


def summarized(recipe: Recipe, rated: Rated, engine: Engine, plan: Table, features: Table) -> tuple[list[dict], dict[str, bytes]]:
    """Return what became of the ratings (rows of SUMMARY), and the files of a snapshot that hold them; nothing where nothing was rated."""
    if not (rated.ratings or rated.given):
        return [], {}
    asks = tuple(map(name_of, recipe.rate.ask)) if recipe.rate and recipe.rate.model else ()
    summary = engine.run(SummarizeRatings(plan, features, rated.ratings, rated.given, rated.drops, asks))
    cases = (table for planted in rated.planted for table in planted.batches())
    schema = pq.read_schema(summary.parts('ratings')[0])
    files = {RATINGS_FILE: _parquet(schema, summary.batches('ratings')), **({CASES_FILE: _parquet(SEALED_CASES, cases)} if rated.planted else {})}
    return read_summary(summary), files


def _parquet(schema: pa.Schema, tables: Iterable[pa.Table]) -> bytes:
    out = io.BytesIO()
    with pq.ParquetWriter(out, schema, compression='zstd') as writer:
        for table in (schema.empty_table(), *tables):
            writer.write_table(table.select(schema.names))
    return out.getvalue()


def about_ratings(recipe: Recipe, engine: Engine, rated: Rated, summary: list[dict]) -> dict[str, Any]:
    """Return what the manifest says of ratings; nothing where the recipe asks for none."""
    if recipe.rate is None:
        return {}
    told = {'summary': summary, 'reports': [asdict(report) for report in rated.reports], 'refused': list(rated.refused)}
    if not rated.ratings:
        return {'ratings': told}
    spent = Ledger(engine.work / 'ledger', recipe.budget, recipe.models)
    cost = {'total': asdict(spent.spent()), 'by_source': {name: asdict(of) for name, of in spent.by_source().items()}}
    return {'ratings': told, 'served_by': served_by(table.counts() for table in (*rated.planted, *rated.ratings)), 'cost': cost}


def raters_of(recipe: Recipe) -> dict[str, Any]:
    """Return what each model is that rates, never where it answers or how fast."""
    return {name: canonical(identity(recipe.models[name])) for name in (recipe.rate.model if recipe.rate else ())}
