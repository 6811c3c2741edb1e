"""What is there and what is missing, in seconds: each source's files, first and last record, a sample of its images, its counts."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from curation.formats import Conversation, Fault, read_record, split_turns
from curation.images import ImageFault, ImageLimits, inspect_image
from pipelines.benches.items import first_item
from pipelines.sources.containers import Malformed
from pipelines.sources.files import check_root, get_it, resolve_source
from pipelines.sources.peek import peek
from pipelines.sources.pictures import look_at_pictures
from schemas.accounting import Line
from schemas.errors import NothingThere, UserError
from schemas.recipe import Benchmark, Recipe, Source
from schemas.records import Reason

LOOKED_AT = 400  # records per source: a collection with one record in a hundred is seen, and of a source taken in part the share
ENOUGH = 3  # records or pictures, none of them of use, that make a source useless
_ESTIMATE = 0.2  # an estimate within this share of what is expected is no difference
_UNDECODABLE = (Reason.IMAGE_FORMAT, Reason.IMAGE_TRUNCATED, Reason.IMAGE_UNDECODABLE)


@dataclass(frozen=True, slots=True)
class Weight:
    """Samples that a record taken gives, and mean bytes of a sample's text and pictures; `packed`: of those that lie in the records themselves."""

    samples: float = 0.0
    text: float = 0.0
    pictures: float = 0.0
    packed: float = 0.0


@dataclass
class Finding:
    """One line of the table, and what to do about it."""

    name: str
    records: int | None = None
    taken: int | None = None  # of the records, those that the recipe's prefixes select
    counted: bool = True  # records were counted, not estimated ...
    exact: bool = True  # ... and so were those taken
    differs: bool = False
    ends: str = ''
    pictures: str = ''
    weight: Weight = Weight()
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    missing: bool = False  # what the recipe names is not there
    useless: bool = False  # nothing that was looked at can be used

    @property
    def state(self) -> str:
        """Return 'ok', 'differs' from the expected number, 'missing', or 'fault'."""
        if self.faults:
            return 'missing' if self.missing else 'fault'
        return 'differs' if self.differs else 'ok'


def validate_sources(recipe: Recipe, root: Path) -> bool:
    """Print what was found of every source and benchmark below `root`, what is missing and where to get it; return whether nothing is."""
    check_root(root)
    limits = ImageLimits(**recipe.images.model_dump())
    sources = {name: look_at_source(name, source, root, limits) for name, source in recipe.sources.items()}
    benches = {bench.name: look_at_benchmark(bench, root, limits) for bench in recipe.contamination.benchmarks}
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(_source_table(recipe, sources, root))
    if benches:
        console.print(_bench_table(recipe, benches, root))
    findings = [*sources.values(), *benches.values()]
    for finding in findings:
        for line in finding.faults:
            console.print(f'{finding.state:8} {line}', markup=False, highlight=False, soft_wrap=True)
    for finding in findings:
        for line in finding.remarks:
            console.print(f'note     {finding.name}: {line}', markup=False, highlight=False, soft_wrap=True)
    return not any(finding.faults for finding in findings)


def refuse_useless(recipe: Recipe, root: Path, index: str = '') -> None:
    """Raise UserError listing the sources of which nothing looked at can be used: the wrong format, pictures elsewhere, pointers to files.

    Where the members of archives lie is kept in the folder `index`, for the build that follows.
    """
    limits = ImageLimits(**recipe.images.model_dump())
    looked = [look_at_source(name, source, root, limits, index) for name, source in recipe.sources.items()]
    faults = [fault for finding in looked if finding.useless for fault in finding.faults]
    if faults:
        raise UserError('\n'.join([*faults, 'mend the source, or leave it out: --set sources.NAME=null']))


def look_at_source(name: str, source: Source, root: Path, limits: ImageLimits, index: str = '') -> Finding:
    """Return what is there of one source; opens some pictures and a few places of its annotations."""
    finding = Finding(name)
    try:
        source = resolve_source(name, source, root)
        seen = peek(name, root, source.annotations, LOOKED_AT)
    except UserError as e:
        finding.faults += str(e).split('\n')
        finding.missing = isinstance(e, NothingThere)
        return finding
    finding.ends = _ends(finding, source, {'first': seen.first, 'last': seen.last})
    found = [read_record(row, source) for row in seen.between]
    conversations = [one for one in found if isinstance(one, Conversation)]
    if found and not conversations:
        why = next(one.detail for one in found if isinstance(one, Fault))
        finding.faults.append(f'source {name}: none of {len(found)} records looked at is taken: {why}')
        finding.useless = len(found) >= ENOUGH
    _count(finding, source, (seen.n_records, seen.about), found)
    pictures = look_at_pictures(name, source, conversations, root, limits, index)
    finding.pictures = f'{pictures.whole} of {pictures.looked}' if pictures.looked else 'none'
    finding.faults += [f'source {name}: {fault}' for fault in pictures.faults]
    finding.remarks += pictures.remarks
    finding.useless |= pictures.whole == 0 and pictures.looked >= ENOUGH and bool(pictures.faults)
    if finding.faults:
        finding.faults[-1] += get_it(source.get_it)
    finding.weight = _weigh(conversations, source, pictures.n_bytes / max(1, pictures.opened))
    return finding


def _count(finding: Finding, source: Source, counted: tuple[int | None, int | None], found: list[Conversation | Fault]) -> None:
    """Fill in the records, those taken, and whether they are other than today's files are said to hold."""
    exact, about = counted
    finding.records = exact if exact is not None else about
    selects = bool(source.image_prefix or source.drop_image_prefix)
    left_out = sum(isinstance(one, Fault) and one.reason == Reason.RECORD_NOT_SELECTED for one in found)
    share = 1 - left_out / len(found) if selects and found else 1.0
    finding.counted = exact is not None
    finding.exact = finding.counted and not selects
    finding.taken = round(finding.records * share) if finding.records is not None else None
    expected = source.expected_today if source.expected_today is not None else source.expected_paper
    if finding.taken is not None and expected is not None:
        finding.differs = abs(finding.taken - expected) > (0 if finding.exact else expected * _ESTIMATE)


def _weigh(conversations: list[Conversation], source: Source, picture_bytes: float) -> Weight:
    samples = [part for one in conversations for _, part in split_turns(one, source.turns) if part is not None]
    if not samples:
        return Weight()
    n = len(samples)
    text = sum(len(turn.text.encode('utf-8', 'replace')) for part in samples for turn in part.turns)
    inside = sum(isinstance(image, bytes) for part in samples for image in part.images)
    pictures = sum(len(part.images) for part in samples)
    return Weight(n / len(conversations), text / n, pictures * picture_bytes / n, inside * picture_bytes / n)


def _ends(finding: Finding, source: Source, ends: dict[str, dict | Malformed]) -> str:
    words = []
    for which, row in ends.items():
        found = row if isinstance(row, Malformed) else read_record(row, source)
        if isinstance(found, Malformed):
            finding.faults.append(f'source {finding.name}: {which} record: {found.found}')
            words.append('no record')
        elif isinstance(found, Conversation):
            words.append('ok')
        elif found.reason == Reason.RECORD_NOT_SELECTED:
            words.append('not selected')
        else:
            finding.remarks.append(f'{which} record would be rejected: {found.reason} ({found.detail})')
            words.append(str(found.reason))
    return words[0] if len(set(words)) == 1 else ' / '.join(words)


def look_at_benchmark(bench: Benchmark, root: Path, limits: ImageLimits) -> Finding:
    """Return whether a benchmark's first item reads and its pictures decode."""
    finding = Finding(bench.name)
    try:
        item = first_item(bench.name, bench.format, root / bench.path, limits.max_bytes)
    except UserError as e:
        finding.missing = not (root / bench.path).is_dir()
        finding.ends = '' if finding.missing else 'no item'
        finding.faults.append(str(e) + get_it(bench.get_it))
        return finding
    finding.ends, finding.pictures = 'ok', str(len(item['images']))
    for image in item['images']:
        found = inspect_image(image['bytes'], limits)
        if isinstance(found, ImageFault) and found.reason in _UNDECODABLE:
            finding.faults.append(f'benchmark {bench.name}: item {item["item_id"]}: {found.reason}: {found.detail}{get_it(bench.get_it)}')
    return finding


def _source_table(recipe: Recipe, findings: dict[str, Finding], root: Path) -> Table:
    table = Table(title=f'{recipe.name}: {len(findings)} source(s) below {root}', title_justify='left',
                  caption='~: estimated from the records looked at; the build counts', caption_justify='left')
    numbers = ('records', 'taken', 'today', '±', 'paper', '±', 'pictures')
    for name in ('source', *numbers[:-1], 'first / last', 'pictures', ''):
        table.add_column(name, justify='right' if name in numbers else 'left', overflow='fold')
    for name, finding in findings.items():
        source = recipe.sources[name]
        paper = min(finding.taken, source.subset) if finding.taken is not None and source.subset else finding.taken
        cells = [_number(finding.records, exact=finding.counted), _number(finding.taken, exact=finding.exact),
                 *_beside(finding.taken, source.expected_today, exact=finding.exact), *_beside(paper, source.expected_paper, exact=finding.exact)]
        table.add_row(name, *cells, finding.ends or '-', finding.pictures or '-', finding.state)
    return table


def _number(n: int | None, *, exact: bool) -> str:
    return '-' if n is None else f'{"" if exact else "~"}{n:,}'


def _beside(n: int | None, expected: int | None, *, exact: bool) -> tuple[str, str]:
    if expected is None:
        return '-', '-'
    return f'{expected:,}', '-' if n is None else f'{"" if exact else "~"}{n - expected:+,}'


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
