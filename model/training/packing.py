"""Rows of a micro-batch in one sequence without padding: each sees itself alone, at positions of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor

from model.phantom.cache import PackedRows
from model.training.branches import BranchBatch, EncodedRow, branch_logps, collate
from model.training.losses import IGNORE, token_logps


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """Rows behind each other as tensors, L tokens in all: of each row its prompt, then its answers.

    `sources` are the positions whose logits predict the targets that are not ignored, in their order.
    """

    input_ids: Tensor  # long[1, L]
    position_ids: Tensor  # long[1, L]: a row starts at 0, every answer where its row's prompt ends
    packed: PackedRows
    pixel_values: Tensor | None  # float[N, 3, H, W]
    sources: Tensor  # long[1, T]
    targets: Tensor  # long[R, answers, M], IGNORE where an answer is shorter

    def to(self, device: torch.device) -> 'PackedBatch':
        """The same batch on another device."""
        tensors = {name: getattr(self, name) for name in ('input_ids', 'position_ids', 'pixel_values', 'sources', 'targets')}
        return replace(self, **{name: tensor if tensor is None else tensor.to(device) for name, tensor in tensors.items()})


def make_batch(rows: Sequence[EncodedRow], *, pad_id: int, packing: bool) -> BranchBatch | PackedBatch:
    """The batch of `rows`, in one sequence or each padded to the longest; all must have the same number of answers."""
    return pack(rows) if packing else collate(rows, pad_id=pad_id)


def answer_logps(model: torch.nn.Module, batch: BranchBatch | PackedBatch) -> Tensor:
    """Log-probability float[R, A, M] of every supervised token, 0 where ignored."""
    return packed_logps(model, batch) if isinstance(batch, PackedBatch) else branch_logps(model, batch)


def pack(rows: Sequence[EncodedRow]) -> PackedBatch:
    """The batch of `rows` in one sequence, those that begin alike beside each other.

    A prompt begins with a special token of its template, never with a picture, so equal ids there are equal states.
    """
    ordered = sorted(rows, key=first_token)  # stable: otherwise as they came
    answers, widest = len(ordered[0].answers), max(len(answer) for row in ordered for answer in row.answers)
    targets = torch.full((len(ordered), answers, widest), IGNORE)
    ids: list[int] = []
    positions: list[int] = []
    sources: list[int] = []
    for index, row in enumerate(ordered):
        ids += row.prompt
        positions += range(len(row.prompt))
        last = len(ids) - 1  # every answer's first token follows its row's prompt
        for side, answer in enumerate(row.answers):
            targets[index, side, : len(answer)] = torch.tensor(answer)
            sources += [last, *range(len(ids), len(ids) + len(answer) - 1)]
            positions += range(len(row.prompt), len(row.prompt) + len(answer))
            ids += answer
    sizes = tuple((len(row.prompt), *map(len, row.answers)) for row in ordered)
    spans = tuple(sum(map(len, alike)) for _, alike in groupby(ordered, key=first_token))
    tiles = [row.tiles for row in ordered if row.tiles is not None]
    return PackedBatch(
        input_ids=torch.tensor([ids]),
        position_ids=torch.tensor([positions]),
        packed=PackedRows(sizes, spans),
        pixel_values=torch.cat(tiles) if tiles else None,
        sources=torch.tensor([sources]),
        targets=targets,
    )


def first_token(row: EncodedRow) -> int:
    """The id that a row begins with."""
    return row.prompt[0]


def packed_logps(model: torch.nn.Module, batch: PackedBatch) -> Tensor:
    """Log-probability float[R, A, M] of every supervised token, 0 where ignored."""
    logits = model(
        input_ids=batch.input_ids,
        pixel_values=batch.pixel_values,
        position_ids=batch.position_ids,
        packed=batch.packed,
        logits_at=batch.sources,
    ).logits
    real = batch.targets != IGNORE
    found = token_logps(logits, batch.targets[real][None])[0]
    return torch.zeros(real.shape, dtype=found.dtype, device=found.device).masked_scatter(real, found)
