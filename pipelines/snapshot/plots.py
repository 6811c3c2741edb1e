"""Pictures of the judge's calibration: scores of good and bad planted cases per source, and the ROC curves. PNG bytes, for the card."""

import io
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from curation.calibration.planted import auc_of, sides_of

GOOD, BAD = '#0072b2', '#d55e00'  # blue and vermilion: told apart by every kind of colour blindness (Okabe and Ito, 2008)
COLUMNS = 3
PANEL_IN = (3.6, 2.6)  # inches of one source's panel
DPI = 110
Scores = dict[str, list[tuple[float, bool]]]  # source -> (score, whether a good judge accepts the case)


def calibration_plots(scores: Scores, margin: float) -> dict[str, bytes]:
    """Return file name -> PNG: the histograms and the ROC curves; nothing where no source has scores of both kinds."""
    both = {source: some for source, some in sorted(scores.items()) if len({good for _, good in some}) == 2}
    if not both:
        return {}
    return {'calibration/scores.png': _histograms(both, margin), 'calibration/roc.png': _roc(both)}


def _histograms(scores: Scores, margin: float) -> bytes:
    n_rows = math.ceil(len(scores) / COLUMNS)
    figure = Figure(figsize=(PANEL_IN[0] * min(COLUMNS, len(scores)), PANEL_IN[1] * n_rows), layout='constrained')
    for i, (source, some) in enumerate(scores.items()):
        axes = figure.add_subplot(n_rows, min(COLUMNS, len(scores)), i + 1)
        values = np.array([score for score, _ in some])
        edges = np.linspace(values.min(), values.max() + 1e-9, 25).tolist()
        for wanted, colour, name in ((True, GOOD, 'should be accepted'), (False, BAD, 'should be refused')):
            axes.hist([score for score, good in some if good is wanted], bins=edges, color=colour, alpha=0.55, label=name)
        axes.axvline(margin, color='black', linewidth=1, linestyle='--', label=f'margin {margin:g}')
        axes.set_title(f'{_plain(source)}, {len(some)} cases', fontsize=9)
        axes.set_xlabel('score', fontsize=8)
        axes.set_ylabel('cases', fontsize=8)
        axes.tick_params(labelsize=7)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        if i == 0:
            axes.legend(fontsize=7)
    return _png(figure)


def _roc(scores: Scores) -> bytes:
    figure = Figure(figsize=(5.2, 4.6), layout='constrained')
    axes = figure.add_subplot()
    for source, some in scores.items():
        false, true = roc_points(some)
        axes.plot(false, true, linewidth=1.3, label=f'{_plain(source)} ({auc_of(some):.2f})')
    axes.plot([0, 1], [0, 1], color='grey', linewidth=0.8, linestyle=':', label='chance (0.50)')
    axes.set_xlabel('share of bad planted cases accepted')
    axes.set_ylabel('share of good planted cases accepted')
    axes.set_title('judge, by source (AUC)', fontsize=10)
    axes.legend(fontsize=7, loc='lower right')
    return _png(figure)


def roc_points(some: Sequence[tuple[float, bool]]) -> tuple[list[float], list[float]]:
    """Return the shares of bad and of good cases that score at least each threshold, from the highest down; from (0, 0) to (1, 1)."""
    good, bad = sides_of(some)
    marks = np.union1d(good, bad)[::-1]
    false, true = ((side.size - np.searchsorted(side, marks)) / side.size for side in (bad, good))
    return [0.0, *false.tolist()], [0.0, *true.tolist()]


def _plain(source: str) -> str:
    return source.replace('$', r'\$')  # a dollar would begin a formula


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)  # draws without a screen
    out = io.BytesIO()
    figure.savefig(out, format='png', dpi=DPI, metadata={'Software': None})  # equal scores make equal bytes
    return out.getvalue()
