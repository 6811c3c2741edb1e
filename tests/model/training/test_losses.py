"""Losses against numbers worked out by hand."""

import math
from types import SimpleNamespace

import pytest
import torch

from model.training.losses import IGNORE, average_logps, dpo_loss, po_terms, preference_loss, sft_loss, token_logps


def test_token_logps_are_log_softmax_at_the_target_and_zero_where_ignored():
    """Logits (0, ln 3): probabilities 1/4 and 3/4."""
    logits = torch.tensor([[[0.0, math.log(3)], [0.0, math.log(3)], [5.0, 5.0]]])
    logps = token_logps(logits, torch.tensor([[0, 1, IGNORE]]))
    assert logps[0].tolist() == pytest.approx([math.log(1 / 4), math.log(3 / 4), 0.0])


def test_sft_is_the_mean_over_all_answer_tokens_of_the_batch():
    """Three supervised tokens with -logp 1, 2 and 6: 9 / 3, not the mean of row means (1.5 + 6) / 2."""
    logps = torch.tensor([[-1.0, -2.0], [-6.0, 0.0]])
    targets = torch.tensor([[4, 4], [4, IGNORE]])
    assert sft_loss(logps, targets).item() == pytest.approx(3.0)
    assert average_logps(logps, targets).tolist() == pytest.approx([-1.5, -6.0])


def test_preference_loss_puts_gamma_outside_beta():
    """beta 2, gamma 0.5, averages -1 and -1.25: -ln sigmoid(2 * 0.25 - 0.5) = ln 2."""
    loss = preference_loss(torch.tensor([-1.0]), torch.tensor([-1.25]))
    assert loss.tolist() == pytest.approx([math.log(2)])


def test_po_terms_average_each_answer_over_its_own_length():
    """Chosen -1, -1 (mean -1); rejected -3 alone (mean -3): difference 2, loss -ln sigmoid(2 * 2 - 0.5)."""
    logps = torch.tensor([[[-1.0, -1.0], [-3.0, 0.0]]])
    targets = torch.tensor([[[7, 8], [9, IGNORE]]])
    loss, margin = po_terms(logps, targets)
    assert margin.tolist() == pytest.approx([2.0])
    assert loss.tolist() == pytest.approx([math.log(1 + math.exp(-3.5))])


def test_dpo_loss_is_ln_2_where_the_reference_agrees():
    values = torch.tensor([-3.0]), torch.tensor([-5.0])
    assert dpo_loss(*values, *values).tolist() == pytest.approx([math.log(2)])


def test_po_equals_trl_simpo_on_the_same_logits():
    """TRL's CPO trainer with loss_type simpo: its gamma is ours, its nll is our SFT, average log-probabilities."""
    cpo = pytest.importorskip('trl.experimental.cpo.cpo_trainer').CPOTrainer
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(6, 9, 17, generator=generator)  # three chosen, then three rejected
    labels = torch.randint(0, 17, (6, 9), generator=generator)
    labels[:, :3] = IGNORE  # the prompt
    labels[1, 7:] = IGNORE
    theirs = cpo.get_batch_logps(logits, labels, average_log_prob=True)
    settings = SimpleNamespace(
        alpha=0.0,
        beta=2.0,
        simpo_gamma=0.5,
        loss_type='simpo',
        label_smoothing=0.0,
        accelerator=SimpleNamespace(device='cpu'),
    )
    expected = cpo.cpo_loss(settings, theirs[:3], theirs[3:])[0]
    targets = labels[:, 1:]
    logps = token_logps(logits[:, :-1], targets)
    paired, paired_targets = (torch.stack([tensor[:3], tensor[3:]], dim=1) for tensor in (logps, targets))
    assert torch.allclose(po_terms(paired, paired_targets)[0], expected, atol=1e-6)
    nll = torch.nn.functional.cross_entropy(logits[:3, :-1].flatten(0, 1), targets[:3].flatten(), ignore_index=IGNORE)
    assert sft_loss(logps[:3], targets[:3]).item() == pytest.approx(nll.item(), rel=1e-5)
