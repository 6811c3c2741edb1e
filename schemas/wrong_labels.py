"""Where `generate: [{prompt: wrong_labels}]` takes wrong labels and right answers from, and the recipes in which it would find none."""

from collections.abc import Collection, Iterator, Sequence

from schemas.models import WRONG_LABELS, Generator
from schemas.rating import CORRECT, Rate

BELOW = 0.05  # scores of `phantom rate --self` are how likely a label is right: one in twenty of these at the most
SURE = 0.9  # `python -m benchmarks.label_noise` takes as much before an answer may stand in the place of a label


def below_of(generator: Generator) -> float:
    """Return the rating below which an answer is taken for wrong."""
    return BELOW if generator.below is None else generator.below


def sure_of(generator: Generator) -> float:
    """Return the probability from which on a proposed answer is taken for right."""
    return SURE if generator.sure is None else generator.sure


def wrong_label_faults(
    generate: Sequence[Generator], *, rate: Rate | None, majority: bool, computed: Collection[str], sources: Collection[str]
) -> Iterator[str]:
    """Yield what keeps each `wrong_labels` from finding any; `majority`: whether it decides contradictions, `computed`: sources of such answers."""
    given = rate is not None and bool(rate.from_)
    for number, generator in enumerate(generate):
        if generator.prompt != WRONG_LABELS:
            continue
        where = f'generate[{number}]'
        if not (given or majority):
            yield (f'{where}.prompt: expected `rate: {{from: [...]}}` (ratings with proposed answers, as `phantom rate --self` writes them) or '
                   "`contradictions: majority` for 'wrong_labels', found neither: no other part of a recipe tells wrong labels with right answers")
        if generator.sources and (exact := sorted(set(generator.sources) & set(computed))):
            yield (f"{where}.sources: expected sources of open answers for 'wrong_labels', found {', '.join(exact)} with answers: exact; what was "
                   'computed from data is not mended by a guess')
        elif not generator.sources and set(sources) <= set(computed):
            yield f"{where}.prompt: expected a source of open answers for 'wrong_labels', found answers: exact in all of them"
        if not given and (generator.below is not None or generator.sure is not None):
            yield f'{where}.below, sure: expected `rate: {{from: [...]}}` beside them, since they are of ratings, found none'
        dropped = rate.drop.get(CORRECT) if rate else None
        if given and not majority and isinstance(dropped, float) and dropped >= below_of(generator):
            yield (f'rate.drop.{CORRECT}: expected less than {below_of(generator):g} (generate[{number}].below), found {dropped:g}: the rows that '
                   "'wrong_labels' needs would not be in the mix; leave `drop` out here, and select a mix to train on with it")
