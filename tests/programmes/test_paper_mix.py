"""recipes/phantom.yaml and phantom-clean.yaml as a user runs them over the whole download, in both layouts: validate, disk, build, books, explain, verify."""

import pytest

from pipelines.build import Way, build_all
from pipelines.look.disk import disk_lines, look_at_sources
from pipelines.look.explain import explain
from pipelines.look.validate import validate_sources
from pipelines.look.verify import verify_snapshot
from schemas.recipe import Recipe, load_recipe
from schemas.snapshot import open_snapshot
from tests.programmes.paper_mix import PaperMix
from tests.programmes.project import REPOSITORY, picture, rows_of

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('paper_mix')]


def recipe(name: str = 'phantom') -> Recipe:
    found = load_recipe(REPOSITORY / f'recipes/{name}.yaml')  # every benchmark is there with a few of its items
    few = [bench.model_copy(update={'accept': ['parts']}) for bench in found.contamination.benchmarks]
    return found.model_copy(update={'contamination': found.contamination.model_copy(update={'benchmarks': few})})


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """{layout: (what was written, the build's folder)} of both layouts, built."""
    found = {}
    for layout in ('flat', 'hub'):
        folder = tmp_path_factory.mktemp(layout)
        written = PaperMix(folder / 'data', picture, flat=layout == 'flat').write()
        build_all(recipe(), folder / 'out', Way(root=written.root, mix_only=True))
        found[layout] = written, folder / 'out'
    return found


@pytest.mark.parametrize('layout', ['flat', 'hub'])
def test_every_record_is_read_or_left_out_for_the_expected_reason(built, layout):
    written, out = built[layout]
    lines = {(line['unit'], line['source']): line for line in open_snapshot(out / 'mix').manifest['yield']}
    assert {source for unit, source in lines if unit == 'record'} == set(written.expected)
    for source, expected in written.expected.items():
        record = lines['record', source]
        images = lines.get(('image', source), {'rejected': {}})
        assert (source, record['n_in'], {**record['rejected'], **images['rejected']}) == (source, expected.records, dict(expected.out))


def test_both_layouts_hold_the_same_samples(built):
    flat, hub = (sorted(row['content_sha'] for row in rows_of(out / 'mix')) for _, out in built.values())
    assert flat == hub


@pytest.mark.parametrize('layout', ['flat', 'hub'])
def test_validate_finds_everything_in_place_and_the_estimate_of_the_disk_holds(built, layout, capsys):
    written, out = built[layout]
    assert validate_sources(recipe(), written.root)
    told = capsys.readouterr().out
    assert 'fault ' not in told
    assert 'missing ' not in told
    estimated = sum(line.mix_bytes for line in disk_lines(recipe(), look_at_sources(recipe(), written.root)))
    data = sum(path.stat().st_size for path in (out / 'mix/data').iterdir())
    assert 0.7 * data < estimated < 1.2 * data


def test_the_planted_benchmark_items_are_flagged_by_one_recipe_and_dropped_by_the_other(built):
    written, out = built['hub']
    mathvision = [row for row in rows_of(out / 'mix') if row['source'] == 'mathvision']
    assert sum('"mathvision"' in row['contamination'] for row in mathvision) == 3
    build_all(recipe('phantom-clean'), out.parent / 'clean', Way(work=out / 'work', root=written.root, mix_only=True))
    kept = {row['sample_id'] for row in rows_of(out.parent / 'clean/mix')}
    assert kept == {row['sample_id'] for row in rows_of(out / 'mix') if not row['contamination']}


def test_every_source_is_explained_and_the_snapshot_verified(built, tmp_path):
    _, out = built['flat']
    first = {row['source']: row['sample_id'] for row in reversed(rows_of(out / 'mix'))}
    assert len(first) == 14
    for sample_id in first.values():
        assert ': in: split train' in explain(sample_id, out / 'work', tmp_path / 'x.png')[0]
    gone = next(row['id'] for row in rows_of(out / 'mix', 'rejections') if row['reason'] == 'RECORD_NOT_SELECTED')
    assert 'image prefix' in explain(gone, out / 'work', tmp_path / 'x.png')[0]
    assert verify_snapshot(out / 'mix') == 0


def test_the_words_of_licences_categories_and_turns_reach_the_rows(built):
    _, out = built['hub']
    rows = {row['source']: row for row in rows_of(out / 'mix')}
    assert (rows['smr']['licence'], rows['gllava-qa']['licence'], rows['docreason']['category']) == (
        'CC-BY-SA-4.0', 'unstated', 'document, chart, diagram, sign, symbol')
    assert all(len(row['messages']) == 2 for row in rows.values())  # turns: first
    assert set(rows) - {row['source'] for row in rows_of(out / 'mix') if row['images']} == {'allava-text', 'mathinstruct', 'mathplus'}
