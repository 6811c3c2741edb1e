"""What became of the ratings of a mix, as people read it: while it is built, in the card, and from `phantom show`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from curation.calibration.rated import RatingReport
from schemas.telling import tell_news, tell_table

TRUST = ('source', 'question', 'by', 'cases', 'AUC', 'wrong at most', 'below', 'recall', 'precision', 'may drop')
SHOWN_BELOW = 0.1
PLANTED = (
    "Planted cases (another sample's answer of the same kind, another picture, a changed number; an answer to another question; a broken one) "
    "beside the source's own. AUC: how often a planted one is rated below an own one. Wrong at most: the share of the source's own answers that "
    'can be wrong, since otherwise more of them would be rated low. Recall: planted wrong ones below the threshold. Precision: of the own answers '
    'below it, the share that is wrong, if real wrong answers are rated as planted ones are.'
)
BARS = ' ▁▂▃▄▅▆▇█'
COLUMNS = ('source', 'question', 'rated', 'unrated', 'median', 'below', 'left out', 'lowest to highest')


def print_ratings(summary: list[dict], reports: Sequence[RatingReport], refused: Sequence[str]) -> None:
    """Tell how far ratings can be trusted, how the samples were rated, and what is not left out although the recipe says so."""
    told = [told_report(report) for report in map(asdict, reports)]
    if told:
        tell_table(trust_table(told))
    if summary:
        tell_table(ratings_table(summary))
    for fault in refused:
        tell_news(f'rate: {fault}')


def told_report(report: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the cells of TRUST for one report: a RatingReport as a dictionary, where a manifest says null for what could not be told."""
    cut = _shown_cut(report)
    cases = sum(n for _, n in report['counts'])
    below = f'{cut["below"]:.3g}' if cut else '-'
    recall = _rate(cut['recall']) if cut else '-'
    precision = '-' if cut is None or _nan(cut['precision']) else (
        f'{cut["precision"]:.2f} ({cut["precision_low"]:.2f}-{cut["precision_high"]:.2f})')
    auc = '-' if _nan(report['auc']) else f'{report["auc"]:.2f} ({report["auc_low"]:.2f}-{report["auc_high"]:.2f})'
    wrong = '-' if _nan(report['wrong']) else f'{report["wrong"]:.1%}'
    return report['source'], report['ask'], report['by'], str(cases), auc, wrong, below, recall, precision, 'no' if report['fault'] else 'yes'


def _shown_cut(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the cut that was chosen, else the one at SHOWN_BELOW."""
    wanted = SHOWN_BELOW if report.get('chosen') is None else report['chosen']
    return next((cut for cut in report['cuts'] if cut['below'] == wanted), None)


def _nan(number: float | None) -> bool:
    return number is None or math.isnan(number)


def _rate(told: Mapping[str, Any]) -> str:
    return f'{told["hits"] / told["total"]:.2f} ({told["low"]:.2f}-{told["high"]:.2f})' if told['total'] else '-'


def trust_table(rows: Sequence[tuple[str, ...]]) -> Table:
    """Return how far ratings can be trusted, per source, question and rater."""
    table = Table(title='who rates, on planted cases (95 % intervals)', title_justify='left')
    for name in TRUST:
        table.add_column(name, justify='left' if name in ('source', 'question', 'by') else 'right')
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def markdown_trust(reports: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the card's lines on how far ratings can be trusted, and what each threshold finds."""
    if not reports:
        return []
    head = ['| ' + ' | '.join(TRUST) + ' |', '|---|---|---|--:|--:|--:|--:|--:|--:|---|']
    rows = ['| ' + ' | '.join(told_report(report)) + ' |' for report in reports]
    plants = [f'- {r["source"]}, {r["ask"]} by {r["by"]}: ' + ', '.join(f'{plant} {auc:.2f}' for plant, auc in r['auc_of'] if not _nan(auc))
              for r in reports if any(not _nan(auc) for _, auc in r['auc_of'])]
    cuts = [f'| {r["source"]} | {r["ask"]} | {r["by"]} | {cut["below"]:.3g} | {_rate(cut["recall"])} | {_rate(cut["own"])} | '
            + ('-' if _nan(cut['precision']) else f'{cut["precision"]:.2f} ({cut["precision_low"]:.2f}-{cut["precision_high"]:.2f})') + ' |'
            for r in reports for cut in r['cuts']]
    each = ['', 'AUC of each kind of case:', '', *plants] if plants else []
    columns = '| source | question | by | below | planted wrong ones found | own answers below | of these wrong |'
    table = ['', columns, '|---|---|---|--:|--:|--:|--:|', *cuts]
    return ['### Can they be trusted?', '', PLANTED, '', *head, *rows, *each, *(table if cuts else []), '']


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
    refused = [f'- {fault}' for fault in told.get('refused', ())]
    trust = markdown_trust(told.get('reports', ()))
    return '\n'.join(['## Ratings', '', *head, *rows, '', rules, *([''] if opinions else []), *opinions, '', *trust, *refused])


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
