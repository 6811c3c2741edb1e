"""What a manifest says of samples that contradict each other and of texts that are nearly the same, as lines and tables for people."""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table


def agreement_lines(manifest: dict) -> Iterator[str]:
    """Yield a line for each that was looked for: how many were found, and what became of them."""
    recipe = manifest.get('recipe', {})
    if (found := manifest.get('contradictions')) is not None:
        samples = sum(of['samples'] for of in found['by_source'].values())
        yield (f'contradictions: {found["groups"]:,} question(s) about the same picture, or none, with answers that cannot both be right, '
               f'in {samples:,} sample(s) (contradictions: {recipe.get("contradictions")})')
    if (near := manifest.get('near_texts')) is not None:
        samples = sum(n for of in near['members'].values() for n in of.values())
        yield (f'near texts: {near["clusters"]:,} cluster(s) about the same pictures, or none, with {samples:,} sample(s) near the first of one '
               f'(duplicates.text: {recipe.get("duplicates", {}).get("text")})')


def agreement_table(manifest: dict) -> Table | None:
    """Return both by source; None where nothing was found."""
    contradictions = manifest.get('contradictions') or {'by_source': {}}
    near = manifest.get('near_texts') or {'members': {}}
    sources = sorted({*contradictions['by_source'], *near['members']})
    if not sources:
        return None
    table = Table(title='samples that contradict each other, or say nearly the same', title_justify='left')
    for name in ('source', 'contradictions', 'samples', 'near texts'):
        table.add_column(name, justify='left' if name == 'source' else 'right')
    for source in sources:
        of = contradictions['by_source'].get(source, {'groups': 0, 'samples': 0})
        table.add_row(escape(source), f'{of["groups"]:,}', f'{of["samples"]:,}', f'{sum(near["members"].get(source, {}).values()):,}')
    return table
