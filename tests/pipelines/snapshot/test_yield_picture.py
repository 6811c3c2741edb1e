"""The picture that a card opens with."""

import io

from PIL import Image

from pipelines.snapshot.yield_picture import BAR_PX, LEFT_PX, MOST_SOURCES, ROW_PX, yield_picture
from schemas.accounting import Line

BLUE, ORANGE = (0, 114, 178), (230, 159, 0)


def bars(lines):
    """How many pixels of each bar are blue, and how many orange."""
    with Image.open(io.BytesIO(yield_picture(lines))) as image:
        rows = [[image.convert('RGB').getpixel((LEFT_PX + x, ROW_PX * place + 12)) for x in range(BAR_PX)] for place in range(1, image.height // ROW_PX)]
    return [(row.count(BLUE), row.count(ORANGE)) for row in rows]


def line(unit, source, n_in, kept):
    return Line(unit, source, n_in, kept, {'BAD_IMAGE': n_in - kept} if n_in > kept else {})


def test_bars_are_as_long_as_what_was_kept():
    (none, _), (some, rest), (every, _) = bars([line('sample', name, 100, kept) for name, kept in (('a', 0), ('b', 25), ('c', 100))])
    assert (none, every) == (0, BAR_PX)
    assert abs(some - BAR_PX / 4) <= 1
    assert some + rest == BAR_PX


def test_of_triples_the_candidates_are_shown_of_a_mix_the_samples():
    lines = [line('record', 'a', 10, 10), line('sample', 'a', 10, 10), line('image', 'a', 10, 0)]
    assert bars(lines)[0][0] == BAR_PX
    assert bars([*lines, line('candidate', 'a', 10, 0)])[0][0] == 0


def test_many_sources_stay_a_small_picture_and_none_is_none():
    with Image.open(io.BytesIO(yield_picture([line('sample', f's{at}', 5, 5) for at in range(500)]))) as image:
        assert image.height < ROW_PX * (MOST_SOURCES + 3)
    assert bars([line('sample', 'a', 0, 0)]) == []
