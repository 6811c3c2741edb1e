"""Canonical turns and image references of one raw row, for every on-disk format, as the sources named in recipes/phantom.yaml publish them.

In the canonical form `<image>` stands in a user turn where an image stands, once for each image. What is kept, ignored and rejected of each
format: docs/formats.md.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from curation.rows.chats import LLAVA_TURNS, Said, chat, in_front, said_in, with_system
from curation.rows.conversation import IMAGE, Conversation, Fault, RefusedError, alternates
from curation.rows.fields import INPUTS, OUTPUTS, QUESTIONS, names_of, no_column, null_reference, refusal
from curation.rows.marks import answer_mark, media_mark
from curation.rows.named_pictures import FIELDS, is_null, listed, named_paths, read_images
from curation.rows.references import is_safe, say_unsafe, strip_prefix
from curation.rows.values import answer_among, one_text, plain_text, reach, read_options, value_text, with_options
from curation.rows.webdataset import NO_PICTURE, tar_record
from schemas.recipe import Source
from schemas.records import Reason, Turn

__all__ = ['IMAGE', 'Conversation', 'Fault', 'check', 'parse', 'read_record', 'split_turns']
MAX_TURNS = 1000  # and images: what stands before each turn is repeated for it where `turns: each`, so the work grows with the square
_NUMBERED = re.compile(r'\s*<image\d*>\s*')
Columns = dict[str, str | list[str]]


def parse(row: dict, format: str, columns: Columns | None = None, prefixes: Sequence[str] = ()) -> Conversation | Fault:
    """Return the conversation of a row of `format`, its references without `prefixes`, or why there is none; never raises for what a row holds."""
    try:
        record = tar_record(row) if format == 'webdataset' else row
        found = refusal(record, format, columns or {}) or _PARSERS[format](record, columns or {})
    except RefusedError as e:
        return e.fault
    except KeyError as e:
        return Fault(Reason.RECORD_MALFORMED, no_column(e.args[0], row) if format == 'columns' else _unfit(row, format, e))
    except (TypeError, AttributeError, ValueError, RecursionError) as e:
        return Fault(Reason.RECORD_MALFORMED, _unfit(row, format, e))
    if isinstance(found, Fault):
        return found
    if prefixes:
        found = replace(found, images=tuple(strip_prefix(image, prefixes) if isinstance(image, str) else image for image in found.images))
    return check(found)


def _unfit(row: dict, format: str, e: Exception) -> str:
    return f'expected the {format} format, found keys {sorted(map(str, row))[:12]}: {type(e).__name__} {e}'[:300]


def check(conversation: Conversation) -> Conversation | Fault:
    """Return the conversation if roles alternate, images and marks are equally many, and no reference leaves its root."""
    turns = conversation.turns
    if max(len(turns), len(conversation.images)) > MAX_TURNS:
        return Fault(Reason.RECORD_TOO_LARGE, f'{len(turns)} turns and {len(conversation.images)} images, more than {MAX_TURNS}')
    roles = [turn.role for turn in turns]
    if not alternates(roles):
        return Fault(Reason.ROLES_NOT_ALTERNATING, f'expected user, assistant, ..., found {roles[:8]} ({len(roles)} turns)'[:300])
    marks = sum(turn.text.count(IMAGE) for turn in turns if turn.role == 'user')
    if marks != len(conversation.images):
        return Fault(Reason.IMAGE_COUNT_MISMATCH, f'{marks} {IMAGE} mark(s), {len(conversation.images)} image(s)')
    for turn in turns:
        if '<' not in turn.text:
            continue
        if turn.role != 'user' and (mark := answer_mark(turn.text)):
            return Fault(Reason.IMAGE_COUNT_MISMATCH, f'{mark[:80]} in {"an answer" if turn.role == "assistant" else "a system turn"}')
        if turn.role == 'user' and (mark := media_mark(turn.text)):
            return Fault(Reason.VIDEO_OR_AUDIO, f'{mark} in a question')
    for reference in conversation.images:
        if isinstance(reference, str) and not is_safe(reference):
            return Fault(Reason.IMAGE_REFERENCE_UNSAFE, say_unsafe(reference))
    return conversation


def _llava(row: dict, columns: Columns) -> Conversation:
    """Return LLaVA's and ShareGPT's form: `conversations` of from/value; `image` (a path or a list) or `images`."""
    return chat(row, LLAVA_TURNS)


def _messages(row: dict, columns: Columns) -> Conversation:
    """Return DocOwl's, OpenAI's and TRL's form: `messages` of role/content, `<|image|>` or image parts for images."""
    return chat(row)


def _instruction(row: dict, columns: Columns) -> Conversation:
    """Return Alpaca's form: `instruction` and `input` ask, `output` answers; `history` stands before, `system` in front; `images`."""
    question = _first(row, QUESTIONS, one_text)
    inputs = [text for field in INPUTS if row.get(field) and (text := one_text(row.get(field))).strip() and text.strip() != '<noinput>']
    question = '\n'.join([*([question] if question.strip() else []), *inputs])
    turns: Said = [*_history(row.get('history')), ('user', question), ('assistant', _first(row, OUTPUTS, value_text))]
    return in_front(with_system(turns, row), listed(row))


def _first(row: dict, fields: tuple[str, ...], read: Callable[[object], str]) -> str:
    """Return the text of the first field that is there and not null, '' if all that are there are null; raises KeyError for none."""
    if isinstance(value := row.get(fields[0]), str):
        return plain_text(value)
    known = [field for field in fields if field in row]
    if not known:
        raise KeyError(fields[0])
    return read(next((row[field] for field in known if row[field] is not None), None))


def _history(value: object) -> Said:
    """Return the turns of `history`: pairs of a question and an answer, or messages."""
    if is_null(value):
        return []
    if not isinstance(value, list):
        raise TypeError(f'expected `history` as a list of pairs, found {type(value).__name__}')
    if isinstance(value[0], dict):
        return said_in(value)
    turns: Said = []
    for pair in value:
        question, answer = pair
        turns += [('user', plain_text(question)), ('assistant', plain_text(answer))]
    return turns


def _columns(row: dict, columns: Columns) -> Conversation:
    """Return the columns that the recipe names: a question, perhaps with options, its answer, perhaps pictures and a system text."""
    names = names_of(columns.get('image'))
    images = [image for name in names for image in read_images(_maybe(row, name))]
    listed = _listed_options(row, names_of(columns.get('options')))
    options = read_options(listed)
    asked = [one_text(reach(row, name)) for name in names_of(columns['question'])]
    question = with_options('\n'.join(text for text in asked if text.strip()), options)
    of_numbers = isinstance(listed, list) and any(isinstance(option, int | float) for option in listed)
    answer = answer_among(reach(row, str(columns['answer'])), options, of_numbers=of_numbers)
    system = one_text(_maybe(row, str(columns['system']))) if 'system' in columns else ''
    turns: Said = [('user', question), ('assistant', answer)]
    return in_front([('system', system), *turns] if system.strip() else turns, images)


def _listed_options(row: dict, names: list[str]) -> object:
    """Return the options in a column, or those that stand in a column each, of which the last may be null."""
    return [reach(row, name) for name in names] if len(names) > 1 else reach(row, names[0]) if names else None


def _maybe(row: dict, path: str) -> object:
    try:
        return reach(row, path)
    except KeyError:
        return None


def _mathvision(row: dict, columns: Columns) -> Conversation:
    """Return question with options, and the solution with the answer, or the bare answer where there is no solution.

    Options that are letters or marks alone stand in the picture.
    """
    images = read_images(row.get('decoded_image')) or read_images(row.get('image'))
    question = _NUMBERED.sub(' ', one_text(row['question'])).strip()
    options = [one_text(option) for option in row.get('options') or []]
    letters = 'ABCDEFGH'[:len(options)]
    if options and options != list(letters) and any(_NUMBERED.sub('', option) for option in options):
        question = with_options(question, dict(zip(letters, options, strict=True)))
    answer = value_text(row['answer'])
    if row.get('solution') and answer.strip():
        answer = f'{_NUMBERED.sub(" ", one_text(row["solution"])).strip()}\nThe answer is {answer}.'
    return Conversation((Turn('user', (IMAGE + '\n') * len(images) + question), Turn('assistant', answer)), images)


def _webdataset(record: dict, columns: Columns) -> Conversation:
    """Return the record of a tar sample, which is one of the forms above, or `columns` naming JSON keys or members.

    What is a picture, and what refuses a sample: curation/rows/webdataset.py. A record that names a picture which is no member has it as a reference.
    """
    for key, parser in (('conversations', _llava), ('messages', _messages)):
        if key in record:
            return parser(record, columns)
    named = [key for key in ('images', 'image') if not is_null(record.get(key))]
    return _columns(record, {**columns, 'image': named[0]} if named and ('image' not in columns or named == ['images']) else columns)


_PARSERS: dict[str, Callable[[dict, Columns], Conversation]] = {
    'llava': _llava, 'messages': _messages, 'instruction': _instruction, 'columns': _columns, 'mathvision': _mathvision,
    'webdataset': _webdataset,
}


def split_turns(conversation: Conversation, turns: str) -> list[tuple[int, Conversation | None]]:
    """Return (turn number, conversation) per question: `first`, `all` in one, or `each` with what came before; None: not selected.

    A sample's images are those marked in the turns it keeps.
    """
    n_pairs = len(conversation.turns) // 2  # a system turn is no pair, and stands before each
    if turns == 'all':
        return [(0, conversation)]
    return [(i, _up_to(conversation, i) if turns == 'each' or i == 0 else None) for i in range(n_pairs)]


def _up_to(conversation: Conversation, pair: int) -> Conversation:
    kept = conversation.turns[:conversation.n_before + 2 * pair + 2]
    marks = sum(turn.text.count(IMAGE) for turn in kept if turn.role == 'user')
    return Conversation(kept, conversation.images[:marks])


def read_record(row: dict, source: Source) -> Conversation | Fault:
    """Return what a row of this source says, its image paths below `image_subfolder`, or why it is none or not selected.

    A row that the source's prefixes leave out is not judged in any other way.
    """
    found = parse(row, source.format, source.columns, source.strip_prefix)
    if (source.image_prefix or source.drop_image_prefix) and (left_out := _left_out(found, row, source)):
        return left_out
    if isinstance(found, Fault):
        return found
    if not found.images and not source.takes_null and row.get(NO_PICTURE):
        return Fault(Reason.IMAGE_REFERENCE_NULL, 'no picture among its members, and other samples of its tar have one; '
                                                   '`optional: true` takes such samples as text')
    if not found.images and not source.takes_null and (fault := null_reference(row, source)):
        return fault
    if not source.image_subfolder:
        return found
    folder = source.image_subfolder.rstrip('/')
    return replace(found, images=tuple(image if isinstance(image, bytes) else f'{folder}/{image}' for image in found.images))


def _left_out(found: Conversation | Fault, row: dict, source: Source) -> Fault | None:
    """Return why the prefixes of a source leave a row out, also one that is faulty otherwise, None where they do not."""
    if isinstance(found, Fault):
        paths = [strip_prefix(path, source.strip_prefix) for path in _named_in(row, source)]
    else:
        paths = [image for image in found.images if isinstance(image, str)]
    if source.image_prefix and not (paths and all(path.startswith(tuple(source.image_prefix)) for path in paths)):
        return Fault(Reason.RECORD_NOT_SELECTED, f'image prefix: expected one of {source.image_prefix}, found {paths[:2]}'[:300])
    if source.drop_image_prefix and any(path.startswith(tuple(source.drop_image_prefix)) for path in paths):
        return Fault(Reason.RECORD_NOT_SELECTED, f'image prefix: dropped {paths[:2]}'[:300])
    return None


def _named_in(row: dict, source: Source) -> list[str]:
    """Return the pictures that a row without a conversation names: in the fields or columns for them, and in the parts of its messages."""
    values = [row.get(field) for field in (FIELDS if source.format != 'columns' else ())]
    values += [_maybe(row, name) for name in names_of(source.columns.get('image'))]
    for turns in (row.get('messages'), row.get('conversations')):
        for turn in turns if isinstance(turns, list) else ():
            parts = turn.get('content', turn.get('value')) if isinstance(turn, dict) else None
            values += [part.get(field) for part in parts if isinstance(part, dict) for field in FIELDS] if isinstance(parts, list) else []
    return list(dict.fromkeys(path for value in values for path in named_paths(value)))
