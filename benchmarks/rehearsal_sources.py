"""Synthetic sources in real formats, of any size, for `benchmarks.rehearsal`: the same size gives the same bytes.

A LLaVA list (`.json`), LLaVA lines and text alone as `messages` lines; their pictures, one to 2.4 records as in the mix of the paper's size, in
two zips and two tars that both picture sources share; a `folder` benchmark that holds some of the questions. One record in fifty repeats another
one, as do one picture in fifty to the byte and one in twenty-five smaller or coarser. Answers are of 1 to 2,000 characters, conversations of 1 to
6 exchanges, pictures JPEGs of about 5 KB. No file is from anywhere else: the words are those of Python's own help.
"""

import io
import json
import pydoc_data.topics
import random
import re
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import yaml
from PIL import Image, ImageDraw

from tests.curation.drawn import encoded

RECORDS_A_PICTURE = 2.4
WITH_PICTURE = 0.8  # of all records
ANNOTATIONS = ('list.json', 'lines.jsonl', 'text.jsonl')
BENCH_ITEMS = 600  # or one record in fifty
COLOURS = ('red', 'blue', 'green', 'yellow', 'orange', 'purple', 'pink', 'brown', 'black', 'white', 'grey', 'teal')
THINGS = ('boat', 'house', 'bird', 'lamp', 'train', 'tower', 'bridge', 'horse', 'table', 'cup', 'door', 'sign', 'window', 'road', 'tree', 'box')
SIDES = ['left', 'right', 'top', 'bottom']
SIZES_PX = [(192, 144), (160, 160), (224, 160), (176, 200), (208, 208)]
Turns = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Record:
    """A conversation, its pairs of question and answer, and the number of the picture it is about."""

    exchanges: Turns
    picture: int | None


def write_sources(folder: Path, n: int) -> Path:
    """Write sources of `n` records, their pictures, a benchmark and the recipe below `folder`; return the recipe."""
    folder.mkdir(parents=True)
    names = write_pictures(folder, int(n / RECORDS_A_PICTURE))
    asked = []
    with ExitStack() as files:
        listed, lines, text = (files.enter_context(open(folder / name, 'w', encoding='utf-8')) for name in ANNOTATIONS)
        between = '['
        for number, record in enumerate(records(n, len(names))):
            if number % max(50, n // BENCH_ITEMS) == 0:
                asked.append(record)
            if record.picture is None:
                text.write(json.dumps({'messages': _messages(record, 'role', 'content', ('user', 'assistant'))}) + '\n')
                continue
            row = {'id': str(number), 'image': names[record.picture], 'conversations': _messages(record, 'from', 'value', ('human', 'gpt'))}
            if number % 9 < 5:
                listed.write(between + json.dumps(row))
                between = ',\n'
            else:
                lines.write(json.dumps(row) + '\n')
        listed.write(']')
    _write_bench(folder / 'bench', asked, names)
    return _write_recipe(folder)


def _messages(record: Record, role: str, content: str, roles: tuple[str, str]) -> list[dict]:
    told = [{role: who, content: text} for exchange in record.exchanges for who, text in zip(roles, exchange, strict=True)]
    if record.picture is not None:
        told[0][content] = f'<image>\n{told[0][content]}'
    return told


def _write_recipe(folder: Path) -> Path:
    archives = [f'pictures-{number}.{kind}' for number, kind in enumerate(('zip', 'zip', 'tar', 'tar'))]
    common = {'answers': 'exact', 'turns': 'first'}
    seen = {'images': archives, **common}
    recipe = {
        'name': 'rehearsal', 'root': str(folder.resolve()),
        'sources': {
            'text': {'format': 'messages', 'annotations': ['text.jsonl'], 'licence': 'MIT', 'category': 'text', **common},
            'list': {'format': 'llava', 'annotations': ['list.json'], 'licence': 'MIT', 'category': 'photo', **seen},
            'lines': {'format': 'llava', 'annotations': ['lines.jsonl'], 'licence': 'Apache-2.0', 'category': 'chat', **seen, 'turns': 'all'},
        },
        'contamination': {'benchmarks': [{'name': 'bench', 'path': 'bench'}], 'action': 'drop'},
        'generate': [{'prompt': 'rules'}],
    }  # fmt: skip
    (folder / 'rehearsal.yaml').write_text(yaml.safe_dump(recipe, sort_keys=False), encoding='utf-8')
    return folder / 'rehearsal.yaml'


def _write_bench(folder: Path, asked: list[Record], names: list[str]) -> None:
    (folder / 'images').mkdir(parents=True)
    with open(folder / 'items.jsonl', 'w', encoding='utf-8') as items:
        for number, record in enumerate(asked):
            question, answer = record.exchanges[0]
            item = {'id': str(number), 'question': question, 'answer': answer}
            if record.picture is not None:
                item['image'] = f'images/{number}.jpg'
                (folder / item['image']).write_bytes(picture(record.picture))
            items.write(json.dumps(item) + '\n')


def records(n: int, n_pictures: int) -> Iterator[Record]:
    """Yield `n` records that show `n_pictures` pictures, whose records lie anywhere."""
    talk, draw = Talk(), random.Random(11)
    order = list(range(n_pictures)) * 3
    draw.shuffle(order)
    before = Record([('', '')], None)
    for _ in range(n):
        shown = order.pop() if order and draw.random() < WITH_PICTURE else None
        record = Record([talk.exchange() for _ in range(1 if draw.random() < 0.55 else draw.randint(2, 6))], shown)
        if before.exchanges[0][0] and draw.random() < 0.02:
            record = before
        if draw.random() < 0.05:
            before = record
        yield record


class Talk:
    """Questions and answers of the kinds that visual instructions have, in words that are as often as words are."""

    def __init__(self) -> None:
        words = re.findall(r'[a-z]{2,12}', ' '.join(pydoc_data.topics.topics.values()).lower())
        known, times = np.unique(words, return_counts=True)
        weights = np.cumsum(times**0.8)
        self._drawn = known[np.searchsorted(weights / weights[-1], np.random.default_rng(5).random(1 << 21))].tolist()
        self._draw, self._at = random.Random(7), 0

    def words(self, n: int) -> list[str]:
        """Return the next `n` words."""
        if self._at + n > len(self._drawn):
            self._at = self._draw.randrange(1000)
        self._at += n
        return self._drawn[self._at - n : self._at]

    def exchange(self) -> tuple[str, str]:
        """Return a question with its answer, short or long."""
        draw = self._draw
        colour, thing, side, about = draw.choice(COLOURS), draw.choice(THINGS), draw.choice(SIDES), ' '.join(self.words(draw.randint(2, 7)))
        kinds = [
            (0.15, f'Is the {colour} {thing} near the {about} on the {side}?\nAnswer with one word.', draw.choice(['Yes', 'No'])),
            (0.12, f'How many {thing}s are {colour} beside the {about}?', str(draw.randrange(14))),
            (0.10, f'What colour has the {thing} at the {side} of {about}?', colour),
            (0.08, f'Which fits the {about}?\nA. {thing}\nB. {draw.choice(THINGS)}y\nC. the {colour} one\nD. none', draw.choice('ABCD')),
            (0.05, f'What is the value of {about} in {draw.randrange(1960, 2024)}?', f'{draw.randrange(10, 99999):,}'),
            (0.04, f'When was the {thing} of {about} built?', str(draw.randrange(1700, 2020))),
        ]
        drawn = draw.random()
        for share, question, answer in kinds:
            drawn -= share
            if drawn < 0:
                return question, answer
        asked = [f'Describe the {thing} and {about} in detail.', f'What do you see near the {colour} {thing} with {about}?', f'Explain why {about}.']
        return draw.choice(asked), self._prose(min(2000, max(20, int(draw.lognormvariate(5.7, 0.9)))))

    def _prose(self, n_chars: int) -> str:
        told: list[str] = []
        while sum(map(len, told)) < n_chars:
            words = self.words(self._draw.randint(6, 18))
            if self._draw.random() < 0.5:
                words = [*words, 'is', self._draw.choice(COLOURS), self._draw.choice(THINGS), str(self._draw.randrange(900))]
            told.append(' '.join(words).capitalize() + '.')
        return ' '.join(told)


def write_pictures(folder: Path, n: int) -> list[str]:
    """Write `n` pictures into two zips and two tars; return their names."""
    names = [f'{("coco", "gqa", "vg", "docs")[number % 4]}/{number // 1000:04d}/{number:09d}.jpg' for number in range(n)]
    with Pool() as pool, ExitStack() as archives:
        zips = [archives.enter_context(zipfile.ZipFile(folder / f'pictures-{number}.zip', 'w', zipfile.ZIP_STORED)) for number in (0, 1)]
        tars = [archives.enter_context(tarfile.open(folder / f'pictures-{number}.tar', 'w')) for number in (2, 3)]
        for number, data in enumerate(pool.imap(picture, range(n), chunksize=200)):
            if number % 4 < 2:
                zips[number % 4].writestr(zipfile.ZipInfo(names[number]), data)
            else:
                member = tarfile.TarInfo(names[number])
                member.size = len(data)
                tars[number % 4 - 2].addfile(member, io.BytesIO(data))
    return names


def picture(number: int) -> bytes:
    """Return picture `number` as a JPEG."""
    draw = random.Random(number)
    kind, other = draw.random(), draw.randrange(max(1, number))
    if number > 100 and kind < 0.02:
        return picture(other)
    if number > 100 and kind < 0.06:
        image = drawn(other)
        return encoded(image.resize((image.width * 3 // 4, image.height * 3 // 4)) if kind < 0.04 else image, 'JPEG', quality=draw.randint(35, 60))
    return encoded(drawn(number), 'JPEG', quality=draw.randint(60, 82))


def drawn(number: int) -> Image.Image:
    """Return picture `number`: a document or chart on plain ground, or shapes on something like a photo."""
    draw, noise = random.Random(number), np.random.default_rng(number)
    width, height = draw.choice(SIZES_PX)
    if draw.random() < 0.25:
        image = Image.new('RGB', (width, height), draw.choice(['white', '#fbfbf5', '#f4f8ff']))
        pen = ImageDraw.Draw(image)
        for line in range(8, height - 16, 14):
            pen.text((8, line), f'{draw.choice(THINGS)} {draw.choice(COLOURS)} {draw.randrange(9999)}', fill='black')
            pen.rectangle((width // 2, line, width // 2 + draw.randint(3, width // 2 - 6), line + 9), fill=draw.choice(COLOURS[:6]))
        return image
    cells = draw.choice([4, 6, 8, 10, 12])
    image = Image.fromarray(noise.integers(0, 256, (cells, cells, 3), dtype=np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for _ in range(draw.randint(1, 9)):
        x, y, size = draw.randrange(width), draw.randrange(height), draw.randint(8, 70)
        shape = draw.choice([pen.ellipse, pen.rectangle])
        shape((x - size // 2, y - size // 2, x + size // 2, y + size // 3), fill=draw.choice(COLOURS[:8]))
    return image
