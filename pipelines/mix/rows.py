"""The rows of the mix snapshot, image bytes included, one output shard at a time."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.rows.formats import IMAGE
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot.parquet import parquet_options, row_groups
from pipelines.snapshot.picked import BLOCK_ROWS, rows_in_order
from pipelines.sources.images import ImageStore, ImageTooManyBytes, ImageUnavailable
from schemas.errors import UserError
from schemas.records import MIX_ROWS


def content_parts(text: str) -> list[dict]:
    """Return TRL content parts of a turn: an image part for each `<image>`, text parts between, blank ends trimmed."""
    parts: list[dict] = []
    for at, piece in enumerate(text.split(IMAGE)):
        if at:
            parts.append({'type': 'image', 'text': None})
        if piece.strip():
            parts.append({'type': 'text', 'text': piece.strip()})
    return parts


@dataclass(frozen=True)
class WriteMix(Step):
    """Writes `part` (MIX_ROWS) of one output shard; the shard number picks its rows from the plan."""

    TABLE = 'mix_rows'
    VERSION = 1

    plan: Table
    samples: tuple[Table, ...]
    features: Table
    revisions: dict[str, str]
    answers: Mapping[str, str]
    store: Place[ImageStore]
    schema: Place[pa.Schema]  # MIX_ROWS and what `datasets` adds, which takes seconds to import: made once, by the programme

    def shards(self) -> range:
        return range(self.plan.counts()['shards'])

    @cached_property
    def _samples(self) -> list[Path]:
        return [path for table in self.samples for path in table.parts()]

    @cached_property
    def _features(self) -> list[Path]:
        return self.features.parts()

    def process(self, shard: int, writer: ShardWriter) -> None:
        plan = pq.read_table(self.plan.parts()[0], filters=[('shard', '=', shard)])
        rows = ((self._row(sample, features), features['n_bytes']) for sample, features in self._picked(plan))
        for group in row_groups(rows, MIX_ROWS):
            writer.write('part', group.cast(self.schema), **parquet_options(self.schema))
            del group  # before the next one is made

    def _picked(self, plan: pa.Table) -> Iterator[tuple[dict, dict]]:
        """Yield (sample, features) in plan order; a block of rows is held at a time, from the parts it needs."""
        wanted = plan.select(['part', 'row']).to_pandas()
        for start in range(0, len(wanted), BLOCK_ROWS):
            by_part = wanted[start : start + BLOCK_ROWS].reset_index(drop=True).sort_values(['part', 'row'])
            in_order = np.argsort(by_part.index)
            samples, features = (rows_in_order(paths, by_part, in_order) for paths in (self._samples, self._features))
            yield from zip(samples, features, strict=True)

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
