"""Folders as people have them, in small."""

import csv
import json
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def picture(i: int, ending: str = 'PNG') -> bytes:
    """Return a small picture that no other number has."""
    image = Image.new('RGB', (40, 30), (i * 40 % 256, i * 70 % 256, 90))
    image.putpixel((i % 40, 3), (255, 255, 255))
    data = BytesIO()
    image.save(data, ending)
    return data.getvalue()


def write(path: Path, data: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def pictures(folder: Path, n: int = 5) -> None:
    for i in range(n):
        write(folder / f'{i}.png', picture(i))


def table(path: Path, header: list[str], rows: list[list], sign: str = ',') -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w', newline='', encoding='utf-8') as file:
        csv.writer(file, delimiter=sign).writerows([header, *rows])


def talk(i: int, n: int = 1, image: str = 'images/{}.png') -> dict:
    turns = [turn for k in range(n) for turn in (
        {'from': 'human', 'value': ('<image>\n' if k == 0 else '') + f'What is {k} here?'}, {'from': 'gpt', 'value': f'Thing {i} and {k}.'})]
    return {'id': i, 'image': image.format(i), 'conversations': turns}


def llava(folder: Path, n: int = 1, image: str = 'images/{}.png', lies: str = 'images') -> None:
    write(folder / 'talks.json', json.dumps([talk(i, n, image) for i in range(5)]))
    pictures(folder / lies)


def rows() -> list[dict]:
    return [{'picture': {'bytes': picture(i), 'path': f'{i}.png'}, 'question': f'What is {i}?', 'answer': f'It is {i}.', 'weight': i} for i in range(5)]


def parquet(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part in range(2):
        pq.write_table(pa.Table.from_pylist(rows()), folder / f'part-{part:05d}-of-00002.parquet')


def saved(folder: Path) -> None:
    from datasets import Dataset

    Dataset.from_list(rows()).save_to_disk(str(folder))


def messages(folder: Path) -> None:
    lines = [{'messages': [{'role': 'user', 'content': f'What is {i}?'}, {'role': 'assistant', 'content': f'{i}.'}]} for i in range(5)]
    write(folder / 'chat.jsonl', '\n'.join(map(json.dumps, lines)))


def instructions(folder: Path) -> None:
    write(folder / 'alpaca.json', json.dumps([{'instruction': f'Say {i}.', 'input': '', 'output': f'It is {i}.'} for i in range(5)]))


def tars(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(2):
        with tarfile.open(folder / f'shard-{shard:03d}.tar', 'w') as tar:
            for i in range(4):
                record = {'question': f'What is {i} of {shard}?', 'answer': f'It is {i}.'}
                for name, data in ((f'{shard}{i}.png', picture(4 * shard + i)), (f'{shard}{i}.json', json.dumps(record).encode())):
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, BytesIO(data))


def zipped(folder: Path) -> None:
    table(folder / 'qa.csv', ['file_name', 'question', 'answer'], [[f'{i}.png', f'What is {i}?', f'It is {i}.'] for i in range(5)])
    with zipfile.ZipFile(folder / 'pictures.zip', 'w') as archive:
        for i in range(5):
            archive.writestr(f'inner/{i}.png', picture(i))
