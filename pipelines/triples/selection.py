"""The decision on every candidate from its stored scores, and the order and output shard of those kept. No model call.

A new margin costs this step and the writing of the snapshot, nothing else.
"""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pandas.util import hash_array

from curation.selection.select import lot
from curation.verdicts.mass import has_few_others, mass_texts
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot.rejections import OUT, write_out
from pipelines.triples.picks import pick_lot
from pipelines.triples.verdicts import COMPUTED
from schemas.recipe import Recipe
from schemas.records import Reason, Unit

STEP = 'select'
CANDIDATE_COLUMNS = ['candidate_id', 'sample_id', 'source', 'split', 'file', 'row', 'n_bytes', 'differs_at', 'chosen', 'rejected']
AROUND = ' \t\r\n.,;:!?"\'`*_()[]{}<>'  # of an answer: makes no other text of one that comes in masses
PLAN = pa.schema([('split', pa.string()), ('shard', pa.int32()), ('file', pa.int32()), ('row', pa.int64()), ('part', pa.int32()), ('at', pa.int32())])


@dataclass(frozen=True)
class SelectTriples(Step):
    """Writes `part` (PLAN: kept candidates in mix order) and `out` (OUT: the others with their reasons). One shard."""

    TABLE = 'triple_plan'
    VERSION = 4

    candidates: tuple[Table, ...]
    verdicts: tuple[Table, ...]
    margin: float
    differ_within: int | None  # words and signs
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
        table = _read(self.candidates, CANDIDATE_COLUMNS).join(_read(self.verdicts, ['score', 'scores', 'reason', 'detail', 'judge']))
        agreement = self._agree(table) if self.second is not None else {}
        is_low = (table['reason'] == '') & ~_above(table, self.margin)
        detail = [f'score {score:.6g} is not above the margin {self.margin:g}' for score in table.loc[is_low, 'score']]
        table.loc[is_low, 'reason'] = str(Reason.LOW_MARGIN)
        table.loc[is_low, 'detail'] = detail
        if self.differ_within is not None:
            self._early(table, self.differ_within)
        self._no_mass(table)
        if self.per_sample is not None:
            self._cap(table)
        return table, agreement

    def _early(self, table: pd.DataFrame, within: int) -> None:
        late = (table['reason'] == '') & (table['differs_at'] >= within)
        table.loc[late, 'detail'] = [f'the first {n} words and signs are the same, the recipe wants a difference within {within}'
                                     for n in table.loc[late, 'differs_at']]  # fmt: skip
        table.loc[late, 'reason'] = str(Reason.DIFFERS_LATE)

    def _no_mass(self, table: pd.DataFrame) -> None:
        """Reject the texts that are too many of a source's accepted answers."""
        for source, rows in table.groupby('source', sort=True):
            accepted = rows[rows['reason'] == '']
            for key in self._masses(accepted, rows['right'].to_numpy()):
                same = accepted.index[accepted['wrong'] == key]
                table.loc[same, 'reason'] = str(Reason.MASS_ANSWER)
                text = self._text(accepted.loc[same[0]])
                table.loc[same, 'detail'] = f'{len(same)} of {len(accepted)} accepted answers of {source} read {text[:200]!r}'

    def _masses(self, accepted: pd.DataFrame, right: np.ndarray) -> list[int]:
        """Return the keys of the texts that are too many; those whose form leaves hardly another text are spared."""
        spared: frozenset[int] = frozenset()
        while found := mass_texts(accepted['wrong'].to_numpy(), right, spared):
            closed = frozenset(key for key in found if has_few_others(self._text(accepted[accepted['wrong'] == key].iloc[0])))
            if not closed:
                break
            spared |= closed
        return found

    def _text(self, row: pd.Series) -> str:
        paths = [path for table in self.candidates for path in table.parts()]
        return pq.read_table(paths[row['part']], columns=['rejected'])['rejected'][int(row['at'])].as_py()

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
        candidates, verdicts, recipe.judge.margin, recipe.triples.differ_within, recipe.triples.per_sample, dict(recipe.triples.exactly),
        (second.margin, second.must_agree) if second else None, recipe.mix.shard_mb * 1_000_000, recipe.mix.seed)  # fmt: skip


def _above(table: pd.DataFrame, margin: float) -> pd.Series:
    """Return which verdicts pass the margin; a computed answer is right or wrong at any margin."""
    return (table['score'] > margin) | (table['judge'] == COMPUTED)


def _read(tables: tuple[Table, ...], columns: list[str]) -> pd.DataFrame:
    parts = [_with_keys(pq.read_table(path, columns=columns)) for table in tables for path in table.parts()]
    table = pa.concat_tables(parts).to_pandas()
    if 'candidate_id' in columns:
        table['part'] = np.repeat(np.arange(len(parts)), [part.num_rows for part in parts]).astype(np.int32)
        table['at'] = table.groupby('part').cumcount().astype(np.int32)
    return table


def _with_keys(part: pa.Table) -> pa.Table:
    """Return a part with a key of eight bytes in the place of each answer: equal for texts that differ in case and marks around them only."""
    for name, key in (('chosen', 'right'), ('rejected', 'wrong')):
        if name in part.column_names:
            plain = pc.utf8_trim(pc.utf8_lower(part[name]), characters=AROUND).to_numpy(zero_copy_only=False)
            keys = pa.array(hash_array(plain.astype(object), categorize=False), pa.uint64())
            part = part.drop_columns(name).append_column(key, keys)
    return part
