"""PhantomForConditionalGeneration: image tiles and text in, text out."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils.generic import can_return_tuple

from model.phantom.cache import PackedRows, PhantomCache, SosLocation, locate_sos
from model.phantom.carried import CarriesCode
from model.phantom.config import PhantomConfig
from model.phantom.decoders import build_phi3, build_qwen2, build_qwen3
from model.phantom.generation import PhantomGenerationMixin
from model.phantom.internlm2 import InternLM2Model
from model.phantom.vision import VisionEmbeddings, VisionLayer, VisionModel, make_projector, pixel_shuffle

# Decoder type -> how to build it, the released name of its head, of its embedding.
DECODERS = {
    'qwen2': (build_qwen2, 'lm_head', 'embed_tokens'),
    'qwen3': (build_qwen3, 'lm_head', 'embed_tokens'),
    'internlm2': (InternLM2Model, 'output', 'tok_embeddings'),
    'phi3': (build_phi3, 'lm_head', 'embed_tokens'),
}


class LanguageModel(nn.Module):
    """A decoder and its head, under the released names."""

    def __init__(self, config: PhantomConfig):
        super().__init__()
        text = config.get_text_config()
        build, self.head_name, self.embedding_name = DECODERS[config.decoder_type]
        self.model = build(config, text)
        setattr(self, self.head_name, nn.Linear(text.hidden_size, text.vocab_size, bias=False))

    @property
    def head(self) -> nn.Linear:
        """The map from hidden states to vocabulary logits."""
        return getattr(self, self.head_name)

    @property
    def embedding(self) -> nn.Embedding:
        """The token embedding."""
        return getattr(self.model, self.embedding_name)


@dataclass
class PhantomOutput(CausalLMOutputWithPast):
    """What transformers' decoders return, and the states below the head, which trainers with a head of their own (TRL's) ask for."""

    last_hidden_state: Tensor | None = None  # float[B, S, D], behind the last norm


class PhantomForConditionalGeneration(CarriesCode, PreTrainedModel, PhantomGenerationMixin):
    """The Phantom vision-language model (arXiv 2409.14713), equal to the released inference code."""

    config_class = PhantomConfig
    base_model_prefix = ''
    main_input_name = 'input_ids'
    input_modalities = ('image', 'text')
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    came_from = 'every weight is new, at random'  # for people; who loads weights says what came of every tensor
    always_encode = False  # run the encoder for text-only batches too; training with shards sets it
    _skip_keys_device_placement = ['past_key_values']

    def __init__(self, config: PhantomConfig):
        super().__init__(config)
        self.vision_model = VisionModel(config.vision_config)
        self.language_model = LanguageModel(config)
        width = self.language_model.model.config.hidden_size
        self.vision_proj = make_projector(config.vision_config['hidden_size'], width, config.downsample_ratio)
        model = self.language_model
        self._no_split_modules = sorted({type(layer).__name__ for layer in model.model.layers} | {'VisionLayer'})
        self._tied_weights_keys = {
            f'language_model.{model.head_name}.weight': f'language_model.model.{model.embedding_name}.weight'
        }
        if not config.phantom:
            self._keys_to_ignore_on_load_unexpected = [r'xattn_(query|key|value)_phantom', r'gating_phantom_[12]', 'eta_phantom']
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, VisionEmbeddings):
            init.normal_(module.class_embedding, std=self.config.vision_config['initializer_range'])
            init.normal_(module.position_embedding, std=self.config.vision_config['initializer_range'])
        elif isinstance(module, VisionLayer):
            init.ones_(module.ls1)
            init.ones_(module.ls2)

    def get_input_embeddings(self) -> nn.Embedding:
        """The decoder's token embedding."""
        return self.language_model.embedding

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replaces the decoder's token embedding."""
        setattr(self.language_model.model, self.language_model.embedding_name, value)

    def get_output_embeddings(self) -> nn.Linear:
        """The decoder's head."""
        return self.language_model.head

    def set_output_embeddings(self, value: nn.Linear) -> None:
        """Replaces the decoder's head."""
        setattr(self.language_model, self.language_model.head_name, value)

    def resize_token_embeddings(self, *args, **kwargs) -> nn.Embedding:
        """transformers' own, and the new size where a saved model is read from: `llm_config`."""
        resized = super().resize_token_embeddings(*args, **kwargs)
        self.config.llm_config = {**self.config.llm_config, 'vocab_size': resized.num_embeddings}
        return resized

    def encode_images(self, pixel_values: Tensor) -> Tensor:
        """Decoder tokens float[N, T, D] of image tiles float[N, 3, H, W]."""
        weight = self.vision_model.embeddings.patch_embedding.weight
        patch = self.config.vision_config['patch_size']
        height, width = (side // patch for side in pixel_values.shape[-2:])
        features = self.vision_model(pixel_values.to(weight.dtype))[:, 1:]  # the class token is dropped
        grid = features.unflatten(1, (height, width))
        return self.vision_proj(pixel_shuffle(grid, self.config.downsample_ratio).flatten(1, 2))

    def blank_tile(self) -> Tensor:
        """A tile float[1, 3, H, W] of zeros."""
        side = self.config.vision_config['image_size']
        return torch.zeros(1, 3, side, side, device=self.device)

    def embed(self, input_ids: Tensor, pixel_values: Tensor | None = None) -> Tensor:
        """Embeddings float[B, S, D] of ids long[B, S], image tokens replaced by the tiles' tokens in order.

        Raises ValueError for tiles of another shape, and for image tokens that are not theirs in number; without tiles they are words.
        """
        embeddings = self.get_input_embeddings()(input_ids)
        if pixel_values is None:
            return embeddings + 0 * self.encode_images(self.blank_tile()).mean() if self.always_encode else embeddings
        if pixel_values.dim() != 4:
            raise ValueError(f'pixel_values: expected the tiles of the whole batch, float[N, 3, H, W], found {tuple(pixel_values.shape)}')
        tokens = self.encode_images(pixel_values).flatten(0, 1)
        places = input_ids == self.config.image_token_index
        if int(places.sum()) != len(tokens):
            raise ValueError(
                f'expected {len(tokens)} image tokens for {len(pixel_values)} tiles, found {int(places.sum())} of id '
                f'{self.config.image_token_index} in ids {tuple(input_ids.shape)}; prepare rows with the processor'
            )
        return embeddings.masked_scatter(places[..., None], tokens.to(embeddings.dtype))

    def refuse_blind(self, input_ids: Tensor) -> None:
        """Raises ValueError for a prompt that has image tokens and no tiles: it would be answered as if it had been seen."""
        if input_ids.shape[1] < 2 or torch.compiler.is_compiling():  # one token is the step of an answer
            return
        if found := int((input_ids == self.config.image_token_index).sum()):
            raise ValueError(
                f'pixel_values: expected the tiles of {found} image tokens (id {self.config.image_token_index}) in ids {tuple(input_ids.shape)}, '
                'found none; prepare rows with the processor'
            )

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: PhantomCache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_at: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        packed: PackedRows | None = None,
        num_items_in_batch: Tensor | int | None = None,
        output_attentions: bool | None = None,
        written: bool = False,
        **kwargs,
    ) -> PhantomOutput:
        """Logits float[B, S, V] of ids long[B, S] and tiles float[N, 3, H, W].

        attention_mask: bool[B, T] over cached and new tokens, padding first; or bool[B, 1, A, S] for the last A tokens,
        the others being causal; rows then start at 0.
        logits_at: long[B, M], positions to compute logits for, float[B, M, V]; logits_to_keep: only the last ones, or those at long[M].
        packed: the rows that stand behind each other in the one sequence of the batch; position_ids then start anew in each.
        num_items_in_batch: what the loss is divided by, instead of the labels of this call.
        written: the ids may hold image tokens that the model itself wrote, as words.
        """
        if output_attentions:
            raise ValueError('output_attentions: expected False; attention is computed in one piece and never holds its probabilities')
        if pixel_values is not None and not len(pixel_values):
            pixel_values = None
        if inputs_embeds is None:
            if pixel_values is None and not written:
                self.refuse_blind(input_ids)
            inputs_embeds = self.embed(input_ids, pixel_values)
        elif pixel_values is not None:
            raise ValueError('pixel_values: expected none beside inputs_embeds, which hold the pictures already; pass input_ids')
        if self.config.phantom:
            inputs_embeds = inputs_embeds.float()  # the residual stream: a bfloat16 add loses the phantom term
        batch, length = inputs_embeds.shape[:2]
        if past_key_values is None and use_cache:
            past_key_values = PhantomCache(self.language_model.model.config)
        past = past_key_values.get_seq_length() if past_key_values is not None else 0
        real = attention_mask
        if real is None or real.dim() == 4:
            real = torch.ones(batch, past + length, dtype=torch.bool, device=inputs_embeds.device)
        if position_ids is None:
            position_ids = (real.long().cumsum(-1) - 1).clamp(min=0)[:, -length:]
        if packed is not None:
            attention_mask = real.new_ones(1, 1, 1, 1)  # not read; for none, transformers would make bool[1, 1, S, S]
        outputs = self.language_model.model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=past_key_values is not None,
            sos=packed or self.find_sos(past_key_values, real, length),
            **kwargs,
        )
        hidden = outputs.last_hidden_state
        if logits_at is not None:
            hidden = hidden.gather(1, logits_at[..., None].expand(-1, -1, hidden.shape[-1]))
        else:
            hidden = hidden[:, slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep]
        logits = self.language_model.head(hidden)
        loss = None
        if labels is not None:
            divisor = {} if num_items_in_batch is None else {'num_items_in_batch': num_items_in_batch}
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=logits.shape[-1], **divisor)
        return PhantomOutput(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            last_hidden_state=outputs.last_hidden_state,
        )

    def find_sos(self, cache: PhantomCache | None, real: Tensor, length: int) -> SosLocation | None:
        """Where each row's first real token is among the new ones; None where the cache has seen them all."""
        if not self.config.phantom:
            return None
        if cache is None:
            return locate_sos(real, 0, length)
        if not isinstance(cache, PhantomCache):
            raise ValueError(f'expected a PhantomCache, found {type(cache).__name__}; leave past_key_values out')
        return cache.locate_sos(real, length)
