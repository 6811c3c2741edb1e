"""What a server says of itself with each reply (its model's name, version, fingerprint), counted, so that a build which mixes two is told."""

from collections import Counter
from collections.abc import Iterable, Mapping

from schemas.replies import Failure, Outcome

MOST_WORDS = 20  # of a model, of one shard and of a build: a server that gives each reply a name of its own fills no file
UNTOLD = '(not told)'
OTHERS = '(other words)'


def count_served(model: str, outcomes: Iterable[Outcome]) -> Counter[str]:
    """Return, as counts of a shard (`served/<model of the recipe>/<words>`), how many calls were settled by which server."""
    said = Counter(o.served_by or UNTOLD for o in outcomes if not (isinstance(o, Failure) and o.retryable))
    return Counter({f'served/{model}/{words}': n for words, n in _bounded(said).items()})


def served_by(counts: Iterable[Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Return, of the counts of some tables, for each model of the recipe how many calls were settled by which words, the most first."""
    found: dict[str, Counter[str]] = {}
    for some in counts:
        for key, n in some.items():
            what, _, rest = key.partition('/')
            if what == 'served':
                model, _, words = rest.partition('/')
                found.setdefault(model, Counter())[words] += n
    return {model: _bounded(said) for model, said in sorted(found.items())}


def mixed(served: Mapping[str, Mapping[str, int]]) -> dict[str, list[str]]:
    """Return, of the models of a recipe, those that more than one server answered for, and what these say of themselves."""
    told = {model: [words for words in said if words != UNTOLD] for model, said in served.items()}
    return {model: words for model, words in told.items() if len(words) > 1}


def _bounded(said: Counter[str]) -> dict[str, int]:
    """Return the most frequent words, and how often there were others."""
    ranked = sorted(((words, n) for words, n in said.items() if words != OTHERS), key=_rank)
    others = said[OTHERS] + sum(n for _, n in ranked[MOST_WORDS:])
    return dict(ranked[:MOST_WORDS]) | ({OTHERS: others} if others else {})


def _rank(pair: tuple[str, int]) -> tuple[int, str]:
    return -pair[1], pair[0]
