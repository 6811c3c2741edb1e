"""Validation while training: it says what the model can do on rows it never saw, and the run goes on as if nobody had looked."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from model.phantom.build import load_model
from model.training.best import best_of, looks_since_best
from model.training.branches import branch_logps, collate
from model.training.checkpoint import best_checkpoint, checkpoints, find_checkpoint, read_state
from model.training.data import RowFilter, encode_row
from model.training.losses import po_terms, sft_loss
from model.training.settings import load_preset
from model.training.train import train
from model.training.validation import looking, same_words
from model.training.validation_rows import choose_rows
from schemas.errors import UserError
from schemas.snapshot import open_snapshot
from tests.model.training.snapshots import make_row, write_snapshot

ROWS = [make_row(index) for index in range(24)]
HELD_OUT = [make_row(index) for index in range(100, 112)]
FAST = {'batch_rows': 4, 'micro_batch_rows': 4, 'quiet': True}
WATCHED = {**FAST, 'validate_every': 2}


@pytest.fixture(scope='module')
def snapshot(tmp_path_factory):
    return write_snapshot(tmp_path_factory.mktemp('snap') / 's', ROWS, shards=2, group=4, validation=HELD_OUT)


def lines_of(path: Path) -> list[dict]:
    timed = ('rows_per_s', 'tokens_per_s', 'memory_mb')
    return [{name: value for name, value in json.loads(line).items() if name not in timed} for line in path.read_text('utf-8').splitlines()]


def weights_of(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoint / 'model.safetensors')


def same_weights(one: Path, other: Path) -> bool:
    a, b = weights_of(one), weights_of(other)
    return set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope='module')
def watched(snapshot, tmp_path_factory):
    """A run of six steps with three looks, and the state of torch's random numbers after it."""
    torch.manual_seed(7)
    out = tmp_path_factory.mktemp('run') / 'watched'
    train(snapshot, out, max_steps=6, keep_last=9, trackers=['tensorboard'], **WATCHED)
    return out, torch.get_rng_state()


def test_a_watched_run_goes_as_one_that_nobody_looks_at(snapshot, watched, tmp_path):
    out, state = watched
    torch.manual_seed(7)
    alone = train(snapshot, tmp_path, max_steps=6, **FAST)
    assert torch.equal(torch.get_rng_state(), state)
    assert same_weights(alone.checkpoint, out / 'step-00000006')
    plain = [{name: value for name, value in line.items() if not name.startswith('val_')} for line in lines_of(out / 'log.jsonl')]
    assert plain == lines_of(tmp_path / 'log.jsonl')
    assert [line['step'] for line in lines_of(out / 'validation.jsonl')] == [2, 4, 6]
    assert not (tmp_path / 'validation.jsonl').exists()


def test_a_watched_run_in_pieces_equals_one_run_to_the_bit(snapshot, watched, tmp_path):
    whole, pieces = watched[0], tmp_path / 'pieces'
    shutil.copytree(whole, pieces, symlinks=True)
    (pieces / 'step-00000006').rename(tmp_path / 'lost')
    (pieces / 'best').unlink()
    assert train(snapshot, pieces, max_steps=6, **WATCHED).steps == 2
    for name in ('log.jsonl', 'validation.jsonl'):
        assert lines_of(pieces / name) == lines_of(whole / name)
    assert same_weights(pieces / 'step-00000006', whole / 'step-00000006')
    assert (pieces / 'best').readlink() == (whole / 'best').readlink()
    assert (pieces / 'training.html').read_text() == (whole / 'training.html').read_text().replace('watched', 'pieces')


def test_a_look_leaves_mode_and_random_numbers_as_they_were():
    settings = SimpleNamespace(compile=False)
    stepper = SimpleNamespace(
        model=torch.nn.Dropout(0.5), settings=settings, processes=SimpleNamespace(device=torch.device('cpu')), autocast=contextlib.nullcontext
    )
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with looking(stepper):
        assert torch.equal(stepper.model(torch.ones(9)), torch.ones(9))
        assert not torch.is_grad_enabled()
        torch.rand(5)
    assert torch.equal(torch.rand(2), expected)
    with pytest.raises(ValueError, match='in a look'), looking(stepper):
        raise ValueError('in a look')
    assert stepper.model.training


def test_the_figures_are_those_of_the_checkpoint(snapshot, tmp_path):
    """Loss, margin and accuracy by the loss functions on one batch of all rows; exact match by asking each question once."""
    train(snapshot, tmp_path, max_steps=20, learning_rate=3e-3, **{**WATCHED, 'validate_every': 20, 'batch_rows': 8})
    line = lines_of(tmp_path / 'log.jsonl')[-1]
    model, processor = load_model(tmp_path / 'step-00000020')
    model.eval()
    batch = collate([encode_row(row, processor, RowFilter()) for row in HELD_OUT], pad_id=processor.pad_id)
    with torch.no_grad():
        logps = branch_logps(model, batch)
    po, margin = po_terms(logps, batch.targets)
    sft = sft_loss(logps[:, 0], batch.targets[:, 0])
    assert line['val_sft'] == pytest.approx(float(sft), rel=1e-4)
    assert line['val_loss'] == pytest.approx(float(sft + 0.1 * po.mean()), rel=1e-4)
    assert line['val_margin'] == pytest.approx(float(margin.mean()), rel=1e-4)
    assert line['val_accuracy'] == pytest.approx(float((margin > 0).float().mean()))
    assert (line['val_rows'], line['val_left_out']) == (12, 0)
    said = []
    for row in HELD_OUT:
        inputs = processor.encode_questions([row['prompt'][0]['content'][-1]['text']], [[image['bytes'] for image in row['images']]])
        ids = model.generate(**inputs, max_new_tokens=40, do_sample=False, eos_token_id=processor.tokenizer.eos_token_id, pad_token_id=processor.pad_id)
        said.append(processor.tokenizer.decode(ids[0, inputs['input_ids'].shape[1] :], skip_special_tokens=True).strip())
    right = [same_words(row['chosen'][0]['content'][0]['text'], reply, '') for row, reply in zip(HELD_OUT, said, strict=True)]
    assert 0 < sum(right) < 12  # colours are learned by then, sums are not
    assert line['val_exact_match'] == pytest.approx(sum(right) / 12)
    shown = lines_of(tmp_path / 'validation.jsonl')[-1]['generations']
    by_name = {row['triple_id']: (reply, ok) for row, reply, ok in zip(HELD_OUT, said, right, strict=True)}
    for one in shown:  # a reply that does not end is cut sooner there
        assert by_name[one['row']][0].startswith(one['reply'])
        assert by_name[one['row']][1] is one['right']
    assert len(shown) == 8


def script_looks(monkeypatch, **figures):
    """Each look of this process finds the next of the scripted figures."""
    places = iter(range(99))

    def found(*_):
        place = next(places)
        return {'loss': 1.0, 'accuracy': 0.5, 'rows': 12, **{name: values[place] for name, values in figures.items()}}, []

    monkeypatch.setattr('model.training.watching.validate', found)


@pytest.mark.parametrize(('by', 'figures', 'best'), [('loss', [3, 1, 2, 1, float('nan')], 2), ('accuracy', [0.5, 0.75, 1.0, 0.25, 1.0], 3)])
def test_best_points_to_the_best_look_and_outlives_keep_last(snapshot, tmp_path, monkeypatch, by, figures, best):
    script_looks(monkeypatch, **{by: figures})
    result = train(snapshot, tmp_path, max_steps=5, keep_last=1, save_every=2, best_by=by, **{**WATCHED, 'validate_every': 1})
    kept = best_checkpoint(tmp_path)
    assert kept.name == f'step-0000000{best}'
    assert [path.name for path in checkpoints(tmp_path)] == [kept.name, 'step-00000005']
    assert result.checkpoint.name == 'step-00000005'
    assert find_checkpoint(tmp_path / 'best') == tmp_path / 'best'
    assert read_state(tmp_path / 'best').step == best


def test_best_is_named_anew_where_its_name_or_its_folder_is_gone(snapshot, tmp_path, monkeypatch):
    script_looks(monkeypatch, loss=[3, 2, 1, 4, 4])
    often = {**WATCHED, 'validate_every': 1, 'keep_last': 9}
    train(snapshot, tmp_path, max_steps=3, save_every=1, **often)
    (tmp_path / 'best').unlink()
    (tmp_path / '.best.host-1.tmp').symlink_to('step-00000001')  # of a killed writer
    train(snapshot, tmp_path, max_steps=4, **often)
    assert best_checkpoint(tmp_path).name == 'step-00000003'
    assert not (tmp_path / '.best.host-1.tmp').is_symlink()
    best_checkpoint(tmp_path).rename(tmp_path / 'gone')
    train(snapshot, tmp_path, max_steps=5, **often)
    assert best_checkpoint(tmp_path).name == 'step-00000002'


def test_a_run_that_gets_no_better_ends_early_and_goes_on_only_when_told(snapshot, tmp_path, capsys, monkeypatch):
    script_looks(monkeypatch, loss=[3, 2, 2, 2.5, 2, 1, 1])
    arguments = {**WATCHED, 'validate_every': 1, 'quiet': False}
    result = train(snapshot, tmp_path, max_steps=7, early_stop=2, **arguments)
    assert (result.steps, result.checkpoint.name) == (4, 'step-00000004')
    assert 'stopped early: no better loss in 2 looks since step 2; to go on, raise early_stop' in capsys.readouterr().out
    again = train(snapshot, tmp_path, max_steps=7, early_stop=2, **arguments)
    assert (again.steps, again.checkpoint) == (0, result.checkpoint)
    assert 'stopped early' in capsys.readouterr().out
    assert train(snapshot, tmp_path, max_steps=7, early_stop=3, **arguments).steps == 1
    assert train(snapshot, tmp_path, max_steps=7, **arguments).steps == 2
    assert best_checkpoint(tmp_path).name == 'step-00000006'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'early_stop': 2}, 'early_stop: expected validation on the way, found validate_every 0'),
        ({'validate_every': -1}, r'validate_every: expected .*found -1'),
        ({'validate_every': 1, 'validation_rows': 0}, r'validation_rows: expected .*found 0'),
        ({'validate_every': 1, 'best_by': 'bleu'}, r"best_by: expected .*loss.*exact_match.*accuracy.*found 'bleu'"),
        ({'validate_every': 1, 'min_score': 99.0}, 'that `kinds` and `min_score` keep, found none of 12'),
        ({'validate_every': 1, 'max_length': 8}, r'expected validation rows that can be scored, found all 12 left out \(12 TOO_LONG\)'),
    ],
)
def test_what_cannot_be_validated_is_said_before_the_first_step(snapshot, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        train(snapshot, tmp_path, max_steps=1, **FAST, **arguments)


def test_a_snapshot_without_a_validation_split_says_how_to_get_one(tmp_path):
    folder = write_snapshot(tmp_path / 's', ROWS)
    with pytest.raises(UserError, match='validate_every: expected a validation split in .*, found only train; build it with `mix: {validation_fraction'):
        train(folder, tmp_path / 'out', max_steps=1, **WATCHED)
    assert not (tmp_path / 'out').exists()


def test_rows_that_cannot_be_scored_are_counted_and_step_2_is_validated_too(tmp_path):
    held_out = [{**row, 'images': [{'bytes': b'junk', 'path': None}]} if index == 0 else row for index, row in enumerate(HELD_OUT)]
    folder = write_snapshot(tmp_path / 's', ROWS, validation=held_out)
    train(folder, tmp_path / 'out', max_steps=2, stage=2, **WATCHED)
    line = lines_of(tmp_path / 'out' / 'log.jsonl')[-1]
    assert (line['val_rows'], line['val_left_out'], line['val_po']) == (11, 1, None)
    assert line['val_loss'] == line['val_sft']
    assert 0 <= line['val_accuracy'] <= 1


def test_the_same_rows_are_chosen_however_the_split_is_stored_and_new_questions_come_first(tmp_path):
    twice = [*HELD_OUT, *({**row, 'triple_id': row['triple_id'] + '2'} for row in HELD_OUT)]
    settings = load_preset('tiny', validate_every=1, validation_rows=15).settings
    found = []
    for name, rows, shards in (('a', twice, 1), ('b', twice[::-1], 3)):
        snapshot = open_snapshot(write_snapshot(tmp_path / name, ROWS, validation=rows, shards=shards, group=2))
        found.append([row['triple_id'] for row in choose_rows(snapshot, settings)])
    assert found[0] == found[1]
    assert len({name.rpartition(':')[0] for name in found[0][:12]}) == 12
    assert len(found[0]) == 15


def test_what_counts_as_right_is_the_callers(snapshot, tmp_path):
    asked = []
    train(snapshot, tmp_path, max_steps=1, same_answer=lambda *told: asked.append(told) or True, **{**WATCHED, 'validate_every': 1})
    assert lines_of(tmp_path / 'log.jsonl')[-1]['val_exact_match'] == 1
    assert {(chosen, question) for chosen, _, question in asked} >= {('red', 'What colour?'), ('104', '103 + 1?')}


def test_a_look_that_is_not_a_number_is_never_the_best():
    lines = [{'step': 1, 'loss': None}, {'step': 2, 'loss': 3.0}, {'step': 3, 'loss': float('nan')}, {'step': 4, 'loss': 3.0}, {'step': 5}]
    assert best_of(lines, 'loss')['step'] == 2
    assert looks_since_best(lines, 'loss') == 3
    assert best_of([{'step': 1, 'accuracy': 0.5}, {'step': 2, 'accuracy': 0.75}], 'accuracy')['step'] == 2
    assert (best_of([], 'loss'), looks_since_best([{'step': 1, 'loss': None}], 'loss')) == (None, 1)


def test_tensorboard_gets_figures_replies_and_pictures(watched):
    out = watched[0]
    events = EventAccumulator(str(out / 'tensorboard'))
    events.Reload()
    assert events.Scalars('val_loss')[-1].value == pytest.approx(lines_of(out / 'log.jsonl')[-1]['val_loss'])
    tags = events.Tags()
    assert 'validation/0/text_summary' in tags['tensors']
    assert 'validation/0/0' in tags['images']
    text = events.Tensors('validation/0/text_summary')[-1].tensor_proto.string_val[0].decode()
    assert 'What colour?' in text


SCRIPT = (
    'import sys; from pathlib import Path; import torch; torch.set_num_threads(1); from model.training.train import train; '
    'train(Path(sys.argv[1]), Path(sys.argv[2]), max_steps=4, batch_rows=6, micro_batch_rows=2, validate_every=2, validation_rows=11, quiet=True)'
)


@pytest.mark.long
@pytest.mark.integration
def test_two_processes_see_what_one_sees(snapshot, tmp_path):
    script = tmp_path / 'run.py'
    script.write_text(SCRIPT)
    environment = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[3]), 'OMP_NUM_THREADS': '1', 'ACCELERATE_USE_CPU': 'true'}
    for count in ('1', '2'):
        launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', count]
        subprocess.run([*launch, script, snapshot, tmp_path / count, '4'], check=True, env=environment)
    one, two = lines_of(tmp_path / '1' / 'validation.jsonl'), lines_of(tmp_path / '2' / 'validation.jsonl')
    assert [line['step'] for line in two] == [2, 4]
    for name in ('loss', 'margin', 'accuracy', 'rows'):
        assert [line[name] for line in two] == pytest.approx([line[name] for line in one], rel=2e-3), name
    assert [one['row'] for one in two[-1]['generations']] == [one['row'] for one in one[-1]['generations']]
    assert best_checkpoint(tmp_path / '2') is not None


def test_a_page_stands_beside_the_log(watched):
    page = (watched[0] / 'training.html').read_text()
    assert page.count('<article>') == 8
    assert page.count('src="data:image/png;base64,') == 8  # questions about pictures come first
    for words in ('val_loss', 'val_exact_match', 'best by loss'):
        assert words in page
