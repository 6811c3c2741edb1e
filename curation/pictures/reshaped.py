"""Copies that changed their shape: what the canaries of a benchmark's pictures plant, and must find again (`contamination.min_recall`)."""

import hashlib
import io
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw, ImageEnhance, ImageOps

Change = Callable[[Image.Image, bytes], Image.Image]  # of a picture, by the bytes of a lot
QUALITY = 85
CUT = 0.105  # of width and of height: four fifths of the area are left
BORDER_SHARE = 0.1  # of the shorter side
BAR_SHARE = 0.14  # of the height
TEXT_SHARE = 0.09  # of the area, that a text laid over it has room in
TURNS = {'rotate_90': Image.Transpose.ROTATE_90, 'rotate_180': Image.Transpose.ROTATE_180, 'rotate_270': Image.Transpose.ROTATE_270}


def reshaped(rgb: Image.Image, name: str, seed: str, others: Sequence[Image.Image] = ()) -> bytes:
    """Return a JPEG of a picture changed by one of SHAPES; `others`: three pictures that a collage shows beside it."""
    lot = hashlib.sha256(f'{name}/{seed}'.encode()).digest()
    changed = _collage(rgb, lot, others) if name == 'collage' else SHAPES[name](rgb, lot)
    out = io.BytesIO()
    changed.save(out, 'JPEG', quality=30 if name == 'jpeg_q30' else QUALITY)
    return out.getvalue()


def _turn(turn: Image.Transpose) -> Change:
    return lambda rgb, _: rgb.transpose(turn)


def _crop(rgb: Image.Image, lot: bytes) -> Image.Image:
    """Cut CUT of both sides away, divided by the lot."""
    cut_x, cut_y = round(rgb.width * CUT), round(rgb.height * CUT)
    left, top = cut_x * lot[0] // 255, cut_y * lot[1] // 255
    return rgb.crop((left, top, left + rgb.width - cut_x, top + rgb.height - cut_y))


def _border(rgb: Image.Image, lot: bytes) -> Image.Image:
    return ImageOps.expand(rgb, round(BORDER_SHARE * min(rgb.size)), 'white' if lot[0] % 2 else 'black')


def _letterbox(rgb: Image.Image, _: bytes) -> Image.Image:
    """Put a picture into a black square; a square one into 16:9."""
    side = max(rgb.size)
    size = (side, side) if abs(rgb.width - rgb.height) > 0.05 * side else (side * 16 // 9, side)
    box = Image.new('RGB', size)
    box.paste(rgb, ((size[0] - rgb.width) // 2, (size[1] - rgb.height) // 2))
    return box


def _caption(rgb: Image.Image, lot: bytes) -> Image.Image:
    """Put a dark bar with words below, as a screenshot of a viewer has."""
    bar = max(8, round(BAR_SHARE * rgb.height))
    shot = ImageOps.expand(rgb, (0, 0, 0, bar), (24, 24, 28))
    ImageDraw.Draw(shot).text((4, rgb.height + bar // 4), f'Picture {lot.hex()[:6]}: what is there?', fill='white', font_size=max(6, bar // 2))
    return shot


def _grey(rgb: Image.Image, _: bytes) -> Image.Image:
    return rgb.convert('L').convert('RGB')


def _quarter(rgb: Image.Image, _: bytes) -> Image.Image:
    return rgb.resize((max(1, rgb.width // 4), max(1, rgb.height // 4)), Image.Resampling.LANCZOS)


def _recolour(rgb: Image.Image, lot: bytes) -> Image.Image:
    """Change contrast, colours and brightness by a tenth to a fifth."""
    factor = 1.15 if lot[0] % 2 else 0.87
    return ImageEnhance.Brightness(ImageEnhance.Color(ImageEnhance.Contrast(rgb).enhance(factor)).enhance(2 - factor)).enhance(1.05)


def _overlay(rgb: Image.Image, lot: bytes) -> Image.Image:
    """Lay words over TEXT_SHARE of the area."""
    width = round(0.75 * rgb.width)
    height = max(6, round(TEXT_SHARE * rgb.width * rgb.height / width))
    mask = Image.new('L', (72, 12), 0)
    ImageDraw.Draw(mask).text((1, 0), lot.hex()[:11].upper(), fill=255)
    at = round((rgb.width - width) * lot[1] / 255), round((rgb.height - height) * lot[2] / 255)
    marked = rgb.copy()
    marked.paste((255, 235, 60) if lot[0] % 2 else (20, 20, 90), at, mask.resize((width, height), Image.Resampling.BICUBIC))
    return marked


def _collage(rgb: Image.Image, lot: bytes, others: Sequence[Image.Image]) -> Image.Image:
    """Show a picture at half its size in one quarter, and the others, or plain tones, in the rest."""
    half = max(1, rgb.width // 2), max(1, rgb.height // 2)
    tiles = [other.resize(half) for other in others[:3]]
    tiles += [Image.new('RGB', half, (60 + 50 * k, 90, 120)) for k in range(3 - len(tiles))]
    tiles.insert(lot[0] % 4, rgb.resize(half, Image.Resampling.LANCZOS))
    sheet = Image.new('RGB', (2 * half[0], 2 * half[1]))
    for at, tile in enumerate(tiles):
        sheet.paste(tile, (at % 2 * half[0], at // 2 * half[1]))
    return sheet


SHAPES: dict[str, Change] = {
    'flip': lambda rgb, _: ImageOps.mirror(rgb), 'flip_vertical': lambda rgb, _: ImageOps.flip(rgb),
    **{name: _turn(turn) for name, turn in TURNS.items()},
    'crop': _crop, 'border': _border, 'letterbox': _letterbox, 'caption': _caption, 'grey': _grey, 'jpeg_q30': lambda rgb, _: rgb,
    'quarter': _quarter, 'recolour': _recolour, 'overlay': _overlay, 'collage': lambda rgb, lot: _collage(rgb, lot, ()),
}  # fmt: skip
