"""PhantomForConditionalGeneration as vLLM runs it: the project's vision, a stock decoder of vLLM, wide attention in it."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.model_executor.models.interfaces import MultiModalEmbeddings, SupportsMultiModal
from vllm.model_executor.models.utils import AutoWeightsLoader, WeightsMapper, init_vllm_registered_model, maybe_prefix
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.sequence import IntermediateTensors
from vllm.tokenizers import cached_tokenizer_from_config

from model.phantom.tokens import IMAGE_TOKEN, special_id
from model.phantom.vision import VisionModel, make_projector, pixel_shuffle
from model.serving.pictures import PhantomDummyInputs, PhantomInfo, PhantomMultiModalProcessor
from model.serving.pieces import first_token
from model.serving.weights import as_adapted, checked
from model.serving.wide import SummingNorm, WideAttention

# Decoder type -> vLLM's class; of a layer its attention, the norm before it, the norm behind it.
STOCK = {
    'qwen2': ('Qwen2ForCausalLM', 'self_attn', 'input_layernorm', 'post_attention_layernorm'),
    'qwen3': ('Qwen3ForCausalLM', 'self_attn', 'input_layernorm', 'post_attention_layernorm'),
    'internlm2': ('InternLM2ForCausalLM', 'attention', 'attention_norm', 'ffn_norm'),
    'phi3': ('Phi3ForCausalLM', 'self_attn', 'input_layernorm', 'post_attention_layernorm'),
}
NO_LORA = (
    "--enable-lora: expected none, found it: an adapter changes the first token's states, which this model keeps as constants; "
    'serve a checkpoint with one adapter by `phantom serve CKPT --adapter DIR`, or --hf-overrides \'{"adapter": "DIR"}\''
)


@MULTIMODAL_REGISTRY.register_processor(PhantomMultiModalProcessor, info=PhantomInfo, dummy_inputs=PhantomDummyInputs)
class PhantomForConditionalGeneration(nn.Module, SupportsMultiModal):
    """The checkpoint as vLLM runs it."""

    # Phantom parts live one level deeper here, on the module that took the place of `attn`.
    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_substr={f'.{part}': f'.attn.{part}' for part in ('xattn_', 'gating_phantom', 'eta_phantom')}
    )
    allow_patterns_overrides = ['model*.safetensors']  # not the trainer's own files, and never a pickle

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:
        """What stands for an image in a prompt."""
        return IMAGE_TOKEN

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = ''):
        super().__init__()
        if vllm_config.lora_config is not None:
            raise ValueError(NO_LORA)
        config = as_adapted(vllm_config.model_config.hf_config)
        self.config, self.model_config = config, vllm_config.model_config
        text = config.get_text_config()
        text.tie_word_embeddings = config.tie_word_embeddings
        with self._mark_tower_model(vllm_config, {'image'}):
            self.vision_model = VisionModel(config.vision_config)
            self.vision_proj = make_projector(config.vision_config['hidden_size'], text.hidden_size, config.downsample_ratio)
        with self._mark_language_model(vllm_config):
            self.language_model = init_vllm_registered_model(
                vllm_config=vllm_config,
                hf_config=text,
                architectures=[STOCK[config.decoder_type][0]],
                prefix=maybe_prefix(prefix, 'language_model'),
            )
        self.wide = self.widen(vllm_config) if config.phantom else []
        self.refuse_head_size()
        self.make_empty_intermediate_tensors = self.language_model.make_empty_intermediate_tensors

    def widen(self, vllm_config: VllmConfig) -> list[WideAttention]:
        """Wide attention in every layer; in half precision a residual stream in float32, as in our own model."""
        _, attention, before, behind = STOCK[self.config.decoder_type]
        decoder, wide = self.language_model.model, []
        half = self.model_config.dtype != torch.float32
        for layer in decoder.layers:
            module = getattr(layer, attention)
            module.attn = WideAttention(module.attn, self.config, vllm_config)
            wide.append(module.attn)
            if half:
                setattr(layer, before, SummingNorm(getattr(layer, before)))
                setattr(layer, behind, SummingNorm(getattr(layer, behind), parts=2))
        if half:
            decoder.norm = SummingNorm(decoder.norm)
        return wide

    def refuse_head_size(self) -> None:
        """Raises ValueError for heads that the attention of this machine has no kernel for: it would end at the first request."""
        layer = self.language_model.model.layers[0]
        module = self.wide[0].paged if self.wide else getattr(layer, STOCK[self.config.decoder_type][1]).attn
        backend, size = module.attn_backend, module.head_size
        if not backend.supports_head_size(size):
            why = f' (twice {size // 2}, for the phantom dimension)' if self.wide else ''
            raise ValueError(
                f'heads: expected a size that {backend.get_name()} can do ({", ".join(map(str, backend.get_supported_head_sizes()))}), '
                f'found {size}{why}; serve it with another attention backend (--attention-backend), or ask it by `phantom ask`'
            )

    def embed_multimodal(self, **kwargs: object) -> MultiModalEmbeddings:
        """Decoder tokens float[tiles * T, D] of each image."""
        pixels, counts = kwargs.get('pixel_values'), kwargs.get('tile_counts')
        if pixels is None:
            return []
        weight = self.vision_model.embeddings.patch_embedding.weight
        side = self.config.vision_config['image_size'] // self.config.vision_config['patch_size']
        features = self.vision_model(pixels.to(weight.dtype))[:, 1:].unflatten(1, (side, side))  # the class token is dropped
        tokens = self.vision_proj(pixel_shuffle(features, self.config.downsample_ratio).flatten(1, 2))
        return tokens.flatten(0, 1).split([int(count) * tokens.shape[1] for count in counts])

    def forward(
        self,
        input_ids: Tensor | None,
        positions: Tensor,
        intermediate_tensors: IntermediateTensors | None = None,
        inputs_embeds: Tensor | None = None,
        **_: object,
    ) -> Tensor:
        """Hidden states float[N, D] of the scheduled tokens."""
        return self.language_model.model(input_ids, positions, intermediate_tensors, inputs_embeds)

    def compute_logits(self, hidden_states: Tensor) -> Tensor | None:
        """Vocabulary logits float[N, V]."""
        return self.language_model.compute_logits(hidden_states)

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """The names of what was filled, all of it."""
        return AutoWeightsLoader(self).load_weights(checked(weights, self.config), mapper=self.hf_to_vllm_mapper)

    @torch.inference_mode()
    def process_weights_after_loading(self) -> None:
        """The sos tables: the first token of every prompt, alone through the layers."""
        if not self.wide:
            return
        first = special_id(cached_tokenizer_from_config(self.model_config), first_token(self.config.decoder_type))
        decoder = self.language_model.model
        where = next(decoder.parameters()).device
        ids, positions = torch.tensor([first], device=where), torch.zeros(1, dtype=torch.long, device=where)
        for wide in self.wide:
            wide.at_first_token = True
        hidden, residual = decoder.embed_input_ids(ids), None
        for layer in decoder.layers:
            hidden, residual = layer(positions, hidden, residual)
        for wide in self.wide:
            wide.at_first_token = False
