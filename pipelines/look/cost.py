"""What a build would cost, from a few samples taken all the way: each kind of sample (source, prompts) costs its previewed mean."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from curation.calibration.injected import n_injected
from pipelines.chat.models import may_be_judged
from pipelines.replies.ledger import TOKENS_PER_PRICE
from pipelines.triples.picks import ROUND, ROUND_SAMPLES
from pipelines.triples.verdicts import COMPUTED
from schemas.recipe import Recipe
from schemas.replies import ChatRequest, Failure, Outcome

PLANTS = 3  # planted cases a sample gives at most: equal, swapped, distractor
# Different requests per planted case. The three cases of a sample hold three answers, so likelihood and yes_no ask three times;
# pairwise asks both orders, and swapped is distractor's other order: four times.
PER_CASE = {'likelihood': 1.0, 'yes_no': 1.0, 'paper': 1.0, 'pairwise': 4 / 3}
# An answer that asks for a verdict is fenced, and so is the one it is compared with: two new requests, of which `paper` has both in one
PER_INJECTED = {'likelihood': 0.0, 'yes_no': 2.0, 'paper': 1.0, 'pairwise': 2.0}
TOTAL = '(total)'


@dataclass(frozen=True, slots=True)
class Answered:
    """One request of the preview and what came back; `n_bytes` is what the store keeps of it."""

    purpose: str  # rate | generate | judge
    source: str
    model: str
    request: ChatRequest
    outcome: Outcome
    n_bytes: int

    @property
    def settled(self) -> bool:
        """Return whether something came back, so that its tokens are known."""
        return not (isinstance(self.outcome, Failure) and self.outcome.retryable)


@dataclass(frozen=True, slots=True)
class Seen:
    """One previewed sample: its pick, (candidate, verdict) pairs, places that got no candidate, and the requests made for it."""

    pick: dict
    judged: list[tuple[dict, dict]]
    lost: list[dict]
    answered: list[Answered]
    margin: float

    @property
    def accepted(self) -> int:
        """Return how many of its candidates would be kept at the recipe's margin."""
        return sum(self.accepts(verdict) for _, verdict in self.judged)

    def accepts(self, verdict: dict) -> bool:
        """Return whether a candidate with this verdict would be kept; a computed answer is wrong at any margin."""
        return not verdict['reason'] and (verdict['judge'] == COMPUTED or verdict['score'] > self.margin)


@dataclass(frozen=True, slots=True)
class Cost:
    """Requests by purpose, tokens, money, bytes on disk, triples; of a source or of all."""

    source: str
    samples: float
    previewed: int
    rate: float = 0
    generate: float = 0
    judge: float = 0
    calibrate: float = 0
    prompt_tokens: float = 0
    completion_tokens: float = 0
    money: float = 0
    reply_bytes: float = 0
    triples: float = 0
    triple_bytes: float = 0

    @property
    def requests(self) -> float:
        """All requests."""
        return self.rate + self.generate + self.judge + self.calibrate


SUMMED = tuple(f.name for f in fields(Cost) if f.name != 'source')


@dataclass(frozen=True, slots=True)
class Projection:
    """The cost by source, the last line the total, and the bytes of the finished mix. `unseen` sources had no sample in the preview."""

    lines: tuple[Cost, ...]
    mix_bytes: int
    unseen: tuple[str, ...]
    over_budget: tuple[str, ...] = ()  # a sentence for each limit that the total is above
    sampled: bool = False  # from records of the sources, not from a finished mix: duplicates and contamination are not known
    estimated: tuple[str, ...] = ()  # sources whose samples were counted from some of their records

    @property
    def total(self) -> Cost:
        """Return the cost of the whole build."""
        return self.lines[-1]


def stratum_of(row: dict) -> tuple:
    """Return what makes picks alike in cost: their source and their prompts."""
    return row['source'], *row['prompts']


def strata_of(picks: Iterable[dict]) -> dict[tuple, tuple[float, float]]:
    """Return samples and bytes of each kind of pick."""
    found: dict[tuple, tuple[float, float]] = defaultdict(_nothing)
    for row in picks:
        n, n_bytes = found[stratum_of(row)]
        found[stratum_of(row)] = n + 1, n_bytes + row['n_bytes']
    return dict(found)


def _nothing() -> tuple[float, float]:
    return 0.0, 0.0


def project(
    recipe: Recipe, sizes: Mapping[tuple, tuple[float, float]], seen: Sequence[Seen], mix_bytes: float, estimated: Sequence[str] | None = None,
    rated: Sequence[Cost] = (),
) -> Projection:
    """Return the projection for strata of these sizes; one that was not previewed costs as its source, a source not previewed as all.

    Where the sizes come from a sample, `estimated` names the sources of which it was a part only. `rated`: what the ratings of each source cost.
    """
    by_source: dict[str, list[Cost]] = defaultdict(list)
    for stratum, size in sorted(sizes.items()):
        like = [s for s in seen if stratum_of(s.pick) == stratum] or [s for s in seen if s.pick['source'] == stratum[0]] or list(seen)
        previewed = sum(stratum_of(s.pick) == stratum for s in seen)
        by_source[stratum[0]].append(_stratum_cost(recipe, stratum[0], previewed, size, like))
    of_ratings = {cost.source: cost for cost in rated}
    lines = []
    for source in dict.fromkeys((*by_source, *of_ratings)):
        costs, rating = by_source.get(source, []), of_ratings.get(source, Cost(source, 0, 0))
        calibration = [_calibration(recipe, source, sum(cost.samples for cost in costs), seen)] if costs else []
        whole = add(source, [*_until_enough(recipe, source, costs), *calibration, replace(rating, samples=0, previewed=0)])
        told = whole if costs else rating  # of one that is only rated the samples that are
        lines.append(replace(whole, samples=round(told.samples), previewed=told.previewed))
    total = add(TOTAL, lines)
    unseen = tuple(line.source for line in lines if not line.previewed)
    return Projection((*lines, total), round(mix_bytes), unseen, tuple(_over(recipe, total)), estimated is not None, tuple(estimated or ()))


def _until_enough(recipe: Recipe, source: str, costs: list[Cost]) -> list[Cost]:
    """Return the costs of the rounds that bring as many triples as the recipe wants of a source; of one that it sets no number, all."""
    wanted, n, brought = recipe.triples.exactly.get(source), sum(cost.samples for cost in costs), sum(cost.triples for cost in costs)
    if wanted is None or brought <= wanted:
        return costs
    round_ = max(math.ceil(wanted * ROUND), ROUND_SAMPLES)
    asked = min(1.0, math.ceil(wanted / (brought / n) / round_) * round_ / n)
    part = [replace(cost, **{name: asked * getattr(cost, name) for name in SUMMED if name not in ('samples', 'previewed')}) for cost in costs]
    kept = wanted / sum(cost.triples for cost in part)
    return [replace(cost, triples=kept * cost.triples, triple_bytes=kept * cost.triple_bytes) for cost in part]


def _over(recipe: Recipe, total: Cost) -> Iterator[str]:
    budget = recipe.budget
    tokens = total.prompt_tokens + total.completion_tokens
    limits = (('requests', total.requests, budget.requests), ('tokens', tokens, budget.tokens), ('money', total.money, budget.money))
    for name, projected, limit in limits:
        if limit is not None and projected > limit:
            yield f'budget.{name}: expected at most {limit:g}, found {projected:,.6g} projected; the build would stop there'


def _stratum_cost(recipe: Recipe, source: str, previewed: int, size: tuple[float, float], like: Sequence[Seen]) -> Cost:
    n, n_bytes = size
    times = n / len(like) if like else 0.0
    answered = [a for s in like for a in s.answered]
    asked = Counter(a.purpose for a in answered)
    accepted = times * sum(s.accepted for s in like)
    return Cost(source, n, previewed, generate=times * asked['generate'], judge=times * asked['judge'],
                triples=accepted, triple_bytes=accepted * n_bytes / n if n else 0.0, **means(recipe, answered, times))


def means(recipe: Recipe, answered: Sequence[Answered], times: float) -> dict[str, float]:
    """Return what so many requests, times `times`, cost; those that brought nothing yet will cost as the others of their purpose."""
    found = dict.fromkeys(_values(recipe), 0.0)
    for purpose in sorted({a.purpose for a in answered}):
        some = [a for a in answered if a.purpose == purpose]
        settled = [a for a in some if a.settled]
        for name, value in _values(recipe).items():
            found[name] += times * len(some) / max(1, len(settled)) * sum(map(value, settled))
    return found


def _calibration(recipe: Recipe, source: str, n: float, seen: Sequence[Seen]) -> Cost:
    """Return the cost of the source's planted cases: at most so many, since some are equal to requests about candidates."""
    if not may_be_judged(recipe, source):
        return Cost(source, 0, 0)
    wanted = max(recipe.calibration.min_cases, math.ceil(recipe.calibration.fraction * n))
    cases = min(wanted, PLANTS * n)
    requests = cases * PER_CASE[recipe.judge.mode] + n_injected(math.ceil(cases), recipe.judge.mode) * PER_INJECTED[recipe.judge.mode]
    judged = [a for s in seen for a in s.answered if a.purpose == 'judge']
    like = [a for a in judged if a.source == source] or judged
    return Cost(source, 0, 0, calibrate=requests, **means(recipe, like, requests / len(like) if like else 0.0))


def _values(recipe: Recipe) -> dict[str, Callable[[Answered], float]]:
    def money(a: Answered) -> float:
        model = recipe.models[a.model]
        return (a.outcome.prompt_tokens * model.price_prompt + a.outcome.completion_tokens * model.price_completion) / TOKENS_PER_PRICE

    def prompt(a: Answered) -> float:
        return a.outcome.prompt_tokens

    def completion(a: Answered) -> float:
        return a.outcome.completion_tokens

    def kept(a: Answered) -> float:
        return a.n_bytes

    return {'prompt_tokens': prompt, 'completion_tokens': completion, 'money': money, 'reply_bytes': kept}


def add(source: str, costs: Sequence[Cost]) -> Cost:
    """Return costs together."""
    return Cost(source, **{name: sum(getattr(cost, name) for cost in costs) for name in SUMMED})
