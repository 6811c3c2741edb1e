"""Which sources wrote control tokens of chat models, and which tokens: counted where they are sent as plain text, told in manifest and card."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from curation.verdicts.control_tokens import control_tokens_in
from schemas.recipe import Model

MOST_NAMED = 20  # tokens of a source; a hostile one can make up as many as it has rows
TOKEN_CHARS = 60
OTHERS = '(others)'


def count_control_tokens(texts: Iterable[tuple[str, str]], models: Mapping[str, Model]) -> Counter[str]:
    """Return, of (source, text), as counts of a shard how many texts hold control tokens (`control/<source>/`), and how many each."""
    others = tuple(sorted({token for model in models.values() for token in model.control_tokens}))
    counts: Counter[str] = Counter()
    named: dict[str, Counter[str]] = {}
    for source, text in texts:
        if found := {token[:TOKEN_CHARS] for token in control_tokens_in(text, others)}:
            counts[f'control/{source}/'] += 1
            named.setdefault(source, Counter()).update(found)
    for source, tokens in named.items():
        counts.update({f'control/{source}/{token}': n for token, n in _bounded(tokens).items()})
    return counts


def control_tokens_of(counts: Iterable[Mapping[str, int]]) -> dict[str, dict]:
    """Return, of the counts of some tables, for each source that has some {texts, tokens: {token: texts}}, the most frequent first."""
    total = sum(map(Counter, counts), Counter())
    found: dict[str, dict] = {}
    for key, n in sorted(total.items()):
        what, _, rest = key.partition('/')
        source, _, token = rest.partition('/')
        if what == 'control':
            of_source = found.setdefault(source, {'texts': 0, 'tokens': Counter()})
            if token:
                of_source['tokens'][token] = n
            else:
                of_source['texts'] = n
    return {source: {**told, 'tokens': _bounded(told['tokens'])} for source, told in found.items()}


def markdown_control_tokens(found: Mapping[str, dict]) -> list[str]:
    """Return the card's section on them; none where no text held any."""
    lines = [f'- {source}: {told["texts"]} text(s), {_listed(told["tokens"])}' for source, told in sorted(found.items())]
    intro = 'What was written so was sent to models as plain text, with a blank inside; the rows hold it as it is.'
    return ['\n'.join(['## Control tokens of chat models in texts', '', intro, '', *lines])] if found else []


def _listed(tokens: Mapping[str, int]) -> str:
    return ', '.join(f'`` {" ".join(token.replace("`", " ").split())} `` in {n}' for token, n in tokens.items())


def _bounded(tokens: Counter[str]) -> dict[str, int]:
    ranked: Sequence[tuple[str, int]] = sorted(((token, n) for token, n in tokens.items() if token != OTHERS), key=_rank)
    others = tokens[OTHERS] + sum(n for _, n in ranked[MOST_NAMED:])
    return dict(ranked[:MOST_NAMED]) | ({OTHERS: others} if others else {})


def _rank(pair: tuple[str, int]) -> tuple[int, str]:
    return -pair[1], pair[0]
