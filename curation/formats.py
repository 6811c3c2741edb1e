"""Canonical turns and image references of one raw row, for every on-disk format (reference: phantom_facts.md §10).

In the canonical form `<image>` stands in a user turn where an image stands, once for each image.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from schemas.records import Reason, Turn

IMAGE = '<image>'
_ROLES = {'human': 'user', 'user': 'user', 'gpt': 'assistant', 'assistant': 'assistant'}


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a row says: alternating turns and its images, each a relative path or the bytes themselves."""

    turns: tuple[Turn, ...]
    images: tuple[str | bytes, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row is no conversation."""

    reason: Reason
    detail: str


def parse(row: dict, format: str, columns: dict[str, str] | None = None) -> Conversation | Fault:
    """Return the conversation of a row of `format`, or why there is none; never raises for what a row holds."""
    try:
        found = _PARSERS[format](row, columns or {})
    except (KeyError, TypeError, AttributeError, ValueError) as e:
        keys = sorted(map(str, row))[:12]
        return Fault(Reason.RECORD_MALFORMED, f'expected the {format} format, found keys {keys}: {type(e).__name__} {e}'[:300])
    return check(found)


def check(conversation: Conversation) -> Conversation | Fault:
    """Return the conversation if roles alternate, images and marks are equally many, and no reference leaves its root."""
    turns = conversation.turns
    roles = [turn.role for turn in turns]
    if not turns or len(turns) % 2 or roles != ['user', 'assistant'] * (len(turns) // 2):
        return Fault(Reason.ROLES_NOT_ALTERNATING, f'expected user, assistant, ..., found {roles[:8]} ({len(roles)} turns)')
    marks = sum(turn.text.count(IMAGE) for turn in turns if turn.role == 'user')
    if marks != len(conversation.images):
        return Fault(Reason.IMAGE_COUNT_MISMATCH, f'{marks} {IMAGE} mark(s), {len(conversation.images)} image(s)')
    for reference in conversation.images:
        if isinstance(reference, str) and not is_safe(reference):
            return Fault(Reason.IMAGE_REFERENCE_UNSAFE, f'expected a path inside the image root, found {reference[:200]!r}')
    return conversation


def is_safe(reference: str) -> bool:
    """Return whether a reference is a plain relative path: no URL, no absolute path, no `..`, no NUL or backslash."""
    path = PurePosixPath(reference)
    return bool(reference.strip()) and not (
        path.is_absolute() or '..' in path.parts or '://' in reference or '\\' in reference or '\0' in reference
        or reference.startswith(('data:', '~')))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f'expected text, found {type(value).__name__}')
    return value


def _images(value: object) -> tuple[str | bytes, ...]:
    """Return paths or bytes of a string, a struct{bytes, path}, or a list of either; None is no image."""
    if value is None or value == '':
        return ()
    if isinstance(value, list):
        return tuple(image for item in value for image in _images(item))
    if isinstance(value, dict):
        return (value['bytes'],) if value.get('bytes') is not None else _images(value['path'])
    if isinstance(value, bytes):
        return (value,)
    return (_text(value).removeprefix('./'),)


def _turns(messages: object, role: str, text: str) -> tuple[Turn, ...]:
    return tuple(Turn(_ROLES.get(message[role], str(message[role])), _text(message[text])) for message in messages)


def _llava(row: dict, columns: dict[str, str]) -> Conversation:
    return Conversation(_turns(row['conversations'], 'from', 'value'), _images(row.get('image')))


def _messages(row: dict, columns: dict[str, str]) -> Conversation:
    turns = _turns(row['messages'], 'role', 'content')
    marked = tuple(Turn(turn.role, turn.text.replace('<|image|>', IMAGE)) for turn in turns)
    return Conversation(marked, _images(row['images'] if 'images' in row else row.get('image')))


def _instruction(row: dict, columns: dict[str, str]) -> Conversation:
    return Conversation((Turn('user', _text(row['instruction'])), Turn('assistant', _text(row['output']))), ())


def _columns(row: dict, columns: dict[str, str]) -> Conversation:
    images = _images(row[columns['image']]) if 'image' in columns else ()
    question = _text(row[columns['question']])
    if IMAGE not in question:
        question = (IMAGE + '\n') * len(images) + question
    return Conversation((Turn('user', question), Turn('assistant', _text(row[columns['answer']]))), images)


def _mathvision(row: dict, columns: dict[str, str]) -> Conversation:
    """Return question with options, and the solution with the answer, or the bare answer where there is no solution."""
    images = _images(row.get('decoded_image') or row.get('image'))
    question = re.sub(r'\s*<image\d*>\s*', ' ', _text(row['question'])).strip()
    options = [_text(option) for option in row.get('options') or []]
    letters = 'ABCDEFGH'[:len(options)]
    if options and options != list(letters):
        question += '\n' + '\n'.join(f'{letter}. {option}' for letter, option in zip(letters, options, strict=True))
    answer = str(row['answer'])
    if row.get('solution'):
        answer = f'{row["solution"].strip()}\nThe answer is {answer}.'
    return Conversation((Turn('user', (IMAGE + '\n') * len(images) + question), Turn('assistant', answer)), images)


_PARSERS: dict[str, Callable[[dict, dict[str, str]], Conversation]] = {
    'llava': _llava, 'messages': _messages, 'instruction': _instruction, 'columns': _columns, 'mathvision': _mathvision,
}


def split_turns(conversation: Conversation, turns: str) -> list[tuple[int, Conversation | None]]:
    """Return (turn number, conversation) per question: `first`, `all` in one, or `each` with what came before; None: not selected.

    A sample's images are those marked in the turns it keeps.
    """
    n_pairs = len(conversation.turns) // 2
    if turns == 'all':
        return [(0, conversation)]
    return [(i, _up_to(conversation, i) if turns == 'each' or i == 0 else None) for i in range(n_pairs)]


def _up_to(conversation: Conversation, pair: int) -> Conversation:
    kept = conversation.turns[:2 * pair + 2]
    marks = sum(turn.text.count(IMAGE) for turn in kept if turn.role == 'user')
    return Conversation(kept, conversation.images[:marks])
