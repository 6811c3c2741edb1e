"""The digests of many rows at once: `row_digest` of each, its JSON made of whole columns."""

import hashlib
import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.snapshot import row_digest

_NULL = pa.scalar('null')


def row_digests(rows: pa.RecordBatch) -> list[bytes]:
    """Return `row_digest` of each row."""
    if not rows.num_columns or not all(_is_known(column.type) for column in rows.schema):
        return [row_digest(row) for row in rows.to_pylist()]
    text = _object(rows.schema.names, rows.columns)
    data = memoryview(text.buffers()[2] or b'')
    return [hashlib.sha256(data[start:stop]).digest() for start, stop in pairwise(_offsets(text).tolist())]


def _is_known(type_: pa.DataType) -> bool:
    if pa.types.is_list(type_):
        return _is_known(type_.value_type)
    if pa.types.is_struct(type_):
        return type_.num_fields > 0 and all(_is_known(field.type) for field in type_)
    return pa.types.is_string(type_) or pa.types.is_integer(type_) or pa.types.is_floating(type_)


def _json(values: pa.Array) -> pa.StringArray:
    """Return each value as `json.dumps` writes it, null as `null`; no value is null then."""
    if pa.types.is_struct(values.type):
        text = _object([field.name for field in values.type], values.flatten())
    elif pa.types.is_list(values.type):
        text = _list(values)
    elif pa.types.is_string(values.type):
        text = pc.binary_join_element_wise('"', _escaped(values), '"', '')
    elif pa.types.is_integer(values.type):
        text = values.cast(pa.string())
    else:  # no other library writes floats as Python does: 1e-07, 1e+16, NaN
        return pa.array([json.dumps(value) for value in values.to_pylist()], pa.string())
    return text if values.null_count == 0 else pc.if_else(values.is_valid(), text, _NULL)


def _object(names: list[str], columns: list[pa.Array]) -> pa.StringArray:
    pieces: list[pa.Array | str] = []
    for number in sorted(range(len(names)), key=names.__getitem__):
        pieces += [f'{"," if pieces else "{"}{json.dumps(names[number], ensure_ascii=False)}:', _json(columns[number])]
    return pc.binary_join_element_wise(*pieces, '}', '')


def _list(values: pa.ListArray) -> pa.StringArray:
    ends = np.cumsum(pc.fill_null(pc.list_value_length(values), 0))
    items = pa.ListArray.from_arrays(pa.array(np.concatenate([[0], ends]), pa.int32()), _json(values.flatten()))
    return pc.binary_join_element_wise('[', pc.binary_join(items, ','), ']', '')


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
