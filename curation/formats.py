"""Canonical turns and image references of one raw row, for every on-disk format, as the sources named in recipes/phantom.yaml publish them.

In the canonical form `<image>` stands in a user turn where an image stands, once for each image.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from curation.references import is_safe, say_unsafe, strip_prefix
from schemas.recipe import Source
from schemas.records import Reason, Turn

IMAGE = '<image>'
MAX_TURNS = 1000  # and images: what stands before each turn is repeated for it where `turns: each`, so the work grows with the square
_PICTURES = ('jpg', 'jpeg', 'png', 'webp', 'gif', 'bmp', 'tif', 'tiff')
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


def parse(row: dict, format: str, columns: dict[str, str] | None = None, prefixes: Sequence[str] = ()) -> Conversation | Fault:
    """Return the conversation of a row of `format`, its references without `prefixes`, or why there is none; never raises for what a row holds."""
    try:
        found = _PARSERS[format](row, columns or {})
    except (KeyError, TypeError, AttributeError, ValueError) as e:
        keys = sorted(map(str, row))[:12]
        return Fault(Reason.RECORD_MALFORMED, f'expected the {format} format, found keys {keys}: {type(e).__name__} {e}'[:300])
    if prefixes:
        found = replace(found, images=tuple(strip_prefix(image, prefixes) if isinstance(image, str) else image for image in found.images))
    return check(found)


def check(conversation: Conversation) -> Conversation | Fault:
    """Return the conversation if roles alternate, images and marks are equally many, and no reference leaves its root."""
    turns = conversation.turns
    if max(len(turns), len(conversation.images)) > MAX_TURNS:
        return Fault(Reason.RECORD_TOO_LARGE, f'{len(turns)} turns and {len(conversation.images)} images, more than {MAX_TURNS}')
    roles = [turn.role for turn in turns]
    if not turns or len(turns) % 2 or roles != ['user', 'assistant'] * (len(turns) // 2):
        return Fault(Reason.ROLES_NOT_ALTERNATING, f'expected user, assistant, ..., found {roles[:8]} ({len(roles)} turns)')
    marks = sum(turn.text.count(IMAGE) for turn in turns if turn.role == 'user')
    if marks != len(conversation.images):
        return Fault(Reason.IMAGE_COUNT_MISMATCH, f'{marks} {IMAGE} mark(s), {len(conversation.images)} image(s)')
    if any(IMAGE in turn.text for turn in turns if turn.role == 'assistant'):
        return Fault(Reason.IMAGE_COUNT_MISMATCH, f'{IMAGE} in an answer')
    for reference in conversation.images:
        if isinstance(reference, str) and not is_safe(reference):
            return Fault(Reason.IMAGE_REFERENCE_UNSAFE, say_unsafe(reference))
    return conversation


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f'expected text, found {type(value).__name__}')
    value.encode()  # half a surrogate pair is legal JSON and no text: UnicodeEncodeError is a ValueError
    return value


def _images(value: object) -> tuple[str | bytes, ...]:
    """Return paths or bytes of a string, a struct{bytes, path}, or a list of either; None is no image."""
    if value is None or value == '':
        return ()
    if isinstance(value, list):
        return tuple(image for item in value for image in _images(item))
    if isinstance(value, dict):
        data = value.get('bytes')
        if data is None:
            return _images(value['path'])
        if not isinstance(data, bytes):
            raise TypeError(f'expected the bytes of an image, found {type(data).__name__}')
        return (data,)
    if isinstance(value, bytes):
        return (value,)
    return (_text(value).removeprefix('./'),)


def _turns(messages: Iterable[dict], role: str, text: str) -> tuple[Turn, ...]:
    return tuple(Turn(_ROLES.get(message[role], str(message[role])), _content(message[text])) for message in messages)


def _content(value: object) -> str:
    """Return a message's text; of a list of parts (`type: image | text`), the parts in order with a mark for each image."""
    if not isinstance(value, list):
        return _text(value)
    return ''.join(IMAGE if part['type'] == 'image' else _text(part['text']) for part in value)


def _listed(row: dict) -> tuple[str | bytes, ...]:
    return _images(row.get('images') or row.get('image'))


def _llava(row: dict, columns: dict[str, str]) -> Conversation:
    """Return LLaVA's and ShareGPT's form: `conversations` of from/value; `image` (a path or a list) or `images`."""
    return Conversation(_turns(row['conversations'], 'from', 'value'), _listed(row))


def _messages(row: dict, columns: dict[str, str]) -> Conversation:
    """Return DocOwl's, OpenAI's and TRL's form: `messages` of role/content, `<|image|>` or image parts for images."""
    turns = _turns(row['messages'], 'role', 'content')
    return Conversation(tuple(Turn(turn.role, turn.text.replace('<|image|>', IMAGE)) for turn in turns), _listed(row))


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
    images = _images(row.get('decoded_image')) or _images(row.get('image'))
    question = re.sub(r'\s*<image\d*>\s*', ' ', _text(row['question'])).strip()
    options = [_text(option) for option in row.get('options') or []]
    letters = 'ABCDEFGH'[:len(options)]
    if options and options != list(letters):
        question += '\n' + '\n'.join(f'{letter}. {option}' for letter, option in zip(letters, options, strict=True))
    answer = _text(str(row['answer']))
    if row.get('solution'):
        answer = f'{_text(row["solution"]).strip()}\nThe answer is {answer}.'
    return Conversation((Turn('user', (IMAGE + '\n') * len(images) + question), Turn('assistant', answer)), images)


def _webdataset(row: dict, columns: dict[str, str]) -> Conversation:
    """Return a tar sample: its .json as one of the forms above, or `columns` naming JSON keys or members; its pictures by extension.

    Pictures are the members whose extension ends in a picture's, in archive order (`jpg`, or `0.jpg`, `1.jpg`, ...).
    """
    record = row.get('json') or {}
    pictures = [content for name, content in row.items() if isinstance(content, bytes) and name.rpartition('.')[2] in _PICTURES]
    record = {**{name: content for name, content in row.items() if isinstance(content, str)}, **record}
    if pictures:
        record = {key: value for key, value in record.items() if key not in ('image', 'images')} | {'images': pictures}
    for key, parser in (('conversations', _llava), ('messages', _messages)):
        if key in record:
            return parser(record, columns)
    return _columns(record, {**columns, 'image': 'images'} if pictures else columns)


_PARSERS: dict[str, Callable[[dict, dict[str, str]], Conversation]] = {
    'llava': _llava, 'messages': _messages, 'instruction': _instruction, 'columns': _columns, 'mathvision': _mathvision,
    'webdataset': _webdataset,
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


def read_record(row: dict, source: Source) -> Conversation | Fault:
    """Return what a row of this source says, its image paths below `image_subfolder`, or why it is none or not selected."""
    found = parse(row, source.format, source.columns, source.strip_prefix)
    if isinstance(found, Fault):
        return found
    paths = [image for image in found.images if isinstance(image, str)]
    if source.image_prefix and not (paths and all(path.startswith(tuple(source.image_prefix)) for path in paths)):
        return Fault(Reason.RECORD_NOT_SELECTED, f'image prefix: expected one of {source.image_prefix}, found {paths[:2]}'[:300])
    if source.drop_image_prefix and any(path.startswith(tuple(source.drop_image_prefix)) for path in paths):
        return Fault(Reason.RECORD_NOT_SELECTED, f'image prefix: dropped {paths[:2]}'[:300])
    if not source.image_subfolder:
        return found
    folder = source.image_subfolder.rstrip('/')
    return replace(found, images=tuple(image if isinstance(image, bytes) else f'{folder}/{image}' for image in found.images))
