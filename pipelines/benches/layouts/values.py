"""What published cells mean: an answer may be null, a number, a list or a struct, options a list, a mapping or one string."""

import ast
import json
import math
import re

from curation.rows.values import LETTERS

_LITERAL_CHARS = 20_000  # a longer text is no list that someone printed
# fields of an answer that is a struct, as SQuAD, TriviaQA, VQA and DROP have them, and of an option
_ANSWER_PARTS = ('text', 'answer', 'value', 'answers', 'aliases', 'spans', 'normalized_aliases', 'number', 'date')
_OPTION_PARTS = ('text', 'content', 'value', 'option', 'answer')
_MARK = re.compile(r'(?<![^\s;,|/])(\(?)([A-Za-z])(\s?[).:])\s*')
_LONE = re.compile(r'(?:(?:option|choice|answer)[:\s]\s*)?\(?([A-Za-z])\s?[).:]?', re.IGNORECASE)
_LED = re.compile(r'\(?([A-Za-z])\s?[).:]\s*(.*)', re.DOTALL)


def text(value: object) -> str:
    """Return a cell as one text: '' for null, the first of a list."""
    return next(iter(texts(value)), '')


def texts(value: object) -> tuple[str, ...]:
    """Return every answer that a cell accepts, the first one first; none for null and for blank text."""
    found: list[str] = []
    if isinstance(value, bool):
        found = [str(value), 'Yes' if value else 'No']
    elif isinstance(value, float):
        found = [] if math.isnan(value) else [str(int(value)), str(value)] if value.is_integer() else [str(value)]
    elif isinstance(value, str):
        inner = _literal(value)
        found = list(texts(inner)) if isinstance(inner, list) else [value.strip()]
    elif isinstance(value, dict):
        parts = [part for name in _ANSWER_PARTS if name in value for part in texts(value[name])]
        if value.keys() == {'day', 'month', 'year'}:
            return tuple(filter(None, [' '.join(text(value[name]) for name in ('day', 'month', 'year') if text(value[name]))]))
        found = parts or [json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)]
    elif isinstance(value, list | tuple):
        found = [part for item in value for part in texts(item)]
        if len(value) > 1 and all(isinstance(item, int | float) and not isinstance(item, bool) for item in value):
            found.insert(0, f'[{", ".join(map(repr, value))}]')  # a vector, as TheoremQA's
    elif value is not None:
        found = [str(value)]
    return tuple(dict.fromkeys(part for part in found if part))


def options_of(value: object) -> tuple[str, ...]:
    """Return the options in a cell without their letters: of a list, {'A': ...}, {'text': [...], 'label': [...]}, or a string of any of these."""
    if value is None or value == '':
        return ()
    if isinstance(value, str):
        inner = _literal(value)
        return options_of(inner) if isinstance(inner, list | dict) else split_lettered(value)[1] or _split_plain(value)
    if isinstance(value, dict):
        listed = next((value[name] for name in (*_OPTION_PARTS, 'choices', 'options') if isinstance(value.get(name), list)), None)
        return options_of(listed if listed is not None else [value[key] for key in sorted(value, key=str)])
    if isinstance(value, list | tuple):
        options = [_option(item) for item in value]
        while options and options[-1] == '':  # columns that a shorter list of options does not fill
            options.pop()
        return without_letters(tuple(options))
    return (str(value),)


def without_letters(options: tuple[str, ...]) -> tuple[str, ...]:
    """Return options without the letters that all of them begin with, in order: `A. red`, `(B) blue`."""
    marks = [_MARK.match(option) for option in options]
    lettered = len(options) > 1 and all(mark and mark[2].upper() == letter for mark, letter in zip(marks, LETTERS, strict=False))
    return tuple(option[mark.end():].strip() for option, mark in zip(options, marks, strict=True) if mark) if lettered else options


def split_lettered(found: str) -> tuple[str, tuple[str, ...]]:
    """Return what stands before a run of lettered options (`A. x;B. y`, `(A) x (B) y`, one a line) and these; no options where there are none."""
    every = list(_MARK.finditer(found))
    firsts = {(mark[1], mark[2], mark[3].strip()): at for at, mark in reversed([*enumerate(every)]) if mark[2].upper() == 'A'}
    for at in sorted(firsts.values()):  # the first A of a form: where no B follows it, none follows the next
        marks = [first := every[at]]
        for mark in every[at + 1:]:
            if mark[2] == _next(marks[-1][2]) and (mark[1], mark[3].strip()) == (first[1], first[3].strip()):
                marks.append(mark)
        if len(marks) > 1:
            ends = [*(mark.start() for mark in marks[1:]), len(found)]
            options = [found[mark.end() : end].strip(' \n\t,;|/') for mark, end in zip(marks, ends, strict=True)]
            one_a_line = '\n' in found[first.end() : marks[-1].start()] and not any('\n' in option for option in options[:-1])
            if one_a_line:  # what follows them is none
                options[-1] = options[-1].partition('\n')[0].strip(' \t,;|/')
            return found[: first.start()].strip(), tuple(options)
    return found, ()


def choose(value: object, options: tuple[str, ...], *, of_numbers: bool = False) -> str:
    """Return the letter of the option that a published answer names by index, letter or text; '' where it names none.

    A number is an index where the options are texts, even of digits; where they are numbers (`of_numbers`) it is one of them.
    """
    if isinstance(value, list | tuple):
        return next((letter for item in value if (letter := choose(item, options, of_numbers=of_numbers))), '')
    number = _index(value)
    said = text(value)
    texts_of_options = [_plain(option) for option in options]
    letters = LETTERS[: len(options)]
    lone = _LONE.fullmatch(said)
    if lone and lone[1].upper() in letters:
        return lone[1].upper()
    if not isinstance(value, str) and not of_numbers and number is not None and 0 <= number < len(letters):
        return letters[number]
    for accepted in texts(value):
        if texts_of_options.count(_plain(accepted)) == 1:
            return letters[texts_of_options.index(_plain(accepted))]
    led = _LED.fullmatch(said)
    if led and led[1].upper() in letters and texts_of_options[letters.index(led[1].upper())].startswith(_plain(led[2])):
        return led[1].upper()
    if number is not None and 0 <= number <= len(letters):
        return letters[min(number, len(letters) - 1)]  # beyond the last: counted from 1
    return ''


def is_letter(said: str) -> bool:
    """Return whether an answer is the letter of an option and nothing else."""
    lone = _LONE.fullmatch(said)
    return lone is not None and lone[1].upper() in LETTERS[:8]


def _option(value: object) -> str:
    if isinstance(value, dict):
        return next((text(value[name]) for name in _OPTION_PARTS if value.get(name) is not None), json.dumps(value, sort_keys=True, default=str))
    return '' if value is None else str(value).strip() if isinstance(value, list | tuple) else text(value)


def _split_plain(found: str) -> tuple[str, ...]:
    """Return the parts of a string of options that bear no letters."""
    separator = next((mark for mark in ('\n', ';', '|', ',') if mark in found), None)
    return tuple(part.strip() for part in found.split(separator) if part.strip()) if separator else (found.strip(),)


def _literal(found: str) -> object:
    """Return the list or mapping that a text is the printed form of, in JSON or Python; None for any other text."""
    shown = found.strip()
    if not (shown[:1] + shown[-1:] in ('[]', '{}') and len(shown) <= _LITERAL_CHARS):
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(shown)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        return value if isinstance(value, list | dict) and all(isinstance(item, str | int | float | bool) for item in value) else None
    return None


def _index(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value) if value == value and float(value).is_integer() else None
    return int(value) if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() else None


def _next(letter: str) -> str:
    return chr(ord(letter) + 1)


def _plain(found: str) -> str:
    return ' '.join(found.casefold().split()).rstrip('.')
