"""The released phantom attention as the other side of decode.py and memory.py, written from its mathematics.

Phantom queries, keys and values are XAttention of each position's heads over those of the sos token (arXiv 2409.14713); both halves of the
doubled attention are mixed by the exponential gate. As released, those of the whole cache are made anew at every step, on repeated heads."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.exactness.recording import attention_of
from model.phantom.attention import PhantomAttention, XAttention, take_position
from model.phantom.cache import PhantomCache, SosLocation
from model.phantom.modeling import PhantomForConditionalGeneration


def use_released_attention(model: PhantomForConditionalGeneration) -> None:
    """Makes every layer attend as the released code does; Qwen2 and Phi-3 repeat the kv heads first, InternLM2 does not."""
    repeats = model.config.decoder_type != 'internlm2'
    for layer in model.language_model.model.layers:
        attention = attention_of(layer)
        attention.attend = Released(attention, repeats=repeats)


class Released:
    """Attention with the sos states kept beside the module, as lists are in the released code."""

    def __init__(self, attention: PhantomAttention, *, repeats: bool):
        self.attention, self.repeats = attention, repeats
        self.sos: tuple[Tensor, Tensor, Tensor] | None = None

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        out_proj: nn.Module,
        attention_mask: Tensor | None,
        cache: PhantomCache | None,
        sos: SosLocation | None,
    ) -> Tensor:
        """float[B, H, S, d], float[B, K, S, d] -> float[B, S, D]."""
        attention = self.attention
        if cache is not None:
            key, value = cache.update(key, value, attention.layer_idx)
        groups = query.shape[1] // key.shape[1]
        if self.repeats and groups > 1:
            key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
        if sos is not None:
            self.sos = tuple(take_position(states, sos.index) for states in (query, key, value))
        query_phantom = attention.eta * cross(attention.xattn_query_phantom, query, self.sos[0])
        key_phantom = attention.eta * cross(attention.xattn_key_phantom, key, self.sos[1])
        value_phantom = value + attention.eta * cross(attention.xattn_value_phantom, value, self.sos[2])
        mixed = F.scaled_dot_product_attention(
            torch.cat([query, query_phantom], dim=-1),
            torch.cat([key, key_phantom], dim=-1),
            torch.cat([value, value_phantom], dim=-1),
            attn_mask=attention_mask,
            is_causal=attention_mask is None and query.shape[2] > 1,
            scale=attention.head_dim**-0.5,
            enable_gqa=not self.repeats and groups > 1,
        )
        first, second = mixed.transpose(1, 2).split(attention.head_dim, dim=-1)
        one, two = attention.gating_phantom_1(first).exp(), attention.gating_phantom_2(second).exp()
        return out_proj((one / (one + two) * first + two / (one + two) * second).flatten(2))


def cross(module: XAttention, states: Tensor, sos: Tensor) -> Tensor:
    """Heads of every position over the heads of the sos token, float[B, H, S, d]."""
    states = states.transpose(1, 2)  # the released layout: positions before heads
    query = F.gelu(module.linear_q(states))
    key, value = F.gelu(module.linear_k(sos))[:, None], F.gelu(module.linear_v(sos))[:, None]
    weights = (query @ key.transpose(-1, -2) * states.shape[-1] ** -0.5).softmax(dim=-1)
    return F.gelu(module.linear_o(weights @ value)).transpose(1, 2)
