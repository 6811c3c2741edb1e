"""One pass for chosen and rejected: a shared prompt, two answers behind it that do not see each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.training.losses import IGNORE, token_logps


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """One row as ids: the prompt, its answers (chosen, then rejected if there is one) and its image tiles."""

    prompt: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]
    tiles: Tensor | None  # float[N, 3, H, W]
    row: str = ''  # the row's id, for messages

    def __len__(self) -> int:
        return len(self.prompt) + sum(len(answer) for answer in self.answers)


@dataclass(frozen=True, slots=True)
class BranchBatch:
    """Rows as tensors: prompts padded to P, then each answer padded to its side's longest, L = P + A tokens.

    `sources` are the positions whose logits predict `targets`, answer by answer.
    """

    input_ids: Tensor  # long[B, L]
    position_ids: Tensor  # long[B, L]: every answer starts where its row's prompt ends
    answer_mask: Tensor  # bool[B, 1, A, L]: what the answers' tokens see; the prompt is causal
    pixel_values: Tensor | None  # float[N, 3, H, W]
    sources: Tensor  # long[B, answers, M]
    targets: Tensor  # long[B, answers, M], IGNORE where an answer is shorter

    def to(self, device: torch.device) -> 'BranchBatch':
        """The same batch on another device."""
        fields = (getattr(self, name) for name in self.__slots__)
        return BranchBatch(*(None if field is None else field.to(device) for field in fields))


def collate(rows: Sequence[EncodedRow], *, pad_id: int) -> BranchBatch:
    """The batch of `rows`; all must have the same number of answers."""
    prompt = max(len(row.prompt) for row in rows)
    widths = [max(len(row.answers[side]) for row in rows) for side in range(len(rows[0].answers))]
    count, length = len(rows), prompt + sum(widths)
    input_ids = torch.full((count, length), pad_id)
    position_ids = torch.zeros(count, length, dtype=torch.long)
    sources = torch.zeros(count, len(widths), max(widths), dtype=torch.long)
    targets = torch.full((count, len(widths), max(widths)), IGNORE)
    for index, row in enumerate(rows):
        size = len(row.prompt)
        input_ids[index, :size] = torch.tensor(row.prompt)
        position_ids[index, :prompt] = torch.arange(prompt)
        start = prompt
        for side, (ids, width) in enumerate(zip(row.answers, widths, strict=True)):
            input_ids[index, start : start + len(ids)] = targets[index, side, : len(ids)] = torch.tensor(ids)
            position_ids[index, start : start + width] = size + torch.arange(width)
            sources[index, side, : len(ids)] = torch.arange(start - 1, start - 1 + len(ids))
            sources[index, side, 0] = size - 1  # every answer's first token follows its row's prompt
            start += width
    tiles = [row.tiles for row in rows if row.tiles is not None]
    mask = answer_mask([len(row.prompt) for row in rows], prompt, widths)
    return BranchBatch(input_ids, position_ids, mask, torch.cat(tiles) if tiles else None, sources, targets)


def answer_mask(prompt_sizes: Sequence[int], prompt: int, widths: Sequence[int]) -> Tensor:
    """bool[B, 1, A, P + A]: an answer's token sees its row's real prompt and its own answer up to itself."""
    own = torch.block_diag(*(torch.ones(width, width).tril() for width in widths)).bool()
    seen = torch.arange(prompt) < torch.tensor(prompt_sizes)[:, None]
    count, length = len(prompt_sizes), sum(widths)
    seen = seen[:, None].expand(count, length, prompt)
    return torch.cat([seen, own.expand(count, length, length)], dim=-1)[:, None]


def branch_logps(model: torch.nn.Module, batch: BranchBatch) -> Tensor:
    """Log-probability float[B, A, M] of every supervised token, 0 where ignored."""
    count, answers, width = batch.targets.shape
    logits = model(
        input_ids=batch.input_ids,
        pixel_values=batch.pixel_values,
        attention_mask=batch.answer_mask,
        position_ids=batch.position_ids,
        logits_at=batch.sources.flatten(1),
    ).logits
    return token_logps(logits, batch.targets.flatten(1)).view(count, answers, width)
