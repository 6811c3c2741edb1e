"""The rows of the triples snapshot: a mix row's pictures and prompt, its answer, and one accepted wrong answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot.parquet import ROW_GROUP_ROWS, cut_row_groups, write_row_groups
from pipelines.triples.mix_groups import MixGroups, Parts, whole
from schemas.models import WRONG_LABELS
from schemas.records import MESSAGES, PARTS, STRINGS, TRIPLE_ROWS

FROM_MIX = ('sample_id', 'source', 'category', 'licence', 'image_ids', 'cluster_ids', 'contamination', 'revision', 'file', 'ordinal')
FROM_CANDIDATE = ('candidate_id', 'sample_id', 'chosen', 'rejected', 'kind', 'generator', 'reply_key', 'differs_at')
FROM_VERDICT = ('judge', 'score', 'scores', 'reply_keys')
TEXTS = ['messages', *FROM_MIX]


@dataclass(frozen=True)
class WriteTriples(Step):
    """Writes `part` (TRIPLE_ROWS) of one file of the snapshot, and `digests` of its rows. Each file is a table of its own: one that holds the
    same rows as that of another selection is not written again."""

    TABLE = 'triple_rows'
    VERSION = 3

    candidates: tuple[Table, ...]
    verdicts: tuple[Table, ...]
    judged: tuple[Table, ...]
    chosen: str  # digest of where its rows stand in the candidates
    plan: Place[Table]  # of which one file is this
    mix: Place[tuple[str, ...]]
    schema: Place[pa.Schema]  # TRIPLE_ROWS and what `datasets` adds, which takes seconds to import: made once, by the programme

    def label(self) -> str:
        return f'{self.TABLE} {self.chosen[:8]}'

    def process(self, shard: int, writer: ShardWriter) -> None:
        number = pq.read_table(self.plan.parts('shards')[0])['chosen'].to_pylist().index(self.chosen)
        plan = pq.read_table(self.plan.parts()[0], filters=[('shard', '=', number)])
        places = {name: plan[name].to_numpy() for name in ('file', 'row', 'part', 'at', 'n_bytes')}
        judged = Parts(parts_of(self.judged), ['digest'])
        for start in range(0, plan.num_rows, ROW_GROUP_ROWS):
            some = slice(start, start + ROW_GROUP_ROWS)
            writer.write('digests', judged.take(places['part'][some], places['at'][some]))
        write_row_groups(writer, (group.cast(self.schema) for group in cut_row_groups(self._triples(places))), self.schema)

    def _triples(self, places: dict[str, np.ndarray]) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """Yield the rows in plan order, those of one row group of the mix at a time, and the bytes of images and text of each."""
        candidates, verdicts = Parts(parts_of(self.candidates), list(FROM_CANDIDATE)), Parts(parts_of(self.verdicts), list(FROM_VERDICT))
        for some, mix in MixGroups(self.mix, ['images', *TEXTS]).take(places['file'], places['row']):
            where = places['part'][some], places['at'][some]
            yield triples_of(mix, candidates.take(*where), verdicts.take(*where)), places['n_bytes'][some]


def parts_of(tables: tuple[Table, ...]) -> list[Path]:
    """Return the parts of several tables, in order: a plan numbers them so."""
    return [path for table in tables for path in table.parts()]


def triples_of(mix: pa.Table, candidates: pa.Table, verdicts: pa.Table) -> pa.Table:
    """Return TRIPLE_ROWS of mix rows with their candidates and verdicts, row by row; without `images` where the mix rows have none."""
    assert mix['sample_id'].equals(candidates['sample_id']), 'a candidate stands at the place of its sample'
    prompt, chosen = _prompt_and_answer(whole(mix['messages']))
    chosen = _mended(chosen, candidates)
    columns = {
        'prompt': prompt,
        'chosen': chosen,
        'rejected': _answers(whole(candidates['rejected'])),
        'triple_id': candidates['candidate_id'],
        'reply_keys': _keys(candidates['reply_key'], verdicts['reply_keys']),
        **{name: candidates[name] for name in ('kind', 'generator', 'differs_at')},
        **{name: verdicts[name] for name in ('judge', 'score', 'scores')},
        **{name: mix[name] for name in ('images', *FROM_MIX) if name in mix.column_names},
    }
    schema = pa.schema([field for field in TRIPLE_ROWS if field.name in columns])
    assert len(schema) >= len(TRIPLE_ROWS) - 1, f'rows have {sorted(columns)}, the schema has {TRIPLE_ROWS.names}'
    return pa.table({name: columns[name] for name in schema.names}, schema)


def _prompt_and_answer(messages: pa.ListArray) -> tuple[pa.ListArray, pa.ListArray]:
    """Return each conversation without its last message, and that alone."""
    ends = np.cumsum(pc.list_value_length(messages).to_numpy())
    flat = messages.flatten()
    before = np.ones(len(flat), bool)
    before[ends - 1] = False
    offsets = np.concatenate([[0], ends - np.arange(1, len(ends) + 1)])
    return _lists(offsets, flat.filter(pa.array(before)), MESSAGES), _lists(np.arange(len(ends) + 1), flat.take(pa.array(ends - 1)), MESSAGES)


def _mended(chosen: pa.ListArray, candidates: pa.Table) -> pa.ListArray:
    """Return the answers of the mix, in whose place the right one stands where the mix has a wrong label."""
    mends = pc.equal(candidates['generator'], WRONG_LABELS).to_numpy(zero_copy_only=False)
    if not mends.any():
        return chosen
    order = np.arange(len(chosen))
    order[mends] = len(chosen) + np.arange(mends.sum())
    right = _answers(whole(candidates['chosen'].filter(pa.array(mends))))
    return pa.concat_arrays([chosen, right.cast(chosen.type)]).take(pa.array(order))


def _answers(texts: pa.StringArray) -> pa.ListArray:
    """Return each text as the one message of an assistant."""
    one = np.arange(len(texts) + 1)
    part = pa.StructArray.from_arrays([pa.repeat('text', len(texts)), texts], fields=list(PARTS.value_type))
    message = pa.StructArray.from_arrays([pa.repeat('assistant', len(texts)), _lists(one, part, PARTS)], fields=list(MESSAGES.value_type))
    return _lists(one, message, MESSAGES)


def _keys(first: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.ListArray:
    """Return the keys of each row in one list, without those that are empty."""
    lengths = 1 + pc.fill_null(pc.list_value_length(others), 0).to_numpy()
    starts = np.cumsum(lengths) - lengths
    is_first = np.zeros(int(lengths.sum()), bool)
    is_first[starts] = True
    order = np.empty(len(is_first), np.int64)
    order[is_first], order[~is_first] = np.arange(len(first)), np.arange(len(first), len(order))
    keys = pa.chunked_array([*first.chunks, whole(others).flatten()], pa.string()).combine_chunks().take(pa.array(order))
    is_key = pc.fill_null(pc.greater(pc.binary_length(keys), 0), False)
    ends = np.concatenate([[0], np.cumsum(is_key)])
    return _lists(ends[np.append(starts, len(order))], keys.filter(is_key), STRINGS)


def _lists(offsets: np.ndarray, values: pa.Array, type_: pa.ListType) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=type_)

