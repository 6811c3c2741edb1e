"""InternLM2 with the phantom dimension: Llama's mathematics under the released weight names."""

from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.llama.modeling_llama import LlamaModel, LlamaRotaryEmbedding

from model.phantom.attention import PhantomAttention, PhantomInit
from model.phantom.cache import PhantomCache, SosLocation
from model.phantom.config import PhantomConfig
from model.phantom.decoders import Rotation, WideQwen2RMSNorm, rotate


class InternLM2Attention(PhantomAttention):
    """One projection whose rows are, for each key-value head, its group of queries, then its key, then its value."""

    def __init__(self, text: PreTrainedConfig, layer_idx: int):
        super().__init__()
        self.layer_idx = layer_idx
        self.head_dim = text.hidden_size // text.num_attention_heads
        self.kv_heads = text.num_key_value_heads
        self.groups = text.num_attention_heads // text.num_key_value_heads
        rows = (text.num_attention_heads + 2 * text.num_key_value_heads) * self.head_dim
        self.wqkv = nn.Linear(text.hidden_size, rows, bias=text.attention_bias)
        self.wo = nn.Linear(text.num_attention_heads * self.head_dim, text.hidden_size, bias=text.attention_bias)

    def forward(
        self,
        hidden_states: Tensor,
        *,
        position_embeddings: Rotation,
        attention_mask: Tensor | None,
        past_key_values: PhantomCache | None,
        sos: SosLocation | None,
    ) -> Tensor:
        """float[B, S, D] -> float[B, S, D]."""
        packed = self.wqkv(hidden_states).unflatten(-1, (self.kv_heads, self.groups + 2, self.head_dim))
        query, key, value = packed.split([self.groups, 1, 1], dim=-2)
        query, key, value = (part.flatten(2, 3).transpose(1, 2) for part in (query, key, value))
        query, key = rotate(query, key, position_embeddings)
        return self.attend(
            query, key, value, out_proj=self.wo, attention_mask=attention_mask, cache=past_key_values, sos=sos
        )


class InternLM2MLP(nn.Module):
    """Gated MLP: w1 is the gate, w3 goes up, w2 goes down."""

    def __init__(self, text: PreTrainedConfig):
        super().__init__()
        self.w1 = nn.Linear(text.hidden_size, text.intermediate_size, bias=False)
        self.w3 = nn.Linear(text.hidden_size, text.intermediate_size, bias=False)
        self.w2 = nn.Linear(text.intermediate_size, text.hidden_size, bias=False)
        self.act = ACT2FN[text.hidden_act]

    def forward(self, states: Tensor) -> Tensor:
        """float[..., D] -> float[..., D]."""
        return self.w2(self.act(self.w1(states)) * self.w3(states))


class InternLM2Layer(GradientCheckpointingLayer):
    """Pre-norm attention and MLP."""

    def __init__(self, config: PhantomConfig, text: PreTrainedConfig, layer_idx: int):
        super().__init__()
        self.attention = InternLM2Attention(text, layer_idx)
        self.attention.add_phantom(config)
        self.feed_forward = InternLM2MLP(text)
        self.attention_norm = WideQwen2RMSNorm(text.hidden_size, eps=text.rms_norm_eps)
        self.ffn_norm = WideQwen2RMSNorm(text.hidden_size, eps=text.rms_norm_eps)

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_embeddings: Rotation | None = None,
        past_key_values: PhantomCache | None = None,
        sos: SosLocation | None = None,
        **_,
    ) -> Tensor:
        """float[B, S, D] -> float[B, S, D]."""
        hidden_states = hidden_states + self.attention(
            self.attention_norm(hidden_states),
            position_embeddings=position_embeddings,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            sos=sos,
        )
        return hidden_states + self.feed_forward(self.ffn_norm(hidden_states))


class StatelessRotaryEmbedding(LlamaRotaryEmbedding):
    """Rotations by this call's positions alone: elsewhere they stay stretched after a long prompt."""

    def forward(self, x: Tensor, position_ids: Tensor) -> Rotation:
        """cos and sin float[B, S, d] of positions long[B, S]."""
        self.max_seq_len_cached = self.original_max_seq_len
        self.inv_freq = self.original_inv_freq
        return super().forward(x, position_ids)


class InternLM2Model(PhantomInit, LlamaModel):
    """Llama's forward over InternLM2 layers."""

    _no_split_modules = ['InternLM2Layer']
    _can_record_outputs = {'hidden_states': InternLM2Layer}
    _input_embed_layer = 'tok_embeddings'

    def __init__(self, config: PhantomConfig, text: PreTrainedConfig):
        super(LlamaModel, self).__init__(text)  # LlamaModel's own __init__ would build Llama layers
        self.tok_embeddings = nn.Embedding(text.vocab_size, text.hidden_size, text.pad_token_id)
        self.layers = nn.ModuleList([InternLM2Layer(config, text, index) for index in range(text.num_hidden_layers)])
        self.norm = WideQwen2RMSNorm(text.hidden_size, eps=text.rms_norm_eps)
        self.rotary_emb = StatelessRotaryEmbedding(config=text)
        self.gradient_checkpointing = False
        self.post_init()
