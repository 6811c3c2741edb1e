"""The decoders with the phantom dimension: transformers' Qwen2, Qwen3 and Phi-3 with our attention, InternLM2 beside them."""

from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.models.phi3.modeling_phi3 import Phi3Attention, Phi3Model, Phi3RMSNorm
from transformers.models.phi3.modeling_phi3 import apply_rotary_pos_emb as turn_front
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention, Qwen2Model, Qwen2RMSNorm, apply_rotary_pos_emb
from transformers.models.qwen3.modeling_qwen3 import Qwen3Attention, Qwen3Model

from model.phantom.attention import PhantomAttention, PhantomInit
from model.phantom.cache import PhantomCache, SosLocation
from model.phantom.config import PhantomConfig

Rotation = tuple[Tensor, Tensor]  # cos and sin float[B, S, d]


def split_heads(states: Tensor, width: int) -> Tensor:
    """float[B, S, H*d] -> float[B, H, S, d]."""
    return states.reshape(*states.shape[:-1], -1, width).transpose(1, 2)


def rotate(query: Tensor, key: Tensor, position_embeddings: Rotation) -> Rotation:
    """Query and key turned by their positions, in float32 where the tables are, back in their own dtype."""
    whole = position_embeddings[0].shape[-1] == query.shape[-1]  # Phi-4-mini turns three quarters of a head
    turned = (apply_rotary_pos_emb if whole else turn_front)(query, key, *position_embeddings)
    return turned[0].to(query.dtype), turned[1].to(key.dtype)


class PhantomQwen2Attention(PhantomAttention, Qwen2Attention):
    """Qwen2's projections, phantom attention."""

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: Rotation,
        attention_mask: Tensor | None,
        past_key_values: PhantomCache | None = None,
        sos: SosLocation | None = None,
        **_,
    ) -> tuple[Tensor, None]:
        """float[B, S, D] -> float[B, S, D]."""
        query, key, value = (
            split_heads(project(hidden_states), self.head_dim) for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        query, key = rotate(query, key, position_embeddings)
        mixed = self.attend(
            query, key, value, out_proj=self.o_proj, attention_mask=attention_mask, cache=past_key_values, sos=sos
        )
        return mixed, None


class PhantomQwen3Attention(PhantomAttention, Qwen3Attention):
    """Qwen3's projections with a norm over each query and key head, phantom attention. Not of the released code, which has no Qwen3."""

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: Rotation,
        attention_mask: Tensor | None,
        past_key_values: PhantomCache | None = None,
        sos: SosLocation | None = None,
        **_,
    ) -> tuple[Tensor, None]:
        """float[B, S, D] -> float[B, S, D]."""
        query, key, value = (
            split_heads(project(hidden_states), self.head_dim) for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        query, key = rotate(self.q_norm(query), self.k_norm(key), position_embeddings)
        mixed = self.attend(
            query, key, value, out_proj=self.o_proj, attention_mask=attention_mask, cache=past_key_values, sos=sos
        )
        return mixed, None


class PhantomPhi3Attention(PhantomAttention, Phi3Attention):
    """Phi-3's one projection (all queries, all keys, all values), phantom attention."""

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: Rotation,
        attention_mask: Tensor | None,
        past_key_values: PhantomCache | None = None,
        sos: SosLocation | None = None,
        **_,
    ) -> tuple[Tensor, None]:
        """float[B, S, D] -> float[B, S, D]."""
        sizes = [heads * self.head_dim for heads in (self.config.num_attention_heads, *[self.num_key_value_heads] * 2)]
        parts = self.qkv_proj(hidden_states).split(sizes, dim=-1)
        query, key, value = (split_heads(part, self.head_dim) for part in parts)
        query, key = rotate(query, key, position_embeddings)
        mixed = self.attend(
            query, key, value, out_proj=self.o_proj, attention_mask=attention_mask, cache=past_key_values, sos=sos
        )
        return mixed, None


class WideQwen2RMSNorm(Qwen2RMSNorm):
    """Takes the float32 residual stream, gives the weights' dtype."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """float[..., D] -> float[..., D]."""
        return super().forward(hidden_states).to(self.weight.dtype)


class WidePhi3RMSNorm(Phi3RMSNorm):
    """Takes the float32 residual stream, gives the weights' dtype."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """float[..., D] -> float[..., D]."""
        return super().forward(hidden_states).to(self.weight.dtype)


class PhantomQwen2Model(PhantomInit, Qwen2Model):
    """transformers' Qwen2Model with phantom initialisation."""


class PhantomQwen3Model(PhantomInit, Qwen3Model):
    """transformers' Qwen3Model with phantom initialisation."""


class PhantomPhi3Model(PhantomInit, Phi3Model):
    """transformers' Phi3Model with phantom initialisation."""


def build_qwen2(config: PhantomConfig, text: PreTrainedConfig) -> Qwen2Model:
    """transformers' Qwen2Model with phantom attention in every layer."""
    return with_phantom(PhantomQwen2Model(text), config, attention=PhantomQwen2Attention, norm=WideQwen2RMSNorm)


def build_qwen3(config: PhantomConfig, text: PreTrainedConfig) -> Qwen3Model:
    """transformers' Qwen3Model with phantom attention in every layer."""
    return with_phantom(PhantomQwen3Model(text), config, attention=PhantomQwen3Attention, norm=WideQwen2RMSNorm)


def build_phi3(config: PhantomConfig, text: PreTrainedConfig) -> Phi3Model:
    """transformers' Phi3Model with phantom attention in every layer."""
    return with_phantom(PhantomPhi3Model(text), config, attention=PhantomPhi3Attention, norm=WidePhi3RMSNorm)


def with_phantom(
    decoder: nn.Module, config: PhantomConfig, *, attention: type[PhantomAttention], norm: type[nn.Module]
) -> nn.Module:
    """The decoder with its attentions and norms replaced."""
    text = decoder.config
    for index, layer in enumerate(decoder.layers):
        layer.self_attn = attention(text, index)
        layer.self_attn.add_phantom(config)
        layer.input_layernorm = norm(text.hidden_size, eps=text.rms_norm_eps)
        layer.post_attention_layernorm = norm(text.hidden_size, eps=text.rms_norm_eps)
    decoder.norm = norm(text.hidden_size, eps=text.rms_norm_eps)
    return decoder
