"""One pass for chosen and rejected: a shared prompt, two answers behind it that do not see each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.losses import IGNORE, token_logps


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
    """Rows as tensors, padding last. `sources` are the positions whose logits predict `targets`, answer by answer."""

    input_ids: Tensor  # long[B, L]
    position_ids: Tensor  # long[B, L]: every answer starts where the prompt ends
    attention_mask: Tensor  # bool[B, 1, L, L]
    pixel_values: Tensor | None  # float[N, 3, H, W]
    sources: Tensor  # long[B, A, M]
    targets: Tensor  # long[B, A, M], IGNORE where an answer is shorter

    def to(self, device: torch.device) -> 'BranchBatch':
        """The same batch on another device."""
        fields = (getattr(self, name) for name in self.__slots__)
        return BranchBatch(*(None if field is None else field.to(device) for field in fields))


def collate(rows: Sequence[EncodedRow], *, pad_id: int) -> BranchBatch:
    """The batch of `rows`; all must have the same number of answers."""
    length = max(len(row) for row in rows)
    width = max(len(answer) for row in rows for answer in row.answers)
    count, answers = len(rows), len(rows[0].answers)
    input_ids = torch.full((count, length), pad_id)
    position_ids = torch.zeros(count, length, dtype=torch.long)
    branch = torch.full((count, length), -1)  # 0 prompt, 1.. answers, -1 padding
    sources = torch.zeros(count, answers, width, dtype=torch.long)
    targets = torch.full((count, answers, width), IGNORE)
    for index, row in enumerate(rows):
        start = len(row.prompt)
        input_ids[index, :start] = torch.tensor(row.prompt)
        position_ids[index, :start] = torch.arange(start)
        branch[index, :start] = 0
        for answer, ids in enumerate(row.answers):
            stop = start + len(ids)
            input_ids[index, start:stop] = targets[index, answer, : len(ids)] = torch.tensor(ids)
            position_ids[index, start:stop] = len(row.prompt) + torch.arange(len(ids))
            branch[index, start:stop] = 1 + answer
            sources[index, answer, : len(ids)] = torch.arange(start - 1, stop - 1)
            sources[index, answer, 0] = len(row.prompt) - 1  # every answer's first token follows the prompt
            start = stop
    tiles = [row.tiles for row in rows if row.tiles is not None]
    pixels = torch.cat(tiles) if tiles else None
    return BranchBatch(input_ids, position_ids, branch_mask(branch), pixels, sources, targets)


def branch_mask(branch: Tensor) -> Tensor:
    """bool[B, 1, L, L] from long[B, L]: causal; answers see the prompt and themselves, padding sees only itself."""
    length = branch.shape[1]
    query, key = branch[:, :, None], branch[:, None, :]
    causal = torch.ones(length, length, dtype=torch.bool, device=branch.device).tril()
    seen = causal & ((key == 0) | (key == query)) & (key >= 0) & (query >= 0)
    # A row that sees nothing would be 0/0 in the softmax.
    return (seen | torch.eye(length, dtype=torch.bool, device=branch.device))[:, None]


def branch_logps(model: torch.nn.Module, batch: BranchBatch) -> Tensor:
    """Log-probability float[B, A, M] of every supervised token, 0 where ignored."""
    count, answers, width = batch.targets.shape
    logits = model(
        input_ids=batch.input_ids,
        pixel_values=batch.pixel_values,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        logits_at=batch.sources.flatten(1),
    ).logits
    return token_logps(logits, batch.targets.flatten(1)).view(count, answers, width)
