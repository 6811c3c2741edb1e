"""What else is wrong with a document that has faults: its sections are checked as wholes by what of them is sound, so that all is told at once."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

Place = tuple[int | str, ...]
_FAULT = re.compile(r'; (?=[^;]*expected)')  # between two faults of a section; what does not say what was expected belongs to the one before
_NOTHING = object()  # no value: what stood there cannot be used


@dataclass
class Further:
    """The faults between the parts of a document that pydantic does not look for, since it stops at those within parts."""

    bad: Sequence[Place]  # where faults are known
    most: int  # faults to look for
    told: list[tuple[Place, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._above = {bad[:n] for bad in self.bad for n in range(len(bad) + 1)}
        self._exactly = set(self.bad)

    def look(self, model: type[BaseModel], data: dict) -> list[tuple[Place, str]]:
        """Return (place, fault) of each section that has faults within; what may only follow from those is not among them."""
        self._section(model, data, ())
        return self.told

    def _section(self, model: type[BaseModel], data: dict, place: Place) -> BaseModel:
        values: dict[str, Any] = {}
        for name, about in model.model_fields.items():
            key = about.alias or name
            found = self._part(_annotated(model, name), data[key], (*place, key)) if key in data else _NOTHING
            if found is not _NOTHING:
                values[name] = found
            elif about.is_required():
                values[name] = None
        section = model.model_construct(None, **values)
        if place not in self._exactly and len(self.told) < self.most:  # else it was checked as a whole
            self._check(section, place)
        return section

    def _check(self, section: BaseModel, place: Place) -> None:
        """Run the section's own checks, on what may lack some values."""
        for name, decorator in type(section).__pydantic_decorators__.model_validators.items():
            if decorator.info.mode == 'after':
                with contextlib.suppress(AttributeError, TypeError, LookupError):  # it needs what is not sound
                    try:
                        getattr(section, name)()
                    except ValueError as e:
                        told = [fault for fault in _FAULT.split(str(e)) if not self._may_follow(fault, place)]
                        self.told += [(place, '; '.join(told))] if told else []

    def _may_follow(self, fault: str, place: Place) -> bool:
        """Return whether a fault of the section names something with a fault of its own."""
        within = [bad[len(place):] for bad in self.bad if bad[: len(place)] == place and bad != place]
        return 'found None' in fault or any(_names(fault, bad) for bad in within)

    def _part(self, annotation: Any, value: object, place: Place) -> Any:
        """Return what stands at a place, as its type, without what has faults; _NOTHING where nothing is left."""
        if place not in self._above:
            try:
                return _adapter(_Kept(annotation)).validate_python(value)
            except ValidationError:
                return _NOTHING
        for kind in _kinds(annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(value, dict):
                return self._section(kind, value, place)
            if get_origin(kind) is dict and isinstance(value, dict):
                parts = {key: self._part(get_args(kind)[1], item, (*place, key)) for key, item in value.items()}
                return {key: _or_itself(part, value[key]) for key, part in parts.items() if _or_itself(part, value[key]) is not _NOTHING}
            if get_origin(kind) in (list, tuple):
                listed = value if isinstance(value, list) else [value]
                found = [_or_itself(self._part(get_args(kind)[0], item, (*place, i)), item) for i, item in enumerate(listed)]
                return [item for item in found if item is not _NOTHING]
        return _NOTHING


def _or_itself(part: Any, item: object) -> Any:
    """Return a part of a list or mapping; of one with a fault the name or number as it stands, so that there are not fewer."""
    return item if part is _NOTHING and isinstance(item, str | int | float) else part


@dataclass(frozen=True, eq=False)
class _Kept:
    """A type, some of which have no hash."""

    annotation: Any

    def __hash__(self) -> int:
        return id(self.annotation)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Kept) and other.annotation is self.annotation


@lru_cache(500)
def _adapter(kept: _Kept) -> TypeAdapter:
    return TypeAdapter(kept.annotation)


@lru_cache(500)
def _annotated(model: type[BaseModel], name: str) -> Any:
    about = model.model_fields[name]
    found: Any = about.annotation
    for metadata in about.metadata:
        found = Annotated[found, metadata]
    return found


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the plain types that a value may be of."""
    if get_origin(annotation) is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif get_origin(annotation) in (dict, list, tuple) or isinstance(annotation, type):
        yield annotation
    else:
        for one in get_args(annotation):
            yield from _kinds(one)


def _names(fault: str, bad: Place) -> bool:
    """Return whether the words of a fault name a place or its last key."""
    names = ['.'.join(map(str, bad)), *(last for last in bad[-1:] if isinstance(last, str))]
    return any(re.search(rf'(?<![\w.]){re.escape(name)}(?!\w)', fault) for name in names)
