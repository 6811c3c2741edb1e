"""Requests as the prompts a checkpoint was trained on: special tokens come from the template alone, and its token begins every prompt."""

from collections.abc import Sequence
from typing import Any

from vllm.config import VllmConfig
from vllm.exceptions import VLLMValidationError
from vllm.inputs import EngineInput
from vllm.renderers.chat_utils import ChatCompletionMessageParam, ConversationMessage, parse_chat_messages, parse_chat_messages_async
from vllm.renderers.hf import HfRenderer
from vllm.renderers.inputs import DictPrompt, TokPrompt
from vllm.renderers.inputs.preprocess import parse_dec_only_prompt
from vllm.renderers.params import ChatParams, TokenizeParams
from vllm.tokenizers.hf import HfTokenizer
from vllm.utils.async_utils import make_async

from model.phantom.tokens import TEMPLATES, encode_pieces, special_id
from model.serving.pieces import chat_pieces, first_token

FORWARDED = 'kv_transfer_params.prompt_token_ids'  # how vLLM calls ids that another instance of it hands on, which pass no renderer


class PhantomRenderer(HfRenderer):
    """Chat messages by the project's own tokenising; a chat template of the server's own (--chat-template) goes vLLM's usual way."""

    def __init__(self, config: VllmConfig, tokenizer: HfTokenizer | None):
        super().__init__(config, tokenizer)
        model = config.model_config.hf_config
        self.template = TEMPLATES[model.decoder_type]
        self.first = special_id(self.get_tokenizer(), first_token(model.decoder_type)) if model.phantom else None
        self._encode_async = make_async(self.encode, executor=self._executor)

    def get_eos_token_id(self) -> int:
        """The end of a turn, which a tokenizer need not call its end of text."""
        return special_id(self.get_tokenizer(), self.template.turn_end)

    def render_messages(self, messages: list[ChatCompletionMessageParam], params: ChatParams) -> tuple[list[ConversationMessage], DictPrompt]:
        """The conversation, and its ids with the images beside them."""
        if params.chat_template:
            return super().render_messages(messages, params)
        conversation, images, uuids = parse_chat_messages(messages, self.model_config, 'openai', **image_ways(params))
        return conversation, as_prompt(self.encode(conversation, params.chat_template_kwargs), images, uuids)

    async def render_messages_async(
        self, messages: list[ChatCompletionMessageParam], params: ChatParams
    ) -> tuple[list[ConversationMessage], DictPrompt]:
        """The same, off the event loop."""
        if params.chat_template:
            return await super().render_messages_async(messages, params)
        conversation, images, uuids = await parse_chat_messages_async(messages, self.model_config, 'openai', **image_ways(params))
        return conversation, as_prompt(await self._encode_async(conversation, params.chat_template_kwargs), images, uuids)

    def encode(self, conversation: Sequence[ConversationMessage], options: dict[str, Any]) -> list[int]:
        """Ids of a conversation, one image token for an image."""
        if options.get('tools'):
            raise VLLMValidationError('expected no tools, found some: this model was trained on no form for them', parameter='tools')
        unfinished = bool(options.get('continue_final_message'))
        pieces = chat_pieces(
            self.template, conversation, opens=options.get('add_generation_prompt', not unfinished), unfinished=unfinished
        )
        return encode_pieces(self.get_tokenizer(), pieces)

    def process_for_engine(
        self, prompt: TokPrompt, arrival_time: float, *, skip_mm_cache: bool = False, tok_params: TokenizeParams | None = None
    ) -> EngineInput:
        """What the engine is given; refuses what begins otherwise, but for what is only tokenised (vLLM skips its cache then)."""
        made = super().process_for_engine(prompt, arrival_time, skip_mm_cache=skip_mm_cache, tok_params=tok_params)
        return made if skip_mm_cache else self.beginning_right(made)

    async def process_for_engine_async(
        self, prompt: TokPrompt, arrival_time: float, *, skip_mm_cache: bool = False, tok_params: TokenizeParams | None = None
    ) -> EngineInput:
        """The same, off the event loop."""
        made = await super().process_for_engine_async(prompt, arrival_time, skip_mm_cache=skip_mm_cache, tok_params=tok_params)
        return made if skip_mm_cache else self.beginning_right(made)

    def validate_token_ids(self, token_ids: Sequence[int], *, parameter: str | None = None) -> None:
        """Refuses ids outside the vocabulary, and forwarded prompts that begin otherwise."""
        super().validate_token_ids(token_ids, parameter=parameter)
        if parameter == FORWARDED:
            self.check_beginning(token_ids)

    def beginning_right(self, made: EngineInput) -> EngineInput:
        """The input as it came; raises VLLMValidationError (HTTP 400) where the sos tables are not those of its first token."""
        if made['type'] == 'embeds' and self.first is not None:
            raise VLLMValidationError('prompt_embeds: expected token ids or text, found embeddings, whose first token nobody knows')
        self.check_beginning(made.get('prompt_token_ids') or ())
        return made

    def check_beginning(self, ids: Sequence[int]) -> None:
        """Raises VLLMValidationError unless ids begin with the template's token."""
        if self.first is None or (ids and ids[0] == self.first):
            return
        token, found = self.get_tokenizer().convert_ids_to_tokens([self.first, *ids[:1]])[0], 'none'
        if ids:
            found = f'{self.get_tokenizer().convert_ids_to_tokens(int(ids[0]))!r} ({ids[0]})'
        raise VLLMValidationError(
            f'prompt: expected {token!r} ({self.first}) as the first token, which the phantom dimension looks back to, found {found}; '
            'ask /v1/chat/completions with the user speaking first, or begin the prompt with that token (text: "add_special_tokens": false)',
            parameter='prompt',
        )


def image_ways(params: ChatParams) -> dict[str, Any]:
    """What a request says of how its images are read."""
    return {'media_io_kwargs': params.media_io_kwargs, 'mm_processor_kwargs': params.mm_processor_kwargs}


def as_prompt(ids: list[int], images: Any, uuids: Any) -> DictPrompt:
    """Ids with the images that belong to them, as vLLM's processor takes them."""
    prompt = parse_dec_only_prompt(ids)
    if images is not None:
        prompt['multi_modal_data'] = images
    if uuids is not None:
        prompt['multi_modal_uuids'] = uuids
    return prompt
