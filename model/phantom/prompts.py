"""Prompts as text: which of it is a special token, and which only spells one."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from model.phantom.tokens import Piece, Special


class Prompt(str):
    """A rendered chat that remembers which of its special tokens are the template's; the others were data and stay text."""

    pieces: tuple[Piece, ...]


def special_pattern(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    """Finds the tokenizer's special tokens in a text, the longest first."""
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return re.compile('|'.join(map(re.escape, sorted(special, key=len, reverse=True))) or r'(?!)')


def split_prompt(text: str, special: re.Pattern[str]) -> Iterator[Piece]:
    """The pieces of a prompt: of a rendered one as the template meant them, of any other text as it spells them."""
    if isinstance(text, Prompt):
        yield from text.pieces
        return
    start = 0
    for match in special.finditer(text):
        yield text[start : match.start()]
        yield Special(match.group())
        start = match.end()
    yield text[start:]


def render_chat(render: Callable[[list[dict]], str], messages: Sequence[dict], special: re.Pattern[str]) -> str:
    """What `render` makes of messages; a Prompt where their texts spell special tokens.

    The texts are rendered with a mark between all their characters: what still reads as a special token is the template's.
    """
    texts = list(texts_of(messages))
    if not special.search(''.join(texts)):
        return render([dict(message) for message in messages])  # transformers rewrites them
    mark = unused_mark(texts)
    marked = render(marked_messages(messages, mark))
    pieces = tuple(piece if isinstance(piece, Special) else piece.replace(mark, '') for piece in split_prompt(marked, special))
    prompt = Prompt(marked.replace(mark, ''))
    prompt.pieces = pieces
    return prompt


def texts_of(messages: Iterable[dict]) -> Iterator[str]:
    """The texts of some messages, in order."""
    for message in messages:
        content = message['content']
        for part in [content] if isinstance(content, str) else content or []:
            text = part if isinstance(part, str) else part.get('text')
            if isinstance(text, str):
                yield text


def marked_messages(messages: Iterable[dict], mark: str) -> list[dict]:
    """The messages with a mark around every character of their texts."""

    def marked(value: Any) -> Any:
        return f'{mark}{mark.join(value)}{mark}' if isinstance(value, str) else value

    def of_part(part: Any) -> Any:
        return {**part, 'text': marked(part['text'])} if isinstance(part, dict) and 'text' in part else part

    return [
        {**message, 'content': [of_part(part) for part in content] if isinstance(content := message['content'], list | tuple) else marked(content)}
        for message in messages
    ]


def unused_mark(texts: Iterable[str]) -> str:
    """Characters that no text holds, begun and ended by two that Unicode keeps for programs (noncharacters, section 23.7)."""
    joined, number = ''.join(texts), 0
    while (mark := f'\ufdd0{number}\ufdd1') in joined:
        number += 1
    return mark
