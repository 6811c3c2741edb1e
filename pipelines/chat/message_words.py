"""The words of one choice of a chat completion, in whatever fields and parts its server puts them."""

from typing import Any, NamedTuple

# Fields of thoughts beside `content`: DeepSeek, vLLM before 0.12, SGLang, llama.cpp; vLLM, OpenRouter, Groq; Ollama; Copilot; OpenRouter; LiteLLM.
_THOUGHTS = ('reasoning_content', 'reasoning', 'thinking', 'reasoning_text', 'reasoning_details', 'thinking_blocks')
_TEXT_PARTS = frozenset({'text', 'output_text', ''})  # OpenAI's chat form; its Responses form; a part that names no type
# Mistral and Anthropic; OpenAI's Responses form; Anthropic; OpenRouter.
_THOUGHT_PARTS = frozenset({
    'thinking', 'reasoning', 'reasoning_text', 'reasoning_content', 'summary_text', 'redacted_thinking', 'thought',
    'reasoning.text', 'reasoning.summary', 'reasoning.encrypted',
})
_WORDS_OF_PART = ('text', 'thinking', 'reasoning', 'summary', 'content', 'value', 'refusal')
_DEEPEST = 4  # parts within parts


class Words(NamedTuple):
    """What a choice says. `text` is None where it has none at all, which an empty one is not."""

    text: str | None
    thoughts: str
    refusal: str


def words_of(choice: dict) -> Words:
    """Return the words of a choice. Raises ValueError for parts that are no text, such as a picture, and for a message that is no message."""
    message = choice.get('message', {})  # Gemini's OpenAI endpoint leaves it out where it refuses
    message = {} if message is None else message
    if not isinstance(message, dict):
        raise ValueError('the message is no object')
    text, thoughts, refusals = _content(message.get('content'))
    places = (message, choice, *(place for place in [message.get('provider_specific_fields')] if isinstance(place, dict)))  # LiteLLM's
    for place in places:
        for name in _THOUGHTS:
            said = _flat(place.get(name)).strip()
            if said and not any(said in known for known in thoughts):  # OpenRouter and vLLM tell the same twice, under two names
                thoughts.append(said)
    refusal = message.get('refusal')
    refusals += [refusal] if isinstance(refusal, str) and refusal else []
    if not text and (message.get('tool_calls') or message.get('function_call')):
        refusals.append('it calls a tool that nobody offered')  # llama.cpp and LM Studio do so with finish_reason stop
    return Words(text, '\n\n'.join(thoughts), '\n'.join(refusals))


def _content(content: Any) -> tuple[str | None, list[str], list[str]]:
    if content is None or isinstance(content, str):
        return content, [], []
    parts = content if isinstance(content, list) else [content]
    texts: list[str] = []
    thoughts: list[str] = []
    refusals: list[str] = []
    for part in parts:
        kind = 'text' if isinstance(part, str) else part.get('type') or '' if isinstance(part, dict) else type(part).__name__
        if kind in _TEXT_PARTS and (isinstance(part, str) or 'text' in part):
            texts.append(_flat(part))
        elif kind in _THOUGHT_PARTS:
            thoughts += [said for said in [_flat(part).strip()] if said]
        elif kind == 'refusal':
            refusals.append(_flat(part))
        else:
            raise ValueError(f'message.content is no text but has a part of type {str(kind)[:40]!r}')
    return ''.join(texts) if texts else None, thoughts, refusals


def _flat(value: Any, depth: int = 0) -> str:
    """Return the words in a value, whatever it is wrapped in."""
    if isinstance(value, str):
        return value
    if depth < _DEEPEST and isinstance(value, list):
        return ''.join(_flat(item, depth + 1) for item in value)
    if depth < _DEEPEST and isinstance(value, dict):
        return next((said for name in _WORDS_OF_PART if (said := _flat(value.get(name), depth + 1))), '')
    return ''
