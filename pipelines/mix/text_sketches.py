"""Texts of samples as MinHash sketches, so that near ones meet without being compared with all others (Broder 1997; bands as in Leskovec, Rajaraman
and Ullman, Mining of Massive Datasets, chapter 3). The hashes are those of the library rensa: 4 us a text where datasketch takes 145 (both measured
by `python -m benchmarks.near_texts`), and without dependencies.

BANDS bands of ROWS hashes: two texts of Jaccard similarity s share one with probability 1 - (1 - s^6)^16, that is 0.999 at 0.85 and 0.99 at 0.8.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.texts.near import shingles, words_of
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.questions import without_marks

BANDS, ROWS, SEED = 16, 6, 1
BAND_NAMES = tuple(f'band{band:02d}' for band in range(BANDS))
# `telling`: a hash of what must be equal besides, 0 for a text without words, which is near to nothing
SKETCHES = pa.schema([('telling', pa.uint64()), *((name, pa.uint64()) for name in BAND_NAMES)])
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class SketchTexts(Step):
    """Writes `part` (SKETCHES) aligned row by row with one part of a source's samples."""

    TABLE = 'sketches'
    VERSION = 1

    samples: Table

    def label(self) -> str:
        return f'sketches{self.samples.label.removeprefix("samples")}'

    def shards(self) -> list[str]:
        return [str(path) for path in self.samples.parts()]

    def process(self, shard: str, writer: ShardWriter) -> None:
        writer.write('part', SKETCHES.empty_table())
        with pq.ParquetFile(shard) as file:
            for batch in file.iter_batches(1000, columns=['turns'], use_threads=False):
                writer.write('part', sketched(batch['turns'].to_pylist()))


def sketched(samples: list[list[dict]]) -> pa.Table:
    """Return SKETCHES of some samples, each a list of turns (role, text)."""
    from rensa import RMinHash  # only where near texts are looked for

    telling, digests = [], []
    for turns in samples:
        words = words_of([{**turn, 'text': without_marks(turn['text'])} for turn in turns])
        minhash = RMinHash(num_perm=BANDS * ROWS, seed=SEED)
        minhash.update(sorted(shingles(words.all)))
        digests.append(minhash.digest())
        told = hashlib.sha256(repr(words.telling).encode('utf-8', 'surrogatepass')).digest()
        telling.append((int.from_bytes(told[:8], 'big') | 1) if words.all else 0)
    hashes = np.array(digests, np.uint64).reshape(-1, BANDS, ROWS)
    bands = np.zeros(hashes.shape[:2], np.uint64)
    for row in range(ROWS):
        bands = (bands ^ hashes[:, :, row]) * _FACTOR
        bands ^= bands >> np.uint64(29)
    return pa.table([pa.array(telling, pa.uint64()), *(pa.array(bands[:, band]) for band in range(BANDS))], SKETCHES)
