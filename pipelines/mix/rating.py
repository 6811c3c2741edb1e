"""The part of a mix that rates the answers its sources came with: by files, by models whose worth is measured first, and what is left out for it."""

import io
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from pipelines.chat.models import identity
from pipelines.engine.engine import Engine
from pipelines.engine.step import canonical
from pipelines.engine.tables import Table
from pipelines.mix.given_ratings import ReadRatings
from pipelines.mix.rated import Drop
from pipelines.mix.rating_summary import SummarizeRatings, read_summary
from schemas.rating import FromCalibration
from schemas.recipe import Recipe

FILE = 'ratings/ratings.parquet'  # in the snapshot


@dataclass(frozen=True, slots=True)
class Rated:
    """What was rated by whom, and what is left out for it."""

    ratings: tuple[Table, ...] = ()
    given: tuple[Table, ...] = ()
    drops: tuple[Drop, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)  # for manifest and card: calibration, refusals


def rate_mix(recipe: Recipe, engine: Engine, features: Table, inputs: dict) -> Rated:
    """Return the ratings of a mix; raises UserError for files that are none of its."""
    rate = recipe.rate
    if rate is None:
        return Rated()
    given = (engine.run(ReadRatings(features, tuple(inputs['ratings']), tuple(rate.from_))),) if rate.from_ else ()
    drops = tuple(Drop(ask, source, threshold, models=False) for ask, threshold in rate.drop.items() if not isinstance(threshold, FromCalibration)
                  for source in recipe.sources)
    return Rated((), given, drops)


def summarized(rated: Rated, engine: Engine, plan: Table, features: Table) -> tuple[list[dict], dict[str, bytes]]:
    """Return what became of the ratings (rows of SUMMARY), and the files of a snapshot that hold them; nothing where nothing was rated."""
    if not (rated.ratings or rated.given):
        return [], {}
    summary = engine.run(SummarizeRatings(plan, features, rated.ratings, rated.given, rated.drops))
    out = io.BytesIO()
    pq.write_table(summary.read('ratings'), out, compression='zstd')
    return read_summary(summary), {FILE: out.getvalue()}


def raters_of(recipe: Recipe) -> dict[str, Any]:
    """Return what each model is that rates, never where it answers or how fast."""
    return {name: canonical(identity(recipe.models[name])) for name in (recipe.rate.model if recipe.rate else ())}
