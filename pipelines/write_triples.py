"""The rows of the triples snapshot: a mix row's pictures and prompt, its answer, and one accepted wrong answer."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.mix_rows import read_rows
from pipelines.steps import ShardStep
from pipelines.tables import ShardWriter
from pipelines.write_parquet import ROW_GROUP_BYTES, parquet_options
from schemas.records import TRIPLE_ROWS, rows_table

VERSION = 1
FROM_MIX = ('sample_id', 'source', 'category', 'licence', 'image_ids', 'cluster_ids', 'contamination', 'revision', 'file', 'ordinal')


@dataclass
class WriteTriples(ShardStep):
    """Writes `part` (TRIPLE_ROWS) of one output shard; mix rows come in mix order, so each row group is opened once."""

    plan: str
    candidates: list[str]
    verdicts: list[str]
    mix: list[str]
    schema: pa.Schema

    def process(self, shard: int, writer: ShardWriter) -> None:
        plan = pq.read_table(self.plan, filters=[('shard', '=', shard)])
        rows, size = [], 0
        for mix_row, candidate, verdict in self._joined(plan):
            rows.append(_triple(mix_row, candidate, verdict))
            size += candidate['n_bytes']
            if size >= ROW_GROUP_BYTES:
                self._write(rows, writer)
                rows, size = [], 0
        if rows:
            self._write(rows, writer)

    def _write(self, rows: list[dict], writer: ShardWriter) -> None:
        writer.write('part', rows_table(rows, TRIPLE_ROWS).cast(self.schema), **parquet_options(self.schema))

    def _joined(self, plan: pa.Table) -> Iterator[tuple[dict, dict, dict]]:
        picked = {}
        wanted = plan.to_pandas()
        for part, at in wanted.groupby('part')['at']:
            take = at.to_numpy()
            both = zip(take.tolist(), pq.read_table(self.candidates[part]).take(take).to_pylist(),
                       pq.read_table(self.verdicts[part]).take(take).to_pylist(), strict=True)
            picked.update({(part, row): (candidate, verdict) for row, candidate, verdict in both})
        keys = wanted[['file', 'row', 'part', 'at']].itertuples(index=False, name=None)
        for file, of_file in itertools.groupby(keys, key=_first):
            entries = list(of_file)
            mix_rows = read_rows(self.mix[file], sorted({entry[1] for entry in entries}))
            number = -1
            mix_row: dict = {}
            for _, row, part, at in entries:
                if row != number:
                    number, mix_row = next(mix_rows)
                yield mix_row, *picked[part, at]


def _first(entry: tuple) -> int:
    return entry[0]


def _triple(mix: dict, candidate: dict, verdict: dict) -> dict:
    answer = {'role': 'assistant', 'content': [{'type': 'text', 'text': candidate['rejected']}]}
    return {
        'images': mix['images'], 'prompt': mix['messages'][:-1], 'chosen': mix['messages'][-1:], 'rejected': [answer],
        'triple_id': candidate['candidate_id'], 'kind': candidate['kind'], 'generator': candidate['generator'],
        'judge': verdict['judge'], 'score': verdict['score'], 'scores': verdict['scores'],
        'reply_keys': [key for key in [candidate['reply_key'], *verdict['reply_keys']] if key],
        **{name: mix[name] for name in FROM_MIX},
    }
