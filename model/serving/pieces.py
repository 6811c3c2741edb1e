"""A conversation as vLLM parses it, as pieces of the template: what only it may say, and texts, which stay texts whatever they spell."""

from collections.abc import Sequence
from typing import Any

from model.phantom.tokens import IMAGE_TOKEN, TEMPLATES, ChatTemplate, Piece, Special

ROLES = {'system': 'system', 'developer': 'system', 'user': 'user', 'assistant': 'assistant'}


def first_token(decoder_type: str) -> str:
    """The token that a prompt begins with when the user speaks first."""
    return TEMPLATES[decoder_type].user_start[0].token


def chat_pieces(template: ChatTemplate, conversation: Sequence[dict[str, Any]], *, opens: bool, unfinished: bool) -> list[Piece]:
    """Pieces of a conversation in vLLM's `openai` form.

    opens: the assistant's turn begins behind it. unfinished: the last message goes on where it ends.
    """
    if not conversation:
        raise ValueError('messages: expected at least one, found none')
    pieces: list[Piece] = []
    for message in conversation:
        pieces += template.start(role_of(message))
        pieces += [piece_of(part) for part in message['content']]
        pieces.append(Special(template.turn_end))
    if unfinished:
        pieces.pop()
    return pieces + list(template.assistant_start) if opens else pieces


def role_of(message: dict[str, Any]) -> str:
    """The template's role; raises ValueError where it has none."""
    if message['role'] not in ROLES or message.get('tool_calls'):
        found = 'tool calls' if message.get('tool_calls') else repr(message['role'])
        raise ValueError(f'messages: expected the roles {", ".join(ROLES)}, found {found}')
    return ROLES[message['role']]


def piece_of(part: dict[str, Any]) -> Piece:
    """A part of a message as text, or as the one token that stands for an image until its tiles are known."""
    if part['type'] == 'image':
        return Special(IMAGE_TOKEN)
    if part['type'] != 'text':
        raise ValueError(f'messages: expected parts of text and images, found {part["type"]!r}')
    return part['text']
