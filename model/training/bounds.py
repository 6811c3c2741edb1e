"""Values that people write, each of a type and within a range: what is refused is told together, with all that would have been taken."""

import difflib
import reprlib
import types
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt, MinLen
from pydantic import AllowInfNan, BeforeValidator, Strict, TypeAdapter, ValidationError

MOST_SHOWN = 15  # known names in a message
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxlist, _BRIEF.maxtuple, _BRIEF.maxdict, _BRIEF.maxstring, _BRIEF.maxother = 3, 6, 6, 4, 80, 80
_WORDS = {int: 'a whole number', float: 'a number', bool: 'true or false', str: 'text', type(None): 'null'}


def read_number(value: object) -> object:
    """A number that YAML takes for text, such as 1e-3; anything else as it is."""
    for number in (int, float) if isinstance(value, str) else ():
        with suppress(ValueError):
            return number(value)
    return value


@dataclass(frozen=True)
class Range(GroupedMetadata):
    """Of a number: from `low` to `high`; `above` and `below` leave that end itself out. Never NaN, infinity, true or false."""

    low: float
    high: float
    above: bool = False
    below: bool = False

    def __iter__(self) -> Iterator[object]:
        yield Strict()
        yield Gt(self.low) if self.above else Ge(self.low)
        yield Lt(self.high) if self.below else Le(self.high)
        yield BeforeValidator(read_number)  # the last one runs first

    def __str__(self) -> str:
        low, high = (f'{end:,}' if isinstance(end, int) else f'{end:g}' for end in (self.low, self.high))
        return f'{"above" if self.above else "from"} {low} {"to below" if self.below else "to"} {high}'


Flag = Annotated[bool, Strict()]
Word = Annotated[str, MinLen(1)]
Finite = Annotated[float, Strict(), AllowInfNan(False), BeforeValidator(read_number)]


def expected(kind: Any) -> str:
    """What a value of this type may be, in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, Mapping) or origin is dict:
        return 'names and values'
    if origin is Annotated:
        return ' '.join([expected(inner[0]), *(str(mark) for mark in inner[1:] if isinstance(mark, Range))])
    if origin is Literal:
        *first, last = map(str, inner)
        return f'{", ".join(first)} or {last}' if first else last
    if origin in (Union, types.UnionType):
        return ' or '.join(map(expected, inner))
    if origin in (tuple, list):
        many = origin is list or inner[-1] is Ellipsis
        return f'a list, each {expected(inner[0])}' if many else f'a list of {len(inner)}, each {expected(inner[0])}'
    return _WORDS[kind]


def read_values(
    kinds: Mapping[str, Any], values: Mapping[Any, Any], *, section: str = '', as_they_are: Collection[str] | None = ()
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values that fit their types, as they were read, and for each other one a sentence by its name.

    kinds: a type, or again types by name for a section, whose own unknown names are left as they are.
    as_they_are: names that may stand there beside those of `kinds`; None: any.
    """
    read: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for name, value in values.items():
        kind, place = kinds.get(name), f'{section}{name}'
        if kind is None and (as_they_are is None or name in as_they_are):
            read[name] = value
        elif kind is None:
            known = [*kinds, *(as_they_are or ())]
            near = difflib.get_close_matches(str(name), known, n=1)
            some = f'known are {", ".join(sorted(known))}' if len(known) <= MOST_SHOWN else 'model/training/settings.py lists what may be set'
            faults[str(name)] = f'unknown setting {place}; ' + (f'did you mean {near[0]}?' if near else some)
        elif isinstance(kind, Mapping) and isinstance(value, Mapping):
            read[name], below = read_values(kind, value, section=f'{place}.', as_they_are=None)
            faults |= {f'{name}.{inner}': told for inner, told in below.items()}
        elif isinstance(kind, Mapping):
            faults[name] = f'{place}: expected names and values, found {_BRIEF.repr(value)}'
        else:
            try:
                read[name] = TypeAdapter(kind).validate_python(value)
            except ValidationError:
                fits = False
            else:
                fits = isinstance(value, bool) is isinstance(read[name], bool)  # pydantic takes true for the 1 of Literal[1, 2]
            if not fits:
                read.pop(name, None)
                faults[name] = f'{place}: expected {expected(kind)}, found {_BRIEF.repr(value)}'
    return read, faults
