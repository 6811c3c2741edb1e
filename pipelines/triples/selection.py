"""The decision on every candidate from its stored scores, and the order and output shard of those kept. No text, no model call.

A new margin costs this step and the writing of the snapshot, nothing else.
"""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from curation.select import lot
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot.rejections import OUT, write_out
from pipelines.triples.picks import pick_lot
from pipelines.triples.verdicts import COMPUTED
from schemas.recipe import Recipe
from schemas.records import Reason, Unit

STEP = 'select'
PLAN = pa.schema([('split', pa.string()), ('shard', pa.int32()), ('file', pa.int32()), ('row', pa.int64()), ('part', pa.int32()), ('at', pa.int32())])


@dataclass(frozen=True)
class SelectTriples(Step):
    """Writes `part` (PLAN: kept candidates in mix order) and `out` (OUT: the others with their reasons). One shard."""

    TABLE = 'triple_plan'
    VERSION = 3

    candidates: tuple[Table, ...]
    verdicts: tuple[Table, ...]
    margin: float
    per_sample: int | None
    exactly: dict[str, int]
    second: tuple[float, bool] | None  # margin of the second judge, and whether it must agree
    shard_bytes: int
    seed: str

    def process(self, shard: int, writer: ShardWriter) -> None:
        table, agreement = self._decided()
        writer.counts.update(agreement)
        for source, wanted in self.exactly.items():
            self._first(table, source, wanted)
        out = table[table['reason'] != '']
        explained = {'part': out['part'], 'row': out['at'], 'reason': out['reason'], 'detail': out['detail']}
        write_out(writer, pa.Table.from_pydict(explained, OUT))
        kept = table[table['reason'] == '']
        for source, n in kept['source'].value_counts(sort=False).items():
            writer.count_kept(Unit.CANDIDATE, source, int(n))
        plan = self._plan(kept)
        writer.counts['shards'] = int(plan['shard'].max()) + 1 if len(plan) else 0
        writer.counts['bytes'] = int(kept['n_bytes'].sum())
        writer.write('part', pa.Table.from_pandas(plan, PLAN, preserve_index=False))

    def short(self) -> dict[str, int]:
        """Return, for each source that wants an exact number and has fewer accepted candidates so far, how many it has."""
        table, _ = self._decided()
        accepted = table[table['reason'] == '']['source'].value_counts()
        return {source: int(accepted.get(source, 0)) for source, wanted in self.exactly.items() if accepted.get(source, 0) < wanted}

    def _decided(self) -> tuple[pd.DataFrame, dict[str, int]]:
        """Return the candidates, those not accepted with a reason, and how often the second judge was asked and agreed."""
        columns = ['candidate_id', 'sample_id', 'source', 'split', 'file', 'row', 'n_bytes']
        table = _read(self.candidates, columns).join(_read(self.verdicts, ['score', 'scores', 'reason', 'detail', 'judge']))
        agreement = self._agree(table) if self.second is not None else {}
        is_low = (table['reason'] == '') & ~_above(table, self.margin)
        detail = [f'score {score:.6g} is not above the margin {self.margin:g}' for score in table.loc[is_low, 'score']]
        table.loc[is_low, 'reason'] = str(Reason.LOW_MARGIN)
        table.loc[is_low, 'detail'] = detail
        if self.per_sample is not None:
            self._cap(table)
        return table, agreement

    def _cap(self, table: pd.DataFrame) -> None:
        open_ = table[table['reason'] == ''].copy()
        open_['lot'] = [lot(f'{self.seed}/triple/{candidate}') for candidate in open_['candidate_id']]
        rank = open_.groupby('sample_id')['lot'].rank(method='first')
        surplus = rank[rank > self.per_sample].index
        table.loc[surplus, 'reason'] = str(Reason.SURPLUS)
        table.loc[surplus, 'detail'] = f'more than {self.per_sample} accepted for its sample'

    def _agree(self, table: pd.DataFrame) -> dict[str, int]:
        """Return how often the second judge agrees at its margin; reject where it does not and must."""
        assert self.second is not None, 'the recipe names a second judge'
        scores = pd.Series([json.loads(scores).get('second', float('-inf')) for scores in table['scores']], index=table.index)
        judged = (table['reason'] == '') & (table['judge'] != COMPUTED)
        agree = _above(table, self.margin) == (scores > self.second[0])
        against = judged & (scores <= self.second[0]) & self.second[1]
        table.loc[against, 'detail'] = [_against(score, self.second[0]) for score in scores[against]]
        table.loc[against, 'reason'] = str(Reason.JUDGES_DISAGREE)
        return {'judges_agree': int((judged & agree).sum()), 'judges_asked_twice': int(judged.sum())}

    def _first(self, table: pd.DataFrame, source: str, wanted: int) -> None:
        """Keep the first `wanted` accepted candidates of a source by the lot of their samples, whatever came back first."""
        open_ = table[(table['reason'] == '') & (table['source'] == source)].copy()
        open_['lot'] = [pick_lot(self.seed, sample_id) for sample_id in open_['sample_id']]
        surplus = open_.sort_values(['lot', 'candidate_id']).index[wanted:]
        table.loc[surplus, 'reason'] = str(Reason.SURPLUS)
        table.loc[surplus, 'detail'] = f'the recipe wants exactly {wanted} of {source}; lower lots have them'

    def _plan(self, kept: pd.DataFrame) -> pd.DataFrame:
        kept = kept.sort_values(['split', 'file', 'row', 'candidate_id'], kind='stable').copy()
        filled = kept.groupby('split')['n_bytes'].cumsum() - 1
        kept['shard'] = filled // self.shard_bytes
        kept['shard'] = kept.groupby(['split', 'shard'], sort=True).ngroup().astype(np.int32)
        return kept[PLAN.names]


def _against(score: float, margin: float) -> str:
    return 'the second judge gave no score' if score == float('-inf') else f'the second judge scores {score:.6g}, not above {margin:g}'


def selection(recipe: Recipe, candidates: tuple[Table, ...], verdicts: tuple[Table, ...]) -> SelectTriples:
    """Return the step that decides on these candidates as the recipe says."""
    second = recipe.judge.second
    return SelectTriples(
        candidates, verdicts, recipe.judge.margin, recipe.triples.per_sample, dict(recipe.triples.exactly),
        (second.margin, second.must_agree) if second else None, recipe.mix.shard_mb * 1_000_000, recipe.mix.seed)  # fmt: skip


def _above(table: pd.DataFrame, margin: float) -> pd.Series:
    """Return which verdicts pass the margin; a computed answer is right or wrong at any margin."""
    return (table['score'] > margin) | (table['judge'] == COMPUTED)


def _read(tables: tuple[Table, ...], columns: list[str]) -> pd.DataFrame:
    parts = [pq.read_table(path, columns=columns) for table in tables for path in table.parts()]
    table = pa.concat_tables(parts).to_pandas()
    if 'candidate_id' in columns:
        table['part'] = np.repeat(np.arange(len(parts)), [part.num_rows for part in parts]).astype(np.int32)
        table['at'] = table.groupby('part').cumcount().astype(np.int32)
    return table
