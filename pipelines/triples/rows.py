"""The rows of the triples snapshot: a mix row's pictures and prompt, its answer, and one accepted wrong answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot.mix_rows import read_rows
from pipelines.snapshot.parquet import parquet_options, row_groups
from pipelines.snapshot.picked import BLOCK_ROWS, rows_in_order
from schemas.records import TRIPLE_ROWS

FROM_MIX = ('sample_id', 'source', 'category', 'licence', 'image_ids', 'cluster_ids', 'contamination', 'revision', 'file', 'ordinal')


@dataclass(frozen=True)
class WriteTriples(Step):
    """Writes `part` (TRIPLE_ROWS) of one output shard; mix rows come in mix order, so each row group is opened once."""

    TABLE = 'triple_rows'
    VERSION = 2

    plan: Table
    candidates: tuple[Table, ...]
    verdicts: tuple[Table, ...]
    mix: Place[tuple[str, ...]]
    schema: Place[pa.Schema]  # TRIPLE_ROWS and what `datasets` adds, which takes seconds to import: made once, by the programme

    def shards(self) -> range:
        return range(self.plan.counts()['shards'])

    @cached_property
    def _judged(self) -> tuple[list[Path], list[Path]]:
        """Return the parts of the candidates and of the verdicts, aligned."""
        return [path for table in self.candidates for path in table.parts()], [path for table in self.verdicts for path in table.parts()]

    def process(self, shard: int, writer: ShardWriter) -> None:
        plan = pq.read_table(self.plan.parts()[0], filters=[('shard', '=', shard)])
        rows = ((_triple(mix_row, candidate, verdict), candidate['n_bytes']) for mix_row, candidate, verdict in self._joined(plan))
        for group in row_groups(rows, TRIPLE_ROWS):
            writer.write('part', group.cast(self.schema), **parquet_options(self.schema))
            del group  # before the next one is made

    def _joined(self, plan: pa.Table) -> Iterator[tuple[dict, dict, dict]]:
        """Yield (mix row, candidate, verdict) in plan order, a block of rows at a time."""
        plan_rows = plan.select(['file', 'row', 'part', 'at']).to_pandas()
        for start in range(0, len(plan_rows), BLOCK_ROWS):
            block = plan_rows[start : start + BLOCK_ROWS].reset_index(drop=True)
            by_part = block[['part', 'at']].rename(columns={'at': 'row'}).sort_values(['part', 'row'])
            in_order = np.argsort(by_part.index)
            judged = zip(*(rows_in_order(paths, by_part, in_order) for paths in self._judged), strict=True)
            for file, of_file in block.groupby('file', sort=False)['row']:
                mix_rows = read_rows(self.mix[file], sorted(set(of_file)))
                number, mix_row = next(mix_rows)
                for row in of_file:
                    while number != row:
                        number, mix_row = next(mix_rows)
                    candidate, verdict = next(judged)
                    assert mix_row['sample_id'] == candidate['sample_id'], 'a candidate stands at the place of its sample'
                    yield mix_row, candidate, verdict


def _triple(mix: dict, candidate: dict, verdict: dict) -> dict:
    answer = {'role': 'assistant', 'content': [{'type': 'text', 'text': candidate['rejected']}]}
    return {
        'images': mix['images'], 'prompt': mix['messages'][:-1], 'chosen': mix['messages'][-1:], 'rejected': [answer],
        'triple_id': candidate['candidate_id'], 'kind': candidate['kind'], 'generator': candidate['generator'],
        'judge': verdict['judge'], 'score': verdict['score'], 'scores': verdict['scores'], 'differs_at': candidate['differs_at'],
        'reply_keys': [key for key in [candidate['reply_key'], *verdict['reply_keys']] if key],
        **{name: mix[name] for name in FROM_MIX},
    }
