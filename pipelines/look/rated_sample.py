"""Some samples of a mix to come, rated as a build would rate them, and what it would cost to rate all that it rates, planted cases included."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.calibration.rating_plants import PLANTS, Own, plants_of
from pipelines.chat.models import identity
from pipelines.engine.step import make_here
from pipelines.engine.tables import Table
from pipelines.look.cost import Answered, Cost, add, means
from pipelines.look.expected import shared_out
from pipelines.look.watched import WatchedAsker
from pipelines.mix.rated_picks import PICKED, samples_of
from pipelines.mix.ratings import RateSamples
from pipelines.snapshot.mix_rows import MixRow
from pipelines.sources.images import ImageStore
from schemas.rating import OwnQuestion, name_of
from schemas.recipe import Rate, Recipe


@dataclass(frozen=True, slots=True)
class Ratable:
    """Samples that were looked at, rows of PICKED by source with the lowest lot first; `sizes`: how many of each source there are to be rated."""

    samples: tuple[Table, ...]
    features: Table
    store: ImageStore
    rows: dict[str, list[dict]]
    sizes: dict[str, float]

    def wanted(self, rate: Rate) -> dict[str, float]:
        """Return how many samples of each source the models rate."""
        return {name: min(n, rate.max_samples.get(name, n)) for name, n in self.sizes.items()}


@dataclass(frozen=True, slots=True)
class Rated:
    """One sample, what was said of it (rows of RATED), and the calls of each question."""

    row: MixRow
    ratings: list[dict]
    answered: dict[str, list[Answered]]


@dataclass(frozen=True, slots=True)
class Plants:
    """Of so many samples of a source so many can have planted cases for a question, with so many wrong ones among them."""

    samples: int
    own: int
    wrong: int


@dataclass(frozen=True, slots=True)
class RatedSample:
    """What was rated of a preview, and what its samples give in planted cases, by source and question."""

    rated: list[Rated]
    plants: dict[tuple[str, str], Plants]


def rate_some(recipe: Recipe, ratable: Ratable, n: int, at: tuple[WatchedAsker, Path]) -> RatedSample:
    """Return `n` samples rated, of each source in turn those that a build takes first; calls that fail leave a question without a rating."""
    rate, (asker, folder) = recipe.rate, at
    assert rate is not None
    most = ratable.wanted(rate)
    counts = shared_out({(name,): min(most[name], len(rows)) for name, rows in ratable.rows.items()}, n)
    chosen = sorted((row for name, rows in ratable.rows.items() for row in rows[: counts[name,]]), key=lambda row: (row['part'], row['row']))
    if not chosen:
        return RatedSample([], {})
    picks = Table(folder / 'rated_picks')
    picks.path.mkdir()
    pq.write_table(pa.Table.from_pylist(chosen, PICKED), picks.path / 'part-00000.parquet')
    asks = tuple(ask.placeless() if isinstance(ask, OwnQuestion) else ask for ask in rate.ask)
    models = {name: identity(recipe.models[name]) for name in rate.model}
    asker.purpose = 'rate'
    table = make_here(RateSamples(picks, ratable.samples, ratable.features, asks, rate.claims, models, True, ratable.store, asker), folder)
    said = table.read().to_pylist()
    rows = samples_of(ratable.samples, ratable.features, ratable.store).at([(row['part'], row['row']) for row in chosen], pixels=True)
    answered = {one.request.key: one for one in asker.answered}
    return RatedSample([_rated(row, said, answered) for row in rows], _plants(recipe, ratable, most))


def _rated(row: MixRow, said: list[dict], answered: dict[str, Answered]) -> Rated:
    mine = [one for one in said if one['sample_id'] == row.sample_id]
    calls: dict[str, list[Answered]] = {}
    for one in mine:
        calls.setdefault(one['ask'], []).extend(answered[key] for key in one['reply_keys'])
    return Rated(row, mine, calls)


def _plants(recipe: Recipe, ratable: Ratable, most: dict[str, float]) -> dict[tuple[str, str], Plants]:
    """Return the planted cases that all samples which were looked at would give."""
    samples, found = samples_of(ratable.samples, ratable.features, ratable.store), {}
    for name, rows in ratable.rows.items():
        texts = list(samples.at(sorted((row['part'], row['row']) for row in rows), pixels=False)) if most[name] else []
        owns = [Own(row.sample_id, row.question, row.answer, row.image_ids) for row in texts]
        for ask in (name_of(ask) for ask in (recipe.rate.ask if recipe.rate else ()) if name_of(ask) in PLANTS):
            cases = plants_of(owns, [ask], most=10**9)
            own = sum(case.good for case in cases)
            found[name, ask] = Plants(len(owns), own, len(cases) - own)
    return found


def rating_costs(recipe: Recipe, ratable: Ratable, seen: RatedSample) -> list[Cost]:
    """Return what the ratings of each source and its planted cases cost; a source of which nothing was rated costs as all do."""
    assert recipe.rate is not None
    costs = []
    for source, n in ratable.wanted(recipe.rate).items():
        mine = [one for one in seen.rated if one.row.source == source]
        like = mine or seen.rated
        parts = [Cost(source, n, len(mine))]
        for ask in (map(name_of, recipe.rate.ask) if like else ()):
            answered = [call for one in like for call in one.answered.get(ask, [])]
            parts.append(_part(recipe, source, answered, n / len(like), 'rate'))
            planted = _wrong_cases(recipe, seen.plants.get((source, ask)), n)
            parts.append(_part(recipe, source, answered, planted / len(like), 'calibrate'))
        costs.append(add(source, parts))
    return costs


def _part(recipe: Recipe, source: str, answered: Sequence[Answered], times: float, purpose: str) -> Cost:
    return Cost(source, 0, 0, **{purpose: times * len(answered)}, **means(recipe, answered, times))


def _wrong_cases(recipe: Recipe, plants: Plants | None, n: float) -> float:
    """Return how many planted wrong cases are asked about; the own ones beside them are asked as samples."""
    if plants is None or not plants.own:
        return 0.0
    wrong = plants.wrong / plants.own
    return wrong * min(recipe.calibration.min_cases / (1 + wrong), n * plants.own / plants.samples)
