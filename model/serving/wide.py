"""The phantom dimension inside vLLM's decoders: takes the place of `attn` in a stock attention module."""

import torch
from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.distributed import tensor_model_parallel_all_gather
from vllm.model_executor.layers.attention import Attention

from model.phantom.attention import PhantomAttention
from model.phantom.cache import SosTables
from model.phantom.config import PhantomConfig


class WideAttention(PhantomAttention):
    """Paged attention at twice the head width, between the widening and the gate; the rest of the decoder is stock.

    Every prompt begins with the same token, so the sos tables are constants of the checkpoint.
    """

    def __init__(self, plain: Attention, config: PhantomConfig, vllm_config: VllmConfig):
        super().__init__()
        self.head_dim, self.heads, self.kv_heads = plain.head_size, plain.num_heads, plain.num_kv_heads
        self.add_phantom(config)
        if self.eta_phantom is not None:
            self.eta_phantom.data = self.eta_phantom.data.float()
        del vllm_config.compilation_config.static_forward_context[plain.layer_name]  # it must not get a cache
        self.paged = Attention(
            self.heads,
            2 * self.head_dim,
            self.head_dim**-0.5,
            num_kv_heads=self.kv_heads,
            cache_config=vllm_config.cache_config,
            quant_config=vllm_config.quant_config,
            per_layer_sliding_window=plain.sliding_window,
            prefix=plain.layer_name,
        )
        ranks = vllm_config.parallel_config.tensor_parallel_size
        for name in SosTables._fields:
            heads = (self.heads if name.startswith('query') else self.kv_heads) * ranks
            self.register_buffer(name, torch.zeros(1, heads, self.head_dim), persistent=False)
        self.at_first_token = False

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Rotated float[N, H*d], float[N, K*d] of any requests' tokens -> float[N, H*d], in half precision float[2*N, H*d].

        The rows behind the first N are the phantom term, which is projected on its own then (see PhantomAttention.merge); SummingNorm adds them.
        """
        if self.at_first_token:
            self.set_tables(query, key, value)
        tables = SosTables(*(getattr(self, name) for name in SosTables._fields))
        dtype, count = query.dtype, len(query)
        # XAttention sees each head vector on its own, so tokens and heads are one long axis.
        query, key, value = (part.reshape(1, 1, -1, self.head_dim) for part in (query, key, value))
        query, key, value = (part.to(dtype) for part in self.widen(query, key, value, tables))
        if self.at_first_token:  # alone it sees itself with probability one
            mixed = value.reshape(self.kv_heads, -1).repeat_interleave(self.heads // self.kv_heads, dim=0)
        else:
            query, key, value = (
                part.view(count, heads * 2 * self.head_dim)
                for part, heads in ((query, self.heads), (key, self.kv_heads), (value, self.kv_heads))
            )
            mixed = self.paged(query, key, value)
        plain, phantom = mixed.view(count, self.heads, 2 * self.head_dim).split(self.head_dim, dim=-1)
        projected: list[Tensor] = []

        def keep(states: Tensor) -> Tensor:
            projected.append(states.to(dtype).reshape(count, -1))
            return states

        self.merge(plain[None], phantom[None], keep)
        return projected[0] if len(projected) == 1 else torch.cat(projected)

    def set_tables(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        """The six tables from the one first token's own states."""
        made: list[Tensor] = []
        for module, states in (
            (self.xattn_query_phantom, query),
            (self.xattn_key_phantom, key),
            (self.xattn_value_phantom, value),
        ):
            heads = tensor_model_parallel_all_gather(states.reshape(1, -1, self.head_dim), dim=1)
            made += module.tables(heads)
        for name, table in zip(SosTables._fields, made, strict=True):
            getattr(self, name).copy_(table)


class SummingNorm(nn.Module):
    """RMSNorm over a residual stream that stays float32, in place of vLLM's: a bfloat16 sum rounds the phantom term away.

    Takes and gives what vLLM's own does. `parts`: how many projections of the same N tokens stand behind each other in what is added.
    """

    def __init__(self, plain: nn.Module, *, parts: int = 1):
        super().__init__()
        self.weight, self.eps, self.parts = plain.weight, plain.variance_epsilon, parts

    def forward(self, states: Tensor, residual: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """float[parts*N, D] beside the stream float[N, D] -> the normalised sum in the weights' dtype, and the sum; alone, only the first."""
        if residual is None:
            return self.normal(states.float())
        if self.parts > 1:
            states = states.float().unflatten(0, (self.parts, residual.shape[0])).sum(0)
        summed = states.float() + residual.float()
        return self.normal(summed), summed

    def normal(self, wide: Tensor) -> Tensor:
        """float[N, D] in float32 -> the same normalised, in the weights' dtype."""
        scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return (self.weight * scaled).to(self.weight.dtype)
