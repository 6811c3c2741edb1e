"""What a person reads after a build: the books as one table."""

import sys

from rich.console import Console
from rich.table import Table

from schemas.accounting import Line


def print_books(title: str, lines: list[Line]) -> None:
    """Print in = kept + rejected with the reasons, per unit and source, to standard output."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    table = Table(title=title, title_justify='left', show_lines=False)
    for name, justify in (('unit', 'left'), ('source', 'left'), ('in', 'right'), ('kept', 'right'), ('rejected', 'right'), ('reasons', 'left')):
        table.add_column(name, justify=justify, overflow='fold')
    unit = None
    for line in lines:
        if unit not in (None, line.unit):
            table.add_section()
        unit = line.unit
        reasons = ', '.join(f'{reason} {n}' for reason, n in sorted(line.rejected.items(), key=lambda item: (-item[1], item[0])))
        table.add_row(line.unit, line.source, f'{line.n_in:,}', f'{line.kept:,}', f'{sum(line.rejected.values()):,}', reasons)
    console.print(table)


def markdown_books(lines: list[Line]) -> str:
    """Return the same table in Markdown, for the card."""
    rows = ['| unit | source | in | kept | rejected | reasons |', '|---|---|--:|--:|--:|---|']
    for line in lines:
        reasons = ', '.join(f'`{reason}` {n}' for reason, n in sorted(line.rejected.items(), key=lambda item: (-item[1], item[0])))
        rows.append(f'| {line.unit} | {line.source} | {line.n_in} | {line.kept} | {sum(line.rejected.values())} | {reasons} |')
    return '\n'.join(rows)
