"""Training from a snapshot: it learns, it resumes to the bit, and it refuses what does not fit."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from functools import partialmethod
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.evaluation.ask import ask
from model.phantom.modeling import PhantomForConditionalGeneration
from model.training.checkpoint import checkpoints
from model.training.train import train
from schemas.errors import UserError
from tests.model.training.snapshots import COLOURS, SMALL, make_row, png, write_snapshot
from tests.promises import promise

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
    result = train(snapshot, tmp_path / 'out', preset='tiny', max_steps=30, batch_rows=8, quiet=True)
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


def test_matrices_of_any_size_resume_to_the_bit(tmp_path):
    """Weights that a file holds at odd addresses were rounded otherwise in the products of small matrices."""
    snapshot = write_snapshot(tmp_path / 's', [make_row(index) for index in range(40)])
    arguments = {'preset': SMALL, 'schedule_steps': 5, **FAST}
    whole = train(snapshot, tmp_path / 'whole', max_steps=5, **arguments).checkpoint
    train(snapshot, tmp_path / 'parts', max_steps=1, **arguments)
    parts = train(snapshot, tmp_path / 'parts', max_steps=5, **arguments).checkpoint
    expected, found = (load_file(folder / 'model.safetensors') for folder in (whole, parts))
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())


def test_micro_batches_do_not_change_the_step(snapshot, tmp_path):
    losses = []
    for size in (4, 1, 3):
        result = train(snapshot, tmp_path / str(size), max_steps=3, batch_rows=4, micro_batch_rows=size, quiet=True)
        losses.append(result.last['loss'])
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=1e-4)


def test_a_finished_run_takes_no_step(snapshot, tmp_path):
    train(snapshot, tmp_path, max_steps=2, **FAST)
    assert train(snapshot, tmp_path, max_steps=2, **FAST).steps == 0


def test_another_start_than_the_runs_own_is_refused(snapshot, tmp_path):
    first, second = (train(snapshot, tmp_path / name, preset=SMALL, max_steps=1, seed=seed, **FAST).checkpoint for name, seed in (('a', 1), ('b', 2)))
    train(snapshot, tmp_path / 'run', preset=SMALL, init=first, max_steps=1, **FAST)
    with pytest.raises(UserError, match=rf'begun from {first}, found --init {second}; leave --init out'):
        train(snapshot, tmp_path / 'run', preset=SMALL, init=second, max_steps=2, **FAST)
    assert train(snapshot, tmp_path / 'run', preset=SMALL, max_steps=2, **FAST).steps == 1


@pytest.mark.parametrize('damage', [{'dropped': [1]}, {'settings': []}, {'shape': 'x'}, {'step': '4'}, {'schedule': 3}])
def test_values_of_other_types_in_a_state_are_damage(snapshot, tmp_path, damage):
    file = train(snapshot, tmp_path / 'run', preset=SMALL, max_steps=1, **FAST).checkpoint / 'training.json'
    file.write_text(json.dumps({**json.loads(file.read_text()), **damage}))
    with pytest.raises(UserError, match='training.json has values of other types'):
        train(snapshot, tmp_path / 'run', preset=SMALL, max_steps=2, **FAST)


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
    result = train(folder, out, max_steps=6, max_dropped=0.3, **FAST)  # one epoch of 24 rows
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


@promise('Disks', 'A full disk stops a training run and leaves the earlier checkpoints.')
def test_a_full_disk_stops_the_run_and_leaves_earlier_checkpoints(snapshot, tmp_path, monkeypatch):
    train(snapshot, tmp_path, max_steps=1, **FAST)

    def fail(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(PhantomForConditionalGeneration, 'save_pretrained', fail)
    with pytest.raises(UserError, match=r'step-00000002: .*the disk is full \(ENOSPC\); free some space, finished work is kept'):
        train(snapshot, tmp_path, max_steps=2, **FAST)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ['step-00000001']


def test_a_snapshot_with_nothing_to_train_on_is_an_error(snapshot, tmp_path):
    with pytest.raises(UserError, match='all 24 left out'):
        train(snapshot, tmp_path, max_steps=10, min_score=99.0, **FAST)


def test_a_run_takes_only_the_sources_it_names(snapshot, tmp_path):
    result = train(snapshot, tmp_path, max_steps=6, sources=['sums'], **FAST)  # one epoch of 24 rows
    assert (result.state.rows_trained, result.state.rows_dropped) == (6, 18)
    drops = [json.loads(line) for line in (tmp_path / 'drops.jsonl').read_text().splitlines()]
    assert {(drop['reason'], drop['detail']) for drop in drops} == {('SOURCE', 'squares')}


def test_step_2_trains_on_the_distinct_chosen_answers_only(tmp_path):
    rows = [*ROWS[:4], *({**row, 'triple_id': row['triple_id'] + '2'} for row in ROWS[:4])]
    result = train(write_snapshot(tmp_path / 's', rows), tmp_path / 'out', max_steps=2, stage=2, **FAST)
    assert result.last['po'] is None
    assert result.last['loss'] == result.last['sft']
    assert (result.state.rows_trained, result.state.rows_dropped) == (4, 4)


LORA = {'lora_rank': 4, 'lora_alpha': 8, 'trainable': ['vision_proj', 'xattn_', 'gating_phantom', 'eta_phantom']}


def test_adapters_train_alone_resume_to_the_bit_and_are_merged_when_saved(snapshot, tmp_path):
    start = train(snapshot, tmp_path / 'start', max_steps=3, **FAST).checkpoint
    arguments = {'init': start, 'learning_rate': 1e-2, **LORA, **FAST}
    whole = train(snapshot, tmp_path / 'whole', max_steps=4, **arguments).checkpoint
    train(snapshot, tmp_path / 'parts', max_steps=4, save_every=2, **arguments)
    (tmp_path / 'parts' / 'step-00000004').rename(tmp_path / 'lost')
    parts = train(snapshot, tmp_path / 'parts', max_steps=4, **arguments).checkpoint
    before, merged = load_file(start / 'model.safetensors'), load_file(whole / 'model.safetensors')
    assert set(merged) == set(before)
    assert not torch.equal(
        merged['language_model.model.layers.0.mlp.up_proj.weight'],
        before['language_model.model.layers.0.mlp.up_proj.weight'],
    )
    assert torch.equal(merged['language_model.lm_head.weight'], before['language_model.lm_head.weight'])
    resumed = load_file(parts / 'model.safetensors')
    assert all(torch.equal(merged[name], resumed[name]) for name in merged)
    assert any('lora_' in name for name in load_file(whole / 'trained.safetensors'))
    assert isinstance(ask(whole, None, '1 + 1?', max_new_tokens=4), str)


def test_dpo_starts_at_ln_2_because_the_reference_is_the_start(snapshot, tmp_path):
    result = train(snapshot, tmp_path, max_steps=3, preference='dpo', po_weight=1.0, po_start=0.0, **FAST)
    assert log_of(tmp_path)[0]['po'] == pytest.approx(0.693147, abs=1e-4)
    assert result.last['po'] < 0.69


def test_trackers_get_every_step_or_say_what_to_install(snapshot, tmp_path, monkeypatch):
    train(snapshot, tmp_path / 'out', max_steps=2, trackers=['tensorboard'], **FAST)
    assert list((tmp_path / 'out' / 'tensorboard').glob('events.*'))
    monkeypatch.setitem(sys.modules, 'wandb', None)
    with pytest.raises(UserError, match='pip install wandb'):
        train(snapshot, tmp_path / 'other', max_steps=1, trackers=['wandb'], **FAST)


def test_half_precision_trains_every_phantom_part(snapshot, tmp_path):
    first = load_file(train(snapshot, tmp_path, max_steps=1, precision='bf16', **FAST).checkpoint / 'model.safetensors')
    last = load_file(train(snapshot, tmp_path, max_steps=4, precision='bf16', **FAST).checkpoint / 'model.safetensors')
    phantom = [name for name in first if any(part in name for part in ('xattn_', 'gating_', 'eta_phantom'))]
    assert len(phantom) == 3 * 17
    assert [name for name in phantom if torch.equal(first[name], last[name])] == []


ENVIRONMENT = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[3]), 'OMP_NUM_THREADS': '1'}
SCRIPT = (
    'import sys; from pathlib import Path; import torch; torch.set_num_threads(1); from model.training.train import train; '
    'train(Path(sys.argv[1]), Path(sys.argv[2]), max_steps=int(sys.argv[3]), batch_rows=6, micro_batch_rows=2, '
    'save_every=2, quiet=True)'
)


@pytest.mark.integration
@promise('Power cuts and kills', 'A training run that is killed goes on to the same end.')
def test_a_killed_run_goes_on_to_the_same_end(snapshot, tmp_path):
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    command = [sys.executable, '-c', SCRIPT, snapshot]
    subprocess.run([*command, whole, '12'], check=True, env=ENVIRONMENT)
    for _ in range(2):
        process = subprocess.Popen([*command, killed, '12'], env=ENVIRONMENT)
        before = len(checkpoints(killed))
        while len(checkpoints(killed)) <= before and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.wait()
    subprocess.run([*command, killed, '12'], check=True, env=ENVIRONMENT)
    assert log_of(killed) == log_of(whole)
    weights = (load_file(out / 'step-00000012' / 'model.safetensors') for out in (whole, killed))
    expected, found = weights
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.integration
def test_two_processes_give_the_loss_curve_of_one(snapshot, tmp_path):
    script = tmp_path / 'run.py'
    script.write_text(SCRIPT)
    environment = {**ENVIRONMENT, 'ACCELERATE_USE_CPU': 'true'}
    for count in ('1', '2'):
        launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', count]
        subprocess.run([*launch, script, snapshot, tmp_path / count, '6'], check=True, env=environment)
    one, two = log_of(tmp_path / '1'), log_of(tmp_path / '2')
    assert len(one) == len(two) == 6
    for name in ('loss', 'sft', 'po', 'margin', 'accuracy', 'grad_norm'):
        numbers = [[record[name] for record in log if record[name] is not None] for log in (one, two)]  # PO joins late
        assert numbers[1] == pytest.approx(numbers[0], rel=2e-3), name
    assert [record['po'] is None for record in one] == [record['po'] is None for record in two] == [True] * 4 + [False] * 2
    assert [record['rows'] for record in two] == [6] * 6


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
        ({'learning_rat': 1.0}, 'unknown setting learning_rat; did you mean learning_rate'),
        ({'precision': 'fp8', 'batch_rows': 0}, 'batch_rows: expected a whole number from 1 to .*precision: expected fp32 or bf16'),
        ({'learning_rate': 'fast', 'kinds': 'incorrect'}, "learning_rate: expected a number .*found 'fast'; kinds: expected a list"),
        ({'learning_rate': float('nan')}, 'learning_rate: expected a number from 0 to 1, found nan'),
        ({'kinds': ['ambiguos']}, r"kinds: expected kinds of this snapshot \(ambiguous, incorrect\), found \['ambiguos'\]"),
        ({'sources': ['sqares']}, r"sources: expected sources of this snapshot \(squares, sums\), found \['sqares'\]"),
        ({'max_steps': 0}, 'max_steps: expected a whole number from 1 to 1,000,000,000, found 0'),
    ],
)
def test_faulty_settings_are_named(snapshot, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        train(snapshot, tmp_path, **{'max_steps': 1, **arguments})


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('extends: tiny\nmodel: {etta: 1.0}', 'unknown setting model.etta; did you mean eta'),
        ('extends: tiny\nconfig: {vision_config: {image_sise: 56}}', 'unknown setting config.vision_config.image_sise'),
        ('extends: tiny\nmodel: {eta: much}', 'model.eta: expected a number from 0 to 100'),
        ('extends: tiny\nmodel: {llm_config: {architectures: [LlamaForCausalLM]}}', 'expected an architecture of Qwen2 .* found .llama'),
        ('extends: tiny\nmodel: {vision_config: {hidden_size: 65, num_attention_heads: 4}}', 'multiple of num_attention_heads in vision_config'),
        ('extends: tiny\ntrain:', 'expected names and values under train, found None'),
        ('extends: SELF', 'found a circle'),
        ('[]', 'weights to start from'),
        ('- 1', 'expected sections model, config, fresh, train, found list'),
    ],
)
def test_faulty_presets_are_named(snapshot, tmp_path, text, message):
    preset = tmp_path / 'mine.yaml'
    preset.write_text(text.replace('SELF', str(preset)))
    with pytest.raises(UserError, match=message):
        train(snapshot, tmp_path / 'out', preset=str(preset), max_steps=1, quiet=True)


def test_a_preset_reads_1e_3_and_another_model_is_not_resumed(snapshot, tmp_path):
    preset = tmp_path / 'mine.yaml'
    preset.write_text('extends: tiny\nmodel: {eta: 0.3}\ntrain: {learning_rate: 1e-3}')
    result = train(snapshot, tmp_path / 'out', preset=str(preset), max_steps=1, **FAST)
    assert result.last['lr'] == 1e-3
    with pytest.raises(UserError, match="model: .*'eta': 0.3.* before"):
        train(snapshot, tmp_path / 'out', max_steps=2, **FAST)


@promise('Damaged files', 'A damaged checkpoint says how to go on.')
def test_a_damaged_checkpoint_says_how_to_go_on(snapshot, tmp_path):
    train(snapshot, tmp_path, max_steps=2, save_every=1, **FAST)
    last = tmp_path / 'step-00000002'
    for name, junk, message in (
        ('optimizer.pt', b'x', 'optimizer.pt does not read'),
        ('model.safetensors', b'x' * 9, 'files that do not read'),
        ('config.json', b'[]', 'config.json: expected a JSON object, found list'),
        ('training.json', b'{', 'training.json is not JSON'),
    ):
        whole = (last / name).read_bytes()
        (last / name).write_bytes(junk)
        with pytest.raises(UserError, match=message):
            train(snapshot, tmp_path, max_steps=3, **FAST)
        (last / name).write_bytes(whole)
    shutil.rmtree(last)
    with (tmp_path / 'log.jsonl').open('a') as log:
        log.write('[1]\n{"torn')
    assert train(snapshot, tmp_path, max_steps=3, **FAST).steps == 2
    assert [record['step'] for record in log_of(tmp_path)] == [1, 2, 3]


def first_moment(state):
    state['state'][0]['exp_avg'] = torch.zeros(3)


def fewer_weights(state):
    state['param_groups'][0]['params'].pop()


def other_betas(state):
    state['param_groups'][0]['betas'] = (2, 2)


@pytest.mark.parametrize('damage', [first_moment, fewer_weights, other_betas, dict.clear, lambda state: state.update(state={}), lambda state: [1]])
def test_an_optimizers_state_of_something_else_is_damage(snapshot, tmp_path, damage):
    """An empty one would be a new optimiser: the run would go another way and say nothing."""
    made = train(snapshot, tmp_path, preset=SMALL, max_steps=1, **FAST).checkpoint / 'optimizer.pt'
    state = torch.load(made, weights_only=True)
    torch.save(damage(state) or state, made)
    with pytest.raises(UserError, match='found damage: optimizer.pt (is of other weights|has another form)'):
        train(snapshot, tmp_path, preset=SMALL, max_steps=2, **FAST)


def test_adapters_that_lost_weights_are_damage(snapshot, tmp_path):
    start = train(snapshot, tmp_path / 'start', preset=SMALL, max_steps=1, **FAST).checkpoint
    arguments = {'preset': SMALL, 'init': start, 'lora_rank': 2, 'lora_alpha': 2, 'trainable': ['vision_proj'], **FAST}
    file = train(snapshot, tmp_path / 'run', max_steps=1, **arguments).checkpoint / 'trained.safetensors'
    whole = load_file(file)
    name = next(name for name in whole if 'lora_B' in name)
    for wrong in ({**whole, 'other': torch.zeros(1)}, {other: whole[other] for other in whole if other != name}, {**whole, name: torch.zeros(1)}):
        save_file(wrong, file)
        with pytest.raises(UserError, match='found damage: trained.safetensors lacks 1 weights'):
            train(snapshot, tmp_path / 'run', max_steps=2, **arguments)


def test_a_folder_that_cannot_be_written_is_named(snapshot, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match=r'/file: expected a place to read or write, found: File exists \(EEXIST\); correct the path'):
        train(snapshot, tmp_path / 'file', max_steps=1, **FAST)


@pytest.mark.integration
def test_compiled_layers_take_the_same_steps(snapshot, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, 'compile', partialmethod(torch.nn.Module.compile, backend='eager'))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    losses = [
        [record['loss'] for record in log_of(train(snapshot, tmp_path / name, max_steps=2, **more, **FAST).checkpoint.parent)]
        for name, more in (('plain', {}), ('compiled', {'compile': True, 'gradient_checkpointing': True}))
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] > 0


def test_a_loss_that_is_not_finite_stops_the_run(snapshot, tmp_path, monkeypatch):
    monkeypatch.setattr('model.training.stepper.po_terms', lambda logps, targets, **_: (logps[:, 0, 0] * float('inf'), logps[:, 0, 0]))
    with pytest.raises(UserError, match=r'step 1: expected a finite loss, found -?(inf|nan); the last good checkpoint stands'):
        train(snapshot, tmp_path, max_steps=40, po_start=0.0, **FAST)


def test_asking_without_a_checkpoint_or_with_a_broken_picture_is_explained(snapshot, tmp_path):
    with pytest.raises(UserError, match='expected step-N folders'):
        ask(tmp_path, None, 'What?')
    train(snapshot, tmp_path / 'out', max_steps=1, **FAST)
    (tmp_path / 'x.png').write_text('no picture')
    with pytest.raises(UserError, match='x.png: not one of'):
        ask(tmp_path / 'out', tmp_path / 'x.png', 'What?')
