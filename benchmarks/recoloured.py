"""Whether a drawing in which one thing has another colour is taken for the same: `python -m benchmarks.recoloured [--set]`.

Drawn things of five sorts: thin outlines, filled things, things and grounds that run from one tone to another, and drawings of four things, thin
or filled, of which one changed. A third of the new colours are any, a third as bright as the old, a third as bright and of the same hue, but dull
or vivid, as brown is to red. Pairs that one mild change of all colours carries over are not drawn: such a change is what a copy may have.
Each pair is looked at as it is and with the second in a shape drawn by lot; then the first in every shape, which must be found.

The bounds of curation/pictures/tints.py were set on `--set`: circles, boxes and triangles with lines of 2 to 4 px. Without it other things (zigzags,
stars, arcs, crosses, grids), lines of 1 to 6 px, other sizes and other seeds are drawn.
"""

import argparse
import colorsys
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.copies_precision import UNREADABLE, Compared, facts_of
from curation.pictures.confirm import LUMA, open_to_compare
from curation.pictures.registered import Looked
from curation.pictures.reshaped import SHAPES, reshaped
from tests.curation.drawn import encoded

SORTS = ('thin', 'filled', 'gradient', 'one thin of four', 'one filled of four')
FINER = 4  # drawn so much larger and shrunk: soft edges
LEAST_TURN, LEAST_TIMES = 40.0, 1.8  # degrees of hue, and times the chroma, by which colours are two
LEAST_CHROMA = 48.0  # of a colour, in grey levels; nothing tells a dull one from grey
Colour = tuple[int, int, int]
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Draws:
    """What a set draws, and from which seed on."""

    first: int
    things: tuple[str, ...]
    lines_px: tuple[int, int]
    sides_px: tuple[int, ...]


SET = Draws(80_000, ('circle', 'box', 'triangle'), (2, 4), (64, 128))
# from 90,000 on a first held-out set was seen, which set MOST_USUAL
HELD_OUT = Draws(100_000, ('zigzag', 'star', 'arc', 'cross', 'grid'), (1, 6), (64, 96, 160, 320))


def pair(draws: Draws, sort: str, k: int) -> tuple[Image.Image, Image.Image]:
    """Return the k-th drawing of a sort and its twin in which one thing has another colour."""
    seed = [draws.first, SORTS.index(sort), k]
    old, new = _colours(np.random.default_rng([*seed, 1]), k % 3)
    return _drawn(draws, sort, seed, old), _drawn(draws, sort, seed, new)


def _colours(rng: np.random.Generator, how: int) -> tuple[Colour, Colour]:
    """Return two colours: any (0), equally bright (1), equally bright and of one hue (2)."""
    while True:
        old, new = (rng.integers(0, 256, 3).astype(float) for _ in range(2))
        if how == 2:
            new = old @ LUMA + (old - old @ LUMA) / rng.uniform(LEAST_TIMES, 2.6)
        elif how == 1:
            new += old @ LUMA - new @ LUMA
        if new.min() < 0 or new.max() > 255 or old @ LUMA > 200 or not _are_two(old, new):
            continue
        some = tuple(int(tone) for tone in old), tuple(int(tone) for tone in new)
        return some if rng.random() < 0.5 else some[::-1]  # type: ignore[return-value]


def _are_two(a: np.ndarray, b: np.ndarray) -> bool:
    chroma = sorted(float(np.abs(some - some @ LUMA).max()) for some in (a, b))
    hue = abs(colorsys.rgb_to_hsv(*a / 255)[0] - colorsys.rgb_to_hsv(*b / 255)[0]) * 360
    turned = chroma[0] >= LEAST_CHROMA / 2 and min(hue, 360 - hue) >= LEAST_TURN
    return chroma[1] >= LEAST_CHROMA and (turned or chroma[1] >= LEAST_TIMES * chroma[0])


def _drawn(draws: Draws, sort: str, seed: list[int], colour: Colour) -> Image.Image:
    rng = np.random.default_rng(seed)
    side = int(rng.choice(draws.sides_px))
    image = _ground(rng, side * FINER, run=sort == 'gradient' and bool(rng.random() < 0.5))
    cells = [(0.1, 0.1, 0.8)] if 'of four' not in sort else [(x, y, 0.4) for x in (0.06, 0.54) for y in (0.06, 0.54)]
    for at, (x, y, room) in enumerate(cells):
        mine, other = colour, _colours(rng, 0)[0]
        size = room * rng.uniform(0.5, 1)
        left, top = x + (room - size) * rng.random(), y + (room - size) * rng.random()
        mask, tones = Image.new('L', image.size), np.array(mine if at == 0 else other, float)
        width = int(rng.integers(draws.lines_px[0], draws.lines_px[1] + 1)) * FINER if 'thin' in sort else 0
        _thing(ImageDraw.Draw(mask), str(rng.choice(draws.things)), (left * side * FINER, top * side * FINER, size * side * FINER), width, rng)
        paint = _running(tones, image.size) if sort == 'gradient' else Image.new('RGB', image.size, tuple(int(tone) for tone in tones))
        image.paste(paint, (0, 0), mask)
    return image.resize((side, side), Image.Resampling.BOX)


def _ground(rng: np.random.Generator, side: int, *, run: bool) -> Image.Image:
    tone = rng.integers(225, 256, 3).astype(float)
    return _running(tone, (side, side)) if run else Image.new('RGB', (side, side), tuple(int(value) for value in tone))


def _running(tone: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Return a plane of a colour that gets a quarter nearer to its grey from the left to the right."""
    share = np.linspace(0, 0.25, size[0])[None, :, None]
    return Image.fromarray(np.broadcast_to((tone * (1 - share) + float(tone @ LUMA) * share).astype(np.uint8), (size[1], size[0], 3)).copy())


def _thing(draw: ImageDraw.ImageDraw, name: str, at: tuple[float, float, float], width: int, rng: np.random.Generator) -> None:
    """Draw a thing into a square (left, top, side): its outline so wide, or filled where that is 0."""
    left, top, side = at
    box, thick = (left, top, left + side, top + side), width or round(side / 4)
    if name == 'circle':
        draw.ellipse(box, **_how(width))
    elif name == 'box':
        draw.rectangle((left, top + side * 0.2, left + side, top + side * 0.8), **_how(width))
    elif name == 'arc':
        draw.arc(box, int(rng.integers(360)), int(rng.integers(360)) + 200, fill=255, width=thick)
    elif name == 'cross':
        draw.line((left, top, left + side, top + side), fill=255, width=thick)
        draw.line((left + side, top, left, top + side), fill=255, width=thick)
    elif name == 'grid':
        for part in (0.2, 0.6, 0.9):
            draw.line((left, top + part * side, left + side, top + part * side), fill=255, width=min(thick, round(side / 6)))
            draw.line((left + part * side, top, left + part * side, top + side), fill=255, width=min(thick, round(side / 6)))
    elif name == 'zigzag':
        draw.line([(left + side * n / 5, top + side * float(rng.random())) for n in range(6)], fill=255, width=thick, joint='curve')
    else:
        points = _triangle(rng) if name == 'triangle' else _star()
        corners = [(left + side * x, top + side * y) for x, y in points]
        draw.line([*corners, corners[0]], fill=255, width=width, joint='curve') if width else draw.polygon(corners, fill=255)


def _how(width: int) -> dict[str, int]:
    return {'outline': 255, 'width': width} if width else {'fill': 255}


def _triangle(rng: np.random.Generator) -> Points:
    return [(float(rng.random()), 0.0), (0.0, 1.0), (1.0, float(rng.uniform(0.4, 1)))]


def _star() -> Points:
    turns = [(math.pi * n / 5, 0.5 if n % 2 == 0 else 0.2) for n in range(10)]
    return [(0.5 + r * math.sin(turn), 0.5 - r * math.cos(turn)) for turn, r in turns]


def taken_for_one(draws: Draws, sort: str, n: int, shows: Path | None) -> Iterator[tuple[str, bool]]:
    """Yield, for n pairs, (shape of the second, '' for none; whether it was taken for the first)."""
    readable = [shape for shape in SHAPES if shape not in (*UNREADABLE, 'grey')]
    for k in range(n):
        one, twin = pair(draws, sort, k)
        mine = Compared(encoded(one))
        lot = str(np.random.default_rng([draws.first, k, 2]).choice(readable))
        for shape, data in (('', encoded(twin)), (lot, reshaped(twin, lot, f'{sort}/{k}'))):
            if (facts := facts_of(data)) is not None:
                other = Looked(open_to_compare(data))
                wrong = mine.same(other, facts) is not None
                if wrong and shows:
                    _show(shows / f'{sort}-{k}-{shape or "as it is"}.png', one, other.rgb)
                yield shape, wrong


def _show(path: Path, one: Image.Image, other: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = Image.new('RGB', (one.width + other.width + 8, max(one.height, other.height)), 'magenta')
    sheet.paste(one, (0, 0))
    sheet.paste(other, (one.width + 8, 0))
    sheet.save(path)


def found(draws: Draws, sort: str, n: int) -> Iterator[tuple[str, bool]]:
    """Yield, for n drawings in every shape in which the whole is to be seen, (shape, whether it was found)."""
    for k in range(n):
        one, _ = pair(draws, sort, k)
        mine = Compared(encoded(one))
        for shape in (shape for shape in SHAPES if shape not in UNREADABLE):
            data = reshaped(one, shape, f'{sort}/{k}')
            if (facts := facts_of(data)) is not None:
                yield shape, mine.same(Looked(open_to_compare(data)), facts) is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--set', action='store_true', help='the drawings on which bounds are set')
    parser.add_argument('--first', type=int, help='seed of the first drawing: another one than was seen before')
    parser.add_argument('--sorts', nargs='*', default=SORTS, choices=SORTS)
    parser.add_argument('--pairs', type=int, default=500, help='of each sort')
    parser.add_argument('--copies', type=int, default=50, help='drawings of each sort, looked for in every shape')
    parser.add_argument('--show', type=Path, help='a folder for the pairs that were taken for one')
    args = parser.parse_args()
    draws = SET if args.set else HELD_OUT
    draws = draws if args.first is None else replace(draws, first=args.first)
    for sort in args.sorts:
        looks = list(taken_for_one(draws, sort, args.pairs, args.show))
        wrong = Counter(shape or 'as it is' for shape, is_wrong in looks if is_wrong)
        print(f'{sort}: {len(looks):,} looks at {args.pairs:,} pairs, taken for one {wrong.total()} {dict(wrong) or ""}', flush=True)
    for sort in args.sorts if args.copies else ():
        looks = list(found(draws, sort, args.copies))
        lost = Counter(shape for shape, is_found in looks if not is_found)
        print(f'{sort}: {len(looks):,} copies, found {len(looks) - lost.total():,}; not: {dict(lost) or "none"}', flush=True)


if __name__ == '__main__':
    main()
