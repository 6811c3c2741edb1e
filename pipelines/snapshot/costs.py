"""What the calls of a build cost, and who answered them, as people read it: in the card, from `phantom show`, at the end of a build."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from rich.markup import escape
from rich.table import Table

from pipelines.chat.served import mixed
from pipelines.replies.ledger import Spend
from pipelines.snapshot.plain import plain
from schemas.accounting import Line
from schemas.records import Unit

Served = Mapping[str, Mapping[str, int]]  # model of the recipe -> what the server says of itself -> calls


def markdown_cost(by_source: Mapping[str, Spend], lines: list[Line]) -> str:
    """Return requests, tokens and money per source and per accepted triple, for the card; '' where no model was asked."""
    if not by_source:
        return ''
    accepted = {line.source: line.kept for line in lines if line.unit == Unit.CANDIDATE}
    rows = [
        '| source | requests | of them without a reply | tokens | money | tokens per accepted triple | money per accepted triple |',
        '|---|--:|--:|--:|--:|--:|--:|',
    ]
    for source, spend in by_source.items():
        kept = accepted.get(source, 0)
        each = (f'{spend.tokens / kept:.0f}', f'{spend.money / kept:.6f}') if kept else ('-', '-')
        rows.append(f'| {source} | {spend.requests} | {spend.tries} | {spend.tokens} | {spend.money:.4f} | {each[0]} | {each[1]} |')
    remarks = list(_remarks(sum(by_source.values(), Spend())))
    return '\n'.join(['## Cost', '', *rows, *([''] if remarks else []), *remarks])


def cost_table(cost: Mapping[str, Any]) -> Table:
    """Return the same of a manifest's `cost`, for a terminal."""
    table = Table(title='what the calls cost', title_justify='left')
    for name in ('source', 'requests', 'without a reply', 'prompt tokens', 'completion tokens', 'money'):
        table.add_column(name, justify='left' if name == 'source' else 'right')
    for source, told in [*sorted(cost['by_source'].items()), ('all', cost['total'])]:
        spend = _spend(told)
        numbers = (spend.requests, spend.tries, spend.prompt_tokens, spend.completion_tokens)
        table.add_row(escape(source), *(f'{number:,}' for number in numbers), f'{spend.money:,.4f}')
    table.caption = '\n'.join(_remarks(_spend(cost['total']))) or None
    table.caption_justify = 'left'
    return table


def _spend(told: Mapping[str, Any]) -> Spend:
    """Return a spend of a manifest, which may say less than is known now, or more."""
    return Spend(**{field.name: told[field.name] for field in fields(Spend) if field.name in told})


def _remarks(total: Spend) -> Iterator[str]:
    if total.counted_tokens:
        yield (
            f'{total.counted_tokens:,} of the tokens were counted by us, since the server told no usage with these replies: a byte is a token, which '
            'is more than any tokenizer makes of it (English: about four times as many).'
        )
    if total.tries:
        yield f'{total.tries:,} of the requests brought no reply, and such calls were made again; what the server told of their cost is in it.'


def markdown_served(served: Served) -> str:
    """Return how many calls each model's servers answered, in their own words, for the card; '' where no model was asked."""
    if not served:
        return ''
    rows = [f'| {model} | {plain(words)} | {n} |' for model, said in served.items() for words, n in said.items()]
    warnings = [f'**{plain(line)}**\n' for line in _mixed_lines(served)]
    return '\n'.join(['## Who answered', '', *warnings, '| model of the recipe | the server about itself | calls |', '|---|---|--:|', *rows])


def print_mixed(served: Served) -> None:
    """Print which models of the recipe two servers, or two versions, answered for."""
    for line in _mixed_lines(served):
        print(line)


def served_table(served: Served) -> Table:
    """Return how many calls each model's servers answered, in their own words, for a terminal."""
    table = Table(title='who answered', title_justify='left')
    for name in ('model of the recipe', 'the server about itself', 'calls'):
        table.add_column(name, justify='right' if name == 'calls' else 'left', overflow='fold')
    for model, said in served.items():
        for words, n in said.items():
            table.add_row(escape(model), escape(words), f'{n:,}')
    table.caption = '\n'.join(map(escape, _mixed_lines(served))) or None
    table.caption_justify = 'left'
    return table


def _mixed_lines(served: Served) -> Iterator[str]:
    for model, words in mixed(served).items():
        told = '; '.join(f'{name} ({served[model][name]:,} calls)' for name in words)
        yield (
            f'models.{model}: one build mixes the replies of {len(words)} servers or versions: {told}. Pin the version at the server, give this one '
            'another `revision`, or forget the replies of one: phantom replies forget'
        )
