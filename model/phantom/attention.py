"""The phantom dimension: attention over twice the head width, mixed back to the ordinary width by a gate."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization as init

from model.phantom.cache import PackedRows, PhantomCache, SosLocation, SosTables
from model.phantom.config import PhantomConfig


class PhantomLinear(nn.Linear):
    """A d x d map of head vectors, told apart so that it can have its own initialisation."""

    def __init__(self, width: int):
        super().__init__(width, width, bias=False)


class XAttention(nn.Module):
    """One-head attention of a head vector over the head vectors of the first (sos) token."""

    def __init__(self, width: int):
        super().__init__()
        self.linear_q = PhantomLinear(width)
        self.linear_k = PhantomLinear(width)
        self.linear_v = PhantomLinear(width)
        self.linear_o = PhantomLinear(width)

    def tables(self, sos: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values float[B, H, d] of the sos heads float[B, H, d].

        linear_o is folded into the values: rows of the softmax sum to one and there is no bias, so the order does
        not matter, and one d x d product a position is saved.
        """
        return F.gelu(self.linear_k(sos)), self.linear_o(F.gelu(self.linear_v(sos)))

    def forward(self, states: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """float[B, H, S, d] over sos tables float[B, Hs, d] -> float[B, H, S, d], without eta."""
        batch, heads, length, width = states.shape
        queries = F.gelu(self.linear_q(states)).reshape(batch, heads * length, width)
        scores = queries @ keys.transpose(1, 2) * width**-0.5
        mixed = scores.softmax(dim=-1, dtype=torch.float32).to(values.dtype) @ values
        return F.gelu(mixed).reshape(batch, heads, length, width)


class PhantomAttention(nn.Module):
    """What the three decoders' attentions share: subclasses project, this attends.

    The released form is v_ph = v + eta*y_v, o2 = A v_ph, out = g*o1 + (1-g)*o2. Here it is the equal
    out = o1 + (1-g)*eta*(A y_v): in bfloat16 v + eta*y_v rounds eta*y_v away (measured: 1-2 % of v change at 1e-4).
    """

    def add_phantom(self, config: PhantomConfig) -> None:
        """Creates the 16 phantom tensors of one layer (17 with a learnable eta), or none with `phantom` off."""
        self.phantom = config.phantom
        if not self.phantom:
            return
        width, eta = self.head_dim, config.eta
        self.xattn_query_phantom = XAttention(width)
        self.xattn_key_phantom = XAttention(width)
        self.xattn_value_phantom = XAttention(width)
        self.gating_phantom_1 = nn.Linear(width, 1)
        self.gating_phantom_2 = nn.Linear(width, 1)
        self.eta = eta
        self.eta_phantom = nn.Parameter(torch.tensor([eta], dtype=torch.float32)) if config.eta_learnable else None

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        out_proj: nn.Module,
        attention_mask: Tensor | None,
        cache: PhantomCache | None,
        sos: SosLocation | PackedRows | None,
    ) -> Tensor:
        """Rotated float[B, H, S, d] and float[B, K, S, d] -> projected float[B, S, D]; packed rows need no mask."""
        packed = isinstance(sos, PackedRows)
        if self.phantom and packed:
            query, key, value = self.widen_packed(query, key, value, sos)
        elif self.phantom:
            query, key, value = self.widen(query, key, value, self.sos_tables(query, key, value, cache=cache, sos=sos))
        if cache is not None:
            key, value = cache.update(key, value, self.layer_idx)
        scale = self.head_dim**-0.5
        if packed:
            mixed = attend_packed(query, key, value, sos, scale=scale).transpose(1, 2)
        else:
            mixed = attend_grouped(query, key, value, attention_mask, scale=scale).transpose(1, 2)
        if not self.phantom:
            return out_proj(mixed.flatten(2))
        plain, phantom = mixed.split(self.head_dim, dim=-1)
        return self.merge(plain, phantom, out_proj)

    def widen(self, query: Tensor, key: Tensor, value: Tensor, tables: SosTables) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key, value with their phantom halves behind them, [..., d] -> [..., 2d]; the value's has no eta."""
        eta = self.eta if self.eta_phantom is None else self.eta_phantom.to(query.dtype)
        query_phantom = self.xattn_query_phantom(query, tables.query_keys, tables.query_values)
        key_phantom = self.xattn_key_phantom(key, tables.key_keys, tables.key_values)
        value_phantom = self.xattn_value_phantom(value, tables.value_keys, tables.value_values)
        query = torch.cat([query, eta * query_phantom], dim=-1)
        key = torch.cat([key, eta * key_phantom], dim=-1)
        return query, key, torch.cat([value, value_phantom], dim=-1)

    def widen_packed(self, query: Tensor, key: Tensor, value: Tensor, packed: PackedRows) -> tuple[Tensor, Tensor, Tensor]:
        """`widen` of rows behind each other, each with the tables of its own first token.

        Rows that begin with the same token share the first one's: at position 0, where nothing else is seen, it is the
        same state in all of them, and its gradients add up alike.
        """
        first = SosLocation(torch.zeros(1, dtype=torch.long, device=query.device), None)
        wide = []
        for part in zip(*(states.split(packed.spans, dim=2) for states in (query, key, value)), strict=True):
            wide.append(self.widen(*part, self.sos_tables(*part, cache=None, sos=first)))
        query, key, value = (torch.cat(states, dim=2) for states in zip(*wide, strict=True))
        return query, key, value

    def sos_tables(
        self, query: Tensor, key: Tensor, value: Tensor, *, cache: PhantomCache | None, sos: SosLocation | None
    ) -> SosTables:
        """Tables of each row's first token: from the new tokens where it is among them, else from the cache."""
        if sos is None:
            return cache.sos[self.layer_idx]
        tables = SosTables(
            *self.xattn_query_phantom.tables(take_position(query, sos.index)),
            *self.xattn_key_phantom.tables(take_position(key, sos.index)),
            *self.xattn_value_phantom.tables(take_position(value, sos.index)),
        )
        return tables if cache is None else cache.keep_sos(self.layer_idx, tables, sos.fresh)

    def merge(self, plain: Tensor, phantom: Tensor, out_proj: nn.Module) -> Tensor:
        """Halves o1 and A y_v, float[B, S, H, d], gated and projected to float[B, S, D].

        The phantom term stays float32. In half precision it is projected on its own, because adding it to o1 first
        would round it away again; the sum then joins a float32 residual stream.
        """
        eta = self.eta if self.eta_phantom is None else self.eta_phantom.float()
        term = eta * phantom.float()
        logit = self.gating_phantom_1(plain).float() - self.gating_phantom_2((plain + term).to(plain.dtype)).float()
        added = torch.sigmoid(-logit) * term  # 1 - sigmoid(w1 - w2), where exp(w1) would overflow
        if plain.dtype == torch.float32:
            return out_proj((plain + added).flatten(2))
        projected = out_proj(added.to(plain.dtype).flatten(2)).float()
        if getattr(out_proj, 'bias', None) is not None:
            projected = projected - out_proj.bias
        return out_proj(plain.flatten(2)).float() + projected


class PhantomInit:
    """Initialisation of phantom parts, for the decoder models: transformers asks the innermost model."""

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, PhantomLinear):
            # 0.02 would leave y near zero at head widths of 16 to 128; the paper names no initialisation.
            init.normal_(module.weight, std=module.in_features**-0.5)
            return
        super()._init_weights(module)
        if isinstance(module, PhantomAttention) and getattr(module, 'eta_phantom', None) is not None:
            init.constant_(module.eta_phantom, module.eta)


def take_position(states: Tensor, index: Tensor) -> Tensor:
    """Head vectors float[B, H, d] at one position a row, out of float[B, H, S, d]."""
    return states[torch.arange(len(index), device=states.device), :, index]


def attend_grouped(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *, scale: float) -> Tensor:
    """Causal attention of float[B, H, S, D] over float[B, K, T, D] -> float[B, H, S, D], never repeating the cache.

    mask: bool[B, 1, S, T], or None for plain causal; or bool[B, 1, A, T] with A < S for the last A queries alone, the
    others being causal among themselves (a prompt and its answers: no time is spent above the prompt's diagonal).
    """
    length = query.shape[2]
    if mask is not None and mask.shape[2] < length:
        start = length - mask.shape[2]
        front = (states[:, :, :start] for states in (query, key, value))
        causal = attend_grouped(*front, None, scale=scale)
        return torch.cat([causal, attend_grouped(query[:, :, start:], key, value, mask, scale=scale)], dim=2)
    groups = query.shape[1] // key.shape[1]
    if length == 1:
        # The heads of a group become rows of one product, so K heads are read once.
        folded = query.reshape(len(query), -1, groups, query.shape[-1])
        return F.scaled_dot_product_attention(folded, key, value, attn_mask=mask, scale=scale).reshape(query.shape)
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=scale, is_causal=mask is None, enable_gqa=groups > 1
    )


def attend_packed(query: Tensor, key: Tensor, value: Tensor, packed: PackedRows, *, scale: float) -> Tensor:
    """Attention of packed rows, float[1, H, S, D] over float[1, K, S, D] -> float[1, H, S, D].

    Row by row, so that its cost grows with the rows' own squares, not with the sequence's. Prompt and first answer are
    one causal sequence; every further answer reads the prompt's keys beside its own.
    """
    sizes = [size for prompt, first, *others in packed.sizes for size in (prompt + first, *others)]
    # Split, not sliced: the gradient of a slice is a tensor of the whole sequence, for each row.
    parts = zip(*(states.split(sizes, dim=2) for states in (query, key, value)), strict=True)
    mixed = []
    for prompt, _, *others in packed.sizes:
        query, key, value = next(parts)
        mixed.append(attend_grouped(query, key, value, None, scale=scale))
        shared = key[:, :, :prompt], value[:, :, :prompt]
        for size in others:
            query, *own = next(parts)
            key, value = (torch.cat(pair, dim=2) for pair in zip(shared, own, strict=True))
            mask = torch.ones(1, 1, size, prompt + size, dtype=torch.bool, device=query.device).tril(prompt)
            mixed.append(attend_grouped(query, key, value, mask, scale=scale))
    return torch.cat(mixed, dim=2)
