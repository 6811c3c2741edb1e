"""Turns of a row that is a chat, in the spellings people have: LLaVA's and ShareGPT's from/value, OpenAI's and TRL's role/content, content
as a list of parts, pairs of a question and an answer, a system text beside the turns, a preferred answer beside the question.
"""

import json
from collections.abc import Iterable

from curation.rows.conversation import IMAGE, Conversation, RefusedError, alternates
from curation.rows.marks import Mark, Piece, has_foreign, joined, loose_pieces, named_pieces, pieces_of, place
from curation.rows.named_pictures import is_null, listed, read_images
from curation.rows.values import plain_text
from schemas.records import Reason, Turn

TURNS = ('messages', 'conversations', 'conversation', 'texts')  # the first that has any is read ...
LLAVA_TURNS = ('conversations', 'messages', 'conversation', 'texts')  # ... in LLaVA's form
SYSTEM = ('system', 'system_prompt', 'system_message')
ANSWERS = ('chosen', 'completion')  # TRL: the better answer of a preference row, or the only one, where the turns end with the question
MESSAGE_KEYS = frozenset(('role', 'from', 'content', 'value', 'images', 'image', 'human', 'user', 'gpt', 'assistant', 'weight', 'loss',
                          'loss_weight', 'id', 'source'))
PART_KEYS = frozenset(('type', 'text', 'value', 'content', 'image', 'image_url', 'input_image', 'path', 'url', 'source', 'index', 'detail',
                       'input_text', 'output_text', 'bytes', 'data', 'file', 'id'))
ROLES = {
    'human': 'user', 'user': 'user', 'prompter': 'user',
    'gpt': 'assistant', 'assistant': 'assistant', 'bot': 'assistant', 'model': 'assistant', 'chatgpt': 'assistant', 'chatbot': 'assistant',
    'ai': 'assistant', 'bard': 'assistant', 'bing': 'assistant', 'claude': 'assistant', 'gpt4': 'assistant', 'gpt-4': 'assistant',
    'system': 'system', 'developer': 'system',
}  # fmt: skip
_TOOLS = {'tool', 'tools', 'function', 'observation', 'function_call', 'function-call', 'function_response', 'tool_call', 'tool_calls',
          'tool_response', 'tool_result', 'ipython', 'environment'}  # fmt: skip
_REFERENCES = ('image', 'image_url', 'input_image', 'path', 'url', 'source', 'value', 'file', 'data')
_TEXT_PARTS, _IMAGE_PARTS = {'text', 'input_text', 'output_text'}, {'image', 'image_url', 'input_image'}
_NAMING = ('image', 'image_url', 'input_image', 'images', 'image_path')  # of a part of text: there a picture would be lost
_MEDIA_PARTS = {'video', 'video_url', 'input_video', 'audio', 'audio_url', 'input_audio'}
_TOOL_PARTS = {'tool_use', 'tool_result', 'tool_call', 'function_call', 'function'}
MAX_NAMED = 1000  # marks that a row gives names
_OBJECTS = ('<bbox>', '<ref-object>')  # ms-swift's, for grounding
Said = list[tuple[str, str | list[Piece]]]  # role, and text or pieces


def chat(row: dict, fields: tuple[str, ...] = TURNS) -> Conversation:
    """Return the conversation in the first of `fields` that has one, with what stands beside it."""
    chosen = next((field for field in fields if row.get(field)), '')
    messages = row[chosen] if chosen else None
    said = said_in(messages) if messages is not None else _prompted(row, fields[0])
    if not said or said[-1][0] == 'user':
        said = _answered(said, row)
    if row.get('objects') and any(mark in text for _, text in said if isinstance(text, str) for mark in _OBJECTS):
        raise RefusedError(Reason.RECORD_MALFORMED, f'a mark of `objects` ({" or ".join(_OBJECTS)}): boxes are not read')
    if chosen == 'texts':  # the Cauldron's and FineVision's pairs, which have no marks
        return in_front(with_system(said, row), listed(row), question=0)
    return settled(with_system(said, row), listed(row))


def _prompted(row: dict, field: str) -> Said:
    """Return what `prompt` asks, as TRL's rows have it beside an answer; raises KeyError where there is neither a chat nor an answer."""
    if not any(row.get(answer) for answer in ANSWERS):
        return said_in(row[field])
    prompt = row.get('prompt') or []
    return [('user', plain_text(prompt))] if isinstance(prompt, str) else said_in(prompt)


def with_system(said: Said, row: dict) -> Said:
    """Return the turns with the system text that stands beside them in front; blank ones are none, a second one must be the same."""
    texts = [plain_text(row[field]) for field in SYSTEM if row.get(field)]
    if not texts:
        return said
    texts = list(dict.fromkeys(text for text in texts if text.strip()))
    own = [text for role, text in said[:1] if role == 'system']
    if len(texts) + len(own) > 1 and texts != own:
        raise RefusedError(Reason.ROLES_NOT_ALTERNATING, f'{len(texts) + len(own)} system texts that differ')
    return said if own or not texts else [('system', texts[0]), *said]


def in_front(said: Said, images: object, question: int = -1) -> Conversation:
    """Return the conversation; where no turn says where the pictures stand, they stand in front of a question: the last, or the first (0)."""
    pictures = () if _named(images) else read_images(images)
    if pictures and not any(role == 'user' and isinstance(text, str) and (IMAGE in text or has_foreign(text)) for role, text in said):
        for at in [i for i, (role, _) in enumerate(said) if role == 'user'][question:][:1]:
            said = [*said[:at], ('user', (IMAGE + '\n') * len(pictures) + str(said[at][1])), *said[at + 1:]]
    return settled(said, images)


def settled(said: Said, images: object) -> Conversation:
    """Return the conversation of what was said, each mark joined with its picture."""
    named = _named(images)
    pictures = tuple(image for value in named.values() for image in read_images(value)) if named else read_images(images)
    if not named and _is_ordinary(said, shows=bool(pictures)):
        return Conversation(tuple(Turn(role, text) for role, text in said if isinstance(text, str)), pictures)
    if not alternates([role for role, _ in said]):  # whatever its marks say: the first fault is the one that is told
        return Conversation(tuple(Turn(role, text if isinstance(text, str) else joined(text)) for role, text in said), ())
    cut = [(role, _cut(role, text, tuple(named))) for role, text in said]
    if pictures and not any(isinstance(piece, Mark) for _, pieces in cut for piece in pieces):
        cut = [(role, loose_pieces(pieces) if role == 'user' else pieces) for role, pieces in cut]
    if pictures and not any(isinstance(piece, Mark) for _, pieces in cut for piece in pieces):
        raise RefusedError(Reason.IMAGE_COUNT_MISMATCH, f'0 {IMAGE} mark(s), {len(pictures)} image(s)')
    placed = place((piece for role, pieces in cut if role == 'user' for piece in pieces), pictures)
    return Conversation(tuple(Turn(role, joined(pieces)) for role, pieces in cut), placed)


def _is_ordinary(said: Said, *, shows: bool) -> bool:
    """Return whether turns are texts with `<image>` as their only marks, with one where pictures are to be shown."""
    marked = False
    for role, text in said:
        if not isinstance(text, str):
            return False
        if role == 'user' and '<' in text:
            marked |= IMAGE in text
            if has_foreign(text):
                return False
    return marked or not shows


def _cut(role: str, text: str | list[Piece], names: tuple[str, ...]) -> list[Piece]:
    pieces: list[Piece] = [text] if isinstance(text, str) else text
    if role != 'user':
        return pieces
    found: list[Piece] = []
    for piece in pieces:
        for part in ([piece] if isinstance(piece, Mark) else named_pieces(piece, names) if names else [piece]):
            found += [part] if isinstance(part, Mark) else pieces_of(part)
    return found


def _named(images: object) -> dict[str, object]:
    """Return MiniCPM-V's mapping of marks to pictures, {} for another form."""
    named = isinstance(images, dict) and bool(images) and all(str(key).startswith('<') for key in images)
    if not named or not isinstance(images, dict):
        return {}
    if len(images) > MAX_NAMED:
        raise RefusedError(Reason.RECORD_TOO_LARGE, f'{len(images)} named images, more than {MAX_NAMED}')
    return {str(key): value for key, value in images.items()}


def said_in(messages: object) -> Said:
    """Return what is said in a list of messages, whatever their spelling."""
    if isinstance(messages, str) and messages.lstrip().startswith('['):  # a table's cell
        messages = json.loads(messages)
    if isinstance(messages, dict):  # as older `datasets` write a sequence of structs: {from: [...], value: [...]}
        columns = {key: values for key, values in messages.items() if values is not None}
        messages = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if not isinstance(messages, list):
        raise TypeError(f'expected a list of messages, found {type(messages).__name__}')
    said: Said = []
    for message in messages:
        if len(message) == 2:  # the ordinary message, for its cost
            role, text = (message.get('from'), message.get('value')) if 'from' in message else (message.get('role'), message.get('content'))
            if isinstance(text, str) and text and (role := ROLES.get(role)) and role != 'system':
                said.append((role, plain_text(text)))
                continue
        said += _of_message(message)
    return said


def _of_message(message: dict) -> Iterable[tuple[str, str | list[Piece]]]:
    role = message.get('role') or message.get('from')
    if role is None and (message.get('assistant') or message.get('gpt')) is not None:  # ms-swift's and the Cauldron's pairs
        return [('user', plain_text(message.get('human') or message['user'])), ('assistant', plain_text(message.get('assistant') or message['gpt']))]
    if role is None:
        raise KeyError('role')
    role = ROLES.get(role) or _role(role)
    if len(message) > 2:
        _refuse_message(message, role)
    content = message['content'] if message.get('content') is not None or 'value' not in message else message['value']
    text = content if isinstance(content, str) else _content(content)
    plain_text(text) if isinstance(text, str) else None
    if len(message) > 2 and not is_null(pictures := message.get('images') or message.get('image')):
        text = _with_pictures(text, read_images(pictures))
    return () if role == 'system' and isinstance(text, str) and not text.strip() else ((role, text),)


def _role(role: object) -> str:
    name = plain_text(role).strip().lower()
    if name in _TOOLS:
        raise RefusedError(Reason.TOOL_USE, f'a turn of {name!r}')
    return ROLES.get(name, name)


def _refuse_message(message: dict, role: str) -> None:
    for key in ('tool_calls', 'function_call', 'tool_call_id'):
        if message.get(key):
            raise RefusedError(Reason.TOOL_USE, f'`{key}` in a turn of {role}')
    for key in ('video', 'videos', 'audio', 'audios'):
        if message.get(key):
            raise RefusedError(Reason.VIDEO_OR_AUDIO, f'`{key}` in a turn of {role}')
    for key in ('weight', 'loss', 'loss_weight'):  # OpenAI's and ms-swift's word for an answer that is not to be learnt
        if role == 'assistant' and key in message and message[key] is not None and not message[key]:
            raise RefusedError(Reason.LABELLED_WRONG, f'`{key}: {message[key]}` in a turn of {role}')


def _with_pictures(text: str | list[Piece], images: tuple[str | bytes, ...]) -> list[Piece]:
    pieces: list[Piece] = [piece for part in ([text] if isinstance(text, str) else text) for piece in
                           ([part] if isinstance(part, Mark) else pieces_of(part))]
    marks = [i for i, piece in enumerate(pieces) if isinstance(piece, Mark)]
    if not marks:
        return [*(Mark(own=image) for image in images), *pieces]
    if len(marks) != len(images):
        raise RefusedError(Reason.IMAGE_COUNT_MISMATCH, f'{len(marks)} {IMAGE} mark(s) in a message, {len(images)} image(s)')
    for i, image in zip(marks, images, strict=True):
        pieces[i] = Mark(own=image)
    return pieces


def _content(value: object) -> str | list[Piece]:
    """Return a message's text; of a list of parts, their texts and a mark for each image."""
    if value is None:
        return ''
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return plain_text(value)  # raises
    pieces = [_part(part) for part in value]
    return pieces if any(isinstance(piece, Mark) for piece in pieces) else joined(pieces)


def _part(part: object) -> Piece:
    if isinstance(part, str):
        return plain_text(part)
    if not isinstance(part, dict):
        raise TypeError(f'expected a part of a message, found {type(part).__name__}')
    kind = part.get('type') or next((key for key in ('text', 'image', 'image_url', *sorted(_MEDIA_PARTS)) if part.get(key) is not None), None)
    if kind in _TEXT_PARTS:
        if named := [key for key in _NAMING if not is_null(part.get(key))]:
            raise RefusedError(Reason.IMAGE_COUNT_MISMATCH, f'a part of text that names a picture as well: `{named[0]}`')
        return plain_text(next((part[key] for key in ('text', 'value', 'content', kind) if part.get(key) is not None), ''))
    if kind in _IMAGE_PARTS:
        return _image_part(part)
    if kind in _MEDIA_PARTS:
        raise RefusedError(Reason.VIDEO_OR_AUDIO, f'a part of type {kind!r}')
    if kind in _TOOL_PARTS:
        raise RefusedError(Reason.TOOL_USE, f'a part of type {kind!r}')
    raise ValueError(f'expected a part of type text or image, found {str(kind)[:40]!r}')


def _image_part(part: dict) -> Mark:
    values = [part[key] for key in _REFERENCES if not is_null(part.get(key))]
    if not values and isinstance(part.get('bytes'), bytes):
        values = [part['bytes']]
    if not values:
        index = part.get('index')
        return Mark(number=index, from_zero=True) if isinstance(index, int) and not isinstance(index, bool) else Mark()
    images = read_images(values[0])
    if len(images) != 1:
        raise RefusedError(Reason.IMAGE_COUNT_MISMATCH, f'an image part with {len(images)} images')
    return Mark(own=images[0])


def _answered(said: Said, row: dict) -> Said:
    """Return turns that end with a question with the answer that stands beside them; as they are where there is none."""
    answer = next((row[field] for field in ANSWERS if isinstance(row.get(field), str | list | dict) and row[field]), None)
    if answer is None:
        return said
    if isinstance(answer, str):
        return [*said, ('assistant', plain_text(answer))]
    turns = said_in(answer if isinstance(answer, list) else [answer])
    return turns if any(role == 'user' for role, _ in turns) else [*said, *turns]
