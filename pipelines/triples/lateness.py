"""How far into the answers of the finished triples the two sides first differ, per source: for the card and the manifest."""

from collections import defaultdict

import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.verdicts.lateness import bin_names, histogram
from pipelines.engine.tables import Table


def read_places(rows: Table) -> dict[str, list[int]]:
    """Return, per source, the histogram of `differs_at` over the finished rows; two narrow columns are read."""
    counts: dict[str, list[int]] = defaultdict(lambda: histogram(()))
    for path in rows.parts():
        table = pq.read_table(path, columns=['source', 'differs_at'])
        for source in table['source'].unique().to_pylist():
            found = histogram(table.filter(pc.field('source') == source)['differs_at'].to_numpy().tolist())
            counts[source] = [a + b for a, b in zip(counts[source], found, strict=True)]
    return dict(sorted(counts.items()))


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
