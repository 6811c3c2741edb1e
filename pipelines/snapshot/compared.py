"""What of the benchmarks the samples of a mix were compared with: what is not there was not looked for, and card and build say so."""

from rich.table import Table

from schemas.telling import tell_table

_COLUMNS = ('benchmark', 'items', 'whole copy', 'with an answer', 'with options', 'pictures', 'compared', 'lacking')


def print_compared(name: str, compared: dict[str, dict]) -> None:
    """Tell what of each benchmark a mix is compared with, where there are any."""
    if compared:
        table = Table(title=f'{name}: what of the benchmarks is compared', title_justify='left')
        for column in _COLUMNS:
            table.add_column(column, justify='left' if column in ('benchmark', 'lacking') else 'right', overflow='fold')
        for row in _rows(compared):
            table.add_row(*row)
        tell_table(table)


def markdown_compared(compared: dict[str, dict]) -> str:
    """Return the same in Markdown, for the card; '' where there are no benchmarks."""
    if not compared:
        return ''
    head = ['What was compared; what lacks was accepted by the recipe and was not looked for.', '', f'| {" | ".join(_COLUMNS)} |',
            '|---|--:|--:|--:|--:|--:|--:|---|']
    return '\n'.join(head + [f'| {" | ".join(row)} |' for row in _rows(compared)])


def _rows(compared: dict[str, dict]) -> list[tuple[str, ...]]:
    return [(name, *_cells(one)) for name, one in compared.items()]


def _cells(one: dict) -> tuple[str, ...]:
    numbers = ('items', 'expected_items', 'answers', 'options', 'pictures', 'pictures_compared')
    lacking = ', '.join(f'{kind} {n:,} (accepted)' for kind, n in one['lacking'].items())
    return (*('-' if one[name] is None else f'{one[name]:,}' for name in numbers), lacking or '-')
