"""What is there and what is missing, in seconds: each source's files, first and last record, a sample of its images, its counts."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from curation.formats import Conversation, Fault, read_record
from curation.references import other_names
from pipelines.benches import first_item
from pipelines.images import ImageStore, ImageTooManyBytes, ImageUnavailable
from pipelines.sources.containers import Malformed
from pipelines.sources.files import resolve_source
from pipelines.sources.peek import peek
from schemas.accounting import Line
from schemas.errors import UserError
from schemas.recipe import Benchmark, Recipe, Source

LOOKED_AT = 24  # records, and pictures, per source
LOOKED_AT_SELECTED = 400  # records of a source of which only some are taken: the wanted ones may be few


@dataclass
class Finding:
    """One line of the table, and what to do about it."""

    name: str
    records: str = ''
    ends: str = ''
    pictures: str = ''
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """Return 'ok', 'missing' where nothing was found, or 'fault'."""
        return 'ok' if not self.faults else 'fault' if self.ends else 'missing'


def validate_sources(recipe: Recipe, root: Path) -> bool:
    """Print what was found of every source and benchmark below `root`, what is missing and where to get it; return whether nothing is."""
    sources = {name: look_at_source(name, source, root, recipe.images.max_bytes) for name, source in recipe.sources.items()}
    benches = {bench.name: look_at_benchmark(bench, root, recipe.images.max_bytes) for bench in recipe.contamination.benchmarks}
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(_source_table(recipe, sources, root))
    if benches:
        console.print(_bench_table(recipe, benches, root))
    findings = [*sources.values(), *benches.values()]
    for finding in findings:
        for line in finding.faults:
            console.print(f'{finding.state:8} {line}', markup=False, soft_wrap=True)
    for finding in findings:
        for line in finding.remarks:
            console.print(f'note     {finding.name}: {line}', markup=False, soft_wrap=True)
    return not any(finding.faults for finding in findings)


def look_at_source(name: str, source: Source, root: Path, max_bytes: int) -> Finding:
    """Return what is there of one source; opens at most LOOKED_AT pictures and a few places of its annotations."""
    finding = Finding(name)
    try:
        source = resolve_source(name, source, root)
        selects = bool(source.image_prefix or source.drop_image_prefix)
        seen = peek(name, root, source.annotations, LOOKED_AT_SELECTED if selects else LOOKED_AT)
    except UserError as e:
        finding.faults += str(e).split('\n')
        return finding
    finding.records = _records(seen.n_records, seen.about)
    finding.ends = _ends(finding, source, {'first': seen.first, 'last': seen.last})
    found = [read_record(row, source) for row in seen.between]
    conversations = [one for one in found if isinstance(one, Conversation)]
    if found and not conversations:
        why = next(one.detail for one in found if isinstance(one, Fault))
        finding.faults.append(f'source {name}: none of {len(found)} records looked at is taken: {why}')
    if selects:
        finding.remarks.append(f'{len(conversations)} of {len(found)} records looked at are selected by prefix; the build counts them')
    else:
        _compare(finding, source, seen.n_records)
    _look_at_pictures(finding, source, conversations, root, max_bytes)
    return finding


def _records(n: int | None, about: int | None) -> str:
    return f'{n:,}' if n is not None else f'not counted (about {about:,})'


def _ends(finding: Finding, source: Source, ends: dict[str, dict | Malformed]) -> str:
    words = []
    for which, row in ends.items():
        found = row if isinstance(row, Malformed) else read_record(row, source)
        if isinstance(found, Malformed):
            finding.faults.append(f'source {finding.name}: {which} record: {found.found}')
        elif isinstance(found, Fault) and found.reason != 'RECORD_NOT_SELECTED':
            finding.remarks.append(f'{which} record would be rejected: {found.reason} ({found.detail})')
        words.append('no record' if isinstance(found, Malformed) else str(found.reason) if isinstance(found, Fault) else 'ok')
    return words[0] if len(set(words)) == 1 else ' / '.join(words)


def _compare(finding: Finding, source: Source, n: int | None) -> None:
    if n is not None and source.expected_today is not None and n != source.expected_today:
        finding.remarks.append(f'{n:,} records, {n - source.expected_today:+,} against the {source.expected_today:,} expected of today\'s files')


def _look_at_pictures(finding: Finding, source: Source, conversations: list[Conversation], root: Path, max_bytes: int) -> None:
    images = [image for conversation in conversations for image in conversation.images]
    every = max(1, len(images) // LOOKED_AT)
    store = ImageStore({finding.name: tuple(str(root / images) for images in source.images)}, '', max_bytes)
    looked = images[::every][:LOOKED_AT]
    missing = [image for image in looked if isinstance(image, str) and not _opens(store, source, f'{finding.name}/{image}')]
    finding.pictures = f'{len(looked) - len(missing)} of {len(looked)}' if looked else 'none'
    if missing:
        where = ', '.join(source.images) or 'no `images` in the recipe'
        finding.faults.append(f'source {finding.name}: {len(missing)} of {len(looked)} pictures looked at do not open below {root} ({where}), '
                              f'such as {missing[0]}' + _get(source.get_it))


def _get(get_it: str) -> str:
    return f'; get it: {get_it}' if get_it else ''


def _opens(store: ImageStore, source: Source, reference: str) -> bool:
    for name in (reference, *(other_names(reference) if source.other_extensions else ())):
        try:
            store.read(name)
        except (ImageUnavailable, ImageTooManyBytes):
            continue
        return True
    return False


def look_at_benchmark(bench: Benchmark, root: Path, max_bytes: int) -> Finding:
    """Return whether a benchmark's first item reads."""
    finding = Finding(bench.name)
    try:
        item = first_item(bench.name, bench.format, root / bench.path, max_bytes)
    except UserError as e:
        finding.faults.append(str(e) + _get(bench.get_it))
    else:
        finding.ends, finding.pictures = 'ok', str(len(item['images']))
    return finding


def _source_table(recipe: Recipe, findings: dict[str, Finding], root: Path) -> Table:
    table = Table(title=f'{recipe.name}: {len(findings)} source(s) below {root}', title_justify='left')
    for name in ('source', 'category', 'records', 'paper', 'today', 'first / last', 'pictures', ''):
        table.add_column(name, justify='right' if name in ('records', 'paper', 'today', 'pictures') else 'left', overflow='fold')
    for name, finding in findings.items():
        source = recipe.sources[name]
        expected = [f'{n:,}' if n is not None else '-' for n in (source.expected_paper, source.expected_today)]
        cells = [cell or '-' for cell in (finding.records, *expected, finding.ends, finding.pictures)]
        table.add_row(name, source.category, *cells, finding.state)
    return table


def _bench_table(recipe: Recipe, findings: dict[str, Finding], root: Path) -> Table:
    table = Table(title=f'{recipe.name}: {len(findings)} benchmark(s), contamination: {recipe.contamination.action}', title_justify='left')
    for name in ('benchmark', 'layout', 'folder', 'first item', ''):
        table.add_column(name, overflow='fold')
    for bench in recipe.contamination.benchmarks:
        finding = findings[bench.name]
        table.add_row(bench.name, bench.format, bench.path, finding.ends or '-', finding.state)
    return table


def print_expected(recipe: Recipe, lines: list[Line]) -> None:
    """Print kept records of a build beside what was expected, where the recipe expects anything."""
    table = expected_table(recipe, lines)
    if table is not None:
        Console(width=None if sys.stdout.isatty() else 140).print(table)


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
