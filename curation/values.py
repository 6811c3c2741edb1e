"""The text of a value as data hold it: numbers, truth values, lists of accepted answers, options; and the value a dotted path leads to.

A number is written as it stands in the data (24, 24.0, 2.25), a truth value as True or False, and what is missing is '', which the checks
of the text reject. Of a list of texts, accepted answers, the first is the answer; a list of numbers is one answer, a vector.
"""

import ast
import math
from datetime import date, datetime, time
from decimal import Decimal

from curation.conversation import RefusedError
from schemas.records import Reason

MAX_DIGITS = 100  # of a number; beyond it is no answer but an accident
LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
_INTO = '; a dotted path (answer.value) leads into it'
_ITEMS = 200  # of a list that is one answer


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
    known = [value for value in values if value is not None]
    if not known:
        return ''
    if len(known) > 1 and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        if len(known) > _ITEMS:
            raise ValueError(f'expected an answer, found a list of {len(known)} numbers')
        return f'[{", ".join(map(_of_number, known))}]'
    if isinstance(known[0], list):
        raise TypeError('expected an answer, found a list of lists')
    return value_text(known[0])


def further_answers(value: object) -> bool:
    """Return whether a list holds accepted answers besides the first, other than it."""
    return isinstance(value, list) and len(value) > 1 and any(isinstance(item, str) and item != value[0] for item in value[1:])


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
            return {value_text(label): value_text(text) for label, text in zip(value['label'], value['text'], strict=True)}
        return {plain_text(str(label)): value_text(text) for label, text in value.items() if text is not None}
    if not isinstance(value, list):
        raise TypeError(f'expected options, found {type(value).__name__}')
    if len(value) > len(LETTERS):
        raise ValueError(f'expected at most {len(LETTERS)} options, found {len(value)}')
    return {letter: value_text(option) for letter, option in zip(LETTERS, value, strict=False)}


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


def answer_among(value: object, options: dict[str, str] | str) -> str:
    """Return the answer's text; a number that is no option itself counts them from 0, and becomes the letter at that place."""
    text = value_text(value)
    if isinstance(options, str) or not options or not text.strip().isdigit() or isinstance(value, bool):
        return text
    if text.strip() in options or text.strip() in options.values():
        return text
    place, letters = int(text) if len(text) < 9 else len(options), list(options)
    if place >= len(letters):
        raise RefusedError(Reason.RECORD_MALFORMED, f'expected the answer as an option, its letter, or its number from 0 to {len(letters) - 1}, '
                                                    f'found {text[:20]}')
    return letters[place]
