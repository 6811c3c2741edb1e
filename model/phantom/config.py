"""PhantomConfig: every number that shapes a Phantom model, in the layout of the released checkpoints."""

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, LlamaConfig, Phi3Config, PreTrainedConfig, Qwen2Config, Qwen3Config

# The released code multiplies every phantom output by this constant (utils/utils.py, XAttention); it is not saved.
RELEASED_ETA = 1e-4

DECODER_TYPES = ('qwen2', 'qwen3', 'internlm2', 'phi3')  # Qwen2.5 and InternLM2.5 have the networks of 2

VISION_DEFAULTS: dict[str, Any] = {  # InternViT-300M-448px
    'hidden_size': 1024,
    'intermediate_size': 4096,
    'num_hidden_layers': 24,
    'num_attention_heads': 16,
    'image_size': 448,
    'patch_size': 14,
    'qkv_bias': True,
    'qk_normalization': False,
    'norm_type': 'layer_norm',
    'hidden_act': 'gelu',
    'layer_norm_eps': 1e-6,
    'initializer_range': 0.02,
}


@strict
class PhantomConfig(PreTrainedConfig):
    """Configuration of PhantomForConditionalGeneration; `llm_config` and `vision_config` stay as released."""

    model_type = 'phantom'
    # llm_config as a config object, under the name transformers looks for.
    attribute_map = {'image_token_id': 'image_token_index'}

    vision_config: dict | None = None
    llm_config: dict | None = None
    image_token_index: int = 151646
    ignore_index: int = -100
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None
    downsample_ratio: float = 0.5
    force_image_size: int | None = None  # kept for released files; the image size is vision_config's
    template: str | None = None
    tie_word_embeddings: bool = False
    phantom: bool = True  # False: plain decoder, without phantom parameters
    eta: float = RELEASED_ETA  # 1e-2 and above act in bfloat16
    eta_learnable: bool = False  # one trained scalar per layer, starting at eta
    min_tiles: int = 1  # tiles of the dynamic tiling
    max_tiles: int = 6
    use_thumbnail: bool = True

    def __post_init__(self, **kwargs):
        self.vision_config = {**VISION_DEFAULTS, **(self.vision_config or {})}
        self.llm_config = self.llm_config or {'architectures': ['Qwen2ForCausalLM']}
        self.tie_word_embeddings = bool(self.llm_config.get('tie_word_embeddings', self.tie_word_embeddings))
        super().__post_init__(**kwargs)

    @property
    def decoder_type(self) -> str:
        """One of qwen2, qwen3, internlm2, phi3: which decoder `llm_config` describes."""
        return decoder_type_of(self.llm_config)

    @property
    def tokens_per_tile(self) -> int:
        """Image tokens that one tile becomes: patches after the pixel shuffle."""
        side = self.vision_config['image_size'] // self.vision_config['patch_size']
        return int(side * self.downsample_ratio) ** 2

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> PreTrainedConfig:
        """The decoder's own transformers config, made anew from `llm_config`."""
        return text_config(self.decoder_type, self.llm_config, attn_implementation=self._attn_implementation)


def decoder_type_of(llm_config: dict[str, Any]) -> str:
    """One of DECODER_TYPES, by the architecture or the model type that `llm_config` names; raises ValueError for another one."""
    names = llm_config.get('architectures') or [llm_config.get('model_type', '')]
    name = str(names[0] if isinstance(names, list) else names).lower().removesuffix('forcausallm')
    if name in DECODER_TYPES:
        return name
    raise ValueError(f'llm_config: expected an architecture of Qwen2 (also 2.5), Qwen3, InternLM2 (also 2.5) or Phi-3, found {name!r}')


def text_config(decoder_type: str, llm_config: dict[str, Any], *, attn_implementation: str | None) -> PreTrainedConfig:
    """A transformers config for one decoder type from a released `llm_config`."""
    fields = {name: value for name, value in llm_config.items() if name not in _NOT_FOR_TRANSFORMERS}
    fields['attn_implementation'] = attn_implementation or 'sdpa'
    if fields.get('sliding_window') and decoder_type != 'qwen3':
        # The released flash call passes window (w, w), which keeps w+1 keys; a transformers window of n keeps n.
        fields['sliding_window'] = fields['sliding_window'] + 1
    if decoder_type == 'qwen2':
        return Qwen2Config(**{'layer_types': qwen2_layer_types(llm_config), **fields})
    if decoder_type == 'qwen3':
        return Qwen3Config(**fields)
    if decoder_type == 'phi3':
        return Phi3Config(**with_long_rope(fields))
    fields['attention_bias'] = fields.pop('bias', False)
    return LlamaConfig(**fields)  # InternLM2 has Llama's numbers under other weight names


def qwen2_layer_types(llm_config: dict[str, Any]) -> list[str]:
    """Which layers slide: the first max_window_layers in the released code, the others in today's transformers."""
    layers = llm_config.get('num_hidden_layers', Qwen2Config.num_hidden_layers)
    sliding = llm_config.get('max_window_layers', layers) if llm_config.get('use_sliding_window') else 0
    return ['sliding_attention' if index < sliding else 'full_attention' for index in range(layers)]


def with_long_rope(fields: dict[str, Any]) -> dict[str, Any]:
    """Phi-3 fields with `su` scaling under its present name, and the trained length where transformers looks for it."""
    scaling = fields.get('rope_scaling')
    if not scaling:
        return fields
    factors = {name: value for name, value in scaling.items() if name != 'type'}
    kind = scaling.get('type') or scaling.get('rope_type')
    factors['rope_type'] = 'longrope' if kind == 'su' else kind
    factors['original_max_position_embeddings'] = fields['original_max_position_embeddings']
    return {**fields, 'rope_scaling': factors}


_NOT_FOR_TRANSFORMERS = ('attn_implementation', 'architectures', 'model_type', 'auto_map', 'transformers_version')


def register() -> None:
    """Makes AutoConfig know `phantom`."""
    AutoConfig.register('phantom', PhantomConfig, exist_ok=True)
