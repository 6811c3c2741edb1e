"""`phantom build --dry-run`: what a build would do and take, before it does: steps, records, calls, tokens, money, disk, time.

Nothing is asked and nothing written. Calls are the most that there can be; tokens and money are what the last preview measured, else what calls of
the working folder's ledger cost; time is what the steps took when they were made last. What was never measured is unknown.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.build import Way, root_of
from pipelines.look.cost import PER_CASE, PLANTS
from pipelines.look.disk import look_at_sources, print_disk, sizes_of
from pipelines.look.expected import expected_mix, strata
from pipelines.look.planned import Plan, PlannedStep, plan_build
from pipelines.look.spent import spent_in
from pipelines.look.status import projected
from pipelines.sources.files import resolve
from pipelines.triples.verdicts import CALLS
from schemas.errors import UserError
from schemas.models import WRONG_LABELS
from schemas.recipe import Recipe
from schemas.telling import length_of

UNKNOWN = 'unknown'
PREVIEW = 'unknown: phantom preview measures it on a few samples'


@dataclass(frozen=True, slots=True)
class Calls:
    """The most calls of each purpose."""

    rate: int
    generate: int
    judge: int
    calibrate: int

    @property
    def all(self) -> int:
        """Together."""
        return self.rate + self.generate + self.judge + self.calibrate


def tell_plan(recipe: Recipe, out: Path, way: Way) -> None:
    """Print what a build would do; raises UserError for what it would refuse before it asks a model."""
    out, work = out.resolve(), (way.work or out / 'work').resolve()
    root = root_of(recipe, out, way.root)
    recipe = resolve(recipe, root)
    plan = plan_build(recipe, root, out, work, mix_only=way.mix_only)
    print('\n'.join(_steps(plan, recipe, mix_only=way.mix_only)))
    if plan.whole:
        print('nothing to do: no call, no disk, no time')
        return
    looked = look_at_sources(recipe, root)
    if 'mix' not in plan.sealed:
        print_disk(recipe, looked, out)
    sizes = sizes_of(recipe, looked)
    calls = most_calls(recipe, {name: size.samples for name, size in sizes.items()}, mix_only=way.mix_only)
    spent = _spent(out, work)
    print('\n'.join(_bill(recipe, calls, *_measured(calls, projected(out), spent))))
    print(_time(plan, spent, work))


def _spent(out: Path, work: Path) -> dict[str, Any] | None:
    """Return what was spent in the working folder, None where nothing was made there yet."""
    try:
        return spent_in(out, work)
    except UserError:
        return None


def _steps(plan: Plan, recipe: Recipe, *, mix_only: bool) -> Iterator[str]:
    done = [step for step in plan.steps if step.done]
    for kind in plan.sealed:
        yield f'{kind}: sealed, it is skipped'
    if done:
        yield f'skipped, since they are finished: {_named(done)}'
    for step in plan.steps:
        if not step.done:
            yield f'to make: {step.label}' + (f' (again, since {step.why})' if step.why else '')
    if plan.further:
        yield f'then what depends on these; the last run made: {", ".join(plan.further)}'
    elif not plan.whole:
        rated = ' samples rated,' if recipe.rate else ''
        mix = f'the sources are read, pictures looked at, duplicates and benchmark items found,{rated} samples selected, the mix is sealed'
        triples = 'samples picked, candidates proposed, the judge calibrated, candidates judged and selected, the triples sealed'
        parts = [*([] if 'mix' in plan.sealed else [mix]), *([triples] if recipe.generate and not mix_only else [])]
        yield f'then what depends on these: {"; ".join(parts)}'


def _named(steps: list[PlannedStep]) -> str:
    return ', '.join(dict.fromkeys(step.label for step in steps))


def most_calls(recipe: Recipe, samples: dict[str, float], *, mix_only: bool = False) -> Calls:
    """Return the most calls that a build of so many samples of each source makes: duplicates and contamination only take away."""
    kept = expected_mix(recipe, samples)
    rated = sum(min(n, recipe.rate.max_samples.get(name, n)) for name, n in kept.items()) if recipe.rate else 0
    rate = math.ceil(rated) * len(recipe.rate.model) * len(recipe.rate.ask) if recipe.rate else 0
    if mix_only or not recipe.generate:
        return Calls(rate, 0, 0, 0)
    generate = candidates = picked = 0.0
    for (source, *prompts), (low, high) in strata(recipe, kept).items():
        n, generators = (high - low) * kept[source], [recipe.generate[int(number)] for number in prompts]
        picked += n
        generate += n * sum(generator.per_sample for generator in generators if generator.model)
        candidates += n * sum(generator.per_sample * max(1, len(generator.kinds)) for generator in generators if generator.prompt != WRONG_LABELS)
    judges = [judge for judge in (recipe.judge, recipe.judge.second) if judge and judge.model]
    cases = min(len(kept) * recipe.calibration.min_cases + recipe.calibration.fraction * picked, PLANTS * picked) if recipe.judge.model else 0
    per_case = PER_CASE[recipe.judge.mode]
    return Calls(rate, math.ceil(generate), math.ceil(candidates) * sum(CALLS[judge.mode] for judge in judges), math.ceil(cases * per_case))


def _bill(recipe: Recipe, calls: Calls, bill: dict[str, Any] | None, source: str) -> Iterator[str]:
    """Yield the lines on calls, tokens and money."""
    if not calls.all:
        yield 'calls: none, no model is asked'
        return
    yield (f'calls: at most {calls.all:,} (rate {calls.rate:,}, generate {calls.generate:,}, judge {calls.judge:,}, calibrate {calls.calibrate:,}); '
           'replies that are stored are not paid again')
    if bill is None:
        yield f'tokens and money: {PREVIEW}'
        return
    yield f'tokens and money: about {bill["tokens"]:,} tokens, {_money(bill["money"])} ({source})'
    for name, n in (('requests', calls.all), ('tokens', bill['tokens']), ('money', bill['money'])):
        limit = getattr(recipe.budget, name)
        if limit is not None and n is not None and n > limit:
            yield f'budget.{name}: expected at most {limit:g}, found {n:,.6g}; the build would stop there'


def _measured(calls: Calls, previewed: dict[str, Any] | None, spent: dict[str, Any] | None) -> tuple[dict[str, Any] | None, str]:
    """Return tokens and money, and who measured them: the last preview, or else the calls that were made in this working folder."""
    if previewed is not None:
        return previewed, 'projected by the last preview'
    if spent is None or not spent['total']['requests']:
        return None, ''
    total = spent['total']
    times = calls.all / total['requests']
    tokens = round(times * (total['prompt_tokens'] + total['completion_tokens']))
    money = None if total['money'] is None else times * total['money']
    return {'tokens': tokens, 'money': money}, f'as the {total["requests"]:,} call(s) so far'


def _money(money: float | None) -> str:
    return 'money unknown' if money is None else f'{money:,.4g} of money'


def _time(plan: Plan, spent: dict[str, Any] | None, work: Path) -> str:
    """Return how long the steps took that are to be made, when they were made last."""
    took = {step['step']: step['seconds'] for step in spent['steps']} if spent else {}
    names = dict.fromkeys(label.partition(' ')[0] for label in (*(step.label for step in plan.steps if not step.done), *plan.further))
    known = {steps: seconds for steps, seconds in took.items() if any(name in steps.split('+') for name in names)}
    lacking = [name for name in names if not any(name in steps.split('+') for steps in known)]
    if not known:
        return f'time: {UNKNOWN}, none of these steps was ever made in {work}'
    rest = f'; {UNKNOWN} for {", ".join(lacking)}' if lacking else ''
    return f'time: about {length_of(sum(known.values()))}, as these steps took when they were made here last{rest}'
