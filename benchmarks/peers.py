"""Other preference losses on the same rows, as steppers: DPO, ORPO, SimPO, mDPO's picture negatives, and PO clipped by itself.

What is PO's alone is in the trainer: SimPO with SFT beside it (TRL's CPOTrainer with loss_type simpo, tests/model/training/test_losses.py).
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from model.training.branches import EncodedRow
from model.training.losses import average_logps
from model.training.packing import answer_logps, make_batch
from model.training.stepper import Stepper

LAMBDA = 0.1  # ORPO's weight (arXiv 2403.07691 and TRL's default beta)


class PreferenceAlone(Stepper):
    """SimPO or DPO without SFT beside it, as TRL's DPOTrainer has it by default."""

    def parts(self, logps, batch) -> Tensor:
        found = super().parts(logps, batch)
        return torch.cat([found[:1] * 0, found[1:]])


class Orpo(Stepper):
    """SFT and the odds of the right answer over the wrong one."""

    def parts(self, logps, batch) -> Tensor:
        found = super().parts(logps, batch)
        chosen, rejected = (average_logps(logps[:, side], batch.targets[:, side]) for side in (0, 1))
        return torch.cat([found[:1], LAMBDA * odds_ratio_loss(chosen, rejected).sum()[None], found[2:]])


def odds_ratio_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """-log sigmoid(log odds of chosen - log odds of rejected), float[B] from mean log-probabilities float[B] (arXiv 2403.07691, Eq. 7)."""
    log_odds = (chosen - rejected) - (torch.log1p(-chosen.exp()) - torch.log1p(-rejected.exp()))
    return -F.logsigmoid(log_odds)


class PictureDpo(Stepper):
    """mDPO (arXiv 2406.11839, Eq. 7): DPO, the right answer under its own picture against another row's, and an anchor on the right answer.

    There the other picture is a crop; a crop of one painted shape keeps its colour. Rows whose neighbour has the same answer have no such term.
    """

    def parts(self, logps, batch) -> Tensor:
        found, beta = super().parts(logps, batch), self.settings.dpo_beta
        swapped = replace(batch, pixel_values=batch.pixel_values.roll(1, 0))  # one tile a row
        with torch.no_grad():
            right, other = (answer_logps(self.reference, pictures)[:, 0].sum(-1) for pictures in (batch, swapped))
        gain = logps[:, 0].sum(-1) - right
        gain_elsewhere = answer_logps(self.model, swapped)[:, 0].sum(-1) - other
        differs = (batch.targets[:, 0] != batch.targets[:, 0].roll(1, 0)).any(-1)
        pictures = -F.logsigmoid(beta * (gain - gain_elsewhere)) * differs
        anchor = -F.logsigmoid(beta * gain)
        return torch.cat([found[:1] * 0, (found[1] + pictures.sum() + anchor.sum())[None], found[2:]])


class ClippedApart(Stepper):
    """SFT + PO whose gradients are clipped to 1 each before they are added; for one micro-batch a step and `clip_norm: 1e9`."""

    def accumulate(self, rows: list[EncodedRow], *, tokens: float, count: float, paired: bool) -> tuple[Tensor, int]:
        batch = make_batch(rows, pad_id=self.processor.pad_id, packing=self.packing)
        found = self.parts(answer_logps(self.model, batch), batch)
        (found[0] / tokens).backward(retain_graph=True)
        torch.nn.utils.clip_grad_norm_(self.processes.parameters, 1.0)
        of_sft = [parameter.grad.clone() for parameter in self.processes.parameters if parameter.grad is not None]
        self.processes.optimizer.zero_grad()
        (self.settings.po_weight * found[1] / count).backward()
        torch.nn.utils.clip_grad_norm_(self.processes.parameters, 1.0)
        for parameter, gradient in zip((p for p in self.processes.parameters if p.grad is not None), of_sft, strict=True):
            parameter.grad += gradient
        return found.detach().double() / torch.tensor([tokens, count, count, count], dtype=torch.float64), batch.input_ids.numel()
