"""Which samples of a mix get candidates, from which prompts, and a pool of other answers per source for the rules. One shard."""

import heapq
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from curation.formats import IMAGE
from curation.select import lot
from pipelines.mix_rows import text_of
from pipelines.steps import ShardStep
from pipelines.tables import ShardWriter, write_json
from schemas.recipe import Recipe
from schemas.records import STRINGS, Reason, Rejection, Unit

VERSION = 1
STEP = 'pick'
GROUP_ROWS = 64  # samples whose candidates are made, judged and stored together: what a killed build asks again is at most their in-flight part
POOL = 400  # other answers per source a rule may draw from, lowest lot first
PICKS = pa.schema(
    [
        ('sample_id', pa.string()),
        ('source', pa.string()),
        ('split', pa.string()),
        ('file', pa.int32()),
        ('row', pa.int64()),
        ('n_bytes', pa.int64()),
        ('prompts', STRINGS),
    ]
)


@dataclass
class PickSamples(ShardStep):
    """Writes `part` (PICKS, GROUP_ROWS to a row group, in mix order), a rejection for each sample not picked, and `pool.json`."""

    shards: list[tuple[str, str]]  # (split, file)
    recipe: Recipe

    def process(self, shard: int, writer: ShardWriter) -> None:
        rows = pd.concat([self._ids(number, split, file) for number, (split, file) in enumerate(self.shards)], ignore_index=True)
        rows['lot'] = [lot(f'{self.recipe.mix.seed}/pick/{sample_id}') for sample_id in rows['sample_id']]
        rows['rank'] = rows.groupby('source')['lot'].rank(method='first').astype(int)
        allowed = rows['source'].map(self.recipe.triples.max_samples).fillna(len(rows))
        rows['prompts'] = [[] for _ in range(len(rows))]
        for number, generator in enumerate(self.recipe.generate):
            eligible = rows[(rows['rank'] <= allowed) & (rows['source'].isin(generator.sources) if generator.sources else True)]
            if generator.max_samples is not None:
                eligible = eligible.nsmallest(generator.max_samples, 'lot')
            for at in eligible.index:
                rows.at[at, 'prompts'] = [*rows.at[at, 'prompts'], str(number)]
        picked = rows['prompts'].str.len() > 0
        for source, n in rows['source'].value_counts(sort=False).items():
            writer.count_in(Unit.SAMPLE, source, int(n))
            writer.count_kept(Unit.SAMPLE, source, int((picked & (rows['source'] == source)).sum()))
        for row in rows[~picked].itertuples():
            writer.reject(Rejection(Unit.SAMPLE, row.sample_id, row.source, STEP, Reason.OVER_QUOTA, f'no prompt has room for it; lot {row.lot}'))
        kept = rows.loc[picked, PICKS.names]
        for start in range(0, len(kept), GROUP_ROWS):
            writer.write('part', pa.Table.from_pandas(kept.iloc[start : start + GROUP_ROWS], PICKS, preserve_index=False))
        writer.counts['groups'] = -(-len(kept) // GROUP_ROWS)
        write_json(writer.folder / 'pool.json', self._pool())

    def _ids(self, number: int, split: str, file: str) -> pd.DataFrame:
        ids = pq.read_table(file, columns=['sample_id', 'source', 'n_bytes']).to_pandas()
        return ids.assign(split=split, file=np.int32(number), row=np.arange(len(ids)))

    def _pool(self) -> dict[str, list[list[str]]]:
        """Return, per source, [question, answer] of the POOL samples with the lowest lots."""
        heaps: dict[str, list] = {name: [] for name in self.recipe.sources}
        for _, file in self.shards:
            with pq.ParquetFile(file) as opened:
                for batch in opened.iter_batches(batch_size=1000, columns=['sample_id', 'source', 'messages']):
                    for row in batch.to_pylist():
                        entry = (-lot(f'{self.recipe.mix.seed}/pool/{row["sample_id"]}'), row['sample_id'], row['messages'])
                        heap = heaps[row['source']]
                        heapq.heappush(heap, entry) if len(heap) < POOL else heapq.heappushpop(heap, entry)
        return {source: [last_exchange(messages) for _, _, messages in sorted(heap, key=_by_lot)] for source, heap in heaps.items()}


def _by_lot(entry: tuple) -> tuple:
    return -entry[0], entry[1]


def last_exchange(messages: list[dict]) -> list[str]:
    """Return [question, answer]: the last user and assistant message of a conversation, without image marks."""
    return [text_of(message).replace(IMAGE, '').strip() for message in messages[-2:]]


def read_pool(path: Path) -> dict[str, list[list[str]]]:
    """Return what PickSamples wrote to `pool.json`."""
    return json.loads(path.read_text())
