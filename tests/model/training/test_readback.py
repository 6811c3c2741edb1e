"""A checkpoint counts only when its numbers are finite and its files hold what the model has."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.phantom.build import load_model
from model.phantom.modeling import PhantomForConditionalGeneration
from model.training.checkpoint import TrainState, checkpoints
from model.training.readback import refuse_bad_numbers, same
from model.training.stepper import Stepper
from model.training.train import save, train
from schemas.errors import UserError
from tests.model.training.snapshots import SMALL, make_row, write_snapshot
from tests.model.training.test_train import LORA
from tests.promises import promise

FAST = {'preset': SMALL, 'batch_rows': 4, 'quiet': True}
NAN = float('nan')


@pytest.fixture(scope='module')
def snapshot(tmp_path_factory):
    return write_snapshot(tmp_path_factory.mktemp('snap') / 's', [make_row(index) for index in range(24)], group=8)


@pytest.fixture(scope='module')
def start(snapshot, tmp_path_factory):
    return train(snapshot, tmp_path_factory.mktemp('start'), max_steps=1, **FAST).checkpoint


def spoil_after(monkeypatch, step: int, spoil) -> None:
    """Lets `spoil` at the stepper after one step."""
    take = Stepper.step

    def spoiled(self, rows, *, step: int, rate: float, paired: bool, wanted=step):
        record = take(self, rows, step=step, rate=rate, paired=paired)
        if step == wanted:
            spoil(self)
        return record

    monkeypatch.setattr(Stepper, 'step', spoiled)


def spoil_weight(stepper, value=NAN):
    """One number of a weight that no row of text reaches."""
    with torch.no_grad():
        stepper.model.vision_model.encoder.layers[0].ls1.view(-1)[0] = value


def spoil_state(stepper):
    next(iter(stepper.processes.optimizer.state.values()))['exp_avg_sq'].view(-1)[0] = float('inf')


@promise('Damaged files', 'Weights or an optimiser state that are not finite never become a checkpoint.')
@pytest.mark.parametrize(
    ('spoil', 'name'),
    [(spoil_weight, 'vision_model.encoder.layers.0.ls1'), (lambda s: spoil_weight(s, float('-inf')), 'vision_model.encoder.layers.0.ls1'), (spoil_state, r'optimiser.state.\d+.exp_avg_sq')],
)
def test_weights_or_a_state_that_are_not_finite_are_never_saved(snapshot, tmp_path, monkeypatch, spoil, name):
    spoil_after(monkeypatch, 2, spoil)
    with pytest.raises(UserError, match=f'step 2: expected finite weights and optimiser state, found NaN or infinity in {name}'):
        train(snapshot, tmp_path, max_steps=2, save_every=1, **FAST)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ['step-00000001']
    assert all(torch.isfinite(tensor).all() for tensor in load_file(tmp_path / 'step-00000001' / 'model.safetensors').values())


def test_adapters_that_overflow_are_never_saved(snapshot, start, tmp_path, monkeypatch):
    def spoil(stepper):
        with torch.no_grad():
            for name, parameter in stepper.model.named_parameters():
                if '.lora_' in name:
                    parameter.fill_(3e38)

    spoil_after(monkeypatch, 1, spoil)
    with pytest.raises(UserError, match='found NaN or infinity in .*proj.weight'):
        train(snapshot, tmp_path, max_steps=1, init=start, **LORA, **FAST)
    assert checkpoints(tmp_path) == []


def test_a_gradient_that_is_not_finite_stops_before_it_touches_a_weight(snapshot, tmp_path, monkeypatch):
    kept = {}

    def clip(self, norm):
        kept['before'] = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        kept['model'] = self.model
        return NAN

    monkeypatch.setattr('model.training.processes.Processes.clip', clip)
    with pytest.raises(UserError, match='step 1: expected a finite gradient, found nan'):
        train(snapshot, tmp_path, max_steps=1, **FAST)
    assert all(torch.equal(tensor, kept['before'][name]) for name, tensor in kept['model'].state_dict().items())


def test_a_start_that_is_not_finite_is_refused_before_the_first_step(snapshot, start, tmp_path):
    bad = tmp_path / 'bad'
    bad.mkdir()
    for file in start.iterdir():
        (bad / file.name).write_bytes(file.read_bytes())
    weights = load_file(start / 'model.safetensors')
    weights['vision_model.encoder.layers.0.ls1'][0] = NAN
    save_file(weights, bad / 'model.safetensors', {'format': 'pt'})
    with pytest.raises(UserError, match=r'weights to start from: expected finite .*layers.0.ls1'):
        train(snapshot, tmp_path / 'out', init=bad, max_steps=1, **FAST)
    with pytest.raises(UserError, match=r'bad: expected finite .*layers.0.ls1'):
        train(snapshot, tmp_path / 'out', resume=bad, max_steps=2, **FAST)


def rewrite(folder, change):
    weights = load_file(folder / 'model.safetensors')
    change(weights)
    save_file(weights, folder / 'model.safetensors', {'format': 'pt'})


def flip(weights):
    weights['vision_proj.1.weight'].view(torch.int32)[0, 0] ^= 1


DAMAGES = {
    'a bit': (flip, 'another vision_proj.1.weight'),
    'a type': (lambda w: w.update({'vision_proj.1.weight': w['vision_proj.1.weight'].double()}), 'another vision_proj.1.weight'),
    'a name': (lambda w: w.update({'mlp1.1.weight': w.pop('vision_proj.1.weight')}), 'mlp1.1.weight besides, no vision_proj.1.weight'),
    'a lack': (lambda w: w.pop('vision_proj.1.weight'), 'no vision_proj.1.weight'),
}


@promise('Damaged files', 'A checkpoint is read back as it is saved: one whose files hold something else than the model is not kept.')
@pytest.mark.parametrize('damage', sorted(DAMAGES))
def test_a_file_that_holds_something_else_is_no_checkpoint(snapshot, tmp_path, monkeypatch, damage):
    change, message = DAMAGES[damage]
    save = PhantomForConditionalGeneration.save_pretrained

    def damaged(self, folder, **words):
        save(self, folder, **words)
        rewrite(folder, change)

    monkeypatch.setattr(PhantomForConditionalGeneration, 'save_pretrained', damaged)
    with pytest.raises(UserError, match=f'step 1: expected the files to hold what the model has, found .*{message}'):
        train(snapshot, tmp_path, max_steps=1, **FAST)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


@promise('Damaged files', 'A checkpoint is read back as it is saved: one whose files hold something else than the model is not kept.')
@pytest.mark.parametrize(
    ('name', 'damage', 'message'),
    [
        ('config.json', lambda text: text.replace(b'"eta_learnable": true', b'"eta_learnable": false'), r'config.json: .*eta_phantom of shape \[\], not \[1?\]'),
        ('config.json', lambda text: text[:-9], 'config.json of no model'),
        ('optimizer.pt', lambda data: data[: len(data) // 2], 'optimizer.pt does not read'),
        ('model.safetensors', lambda data: data[:-4], 'model.safetensors does not read'),
    ],
)
def test_a_damaged_file_is_no_checkpoint(snapshot, tmp_path, monkeypatch, name, damage, message):
    write = torch.save

    def damaged(state, path):  # the last file that is written
        write(state, path)
        file = path.parent / name
        file.write_bytes(damage(file.read_bytes()))

    monkeypatch.setattr(torch, 'save', damaged)
    with pytest.raises(UserError, match=message):
        train(snapshot, tmp_path, max_steps=1, **FAST)
    assert checkpoints(tmp_path) == []


def test_a_backbones_own_names_are_not_saved(snapshot, start, tmp_path):
    """InternVL2 calls the projector mlp1: a run that starts from such files saves the one layout that everyone reads."""
    backbone = tmp_path / 'backbone'
    backbone.mkdir()
    for file in start.iterdir():
        if file.name not in ('training.json', 'optimizer.pt'):
            (backbone / file.name).write_bytes(file.read_bytes())
    rewrite(backbone, lambda weights: [weights.update({name.replace('vision_proj', 'mlp1'): weights.pop(name)}) for name in list(weights) if 'vision_proj' in name])
    checkpoint = train(snapshot, tmp_path / 'out', init=backbone, max_steps=1, **FAST).checkpoint
    names = set(load_file(checkpoint / 'model.safetensors'))
    assert names == set(load_file(start / 'model.safetensors'))
    assert json.loads((checkpoint / 'config.json').read_text())['model_type'] == 'phantom'


def test_a_tied_head_is_saved_once_and_comes_back_tied(snapshot, tmp_path):
    preset = tmp_path / 'tied.yaml'
    preset.write_text(Path(SMALL).read_text('utf-8').replace('tie_word_embeddings: false', 'tie_word_embeddings: true'))
    checkpoint = train(snapshot, tmp_path / 'out', max_steps=1, **{**FAST, 'preset': str(preset)}).checkpoint
    assert 'language_model.lm_head.weight' not in load_file(checkpoint / 'model.safetensors')
    model = load_model(checkpoint)[0]
    assert model.language_model.head.weight is model.language_model.embedding.weight


def test_what_the_main_process_could_not_save_ends_the_others_too(tmp_path):
    processes = SimpleNamespace(is_main=False, weights=dict, optimizer_state=dict, gather=lambda mine: ['step 2: expected', *mine])
    with pytest.raises(UserError, match='step 2: expected'):
        save(SimpleNamespace(processes=processes, write=print), TrainState('id', 2, 8, 8, 0, 9, 'tiny', None, {}), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_number_that_is_not_finite_is_found():
    fine = {'a': torch.ones(2), 'b': [{'c': torch.tensor(3)}, 'text', None]}
    refuse_bad_numbers(fine, 'x')
    with pytest.raises(UserError, match=r'x: .*found NaN or infinity in b\.0\.c, d; '):
        refuse_bad_numbers({'b': [{'c': torch.tensor(NAN)}], 'd': torch.tensor([1.0, float('inf')], dtype=torch.bfloat16), 'e': torch.ones(1)}, 'x')


def test_bits_are_compared():
    assert same(torch.tensor([0.0, NAN]), torch.tensor([0.0, NAN]))
    assert not same(torch.tensor([0.0]), torch.tensor([-0.0]))
    assert not same(torch.tensor([1.0]), torch.tensor(1.0))
    assert same((0.9, 1), (0.9, 1))
    assert not same(1, True)
