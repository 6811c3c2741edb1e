"""How snapshot shards are written: original image bytes uncompressed and PLAIN, bounded row groups, page index, content-defined chunks.

The values are those the Hub's viewer and `datasets` work best with (its `config.py`: 100 MB a row group, 500 MB a shard), but for
chunks and dictionaries, which are made so that little changes in a file when few rows do.
"""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.tables import ShardWriter

ROW_GROUP_BYTES = 64_000_000  # of image bytes and text; the viewer's limit is 100 MB, and a row may be large
ROW_GROUP_ROWS = 8192  # rows of text are small, but ids and provenance weigh about 1 kB each
READ_ROWS = 4096  # of text and ids, about 1 kB a row, held as Arrow ...
READ_BYTES = 64_000_000  # ... or fewer, with this much of all
# A value is never cut. A picture above 32 KiB is a page of its own, found again wherever it stands; with the usual 256 KiB to 1 MiB, a row more or
# less moves the cuts between pictures for several chunks: half of the bytes changed with 1 % of the rows, now 1 % (benchmarks/cdc_reuse.py).
_CHUNKS = {'min_chunk_size': 8192, 'max_chunk_size': 32_768, 'norm_level': 0}
# Only what repeats has a dictionary: in one of texts or ids, a row more or less renumbers all that follow.
_REPEATED = {'role', 'type', 'source', 'category', 'licence', 'revision', 'file', 'contamination', 'answers', 'kind', 'generator', 'judge'}
_IMAGE_LEAVES = ('images.list.element.bytes', 'images.list.element.path')


def parquet_options(schema: pa.Schema) -> dict[str, object]:
    """Return the ParquetWriter options for a snapshot of `schema`."""
    leaves = [path for field in schema for path in _leaves(field.name, field.type)]
    return {
        'compression': {leaf: 'NONE' if leaf in _IMAGE_LEAVES else 'ZSTD' for leaf in leaves},
        'use_dictionary': [leaf for leaf in leaves if leaf.rpartition('.')[2] in _REPEATED],
        'column_encoding': None,
        'write_page_index': True,
        'use_content_defined_chunking': _CHUNKS,
        'write_statistics': [leaf for leaf in leaves if leaf not in _IMAGE_LEAVES],
    }


def _leaves(path: str, type_: pa.DataType) -> list[str]:
    if pa.types.is_list(type_):
        return _leaves(f'{path}.list.element', type_.value_type)
    if pa.types.is_struct(type_):
        return [leaf for field in type_ for leaf in _leaves(f'{path}.{field.name}', field.type)]
    return [path]


def cut_row_groups(runs: Iterable[tuple[pa.Table, np.ndarray]]) -> Iterator[pa.Table]:
    """Yield (rows, the bytes of images and text of each) as tables of one row group each."""
    waiting: list[pa.Table] = []
    n = size = 0
    for rows, n_bytes in runs:
        start = 0
        while start < rows.num_rows:
            sizes = size + np.cumsum(n_bytes[start : start + ROW_GROUP_ROWS - n])
            taken = min(len(sizes), int(np.searchsorted(sizes, ROW_GROUP_BYTES)) + 1)
            waiting.append(rows.slice(start, taken))
            start, n, size = start + taken, n + taken, int(sizes[taken - 1])
            if n == ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES:
                group, waiting, n, size = [pa.concat_tables(waiting)], [], 0, 0
                yield group.pop()
                pa.default_memory_pool().release_unused()  # else the allocator keeps what a group took, beside the next one
    if n:
        yield pa.concat_tables(waiting)


def write_row_groups(writer: ShardWriter, groups: Iterable[pa.Table], schema: pa.Schema) -> None:
    """Write tables as `part`, each as one row group while the next is made: the file of a small mix is all that its build does then."""
    options = parquet_options(schema)
    with ThreadPoolExecutor(1) as beside:
        before = None
        for group in groups:
            if before:
                before.result()
            before = beside.submit(writer.write, 'part', group, **options)
            del group  # two are held: the one being written, the one being made
        if before:
            before.result()


def rows_at_once(file: pq.ParquetFile) -> int:
    """Return how many rows of a file, of text and ids, are held at once: READ_ROWS, or fewer where rows are long."""
    groups = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
    return min([READ_ROWS, *(max(1, READ_BYTES * group.num_rows // max(1, group.total_byte_size)) for group in groups)])


def with_features(schema: pa.Schema) -> pa.Schema:
    """Return `schema` with the metadata by which `datasets`, from 3 on, knows that `images` are pictures."""
    features = {field.name: _feature(field.type) for field in schema} | {'images': [{'_type': 'Image'}]}
    about = {b'huggingface': json.dumps({'info': {'features': features}}), b'content_defined_chunking': json.dumps(_CHUNKS)}
    return schema.with_metadata({name: text.encode() for name, text in about.items()})


def _feature(type_: pa.DataType) -> dict | list:
    """Return what `datasets` writes of a column; importing it for that takes as long as another threshold may."""
    if pa.types.is_list(type_):
        return [_feature(type_.value_type)]  # datasets 4 and 5 write 'List', which 3 does not know, and read this as it does
    if pa.types.is_struct(type_):
        return {field.name: _feature(field.type) for field in type_}
    return {'dtype': 'float64' if pa.types.is_float64(type_) else str(type_), '_type': 'Value'}
