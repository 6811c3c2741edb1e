"""Questions about a chart table, with answers computed from the numbers that the chart prints."""

from pipelines.demo.chart_table import ChartTable
from pipelines.demo.parts import ranked, seed_of


def questions(table: ChartTable, n: int) -> list[tuple[str, str]]:
    """Return `n` distinct (question, answer) pairs, the first of them a value, chosen by the name of the table."""
    asked = [value_question(table, number, label) for number, label in _places(table)]
    others = [_most(table), _least(table), _above(table), *_compare(table), _difference(table)]
    found = [pair for pair in others if pair is not None]
    order = ranked(found, f'charts/ask/{table.name}')
    # in turn a value and another kind, then what is left of either
    mixed = [pair for both in zip(asked, order, strict=False) for pair in both] + asked + order
    return list(dict.fromkeys(mixed))[:n]


def value_question(table: ChartTable, number: int, label: str) -> tuple[str, str]:
    """Return the question for one value, with the value as the chart prints it."""
    value = table.series[number][1][table.labels.index(label)]
    return f'what is {table.measure_of(number)} {table.preposition} {label}?', table.text(value)


def _places(table: ChartTable) -> list[tuple[int, str]]:
    places = [(number, label) for number in range(len(table.series)) for label in table.labels]
    return ranked(places, f'charts/value/{table.name}')


def _series(table: ChartTable) -> int:
    return seed_of('charts/series', table.name) % len(table.series)


def _most(table: ChartTable) -> tuple[str, str] | None:
    return _extreme(table, 'highest', max(table.series[_series(table)][1]))


def _least(table: ChartTable) -> tuple[str, str] | None:
    return _extreme(table, 'lowest', min(table.series[_series(table)][1]))


def _extreme(table: ChartTable, word: str, value: float) -> tuple[str, str] | None:
    number = _series(table)
    holders = [label for label, other in zip(table.labels, table.series[number][1], strict=True) if other == value]
    if len(holders) > 1:
        return None
    measure = table.measure_of(number).removeprefix('the ')
    return f'which {table.label_word} has the {word} {measure}?', holders[0]


def _above(table: ChartTable) -> tuple[str, str] | None:
    number = _series(table)
    values = table.series[number][1]
    # a bound between two neighbours in size, so that no printed value equals it
    ordered = sorted(set(values))
    place = 1 + seed_of('charts/above', table.name) % max(1, len(ordered) - 1)
    if len(ordered) < 3 or place >= len(ordered):
        return None
    bound = _between(table, ordered[place - 1], ordered[place])
    if bound is None:
        return None
    count = sum(value > bound for value in values)
    question = f'for how many {table.labels_word} is {table.measure_of(number)} above {table.text(bound)}?'
    return question, str(count)


def _between(table: ChartTable, low: float, high: float) -> float | None:
    middle = round((low + high) / 2, table.decimals)
    return middle if low < middle < high else None


def _compare(table: ChartTable) -> list[tuple[str, str]]:
    number = _series(table)
    values = dict(zip(table.labels, table.series[number][1], strict=True))
    first, second = ranked(table.labels, f'charts/compare/{table.name}')[:2]
    if values[first] == values[second]:
        return []
    measure, word = table.measure_of(number), table.preposition
    question = f'is {measure} {word} {first} higher than {word} {second}?'
    return [(question, 'Yes' if values[first] > values[second] else 'No')]


def _difference(table: ChartTable) -> tuple[str, str] | None:
    number = _series(table)
    values = dict(zip(table.labels, table.series[number][1], strict=True))
    first, second = ranked(table.labels, f'charts/difference/{table.name}')[:2]
    if values[first] == values[second]:
        return None
    high, low = sorted((first, second), key=values.__getitem__, reverse=True)
    measure, word = table.measure_of(number), table.preposition
    question = f'by how much is {measure} {word} {high} higher than {word} {low}?'
    return question, table.text(values[high] - values[low])
