"""Rows that were left out by hand: in `select` and `build`, samples and triples, told everywhere; lists that are none are refused."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import phantom
from pipelines.mix.excluded import MOST_TAG_CHARS, digests_of, read_tags
from schemas.errors import UserError
from schemas.recipe import load_recipe
from schemas.snapshot import file_sha256, open_snapshot
from tests.programmes.project import ids, rows_of, write_project

NO_MODEL = ('generate=[{prompt: rules, per_sample: 2}]', 'judge={model: null, margin: 0.0}', 'sources.facts.answers=exact')


def tags_at(path: Path, tags: dict, **more: str) -> Path:
    path.write_text(json.dumps({'tags': tags, **more}), encoding='utf-8')
    return path


def front(*words: object) -> str:
    done = CliRunner().invoke(phantom.app, [str(word) for word in words])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def out_of(snapshot: Path) -> dict[str, str]:
    return {row['id']: row['detail'] for row in rows_of(snapshot, 'rejections') if row['reason'] == 'EXCLUDED'}


@pytest.mark.integration
def test_what_lists_name_is_left_out_alike_by_select_and_build_and_told_in_manifest_card_and_explain(tmp_path):
    project = write_project(tmp_path)
    project.build(tmp_path / 'out', sets=NO_MODEL)
    work, before = tmp_path / 'out/work', {row['triple_id']: row for row in rows_of(tmp_path / 'out/triples')}
    samples = [row['sample_id'] for row in rows_of(tmp_path / 'out/mix')]
    one, two = samples[0], samples[1]
    triple = next(name for name in before if before[name]['sample_id'] not in (one, two))
    first = tags_at(tmp_path / 'a.json', {'blurry': [one, two], 'wrong': [two, triple, 'nobody#1']}, snapshot_id=open_snapshot(tmp_path / 'out/triples').snapshot_id)
    second = tags_at(tmp_path / 'b.json', {'odd': [one, f'{before[triple]["sample_id"]}/rules-0.77']}, snapshot_id='e' * 64)
    common = ['--root', project.root, *(word for text in NO_MODEL for word in ('--set', text)), '--exclude', first, '--exclude', second]
    told = front('select', project.recipe, '--out', tmp_path / 'less', '--work', work, *common)
    assert 'exclude: 1 id(s) that name nothing here: nobody#1' in told
    assert 'rules-0.77' in told
    assert 'exclude: b.json: made from another snapshot, eeeeeeeeeeee' in told
    assert 'a.json: made from' not in told
    assert out_of(tmp_path / 'less/mix') == {one: 'tagged blurry, odd', two: 'tagged blurry, wrong'}
    assert out_of(tmp_path / 'less/triples') == {triple: 'tagged wrong'}
    assert [row['sample_id'] for row in rows_of(tmp_path / 'less/mix')] == [name for name in samples if name not in (one, two)]
    left = {row['triple_id'] for row in rows_of(tmp_path / 'less/triples')}
    assert left <= {name for name in before if name != triple and before[name]['sample_id'] not in (one, two)}

    manifest = open_snapshot(tmp_path / 'less/mix').manifest
    assert manifest['inputs']['excluded'] == [file_sha256(first), file_sha256(second)]
    assert manifest['excluded']['lists'][0] | {'snapshot_id': ''} == {'file': 'a.json', 'sha256': file_sha256(first), 'snapshot_id': '', 'tags': {'blurry': 2, 'wrong': 3}}
    assert (manifest['excluded']['samples'], manifest['excluded']['unknown']) == (2, 1)
    assert open_snapshot(tmp_path / 'less/triples').manifest['excluded']['candidates'] == 1
    for kind in ('mix', 'triples'):
        assert file_sha256(first)[:12] in (tmp_path / f'less/{kind}/README.md').read_text()
    assert 'EXCLUDED: tagged blurry, odd' in front('explain', one, '--build', tmp_path / 'less', '--work', work)
    assert 'EXCLUDED: tagged wrong' in front('explain', triple, '--build', tmp_path / 'less', '--work', work)

    front('select', project.recipe, '--out', tmp_path / 'mix-alone', '--work', work, '--mix-only', *common)
    assert (ids(tmp_path / 'mix-alone')[0], (tmp_path / 'mix-alone/triples').exists()) == (ids(tmp_path / 'less')[0], False)
    project.build(tmp_path / 'fresh', sets=(*NO_MODEL, f'exclude=[{first}, {second}]'))
    assert ids(tmp_path / 'fresh') == ids(tmp_path / 'less') != ids(tmp_path / 'out')
    assert 'nothing to do' in front('select', project.recipe, '--out', tmp_path / 'less', '--work', work, *common)
    assert ids(tmp_path / 'out')


def test_a_recipe_names_lists_beside_itself_and_the_option_adds_one(tmp_path):
    project = write_project(tmp_path)
    beside, other = tags_at(project.recipe.parent / 'tags.json', {'a': ['x']}), tags_at(tmp_path / 'other.json', {'a': ['y']})
    assert load_recipe(project.recipe, ['exclude=[tags.json]'], exclude=[other, beside]).exclude == [str(beside.resolve()), str(other.resolve())]
    assert 'exclude' not in load_recipe(project.recipe).model_dump()
    with pytest.raises(UserError, match=r'exclude.*expected a JSON file of tagged ids, found none: .*no\.json'):
        load_recipe(project.recipe, ['exclude=[no.json]'])


@pytest.mark.parametrize('text', [
    '', '[]', '["a"]', '{"tags": []}', '{"tags": {"a": "b"}}', '{"tags": {"a": [1]}}', '{"tags": {}}', '{"tags": {"a": []}}', '{"tags": {"": ["x"]}}', '[' * 100_000,
    '{"tags": {"a\\nb": ["x"]}}', json.dumps({'tags': {'a' * (MOST_TAG_CHARS + 1): ['x']}}), '\x00', '{"tags": {"a": ["x"]}', 'NaN',
])  # fmt: skip
def test_a_file_that_is_no_list_is_refused_in_a_sentence(tmp_path, text):
    (tmp_path / 'tags.json').write_text(text)
    with pytest.raises(UserError, match=r'exclude: .*tags\.json: expected .*, found'):
        read_tags(str(tmp_path / 'tags.json'))
    with pytest.raises(UserError, match='exclude: .*: expected'):
        digests_of([str(tmp_path / 'tags.json'), str(tmp_path)])
