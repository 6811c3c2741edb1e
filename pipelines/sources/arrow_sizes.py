"""How many bytes the cells of an Arrow column take once they are converted, told before: one text of a dictionary may stand for gigabytes.

What a conversion relies on (offsets that rise and stay inside their buffer, indices inside their dictionary) is checked on the way; an .arrow file is
mapped as it lies on the disk, and one damaged offset would end the process.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.sources.arrow_cells import Want
from pipelines.sources.malformed import Damaged

_WORD = 8  # of a number, and of a place in a list
_OFFSETS: dict[pa.DataType, Any] = {pa.string(): np.int32, pa.binary(): np.int32, pa.large_string(): np.int64, pa.large_binary(): np.int64}
_VIEWS = (pa.string_view(), pa.binary_view())
_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_map)
_LIST_VIEWS = (pa.types.is_list_view, pa.types.is_large_list_view)


def cell_bytes(column: pa.Array, want: Want = None) -> np.ndarray:
    """Return int64[N], about the bytes of each cell as a Python value, of a struct those of the fields in `want`; raises Damaged."""
    kind, n = column.type, len(column)
    if isinstance(kind, pa.BaseExtensionType):
        return cell_bytes(column.storage)
    if n == 0 or pa.types.is_null(kind):
        return np.zeros(n, np.int64)
    if kind in _OFFSETS:
        return _WORD + _lengths(_offsets(column, _OFFSETS[kind]), column.buffers()[2].size if column.buffers()[2] else 0)
    if kind in _VIEWS:
        column.validate(full=True)
        return np.frombuffer(column.buffers()[1], np.int32).reshape(-1, 4)[column.offset:column.offset + n, 0].astype(np.int64) + _WORD
    if pa.types.is_fixed_size_binary(kind):
        return np.full(n, _WORD + kind.byte_width, np.int64)
    if pa.types.is_dictionary(kind):
        return _of_dictionary(column)
    if any(of(kind) for of in _LISTS):
        offsets = _offsets(column, np.int64 if pa.types.is_large_list(kind) else np.int32)
        _lengths(offsets, len(column.values))
        return _sums(column.values.slice(offsets[0], offsets[-1] - offsets[0]), offsets - offsets[0])
    if pa.types.is_fixed_size_list(kind):
        return _sums(column.values.slice(column.offset * kind.list_size, n * kind.list_size), np.arange(n + 1, dtype=np.int64) * kind.list_size)
    if any(of(kind) for of in _LIST_VIEWS):
        column.validate(full=True)
        sums = np.concatenate([[0], np.cumsum(_WORD + cell_bytes(column.values))])
        offsets = np.asarray(column.offsets, np.int64)
        return sums[offsets + np.asarray(column.sizes, np.int64)] - sums[offsets]
    if pa.types.is_struct(kind):
        fields = [i for i in range(kind.num_fields) if want is None or kind.field(i).name in want]
        return sum((cell_bytes(column.field(i), want and want[kind.field(i).name]) for i in fields), np.full(n, _WORD, np.int64))
    if pa.types.is_run_end_encoded(kind):
        column.validate(full=True)
        return np.full(n, cell_bytes(column.values).max(initial=0), np.int64)
    if pa.types.is_union(kind):
        column.validate(full=True)
        return np.full(n, max((cell_bytes(column.field(i)).max(initial=0) for i in range(kind.num_fields)), default=0), np.int64)
    return np.full(n, _WORD, np.int64)


def _offsets(column: pa.Array, kind: type) -> np.ndarray:
    return np.frombuffer(column.buffers()[1], kind)[column.offset:column.offset + len(column) + 1].astype(np.int64)


def _lengths(offsets: np.ndarray, end: int) -> np.ndarray:
    lengths = np.diff(offsets)
    if offsets[0] < 0 or offsets[-1] > end or (lengths < 0).any():
        raise Damaged(f'offsets that do not rise from 0 to {end}')
    return lengths


def _sums(values: pa.Array, offsets: np.ndarray) -> np.ndarray:
    """Return the bytes of each list of values that lie one behind the other."""
    if values.type.num_fields == 0 and values.type not in _OFFSETS and pa.types.is_primitive(values.type) or pa.types.is_null(values.type):
        return _WORD * (1 + np.diff(offsets))  # also of a hundred million nulls
    return _WORD + np.diff(np.concatenate([[0], np.cumsum(_WORD + cell_bytes(values))])[offsets])


def _of_dictionary(column: pa.DictionaryArray) -> np.ndarray:
    sizes = np.append(cell_bytes(column.dictionary), 0)
    indices = column.indices.cast(pa.int64()).fill_null(len(sizes) - 1).to_numpy(zero_copy_only=False)
    if indices.min() < 0 or indices.max() >= len(sizes):
        raise Damaged(f'an index beyond the {len(sizes) - 1} values of its dictionary')
    return sizes[indices]
