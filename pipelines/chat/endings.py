"""How a reply ended, by the word its server has for it: whole, cut, refused, or told by no word that is known."""

import re
from enum import StrEnum


class Ending(StrEnum):
    """What a finish_reason says of the text that came with it."""

    WHOLE = 'whole'
    CUT = 'cut'  # the model would have gone on: another call would be cut as well
    REFUSED = 'refused'  # for what was asked or written: another call would be refused as well
    UNTOLD = 'untold'  # the server's doing, or nothing that is known: another call may bring the whole


# Lower case, hyphens as underscores; each with a server that writes it.
_WORDS = {
    Ending.WHOLE: (
        'stop',  # OpenAI; Gemini writes STOP
        'eos', 'eos_token',  # Together; TGI
        'end_turn', 'stop_sequence',  # Anthropic, Bedrock; TGI and Cohere's STOP_SEQUENCE, too
        'complete',  # Cohere
    ),
    Ending.CUT: (
        'length',  # OpenAI
        'max_tokens', 'max_output_tokens',  # Anthropic, Gemini's and Cohere's MAX_TOKENS; OpenAI's Responses
        'model_length', 'model_context_window_exceeded',  # Mistral; Anthropic, Z.ai
        'error_limit', 'token_limit',  # Cohere: the context is full; watsonx
        'repetition',  # vLLM, v1/engine: the same tokens again and again
    ),
    Ending.REFUSED: (
        'content_filter', 'content_filtered', 'guardrail_intervened',  # OpenAI, Azure; Bedrock
        'safety', 'recitation', 'blocklist', 'prohibited_content', 'spii', 'language',  # Gemini, Vertex AI FinishReason
        'image_safety', 'image_prohibited_content', 'image_recitation', 'model_armor',
        'sensitive', 'refusal', 'error_toxic',  # Z.ai; Anthropic; Cohere
        'tool_calls', 'function_call', 'tool_call', 'tool_use',  # OpenAI; Cohere; Anthropic: a tool that nobody offered
        'malformed_function_call', 'unexpected_tool_call',  # Gemini
    ),
}
_ENDINGS = {word: ending for ending, words in _WORDS.items() for word in words}
_PREFIX = 'finish_reason_'  # Vertex AI's protobuf names: FINISH_REASON_STOP


def ending_of(finish_reason: object) -> Ending:
    """Return what a finish_reason says; anything but a known word is UNTOLD: abort (vLLM, SGLang), error, network_error (Z.ai),
    insufficient_system_resource (DeepSeek), '', null."""
    if not isinstance(finish_reason, str):
        return Ending.UNTOLD
    first = re.split(r'[:;,\s]', finish_reason.strip()[:100], maxsplit=1)[0]  # Gemini's OpenAI endpoint: content_filter: PROHIBITED_CONTENT
    return _ENDINGS.get(first.lower().replace('-', '_').removeprefix(_PREFIX), Ending.UNTOLD)
