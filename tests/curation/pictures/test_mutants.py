"""Damaged pictures of every format: facts or a fault, the same each time, and no work that was not counted."""

import random
import warnings

import numpy as np
import pytest

from curation.pictures.images import ImageFacts, ImageFault, ImageLimits, inspect_image
from schemas.pixels import BadImage, read_rgb
from tests.curation.drawn import photo
from tests.cut_pictures import in_forms
from tests.promises import promise
from tests.zoo import ZOO

MUTANTS, MUTANTS_LONG = 40, 400  # of each format
FORMATS = ('JPEG', 'PNG', 'GIF', 'WEBP', 'BMP', 'TIFF')
LIMITS = ImageLimits(max_pixels=1_000_000)
WHOLE = {
    **in_forms(photo(2, (64, 48))),
    **{f'{next((f for f in FORMATS if f[:3] == name.rsplit(".", 1)[1][:3].upper()), "JPEG")}, {name}': data for name, (data, *_) in ZOO.items()},
}  # fmt: skip


def mutants(format: str, n: int) -> list[bytes]:
    """Return n damaged pictures: bytes changed, mostly in the head where sizes and counts stand, pieces cut out, doubled or moved behind each other."""
    forms = sorted(name for name in WHOLE if name.startswith(format))
    return [_mutant(random.Random(f'{format}/{i}'), WHOLE[forms[i % len(forms)]]) for i in range(n)]


def _mutant(lot: random.Random, whole: bytes) -> bytes:
    data = bytearray(whole)
    for _ in range(lot.choice((1, 2, 8))):
        reach = min(len(data), lot.choice((64, 700, len(data))))
        at = lot.randrange(reach)
        data[at] = lot.choice((0, 1, 0x7F, 0x80, 0xFF, lot.randrange(256)))
    first, last = sorted((lot.randrange(len(data)), lot.randrange(len(data))))
    kind = lot.randrange(5)
    if kind == 0:
        del data[first : min(last, first + 40)]
    elif kind == 1:
        data[first:first] = data[first:last]
    elif kind == 2:
        del data[last:]
    return bytes(data)


def check(data: bytes) -> None:
    found, again = (inspect_image(data, LIMITS) for _ in range(2))
    assert found == again
    assert isinstance(found, ImageFacts | ImageFault)
    try:
        shown = read_rgb(data, max_pixels=LIMITS.max_pixels)
    except BadImage:
        assert isinstance(found, ImageFault), 'whatever curation keeps, everyone can decode'
    else:
        assert shown.mode == 'RGB'


@promise('Damaged files', 'A damaged picture gives facts or a reason, the same each time, never a traceback', mutated_pictures=MUTANTS * len(FORMATS))
@pytest.mark.filterwarnings('ignore::UserWarning', 'ignore::PIL.Image.DecompressionBombWarning')
@pytest.mark.parametrize('format', FORMATS)
def test_a_damaged_picture_gives_facts_or_a_reason(format: str):
    for data in mutants(format, MUTANTS):
        check(data)


@pytest.mark.integration
@pytest.mark.long
@pytest.mark.filterwarnings('ignore::UserWarning', 'ignore::PIL.Image.DecompressionBombWarning')
@pytest.mark.parametrize('format', FORMATS)
def test_many_damaged_pictures_give_facts_or_a_reason(format: str):
    for data in mutants(format, MUTANTS_LONG):
        check(data)


@promise('Damaged files', 'Values of floats and whole numbers, however large, become grey levels without a cast that processors do differently',
         value_pictures=24)  # fmt: skip
@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('kind', ['f4', 'i4', 'i2', 'u2'])
@pytest.mark.parametrize('case', ['wide', 'ends', 'odd'])
def test_no_value_is_cast_in_an_undefined_way(order: str, kind: str, case: str):
    lot = np.random.default_rng(7)
    if kind == 'f4':
        values = {'wide': lot.normal(0, 1e30, (40, 50)), 'ends': lot.choice([3.4e38, -3.4e38], (40, 50)),
                  'odd': lot.choice([np.nan, np.inf, -1e-45, 1.0], (40, 50))}[case]  # fmt: skip
    else:
        ends = np.iinfo(kind)
        values = {'wide': lot.integers(ends.min, ends.max, (40, 50), endpoint=True), 'ends': lot.choice([ends.min, ends.max], (40, 50)),
                  'odd': lot.integers(0, 10, (40, 50)) * (ends.max // 9)}[case]  # fmt: skip
    with np.errstate(all='ignore'):
        stored = values.astype(order + kind)
    with np.errstate(all='raise'), warnings.catch_warnings():
        warnings.simplefilter('error')
        shown = np.asarray(read_rgb(tiff(stored)))[..., 0]
        assert isinstance(inspect_image(tiff(stored), ImageLimits()), ImageFacts)
    assert (shown.min(), shown.max()) == (0, 127 if (kind, case) == ('i2', 'odd') else 255)
    assert np.array_equal(shown, np.asarray(read_rgb(tiff(stored.astype(stored.dtype.newbyteorder()))))[..., 0]), 'the byte order shows nowhere'


def tiff(values: np.ndarray) -> bytes:
    """A TIFF of one band in the byte order of its values."""
    order = values.dtype.str[0].replace('=', '<')
    end = {'<': 'little', '>': 'big'}[order]

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, end)  # type: ignore[arg-type]

    tags = {256: values.shape[1], 257: values.shape[0], 258: 8 * values.itemsize, 259: 1, 262: 1, 273: 122, 277: 1, 278: values.shape[0],
            339: {'u': 1, 'i': 2, 'f': 3}[values.dtype.kind]}  # fmt: skip
    entries = b''.join(number(tag, 2) + number(4 if tag == 273 else 3, 2) + number(1, 4) + (number(value, 4) if tag == 273 else number(value, 2) + b'\0\0')
                       for tag, value in tags.items())  # fmt: skip
    return (b'II' if order == '<' else b'MM') + number(42, 2) + number(8, 4) + number(len(tags), 2) + entries + b'\0' * 4 + values.tobytes()
