"""All faults of a document against its pydantic model, in words a user can act on: what stands where, and what was probably meant."""

import difflib
import reprlib
from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.further_faults import Further, Place

_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxlist, _BRIEF.maxdict, _BRIEF.maxstring, _BRIEF.maxother = 2, 4, 4, 80, 80
MOST_FAULTS = 50  # told of one document
_LONGEST = 80  # letters of a key in a message


def faults_of(model: type[BaseModel], data: dict, secret: Sequence[str] = ()) -> Iterator[str]:
    """Yield one line per fault of `data`, of more than MOST_FAULTS the first ones and how many there are besides.

    What was found below a key in `secret` is not repeated: it may hold a key or password.

    References between parts, which pydantic checks in a document without other faults, are checked by what of it is sound.
    """
    try:
        model.model_validate(data)
    except ValidationError as e:
        found = _errors(e)
        lines = [f'{_shown(fault["loc"])}: {_say(fault, model, secret)}' for fault in found]
        further = Further([fault['loc'] for fault in found], MOST_FAULTS).look(model, data)
        lines += [f'{_shown(place)}: {fault}' for place, fault in further]
        yield from lines[:MOST_FAULTS]
        if len(lines) > MOST_FAULTS:
            yield f'and {len(lines) - MOST_FAULTS:,} more'


def _shown(place: Place) -> str:
    words = [str(part) if len(str(part)) <= _LONGEST else f'{str(part)[:_LONGEST]}...' for part in place]
    return '.'.join(word if word.isprintable() else ascii(word) for word in words) or 'recipe'


def _errors(error: ValidationError) -> list[ErrorDetails]:
    """Return the faults, each placed as a person counts: without the <tags> by which pydantic names the members of a union."""
    found = error.errors(include_url=False)
    for fault in found:
        fault['loc'] = tuple(part for part in fault['loc'] if not str(part).startswith('<'))
    return found


def _say(fault: ErrorDetails, model: type[BaseModel], secret: Sequence[str]) -> str:
    if fault['type'] == 'extra_forbidden':
        near = difflib.get_close_matches(str(fault['loc'][-1]), _keys(model, fault['loc'][:-1]), n=1)
        return f'unknown key; did you mean {near[0]}?' if near else 'unknown key; `phantom help` lists those there are'
    message = fault['msg'].removeprefix('Value error, ')
    if fault['type'] in ('missing', 'value_error') or any(part in secret for part in fault['loc']):
        return message
    return f'{message}, found {_brief(fault["input"])}'


def _keys(annotation: Any, place: Place) -> list[str]:
    """Return the keys that may stand at a place below something of this type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields
        return _keys(fields[str(place[0])].annotation, place[1:]) if place else list(fields)
    if get_origin(annotation) in (dict, list):
        return _keys(get_args(annotation)[-1], place[1:])
    return [key for inner in get_args(annotation) for key in _keys(inner, place)]  # X | None


def _brief(value: object) -> str:
    try:
        return _BRIEF.repr(value)
    except ValueError:  # a number of thousands of digits
        return 'a number too long to print'
