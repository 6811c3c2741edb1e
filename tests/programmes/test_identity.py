"""What a snapshot's id depends on, and what it does not."""

import os
import shutil
from dataclasses import replace

import pytest

from schemas.errors import SnapshotExists
from schemas.snapshot import row_digest, snapshot_id
from tests.programmes.project import Project, ids, picture, rows_of
from tests.promises import promise

MULTI = ('--direct_running_mode=multi_processing', '--direct_num_workers=2')


@pytest.fixture
def copied(project, tmp_path) -> Project:
    """The same data in another place, with other modification times and files created in another order."""
    for path in sorted((p for p in project.root.rglob('*') if p.is_file()), reverse=True):
        target = tmp_path / 'elsewhere' / path.relative_to(project.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return replace(project, root=tmp_path / 'elsewhere')


@pytest.mark.integration
def test_another_root_out_work_and_modification_times_change_nothing(built, copied, tmp_path):
    copied.build(tmp_path / 'out', mix_only=True, work=tmp_path / 'work')
    assert ids(tmp_path / 'out') == ids(built.out)[:1]


@pytest.mark.integration
def test_bundles_that_run_twice_change_nothing(built, project, tmp_path):
    project.build(tmp_path / 'out', '--direct_runner_bundle_repeat=1', url=built.url)
    assert ids(tmp_path / 'out') == ids(built.out)


@pytest.mark.integration
@promise('Processes', 'Any number of worker processes makes the same snapshots', workers=3)
def test_worker_processes_change_nothing(built, project, tmp_path):
    project.build(tmp_path / 'out', url=built.url, workers=3)
    assert ids(tmp_path / 'out') == ids(built.out)
    project.build(tmp_path / 'beam', *MULTI, mix_only=True)
    assert ids(tmp_path / 'beam') == ids(built.out)[:1]


@pytest.mark.integration
def test_a_finished_build_does_nothing_when_it_is_run_again(built, project, server, capsys):
    asked, before = len(server.bodies), ids(built.out)
    manifests = [(built.out / kind / 'manifest.json').read_bytes() for kind in ('mix', 'triples')]
    project.build(built.out, url=built.url)
    told = capsys.readouterr().out
    assert 'mix: nothing to do' in told
    assert 'triples: nothing to do' in told
    assert ids(built.out) == before
    assert [(built.out / kind / 'manifest.json').read_bytes() for kind in ('mix', 'triples')] == manifests
    assert all('Hello!' in str(body) for body in server.bodies[asked:]), 'only the probes that show the server is there'


@pytest.mark.integration
def test_a_threshold_that_decides_something_changes_the_id_and_one_that_does_not_leaves_it(built, project, tmp_path, capsys):
    work = built.out / 'work'
    project.build(tmp_path / 'low', mix_only=True, work=work, sets=('images.min_side_px=26',))
    assert ids(tmp_path / 'low') != ids(built.out)[:1]
    small = {row['id'] for row in rows_of(tmp_path / 'low/mix', 'rejections') if row['reason'] == 'IMAGE_TOO_SMALL'}
    assert small == {f'shapes/imgs/{name}.png' for name in ('s0', 's1', 'tiny')}
    project.build(tmp_path / 'same', mix_only=True, work=work, sets=('text.max_answer_chars=4000',))
    assert ids(tmp_path / 'same') == ids(built.out)[:1]


@pytest.mark.integration
def test_a_new_margin_decides_again_without_a_model_call(built, project, server, tmp_path):
    asked = len(server.bodies)
    project.build(tmp_path / 'out', url=built.url, work=built.out / 'work', sets=('judge.margin=0.9',))
    mix, triples = ids(tmp_path / 'out')
    assert mix == ids(built.out)[0]
    assert triples != ids(built.out)[1]
    reasons = [row['reason'] for row in rows_of(tmp_path / 'out/triples', 'rejections')]
    assert reasons.count('LOW_MARGIN') > 10
    assert all('Hello!' in str(body) for body in server.bodies[asked:])


@pytest.mark.integration
def test_a_picture_replaced_between_two_builds_in_one_working_folder_gives_the_id_of_a_fresh_build(copied, tmp_path):
    """Whatever the tables of the first build left there must not be taken for the second's."""
    copied.build(tmp_path / 'first', mix_only=True, work=tmp_path / 'work')
    (copied.root / 'shapes/imgs/s7.png').write_bytes(picture('another', side=31))
    copied.build(tmp_path / 'second', mix_only=True, work=tmp_path / 'work')
    copied.build(tmp_path / 'fresh', mix_only=True)
    assert ids(tmp_path / 'second') == ids(tmp_path / 'fresh') != ids(tmp_path / 'first')
    rows = [{name: value for name, value in row.items() if name != 'images'} for row in rows_of(tmp_path / 'second/mix')]
    rejected = rows_of(tmp_path / 'second/mix', 'rejections')
    assert snapshot_id(map(row_digest, rows), map(row_digest, rejected)) == ids(tmp_path / 'second')[0]


@pytest.mark.integration
def test_touched_pictures_are_looked_at_again_and_change_nothing(copied, tmp_path, capsys):
    copied.build(tmp_path / 'out', mix_only=True)
    before = ids(tmp_path / 'out')
    for path in copied.root.rglob('*.png'):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    copied.build(tmp_path / 'out', mix_only=True)
    assert ids(tmp_path / 'out') == before
    copied.build(tmp_path / 'out', mix_only=True)
    assert 'mix: nothing to do' in capsys.readouterr().out


@pytest.mark.integration
def test_other_inputs_never_replace_a_sealed_snapshot(built, copied):
    with pytest.raises(SnapshotExists, match='expected no snapshot or one of this very build'):
        copied.build(built.out, mix_only=True, sets=('images.min_side_px=26',))
