"""A step: what its rows depend on, as fields, and what it does to one shard.

A step is a frozen dataclass. Each field is, by its annotation, one of three things:

    images: tuple[Table, ...]        a table (or several): what the rows are made from
    store: Place[ImageStore]         a place: where something lies, or how it is reached; the rows do not depend on it
    bits: int                        a setting: anything else; whatever changes the rows

From tables, settings and VERSION follow the fingerprint, and with it the folder; a place is in neither. So nothing that changes the rows
can be forgotten: what is no field cannot be reached by `process`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

from pipelines.engine.tables import ShardWriter, Table
from schemas.recipe import Section

T = TypeVar('T')
_PLACE = 'a place'
Place = Annotated[T, _PLACE]
FINGERPRINT_DIGITS = 32  # of a sha256: a folder's name


class Step:
    """What a step does. Subclasses are frozen dataclasses of plain values: they travel to the workers by pickle.

    What is heavy (indexes, pools, clients) is a `functools.cached_property`: opened once on each worker, when it is first asked for.
    """

    TABLE: ClassVar[str]  # the name of what it makes
    VERSION: ClassVar[int]  # up whenever the same fields would give other rows
    RISKY: ClassVar[bool] = False  # whether native code reads what strangers made, and may end its process: never in that of the build

    def shards(self) -> Sequence[Any]:
        """Return what `process` gets, one after the other: plain values that follow from the fields. Called once the tables are there."""
        return [0]

    def process(self, shard: Any, writer: ShardWriter) -> None:
        """Write everything this shard yields to `writer`."""
        raise TypeError(f'{type(self).__name__} has no process method')

    def at_once(self) -> int | None:
        """Return how many processes may make its shards at once, None for any number: one that asks a server paces itself as one."""
        return None

    def most_calls(self, shards: Sequence[Any]) -> int:
        """Return how many calls to models some shards make at most, for who watches; 0 where it makes none, or that is not known."""
        return 0

    def needs(self) -> dict[str, float]:
        """Return what of a cluster's node a process takes that makes its shards, where that is more than a core: `num_gpus`, `num_cpus`.

        What a place needs that says so (`needs`, asked with the step). There are as many such processes as there is room for: `at_once` is for those
        that have nothing of their own.
        """
        return {name: n for place in self._places('needs') for name, n in place.needs(self).items()}

    def holds_model(self) -> bool:
        """Return whether a process that makes its shards runs a model in itself, as a place says of the step: a device has room for one of these."""
        return any(place.holds_model(self) for place in self._places('holds_model'))

    def _places(self, what: str) -> list[Any]:
        """Return the places that have something to say on `what`."""
        places = [getattr(self, name) for name, kind in kinds(type(self)).items() if kind == 'place']  # type: ignore[arg-type]
        return [place for place in places if hasattr(place, what)]

    def teardown(self) -> None:
        """Release what was opened; nothing that must happen, since Beam may skip it."""

    def label(self) -> str:
        """Return what people call the table: its name, and which source it is of where there is one for each."""
        return self.TABLE

    def about(self, shard: Any) -> str:
        """Return what a shard is made from, such as a file, for a message about one that went wrong; '' where its number says all."""
        parts = [part for part in (shard if isinstance(shard, tuple) else (shard,)) if isinstance(part, str)]
        return ', '.join(parts)

    def __getstate__(self) -> dict[str, Any]:  # what was opened here is opened anew there
        return {name: self.__dict__[name] for name in kinds(type(self))}  # type: ignore[arg-type]


@cache
def kinds(step: type[Step]) -> dict[str, str]:
    """Return, for every field of a step's class, 'table', 'place' or 'setting'."""
    hints = get_type_hints(step, include_extras=True)
    return {field.name: _kind(hints[field.name]) for field in fields(step)}  # type: ignore[arg-type]


def _kind(hint: Any) -> str:
    if get_origin(hint) is Annotated and _PLACE in hint.__metadata__:
        return 'place'
    return 'table' if hint is Table or Table in get_args(hint) else 'setting'


def tables_of(step: Step, name: str) -> tuple[Table, ...]:
    """Return the tables of a field."""
    value = getattr(step, name)
    return value if isinstance(value, tuple) else (value,)


def inputs_of(step: Step) -> list[Table]:
    """Return all tables that a step's rows are made from."""
    return [table for name, kind in kinds(type(step)).items() if kind == 'table' for table in tables_of(step, name)]  # type: ignore[arg-type]


def opens(step: Step) -> bool:
    """Return whether a step opens something heavy, which is worth keeping from one shard to the next."""
    kind = type(step)
    return kind.teardown is not Step.teardown or any(isinstance(getattr(kind, name, None), cached_property) for name in dir(kind))


def release(step: Step) -> None:
    """Close what a step has opened; it opens again when it is asked for."""
    step.teardown()
    for name in set(vars(step)) - kinds(type(step)).keys():  # type: ignore[arg-type]
        del vars(step)[name]


def make_here(step: Step, folder: Path, shards: Sequence[Any] | None = None) -> Table:
    """Return the table of a step, made below `folder` in this process: so few rows need no engine. `shards`: others than the step's own."""
    table = Table(folder / step.TABLE, step.label())
    try:
        for index, shard in enumerate(step.shards() if shards is None else shards):
            writer = ShardWriter(table.path, index)
            step.process(shard, writer)
            writer.close()
    finally:
        release(step)
    return table


def versions() -> dict[str, int]:
    """Return the version of every step that is loaded, by the name of its table."""
    return dict(sorted((step.TABLE, step.VERSION) for step in all_steps()))


def all_steps(parent: type[Step] = Step) -> Iterator[type[Step]]:
    """Yield the class of every step that is loaded."""
    for step in parent.__subclasses__():
        yield step
        yield from all_steps(step)


def describe(step: Step) -> dict[str, Any]:
    """Return all that the rows of a step depend on, as JSON: version, settings, and its tables by name and fingerprint."""
    by_kind = kinds(type(step))  # type: ignore[arg-type]
    return {
        'table': step.TABLE,
        'label': step.label(),
        'version': step.VERSION,
        'settings': {name: canonical(getattr(step, name)) for name, kind in by_kind.items() if kind == 'setting'},
        'tables': {name: [table.key for table in tables_of(step, name)] for name, kind in by_kind.items() if kind == 'table'},
    }


def fingerprint_of(described: dict[str, Any]) -> str:
    """Return the name of the folder of what was described."""
    return fingerprint({name: value for name, value in described.items() if name != 'label'})[:FINGERPRINT_DIGITS]


def fingerprint(*parts: object) -> str:
    """Return the sha256 hex of the canonical JSON of `parts`."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value: object) -> Any:
    """Return a setting as JSON; raises TypeError for what has no one form there (a path is a place, not a setting)."""
    if value is None or isinstance(value, bool | int | float | str):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, Section):
        return value.model_dump(mode='json')
    if is_dataclass(value) and not isinstance(value, type):
        return canonical(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(canonical(item) for item in value)
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f'a setting of type {type(value).__name__}: expected plain values, sections of the recipe or dataclasses of these')
