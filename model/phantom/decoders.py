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


def project_thrice(attention: nn.Module, hidden_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The heads of states float[B, S, D] by the q_proj, k_proj and v_proj of an attention."""
    query, key, value = (project(hidden_states) for project in (attention.q_proj, attention.k_proj, attention.v_proj))
    return split_heads(query, attention.head_dim), split_heads(key, attention.head_dim), split_heads(value, attention.head_dim)


def rotate(query: Tensor, key: Tensor, position_embeddings: Rotation) -> Rotation:
    """Query and key turned by their positions, in float32 where the tables are, back in their own dtype."""
    whole = position_embeddings[0].shape[-1] == query.shape[-1]  # Phi-4-mini turns three quarters of a head
    turned = (apply_rotary_pos_emb if whole else turn_front)(query, key, *position_embeddings)
    return turned[0].to(query.dtype), turned[1].to(key.dtype)


class RotaryAttention(PhantomAttention):
    """The forward of transformers' attentions with phantom attention in it; subclasses say how states become heads."""

    def heads(self, hidden_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query float[B, H, S, d], key and value float[B, K, S, d] of states float[B, S, D], not yet rotated."""
        raise NotImplementedError

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
        query, key, value = self.heads(hidden_states)
        query, key = rotate(query, key, position_embeddings)
        mixed = self.attend(
            query, key, value, out_proj=self.o_proj, attention_mask=attention_mask, cache=past_key_values, sos=sos
        )
        return mixed, None


class PhantomQwen2Attention(RotaryAttention, Qwen2Attention):
    """Qwen2's projections."""

    def heads(self, hidden_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Three projections."""
        return project_thrice(self, hidden_states)


class PhantomQwen3Attention(RotaryAttention, Qwen3Attention):
    """Qwen3's projections. Not of the released code, which has no Qwen3."""

    def heads(self, hidden_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Qwen2's, with a norm over each query and key head."""
        query, key, value = project_thrice(self, hidden_states)
        return self.q_norm(query), self.k_norm(key), value


class PhantomPhi3Attention(RotaryAttention, Phi3Attention):
    """Phi-3's projection."""

    def heads(self, hidden_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One projection: all queries, all keys, all values."""
        sizes = [count * self.head_dim for count in (self.config.num_attention_heads, *[self.num_key_value_heads] * 2)]
        query, key, value = self.qkv_proj(hidden_states).split(sizes, dim=-1)
        return split_heads(query, self.head_dim), split_heads(key, self.head_dim), split_heads(value, self.head_dim)


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
