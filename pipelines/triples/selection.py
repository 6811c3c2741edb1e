"""The decision on every candidate from its stored scores, and the order and output shard of those kept. No model call.

A new margin costs this step and the writing of what changed in the snapshot, nothing else.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from curation.calibration.shortcut import MAX_ROWS
from curation.verdicts.lateness import histogram
from curation.verdicts.mass import has_few_others, mass_texts
from pipelines.engine.step import Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.excluded import UNKNOWN, tags_by_id
from pipelines.snapshot.rejections import OUT, write_out
from pipelines.triples.judged import JUDGED
from pipelines.triples.rows import parts_of
from schemas.recipe import Recipe
from schemas.records import Reason, Unit

STEP = 'select'
COLUMNS = [name for name in JUDGED.names if name != 'digest']
REPEATED = ['source', 'split']
PLAN = pa.schema([
    ('split', pa.string()), ('file', pa.int32()), ('row', pa.int64()), ('part', pa.int32()), ('at', pa.int32()), ('n_bytes', pa.int64()),
    ('shard', pa.int32()),
])  # fmt: skip
SHARDS = pa.schema([('split', pa.string()), ('chosen', pa.string())])  # digest of where the rows of an output shard stand in the candidates
AUDITED = pa.schema([('source', pa.string()), ('part', pa.int32()), ('at', pa.int32())])
PLACES = pa.schema([('source', pa.string()), ('triples', pa.list_(pa.int64()))])  # histogram of differs_at


@dataclass(frozen=True)
class SelectTriples(Step):
    """Writes `part` (PLAN: kept candidates in mix order), `shards` (SHARDS), `audited` (AUDITED: those by whose answers the shortcut audit goes),
    `places` (PLACES) and `out` (OUT: candidates that are not kept, with their reasons). One shard.

    Where an output shard ends is decided over all candidates, so that one that is kept or not moves nothing in other shards.
    """

    TABLE = 'triple_plan'
    VERSION = 5

    candidates: tuple[Table, ...]
    judged: tuple[Table, ...]
    margin: float
    differ_within: int | None  # words and signs
    per_sample: int | None
    exactly: dict[str, int]
    second: tuple[float, bool] | None  # margin of the second judge, and whether it must agree
    shard_bytes: int
    excluded: tuple[Table, ...] = ()  # EXCLUDED, one where lists name what is left out

    def process(self, shard: int, writer: ShardWriter) -> None:
        table, agreement = self._decided()
        writer.counts.update(agreement)
        for source, wanted in self.exactly.items():
            self._first(table, source, wanted)
        self._write_unknown(table, writer)
        out = table[table['reason'] != '']
        explained = {'part': out['part'], 'row': out['at'], 'reason': out['reason'], 'detail': out['detail']}
        write_out(writer, pa.Table.from_pydict(explained, OUT))
        kept = table[table['reason'] == '']
        for source, n in kept['source'].value_counts(sort=False).items():
            if n:
                writer.count_kept(Unit.CANDIDATE, source, int(n))
        self._write_plan(table, writer)
        _write_audited(kept, writer)
        _write_places(kept, writer)

    def short(self) -> dict[str, int]:
        """Return, for each source that wants an exact number and has fewer accepted candidates so far, how many it has."""
        if not self.exactly:
            return {}
        table, _ = self._decided()
        accepted = table[table['reason'] == '']['source'].value_counts()
        return {source: int(accepted.get(source, 0)) for source, wanted in self.exactly.items() if accepted.get(source, 0) < wanted}

    def _decided(self) -> tuple[pd.DataFrame, dict[str, int]]:
        """Return the candidates, those not accepted with a reason, and how often the second judge was asked and agreed."""
        table = _read(self.judged)
        agreement = self._agree(table) if self.second is not None else {}
        self._leave_out(table)
        is_low = (table['reason'] == '') & ~_above(table, self.margin)
        detail = [f'score {score:.6g} is not above the margin {self.margin:g}' for score in table.loc[is_low, 'score']]
        table.loc[is_low, 'reason'] = str(Reason.LOW_MARGIN)
        table.loc[is_low, 'detail'] = detail
        if self.differ_within is not None:
            self._early(table, self.differ_within)
        self._no_mass(table)
        if self.per_sample is not None:
            self._cap(table, self.per_sample)
        return table, agreement

    def _leave_out(self, table: pd.DataFrame) -> None:
        for ids in self._ids():
            tags = tags_by_id(self.excluded)
            named = (table['reason'] == '') & ids.isin(tags)
            table.loc[named, 'detail'] = [f'tagged {tags[each]}' for each in ids[named]]
            table.loc[named, 'reason'] = str(Reason.EXCLUDED)

    def _ids(self) -> Iterator[pd.Series]:
        """Yield the ids of all candidates, once where lists name some of them."""
        if self.excluded:
            parts = [pq.read_table(path, columns=['candidate_id'])['candidate_id'].to_pandas() for path in parts_of(self.candidates)]
            yield pd.concat(parts, ignore_index=True)

    def _write_unknown(self, table: pd.DataFrame, writer: ShardWriter) -> None:
        """Write the listed ids that are as those of candidates of a picked sample, and of none."""
        for ids in self._ids():
            known = set(ids)
            samples = {each.rpartition('/')[0] for each in known}
            unknown = [each for each in tags_by_id(self.excluded) if each not in known and each not in samples and each.rpartition('/')[0] in samples]
            writer.write('unknown', pa.table({'id': unknown}, UNKNOWN))
            writer.counts['excluded'] = int((table['reason'] == str(Reason.EXCLUDED)).sum())

    def _early(self, table: pd.DataFrame, within: int) -> None:
        late = (table['reason'] == '') & (table['differs_at'] >= within)
        table.loc[late, 'detail'] = [f'the first {n} words and signs are the same, the recipe wants a difference within {within}'
                                     for n in table.loc[late, 'differs_at']]  # fmt: skip
        table.loc[late, 'reason'] = str(Reason.DIFFERS_LATE)

    def _no_mass(self, table: pd.DataFrame) -> None:
        """Reject the texts that are too many of a source's accepted answers."""
        for source, rows in table.groupby('source', sort=True, observed=True):
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
        return pq.read_table(parts_of(self.candidates)[row['part']], columns=['rejected'])['rejected'][int(row['at'])].as_py()

    def _cap(self, table: pd.DataFrame, per_sample: int) -> None:
        open_ = table[table['reason'] == '']
        rank = open_.groupby(['file', 'row'])['cap_lot'].rank(method='first')
        surplus = rank[rank > per_sample].index
        table.loc[surplus, 'reason'] = str(Reason.SURPLUS)
        table.loc[surplus, 'detail'] = f'more than {per_sample} accepted for its sample'

    def _agree(self, table: pd.DataFrame) -> dict[str, int]:
        """Return how often the second judge agrees at its margin; reject where it does not and must."""
        assert self.second is not None, 'the recipe names a second judge'
        scores = table['second']
        judged = (table['reason'] == '') & ~table['is_computed']
        agree = _above(table, self.margin) == (scores > self.second[0])
        against = judged & (scores <= self.second[0]) & self.second[1]
        table.loc[against, 'detail'] = [_against(score, self.second[0]) for score in scores[against]]
        table.loc[against, 'reason'] = str(Reason.JUDGES_DISAGREE)
        return {'judges_agree': int((judged & agree).sum()), 'judges_asked_twice': int(judged.sum())}

    def _first(self, table: pd.DataFrame, source: str, wanted: int) -> None:
        """Keep the first `wanted` accepted candidates of a source by the lot of their samples, whatever came back first."""
        open_ = table.loc[(table['reason'] == '') & (table['source'] == source), ['pick_lot', 'nth']]
        surplus = open_.sort_values(['pick_lot', 'nth'], kind='stable').index[wanted:]
        table.loc[surplus, 'reason'] = str(Reason.SURPLUS)
        table.loc[surplus, 'detail'] = f'the recipe wants exactly {wanted} of {source}; lower lots have them'

    def _write_plan(self, table: pd.DataFrame, writer: ShardWriter) -> None:
        """Write which candidates stand in which output shard; those without a kept one are left out."""
        ordered = table[[*PLAN.names[:-1], 'nth', 'reason']].sort_values(['split', 'file', 'row', 'nth'], kind='stable')
        filled = ordered.groupby('split', observed=True)['n_bytes'].cumsum() - 1
        kept = ordered.assign(shard=filled // self.shard_bytes)[ordered['reason'] == '']
        kept['shard'] = kept.groupby(['split', 'shard'], sort=True, observed=True).ngroup().astype(np.int32)
        shards = []
        writer.write('part', PLAN.empty_table())
        for _, rows in kept.groupby('shard', sort=True):  # a row group each
            writer.write('part', pa.Table.from_pandas(rows[PLAN.names], PLAN, preserve_index=False))
            where = hashlib.sha256(rows[['part', 'at']].to_numpy(np.int32).tobytes())
            shards.append({'split': rows['split'].iloc[0], 'chosen': where.hexdigest()})
        writer.write('shards', pa.Table.from_pylist(shards, SHARDS))
        writer.counts['shards'] = len(shards)
        writer.counts['bytes'] = int(kept['n_bytes'].sum())


def _against(score: float, margin: float) -> str:
    return 'the second judge gave no score' if score == float('-inf') else f'the second judge scores {score:.6g}, not above {margin:g}'


def selection(recipe: Recipe, candidates: tuple[Table, ...], judged: tuple[Table, ...], excluded: tuple[Table, ...] = ()) -> SelectTriples:
    """Return the step that decides on these candidates as the recipe says."""
    second = recipe.judge.second
    return SelectTriples(
        candidates, judged, recipe.judge.margin, recipe.triples.differ_within, recipe.triples.per_sample, dict(recipe.triples.exactly),
        (second.margin, second.must_agree) if second else None, recipe.mix.shard_mb * 1_000_000, excluded)  # fmt: skip


def _above(table: pd.DataFrame, margin: float) -> pd.Series:
    """Return which verdicts pass the margin; a computed answer is right or wrong at any margin."""
    return (table['score'] > margin) | table['is_computed']


def _write_audited(kept: pd.DataFrame, writer: ShardWriter) -> None:
    """Write, per source, the triples with the lowest lots, at most MAX_ROWS."""
    ordered = kept.sort_values(['source', 'audit_lot', 'nth'], kind='stable')
    lowest = ordered[ordered.groupby('source', observed=True).cumcount() < MAX_ROWS]
    writer.write('audited', pa.Table.from_pandas(lowest[AUDITED.names], AUDITED, preserve_index=False))


def _write_places(kept: pd.DataFrame, writer: ShardWriter) -> None:
    places = kept.groupby('source', sort=True, observed=True)['differs_at']
    found = [{'source': source, 'triples': histogram(of_source)} for source, of_source in places]
    writer.write('places', pa.Table.from_pylist(found, PLACES))


def _read(tables: tuple[Table, ...]) -> pd.DataFrame:
    """Return one narrow row per candidate, about 150 bytes: words that repeat are categories."""
    parts = [pq.read_table(path, columns=COLUMNS, read_dictionary=REPEATED) for path in parts_of(tables)]
    sizes = [part.num_rows for part in parts]
    table = pa.concat_tables(parts).unify_dictionaries().to_pandas(self_destruct=True, split_blocks=True)
    table['part'] = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    table['at'] = np.concatenate([np.arange(size, dtype=np.int32) for size in sizes])
    for name in REPEATED:  # sorted as words are, not by who came first
        table[name] = table[name].cat.reorder_categories(sorted(table[name].cat.categories))
    return table
