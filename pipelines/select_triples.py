"""The decision on every candidate from its stored scores, and the order and output shard of those kept. No text, no model call.

A new margin costs this step and the writing of the snapshot, nothing else.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from curation.select import lot
from pipelines.explain_rejections import OUT
from pipelines.steps import ShardStep
from pipelines.tables import ShardWriter
from schemas.records import Reason, Unit

VERSION = 2
STEP = 'select'
PLAN = pa.schema([('split', pa.string()), ('shard', pa.int32()), ('file', pa.int32()), ('row', pa.int64()), ('part', pa.int32()), ('at', pa.int32())])


@dataclass
class SelectTriples(ShardStep):
    """Writes `part` (PLAN: kept candidates in mix order) and `out` (OUT: the others with their reasons). One shard."""

    candidates: list[str]
    verdicts: list[str]
    margin: float
    per_sample: int | None
    shard_bytes: int
    seed: str

    def process(self, shard: int, writer: ShardWriter) -> None:
        columns = ['candidate_id', 'sample_id', 'source', 'split', 'file', 'row', 'n_bytes']
        table = _read(self.candidates, columns).join(_read(self.verdicts, ['score', 'reason', 'detail', 'judge']))
        is_low = (table['reason'] == '') & (table['score'] <= self.margin)
        detail = [f'score {score:.6g} is not above the margin {self.margin:g}' for score in table.loc[is_low, 'score']]
        table.loc[is_low, 'reason'] = str(Reason.LOW_MARGIN)
        table.loc[is_low, 'detail'] = detail
        if self.per_sample is not None:
            self._cap(table)
        out = table[table['reason'] != '']
        explained = {'part': out['part'], 'row': out['at'], 'reason': out['reason'], 'detail': out['detail']}
        writer.write('out', pa.Table.from_pydict(explained, OUT))
        kept = table[table['reason'] == '']
        for source, n in kept['source'].value_counts(sort=False).items():
            writer.count_kept(Unit.CANDIDATE, source, int(n))
        plan = self._plan(kept)
        writer.counts['shards'] = int(plan['shard'].max()) + 1 if len(plan) else 0
        writer.counts['bytes'] = int(kept['n_bytes'].sum())
        writer.write('part', pa.Table.from_pandas(plan, PLAN, preserve_index=False))

    def _cap(self, table: pd.DataFrame) -> None:
        open_ = table[table['reason'] == ''].copy()
        open_['lot'] = [lot(f'{self.seed}/triple/{candidate}') for candidate in open_['candidate_id']]
        rank = open_.groupby('sample_id')['lot'].rank(method='first')
        surplus = rank[rank > self.per_sample].index
        table.loc[surplus, 'reason'] = str(Reason.SURPLUS)
        table.loc[surplus, 'detail'] = f'more than {self.per_sample} accepted for its sample'

    def _plan(self, kept: pd.DataFrame) -> pd.DataFrame:
        kept = kept.sort_values(['split', 'file', 'row', 'candidate_id'], kind='stable').copy()
        filled = kept.groupby('split')['n_bytes'].cumsum() - 1
        kept['shard'] = filled // self.shard_bytes
        kept['shard'] = kept.groupby(['split', 'shard'], sort=True).ngroup().astype(np.int32)
        return kept[PLAN.names]


def _read(paths: list[str], columns: list[str]) -> pd.DataFrame:
    parts = [pq.read_table(path, columns=columns) for path in paths]
    table = pa.concat_tables(parts).to_pandas()
    if 'candidate_id' in columns:
        table['part'] = np.repeat(np.arange(len(parts)), [part.num_rows for part in parts]).astype(np.int32)
        table['at'] = table.groupby('part').cumcount().astype(np.int32)
    return table
