"""How transformers' `generate` runs a Phantom model: a prompt's pictures are encoded once, and the cache keeps the sos tables."""

from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, GenerationMixin

from model.phantom.cache import PhantomCache


class PhantomGenerationMixin(GenerationMixin):
    """Generation for a model that has `embed` and whose decoder is `language_model.model`."""

    @torch.no_grad()
    def generate(
        self,
        inputs: Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        *args,
        pixel_values: Tensor | None = None,
        **kwargs,
    ) -> Any:
        """Ids long[B, S + new]: the prompt and what follows, or what transformers' `generate` returns by its arguments, all of which stand.

        Tiles are encoded once, not once a beam. Raises ValueError for what cannot be: a draft model for prompts with pictures (it would need
        their embeddings; `prompt_lookup_num_tokens` needs no model), attention probabilities, caches of another kind, tiles that are not those of
        the prompt's image tokens.
        """
        if kwargs.get('assistant_early_exit', getattr(generation_config, 'assistant_early_exit', None)) is not None:
            raise ValueError('assistant_early_exit: expected none, the layers cannot be left early; use prompt_lookup_num_tokens')
        ids = inputs if inputs is not None else kwargs.get('input_ids')
        if pixel_values is not None and len(pixel_values):
            if kwargs.get('assistant_model') is not None:
                raise ValueError('assistant_model: expected none beside pixel_values; use prompt_lookup_num_tokens, or leave pictures out')
            if ids is None or kwargs.get('inputs_embeds') is not None:
                raise ValueError('pixel_values: expected input_ids beside it, and no inputs_embeds; prepare rows with the processor')
            kwargs['inputs_embeds'] = self.embed(ids, pixel_values)
        elif ids is not None and kwargs.get('inputs_embeds') is None:
            cache = kwargs.get('past_key_values')
            self.refuse_blind(ids[:, cache.get_seq_length() if cache is not None else 0 :])  # what an earlier call has read, it has seen
        return super().generate(inputs, generation_config, *args, **kwargs)

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        next_sequence_length: int | None = None,
        past_key_values: PhantomCache | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        is_first_iteration: bool | None = False,
        **kwargs,
    ) -> dict[str, Any]:
        """Inputs of the next forward; a prompt's positions are read from its embeddings, also in chunks and with candidates behind them."""
        given = {'next_sequence_length': next_sequence_length, 'past_key_values': past_key_values, 'attention_mask': attention_mask}
        first = {'is_first_iteration': is_first_iteration, 'written': True, **kwargs}
        if inputs_embeds is None or not input_ids.shape[1]:  # embeddings alone, which transformers handles
            return super().prepare_inputs_for_generation(input_ids, **given, inputs_embeds=inputs_embeds, **first)
        prepared = super().prepare_inputs_for_generation(input_ids, **given, **first)
        ids, past = prepared['input_ids'], past_key_values.get_seq_length() if past_key_values is not None else 0
        prompt = inputs_embeds[:, past : past + ids.shape[1]]
        if prompt.shape[1]:
            rest = self.get_input_embeddings()(ids[:, prompt.shape[1] :]).to(prompt.dtype)
            prepared |= {'input_ids': None, 'inputs_embeds': torch.cat([prompt, rest], dim=1)}
        return prepared

    def _prepare_cache_for_generation(self, generation_config: GenerationConfig, model_kwargs: dict, *args) -> None:
        given = model_kwargs.get('past_key_values')
        if given is None and generation_config.use_cache is not False and generation_config.cache_implementation not in (None, 'dynamic'):
            raise ValueError(
                f'expected no cache_implementation, found {generation_config.cache_implementation!r}; '
                'the sos tables need the growing PhantomCache'
            )
        super()._prepare_cache_for_generation(generation_config, model_kwargs, *args)
        if given is None and model_kwargs.get('past_key_values') is not None:
            model_kwargs['past_key_values'] = PhantomCache(self.language_model.model.config)
            if generation_config.is_assistant:  # a draft is rolled back where its tokens are not taken
                model_kwargs['past_key_values'].activate_past_recording()
