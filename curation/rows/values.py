"""The text of a value as data hold it: numbers, truth values, lists of accepted answers, options; and the value a dotted path leads to.

A number is written as it stands in the data (24, 24.0, 2.25), a truth value as True or False, and what is missing is '', which the checks
of the text reject. Of a list of texts, accepted answers, the first is the answer; a list of numbers is one answer, a vector.
"""

import ast
import math
import re
from datetime import date, datetime, time
from decimal import Decimal

from curation.answers.kinds import options_of
from curation.rows.conversation import RefusedError
from schemas.records import Reason

MAX_DIGITS = 100  # of a number; beyond it is no answer but an accident
LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
_INTO = '; a dotted path (answer.value) leads into it'
_DIGITS = 20  # of an index; more are beyond the last option, whatever they are
_ITEMS = 200  # of a list that is one answer
_LED = re.compile(r'\s*\(?([A-Za-z])\s?[).:]\s*')
_LABEL_CHARS = 2
_LABELS = ('label', 'letter', 'key', 'id', 'aid', 'option_id')  # of an option that is a struct, and its text
_TEXTS = ('text', 'content', 'value', 'option', 'answer', 'atext')


def plain_text(value: object) -> str:
    """Return a text as it is, '' for none; raises TypeError for anything else."""
    if value is None:
        return ''
    if not isinstance(value, str):
        raise TypeError(f'expected text, found {type(value).__name__}')
    value.encode()  # half a surrogate pair is legal JSON and no text: UnicodeEncodeError is a ValueError
    return value


def value_text(value: object) -> str:
    """Return what a value says as text, '' for a missing one; raises TypeError or ValueError for what is no value to learn."""
    if value is None or isinstance(value, str):
        return plain_text(value)
    if isinstance(value, list):
        return _of_list(value)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float | Decimal):
        return _of_number(value)
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    raise TypeError(f'expected text or a number, found {type(value).__name__}{_INTO if isinstance(value, dict) else ""}')


def _of_number(value: int | float | Decimal) -> str:
    if isinstance(value, int) and value.bit_length() > 4 * MAX_DIGITS:  # before str, which takes quadratic time
        raise ValueError(f'expected a number of at most {MAX_DIGITS} digits, found {value.bit_length()} bits')
    if not math.isfinite(value):
        raise ValueError(f'expected a number, found {value}')
    text = repr(value) if isinstance(value, float) else str(value)
    if len(text.lstrip('-')) > MAX_DIGITS:
        raise ValueError(f'expected a number of at most {MAX_DIGITS} digits, found {len(text)}')
    return text


def _of_list(values: list) -> str:
    known = [value for value in values if value is not None and value != '']
    if not known:
        return ''
    if len(known) > 1 and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        if len(known) > _ITEMS:
            raise ValueError(f'expected an answer, found a list of {len(known)} numbers')
        return f'[{", ".join(map(_of_number, known))}]'
    if isinstance(known[0], list):
        raise TypeError('expected an answer, found a list of lists')
    return value_text(known[0])


def one_text(value: object) -> str:
    """Return what a value says where it is one text; raises ValueError for a list of several: any of them may be meant, or all."""
    if isinstance(value, list) and sum(item is not None for item in value) > 1:
        raise ValueError(f'expected one text, found a list of {len(value)}; of a file of columns ({{"question": [...], "answer": [...]}}) write '
                         'a list of rows first')
    return value_text(value)


def further_answers(value: object) -> bool:
    """Return whether a list holds accepted answers besides the first, other than it."""
    known = [item for item in value if item is not None] if isinstance(value, list) else []
    if len(known) < 2 or all(isinstance(item, int | float) and not isinstance(item, bool) for item in known):
        return False
    return any(item != known[0] for item in known[1:])


def reach(row: dict, path: str) -> object:
    """Return the value of a column, or the one a dotted path leads to (`meta.answer`; through a list: of its first, or each, element).

    A column whose name has the dots comes first. Raises KeyError where there is none.
    """
    if path in row:
        return row[path]
    value: object = row
    for name in path.split('.'):
        if isinstance(value, list):
            value = [item[name] for item in value if isinstance(item, dict)]
        elif value is None:
            return None
        elif isinstance(value, dict) and name in value:
            value = value[name]
        else:
            raise KeyError(path)
    return value


def read_options(value: object) -> dict[str, str] | str:
    """Return options by their letter, or the text that lists them already; {} for none.

    A list gets the letters A, B, ...; a mapping has labels of its own, and so has ARC's {text: [...], label: [...]}; a text that is a list
    written out ("['red', 'blue']", as MMMU has it) is that list.
    """
    if isinstance(value, str):
        found = _written_list(value)
        if found is None:
            return plain_text(value).strip()
        value = found
    if value is None:
        return {}
    if isinstance(value, dict):
        if isinstance(value.get('text'), list) and isinstance(value.get('label'), list):
            return _labelled(value['label'], value['text'])
        return {plain_text(str(label)): one_text(text) for label, text in value.items() if text is not None}
    if not isinstance(value, list):
        raise TypeError(f'expected options, found {type(value).__name__}')
    while value and value[-1] in (None, ''):  # columns that a shorter list does not fill
        value = value[:-1]
    if len(value) > len(LETTERS):
        raise ValueError(f'expected at most {len(LETTERS)} options, found {len(value)}')
    if value and all(isinstance(option, dict) for option in value):
        return _of_structs(value)
    return dict(zip(LETTERS, _without_letters([one_text(option) for option in value]), strict=False))


def _labelled(labels: list, texts: list) -> dict[str, str]:
    found = {one_text(label): one_text(text) for label, text in zip(labels, texts, strict=True)}
    if len(found) < len(labels):
        raise ValueError(f'expected options of labels that differ, found {labels[:8]}')
    return found


def _of_structs(options: list[dict]) -> dict[str, str]:
    """Return options that are structs each: {label, text}, as ARC and CommonsenseQA publish them, or {A: text}."""
    if all(len(option) == 1 and len(str(next(iter(option)))) <= _LABEL_CHARS for option in options):
        options = [{'label': label, 'text': text} for option in options for label, text in option.items()]
    names = [next((name for name in of if name in options[0]), '') for of in (_LABELS, _TEXTS)]
    if not all(names):
        raise TypeError(f'expected options of a label and a text, found keys {sorted(map(str, options[0]))[:8]}')
    return _labelled([option[names[0]] for option in options], [option[names[1]] for option in options])


def _without_letters(options: list[str]) -> list[str]:
    """Return options without the letters of their own that all of them begin with, in order: AQuA's `A)21`, `B)22`."""
    led = [_LED.match(option) for option in options]
    own = len(options) > 1 and all(mark and mark[1].upper() == letter for mark, letter in zip(led, LETTERS, strict=False))
    return [option[mark.end():] for option, mark in zip(options, led, strict=True) if mark] if own else options


def _written_list(text: str) -> list | None:
    if not (text.lstrip().startswith('[') and text.rstrip().endswith(']') and len(text) < 20_000):
        return None
    try:
        found = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def with_options(question: str, options: dict[str, str] | str) -> str:
    """Return the question with its options below it, one a line."""
    lines = options if isinstance(options, str) else '\n'.join(f'{letter}. {option}' for letter, option in options.items())
    return f'{question}\n{lines}' if lines else question


def answer_among(value: object, options: dict[str, str] | str, *, of_numbers: bool = False) -> str:
    """Return the answer's text; a number that counts the options from 0 becomes the letter at that place.

    A number counts them where they are texts, even texts of digits; where they are numbers (`of_numbers`), and as a text, it may be one of them.
    """
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    text = value_text(value)
    if isinstance(options, str):  # a text that lists them: its letters are read for a number alone
        options = options_of(options) if text.strip().isdigit() else {}
    if not options:
        return text
    if isinstance(value, list) and text.startswith('['):
        raise _no_option(text, options)
    if (place := _index(value)) is None:
        if isinstance(value, bool) and text not in options.values():
            raise _no_option(text, options)
        return text
    if str(place) in options:  # a label
        return text if isinstance(value, str) else str(place)
    same = [option for option in options.values() if option.strip() == text.strip() or (of_numbers and _number(option) == place)]
    if same and (of_numbers or isinstance(value, str)):
        return same[0]
    labels = list(LETTERS) if set(options) <= set(LETTERS) else list(options)
    if not (0 <= place < len(labels) and labels[place] in options):  # of a mapping some may be null: the number counts these too
        raise _no_option(text, options)
    return labels[place]


def _no_option(text: str, options: dict[str, str]) -> RefusedError:
    return RefusedError(Reason.RECORD_MALFORMED, f'expected the answer as an option, its letter, or its number from 0 to {len(options) - 1}, '
                                                 f'found {text[:20]}')


def _index(value: object) -> int | None:
    """Return the whole number that a value is, as a float too: where some are null a table holds no others."""
    if isinstance(value, str):
        return int(value.strip()[:_DIGITS]) if value.strip().isascii() and value.strip().isdigit() else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if int(value) == value else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
