"""How far into the answers of the triples the two sides first differ, per source: for the card and the manifest."""

from curation.verdicts.lateness import bin_names
from pipelines.engine.tables import Table


def read_places(plan: Table) -> dict[str, list[int]]:
    """Return, per source, the histogram of `differs_at` over the triples of a plan, which counted them."""
    return {row['source']: row['triples'] for row in plan.read('places').to_pylist()}


def markdown_places(places: dict[str, list[int]], within: int | None) -> str:
    """Return the section of the card."""
    rows = [f'| source | {" | ".join(bin_names())} |', f'|---|{"--:|" * len(bin_names())}']
    rows += [f'| {source} | {" | ".join(map(str, counts))} |' for source, counts in places.items()]
    bound = f'The recipe rejects later ones (`triples.differ_within: {within}`).' if within else 'The recipe sets no bound (`triples.differ_within`).'
    told = (
        'Triples by the words and signs that both answers have in common before they first differ (column `differs_at`). A trainer that cuts a row '
        f'before that place learns nothing from it. {bound}'
    )
    return '\n\n'.join(['## Where the answers differ', told, '\n'.join(rows)])
