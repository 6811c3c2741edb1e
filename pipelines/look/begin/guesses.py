"""What rows may be, by the names of their fields and by what stands in them: formats and columns to try, the likeliest first."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from curation.rows.chats import ANSWERS, TURNS
from curation.rows.fields import OUTPUTS, QUESTIONS
from curation.rows.named_pictures import FIELDS, named_paths
from curation.rows.webdataset import is_picture

_ASKS = ('question', 'query', 'prompt', 'instruction', 'problem', 'user', 'input', 'q', 'question_text')
_ANSWERS = ('answer', 'answers', 'response', 'output', 'completion', 'chosen', 'solution', 'target', 'assistant', 'a', 'answer_text',
            'multiple_choice_answer', 'correct_answer', 'reply', 'ground_truth', 'gold', 'truth', 'label', 'caption', 'description', 'text')
_PICTURES = (*FIELDS, 'picture', 'pictures', 'photo', 'file_name', 'filename', 'image_name', 'img_name', 'file', 'path', 'decoded_image')
_OPTIONS = ('options', 'choices', 'candidates')
_LETTERS = (tuple('ABCDE'), tuple('abcde'), tuple(f'op{letter}' for letter in 'abcde'), tuple(f'option_{letter}' for letter in 'abcde'))
_INNER = ('text', 'value', 'answer')  # of an answer that is a struct
_ENOUGH = 0.5  # share of the values that are of a kind


@dataclass(frozen=True, slots=True)
class Guess:
    """Settings of a source to try; `columns` is empty for formats that know their fields. `by_value`: roles of columns that no name told."""

    format: str
    columns: dict[str, str | list[str]]
    by_value: tuple[str, ...] = ()


def guesses(rows: list[dict], *, table: bool, tar: bool) -> list[Guess]:
    """Return what the rows may be; `table`: their file has columns (CSV, Parquet), `tar`: they are samples of a tar."""
    keys = {key for row in rows for key in row}
    chats = [key for key in TURNS if key in keys] or (['prompt'] if any(isinstance(row.get('prompt'), list) for row in rows) else [])
    columns = list(_columns(rows, tar=tar))
    if tar:
        return [Guess('webdataset', {}) for _ in chats[:1]] + [Guess('webdataset', guess.columns, guess.by_value) for guess in columns]
    if chats:
        return [Guess(format, {}) for format in (('llava', 'messages') if chats[0] in ('conversations', 'texts') else ('messages', 'llava'))]
    by_name = keys & set(QUESTIONS) and keys & set(OUTPUTS)
    plain = [Guess('instruction', {})] if by_name else []
    beside = [Guess('messages', {})] if 'prompt' in keys and keys & set(ANSWERS) else []
    return [*columns, *plain, *beside] if table or not keys & {'instruction', 'history'} else [*plain, *columns]


def lacking(rows: list[dict]) -> str:
    """Return what rows lack to be a question and an answer, and what to do: for those that nothing could be guessed of."""
    keys = sorted({str(key) for row in rows for key in row})
    shown = f'found {", ".join(keys[:12])}' if keys else 'found no fields'
    asked, answer, _ = _asked(rows)
    if {'images', 'annotations'} <= set(keys):
        return f'lists of pictures and of what is on them (COCO), {shown}; make questions of them: phantom convert'
    if set(keys) & {'questions', 'annotations'} or ('image_id' in keys and set(keys) & {'question', 'question_id'}):
        return f'questions, answers and pictures that stand in files of their own (VQA), {shown}; join them first: phantom convert'
    if not asked:
        return (f'expected a column that asks, {shown}; what is only labelled or captioned needs a question in each row, such as "What is shown?": '
                'add a column `question`')
    return f'expected a column that answers, {shown}; name it in the recipe: columns: {{question: {asked}, answer: ...}}'


def _columns(rows: list[dict], *, tar: bool) -> Iterator[Guess]:
    asked, answer, guessed = _asked(rows)
    if not asked or not answer:
        return
    columns: dict[str, str | list[str]] = {'question': asked, 'answer': answer}
    if options := _options(rows, {asked, answer}):
        columns['options'] = options
    pictures = [] if tar else pictured(rows, taken={asked, answer})
    if pictures:
        columns = {'image': pictures[0] if len(pictures) == 1 else pictures, **columns}
    yield Guess('columns', columns, guessed)


def pictured(rows: list[dict], taken: set[str]) -> list[str]:
    """Return the columns that hold pictures, or the names of some: by what stands in them, else by their names."""
    keys = [key for key in _keys(rows) if key not in taken]
    seen = [key for key in keys if _share(rows, key, _is_picture) > _ENOUGH]
    known = [key for name in _PICTURES for key in seen if key.lower() == name]
    numbered = [key for key in seen if key.rstrip('0123456789').rstrip('_') in ('image', 'img', 'picture') and key[-1].isdigit()]
    return numbered if len(numbered) > 1 and not known else (known or seen)[:1]


def _asked(rows: list[dict]) -> tuple[str, str, tuple[str, ...]]:
    """Return the columns of question and answer, '' for none, and which of both no name told."""
    keys = [key for key in _keys(rows) if not _share(rows, key, _is_picture) > _ENOUGH]
    by_name = _first(keys, _ASKS)
    asked = by_name or next((key for key in keys if _share(rows, key, _is_question) > _ENOUGH), '')
    rest = [key for key in keys if key != asked]
    answer = named = _first(rest, _ANSWERS)
    if asked and not answer:
        texts = [key for key in rest if _share(rows, key, lambda value: isinstance(value, str)) > _ENOUGH and not key.lower().endswith('id')]
        behind = [key for key in texts if keys.index(key) > keys.index(asked)]  # people write the answer to the right of the question
        answer = next(iter(behind or texts), '')
    guessed = tuple(role for role, column, name in (('question', asked, by_name), ('answer', answer, named)) if column and not name)
    return _inside(rows, asked), _inside(rows, answer), guessed


def _inside(rows: list[dict], column: str) -> str:
    """Return the way into a struct that holds a text."""
    value: dict = next((row[column] for row in rows if isinstance(row.get(column), dict)), {})
    inner = next((name for name in _INNER if name in value), '')
    return f'{column}.{inner}' if inner else column


def _options(rows: list[dict], taken: set[str]) -> str | list[str]:
    keys = [key for key in _keys(rows) if key not in taken]
    if found := _first(keys, _OPTIONS):
        return found
    return next((there for letters in _LETTERS if len(there := [key for key in letters if key in keys]) > 1), [])


def _keys(rows: list[dict]) -> list[str]:
    """Return the fields of the rows, in their order; a name with a dot would be read as a way into a struct."""
    return [key for key in dict.fromkeys(key for row in rows for key in row) if isinstance(key, str) and not key.startswith('__') and '.' not in key]


def _first(keys: list[str], names: tuple[str, ...]) -> str:
    lower = {key.lower(): key for key in reversed(keys)}
    return next((lower[name] for name in names if name in lower), '')


def _share(rows: list[dict], key: str, is_so: object) -> float:
    values = [row[key] for row in rows if row.get(key) not in (None, '')]
    return sum(map(is_so, values)) / len(values) if values and callable(is_so) else 0.0


def _is_question(value: object) -> bool:
    return isinstance(value, str) and value.rstrip().endswith(('?', '？', '؟'))


def _is_picture(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_picture, value))
    if isinstance(value, bytes) or (isinstance(value, dict) and isinstance(value.get('bytes'), bytes)):
        return True
    if isinstance(value, str) and value[:11] == 'data:image/':
        return True
    return any(is_picture(PurePosixPath(path.replace('\\', '/')).suffix.lower()[1:]) and '\n' not in path for path in named_paths(value))
