"""Draws one chart table as a PNG of 480 x 360 px; its bytes depend on the table and matplotlib's version only."""

import io
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipelines.demo.chart_table import ChartTable
from pipelines.demo.parts import seed_of

SIZE_INCHES = (4.8, 3.6)
DPI = 100
# room above the highest value for the printed numbers, as a share of the axis
HEADROOM = 1.18
COLOURS = ('#4878a8', '#d1773a', '#4f9a57', '#b8504f', '#7d6aa8', '#8a6a52', '#c77fb0', '#5f9ea0')
MEDALS = {'gold': '#d9b13b', 'silver': '#b4b8bd', 'bronze': '#a8683c'}
TEXT_SIZE = 8.5
# the width of a character of that size, as a share of the picture
CHAR_SHARE = 0.0155
# more labels than this, or longer ones, are turned so that they do not run into each other
MAX_FLAT_LABELS = 10
MAX_FLAT_CHARS = 46


def draw_chart(table: ChartTable) -> bytes:
    """Return the PNG of a chart; every value is printed in it, so that every question can be answered by reading."""
    # the user's own matplotlibrc must not change a byte
    with matplotlib.rc_context(matplotlib.rcParamsDefault):
        matplotlib.rcParams.update({'font.size': TEXT_SIZE, 'axes.spines.top': False, 'axes.spines.right': False})
        figure = Figure(figsize=SIZE_INCHES, dpi=DPI)
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        figure.subplots_adjust(**_margins(table))
        axes.set_title(table.title, fontsize=11)
        _DRAWERS[table.kind](axes, table)
        buffer = io.BytesIO()
        canvas.print_png(buffer, metadata={'Software': None})
    return buffer.getvalue()


def _margins(table: ChartTable) -> dict[str, float]:
    """Return where the axes lie, as shares of the picture; matplotlib's own layouts cost as much as the drawing."""
    if table.kind == 'pie':
        return {'left': 0.1, 'right': 0.9, 'bottom': 0.11, 'top': 0.82}
    left = 0.04 + CHAR_SHARE * max(map(len, table.labels)) if table.kind == 'barh' else 0.165
    return {'left': left, 'right': 0.97, 'bottom': 0.19 if _is_turned(table) else 0.13, 'top': 0.9}


def _is_turned(table: ChartTable) -> bool:
    flat = len(table.labels) <= MAX_FLAT_LABELS and sum(map(len, table.labels)) <= MAX_FLAT_CHARS
    return table.kind != 'barh' and not flat


def _palette(table: ChartTable) -> list[str]:
    start = seed_of('charts/colour', table.name) % len(COLOURS)
    return [COLOURS[(start + step) % len(COLOURS)] for step in range(len(COLOURS))]


def _bar(axes: Axes, table: ChartTable) -> None:
    values = table.series[0][1]
    bars = axes.bar(table.labels, values, color=_palette(table)[0], width=0.65)
    axes.bar_label(bars, labels=[table.text(value) for value in values], padding=2)
    _finish(axes, table)


def _barh(axes: Axes, table: ChartTable) -> None:
    values = table.series[0][1]
    bars = axes.barh(table.labels, values, color=_palette(table)[0], height=0.65)
    axes.bar_label(bars, labels=[table.text(value) for value in values], padding=3)
    axes.invert_yaxis()
    axes.set_xlim(0, max(values) * HEADROOM)
    axes.set_xlabel(table.axis)


def _grouped(axes: Axes, table: ChartTable) -> None:
    for number, (name, values) in enumerate(table.series):
        places = [place + (number - 0.5) * 0.4 for place in range(len(table.labels))]
        bars = axes.bar(places, values, width=0.38, label=name, color=_palette(table)[number])
        axes.bar_label(bars, labels=[table.text(value) for value in values], padding=2, fontsize=7)
    axes.set_xticks(range(len(table.labels)), table.labels)
    _finish(axes, table, legend=True)


def _line(axes: Axes, table: ChartTable) -> None:
    _one_line(axes, table, 0)
    _finish(axes, table)


def _lines(axes: Axes, table: ChartTable) -> None:
    for number in range(len(table.series)):
        _one_line(axes, table, number)
    _finish(axes, table, legend=True)


def _one_line(axes: Axes, table: ChartTable, number: int) -> None:
    name, values = table.series[number]
    axes.plot(table.labels, values, marker='o', markersize=4, label=name, color=_palette(table)[number])
    # room for half of a printed number beside the first and the last point
    axes.margins(x=0.08)
    for label, value in zip(table.labels, values, strict=True):
        place: dict[str, Any] = {'xytext': (0, 6), 'textcoords': 'offset points', 'ha': 'center'}
        place['bbox'] = {'facecolor': 'white', 'edgecolor': 'none', 'pad': 0.4}
        axes.annotate(table.text(value), (label, value), **place)


def _pie(axes: Axes, table: ChartTable) -> None:
    values = table.series[0][1]
    texts = [f'{label}: {table.text(value)}' for label, value in zip(table.labels, values, strict=True)]
    colours = MEDALS if table.labels == tuple(MEDALS) else dict(zip(table.labels, _palette(table), strict=False))
    axes.pie(values, labels=texts, colors=list(colours.values()), startangle=90, wedgeprops={'edgecolor': 'white'})


def _finish(axes: Axes, table: ChartTable, legend: bool = False) -> None:
    highest = max(max(values) for _, values in table.series)
    axes.set_ylim(0, highest * (HEADROOM + 0.14 * legend))
    axes.set_ylabel(table.axis)
    if _is_turned(table):
        axes.tick_params('x', rotation=30)
    if legend:
        axes.legend(loc='upper right', ncols=2, frameon=False)


_DRAWERS = {'bar': _bar, 'barh': _barh, 'line': _line, 'pie': _pie, 'grouped': _grouped, 'lines': _lines}
