"""Training from a snapshot: it learns, it resumes to the bit, and it refuses what does not fit."""

import json

import pytest
import torch
from safetensors.torch import load_file

from model.ask import ask
from model.train import train
from schemas.errors import UserError
from tests.model.snapshots import COLOURS, make_row, png, write_snapshot

ROWS = [make_row(index) for index in range(24)]
FAST = {'batch_rows': 4, 'micro_batch_rows': 4, 'quiet': True}


@pytest.fixture(scope='module')
def snapshot(tmp_path_factory):
    return write_snapshot(tmp_path_factory.mktemp('snap') / 's', ROWS, shards=2, group=4)


def log_of(out) -> list[dict]:
    records = [json.loads(line) for line in (out / 'log.jsonl').read_text().splitlines()]
    timed = ('rows_per_s', 'tokens_per_s', 'memory_mb')
    return [{name: value for name, value in record.items() if name not in timed} for record in records]


def test_tiny_learns_the_colours_and_answers(snapshot, tmp_path):
    result = train(snapshot, tmp_path / 'out', preset='tiny', max_steps=40, batch_rows=8, quiet=True)
    first = log_of(tmp_path / 'out')[0]
    assert result.last['loss'] < first['loss'] / 4
    assert result.last['accuracy'] > 0.9
    assert result.last['margin'] > 0.5
    picture = tmp_path / 'red.png'
    picture.write_bytes(png(COLOURS['red'], 40))
    assert ask(tmp_path / 'out', picture, 'What colour?') == 'red'


def test_a_run_in_pieces_equals_one_run_to_the_bit(snapshot, tmp_path):
    whole = tmp_path / 'whole'
    train(snapshot, whole, max_steps=5, **FAST)
    earlier = train(snapshot, tmp_path / 'earlier', max_steps=5, save_every=2, keep_last=9, **FAST).checkpoint.parent
    for step in ('step-00000004', 'step-00000005'):
        (earlier / step).rename(tmp_path / f'lost-{step}')
    result = train(snapshot, earlier, max_steps=5, **FAST)
    assert result.steps == 3
    assert log_of(earlier) == log_of(whole)
    weights = load_file(whole / 'step-00000005' / 'model.safetensors')
    resumed = load_file(earlier / 'step-00000005' / 'model.safetensors')
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)


def test_micro_batches_do_not_change_the_step(snapshot, tmp_path):
    losses = []
    for size in (4, 1, 3):
        result = train(snapshot, tmp_path / str(size), max_steps=3, batch_rows=4, micro_batch_rows=size, quiet=True)
        losses.append(result.last['loss'])
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=1e-4)


def test_a_finished_run_takes_no_step(snapshot, tmp_path):
    train(snapshot, tmp_path, max_steps=2, **FAST)
    assert train(snapshot, tmp_path, max_steps=2, **FAST).steps == 0


def test_another_snapshot_or_other_settings_are_refused(snapshot, tmp_path):
    train(snapshot, tmp_path / 'out', max_steps=1, **FAST)
    other = write_snapshot(tmp_path / 'other', ROWS, snapshot_id='b' * 64)
    with pytest.raises(UserError, match='expected snapshot aaaa.*found bbbb'):
        train(other, tmp_path / 'out', max_steps=2, **FAST)
    with pytest.raises(UserError, match='gamma: 0.5 before, 0.7 now'):
        train(snapshot, tmp_path / 'out', max_steps=2, gamma=0.7, **FAST)


def test_the_checkpoint_names_the_snapshot_and_accounts_for_every_row(tmp_path):
    rows = [
        {**row, 'images': [{'bytes': b'junk', 'path': None}]} if row['images'] and i < 8 else row
        for i, row in enumerate(ROWS)
    ]
    folder = write_snapshot(tmp_path / 's', rows)
    out = tmp_path / 'out'
    result = train(folder, out, max_steps=6, **FAST)  # one epoch of 24 rows
    drops = [json.loads(line) for line in (out / 'drops.jsonl').read_text().splitlines()]
    bad = {row['triple_id'] for i, row in enumerate(rows) if row['images'] and i < 8}
    assert {drop['row'] for drop in drops} == bad
    assert {drop['reason'] for drop in drops} == {'BAD_IMAGE'}
    assert (result.state.rows_trained, result.state.rows_dropped) == (24 - len(bad), len(bad))
    saved = json.loads((result.checkpoint / 'training.json').read_text())
    assert (saved['snapshot_id'], saved['step'], saved['position']) == ('a' * 64, 6, 24)


def test_left_over_drafts_of_a_killed_save_are_removed(snapshot, tmp_path):
    draft = tmp_path / '.step-00000001.77.tmp'
    draft.mkdir()
    train(snapshot, tmp_path, max_steps=1, **FAST)
    assert not draft.exists()
    assert [path.name for path in tmp_path.glob('step-*')] == ['step-00000001']


def test_a_snapshot_with_nothing_to_train_on_is_an_error(snapshot, tmp_path):
    with pytest.raises(UserError, match='all 24 left out'):
        train(snapshot, tmp_path, max_steps=10, min_score=99.0, **FAST)


def test_stage_2_trains_on_chosen_answers_only(snapshot, tmp_path):
    result = train(snapshot, tmp_path, max_steps=1, stage=2, **FAST)
    assert result.last['po'] is None
    assert result.last['loss'] == result.last['sft']


def test_step_1_settings_leave_encoder_and_decoder_alone(snapshot, tmp_path):
    part = ['vision_proj', 'xattn_', 'gating_phantom', 'eta_phantom']
    before = load_file(train(snapshot, tmp_path, max_steps=1, trainable=part, **FAST).checkpoint / 'model.safetensors')
    after = load_file(train(snapshot, tmp_path, max_steps=3, trainable=part, **FAST).checkpoint / 'model.safetensors')
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(any(word in name for word in part) for name in changed)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'preset': 'nosuch'}, 'preset .nosuch.: expected one of'),
        ({'learning_rat': 1.0}, 'unknown settings .*learning_rat'),
        ({'precision': 'fp8', 'batch_rows': 0}, 'precision: expected fp32 or bf16.*batch_rows: expected at least 1'),
    ],
)
def test_faulty_settings_are_named(snapshot, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        train(snapshot, tmp_path, max_steps=1, **arguments)


def test_a_loss_that_is_not_finite_stops_the_run(snapshot, tmp_path):
    with pytest.raises(UserError, match='expected a finite loss'):
        train(snapshot, tmp_path, max_steps=40, learning_rate=1e30, clip_norm=1e30, **FAST)


def test_asking_without_a_checkpoint_or_with_a_broken_picture_is_explained(snapshot, tmp_path):
    with pytest.raises(UserError, match='expected step-N folders'):
        ask(tmp_path, None, 'What?')
    train(snapshot, tmp_path / 'out', max_steps=1, **FAST)
    (tmp_path / 'x.png').write_text('no picture')
    with pytest.raises(UserError, match='x.png: not one of'):
        ask(tmp_path / 'out', tmp_path / 'x.png', 'What?')
