"""What is there and what is missing, in seconds: each source's files, first and last record, a sample of its images, its counts."""

from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from curation.pictures.images import ImageLimits
from pipelines.benches.compared import shown
from pipelines.chat.models import check_plan, parts_of
from pipelines.look import shifted
from pipelines.look.benchmarks import BenchFinding, look_at_benchmark
from pipelines.mix.agreement import lacking_of
from pipelines.mix.rating_files import look_at_ratings
from pipelines.sources.files import check_root
from pipelines.sources.pictures import picture_folders
from pipelines.sources.usable import Finding, look_at_source
from schemas.errors import Unreadable, UserError
from schemas.json_text import print_json
from schemas.recipe import Recipe, Source
from schemas.telling import print_table


def validate_sources(recipe: Recipe, root: Path | None, *, reach: bool = True, as_json: bool = False, deep: bool = False) -> bool:
    """Print what was found of every source, benchmark, file of ratings and model, what is missing and where to get it; return whether nothing is.

    Without `root` the recipe says where they lie; raises UserError where that depends on a build. Without `reach` no server is asked. With `deep`
    some hundred pictures of each source are looked at: whether its texts belong to them. What that finds is a warning.
    """
    if root is None and '{out}' in recipe.root:
        raise UserError(f'validate: expected --root, since the recipe says {recipe.root} and nothing is built yet; found none')
    root = root or recipe.root_of(Path())
    check_root(root)
    limits = ImageLimits(**recipe.images.model_dump())
    sources = {name: look_at_source(name, source, root, limits, folders=picture_folders(recipe, root)) for name, source in recipe.sources.items()}
    benches = {bench.name: look_at_benchmark(bench, root, limits) for bench in recipe.contamination.benchmarks}
    aligned = {name: _aligned(finding, recipe, root) for name, finding in sources.items()} if deep else {}
    ratings = look_at_ratings(recipe, root, {name: one.records for name, one in sources.items() if one.counted and one.records is not None})
    models = _faults_of_models(recipe, reach=reach)
    lacking = lacking_of(recipe)
    whole = not any([models, lacking, ratings.faults, *(finding.faults for finding in (*sources.values(), *benches.values()))])
    if as_json:
        deeper = {name: {'alignment': aligned[name]} if deep else {} for name in sources}
        counted = [{**_told(finding), **_counts(finding, recipe.sources[name]), **deeper[name]} for name, finding in sources.items()]
        looked = [{**_told(finding), 'compared': finding.compared and shown(finding.compared)} for finding in benches.values()]
        told = {'sources': counted, 'benchmarks': looked, 'ratings': asdict(ratings), 'lacking': lacking,
                'models': {'reached': reach, 'faults': models}}  # fmt: skip
        print_json({'ok': whole, 'recipe': recipe.name, 'root': str(root), **told})
    else:
        _print_findings(recipe, sources, benches, root)
        for fault in (*lacking, *ratings.faults, *models):
            print(f'fault    {fault}')
        for remark in ratings.remarks:
            print(f'note     {remark}')
        if parts_of(recipe) and not reach:
            print('note     models: no server was asked (--no-reach); phantom build asks each before it begins')
    return whole


def _aligned(finding: Finding, recipe: Recipe, root: Path) -> dict | None:
    """Return whether the texts of a source belong to its pictures, as a remark too; nothing of a source that a build would refuse."""
    if finding.faults or finding.pictures in ('', 'none'):
        return None
    try:
        found = shifted.look_at_alignment(finding.name, recipe, root)
    except (UserError, Unreadable) as e:
        finding.remarks.append(f'whether texts belong to their pictures: not looked at: {str(e).splitlines()[0]}')
        return None
    finding.remarks.append(shifted.told(found))
    return shifted.as_json(found)


def _faults_of_models(recipe: Recipe, *, reach: bool) -> list[str]:
    """Return what cannot work about the models that a build would ask."""
    try:
        if parts := parts_of(recipe):
            check_plan(recipe, reach=reach, parts=parts)
    except UserError as e:
        return str(e).split('\n')
    return []


def _told(finding: Finding) -> dict[str, object]:
    return {'name': finding.name, 'state': finding.state, 'first_and_last': finding.ends, 'pictures': finding.pictures,
            'faults': finding.faults, 'remarks': finding.remarks}


def _counts(finding: Finding, source: Source) -> dict[str, object]:
    return {'records': finding.records, 'records_counted': finding.counted, 'taken': finding.taken, 'taken_exact': finding.exact,
            'expected_today': source.expected_today, 'expected_paper': source.expected_paper}


def _print_findings(recipe: Recipe, sources: dict[str, Finding], benches: dict[str, BenchFinding], root: Path) -> None:
    print_table(_source_table(recipe, sources, root))
    if benches:
        print_table(_bench_table(recipe, benches, root))
    findings = [*sources.values(), *benches.values()]
    for finding in findings:
        for line in finding.faults:
            print(f'{finding.state:8} {line}')
    for finding in findings:
        for line in finding.remarks:
            print(f'note     {finding.name}: {line}')


def _source_table(recipe: Recipe, findings: dict[str, Finding], root: Path) -> Table:
    table = Table(title=f'{recipe.name}: {len(findings)} source(s) below {root}', title_justify='left',
                  caption='~: estimated from the records looked at; the build counts', caption_justify='left')
    expect = {'today': 'expected_today', 'paper': 'expected_paper'}  # no column of what no source expects
    said = [word for word, key in expect.items() if any(getattr(source, key) is not None for source in recipe.sources.values())]
    numbers = ('records', 'taken', *(column for word in said for column in (word, '±')))
    for name in ('source', *numbers, 'first / last', 'pictures', ''):
        table.add_column(name, justify='right' if name in (*numbers, 'pictures') else 'left', overflow='fold')
    for name, finding in findings.items():
        source = recipe.sources[name]
        paper = min(finding.taken, source.subset) if finding.taken is not None and source.subset else finding.taken
        beside = {'today': _beside(finding.taken, source.expected_today, exact=finding.exact),
                  'paper': _beside(paper, source.expected_paper, exact=finding.exact)}
        cells = [_number(finding.records, exact=finding.counted), _number(finding.taken, exact=finding.exact),
                 *(cell for word in said for cell in beside[word])]
        table.add_row(name, *cells, finding.ends or '-', finding.pictures or '-', finding.state)
    return table


def _number(n: int | None, *, exact: bool) -> str:
    return '-' if n is None else f'{"" if exact else "~"}{n:,}'


def _beside(n: int | None, expected: int | None, *, exact: bool) -> tuple[str, str]:
    if expected is None:
        return '-', '-'
    return f'{expected:,}', '-' if n is None else f'{"" if exact else "~"}{n - expected:+,}'


def _bench_table(recipe: Recipe, findings: dict[str, BenchFinding], root: Path) -> Table:
    table = Table(title=f'{recipe.name}: {len(findings)} benchmark(s), contamination: {recipe.contamination.action}', title_justify='left')
    numbers = ('items', 'whole copy', '±', 'answers', 'options')
    for name in ('benchmark', 'layout', 'folder', *numbers, 'pictures', ''):
        table.add_column(name, justify='right' if name in numbers else 'left', overflow='fold')
    for bench in recipe.contamination.benchmarks:
        finding = findings[bench.name]
        one = finding.compared
        cells = [_number(one.items if one else None, exact=True), *_beside(one.items if one else None, one.expected if one else None, exact=True),
                 *((f'{one.answers:,}', f'{one.options:,}') if one else ('-', '-'))]
        table.add_row(bench.name, bench.format, bench.path, *cells, finding.pictures or '-', finding.state)
    return table
