"""The numbers of a run as line charts in SVG: text, without a script, a few milliseconds each (matplotlib takes half a second for a page)."""

import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 420, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 28  # pixels around the axes
MOST_POINTS = 400  # of a curve; more are drawn as means of neighbours
Points = Sequence[tuple[float, float]]


def draw_chart(title: str, curves: dict[str, Points]) -> str:
    """A figure with one line for each named curve of (step, value), '' where none has a point. Names and title are escaped."""
    curves = {name: thin(finite(points)) for name, points in curves.items()}
    curves = {name: points for name, points in curves.items() if points}
    if not curves:
        return ''
    xs, ys = ([point[axis] for points in curves.values() for point in points] for axis in (0, 1))
    x_range, y_ticks = (min(xs), max(xs)), ticks(min(ys), max(ys))
    x_ticks = [tick for tick in ticks(*x_range) if x_range[0] <= tick <= x_range[1] and tick == int(tick)]
    y_range = y_ticks[0], y_ticks[-1]
    parts = [*(rule(x, place(x, *x_range, LEFT, WIDTH - RIGHT), upright=True) for x in x_ticks)]
    parts += [rule(y, place(y, *y_range, HEIGHT - BOTTOM, TOP), upright=False) for y in y_ticks]
    for index, points in enumerate(curves.values()):
        at = [(place(x, *x_range, LEFT, WIDTH - RIGHT), place(y, *y_range, HEIGHT - BOTTOM, TOP)) for x, y in points]
        line = ' '.join(f'{x:.1f},{y:.1f}' for x, y in at)
        dots = ''.join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in at) if len(at) <= 40 else ''
        parts.append(f'<g class="c{index % 4}"><polyline points="{line}"/>{dots}</g>')
    last = [(name, points[-1][1]) for name, points in curves.items()]
    legend = ' '.join(f'<span class="c{index % 4}">{escape(name)} {value:.4g}</span>' for index, (name, value) in enumerate(last))
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    return f'<figure><figcaption><b>{escape(title)}</b> {legend}</figcaption>{svg}</figure>'


def finite(points: Points) -> list[tuple[float, float]]:
    """The points that are numbers."""
    return [(x, y) for x, y in points if isinstance(y, int | float) and math.isfinite(y)]


def thin(points: Points, most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """At most `most` points: means of as many neighbours each."""
    size = -(-len(points) // most) or 1
    chunks = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(x for x, _ in chunk) / len(chunk), sum(y for _, y in chunk) / len(chunk)) for chunk in chunks]


def ticks(low: float, high: float) -> list[float]:
    """Three to eight round numbers of which the first is at most `low` and the last at least `high`."""
    if not high > low:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    raw = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [whole * step for whole in range(first, last + 1)]


def place(value: float, low: float, high: float, start: float, stop: float) -> float:
    """Where a value of a range lies between two pixels."""
    return start + (stop - start) * ((value - low) / (high - low) if high > low else 0.5)


def rule(value: float, at: float, *, upright: bool) -> str:
    """A thin line with its number."""
    if upright:
        line = f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        return f'{line}<text x="{at:.1f}" y="{HEIGHT - 10}" text-anchor="middle">{value:g}</text>'
    line = f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
    return f'{line}<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{number(value)}</text>'


def number(value: float) -> str:
    """A tick in few characters, without the crumbs of binary fractions."""
    return f'{value:.4g}' if abs(value) >= 1e-12 else '0'
