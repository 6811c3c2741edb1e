"""How much of a snapshot's files stays the same when 1 % of its rows change: `python -m benchmarks.cdc_reuse [--rows 6000] [--folder DIR]`.

A mix of random pictures (about 100 KB, so nothing compresses) and texts is written by the pipeline's own options and row groups; then
1 % of the rows, spread at random, get another answer, are left out, or are added. A chunk is one page of a column: a file is kept
where its pages are pages of the file before. Beside it the same files with the chunks and dictionaries that `datasets` writes, and
without content-defined chunking. Prints the kept share of pages and of bytes, the size, and the seconds to write and to read.
"""

import argparse
import hashlib
import random
import tempfile
import time
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.snapshot.parquet import ROW_GROUP_BYTES, parquet_options, with_features
from schemas.records import MIX_ROWS
from tests.pipelines.snapshot.sealed import sample, says

EDITED = 0.01
IMAGE_BYTES = (60_000, 140_000)
ROWS_PER_IMAGE = 3  # neighbours share a picture, as in the snapshot's order
WRITINGS: dict[str, dict] = {
    'as the pipeline writes': {},
    'chunks of 256 KiB to 1 MiB, as datasets writes': {
        'use_content_defined_chunking': {'min_chunk_size': 262_144, 'max_chunk_size': 1_048_576, 'norm_level': 0},
        'use_dictionary': [leaf for leaf in parquet_options(MIX_ROWS)['compression'] if not leaf.startswith('images')]},
    'plain pyarrow, no content-defined chunks': {'use_content_defined_chunking': False},
}
WORDS = [f'word{number}' for number in range(4000)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rows', type=int, default=6000)
    parser.add_argument('--folder', type=Path, help='where to write; default: a temporary folder')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        report(args.rows, Path(folder))


def report(n_rows: int, folder: Path) -> dict[tuple[str, str], tuple[float, float]]:
    """Print and return (edit, writing) -> (share of pages kept, share of bytes kept)."""
    rows = list(range(n_rows))
    marked = set(random.Random('edit').sample(rows, max(1, int(EDITED * n_rows))))
    edits = {
        'other answers': [(number, number in marked) for number in rows],
        'rows left out': [(number, False) for number in rows if number not in marked],
        'rows added': [pair for number in rows for pair in [(number, False), *([(number + n_rows, False)] if number in marked else [])]],
    }
    found = {}
    for writing, options in WRITINGS.items():
        start = time.perf_counter()
        path = write(folder / 'before.parquet', [(number, False) for number in rows], options)
        written, start = time.perf_counter() - start, time.perf_counter()
        pq.read_table(path)
        read, before = time.perf_counter() - start, pages(path)
        size = path.stat().st_size / 1e6
        print(f'{writing}: {n_rows:,} rows, {size:,.2f} MB, {len(before):,} pages, {written:.1f} s to make and write, {read:.2f} s to read')
        known = {digest for digest, _ in before}
        for name, edited in edits.items():
            after = pages(write(folder / 'after.parquet', edited, options))
            same = [n for digest, n in after if digest in known]
            found[name, writing] = (len(same) / len(after), sum(same) / sum(n for _, n in after))
            print(f'  {name} (1 %): {found[name, writing][0]:.1%} of pages and {found[name, writing][1]:.1%} of bytes kept')
    return found


def write(path: Path, numbers: list[tuple[int, bool]], options: dict) -> Path:
    """Write rows as pipelines/mix/rows.py does."""
    schema = with_features(MIX_ROWS)
    with pq.ParquetWriter(path, schema, **{**parquet_options(schema), **options}) as writer:
        some, size = [], 0
        for number, edited in numbers:
            some.append(row(number, edited))
            size += some[-1]['n_bytes']
            if size >= ROW_GROUP_BYTES:
                write_group(writer, some, schema)
                some, size = [], 0
        if some:
            write_group(writer, some, schema)
    return path


def write_group(writer: pq.ParquetWriter, rows: list[dict], schema: pa.Schema) -> None:
    """Write one row group."""
    table = pa.Table.from_pylist(rows, schema=MIX_ROWS).cast(schema)
    writer.write_table(table, row_group_size=table.num_rows)


def row(number: int, edited: bool) -> dict:
    """Return one row, the same for the same arguments."""
    rng = random.Random(f'row {number}')
    data = picture(number // ROWS_PER_IMAGE)
    question, answer = (' '.join(rng.choices(WORDS, k=rng.randint(8, 80))) for _ in range(2))
    said = [says('user', '<image>', question), says('assistant', f'{answer} and more' if edited else answer)]
    return sample(number, messages=said, images=[data], n_bytes=len(data) + len(question) + len(answer))


@lru_cache(maxsize=400)  # a small run draws each picture once
def picture(number: int) -> bytes:
    """Return bytes that stand for a picture."""
    pixels = random.Random(f'image {number}')
    return pixels.randbytes(pixels.randint(*IMAGE_BYTES))


def pages(path: Path) -> list[tuple[bytes, int]]:
    """Return (digest, bytes) of every page of a Parquet file, by walking its column chunks."""
    found = []
    metadata = pq.ParquetFile(path).metadata
    with open(path, 'rb') as file:
        for group in range(metadata.num_row_groups):
            for number in range(metadata.num_columns):
                column = metadata.row_group(group).column(number)
                start = min(offset for offset in (column.dictionary_page_offset, column.data_page_offset) if offset)
                file.seek(start)
                found += list(_pages(file.read(column.total_compressed_size)))
    return found


def _pages(chunk: bytes):
    at = 0
    while at < len(chunk):
        header, sizes = _struct(chunk, at)
        body = chunk[header:header + sizes[3]]  # field 3 of PageHeader: compressed_page_size
        yield hashlib.sha256(body).digest(), len(body)
        at = header + sizes[3]


def _struct(data: bytes, at: int) -> tuple[int, dict[int, int]]:
    """Return (end, integer fields by number) of a struct in Thrift's compact protocol, which page headers are written in."""
    fields, number = {}, 0
    while data[at]:
        delta, kind = data[at] >> 4, data[at] & 15
        at += 1
        if delta:
            number += delta
        else:
            at, number = _signed(data, at)
        at, fields[number] = _value(data, at, kind)
    return at + 1, fields


def _value(data: bytes, at: int, kind: int) -> tuple[int, int]:
    if kind in (1, 2):  # true, false: no bytes of their own
        return at, 2 - kind
    if kind == 3:
        return at + 1, data[at]
    if kind in (4, 5, 6):
        return _signed(data, at)
    if kind == 7:
        return at + 8, 0
    if kind == 8:
        end, length = _unsigned(data, at)
        return end + length, 0
    if kind == 12:
        return _struct(data, at)[0], 0
    raise ValueError(f'page header: expected no value of Thrift type {kind}')


def _signed(data: bytes, at: int) -> tuple[int, int]:
    at, value = _unsigned(data, at)
    return at, (value >> 1) ^ -(value & 1)


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 128:
            return at, value


if __name__ == '__main__':
    main()
