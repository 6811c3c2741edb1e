"""What became of the ratings of a mix, as people read it: while it is built, in the card, and from `phantom show`."""

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from schemas.telling import tell_table

BARS = ' ▁▂▃▄▅▆▇█'
COLUMNS = ('source', 'question', 'rated', 'unrated', 'median', 'below', 'left out', 'lowest to highest')


def print_ratings(summary: list[dict], about: Mapping[str, Any]) -> None:
    """Tell how the samples were rated, per source and question; nothing where none was."""
    if summary:
        tell_table(ratings_table(summary))


def ratings_table(summary: list[dict]) -> Table:
    """Return how the samples of a mix were rated, per source and question."""
    table = Table(title='ratings of the samples', title_justify='left')
    for name in COLUMNS:
        table.add_column(name, justify='left' if name in ('source', 'question', 'lowest to highest') else 'right')
    for row in summary:
        table.add_row(*map(escape, _cells(row)))
    return table


def markdown_ratings(told: Mapping[str, Any]) -> str:
    """Return the card's section on ratings; '' where the recipe asks for none."""
    if not told:
        return ''
    head = ['| ' + ' | '.join(COLUMNS) + ' |', '|---|---|--:|--:|--:|--:|--:|---|']
    rows = ['| ' + ' | '.join(_cells(row)) + ' |' for row in told['summary']]
    rules = (
        'A rating is the probability that Yes is said; that of `needs_picture` says by how many nats per token the picture makes the answer likelier '
        'than the question alone does. Left out is what was rated below the threshold by all who rated it; what nobody rated is kept. All ratings '
        'are in `ratings/ratings.parquet`.'
    )
    opinions = [f'- {row["source"]}, {row["ask"]}: several opinions on {row["several"]:,} samples, which agree on {row["agree"]:,}'
                for row in told['summary'] if row['several']]
    return '\n'.join(['## Ratings', '', *head, *rows, '', rules, *([''] if opinions else []), *opinions])


def _cells(row: dict) -> tuple[str, ...]:
    """Return the cells of one source and question; unrated are samples of the mix."""
    below = '-' if row['below'] is None else f'{row["below"]:.3g}'
    median = '-' if row['median'] is None else f'{row["median"]:.3g}'
    left_out = f'{row["left_out"]:,}' if row['below'] is not None else 'flag only'
    bars = f'{row["low_edge"]:.2g} {bars_of(row["bins"])} {row["high_edge"]:.2g}'
    return row['source'], row['ask'], f'{row["rated"]:,}', f'{row["samples"] - row["rated"]:,}', median, below, left_out, bars


def bars_of(bins: list[int]) -> str:
    """Return a histogram as one line of block characters; a bin that holds anything is no blank."""
    most = max(bins, default=0)
    return ''.join(BARS[-(-n * (len(BARS) - 1) // most)] if n else BARS[0] for n in bins)
