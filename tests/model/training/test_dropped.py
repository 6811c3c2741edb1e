"""A run that leaves out more rows than it was allowed to ends with an error, and keeps what it learned."""

import pytest

from model.training.checkpoint import TrainState, checkpoints, read_state
from model.training.dropped import dropped_fault
from model.training.settings import TrainSettings
from model.training.train import train
from schemas.errors import UserError
from tests.model.training.snapshots import SMALL, make_row, write_snapshot

FAST = {'preset': SMALL, 'batch_rows': 4, 'quiet': True}
ROWS = [make_row(index) for index in range(24)]


def with_broken(share: int) -> list[dict]:
    """Rows of which every `share`-th has a picture that is none."""
    return [{**row, 'images': [{'bytes': b'junk', 'path': None}]} if row['images'] and index % share == 0 else row for index, row in enumerate(ROWS)]


def test_a_run_that_drops_more_than_it_may_ends_with_an_error_and_keeps_its_checkpoint(tmp_path):
    snapshot = write_snapshot(tmp_path / 's', with_broken(4), group=8)  # 6 of 24
    out = tmp_path / 'out'
    with pytest.raises(UserError, match=r'rows: expected at most 5.0% left out \(max_dropped\), found \d+ of \d+, .*BAD_IMAGE \d.*checkpoint of step \d+ is kept'):
        train(snapshot, out, max_steps=6, **FAST)
    saved = checkpoints(out)
    assert len(saved) == 1
    stopped = read_state(saved[0])
    assert stopped.step < 6, 'no row to come could have made it good'
    with pytest.raises(UserError, match='max_dropped'):
        train(snapshot, out, max_steps=6, **FAST)
    result = train(snapshot, out, max_steps=6, max_dropped=0.3, **FAST)
    assert (result.steps, result.state.dropped) == (6 - stopped.step, {'BAD_IMAGE': 6})
    with pytest.raises(UserError, match='found 6 of 24, 25.0%'):
        train(snapshot, out, max_steps=6, **FAST)
    assert checkpoints(out)[-1].name == 'step-00000006'


def test_a_few_broken_rows_are_no_error(tmp_path):
    rows = [{**ROWS[0], 'images': [{'bytes': b'junk', 'path': None}]}, *ROWS[1:]]
    result = train(write_snapshot(tmp_path / 's', rows, group=8), tmp_path / 'out', max_steps=6, **FAST)
    assert result.state.dropped == {'BAD_IMAGE': 1}


def test_what_the_settings_leave_out_is_no_loss(tmp_path):
    result = train(write_snapshot(tmp_path / 's', ROWS, group=8), tmp_path / 'out', max_steps=3, kinds=['ambiguous'], min_score=0.5, **FAST)
    assert set(result.state.dropped) == {'KIND', 'SCORE'}
    assert result.state.rows_trained > 0


@pytest.mark.parametrize('arguments', [{'max_length': 8}, {'min_score': 99.0}])
def test_a_run_that_saw_no_row_ends_with_an_error_and_leaves_no_checkpoint(tmp_path, arguments):
    snapshot = write_snapshot(tmp_path / 's', ROWS, group=8)
    with pytest.raises(UserError, match='left out'):
        train(snapshot, tmp_path / 'out', max_steps=2, save_every=1, **arguments, **FAST)
    assert checkpoints(tmp_path / 'out') == []


def test_a_snapshot_without_rows_is_an_error(tmp_path):
    with pytest.raises(UserError, match='expected rows to train on, found none'):
        train(write_snapshot(tmp_path / 's', [], group=8), tmp_path / 'out', **FAST)


def state(**values) -> TrainState:
    return TrainState('id', values.pop('step'), values.pop('position'), values.pop('trained'), 0, values.pop('most'), 'tiny', None, {}, **values)


def test_it_is_told_as_soon_as_it_is_certain(tmp_path):
    """10 steps of 10 rows: 5 may be left out, more of them when 50 are left out on request."""
    settings = TrainSettings(batch_rows=10)

    def fault(dropped, step=2):
        trained = 10 * step - sum(dropped.values())
        return dropped_fault(state(step=step, position=10 * step, trained=trained, most=10, dropped=dropped), settings, total=100, out=tmp_path)

    assert fault({'TOO_LONG': 5}) is None
    assert 'found 6 of 20, 30.0% (TOO_LONG 6)' in fault({'TOO_LONG': 6})
    assert fault({'TOO_LONG': 3, 'KIND': 15}) is None
    assert fault({'TOO_LONG': 3, 'KIND': 50}, step=10) == fault({'KIND': 50, 'TOO_LONG': 3}, step=10)
    assert 'found 3 of 50' in fault({'TOO_LONG': 3, 'KIND': 50}, step=10)
    assert fault({'KIND': 80, 'TOO_LONG': 1}, step=10) is None
