"""The study's other losses are what their authors' libraries compute."""

import copy
import math
from dataclasses import replace

import pytest
import torch

from benchmarks.lab import colour_rows, encode, scratch
from benchmarks.peers import ClippedApart, Orpo, PictureDpo, PreferenceAlone, odds_ratio_loss
from model.training.settings import TrainSettings
from model.training.stepper import Stepper

SMALL = {
    'vision_config': {'hidden_size': 16, 'intermediate_size': 16, 'num_hidden_layers': 1, 'num_attention_heads': 2, 'image_size': 28},
    'llm_config': {'architectures': ['Qwen2ForCausalLM'], 'vocab_size': 264, 'hidden_size': 32, 'intermediate_size': 32, 'num_hidden_layers': 1,
                   'num_attention_heads': 2, 'num_key_value_heads': 1, 'tie_word_embeddings': False},
}  # fmt: skip
SETTINGS = TrainSettings(trainable=('all',), batch_rows=4, micro_batch_rows=4, precision='fp32', learning_rate=1e-3, po_weight=1.0)


@pytest.fixture(scope='module')
def start():
    return scratch(0, **SMALL)


@pytest.fixture(scope='module')
def rows(start):
    return [encode(row, start[1], (row.chosen, row.rejected)) for row in colour_rows('train', 4)]


def first_step(kind, start, rows, settings=SETTINGS, **options) -> tuple[dict, torch.nn.Module]:
    model = copy.deepcopy(start[0])
    record = kind(model, start[1], settings, resume=None, **options).step(rows, step=1, rate=1e-3)
    return record, model


def frozen(start) -> torch.nn.Module:
    return copy.deepcopy(start[0]).eval().requires_grad_(False)


def test_orpo_is_trls_odds_ratio():
    trainer = pytest.importorskip('trl.experimental.orpo.orpo_trainer').ORPOTrainer
    chosen, rejected = torch.tensor([-0.1, -1.5, -3.0]), torch.tensor([-0.2, -0.7, -4.0])
    settings = type('T', (), {'beta': 1.0, 'accelerator': type('A', (), {'device': 'cpu'})})()
    assert torch.allclose(odds_ratio_loss(chosen, rejected), -trainer.odds_ratio_loss(settings, chosen, rejected)[0], atol=1e-5)


def test_a_preference_alone_has_no_sft_in_its_gradient(start, rows):
    alone, _ = first_step(PreferenceAlone, start, rows)
    both, _ = first_step(Stepper, start, rows)
    assert (alone['sft'], alone['po']) == (0, pytest.approx(both['po'], rel=1e-5))
    assert alone['loss'] == pytest.approx(both['loss'] - both['sft'], rel=1e-5)


def test_orpo_adds_a_tenth_of_the_odds_to_sft(start, rows):
    orpo, _ = first_step(Orpo, start, rows)
    both, _ = first_step(Stepper, start, rows)
    assert orpo['sft'] == pytest.approx(both['sft'], rel=1e-5)
    assert 0 < orpo['po'] < 0.1  # random weights: about 0.1 ln 2


def test_picture_negatives_begin_at_ln_2_each_and_leave_out_neighbours_of_the_same_answer(start, rows):
    """At the reference each of the three terms is ln 2; the picture's only where the neighbour's answer is another."""
    settings = replace(SETTINGS, preference='dpo', packing=False)
    apart = list({row.chosen: encode(row, start[1], (row.chosen, row.rejected)) for row in colour_rows('train', 40)}.values())[:4]
    found, _ = first_step(PictureDpo, start, apart, settings, reference=frozen(start))
    assert found['loss'] == pytest.approx(math.log(2) * 3, rel=1e-4)
    same, _ = first_step(PictureDpo, start, [rows[0]] * 4, settings, reference=frozen(start))
    assert same['loss'] == pytest.approx(math.log(2) * 2, rel=1e-4)


def test_gradients_that_nothing_clips_are_the_same_together_and_apart(start, rows, monkeypatch):
    monkeypatch.setattr(torch.nn.utils, 'clip_grad_norm_', lambda parameters, norm: torch.tensor(1.0))
    weights = [first_step(kind, start, rows, replace(SETTINGS, clip_norm=1e9))[1].state_dict() for kind in (Stepper, ClippedApart)]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-5) for name in weights[0])
