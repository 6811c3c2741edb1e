"""What selection needs to know of each sample: its images by id, benchmark hits, the hash of its content, and then its images' stars.

Two tables, so that a changed threshold of near-duplicates looks no text up again: `described`, all that hangs on the sample and its pictures
alone, and `features`, which adds the stars.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.select import lot
from curation.textmatch import normalise
from pipelines.engine.steps import ShardStep
from pipelines.engine.tables import ShardWriter
from pipelines.mix.contamination import BenchmarkHits
from pipelines.mix.index import ImageIndex
from schemas.records import STRINGS, Reason

VERSION = 3
NUMBERS = pa.list_(pa.int64())
COMMON = [
    ('sample_id', pa.string()), ('source', pa.string()), ('licence', pa.string()), ('image_ids', STRINGS), ('content_sha', pa.string()),
    ('lot', pa.uint64()), ('n_bytes', pa.int64()), ('bad_image', pa.string()), ('contamination', pa.string()),
]
DESCRIBED = pa.schema([*COMMON, ('images', NUMBERS), ('words', pa.binary(16))])  # numbers of ImageIndex; hash of the normalised turns
FEATURES = pa.schema([*COMMON, ('stars', NUMBERS), ('cluster_ids', STRINGS), ('same_as', pa.binary(16))])  # numbers and ids of the survivors


@dataclass
class DescribeSamples(ShardStep):
    """Writes `part` (DESCRIBED) aligned row by row with one part of the samples."""

    index: str
    hits: BenchmarkHits
    seed: str

    def setup(self) -> None:
        self._index = ImageIndex(Path(self.index))
        self.hits.setup()

    def process(self, shard: str, writer: ShardWriter) -> None:
        rows = [self._describe(sample, writer) for sample in pq.read_table(shard).to_pylist()]
        writer.write('part', pa.Table.from_pylist(rows, DESCRIBED))

    def _describe(self, sample: dict, writer: ShardWriter) -> dict:
        found = [self._index.number(reference) for reference in sample['images']]
        bad = [f'{ref}: {number}' for ref, number in zip(sample['images'], found, strict=True) if isinstance(number, Reason)]
        numbers = [] if bad else [number for number in found if isinstance(number, int)]
        ids = [self._index.id(n) for n in numbers]
        texts = [turn['text'] for turn in sample['turns']]
        hit = self.hits.verdict(texts, numbers)
        if hit:
            writer.counts[f'hit/{hit["bench"]}'] += 1
        return {
            'sample_id': sample['sample_id'], 'source': sample['source'], 'licence': sample['licence'],
            'image_ids': ids, 'images': numbers,
            'content_sha': _sha([texts, ids]).hexdigest(),
            'words': _sha([normalise(text) for text in texts]).digest()[:16],
            'lot': lot(f'{self.seed}/{sample["sample_id"]}'),
            'n_bytes': sum(int(self._index.n_bytes[n]) for n in numbers) + sum(len(text.encode()) for text in texts),
            'bad_image': '; '.join(bad), 'contamination': json.dumps(hit, sort_keys=True) if hit else '',
        }


@dataclass
class AddStars(ShardStep):
    """Writes `part` (FEATURES) aligned row by row with one part of DESCRIBED. `same_as` is equal for equal words about pictures of equal stars."""

    index: str
    stars: str

    def setup(self) -> None:
        self._index = ImageIndex(Path(self.index))
        self._survivor = np.load(Path(self.stars) / 'survivor.npy', mmap_mode='r')

    def process(self, shard: str, writer: ShardWriter) -> None:
        described = pq.read_table(shard, schema=DESCRIBED)
        stars = [self._survivor[numbers].tolist() for numbers in described['images'].to_pylist()]
        ids = [[self._index.id(star) for star in of_sample] for of_sample in stars]
        same = [_sha([words.hex(), of_sample]).digest()[:16] for words, of_sample in zip(described['words'].to_pylist(), ids, strict=True)]
        columns = {name: described[name] for name, _ in COMMON} | {'stars': stars, 'cluster_ids': ids, 'same_as': same}
        writer.write('part', pa.table(columns, FEATURES))


def _sha(value: object):
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, separators=(',', ':')).encode())
