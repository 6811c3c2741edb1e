"""`phantom rate --self` and `phantom compare`: what they write, what they refuse, and that they go on after a kill."""

import contextlib
import io
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.rating import compare, crossfit, rate
from model.rating.calibrate import Calibration, Share
from model.rating.compare import compare_mixes, paired
from model.rating.rate import rate_self
from model.training.checkpoint import TrainState
from model.training.settings import load_preset
from schemas.errors import UserError
from schemas.publish import publish_json
from schemas.records import PROPOSALS, RATINGS
from schemas.snapshot import open_snapshot
from tests.model.rating.mixes import NAMES, mix_row, text_row, write_mix
from tests.model.training.snapshots import SMALL, make_row, write_snapshot

QUICK = {'preset': SMALL, 'steps': 2, 'quiet': True, 'settings': {'batch_rows': 4, 'micro_batch_rows': 4}}


@pytest.fixture(scope='module')
def mix(tmp_path_factory):
    rows = [mix_row(at, label='<b>red</b>' if at == 5 else '') for at in range(24)] + [text_row(at, f'Is {at} even?', 'yes') for at in range(4)]
    return write_mix(tmp_path_factory.mktemp('mix') / 'mix', rows)


@dataclass
class Run:
    """A run that was killed while it trained the second model, and then went on to its end."""

    out: Path
    found: dict
    said: str
    trained: list[int]  # seeds of the models that were begun
    after_kill: set[str]  # what lay in `out` then


@pytest.fixture(scope='module')
def rated(mix, tmp_path_factory):
    out, said, trained, real = tmp_path_factory.mktemp('rated'), io.StringIO(), [], crossfit.train_rows

    def dies_in_the_second(stepper, state, rows, **options):
        trained.append(state.settings['seed'])
        if len(trained) == 2:
            raise KeyboardInterrupt
        return real(stepper, state, rows, **options)

    told = {**QUICK, 'quiet': False}
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.setattr(crossfit, 'train_rows', dies_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            rate_self(mix, out, folds=2, precision=0.95, **told)
        after = {path.name for path in out.iterdir()}
        found = rate_self(mix, out, folds=2, precision=0.95, **told)
    return Run(out, found, said.getvalue(), trained, after)


def details(out):
    return {row['sample_id']: row for row in pq.read_table(out / 'details.parquet').to_pylist()}


def test_each_row_is_rated_or_says_why_not(rated):
    rows = details(rated.out)
    assert len(rows) == 28
    assert rated.found['rated'] == 24
    assert rated.found['left_out'] == {'NO_ALTERNATIVE': 4}, 'all four sums have one answer'
    assert all((row['score'] is None) == bool(row['left_out']) for row in rows.values())
    assert {row['fold'] for row in rows.values()} == {0, 1}
    for name, row in rows.items():
        if row['score'] is not None:
            assert 0 <= row['score'] <= 1
            assert row['chance'] == row['chances'][0]
            assert row['planted_at'] > 0
            assert sum(row['chances']) == pytest.approx(1)
            assert len(row['chances']) == len(NAMES) + 1, f'{name}: four colours and <b>red</b>'


def test_a_killed_run_goes_on_with_the_fold_it_was_at(rated):
    assert rated.after_kill == {'work'}, 'ratings are whole or not there'
    assert rated.trained == [0, 1, 1]
    assert 'fold 1: rated before' in rated.said


def test_minutes_are_told_ahead(rated):
    assert rated.said.index('minutes: 2 fold(s) of 2 steps of 4 rows') < rated.said.index('fold 1: trained')
    assert 'minutes: 1 fold(s) of 2 steps' in rated.said, 'of what is missing'


def test_ratings_are_in_the_form_that_recipes_read_and_chance_gets_no_score(rated):
    """After two steps nothing is learnt."""
    table = pq.read_table(rated.out / 'ratings.parquet')
    assert table.schema.equals(pa.schema([*RATINGS, *PROPOSALS]))
    assert table['proposed'].null_count == 28, 'who knows nothing proposes nothing'
    assert (table.num_rows, table['score'].null_count, rated.found['chance'], rated.found['threshold']) == (28, 28, ['squares'], None)
    assert json.loads((rated.out / 'rating.json').read_text())['by'] == rated.found['by']


def test_a_model_that_is_there_is_not_trained_again_and_scores_better_than_chance_are_written(rated, mix, monkeypatch):
    before = details(rated.out)
    for fold in rated.out.glob('work/*/fold-*.parquet'):
        fold.unlink()
    monkeypatch.setattr(crossfit, 'train_rows', lambda *a, **k: pytest.fail('trained'))
    monkeypatch.setattr(rate.Calibration, 'is_chance', False)
    found = rate_self(mix, rated.out, folds=2, **QUICK)
    assert details(rated.out) == before
    rows = pq.read_table(rated.out / 'ratings.parquet').to_pylist()
    assert {row['sample_id']: row['score'] for row in rows} == {name: row['score'] for name, row in before.items()}
    assert {(row['ask'], row['by']) for row in rows} == {('correct', found['by'])}
    likelier = {name: row['other'] for name, row in before.items() if row['score'] is not None and row['other_p'] > row['score']}
    assert {row['sample_id']: row['proposed'] for row in rows if row['proposed'] is not None} == likelier


def test_a_second_round_learns_without_what_the_first_doubts(mix, tmp_path, monkeypatch):
    doubted, learnt, real = frozenset({'squares/rows.json#3/0', 'squares/rows.json#7/0'}), [], crossfit.batch_shares

    def watched(rows, *a, **k):
        learnt.append(set())
        return real((learnt[-1].add(row['sample_id']) or row for row in rows), *a, **k)

    monkeypatch.setattr(crossfit, 'batch_shares', watched)
    monkeypatch.setattr(rate, 'likelier_wrong', lambda *a: doubted)
    told = {**QUICK, 'steps': 8}
    found = rate_self(mix, tmp_path, folds=2, rounds=3, **told)
    assert len(learnt) == 4, 'two rounds of two models: a third would learn from the same rows'
    assert doubted <= learnt[0] | learnt[1]
    assert not doubted & (learnt[2] | learnt[3])
    assert len(details(tmp_path)) == 28, 'what is not learnt from is rated all the same'
    assert found['learnt_without'] == 2
    first = rate_self(mix, tmp_path, folds=2, rounds=1, **told)
    assert len(learnt) == 4, 'the first round is kept'
    assert first['by'] != found['by']
    with pytest.raises(UserError, match='--rounds: expected at least 1, found 0'):
        rate_self(mix, tmp_path, folds=2, rounds=0, **told)


def test_likelier_wrong_is_told_of_sources_that_can_be_trusted_only():
    table = pa.table({'sample_id': ['a', 'b', 'c', 'd'], 'source': ['x', 'x', 'y', 'x'], 'score': [0.4, 0.5, 0.1, None]})
    of = {'x': Calibration('x', 3, Share(0.9, 0.8, 1.0), Share(0.1, 0, 1), ()), 'y': Calibration('y', 1, Share(0.5, 0.2, 0.8), Share(0.1, 0, 1), ())}
    assert rate.likelier_wrong(of, table) == {'a'}


def test_the_report_shows_texts_as_texts(rated):
    page = (rated.out / 'report.html').read_text()
    assert '&lt;b&gt;red&lt;/b&gt;' in page
    assert '<b>red' not in page
    assert page.count('<article>') == 24
    assert page.count('data:image/png') == 24


def test_other_settings_are_another_work(mix):
    opened = open_snapshot(mix, 'mix')
    names = [
        crossfit.make_plan(opened, load_preset(SMALL, **settings), folds=folds, steps=steps, init=None).name
        for folds, steps, settings in ((2, 2, {}), (2, 3, {}), (3, 2, {}), (2, 2, {'seed': 1}), (2, 2, {'learning_rate': 2e-3}), (2, 2, {}))
    ]
    assert len(set(names)) == 5
    assert names[0] == names[-1]


@pytest.mark.parametrize(('options', 'message'), [
    ({'folds': 1}, 'expected at least 2 folds, found 1'),
    ({'folds': 3, 'steps': 0}, 'expected at least 1, found 0'),
    ({'folds': 3, 'precision': 95}, 'expected a share above 0 and at most 1, found 95'),
    ({'folds': 20}, 'expected pictures or questions enough for 20 folds'),
])  # fmt: skip
def test_what_cannot_be_is_refused(tmp_path, options, message):
    few = write_mix(tmp_path / 'm', [mix_row(at, stars=['one star']) for at in range(9)])
    with pytest.raises(UserError, match=message):
        rate_self(few, tmp_path / 'out', **{**QUICK, **options})
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('below', ['', 'rated'])
def test_nothing_is_written_into_the_sealed_mix(tmp_path, below):
    few = write_mix(tmp_path / 'm', [mix_row(at, stars=[f'star {at}']) for at in range(9)])
    path = open_snapshot(few, 'mix').path
    before = sorted(path.rglob('*'))
    with pytest.raises(UserError, match='--out: expected a folder outside the sealed mix'):
        rate_self(few, path / below, **{**QUICK, 'folds': 2})
    assert sorted(path.rglob('*')) == before


def test_mixes_are_compared_with_equal_steps_on_rows_that_neither_shows(mix, tmp_path, capsys, monkeypatch):
    other = write_mix(tmp_path / 'b', [mix_row(at, label='red') for at in range(24)], snapshot_id='b' * 64)
    held = write_mix(tmp_path / 'c', [mix_row(at) for at in (3, 40, 41, 42)], snapshot_id='c' * 64)
    found = compare_mixes(mix, other, held, seeds=2, out=tmp_path / 'kept', **QUICK)
    assert found['held_out'] == {'snapshot_id': 'c' * 64, 'rows': 3, 'left_out': 1}
    assert [len(found[arm]['loss']) for arm in 'ab'] == [2, 2]
    losses = [b - a for a, b in zip(found['a']['loss'], found['b']['loss'])]
    assert found['difference']['loss']['mean'] == pytest.approx(sum(losses) / 2)
    monkeypatch.setattr('model.rating.compare.train_rows', lambda *a, **k: pytest.fail('trained'))
    assert compare_mixes(mix, other, held, seeds=2, out=tmp_path / 'kept', **QUICK) == found
    compare_mixes(mix, other, held, seeds=1, out=tmp_path / 'kept', **{**QUICK, 'quiet': False})
    said = capsys.readouterr().out
    assert 'one seed: no interval' in said
    assert 'no model answers anything right: 2 steps teach' in said


def test_a_mix_is_no_better_than_itself(mix, tmp_path):
    held = write_mix(tmp_path / 'c', [mix_row(at) for at in (40, 41)], snapshot_id='c' * 64)
    found = compare_mixes(mix, mix, held, seeds=2, **QUICK)
    assert found['difference'] == {'right': {'mean': 0, 'half': 0}, 'loss': {'mean': 0, 'half': 0}}


def test_a_held_out_mix_that_is_not_held_out_is_refused(mix, tmp_path):
    with pytest.raises(UserError, match='found all 28 in them'):
        compare_mixes(mix, mix, mix, **QUICK)


def test_a_place_that_cannot_be_written_to_is_told_before_anything_is_trained(mix, tmp_path, monkeypatch):
    (tmp_path / 'file').touch()
    held = write_mix(tmp_path / 'c', [mix_row(40)], snapshot_id='c' * 64)
    monkeypatch.setattr('model.rating.compare.train_rows', lambda *a, **k: pytest.fail('trained'))
    monkeypatch.setattr(crossfit, 'train_rows', lambda *a, **k: pytest.fail('trained'))
    with pytest.raises(UserError, match='expected a place to read or write'):
        compare_mixes(mix, mix, held, out=tmp_path / 'file/kept', **QUICK)
    with pytest.raises(UserError, match='expected a place to read or write'):
        rate_self(mix, tmp_path / 'file/rated', folds=2, **QUICK)


def test_differences_are_paired_by_seed():
    """Differences 1, 2, 3: mean 2, sd 1, t of two degrees of freedom 4.3027, so half is 4.3027 / sqrt(3)."""
    found = paired([10, 20, 30], [11, 22, 33])
    assert found.mean == 2
    assert found.half == pytest.approx(4.302653 / math.sqrt(3))


def test_settings_that_a_mix_has_nothing_for_are_refused(mix, tmp_path):
    with pytest.raises(UserError, match='kinds, min_score: expected settings that a mix knows'):
        rate_self(mix, tmp_path, folds=2, preset=SMALL, settings={'kinds': ['incorrect'], 'min_score': 0.5})


def test_a_picture_that_is_in_another_star_of_a_mix_is_not_held_out(mix, tmp_path):
    held = write_mix(tmp_path / 'c', [mix_row(3, stars=['another survivor']), mix_row(50)], snapshot_id='c' * 64)
    assert compare_mixes(mix, mix, held, seeds=1, **QUICK)['held_out']['left_out'] == 1


@pytest.mark.parametrize('learnt_from', ['a' * 64, 'a' * 64 + '/0123456789ab/1', 'b' * 64])
def test_a_start_that_has_seen_the_answers_is_refused(tmp_path, learnt_from):
    mix = write_mix(tmp_path / 'build/mix', [mix_row(at) for at in range(9)])
    write_snapshot(tmp_path / 'build/triples', [make_row(0)], snapshot_id='b' * 64)
    start = tmp_path / 'run/step-00000001'
    start.mkdir(parents=True)
    publish_json(start / 'training.json', asdict(TrainState(learnt_from, 1, 4, 4, 0, 1, 'tiny', None, {})))
    with pytest.raises(UserError, match='expected weights that have not learnt from .*build/mix, found a checkpoint that was trained on it'):
        rate_self(mix, tmp_path / 'out', folds=2, init=tmp_path / 'run', **QUICK)
    other = write_mix(tmp_path / 'other', [mix_row(at) for at in range(20, 29)], snapshot_id='d' * 64)
    with pytest.raises(UserError, match='expected weights that have not learnt from .*build/mix, found a checkpoint that was trained on it'):
        compare_mixes(other, other, mix, init=tmp_path / 'run', **QUICK)


def test_a_start_that_is_none_is_told_before_anything_is_read_or_made(mix, tmp_path, monkeypatch):
    held = write_mix(tmp_path / 'c', [mix_row(40)], snapshot_id='c' * 64)
    for at in (crossfit, compare):
        monkeypatch.setattr(at, 'read_rows', lambda *a, **k: pytest.fail('read'))
    with pytest.raises(UserError, match='nope: expected step-N folders or a saved model, found none'):
        compare_mixes(mix, mix, held, init=tmp_path / 'nope', out=tmp_path / 'out', **QUICK)
    with pytest.raises(UserError, match='nope: expected step-N folders or a saved model, found none'):
        rate_self(mix, tmp_path / 'out', folds=2, init=tmp_path / 'nope', **QUICK)
    assert not (tmp_path / 'out').exists()
