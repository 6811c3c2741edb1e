"""PhantomCache: keys and values of both dimensions once per position, and the sos tables beside them."""

from typing import NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig


class SosLocation(NamedTuple):
    """Where the first real token of each row stands in the new tokens."""

    index: Tensor  # long[B]
    fresh: Tensor | None  # bool[B]: rows whose first token is among the new tokens; None means all


class PackedRows(NamedTuple):
    """Rows behind each other in one sequence, each a prompt and its answers, which see their own prompt and themselves."""

    sizes: tuple[tuple[int, ...], ...]  # a row's tokens: of its prompt, then of each answer
    spans: tuple[int, ...]  # tokens of neighbouring rows that begin with the same token, and so share their sos tables


class SosTables(NamedTuple):
    """Keys and values that the three phantom attentions read; made from the first token of each row."""

    query_keys: Tensor  # float[B, H, d]
    query_values: Tensor  # float[B, H, d]
    key_keys: Tensor  # float[B, K, d]
    key_values: Tensor  # float[B, K, d]
    value_keys: Tensor  # float[B, K, d]
    value_values: Tensor  # float[B, K, d]


class PhantomCache(DynamicCache):
    """A growing cache 2d wide that keeps each layer's sos tables, so that no state lives on the model."""

    def __init__(self, config: PreTrainedConfig | None = None):
        super().__init__(config=config)
        self.sos: dict[int, SosTables] = {}
        self.sos_complete = False  # every row has met its first real token

    def keep_sos(self, layer: int, tables: SosTables, fresh: Tensor | None) -> SosTables:
        """The tables to read now: the new ones for fresh rows, the kept ones for the others."""
        kept = self.sos.get(layer)
        if kept is not None and fresh is not None:
            chosen = fresh[:, None, None]
            tables = SosTables(*(torch.where(chosen, new, old) for new, old in zip(tables, kept, strict=True)))
        self.sos[layer] = tables
        return tables

    def locate_sos(self, attention_mask: Tensor | None, length: int) -> SosLocation | None:
        """Places of the first real tokens among `length` new tokens; None once all rows have had theirs."""
        if self.sos_complete:
            return None
        past = self.get_seq_length()
        location = locate_sos(attention_mask, past, length)
        self.sos_complete = attention_mask is None or bool(attention_mask[:, : past + length].any(-1).all())
        return location

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Rows in the order of the surviving beams."""
        super().reorder_cache(beam_idx)
        self._map_sos(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Only the named rows."""
        super().batch_select_indices(indices)
        self._map_sos(indices)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Each row `repeats` times, neighbours."""
        super().batch_repeat_interleave(repeats)
        for layer, tables in self.sos.items():
            self.sos[layer] = SosTables(*(table.repeat_interleave(repeats, dim=0) for table in tables))

    def reset(self) -> None:
        """An empty cache; the next tokens start a new prompt."""
        super().reset()
        self.sos.clear()
        self.sos_complete = False

    def _map_sos(self, rows: Tensor) -> None:
        for layer, tables in self.sos.items():
            self.sos[layer] = SosTables(*(table[rows.to(table.device)] for table in tables))


def locate_sos(attention_mask: Tensor | None, past: int, length: int) -> SosLocation:
    """Places of the first real tokens of a left padded batch among the tokens [past, past + length)."""
    if attention_mask is None:
        raise ValueError('locate_sos needs the attention mask bool[B, T]; pass ones where nothing is padded')
    first = attention_mask.long().argmax(-1)
    if past == 0:
        return SosLocation(first.clamp(max=length - 1), None)
    return SosLocation((first - past).clamp(0, length - 1), first >= past)
