"""The picture half of the canaries: which pictures are planted, and what is said of those that were not found again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from curation.pictures.edits import FOUND, edit
from curation.pictures.images import ImageFacts, ImageLimits, inspect_image
from curation.selection.hamming import distance256, words256
from curation.selection.select import lot
from pipelines.engine.tables import Table
from pipelines.mix.compare import THREADS
from pipelines.mix.index import ImageIndex
from pipelines.sources.images import ImageStore
from schemas.pixels import MOST_PIXELS, read_rgb
from schemas.recipe import Contamination

MIN_SIDE_PX = {'copy': 0, 'half': 128}  # shorter side; 64 px for the other kinds
# Standard deviation of brightness, in grey levels of 255, over the 64 x 64 pixels that are hashed. Of soft patterns, JPEG at quality 30 was found
# again in 1 of 72 below 1.5, in 12 of 24 at 2, in 41 of 48 at 3 and 4; even noise lies below.
FAINT = 2.5
FAINT_THUMB = 8 * 2 * FAINT  # what the 64 means of a thumbnail can differ by at most in a faint picture
LOOKED_AT = 4  # times as many pictures as are wanted, before fewer are planted
SHOWN = 5  # pictures that a message names
MOST_BITS, MOST_BITS_256 = 12, 96  # beyond, two pictures that have nothing in common are near


@dataclass
class Draw:
    """Pictures by lot, edited; `faint` counts those that were passed over."""

    index: Table
    seed: str
    store: ImageStore
    faint: set[str] = field(default_factory=set)

    def pictures(self, kind: str, most: int) -> Iterator[tuple[str, bytes]]:
        """Yield (image id, edited picture) of at most `most`. Of faint ones only copies are planted: no hash finds more of them."""
        drawn = self._drawn(kind).iloc[: LOOKED_AT * most]
        planted = 0
        with ThreadPoolExecutor(THREADS) as pool:
            for start in range(0, len(drawn), THREADS):
                some = drawn.iloc[start : start + THREADS]
                edited = pool.map(_edited, map(self.store.read, some['ref']), [kind] * len(some), some['image_id'], some['thumb'])
                for image_id, data in zip(some['image_id'], edited, strict=True):
                    if planted == most:
                        return
                    if data is None:
                        self.faint.add(image_id)
                        continue
                    planted += 1
                    yield image_id, data

    def _drawn(self, kind: str):
        facts = self.index.read(columns=['ref', 'image_id', 'width', 'height', 'thumb']).to_pandas()
        facts = facts[facts[['width', 'height']].min(axis=1) >= MIN_SIDE_PX.get(kind, 64)]
        turn = lot(f'{self.seed}/canary') >> 4  # an id is a hash already: its first 15 digits, turned by the seed, are the draw
        draw = np.array([int(image_id[:15], 16) ^ turn for image_id in facts['image_id']], np.uint64)
        return facts.iloc[np.argsort(draw, kind='stable')]


def _edited(data: bytes, kind: str, image_id: str, thumb: bytes) -> bytes | None:
    return None if kind != 'copy' and is_faint(data, thumb) else edit(data, kind, image_id)


def is_faint(data: bytes, thumb: bytes) -> bool:
    """Return whether a picture is so near to one tone that re-encoding leaves nothing of its hash; opened only where its thumbnail does not tell."""
    tones = np.frombuffer(thumb, np.uint8).reshape(-1, 3).astype(np.int64) @ (299, 587, 114) / 1000
    if np.ptp(tones) > FAINT_THUMB:
        return False
    grey = read_rgb(data, max_pixels=MOST_PIXELS).convert('L')
    return float(np.asarray(grey.resize((64, 64), Image.Resampling.BOX), np.float64).std()) < FAINT


def about_missed(checked: Table, planted: Table, index: Table, limits: ImageLimits, rules: Contamination) -> str:
    """Return which pictures were not found again, how far their edited copies are, and what helps; '' where all were found."""
    rows = checked.read().to_pylist() if checked.parts() else []
    missed = {(row['kind'], row['id']) for row in rows if row['kind'] in FOUND and not row['found']}
    if not missed:
        return ''
    names = index.read(columns=['ref', 'image_id']).to_pandas().set_index('image_id')['ref']
    far = {key: _far(ImageIndex(index.path), key[1], data, limits) for key, data in _planted(planted, missed)}
    told = [f'{names[image_id]} ({kind}: {_say_far(far[kind, image_id])})' for kind, image_id in sorted(missed, key=lambda key: names[key[1]])]
    more = f' and {len(told) - SHOWN} more' if len(told) > SHOWN else ''
    return f'pictures missed: {", ".join(told[:SHOWN])}{more}; {_advice([one for one in far.values() if one is not None], rules)}'


def _planted(planted: Table, wanted: set[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], bytes]]:
    kinds = {kind for kind, _ in wanted}
    for path in planted.parts('items'):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=16, columns=['bench', 'item_id', 'images']):
                for row in batch.to_pylist() if batch.num_rows and batch['bench'][0].as_py() in kinds else ():
                    if (row['bench'], row['item_id']) in wanted:
                        yield (row['bench'], row['item_id']), row['images'][0]['bytes']


def _far(index: ImageIndex, image_id: str, data: bytes, limits: ImageLimits) -> tuple[int, int] | None:
    """Return by how many of 64 and of 256 bits an edited picture is away from its own, None where the edited one is no picture that is looked for."""
    facts = inspect_image(data, limits)
    if not isinstance(facts, ImageFacts):
        return None
    number = int(index.numbers(np.array([bytes.fromhex(image_id)], 'V32'))[0])
    own = np.flatnonzero(index.of_image == number)
    pairs = [(int(np.bitwise_count(index.phash64[i] ^ np.uint64(key64))), int(distance256(index.phash256[i : i + 1], words256([key256]))[0]))
             for i in own for key64, key256 in facts.hashes()]
    return min(pairs, key=lambda pair: 4 * pair[0] + pair[1])


def _say_far(far: tuple[int, int] | None) -> str:
    return 'the edited copy is left out itself' if far is None else f'{far[0]} of 64 bits, {far[1]} of 256'


def _advice(far: list[tuple[int, int]], rules: Contamination) -> str:
    bits, bits256 = max([rules.image_bits, *(some for some, _ in far)]), max([rules.image_bits_256, *(some for _, some in far)])
    out = ('leave pictures out that no hash can tell (noise, dithering, one faint pattern): their sha256 in images.placeholder_ids, '
           'or their folder in drop_image_prefix of the source')
    if (bits, bits256) == (rules.image_bits, rules.image_bits_256):
        return f'their hashes are near enough, but colours or pixels of the copies differ; {out}'
    if bits > MOST_BITS or bits256 > MOST_BITS_256:
        return out
    return f'image_bits {bits} and image_bits_256 {bits256} would find them; or {out}'
