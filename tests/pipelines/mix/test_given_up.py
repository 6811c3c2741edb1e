"""Pictures that the disk does not give: they wait, or are given up for this once, and a build after the disk is well is what a good one is."""

import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from pipelines.build import Way, build_all
from pipelines.mix import fingerprints
from pipelines.mix.stamps import settled, settled_all
from pipelines.sources.images import UNREADABLE
from schemas.errors import PendingWork, SnapshotExists, Unreadable
from schemas.recipe import load_recipe
from tests.failing_disk import failing
from tests.pipelines.mix.test_stamps import Source, source
from tests.programmes.project import ids, rows_of, write_project
from tests.promises import promise

UNREAD = ('s1.png', 's2.png')
ONE_SOURCE = (*(f'sources.{name}=null' for name in ('charts', 'photos', 'facts')), 'contamination.benchmarks=[]', 'generate=[]', 'triples={}')


def given_up(some: Source) -> Source:
    return Source(some.folder, replace(some.step, store=replace(some.step.store, give_up=True)), some.engine)


def reasons(some: Source) -> dict[str, str]:
    rows = [row for path in some.engine.table(some.settle()).parts('rejections') for row in pq.read_table(path).to_pylist()]
    return {row['id']: f'{row["reason"]}: {row["detail"]}' for row in rows}


def test_the_shards_with_such_pictures_wait_and_the_others_are_made(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprints, 'SHARD_IMAGES', 2)
    some = source(tmp_path)
    with failing('EIO', '/1.png', '/3.png'), pytest.raises(PendingWork) as told:
        some.facts()
    assert told.value.code == 4
    assert all(words in str(told.value) for words in (
        'shard(s) wait, all others are kept', 'expected 2 file(s)', 's/1.png (Input/output error, at ', 's/3.png', 'run the same command again',
        'or add --give-up to leave these pictures out (IMAGE_UNREADABLE)'))
    assert str(told.value).count('\n') == 0
    table = some.engine.table(some.settle())
    assert table.done() is None
    assert set(some.facts()) == {f's/{i}.png' for i in range(5)}, 'and the next run makes what waited'


def test_a_given_up_picture_is_looked_at_again_by_the_next_build_and_by_that_alone(tmp_path):
    some, good = source(tmp_path / 'a'), source(tmp_path / 'b')
    with failing('EIO', '/1.png'):
        assert set(given_up(some).facts()) == {f's/{i}.png' for i in (0, 2, 3, 4)}
        assert reasons(given_up(some))['s/1.png'] == f'IMAGE_UNREADABLE: {fingerprints.GIVEN_UP}'
        first = given_up(some).settle()
        assert given_up(some).settle() == first, 'a second build that gives up finds the table of the first'
        with pytest.raises(Unreadable, match='s/1.png'):
            some.settle()
    assert some.facts() == good.facts()
    assert reasons(some) == reasons(good)
    assert given_up(some).facts() == good.facts(), 'who gives up loses nothing that can be read'
    assert some.settle() == some.settle()


def test_who_may_not_even_be_asked_for_can_be_given_up_too(tmp_path):
    some, good = source(tmp_path / 'a'), source(tmp_path / 'b')
    with failing('EACCES', '/1.png', at='stat'):
        with pytest.raises(Unreadable, match='s/1.png .Permission denied'):
            some.settle()
        given_up(some).facts()
        assert 's/1.png' in reasons(given_up(some))
        with pytest.raises(Unreadable):
            some.settle()
    assert some.facts() == good.facts()


def test_the_tables_of_other_sources_are_made_first(tmp_path):
    ill, well = source(tmp_path / 'a'), source(tmp_path / 'b')
    with failing('EACCES', 'a/in/1.png', at='stat'), pytest.raises(Unreadable, match='s/1.png'):
        settled_all([ill.step, well.step], well.engine)
    assert well.engine.table(settled(well.step, well.engine)).done()


def test_what_was_seen_of_a_given_up_picture_says_so(tmp_path):
    some = given_up(source(tmp_path))
    with failing('ENFILE', '/1.png'):
        some.facts()
        seen = fingerprints.seen_in(some.engine.table(some.settle()).path, 0)
    assert (tuple(seen[1]['status'].tolist()), seen[1]['sha'].tobytes()) == (UNREADABLE, fingerprints.NO_SHA)


@promise('Disks', 'A build on a failing disk ends with exit code 4 and, run again when the disk is well, seals what a good build seals')
@promise('Disks', '--give-up seals without what cannot be read, as IMAGE_UNREADABLE; a later build reads it again')
@pytest.mark.integration
def test_whole_builds_on_a_failing_disk(tmp_path):
    project = write_project(tmp_path / 'project')
    recipe = load_recipe(project.recipe, ONE_SOURCE)

    def build(name: str, *, give_up: bool = False, work: str = '') -> None:
        work = tmp_path / work / 'work' if work else None
        build_all(recipe, tmp_path / name, Way(work, project.root, mix_only=True, give_up=give_up))

    build('good')
    with failing('EIO', *UNREAD):
        with pytest.raises(PendingWork, match='image_facts shapes: 1 shard.s. wait') as told:
            build('out')
        assert 'IMAGE_UNREADABLE' in str(told.value)
        assert not (tmp_path / 'out/mix').exists()
    build('out')
    assert ids(tmp_path / 'out') == ids(tmp_path / 'good')

    with failing('EIO', *UNREAD):
        build('lost', give_up=True)
        rejected = {row['id']: row['detail'] for row in rows_of(tmp_path / 'lost/mix', 'rejections') if row['reason'] == 'IMAGE_UNREADABLE'}
        assert rejected == {f'shapes/imgs/{name}': fingerprints.GIVEN_UP for name in UNREAD}
        build('lost', give_up=True)  # nothing to do
        with pytest.raises(PendingWork):
            build('lost')
    lines = [line for line in json.loads((tmp_path / 'lost/mix/manifest.json').read_text())['yield'] if line['unit'] == 'image']
    assert [(line['n_in'] - line['kept'] - sum(line['rejected'].values()), line['rejected']['IMAGE_UNREADABLE']) for line in lines] == [(0, len(UNREAD))]
    with failing('ESTALE', *UNREAD):
        build('as lost', give_up=True)
    assert ids(tmp_path / 'as lost') == ids(tmp_path / 'lost'), 'the error is no part of the identity'
    build('found', work='lost')
    assert ids(tmp_path / 'found') == ids(tmp_path / 'good') != ids(tmp_path / 'lost')
    with pytest.raises(SnapshotExists):
        build('lost')
