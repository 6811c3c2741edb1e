"""Tiling equals the released preprocessing (tests/golden/preprocess), and hostile images are refused before decoding."""

import hashlib
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model.phantom.tiling import choose_grid, decode_image, normalise, split_tiles
from schemas.pixels import BadImage

GOLDEN = Path(__file__).parents[2] / 'golden' / 'preprocess'
PIXELS = json.loads((GOLDEN / 'pixels.json').read_text())['images']


def test_grids_equal_the_released_ones_for_200_sizes():
    rows = json.loads((GOLDEN / 'tiles.json').read_text())['rows']
    assert len(rows) == 200
    for row in rows:
        columns, lines = choose_grid(row['w'], row['h'], tile=448, min_tiles=1, max_tiles=6)
        assert [columns, lines] == row['grid'], row
        tiles = columns * lines
        assert tiles + (tiles > 1) == row['n_images']


@pytest.mark.parametrize('golden', PIXELS, ids=[row['file'] for row in PIXELS])
def test_tiles_are_byte_equal_and_normalised_alike(golden):
    image = decode_image((GOLDEN / golden['file']).read_bytes())
    tiles = split_tiles(image, tile=448, min_tiles=1, max_tiles=6, thumbnail=True)
    assert [hashlib.sha256(np.asarray(tile).tobytes()).hexdigest() for tile in tiles] == golden['sha256']
    pixels = normalise(tiles)
    assert torch.allclose(pixels[:, :, 0, :4], torch.tensor(golden['corner']), atol=1e-6)
    assert torch.allclose(pixels.mean((2, 3)), torch.tensor(golden['mean']), atol=1e-4)


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims a size."""
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    chunks = b''
    for name, data in ((b'IHDR', header), (b'IDAT', zlib.compress(b'0')), (b'IEND', b'')):
        chunks += struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
    return b'\x89PNG\r\n\x1a\n' + chunks


def truncated_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert('RGB').save(buffer, 'JPEG')
    return buffer.getvalue()[:1500]


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (None, 'no image bytes'),
        (b'', 'no image bytes'),
        (b'<svg/>', 'not one of'),
        (png_claiming(9000, 9000), 'at most 64000000 pixels'),
        (png_claiming(60000, 60000), 'at most 64000000 pixels'),
        (truncated_jpeg(), 'does not decode'),
    ],
    ids=['none', 'empty', 'svg', 'large', 'bomb', 'truncated'],
)
def test_hostile_bytes_are_refused_with_a_reason(data, message):
    with pytest.raises(BadImage, match=message):
        decode_image(data)
