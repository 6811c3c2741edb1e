"""Arrow columns as plain values, as JSON would have them: dates and decimals as text, maps as objects. A cell that Python cannot hold says so."""

import datetime
import decimal
from collections.abc import Iterable
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from pipelines.sources.malformed import UNREAD, Malformed

Want: TypeAlias = dict[str, Any] | None  # column -> the same for the fields of its struct; None: all of it

_PLAIN = (
    pa.types.is_boolean, pa.types.is_integer, pa.types.is_float64, pa.types.is_null, pa.types.is_string,
    pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary,
    pa.types.is_fixed_size_binary, pa.types.is_string_view, pa.types.is_binary_view)
_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
_DAY = {unit: 86_400 * per_second for unit, per_second in (('s', 1), ('ms', 10**3), ('us', 10**6), ('ns', 10**9))}
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)


def wanted(fields: Iterable[str] | None) -> Want:
    """Return what is read of each column; a name with dots is a column of that name, or a path into a struct."""
    if fields is None:
        return None
    want: dict[str, Any] = {}
    for name in sorted(fields):  # a column before its own fields
        want[name] = None
        _add_path(want, name.split('.'))
    return want


def _add_path(want: dict[str, Any], parts: list[str]) -> None:
    for part in parts[:-1]:
        below = want.setdefault(part, {})
        if below is None:
            return
        want = below
    want.setdefault(parts[-1], None)


@cache
def is_plain(kind: pa.DataType) -> bool:
    """Return whether every value of a type is one that JSON knows, or bytes: nothing in it can fail but text that is no UTF-8."""
    if any(of(kind) for of in _PLAIN):
        return not isinstance(kind, pa.BaseExtensionType)
    return (pa.types.is_struct(kind) or any(of(kind) for of in _LISTS)) and all(is_plain(kind.field(i).type) for i in range(kind.num_fields))


def values(column: pa.Array, want: Want) -> list:
    """Return the cells of a column; Malformed stands for one that cannot be converted, here or deeper. `want`: fields of a struct, None: all."""
    kind = column.type
    if want is not None and pa.types.is_struct(kind):
        import pyarrow.compute as pc  # takes as long to import as a small recipe to check, which mostly names no file by columns

        names = [kind.field(i).name for i in range(kind.num_fields)]
        fields = [pc.struct_field(column, i) for i in range(len(names))]
        inside = [values(field, want[name]) if name in want else _marked(field) for field, name in zip(fields, names, strict=True)]
        cells: list[Any] = [dict(zip(names, cell, strict=True)) for cell in zip(*inside, strict=True)] if names else [{}] * len(column)
        cells = [cell if there else None for cell, there in zip(cells, column.is_valid().to_pylist(), strict=True)]
        return cells if is_plain(kind) else [_lifted(cell, want) for cell in cells]
    if pa.types.is_dictionary(kind):
        return _from_dictionary(column)
    return column.to_pylist() if is_plain(kind) else [cell_of(scalar) for scalar in column]


def _from_dictionary(column: pa.DictionaryArray) -> list:
    import pyarrow.compute as pc

    used = pc.unique(column.indices.drop_null())
    cells = dict(zip(used.to_pylist(), values(column.dictionary.take(used), None), strict=True))
    return [cells.get(i) for i in column.indices.to_pylist()]


def _lifted(cell: dict | None, want: dict) -> dict | Malformed | None:
    """Return a struct, or what is wrong with a field of it that was asked for by its path."""
    for name in want if cell else ():
        if isinstance(bad := cell.get(name), Malformed):  # type: ignore[union-attr]
            return Malformed(f'{name}: {bad.found}')
    return cell


def _marked(column: pa.Array) -> list:
    return [UNREAD if there else None for there in presence(column)]


def presence(column: pa.Array) -> list[bool]:
    """Return for each cell whether it holds something: no null, no empty text, no empty list; nothing is converted."""
    import pyarrow.compute as pc

    there, kind = column.is_valid(), column.type
    if any(of(kind) for of in _TEXTS):
        there = pc.and_(there, pc.greater(pc.fill_null(pc.binary_length(column), 0), 0))
    elif any(of(kind) for of in _LISTS):
        there = pc.and_(there, pc.greater(pc.fill_null(pc.list_value_length(column), 0), 0))
    return there.to_pylist()


def cell_of(scalar: pa.Scalar) -> Any:
    """Return one cell of any type as a plain value."""
    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.UuidScalar):
        return str(scalar.as_py())
    if isinstance(scalar, pa.ExtensionScalar | pa.DictionaryScalar):
        return cell_of(scalar.value)
    if isinstance(scalar, pa.MapScalar):
        return _object([(cell_of(pair['key']), cell_of(pair['value'])) for pair in scalar.values])
    if isinstance(scalar, pa.StructScalar):
        return {name: cell_of(value) for name, value in scalar.items()}
    if isinstance(scalar, pa.ListScalar):
        return [cell_of(value) for value in scalar.values]
    return _leaf(scalar)


def _object(pairs: list[tuple[Any, Any]]) -> Any:
    keys = {key for key, _ in pairs if isinstance(key, str)}
    return dict(pairs) if len(keys) == len(pairs) else [list(pair) for pair in pairs]


def _leaf(scalar: pa.Scalar) -> Any:
    kind = scalar.type
    if pa.types.is_timestamp(kind):  # in UTC, where it has a zone: which zones a machine knows must not change rows
        scalar = pa.scalar(scalar.value, pa.timestamp(kind.unit))
    try:
        if pa.types.is_time(kind) and not 0 <= scalar.value < _DAY[kind.unit]:
            raise ValueError(f'{scalar.value} {kind.unit} of a day')
        found = scalar.as_py()
    except UnicodeDecodeError as e:
        return Malformed(f'text that is no UTF-8: {e}')
    except (OverflowError, ValueError, TypeError, pa.ArrowException) as e:
        return Malformed(f'a {kind} that cannot be read: {e}')
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):  # 0.1, and not the 0.10000000149011612 that is nearest to it
        return float(str((np.float32 if pa.types.is_float32(kind) else np.float16)(found)))
    if isinstance(found, datetime.datetime):
        return found.isoformat(' ') + ('+00:00' if kind.tz else '')
    if isinstance(found, datetime.date | datetime.time):
        return found.isoformat()
    if isinstance(found, decimal.Decimal):
        return format(found, 'f')
    if isinstance(found, datetime.timedelta):
        return str(found)
    return found if isinstance(found, str | bytes | int | float | bool) else Malformed(f'a {kind}, which is no text and no number')
