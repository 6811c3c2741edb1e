"""`phantom select`: decides again from what is stored, or refuses before anything is made."""

import pytest
from typer.testing import CliRunner

import phantom
from pipelines.triples.picks import PickSamples
from schemas.errors import UserError
from tests.programmes.project import ids, rows_of, write_project
from tests.promises import promise

NO_MODEL = ('generate=[{prompt: rules, per_sample: 2}]', 'judge={model: null, margin: 0.0}', 'sources.facts.answers=exact')

pytestmark = pytest.mark.integration


def select(project, work, out, *sets):
    words = [word for text in (*NO_MODEL, *sets) for word in ('--set', text)]
    return CliRunner().invoke(phantom.app, ['select', str(project.recipe), '--out', str(out), '--work', str(work), '--root', str(project.root), *words])


@promise('Snapshots', 'Another threshold has the ids of a fresh build with it, and files of which no row changed are not written again')
def test_select_decides_again_or_refuses_before_a_mix_is_made(tmp_path, monkeypatch):
    project = write_project(tmp_path)
    project.build(tmp_path / 'out', sets=NO_MODEL)
    work = tmp_path / 'out/work'
    made = {path: path.stat().st_mtime_ns for path in work.rglob('*') if path.name == '_DONE.json'}
    for sets, told in (
        (('judge.mode=pairwise',), 'expected finished tables in .*out/work, found calibration, verdicts not made for these settings'),
        (('calibration.min_cases=31',), 'found calibration not made for these settings'),
        (('triples.max_samples={shapes: 3}',), 'found picks not made for these settings'),
        (('images.min_side_px=26',), 'select: expected the sources and settings of the mix that was built in .*; use phantom build'),
        (('text.max_answer_chars=3',), 'select: expected the sources and settings of the mix that was built in .*; use phantom build'),
    ):
        done = select(project, work, tmp_path / 'refused', *sets)
        with pytest.raises(UserError, match=told):
            raise done.exception
    done = select(project, tmp_path / 'no work', tmp_path / 'refused')
    with pytest.raises(UserError, match='select: expected the sources and settings of the mix that was built in .*no work'):
        raise done.exception
    with monkeypatch.context() as later:
        later.setattr(PickSamples, 'VERSION', PickSamples.VERSION + 1)
        done = select(project, work, tmp_path / 'refused')
    with pytest.raises(UserError, match=rf'found picks of another one \(picks {PickSamples.VERSION} -> {PickSamples.VERSION + 1}\)'):
        raise done.exception
    assert not list((tmp_path / 'refused').iterdir())
    assert {path: path.stat().st_mtime_ns for path in work.rglob('*') if path.name == '_DONE.json'} == made

    done = select(project, work, tmp_path / 'again', 'triples.per_sample=1')
    assert done.exit_code == 0, done.output
    project.build(tmp_path / 'fresh', sets=(*NO_MODEL, 'triples.per_sample=1'))
    assert ids(tmp_path / 'again') == ids(tmp_path / 'fresh') != ids(tmp_path / 'out')
    assert 0 < len(rows_of(tmp_path / 'again/triples')) < len(rows_of(tmp_path / 'out/triples'))

    files = set(work.glob('triple_rows/*/*'))
    done = select(project, work, tmp_path / 'same', 'judge.margin=0.3')  # rules and computed answers know no margin
    assert done.exit_code == 0, done.output
    assert ids(tmp_path / 'same') == ids(tmp_path / 'out')
    assert set(work.glob('triple_rows/*/*')) == files, 'what stays the same is not written again'
    for file in (tmp_path / 'same/triples/data').iterdir():
        assert file.samefile(tmp_path / 'out/triples/data' / file.name)
