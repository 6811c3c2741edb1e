"""The digests of many rows at once, `row_digest` of each, and what rejections show of them: their JSON is made of whole columns."""

import hashlib
import json
import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.records import CONTENT_CHARS, as_content
from schemas.snapshot import row_digest

_NULL = pa.scalar('null')


class Style(NamedTuple):
    """What stands between values and before one, and how a float is written."""

    comma: str
    colon: str
    number: Callable[[float | None], str]


def _finite(value: float | None) -> str:
    return json.dumps(value if value is not None and math.isfinite(value) else None)


_CLOSE, _WIDE = Style(',', ':', json.dumps), Style(', ', ': ', _finite)


def row_digests(rows: pa.RecordBatch) -> list[bytes]:
    """Return `row_digest` of each row."""
    if not rows.num_columns or not all(_is_known(column.type) for column in rows.schema):
        return [row_digest(row) for row in rows.to_pylist()]
    text = _object(rows.schema.names, rows.columns, _CLOSE)
    data = memoryview(text.buffers()[2] or b'')
    return [hashlib.sha256(data[start:stop]).digest() for start, stop in pairwise(_offsets(text).tolist())]


def contents(rows: pa.RecordBatch) -> list[str]:
    """Return `as_content` of each row."""
    if not rows.num_columns or not all(_is_known(column.type) for column in rows.schema):
        return [as_content(row) for row in rows.to_pylist()]
    texts = _object(rows.schema.names, rows.columns, _WIDE).to_pylist()
    return [text if len(text) <= CONTENT_CHARS else as_content(rows.slice(at, 1).to_pylist()[0]) for at, text in enumerate(texts)]


def _is_known(type_: pa.DataType) -> bool:
    if pa.types.is_list(type_):
        return _is_known(type_.value_type)
    if pa.types.is_struct(type_):
        return type_.num_fields > 0 and all(_is_known(field.type) for field in type_)
    return pa.types.is_string(type_) or pa.types.is_integer(type_) or pa.types.is_floating(type_)


def _json(values: pa.Array, style: Style) -> pa.StringArray:
    """Return each value as `json.dumps` writes it, null as `null`; no value is null then."""
    if pa.types.is_struct(values.type):
        text = _object([field.name for field in values.type], values.flatten(), style)
    elif pa.types.is_list(values.type):
        text = _list(values, style)
    elif pa.types.is_string(values.type):
        text = pc.binary_join_element_wise('"', _escaped(values), '"', '')
    elif pa.types.is_integer(values.type):
        text = values.cast(pa.string())
    else:  # no other library writes floats as Python does: 1e-07, 1e+16, NaN
        return pa.array([style.number(value) for value in values.to_pylist()], pa.string())
    return text if values.null_count == 0 else pc.if_else(values.is_valid(), text, _NULL)


def _object(names: list[str], columns: list[pa.Array], style: Style) -> pa.StringArray:
    pieces: list[pa.Array | str] = []
    for number in sorted(range(len(names)), key=names.__getitem__):
        pieces += [f'{style.comma if pieces else "{"}{json.dumps(names[number], ensure_ascii=False)}{style.colon}', _json(columns[number], style)]
    return pc.binary_join_element_wise(*pieces, '}', '')


def _list(values: pa.ListArray, style: Style) -> pa.StringArray:
    ends = np.cumsum(pc.fill_null(pc.list_value_length(values), 0))
    items = pa.ListArray.from_arrays(pa.array(np.concatenate([[0], ends]), pa.int32()), _json(values.flatten(), style))
    return pc.binary_join_element_wise('[', pc.binary_join(items, style.comma), ']', '')


def _escaped(values: pa.StringArray) -> pa.StringArray:
    """Return strings with `\\`, `"` and control characters written out; only those that occur cost something."""
    start, stop = _offsets(values)[[0, -1]] if len(values) else (0, 0)
    data = np.frombuffer(values.buffers()[2] or b'', np.uint8)[start:stop]
    controls = np.unique(data[data < 0x20]).tolist()
    for code in (ord('\\'), *controls, ord('"')):  # the backslash first: the others bring some
        if code < 0x20 or (data == code).any():
            values = pc.replace_substring(values, chr(code), json.dumps(chr(code))[1:-1])
    return values


def _offsets(values: pa.StringArray) -> np.ndarray:
    return np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]
