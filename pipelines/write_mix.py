"""The rows of the mix snapshot, image bytes included, one output shard at a time."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from curation.formats import IMAGE
from pipelines.images import ImageStore, ImageTooManyBytes, ImageUnavailable
from pipelines.steps import ShardStep
from pipelines.tables import ShardWriter
from pipelines.write_parquet import ROW_GROUP_BYTES, parquet_options
from schemas.errors import UserError
from schemas.records import MIX_ROWS, rows_table

VERSION = 1


def content_parts(text: str) -> list[dict]:
    """Return TRL content parts of a turn: an image part for each `<image>`, text parts between, blank ends trimmed."""
    parts: list[dict] = []
    for at, piece in enumerate(text.split(IMAGE)):
        if at:
            parts.append({'type': 'image', 'text': None})
        if piece.strip():
            parts.append({'type': 'text', 'text': piece.strip()})
    return parts


@dataclass
class WriteMix(ShardStep):
    """Writes `part` (MIX_ROWS) of one output shard; the shard number picks its rows from the plan."""

    plan: str
    samples: list[str]
    features: list[str]
    store: ImageStore
    revisions: dict[str, str]
    answers: dict[str, str]
    schema: pa.Schema

    def process(self, shard: int, writer: ShardWriter) -> None:
        plan = pq.read_table(self.plan, filters=[('shard', '=', shard)])
        rows, size = [], 0
        for sample, features in self._picked(plan):
            row = self._row(sample, features)
            size += features['n_bytes']
            rows.append(row)
            if size >= ROW_GROUP_BYTES:
                self._write(rows, writer)
                rows, size = [], 0
        if rows:
            self._write(rows, writer)

    def _write(self, rows: list[dict], writer: ShardWriter) -> None:
        table = rows_table(rows, MIX_ROWS).cast(self.schema)
        writer.write('part', table, **parquet_options(self.schema))

    def _picked(self, plan: pa.Table) -> Iterator[tuple[dict, dict]]:
        """Yield (sample, features) in plan order; only the parts this shard needs are read, text and all, one by one."""
        wanted = plan.select(['part', 'row']).to_pandas()
        found: dict[tuple[int, int], tuple[dict, dict]] = {}
        for part, rows in wanted.groupby('part')['row']:
            take = rows.to_numpy()
            pair = (pq.read_table(self.samples[part]).take(take).to_pylist(), pq.read_table(self.features[part]).take(take).to_pylist())
            found.update({(part, row): both for row, *both in zip(take.tolist(), *pair, strict=True)})
        for part, row in wanted.itertuples(index=False):
            sample, features = found.pop((part, row))
            yield sample, features

    def _row(self, sample: dict, features: dict) -> dict:
        images = [{'bytes': self._bytes(reference, image_id), 'path': image_id}
                  for reference, image_id in zip(sample['images'], features['image_ids'], strict=True)]
        return {
            'images': images,
            'messages': [{'role': turn['role'], 'content': content_parts(turn['text'])} for turn in sample['turns']],
            **{name: sample[name] for name in ('sample_id', 'source', 'category', 'licence', 'file', 'ordinal')},
            **{name: features[name] for name in ('image_ids', 'cluster_ids', 'content_sha', 'contamination', 'n_bytes')},
            'revision': self.revisions[sample['source']], 'answers': self.answers[sample['source']],
        }

    def _bytes(self, reference: str, image_id: str) -> bytes:
        try:
            data = self.store.read(reference)
        except (ImageUnavailable, ImageTooManyBytes) as e:
            raise UserError(f'image {reference}: it was there when it was checked and is not now ({e}); restore it or build again') from e
        if hashlib.sha256(data).hexdigest() != image_id:
            raise UserError(f'image {reference}: expected sha256 {image_id}, found other bytes; it changed during the build: build again')
        return data
