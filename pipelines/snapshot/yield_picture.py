"""The picture that a card opens with: what was kept of each source, and what was not."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from schemas.accounting import Line
from schemas.records import Unit

FILE = 'yield.png'
KEPT, REJECTED = '#0072b2', '#e69f00'  # blue and orange: told apart by every kind of colour blindness (Okabe and Ito, Color Universal Design, 2008)
WIDTH_PX, ROW_PX, LEFT_PX, BAR_PX = 880, 24, 200, 440
NAME_CHARACTERS = 26
MOST_SOURCES = 40


def yield_picture(lines: Sequence[Line]) -> bytes:
    """Return a PNG: a bar for each source, how many of its candidates, or else samples, were kept. The same lines make the same bytes."""
    unit = Unit.CANDIDATE if any(line.unit == Unit.CANDIDATE for line in lines) else Unit.SAMPLE
    of_unit = [line for line in lines if line.unit == unit and line.n_in]
    shown, font = of_unit[:MOST_SOURCES], ImageFont.load_default(13)
    picture = Image.new('RGB', (WIDTH_PX, ROW_PX * (len(shown) + 1 + (len(of_unit) > len(shown))) + 8), 'white')
    draw = ImageDraw.Draw(picture)
    draw.text((LEFT_PX, 5), f'{unit}s kept', KEPT, font)
    draw.text((LEFT_PX + 130, 5), 'rejected', '#9a6a00', font)  # a darker orange: text on white needs contrast
    for place, line in enumerate(shown, 1):
        top, kept_px = place * ROW_PX + 4, round(BAR_PX * line.kept / line.n_in)
        name = line.source if len(line.source) <= NAME_CHARACTERS else line.source[: NAME_CHARACTERS - 1] + '…'
        draw.text((LEFT_PX - 8, top + 8), name, 'black', font, anchor='rm')
        draw.rectangle((LEFT_PX, top, LEFT_PX + BAR_PX, top + 16), REJECTED)
        if kept_px:
            draw.rectangle((LEFT_PX, top, LEFT_PX + kept_px, top + 16), KEPT)
        draw.text((LEFT_PX + BAR_PX + 8, top + 8), f'{line.kept:,} of {line.n_in:,} ({line.kept / line.n_in:.1%})', 'black', font, anchor='lm')
    if len(of_unit) > len(shown):
        draw.text((LEFT_PX, (len(shown) + 1) * ROW_PX + 5), f'and {len(of_unit) - len(shown):,} more sources, in the table', 'black', font)
    out = io.BytesIO()
    picture.save(out, 'PNG', optimize=True)
    return out.getvalue()
