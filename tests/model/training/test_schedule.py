"""The learning rate of every step: settled at the start, whatever --max-steps says later."""

import json
import math
import shutil
from dataclasses import asdict, replace

import pytest

from model.training.schedule import Schedule, make_schedule, resumed_schedule
from model.training.settings import TrainSettings, as_json
from model.training.train import train
from schemas.errors import UserError
from tests.model.training.snapshots import SMALL, make_row, write_snapshot
from tests.model.training.test_train import log_of

FAST = {'preset': SMALL, 'batch_rows': 4, 'quiet': True}


def settings(**values) -> TrainSettings:
    return TrainSettings(**{'learning_rate': 1.0, 'final_learning_rate': 0.0, 'po_start': 0.0, **values})


def rates(schedule: Schedule, steps: int) -> list[float]:
    return [round(schedule.rate(done), 4) for done in range(steps)]


def test_a_cosine_goes_from_the_first_step_on_to_its_end_and_rests_there():
    """Half a period over 4 steps: 1, (1 + cos 45 degrees) / 2, 1/2, ..., then 0."""
    half = (1 + math.cos(math.pi / 4)) / 2
    assert rates(make_schedule(settings(), 4), 6) == [1, round(half, 4), 0.5, round(1 - half, 4), 0, 0]
    assert rates(make_schedule(settings(schedule_steps=2), 4), 4) == [1, 0.5, 0, 0]


def test_warm_up_rises_in_a_line_and_the_rest_follows():
    assert rates(make_schedule(settings(warmup_ratio=0.5), 4), 5) == [0.5, 1, 1, 0.5, 0]
    assert rates(make_schedule(settings(warmup_ratio=0.5, schedule='constant'), 4), 6) == [0.5, 1, 1, 1, 1, 1]


def test_wsd_is_stable_until_a_fifth_before_the_end():
    assert rates(make_schedule(settings(schedule='wsd', warmup_ratio=0.2), 10), 12) == [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 0.5, 0, 0]
    assert rates(make_schedule(settings(schedule='wsd', decay_steps=4), 6), 7) == [1, 1, 1, 0.75, 0.5, 0.25, 0]


@pytest.mark.parametrize('schedule', ['constant', 'cosine', 'wsd'])
def test_a_decay_begins_where_it_is_told_to(schedule):
    found = make_schedule(settings(schedule=schedule, decay_start=2, decay_steps=2), 100)
    top = found.plain(2)
    assert rates(found, 6)[2:] == [round(rate, 4) for rate in (top, top / 2, 0, 0)]


def test_a_decay_before_the_end_of_warm_up_is_refused():
    with pytest.raises(UserError, match='decay_start: expected the decay to begin after the 5 steps of warm-up, found it at step 3'):
        make_schedule(settings(schedule='wsd', warmup_ratio=0.5, decay_start=3), 10)


@pytest.mark.parametrize(
    ('schedule', 'steps', 'words'),
    [
        (make_schedule(settings(), 4), 4, 'cosine 1 to 0 over 4 steps'),
        (make_schedule(settings(), 4), 6, 'cosine 1 to 0 over 4 steps, 0 for the 2 steps after that'),
        (make_schedule(settings(schedule='constant', warmup_ratio=0.5), 4), 9, 'warm-up of 2 steps, constant 1'),
        (make_schedule(settings(schedule='wsd'), 10), 11, 'constant 1, from step 8 on down to 0 in 2, 0 for the 1 steps after that'),
    ],
)
def test_a_run_says_its_schedule_and_how_long_it_rests_behind_it(schedule, steps, words):
    assert schedule.describe(steps) == words


WSD = {'schedule': 'wsd', 'warmup_ratio': 0.1, 'schedule_steps': 100}


def test_what_leaves_the_past_alone_may_change():
    was = settings(**WSD)
    before = make_schedule(was, 7)
    for change in ({'schedule_steps': 1000}, {'decay_start': 50, 'decay_steps': 9}, {'final_learning_rate': 0.1}, {}, {'schedule_steps': None}):
        now = settings(**WSD | change)
        schedule, faults = resumed_schedule(now, before, as_json(was), 50)
        assert faults == []
        assert schedule.warmup == 10
    for change in ({'schedule': 'cosine'}, {'learning_rate': 0.5}, {'warmup_ratio': 0.2}, {'decay_start': 49, 'decay_steps': 9}):
        now = settings(**WSD | change)
        _, faults = resumed_schedule(now, before, as_json(was), 51)
        assert faults[-1].startswith('learning rate of step')
        assert any(name in faults[0] for name in change)


def test_a_decay_can_break_off_another_one():
    """wsd of 10 steps decays from 8 on: 1, 0.5; a decay of 5 from 9 on goes on from 0.5, and resumed again it stays what it was."""
    was = settings(schedule='wsd')
    now = settings(schedule='wsd', decay_start=9, decay_steps=5)
    schedule, faults = resumed_schedule(now, make_schedule(was, 10), as_json(was), 9)
    assert faults == []
    assert rates(schedule, 15)[7:] == [1, 1, 0.5, 0.4, 0.3, 0.2, 0.1, 0]
    assert resumed_schedule(now, Schedule(**json.loads(json.dumps(asdict(schedule)))), as_json(now), 11) == (schedule, [])
    assert resumed_schedule(settings(schedule='wsd'), schedule, as_json(now), 11)[1]


@pytest.fixture(scope='module')
def snapshot(tmp_path_factory):
    return write_snapshot(tmp_path_factory.mktemp('snap') / 's', [make_row(index) for index in range(24)], group=8)


def lr(out) -> list[float]:
    return [record['lr'] for record in log_of(out)]


def test_a_longer_run_leaves_the_learning_rate_of_what_was_done(snapshot, tmp_path):
    train(snapshot, tmp_path / 'a', max_steps=3, **FAST)
    done = lr(tmp_path / 'a')
    train(snapshot, tmp_path / 'a', max_steps=5, **FAST)
    assert lr(tmp_path / 'a') == [*done, 1e-4, 1e-4]
    train(snapshot, tmp_path / 'b', max_steps=2, schedule_steps=4, **FAST)
    train(snapshot, tmp_path / 'b', max_steps=4, **FAST)
    train(snapshot, tmp_path / 'whole', max_steps=4, **FAST)
    assert lr(tmp_path / 'b') == lr(tmp_path / 'whole')
    with pytest.raises(UserError, match=r'schedule_steps: 4 before, 9 now; learning rate of step 2: .* before, .* now; set them as before'):
        train(snapshot, tmp_path / 'b', max_steps=5, schedule_steps=9, **{**FAST})


def test_a_checkpoint_without_a_schedule_goes_on_under_its_cosine(snapshot, tmp_path):
    checkpoint = train(snapshot, tmp_path / 'a', max_steps=2, **FAST).checkpoint
    state = json.loads((checkpoint / 'training.json').read_text())
    new = ('schedule', 'schedule_steps', 'warmup_ratio', 'decay_steps', 'decay_start', 'max_dropped')
    old = {**state, 'settings': {name: value for name, value in state['settings'].items() if name not in new}}
    for name in ('schedule', 'dropped'):
        old.pop(name)
    (checkpoint / 'training.json').write_text(json.dumps(old))
    shutil.copytree(tmp_path / 'a', tmp_path / 'b')
    assert train(snapshot, tmp_path / 'a', max_steps=4, **FAST).steps == 2
    assert lr(tmp_path / 'a')[2:] == [1e-4, 1e-4]
    with pytest.raises(UserError, match='learning_rate: 0.001 before, 0.01 now'):
        train(snapshot, tmp_path / 'b', max_steps=4, learning_rate=0.01, **FAST)


def test_a_decay_starts_from_any_checkpoint_beside_the_run_that_goes_on(snapshot, tmp_path):
    run = {'schedule': 'constant', 'save_every': 2, 'keep_last': 0, **FAST}
    train(snapshot, tmp_path / 'run', max_steps=5, **run)
    early, branch = tmp_path / 'run' / 'step-00000002', tmp_path / 'decayed'
    result = train(snapshot, branch, max_steps=4, resume=early, decay_start=2, decay_steps=2, **run)
    assert (result.steps, result.state.step, result.state.position) == (2, 4, 16)
    assert lr(branch) == pytest.approx([1e-3, 5.5e-4])
    assert lr(tmp_path / 'run') == [1e-3] * 5
    shutil.rmtree(branch / 'step-00000004')
    assert train(snapshot, branch, max_steps=4, resume=early, decay_start=2, decay_steps=2, **run).steps == 2
    assert train(snapshot, tmp_path / 'run', max_steps=7, decay_start=5, decay_steps=2, **run).last['lr'] == pytest.approx(5.5e-4)
    with pytest.raises(UserError, match='max_steps: expected more than the 5 steps'):
        train(snapshot, tmp_path / 'more', max_steps=3, resume=tmp_path / 'run' / 'step-00000005', **run)


def test_the_preference_loss_joins_where_it_is_told_to_and_a_longer_run_leaves_that(snapshot, tmp_path):
    """Half of 4 steps: rejected answers do nothing before. In pieces, and longer, over the border: the same."""
    late = {'po_start': 0.5, 'po_weight': 1.0, **FAST}
    train(snapshot, tmp_path / 'late', max_steps=4, **late)
    whole = log_of(tmp_path / 'late')
    train(snapshot, tmp_path / 'sft', max_steps=4, po_weight=0.0, **FAST)
    sft = log_of(tmp_path / 'sft')
    assert [record['po'] is None for record in whole] == [True, True, False, False]
    assert [record['sft'] for record in whole[:3]] == pytest.approx([record['sft'] for record in sft[:3]], rel=1e-5)
    assert whole[3]['sft'] != pytest.approx(sft[3]['sft'], rel=1e-5)
    train(snapshot, tmp_path / 'pieces', max_steps=1, schedule_steps=4, **late)
    train(snapshot, tmp_path / 'pieces', max_steps=6, schedule_steps=4, **late)
    pieces = log_of(tmp_path / 'pieces')
    assert [record['po'] is None for record in pieces] == [True, True, False, False, False, False]
    assert [record['loss'] for record in pieces[:4]] == pytest.approx([record['loss'] for record in whole], rel=1e-5)


def test_a_horizon_that_grows_leaves_the_step_at_which_the_preference_loss_joins():
    now = settings(schedule='constant', po_start=0.5, schedule_steps=100)
    begun = make_schedule(replace(now, schedule_steps=10), 10)
    found, faults = resumed_schedule(now, begun, as_json(replace(now, schedule_steps=10)), 7)
    assert (found.po_from, found.end, faults) == (5, 100, [])
    assert make_schedule(settings(stage=2, po_start=0.5), 10).po_from == 0


def test_a_checkpoint_older_than_the_setting_had_the_preference_loss_from_its_first_step(snapshot, tmp_path):
    """Of settings that it does not have the run is not told that they changed."""
    folder = train(snapshot, tmp_path / 'old', max_steps=2, po_start=0.0, **FAST).checkpoint
    state = json.loads((folder / 'training.json').read_text())
    del state['settings']['po_start'], state['schedule']['po_from']
    (folder / 'training.json').write_text(json.dumps(state))
    assert train(snapshot, tmp_path / 'old', max_steps=3, po_start=0.0, **FAST).last['po'] is not None


def test_settings_of_the_preference_loss_mean_nothing_to_a_run_without_one(snapshot, tmp_path):
    """Their defaults may move between versions; a run of step 1 is told to set them as before."""
    for stage, run in ((2, tmp_path / 'two'), (1, tmp_path / 'one')):
        train(snapshot, run, max_steps=1, stage=stage, po_weight=1.0, po_start=0.0, **FAST)
    assert train(snapshot, tmp_path / 'two', max_steps=2, stage=2, **FAST).steps == 1
    with pytest.raises(UserError, match=r'po_weight: 1.0 before, 0.1 now; po_start: 0.0 before, 0.75 now; set them as before \(--set NAME=VALUE\), or'):
        train(snapshot, tmp_path / 'one', max_steps=2, **FAST)
