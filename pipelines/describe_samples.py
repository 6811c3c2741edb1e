"""What selection needs to know of each sample: its images by id, their stars, benchmark hits and the hash of its content."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.select import lot
from curation.textmatch import normalise
from pipelines.contamination import BenchmarkHits
from pipelines.image_index import ImageIndex
from pipelines.steps import ShardStep
from pipelines.tables import ShardWriter
from schemas.records import STRINGS, Reason

VERSION = 2
FEATURES = pa.schema([
    ('sample_id', pa.string()), ('source', pa.string()), ('licence', pa.string()), ('image_ids', STRINGS), ('cluster_ids', STRINGS),
    ('content_sha', pa.string()), ('same_as', pa.binary(16)), ('cluster', pa.int64()), ('lot', pa.uint64()), ('n_bytes', pa.int64()),
    ('bad_image', pa.string()), ('contamination', pa.string()),
])


@dataclass
class DescribeSamples(ShardStep):
    """Writes `part` (FEATURES) aligned row by row with one part of the samples."""

    index: str
    stars: str
    hits: BenchmarkHits
    seed: str

    def setup(self) -> None:
        self._index = ImageIndex(Path(self.index))
        self._survivor = np.load(Path(self.stars) / 'survivor.npy', mmap_mode='r')
        self.hits.setup()

    def process(self, shard: str, writer: ShardWriter) -> None:
        rows = [self._describe(sample, writer) for sample in pq.read_table(shard).to_pylist()]
        writer.write('part', pa.Table.from_pylist(rows, FEATURES))

    def _describe(self, sample: dict, writer: ShardWriter) -> dict:
        found = [self._index.number(reference) for reference in sample['images']]
        bad = [f'{ref}: {number}' for ref, number in zip(sample['images'], found, strict=True) if isinstance(number, Reason)]
        numbers = [] if bad else [number for number in found if isinstance(number, int)]
        clusters = [int(self._survivor[number]) for number in numbers]
        ids, cluster_ids = [self._index.id(n) for n in numbers], [self._index.id(n) for n in clusters]
        texts = [turn['text'] for turn in sample['turns']]
        hit = self.hits.verdict(texts, numbers)
        if hit:
            writer.counts[f'hit/{hit["bench"]}'] += 1
        return {
            'sample_id': sample['sample_id'], 'source': sample['source'], 'licence': sample['licence'],
            'image_ids': ids, 'cluster_ids': cluster_ids,
            'content_sha': _sha([texts, ids]).hexdigest(),
            'same_as': _sha([[normalise(text) for text in texts], cluster_ids]).digest()[:16],
            'cluster': clusters[0] if clusters else -1, 'lot': lot(f'{self.seed}/{sample["sample_id"]}'),
            'n_bytes': sum(int(self._index.n_bytes[n]) for n in numbers) + sum(len(text.encode()) for text in texts),
            'bad_image': '; '.join(bad), 'contamination': json.dumps(hit, sort_keys=True) if hit else '',
        }


def _sha(value: object):
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, separators=(',', ':')).encode())
