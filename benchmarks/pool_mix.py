"""The mix of `benchmarks.rehearsal_sources` as a script would make it: `python -m benchmarks.pool_mix SOURCES OUT [--workers 2]`.

multiprocessing.Pool, Pillow, imagehash, pandas and pyarrow, as people write it: what `phantom build --mix-only` is measured against. It parses every
record, checks turns, marks, lengths, phrases and loops, opens each picture once (bounds, sha256, the hashes of 64 and 256 bits, a thumbnail), joins
near-duplicates by both hashes and colours, drops copies (same words about the same or a near picture) and what shows a picture of the benchmark, or
asks its question and gives its answer, and writes the rows with their pictures as Parquet and a digest of each.

It does not: compare documents pixel by pixel, look for a benchmark's words inside longer texts or in other wordings, test itself on planted copies,
keep what it leaves out, note when a picture changed, survive a kill, check what it wrote. Kept rows go to OUT/kept.txt, one id a line.
"""

import argparse
import hashlib
import io
import json
import re
import tarfile
import unicodedata
import zipfile
from collections.abc import Iterator
from functools import cache, partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

NEAR, NEAR_256, COLOURS = 7, 64, 16.0
CHUNK, ROWS_A_FILE = 2000, 20_000
REFUSAL = re.compile(r"^\W*(as an ai|i'?m sorry|sorry, (but )?i (can't|cannot)|i (can't|cannot|am unable to) (see|help|answer))", re.IGNORECASE)
LOOP = re.compile(r'\b(\w+(?: \w+){3})(?: \1){5,}')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('sources', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--workers', type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True)
    recipe = yaml.safe_load((args.sources / 'rehearsal.yaml').read_text('utf-8'))
    with Pool(args.workers) as pool:
        parsed = pool.imap(partial(parse, recipe['sources']), chunks(args.sources, recipe['sources']))
        rows = pd.DataFrame([row for some in parsed for row in some])
        names = sorted(set(rows['image'].dropna()))
        at = places(args.sources)
        lots = [[(name, at.get(name)) for name in names[start : start + 200]] for start in range(0, len(names), 200)]
        images = pd.DataFrame([facts for some in pool.imap(look, lots) for facts in some]).set_index('name')
        items = list(benchmark(args.sources / 'bench'))
        kept = select(rows, images, items)
        kept[['id']].to_csv(args.out / 'kept.txt', index=False, header=False)
        kept['place'] = kept['image'].map(at)
        files = [(number, kept[start : start + ROWS_A_FILE]) for number, start in enumerate(range(0, len(kept), ROWS_A_FILE))]
        for _ in pool.imap(partial(write, args.out), files):
            pass
    print(f'{len(rows)} rows, {len(images)} pictures, {len(kept)} kept')


def chunks(folder: Path, sources: dict[str, dict]) -> Iterator[tuple[str, int, list[Any]]]:
    """Yield (source, number of the first record, records or lines)."""
    for name, source in sources.items():
        path = folder / source['annotations'][0]
        with open(path, encoding='utf-8') as file:
            found = json.load(file) if path.suffix == '.json' else list(file)
        for start in range(0, len(found), CHUNK):
            yield name, start, found[start : start + CHUNK]


def parse(sources: dict[str, dict], chunk: tuple[str, int, list[Any]]) -> list[dict]:
    """Return the samples of some records that pass the checks."""
    name, start, found = chunk
    source, rows = sources[name], []
    for number, record in enumerate(found, start):
        record = json.loads(record) if isinstance(record, str) else record
        said = record.get('conversations') or record['messages']
        roles = [{'human': 'user', 'gpt': 'assistant'}.get(who := turn.get('from') or turn['role'], who) for turn in said]
        turns = [turn.get('value') or turn['content'] for turn in said]
        if roles != ['user', 'assistant'] * (len(roles) // 2) or sum(turn.count('<image>') for turn in turns[::2]) != ('image' in record):
            continue
        turns = turns[:2] if source['turns'] == 'first' else turns
        if any(not 1 <= len(turn.replace('<image>', '').strip()) <= 20_000 for turn in turns):
            continue
        if any(REFUSAL.search(answer) or LOOP.search(answer) for answer in turns[1::2]):
            continue
        words = json.dumps([' '.join(unicodedata.normalize('NFC', turn).split()) for turn in turns])
        rows.append({'id': f'{name}/{source["annotations"][0]}#{number}/0', 'source': name, 'image': record.get('image'), 'turns': turns,
                     'words': hashlib.sha256(words.encode()).hexdigest()})  # fmt: skip
    return rows


def places(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Return archive, offset and size of each picture."""
    found = {}
    for path in sorted(folder.glob('pictures-*.zip')):
        with zipfile.ZipFile(path) as archive, open(path, 'rb') as file:
            for member in archive.infolist():
                file.seek(member.header_offset + 26)
                named, extra = int.from_bytes(file.read(2), 'little'), int.from_bytes(file.read(2), 'little')
                found[member.filename] = (str(path), member.header_offset + 30 + named + extra, member.file_size)
    for path in sorted(folder.glob('pictures-*.tar')):
        with tarfile.open(path) as archive:
            found.update({member.name: (str(path), member.offset_data, member.size) for member in archive})
    return found


@cache
def opened(path: str) -> io.BufferedReader:
    """Return an archive, open."""
    return open(path, 'rb')


def read(place: tuple[str, int, int]) -> bytes:
    """Return the bytes of a picture."""
    file = opened(place[0])
    file.seek(place[1])
    return file.read(place[2])


def look(names: list[tuple[str, tuple[str, int, int] | None]]) -> list[dict]:
    """Return the facts of some pictures."""
    return [{'name': name, **facts(read(place))} for name, place in names if place]


def facts(data: bytes) -> dict:
    """Return what is known of a picture; `bad` if it cannot be used."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            rgb = image.convert('RGB')
    except (OSError, ValueError, SyntaxError):
        return {'bad': True}
    thumb = np.asarray(rgb.resize((8, 8), Image.Resampling.BOX), np.float32)
    bits = [np.packbits(imagehash.phash(rgb, size).hash.ravel()).tobytes() for size in (8, 16)]
    bad = min(rgb.size) < 10 or max(rgb.size) / min(rgb.size) > 20 or rgb.convert('L').getextrema()[0] == rgb.convert('L').getextrema()[1]
    return {'bad': bad, 'sha': hashlib.sha256(data).hexdigest(), 'hash': bits[0], 'hash256': bits[1], 'thumb': thumb.tobytes(),
            'pixels': rgb.width * rgb.height, 'bytes': len(data)}  # fmt: skip


def benchmark(folder: Path) -> Iterator[dict]:
    """Yield the items, with the facts of their pictures."""
    for line in (folder / 'items.jsonl').read_text('utf-8').splitlines():
        item = json.loads(line)
        yield item | (facts((folder / item['image']).read_bytes()) if 'image' in item else {})


def near(hashes: pd.DataFrame) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows whose hashes and colours are near; of hashes within 7 bits one byte of eight is equal."""
    code = np.frombuffer(b''.join(hashes['hash']), np.uint8).reshape(-1, 8)
    wide = np.frombuffer(b''.join(hashes['hash256']), np.uint8).reshape(-1, 32)
    thumb = np.frombuffer(b''.join(hashes['thumb']), np.float32).reshape(-1, 64, 3)
    whole = code.view(np.uint64).ravel()
    for byte in range(8):
        order = np.argsort(code[:, byte], kind='stable')
        for value in np.split(order, np.flatnonzero(np.diff(code[order, byte])) + 1):
            for at, one in enumerate(value[:-1]):
                others = value[at + 1 :]
                others = others[np.bitwise_count(whole[others] ^ whole[one]) <= NEAR]
                others = others[np.bitwise_count(wide[others] ^ wide[one]).sum(axis=1) <= NEAR_256] if len(others) else others
                if len(others):
                    apart = thumb[others] - thumb[one]
                    apart -= apart.mean(axis=2, keepdims=True)
                    yield from ((int(one), int(other)) for other in others[np.abs(apart).mean(axis=(1, 2)) <= COLOURS])


def select(rows: pd.DataFrame, images: pd.DataFrame, items: list[dict]) -> pd.DataFrame:
    """Return the rows that are kept, those of one picture together."""
    good = images[~images['bad'].astype(bool)]
    different = good.drop_duplicates('sha').sort_values(['pixels', 'sha'], ascending=[False, True])
    shown = pd.DataFrame([item for item in items if 'sha' in item])
    hashes = pd.concat([different, shown[['sha', 'hash', 'hash256', 'thumb']]], ignore_index=True)
    star, hit = list(range(len(different))), set[int]()
    for one, other in sorted(map(sorted, near(hashes))):
        if other >= len(different):
            hit |= {one} if one < len(different) else set()
        elif star[one] == one and star[other] == other:
            star[other] = one
    of_sha = dict(zip(different['sha'], star, strict=True))
    leaked = {sha for sha, at in zip(different['sha'], range(len(different)), strict=True) if at in hit} | set(shown['sha'])
    asked = {' '.join(item['question'].lower().split()): ' '.join(item['answer'].lower().split()) for item in items}
    rows = rows[rows['image'].isna() | rows['image'].isin(good.index)].copy()
    rows['sha'] = rows['image'].map(good['sha'])
    rows['star'] = rows['sha'].map(of_sha).fillna(-1).astype(int)
    told = [asked.get(' '.join(turns[0].lower().split())) == ' '.join(turns[1].lower().split()) for turns in rows['turns']]
    rows = rows[~(rows['sha'].isin(leaked) | (rows['sha'].isna() & np.array(told)))]
    rows = rows.drop_duplicates(['words', 'star'])
    return rows.sort_values('star', kind='stable')


def write(out: Path, file: tuple[int, pd.DataFrame]) -> None:
    """Write one file of rows, and their digests beside it."""
    number, rows = file
    shown = zip(rows['place'], rows['sha'], strict=True)
    images = [[{'bytes': read(place), 'path': sha}] if isinstance(place, tuple) else [] for place, sha in shown]
    messages = [[{'role': ('user', 'assistant')[at % 2], 'content': content(turn)} for at, turn in enumerate(turns)] for turns in rows['turns']]
    digests = [hashlib.sha256(json.dumps(row, sort_keys=True).encode()).digest() for row in zip(rows['id'], messages, rows['star'], strict=True)]
    columns = {'images': images, 'messages': messages, **{name: rows[name].tolist() for name in ('id', 'source', 'star')}}
    path = out / f'part-{number:05d}.parquet'
    pq.write_table(pa.table(columns), path, compression='zstd', row_group_size=500)
    (out / f'digests-{number:05d}').write_bytes(b''.join(digests))
    (out / f'sha256-{number:05d}').write_text(hashlib.sha256(path.read_bytes()).hexdigest())


def content(turn: str) -> list[dict]:
    """Return a turn in parts, a mark of a picture as a part of its own."""
    parts: list[dict] = []
    for at, piece in enumerate(turn.split('<image>')):
        parts += [{'type': 'image', 'text': None}] if at else []
        parts += [{'type': 'text', 'text': piece.strip()}] if piece.strip() else []
    return parts


if __name__ == '__main__':
    main()
