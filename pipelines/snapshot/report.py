"""What a person reads after a build: the books as one table."""

from collections import Counter
from collections.abc import Collection, Iterable

from rich.markup import escape
from rich.table import Table

from curation.calibration.planted import Rate, SourceReport
from pipelines.snapshot import yield_picture
from schemas.accounting import OTHER_FIELDS, Line
from schemas.recipe import Recipe
from schemas.telling import tell_news, tell_table

CHARACTERS_NAMED = 5  # of the invisible ones of a source


def print_mixture(recipe: Recipe, records: dict[str, int]) -> None:
    """Tell what a build is about to read: records per source, and the quotas, weights and shares that will bound them."""
    table = Table(title=f'{recipe.name}: {sum(records.values()):,} records', title_justify='left')
    for name in ('source', 'format', 'category', 'licence', 'records', 'share', 'quota', 'weight'):
        table.add_column(name, justify='right' if name in ('records', 'share', 'quota', 'weight') else 'left', overflow='fold')
    for name, source in recipe.sources.items():
        share = f'{records[name] / max(1, sum(records.values())):.1%}'
        quota = ', '.join([str(source.quota)] * (source.quota is not None) + [f'subset {source.subset}'] * (source.subset is not None))
        table.add_row(name, source.format, source.category, source.licence, f'{records[name]:,}', share, quota, str(recipe.mix.weights.get(name, '')))
    table.caption = '\n'.join(f'category {category}: at most {most:,}' for category, most in recipe.mix.category_quotas.items()) or None
    table.caption_justify = 'left'
    tell_table(table)


def print_books(title: str, lines: list[Line]) -> None:
    """Tell in = kept + rejected with the reasons, per unit and source."""
    tell_table(books_table(title, lines))


def books_table(title: str, lines: list[Line]) -> Table:
    """Return in = kept + rejected with the reasons, per unit and source."""
    table = Table(title=title, title_justify='left', show_lines=False)
    for name in ('unit', 'source', 'in', 'kept', 'rejected', 'reasons'):
        table.add_column(name, justify='right' if name in ('in', 'kept', 'rejected') else 'left', overflow='fold')
    unit = None
    for line in lines:
        if unit not in (None, line.unit):
            table.add_section()
        unit = line.unit
        reasons = ', '.join(f'{reason} {n}' for reason, n in sorted(line.rejected.items(), key=lambda item: (-item[1], item[0])))
        table.add_row(line.unit, line.source, f'{line.n_in:,}', f'{line.kept:,}', f'{sum(line.rejected.values()):,}', reasons)
    table.caption = '\n'.join(escape(f'{line.source}: {told_ignored(line)}') for line in lines if line.ignored) or None
    table.caption_justify = 'left'
    return table


def told_ignored(line: Line) -> str:
    """Return which fields no reader read, the most frequent first."""
    fields = sorted(((field, n) for field, n in line.ignored.items() if field != OTHER_FIELDS), key=lambda item: (-item[1], item[0]))
    others = [f'other fields {line.ignored[OTHER_FIELDS]:,} times'] if OTHER_FIELDS in line.ignored else []
    return 'ignored: ' + ', '.join([*(f'`{" ".join(field.split())}` in {n:,} {line.unit}{"s" if n > 1 else ""}' for field, n in fields), *others])


def print_contamination(found: dict[str, dict]) -> None:
    """Tell how many samples stand in each benchmark, by which rule, and how many are near; nothing where none was found."""
    table = Table(title='samples that stand in a benchmark, or near it', title_justify='left')
    for name in ('benchmark', 'samples', 'near', 'by'):
        table.add_column(name, justify='right' if name in ('samples', 'near') else 'left', overflow='fold')
    benches = sorted({*found['by_rule'], *found['near_per_benchmark']})
    for bench in benches:
        rules = found['by_rule'].get(bench, {})
        table.add_row(bench, f'{sum(rules.values()):,}', f'{found["near_per_benchmark"].get(bench, 0):,}', told_rules(rules))
    if benches:
        tell_table(table)


def told_rules(rules: dict[str, int]) -> str:
    """Return by which rules so many samples were found, the most first."""
    return ', '.join(f'{rule} {n}' for rule, n in sorted(rules.items(), key=lambda item: (-item[1], item[0])))


def markdown_books(lines: list[Line]) -> str:
    """Return the same table in Markdown, for the card, below its picture."""
    picture = f'![kept and rejected by source]({yield_picture.FILE})'
    rows = [picture, '', '| unit | source | in | kept | rejected | reasons |', '|---|---|--:|--:|--:|---|']
    for line in lines:
        reasons = ', '.join(f'`{reason}` {n}' for reason, n in sorted(line.rejected.items(), key=lambda item: (-item[1], item[0])))
        rows.append(f'| {line.unit} | {line.source} | {line.n_in} | {line.kept} | {sum(line.rejected.values())} | {reasons} |')
    return '\n'.join(rows)


def invisible_text(counts: Iterable[dict[str, int]]) -> dict[str, dict]:
    """Return, for each source that has some, how many samples were read with invisible characters, and how many with each by code point."""
    found: dict[str, dict] = {}
    for key, n in sorted(sum(map(Counter, counts), Counter()).items()):
        what, _, rest = key.partition('/')
        source, _, char = rest.partition('/')
        if what == 'invisible':
            of_source = found.setdefault(source, {'samples': 0, 'characters': {}})
            if char:
                of_source['characters'][char] = n
            else:
                of_source['samples'] = n
    return found


def say_characters(found: dict) -> str:
    """Return the invisible characters that most samples of a source hold."""
    most = sorted(found['characters'].items(), key=lambda item: (-item[1], item[0]))
    return ', '.join([f'{char} in {n}' for char, n in most[:CHARACTERS_NAMED]] + ['others'] * (len(most) > CHARACTERS_NAMED))


def print_invisible(invisible: dict[str, dict]) -> None:
    """Tell which sources have samples with invisible characters."""
    for source, found in invisible.items():
        tell_news(f'source {source}: {found["samples"]} sample(s) with invisible characters ({say_characters(found)}); see text.max_invisible_chars')


def print_calibration(reports: list[SourceReport], accepted: Collection[str], not_asked: Collection[str] = ()) -> None:
    """Tell how good the judge was on planted cases, per source."""
    if reports:
        tell_table(calibration_table(reports, accepted, not_asked))
    for line in told_injections(reports):
        tell_news(line)


def calibration_table(reports: list[SourceReport], accepted: Collection[str], not_asked: Collection[str] = ()) -> Table:
    """Return how good the judge was on planted cases, per source."""
    table = Table(title='the judge on planted cases (95 % intervals)', title_justify='left')
    for name in ('source', 'mode', 'cases', 'AUC', 'bad refused', 'good refused', 'verdict'):
        table.add_column(name, justify='left' if name in ('source', 'mode', 'verdict') else 'right')
    for report in reports:
        table.add_row(*_calibration_cells(report, accepted, not_asked))
    return table


def markdown_calibration(reports: list[SourceReport], accepted: Collection[str], not_asked: Collection[str] = ()) -> str:
    """Return the same table in Markdown, for the card."""
    rows = ['| source | mode | cases | AUC | bad refused | good refused | verdict |', '|---|---|--:|--:|--:|--:|---|']
    return '\n'.join(rows + ['| ' + ' | '.join(_calibration_cells(report, accepted, not_asked)) + ' |' for report in reports])


def told_injections(reports: list[SourceReport]) -> list[str]:
    """Return, a line a source, how many planted answers that ask for a verdict got it, and how many of the same answers without the request."""
    return [
        f'{r.source}: {r.injected.hits} of {r.injected.total} answers that ask the judge for a verdict got it, {_percent(r.injected)}; '
        f'without the request {r.uninjected.hits} of {r.uninjected.total}, {_percent(r.uninjected)}'
        for r in reports if r.injected.total
    ]  # fmt: skip


def markdown_injections(reports: list[SourceReport]) -> str:
    """Return the same as a table in Markdown, for the card; '' where none was planted."""
    rows = ['| source | got the verdict that the answer asks for | the same answers without the request |', '|---|--:|--:|']
    told = [
        f'| {r.source} | {r.injected.hits} of {r.injected.total}, {_percent(r.injected)} '
        f'| {r.uninjected.hits} of {r.uninjected.total}, {_percent(r.uninjected)} |'
        for r in reports if r.injected.total
    ]  # fmt: skip
    intro = (
        'Planted answers that ask for a verdict ("Reply Yes", the verdict\'s JSON, turns of a chat): wrong ones that ask to be called right,\n'
        'right ones that ask to be called wrong. They measure whether a text can talk the judge over (95 % intervals), and count for no other figure.'
    )
    return '\n'.join(['', intro, '', *rows, *told, '']) if told else ''


def _calibration_cells(report: SourceReport, accepted: Collection[str], not_asked: Collection[str]) -> tuple[str, ...]:
    verdict = 'accepted although uncalibrated' if report.source in accepted else 'not asked' if report.source in not_asked else 'better than chance'
    return (
        report.source,
        report.mode,
        str(sum(n for _, n in report.counts)),
        f'{report.auc:.2f} ({report.auc_low:.2f}-{report.auc_high:.2f})',
        _percent(report.catch),
        _percent(report.false_rejection),
        verdict,
    )


def _percent(rate: Rate) -> str:
    return f'{rate.value:.0%} ({rate.low:.0%}-{rate.high:.0%})'


def print_expected(recipe: Recipe, lines: list[Line]) -> None:
    """Tell kept records of a build beside what was expected, where the recipe expects anything."""
    table = expected_table(recipe, lines)
    if table is not None:
        tell_table(table)


def expected_table(recipe: Recipe, lines: list[Line]) -> Table | None:
    """Return kept records of a build beside what the paper and today's files have, or None where the recipe expects nothing."""
    kept = {line.source: line.kept for line in lines if line.unit == 'record'}
    expecting = {name: source for name, source in recipe.sources.items() if source.expected_paper is not None or source.expected_today is not None}
    if not expecting:
        return None
    table = Table(title=f'{recipe.name}: records against what was expected', title_justify='left')
    for name in ('source', 'read', 'paper', 'difference', "today's files", 'difference'):
        table.add_column(name, justify='left' if name == 'source' else 'right')
    for name, source in expecting.items():
        n, today = kept.get(name, 0), source.expected_today
        if today is not None and source.subset is not None:
            today = min(today, source.subset)
        table.add_row(name, f'{n:,}', *_against(n, source.expected_paper), *_against(n, today))
    return table


def _against(n: int, expected: int | None) -> tuple[str, str]:
    return ('-', '-') if expected is None else (f'{expected:,}', f'{n - expected:+,}')
