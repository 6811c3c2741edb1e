"""The source `shapes`: easy-vqa pictures of one coloured shape, as a LLaVA-style JSON list with images by path."""

from typing import Any

from pipelines.demo import pictures
from pipelines.demo.parts import BenchmarkItem, Planted, SourceDraft, ranked, seed_of
from pipelines.demo.shape_pictures import PALETTE, ShapePicture, Sheet, shape_pictures
from schemas.records import Reason

N_TWINS = 35
N_IDENTICAL = 6
N_NEAR = 12
N_REPEATED = 5
N_LEAKED = 5
N_CLEAN = 4
N_PLAIN_IMAGES = 440
# a third of the plain pictures carry a second question, as Geo170K and LLaVA's mix do
SECOND_QUESTION = 3
# one row in twenty has `<image>` behind the question, a quirk of ShareGPT4V that readers must bear
TOKEN_BEHIND = 20
COLOUR_QUESTION = 'what is the color of the shape?'


def _asked(picture: ShapePicture, n: int) -> list[tuple[str, str]]:
    """Return `n` questions of a picture; those with a word as answer come before yes and no two times in three."""
    order = ranked(picture.questions, f'shapes/{picture.name}')
    if seed_of('shapes/kind', picture.name) % 3:
        order.sort(key=_is_yes_no)
    return order[:n]


def _is_yes_no(pair: tuple[str, str]) -> bool:
    return pair[1] in ('yes', 'no')


class _Writer:
    """Adds pictures and LLaVA records to the draft."""

    def __init__(self, draft: SourceDraft) -> None:
        self.draft = draft
        self._n_images = 0

    def image(self, data: bytes, suffix: str = 'png') -> str:
        """Return the path, relative to the source folder, of a picture just added."""
        self._n_images += 1
        path = f'images/{self._n_images:04d}.{suffix}'
        self.draft.images[path] = data
        return path

    def record(self, key: str, image: str, pair: tuple[str, str], n_tokens: int = 1) -> str:
        """Return `key` after adding one single-turn record."""
        question, answer = pair[0].capitalize(), pair[1]
        tokens = '<image>\n' * n_tokens
        behind = n_tokens == 1 and seed_of('shapes/behind', key) % TOKEN_BEHIND == 0
        value = f'{question}\n<image>' if behind else tokens + question
        record_id = f'shapes_{len(self.draft.records):05d}'
        turns = [{'from': 'human', 'value': value}, {'from': 'gpt', 'value': answer}]
        return self.draft.add(key, {'id': record_id, 'image': image, 'conversations': turns})

    def plant(self, kind: str, records: list[str], files: list[str], **more: Any) -> None:
        """Add one entry to the list of planted things."""
        self.draft.planted.append(Planted(kind, tuple(records), tuple(files), **more))


def shapes_source() -> SourceDraft:
    """Return the drafted source: about 700 records over about 560 pictures of 64 x 64 px, planted things included."""
    draft = SourceDraft('shapes', 'llava_json', 'shapes.json', licence='MIT', image_root='.')
    writer = _Writer(draft)
    sheet = Sheet(shape_pictures('train'))
    _plant_twins(writer, sheet.isolated(N_TWINS))
    _plant_identical(writer, sheet.isolated(N_IDENTICAL))
    _plant_near(writer, sheet.isolated(N_NEAR))
    _plant_repeated(writer, sheet.isolated(N_REPEATED))
    _plant_broken(writer, sheet.isolated(2))
    _plant_leaks(writer, sheet.isolated(N_LEAKED))
    for number, picture in enumerate(sheet.isolated(N_CLEAN)):
        question, answer = _asked(picture, 1)[0]
        item = BenchmarkItem(f'clean_shapes_{number}', question, answer, picture.data, suffix='png', source='shapes')
        draft.benchmark.append(item)
    for picture in sheet.plain(N_PLAIN_IMAGES):
        path = writer.image(picture.data)
        n_questions = 2 if seed_of('shapes/second', picture.name) % SECOND_QUESTION == 0 else 1
        for number, pair in enumerate(_asked(picture, n_questions)):
            writer.record(f'{picture.name}/{number}', path, pair)
    return draft


def _plant_twins(writer: _Writer, chosen: list[ShapePicture]) -> None:
    for picture in chosen:
        ground, old = pictures.plain_colours(picture.image)
        name = picture.colour()
        other = ranked([colour for colour in PALETTE if colour != name], f'shapes/twin/{picture.name}')[0]
        copy = pictures.encoded(pictures.recoloured(picture.image, ground, old, new=PALETTE[other]))
        paths = [writer.image(picture.data), writer.image(copy)]
        keys = [
            writer.record(f'{picture.name}/twin/{colour}', path, (COLOUR_QUESTION, colour))
            for path, colour in zip(paths, (name, other), strict=True)
        ]
        writer.plant('twin', keys, paths, expected='keep_all', note=f'one shape, {name} and {other}')


def _plant_identical(writer: _Writer, chosen: list[ShapePicture]) -> None:
    for number, picture in enumerate(chosen):
        first, second = _asked(picture, 2)
        same = number % 2 == 0
        paths = [writer.image(picture.data), writer.image(picture.data)]
        keys = [
            writer.record(f'{picture.name}/identical/{side}', path, pair)
            for side, path, pair in zip('ab', paths, (first, first if same else second), strict=True)
        ]
        _plant_copies(writer, 'byte_identical_images', same, keys=keys, paths=paths)


def _plant_near(writer: _Writer, chosen: list[ShapePicture]) -> None:
    for number, picture in enumerate(chosen):
        first, second = _asked(picture, 2)
        same = number % 3 != 2
        resize = number % 2 == 0
        copy = pictures.resized(picture.data, 150) if resize else pictures.as_jpeg(picture.data, 92)
        paths = [writer.image(picture.data), writer.image(copy, 'png' if resize else 'jpg')]
        keys = [
            writer.record(f'{picture.name}/near/{side}', path, pair)
            for side, path, pair in zip('ab', paths, (first, first if same else second), strict=True)
        ]
        _plant_copies(writer, 'near_duplicate', same, keys=keys, paths=paths)


def _plant_copies(writer: _Writer, kind: str, same: bool, *, keys: list[str], paths: list[str]) -> None:
    if same:
        writer.plant(kind, keys, paths, expected='keep_one', reasons=(Reason.DUPLICATE_SAMPLE,), note='same answer')
    else:
        writer.plant(kind, keys, paths, expected='keep_all', note='another question on the copy')


def _plant_repeated(writer: _Writer, chosen: list[ShapePicture]) -> None:
    for picture in chosen:
        path, pair = writer.image(picture.data), _asked(picture, 1)[0]
        keys = [writer.record(f'{picture.name}/repeated/{side}', path, pair) for side in 'ab']
        writer.plant('repeated_record', keys, [path], expected='keep_one', reasons=(Reason.DUPLICATE_SAMPLE,))


def _plant_broken(writer: _Writer, chosen: list[ShapePicture]) -> None:
    missing, doubled = chosen
    key = writer.record('missing', 'images/not_there.png', _asked(missing, 1)[0])
    reasons = (Reason.IMAGE_MISSING, Reason.BAD_IMAGE)
    writer.plant('missing_image', [key], ['images/not_there.png'], expected='reject', reasons=reasons)
    path = writer.image(doubled.data)
    key = writer.record('doubled', path, _asked(doubled, 1)[0], n_tokens=2)
    writer.plant(
        'wrong_image_count', [key], [path],
        expected='reject', reasons=(Reason.IMAGE_COUNT_MISMATCH,), note='two tokens, one image',
    )  # fmt: skip


def _plant_leaks(writer: _Writer, chosen: list[ShapePicture]) -> None:
    for number, picture in enumerate(chosen):
        pair = _asked(picture, 1)[0]
        key = writer.record(f'{picture.name}/leak', writer.image(picture.data), pair)
        how = ('same bytes', 'resized', 'JPEG')[number % 3]
        copies = {'same bytes': picture.data, 'resized': pictures.resized(picture.data, 200)}
        data = copies[how] if how in copies else pictures.as_jpeg(picture.data, 92)
        suffix = 'jpg' if how == 'JPEG' else 'png'
        item = BenchmarkItem(f'leak_shapes_{number}', *pair, data, suffix=suffix, source='shapes', twin_of=key, how=how)
        writer.draft.benchmark.append(item)
