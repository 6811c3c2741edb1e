"""One whole file of each kind that a source may have, small, with what such files have in them: text, structs, lists, numbers, pictures."""

import csv
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

N = 60
KINDS = ('parquet', 'zstd.parquet', 'file.arrow', 'stream.arrow', 'lz4.arrow', 'json', 'jsonl', 'csv', 'tsv', 'tar', 'zip', 'pictures.tar')


def png(n: int) -> bytes:
    out = io.BytesIO()
    Image.new('RGB', (12 + n % 3, 12), (n * 7 % 256, n % 256, 90)).save(out, 'PNG')
    return out.getvalue()


def records() -> list[dict]:
    return [{'question': f'What is "number" {n}, in words?', 'meta': {'answer': f'It is the {n}th of them.', 'n': n}, 'image': f'{n}.png',
             'options': [f'the {n}th', 'none of them'], 'extra': {'when': n, 'tags': ['a', 'b'] * (n % 3)}} for n in range(N)]


def table() -> pa.Table:
    found = [{**row, 'image': {'bytes': png(n), 'path': None}, 'kind': ('red', 'blue')[n % 2], 'score': n / 7} for n, row in enumerate(records())]
    made = pa.Table.from_pylist(found)
    return made.set_column(made.schema.get_field_index('kind'), 'kind', made['kind'].dictionary_encode())


def write_seed(kind: str, folder: Path) -> Path:
    """Write the whole file of a kind; return its path."""
    path = folder / f'whole.{kind}'
    if kind.endswith('parquet'):
        pq.write_table(table(), path, row_group_size=25, compression='zstd' if kind.startswith('zstd') else 'snappy', data_page_size=700)
    elif kind.endswith('arrow'):
        options = pa.ipc.IpcWriteOptions(compression='lz4' if kind.startswith('lz4') else None)
        new = pa.ipc.new_file if kind.startswith('file') else pa.ipc.new_stream
        with pa.OSFile(str(path), 'wb') as out, new(out, table().schema, options=options) as writer:
            writer.write_table(table(), max_chunksize=25)
    elif kind == 'json':
        path.write_text(json.dumps({'version': 1, 'data': records()}, indent=1))
    elif kind == 'jsonl':
        path.write_text(''.join(json.dumps(row) + '\n' for row in records()))
    elif kind in ('csv', 'tsv'):
        with open(path, 'w', newline='', encoding='utf-8') as out:
            writer = csv.writer(out, delimiter=',' if kind == 'csv' else '\t')
            writer.writerow(['question', 'meta.answer', 'image', 'options', 'extra'])
            writer.writerows([row['question'], row['meta']['answer'], row['image'], 'A) one\nB) two', 'x'] for row in records())
    elif kind == 'zip':
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as out:
            for n in range(8):
                out.writestr(f'{n}.png', png(n))
    else:
        with tarfile.open(path, 'w') as out:
            for n, row in enumerate(records()[:8 if kind == 'pictures.tar' else N]):
                add(out, f'{n}.png', png(n))
                if kind == 'tar':
                    add(out, f'{n}.json', json.dumps({name: row[name] for name in ('question', 'meta', 'extra')}).encode())
    return path


def add(out: tarfile.TarFile, name: str, data: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(data)
    out.addfile(about, io.BytesIO(data))
