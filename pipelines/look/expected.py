"""How many samples of each source a mix and each prompt would take, where only the sources' sizes are known: lots are drawn evenly."""

from collections import defaultdict
from collections.abc import Mapping

from curation.selection.select import weighted_quotas
from schemas.recipe import Generator, Recipe

_HALVINGS = 60  # of an interval of shares: below a sample of the largest mix


def expected_mix(recipe: Recipe, n: Mapping[str, float]) -> dict[str, float]:
    """Return the samples of each source that licences, quotas and weights leave of `n` clean ones."""
    kept = {name: min(found, recipe.sources[name].quota or found) if is_allowed(recipe, name) else 0.0 for name, found in n.items()}
    if recipe.mix.weights:
        names = list(kept)
        wanted = weighted_quotas([int(kept[name]) for name in names], {i: recipe.mix.weights[name] for i, name in enumerate(names)}, recipe.mix.total)
        kept = {name: min(kept[name], wanted[i]) for i, name in enumerate(names)}
    of_category: dict[str, float] = defaultdict(float)
    for name, found in kept.items():
        of_category[recipe.sources[name].category] += found
    shares = {category: min(1.0, recipe.mix.category_quotas.get(category, all_) / all_) for category, all_ in of_category.items() if all_}
    return {name: found * shares.get(recipe.sources[name].category, 1.0) for name, found in kept.items()}


def is_allowed(recipe: Recipe, name: str) -> bool:
    """Return whether the recipe keeps samples of a source's licence."""
    return not recipe.mix.licences or set(recipe.sources[name].licence.split(' AND ')) <= set(recipe.mix.licences)


def strata(recipe: Recipe, n: Mapping[str, float]) -> dict[tuple, tuple[float, float]]:
    """Return which share of a source's samples, by their lots, gets which prompts: (source, *prompts) -> (from, to)."""
    taken = [_taken(recipe, generator, n) for generator in recipe.generate]
    found: dict[tuple, tuple[float, float]] = {}
    for name in n:
        low = 0.0
        for high in sorted({shares[name] for shares in taken}):
            if high > low:
                found[name, *(str(i) for i, shares in enumerate(taken) if shares[name] >= high)] = low, high
                low = high
    return found


def _taken(recipe: Recipe, generator: Generator, n: Mapping[str, float]) -> dict[str, float]:
    """Return the share of each source's samples that a generator takes: those of the lowest lots, over all its sources."""
    most = recipe.triples.max_samples
    caps = {name: min(1.0, most.get(name, found) / found) if found and name in (generator.sources or n) else 0.0 for name, found in n.items()}

    def so_many(share: float) -> float:
        return sum(found * min(share, caps[name]) for name, found in n.items())

    if generator.max_samples is None or so_many(1.0) <= generator.max_samples:
        return caps
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if so_many(middle) <= generator.max_samples else (low, middle)
    return {name: min(low, cap) for name, cap in caps.items()}


def shared_out(capacity: Mapping[tuple, float], n: int) -> dict[tuple, int]:
    """Return how many of `n` previewed samples each stratum gets: one in turn, while it has more."""
    given = dict.fromkeys(capacity, 0)
    left = n
    while left > 0 and (open_ := [stratum for stratum in sorted(capacity) if given[stratum] < capacity[stratum]]):
        for stratum in open_[:left]:
            given[stratum] += 1
        left -= min(left, len(open_))
    return given
