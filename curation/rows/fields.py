"""Which fields of a row its reader uses, which it may pass over, which refuse the row, and what of the rest nobody reads.

What nobody reads is counted by name, per source: `validate` shows it, and so do the books of a build.
"""

import difflib
from collections.abc import Iterator

from curation.rows.chats import ANSWERS, LLAVA_TURNS, MESSAGE_KEYS, PART_KEYS, SYSTEM, TURNS
from curation.rows.conversation import Conversation, Fault
from curation.rows.named_pictures import FIELDS, is_null
from curation.rows.values import further_answers, reach
from curation.rows.webdataset import HIDDEN, NO_PICTURE, tar_record
from schemas.recipe import Source
from schemas.records import Reason

QUESTIONS = ('instruction', 'prompt', 'query', 'question')
INPUTS = ('input', 'context')
OUTPUTS = ('output', 'response', 'completion', 'answer', 'chosen')
MATHVISION = ('question', 'options', 'image', 'decoded_image', 'answer', 'solution')
NAME_CHARS = 80  # of a field's name in the books
_MEDIA = frozenset(('video', 'videos', 'audio', 'audios', 'video_path', 'video_paths', 'audio_path', 'audio_paths', 'video_url', 'audio_url',
                    'video_file', 'audio_file', 'speech', 'sound', 'video_id', 'video_name', 'video_names', 'audio_id', 'audio_name', 'speech_path',
                    'wav', 'wav_path', 'mp3', 'mp4', 'Video', 'Videos', 'Audio', 'Audios'))
_TOOLS = frozenset(('tools', 'functions', 'tool_calls', 'function_call'))
_LABELS = frozenset(('label', 'kto_tag', 'is_correct', 'correct', 'is_chosen', 'desirable', 'is_desirable'))
_TELLING = _MEDIA | _TOOLS | _LABELS
_EMPTY = ('[]', '{}', 'null', 'None')  # ... as texts
_PRINTED = ("['", "{'")  # a list or mapping that went through a table of text
_FALSE = ('false', 'f', '0', 'no', 'undesirable', 'rejected', 'incorrect', 'wrong', 'bad')
_TRUE = ('true', 't', '1', 'yes', 'desirable', 'chosen', 'correct', 'right', 'good')
METADATA = frozenset((
    'id', 'idx', 'index', 'ids', 'uid', 'uuid', 'guid', 'key', 'qid', 'pid', 'question_id', 'image_id', 'img_id', 'sample_id', 'item_id',
    'problem_id', 'conversation_id', 'dialogue_id', 'dataset_id', 'unique_id', 'hash', 'md5', 'sha256', 'url', 'source', 'sources', 'src',
    'dataset', 'dataset_name', 'data_source', 'datasource', 'origin', 'model', 'models', 'model_name', 'engine', 'generator', 'author',
    'license', 'licence', 'language', 'lang', 'split', 'subset', 'task', 'task_type', 'task_name', 'tasks', 'topic', 'subject', 'category',
    'categories', 'sub_category', 'subcategory', 'type', 'tags', 'tag', 'level', 'difficulty', 'grade', 'domain', 'width', 'height',
    'width_list', 'height_list', 'size', 'image_size', 'created', 'created_at', 'timestamp', 'date', 'version', 'metadata', 'meta', 'extra',
    '__index_level_0__', '__key__', '__url__',
))  # fmt: skip
_PICTURES, _CHATS, _BESIDE = frozenset(FIELDS), frozenset(TURNS), frozenset(('prompt', *ANSWERS))
_CHAT = METADATA | {*TURNS, *SYSTEM, *ANSWERS, *FIELDS, 'prompt'}
_READ = {
    'llava': _CHAT, 'messages': _CHAT, 'instruction': METADATA | {*QUESTIONS, *INPUTS, *OUTPUTS, *SYSTEM, *FIELDS, 'history'},
    'mathvision': METADATA | set(MATHVISION), 'columns': METADATA, 'webdataset': _CHAT,
}  # fmt: skip


def names_of(column: str | list[str] | None) -> list[str]:
    """Return the columns that a role names: a list, or one text with commas between them."""
    if column is None or isinstance(column, list):
        return column or []
    return [name.strip() for name in column.split(',')] if ',' in column else [column]


def named_columns(columns: dict[str, str | list[str]]) -> set[str]:
    """Return the top-level columns that the recipe names, for whatever role."""
    names = {name for column in columns.values() for name in names_of(column)}
    return names | {name.partition('.')[0] for name in names} | {column for column in columns.values() if isinstance(column, str)}


def fields_read(source: Source) -> frozenset[str]:
    """Return the names of all fields that are looked at in a row of a source, paths with dots as they stand in the recipe."""
    return record_fields(source) | _TELLING


def record_fields(source: Source) -> frozenset[str]:
    """Return the names of the fields that make a row a record of its format, paths with dots as they stand in the recipe."""
    named = [column for role, column in source.columns.items() if role not in ('id', 'ignore')]
    whole = {column for column in named if isinstance(column, str)}
    return frozenset((_READ[source.format] - METADATA) | whole | {name for column in named for name in names_of(column)})


def refusal(row: dict, format: str, columns: dict[str, str | list[str]]) -> Fault | None:
    """Return why a field of the row refuses it: it is about a video or a sound, needs tools, or is labelled as a wrong answer."""
    telling = row.keys() & _TELLING
    if not telling:
        return None
    for field in sorted(telling - named_columns(columns)):
        value = row[field]
        if field in _LABELS:
            if _is_false(value, strictly=field == 'correct' or (field == 'label' and format in ('columns', 'webdataset'))):
                return Fault(Reason.LABELLED_WRONG, f'`{field}` is {str(value)[:40]}')
        elif value is not False and not _is_empty(value):
            about = 'pictures and text alone are read' if field in _MEDIA else 'what tools a model may call changes what is right'
            return Fault(Reason.VIDEO_OR_AUDIO if field in _MEDIA else Reason.TOOL_USE, f'`{field}` is given; {about}')
    return None


def _is_empty(value: object) -> bool:
    return is_null(value) or (isinstance(value, str) and value.strip() in _EMPTY)


def _is_false(value: object, *, strictly: bool) -> bool:
    """Return whether a label says no; `strictly`: as a truth value, since a field named so may be the number of a class, or of an option."""
    if isinstance(value, str):
        return value.strip().lower() in (('false',) if strictly else _FALSE)
    return value is False or (not strictly and isinstance(value, int | float) and value == 0)


def null_reference(row: dict, source: Source) -> Fault | None:
    """Return why a row without pictures is refused where its source has some: the field for them is there, and null.

    A row of a chat without the field is text, and is meant to be.
    """
    if source.format == 'columns':
        fields = names_of(source.columns.get('image'))
        if fields and not any(_has(row, field) for field in fields):
            return Fault(Reason.RECORD_MALFORMED, no_column(fields[0], row))
    else:
        fields = [field for field in ('decoded_image', 'image') if source.format == 'mathvision'] or list(FIELDS)
        fields = [field for field in fields if field in row]
    if not fields:
        return None
    return Fault(Reason.IMAGE_REFERENCE_NULL, f'`{fields[0]}` is null where the source has pictures; `optional: true` takes such rows as text')


def no_column(column: str, row: dict) -> str:
    """Return the sentence for a column that is not in a row, with the one that was probably meant."""
    keys = sorted(map(str, row))
    near = difflib.get_close_matches(str(column), keys[:1000], n=1)
    return f'expected the column {str(column)[:80]!r}, found keys {keys[:12]}'[:250] + (f'; did you mean {near[0][:40]!r}?' if near else '')


def missing_columns(rows: list[dict], source: Source) -> list[str]:
    """Return the columns that the recipe names to be read and that none of these rows has."""
    if source.format != 'columns' or not rows:
        return []
    named = [name for role, column in source.columns.items() if role not in ('id', 'ignore') for name in names_of(column)]
    return [name for name in named if not any(_has(row, name) for row in rows)]


def _has(row: dict, path: str) -> bool:
    try:
        reach(row, path)
    except (KeyError, TypeError):
        return False
    return True


def ignored_fields(row: dict, source: Source, found: Conversation) -> set[str]:
    """Return the names of what the row says and its reader does not read; empty fields say nothing."""
    format, columns = source.format, source.columns
    if format == 'webdataset':
        row = tar_record(row)
    names = unknown_fields(row, source)
    answer = _answered_by(row, format, columns)
    if answer and (answer in row or _has(row, answer)):
        value = row[answer] if answer in row else reach(row, answer)
        if isinstance(value, list) and further_answers(value):
            names.add(f'{_name(answer)}[1:]')
        if isinstance(value, str) and value.startswith(_PRINTED):  # taken as the text it is: it may be meant
            names.add(f'{_name(answer)} (printed by Python, taken as text)')
    if format == 'instruction':
        names |= _beyond_first(row, QUESTIONS) | _beyond_first(row, OUTPUTS)
    elif format not in ('columns', 'mathvision'):
        names |= _of_chat(row, TURNS if format == 'messages' else LLAVA_TURNS)
    pictures = row.keys() & _PICTURES
    if pictures and format != 'columns':
        names |= _beyond_first(row, FIELDS) - {'image', 'images'}  # of which one is seen to hold the other
        if not found.images:
            names |= {f'{field} (null)' for field in pictures & _READ[format]}
    return names


def unknown_fields(row: dict, source: Source) -> set[str]:
    """Return the names of fields that say something, and that no row of the source's format has for its reader."""
    left = row.keys() - _READ[source.format]
    if left and source.columns:
        left = left - named_columns(source.columns)
    return {_name(field) for field in left if not _is_passed_over(field, row[field])}


def fields_that_tell(source: Source) -> frozenset[str]:
    """Return every name of a field that means something to the reader of a source's format: it is read, or refuses the row."""
    return (_READ[source.format] - METADATA) | _TELLING | {'objects', NO_PICTURE, HIDDEN}


def _answered_by(row: dict, format: str, columns: dict[str, str | list[str]]) -> str:
    """Return the field that holds the answer, '' in a chat."""
    if format in ('columns', 'webdataset'):
        return str(columns.get('answer', ''))
    if format in ('llava', 'messages'):
        return ''
    return OUTPUTS[0] if row.get(OUTPUTS[0]) is not None else next((field for field in OUTPUTS if row.get(field) is not None), '')


def _of_chat(row: dict, spellings: tuple[str, ...]) -> set[str]:
    chats = row.keys() & _CHATS
    names = _second_spellings(row, spellings) if len(chats) > 1 or row.keys() & _BESIDE else set()
    for field in chats:
        if isinstance(row[field], list):
            names |= {_name(f'{field}[].{key}') for message in row[field] if isinstance(message, dict) and not _is_plain(message)
                      for key in _unread(message)}
    return names


def _is_plain(message: dict) -> bool:
    return len(message) == 2 and (isinstance(message.get('value'), str) or isinstance(message.get('content'), str))


def _is_passed_over(field: str, value: object) -> bool:
    if _is_empty(value):
        return True
    return field in _LABELS and (value is True or value == 1 or str(value).strip().lower() in _TRUE)


def _unread(message: dict) -> Iterator[str]:
    if len(message) > 2:
        for key in message.keys() - MESSAGE_KEYS:
            if not _is_empty(message[key]):
                yield key
    content = message.get('content', message.get('value'))
    if isinstance(content, list):
        for part in content:
            if isinstance(part, dict):
                yield from (f'content[].{key}' for key in part.keys() - PART_KEYS if not _is_empty(part[key]))


def _beyond_first(row: dict, spellings: tuple[str, ...]) -> set[str]:
    given = [field for field in spellings if field in row]
    return set([field for field in given if not is_null(row[field])][1:]) if len(given) > 1 else set()


def _second_spellings(row: dict, spellings: tuple[str, ...]) -> set[str]:
    """Return fields that another one stood in for: a second chat, an answer beside a chat that has one, a prompt beside a chat."""
    chats = [field for field in spellings if row.get(field)]
    names = _beyond_first(row, spellings)
    if chats:
        names |= {field for field in ('prompt', 'completion') if row.get(field)}
        last = row[chats[0]][-1] if isinstance(row[chats[0]], list) else {}
        role = (last.get('role') or last.get('from')) if isinstance(last, dict) else None
        if row.get('chosen') and role not in ('user', 'human'):
            names.add('chosen')
    return names


def _name(field: object) -> str:
    text = str(field).encode('utf-8', 'backslashreplace').decode()[:NAME_CHARS]
    return text if text.isprintable() else ''.join(char if char.isprintable() else '?' for char in text)
