"""What a step depends on is a field, and every field is what it says: a setting or a table moves the fingerprint, a place moves nothing."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.engine.step import Step, all_steps, describe, fingerprint_of, kinds, tables_of
from pipelines.engine.tables import Table
from pipelines.mix.fingerprints import FingerprintImages, stamp
from pipelines.triples.programme import picking
from schemas.recipe import Section, load_recipe
from schemas.snapshot import Snapshot, open_snapshot
from tests.pipelines.engine.builds import build_whole, content

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('steps')]


def changed(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield (where, value with that leaf changed) for every leaf of a setting, and for what could stand there besides."""
    if value is None:
        yield '', 1
    elif isinstance(value, Enum):
        yield '', next(other for other in type(value) if other != value)
    elif isinstance(value, bool):
        yield '', not value
    elif isinstance(value, int | float):
        yield '', value + 1
    elif isinstance(value, str | bytes):
        yield '', value + value[:0].join([b'x' if isinstance(value, bytes) else 'x'])
    elif isinstance(value, Section):
        yield from ((f'.{name}{at}', value.model_copy(update={name: new})) for name in type(value).model_fields for at, new in changed(getattr(value, name)))
    elif is_dataclass(value):
        yield from ((f'.{field.name}{at}', replace(value, **{field.name: new})) for field in fields(value) for at, new in changed(getattr(value, field.name)))
    elif isinstance(value, dict):
        yield from ((f'[{key}]{at}', {**value, key: new}) for key in value for at, new in changed(value[key]))
        yield from ((f'[{key}] left out', {k: v for k, v in value.items() if k != key}) for key in value)
        yield ' and one more', {**value, 'x': next(iter(value.values()), 1)}
    elif isinstance(value, list | tuple):
        alike = type(value)
        yield from ((f'[{i}]{at}', alike([*value[:i], new, *value[i + 1 :]])) for i in range(len(value)) for at, new in changed(value[i]))
        yield ' and one more', alike([*value, value[-1] if value else 'x'])
    elif isinstance(value, frozenset):
        yield ' and one more', value | {'x'}
    else:
        raise TypeError(f'no way to change a {type(value).__name__}')


def other_tables(step: Step, name: str) -> Iterator[Any]:
    """Yield what else could stand in a field of tables."""
    tables = tables_of(step, name)
    remade = [Table(table.path.with_name('0' * 32), table.label) for table in tables]
    if not isinstance(getattr(step, name), tuple):
        yield remade[0]
        return
    yield from ((*tables[:i], new, *tables[i + 1 :]) for i, new in enumerate(remade))
    yield from ((*tables[:i], *tables[i + 1 :]) for i in range(len(tables)))
    yield (*tables, Table(Path('work/more/0')))
    if len(tables) > 1:
        yield tables[::-1]


def ours() -> set[type[Step]]:
    return {step for step in all_steps() if step.__module__.startswith('pipelines.')}


def name_of(step: Step) -> str:
    return fingerprint_of(describe(step))


@pytest.fixture(scope='module')
def steps(plain, other, rated) -> list[Step]:
    """One step of each class with default settings, and one with others."""
    return [step for build in (plain, other, rated) for step in {type(step): step for step, _ in reversed(build.steps)}.values()]


def test_every_step_is_exercised_here(plain, other, rated):
    left_out = ours() - {type(step) for build in (plain, other, rated) for step, _ in build.steps}
    assert not left_out, f'{left_out}: no step of the small builds; add to tests/programmes/project.py or to OTHER_SETTINGS what needs it'


@pytest.mark.filterwarnings('ignore::UserWarning')  # pydantic's: a changed value need not be of the type that its field says
def test_every_leaf_of_every_setting_is_in_the_fingerprint(steps):
    n = 0
    for step in steps:
        for name in (name for name, kind in kinds(type(step)).items() if kind == 'setting'):
            for where, value in changed(getattr(step, name)):
                assert name_of(replace(step, **{name: value})) != name_of(step), f'{type(step).__name__}.{name}{where}: not in the fingerprint'
                n += 1
    assert n > 500


def test_every_table_is_in_the_fingerprint_and_so_is_the_order_of_several(steps):
    for step in steps:
        for name in (name for name, kind in kinds(type(step)).items() if kind == 'table'):
            for value in other_tables(step, name):
                assert name_of(replace(step, **{name: value})) != name_of(step), f'{type(step).__name__}.{name}: not in the fingerprint'


def test_no_place_is_in_the_fingerprint(steps):
    for step in steps:
        for name in (name for name, kind in kinds(type(step)).items() if kind == 'place'):
            assert name_of(replace(step, **{name: 'elsewhere'})) == name_of(step), f'{type(step).__name__}.{name}: is in the fingerprint'


def test_the_version_and_the_name_of_a_step_are_in_the_fingerprint(steps, monkeypatch):
    for step in steps:
        before = name_of(step)
        with monkeypatch.context() as patch:
            patch.setattr(type(step), 'VERSION', step.VERSION + 1)
            assert name_of(step) != before, type(step).__name__
        with monkeypatch.context() as patch:
            patch.setattr(type(step), 'TABLE', 'x')
            assert name_of(step) != before, type(step).__name__


def test_no_setting_is_a_path(plain, other, rated, project):
    for build in (plain, other, rated):
        for step, _ in build.steps:
            told = json.dumps(describe(step)['settings'])
            for folder in (build.folder, project.root):
                assert str(folder) not in told, f'{type(step).__name__}: a setting names a folder, which is a place: {told}'


def test_what_is_called_a_place_says_where(plain, rated, project):
    for step, _ in (*plain.steps, *rated.steps):
        for name in (name for name, kind in kinds(type(step)).items() if kind == 'place'):
            value = getattr(step, name)
            says = isinstance(value, pa.Schema) or any(str(folder) in repr(value) for folder in (plain.folder, rated.folder, project.root))
            assert says, f'{type(step).__name__}.{name}: names no folder, so the rows may hang on it: a setting, by the look of it: {value!r}'


def test_at_other_places_the_same_tables_have_the_same_rows(plain, project, tmp_path):
    root = tmp_path / 'elsewhere/sources'
    shutil.copytree(project.root, root)  # with its times: pictures are told apart by them
    (root / 'shapes/imgs').rename(root / 'imgs')
    ways = ('sources.shapes.images=[.]', 'models.fake.concurrency=2', 'models.fake.timeout_s=60', 'models.fake.stream=false',
            'models.fake.price_prompt=2', 'budget.requests=9999')
    there = build_whole(replace(project, root=root), tmp_path, sets=ways, work='tables', out='finished/here')
    tables = {table.key: table for _, table in plain.steps}
    assert [table.key for _, table in there.steps] == [*tables]
    for _, table in there.steps:
        assert content(table) == content(tables[table.key]), f'{table.label}: other rows at other places'
        assert table.done() == tables[table.key].done()
    for kind in ('mix', 'triples'):
        assert open_snapshot(tmp_path / 'finished/here' / kind).snapshot_id == open_snapshot(plain.folder / 'out' / kind).snapshot_id
    assert there.asked == plain.asked


def test_in_how_many_folders_a_missing_picture_was_looked_for_is_no_place_since_its_rejection_says_so(plain):
    refs = next(table for _, table in plain.steps if table.label == 'refs shapes')
    store = next(step for step, _ in plain.steps if isinstance(step, FingerprintImages)).store
    more = replace(store, roots={**store.roots, 'shapes': (*store.roots['shapes'], 'nothing')})
    assert stamp(refs, more) != stamp(refs, store)
    photos = next(table for _, table in plain.steps if table.label == 'refs photos')
    assert stamp(photos, more) == stamp(photos, store)


def test_the_same_rows_cut_into_other_splits_and_files_are_picked_anew(plain, project):
    mix, recipe = open_snapshot(plain.folder / 'out/mix'), load_recipe(project.recipe)
    shards = [{**shard, 'sha256': 'another'} if i == 0 else shard for i, shard in enumerate(mix.manifest['shards'])]
    cut = Snapshot(mix.path, {**mix.manifest, 'shards': shards})
    assert cut.snapshot_id == mix.snapshot_id
    assert name_of(picking(recipe, cut)) != name_of(picking(recipe, mix))
    elsewhere = Snapshot(Path('elsewhere'), mix.manifest)
    assert name_of(picking(recipe, elsewhere)) == name_of(picking(recipe, mix)) in {table.path.name for _, table in plain.steps}
