"""Phantom Optimization as pure functions of log-probabilities (arXiv 2409.14713, Eq. 4; SimPO, arXiv 2405.14734)."""

import torch.nn.functional as F
from torch import Tensor

IGNORE = -100  # target of positions that are not supervised

BETA = 2.0  # paper, appendix: "equal to SimPO"
GAMMA = 0.5  # outside beta; SimPO's gamma_beta_ratio is 0.25


def token_logps(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability float[B, M] of each target long[B, M] under logits float[B, M, V]; 0 where ignored."""
    flat = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction='none')
    return -flat.view_as(targets)


def average_logps(logps: Tensor, targets: Tensor) -> Tensor:
    """Mean over a row's supervised tokens, float[B]."""
    return logps.sum(-1) / (targets != IGNORE).sum(-1).clamp(min=1)


def sft_loss(logps: Tensor, targets: Tensor) -> Tensor:
    """Mean negative log-probability of all supervised tokens (answer and end token), float[]."""
    return -logps.sum() / (targets != IGNORE).sum().clamp(min=1)


def preference_loss(chosen: Tensor, rejected: Tensor, *, beta: float = BETA, gamma: float = GAMMA) -> Tensor:
    """-log sigmoid(beta * avg logp+ - beta * avg logp- - gamma) of each row, float[B] from averages float[B]."""
    return -F.logsigmoid(beta * (chosen - rejected) - gamma)


def dpo_loss(
    chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, *, beta: float = 0.1
) -> Tensor:
    """-log sigmoid(beta * (margin - reference margin)) of each row float[B], from summed logps (arXiv 2305.18290)."""
    return -F.logsigmoid(beta * ((chosen - rejected) - (reference_chosen - reference_rejected)))


def po_terms(logps: Tensor, targets: Tensor, *, beta: float = BETA, gamma: float = GAMMA) -> tuple[Tensor, Tensor]:
    """Per row: -log sigmoid float[B] and the difference of averages float[B]; from float[B, 2, M], chosen first."""
    chosen, rejected = (average_logps(logps[:, side], targets[:, side]) for side in (0, 1))
    return preference_loss(chosen, rejected, beta=beta, gamma=gamma), chosen - rejected
