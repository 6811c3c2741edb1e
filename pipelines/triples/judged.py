"""What a selection looks at of each candidate, in narrow columns, and the digest of the row that it becomes. No threshold is in it: computed once."""

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pandas.util import hash_array

from curation.selection.select import lot
from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.snapshot.digests import row_digests
from pipelines.triples.mix_groups import MixGroups
from pipelines.triples.picks import pick_lot
from pipelines.triples.rows import FROM_CANDIDATE, FROM_VERDICT, TEXTS, triples_of
from pipelines.triples.verdicts import COMPUTED

AROUND = ' \t\r\n.,;:!?"\'`*_()[]{}<>'  # of an answer: makes no other text of one that comes in masses
AS_THEY_ARE = ('source', 'split', 'file', 'row', 'n_bytes')
JUDGED = pa.schema([
    ('source', pa.string()), ('split', pa.string()), ('file', pa.int32()), ('row', pa.int64()), ('n_bytes', pa.int64()), ('differs_at', pa.int32()),
    ('nth', pa.int32()),  # of its sample's candidates, by id
    ('right', pa.uint64()), ('wrong', pa.uint64()),  # keys of the answers: equal for texts that differ in case and marks around them only
    ('score', pa.float64()), ('second', pa.float64()),  # of the judges; -inf where the second one gave none
    ('is_computed', pa.bool_()), ('reason', pa.string()), ('detail', pa.string()),
    ('pick_lot', pa.uint64()), ('cap_lot', pa.uint64()), ('audit_lot', pa.uint64()),
    ('digest', pa.binary(32)),
])  # fmt: skip


@dataclass(frozen=True)
class NarrowJudged(Step):
    """Writes `part` (JUDGED), aligned row by row with one part of the candidates and of the verdicts."""

    TABLE = 'judged'
    VERSION = 1

    candidates: Table
    verdicts: Table
    seed: str
    mix: Place[tuple[str, ...]]

    def shards(self) -> list[tuple[str, str]]:
        return [(str(one), str(other)) for one, other in zip(self.candidates.parts(), self.verdicts.parts(), strict=True)]

    @cached_property
    def _mix(self) -> MixGroups:
        return MixGroups(self.mix, TEXTS)

    def process(self, shard: tuple[str, str], writer: ShardWriter) -> None:
        candidates = pq.read_table(shard[0], columns=[*AS_THEY_ARE, *FROM_CANDIDATE])
        verdicts = pq.read_table(shard[1], columns=['reason', 'detail', *FROM_VERDICT])
        ids, samples = candidates['candidate_id'].to_pylist(), candidates['sample_id'].to_pylist()
        columns = {
            **{name: candidates[name] for name in (*AS_THEY_ARE, 'differs_at')},
            **{name: verdicts[name] for name in ('score', 'reason', 'detail')},
            'nth': _places(samples, ids),
            'right': _keys(candidates['chosen']),
            'wrong': _keys(candidates['rejected']),
            'second': [_second(scores) for scores in verdicts['scores'].to_pylist()],
            'is_computed': pc.equal(verdicts['judge'], COMPUTED),
            'pick_lot': [pick_lot(self.seed, sample) for sample in samples],
            'cap_lot': [lot(f'{self.seed}/triple/{candidate}') for candidate in ids],
            'audit_lot': [lot(f'shortcut/{sample}') for sample in samples],
            'digest': self._digests(candidates, verdicts),
        }
        writer.write('part', pa.table({name: columns[name] for name in JUDGED.names}, JUDGED))

    def _digests(self, candidates: pa.Table, verdicts: pa.Table) -> list[bytes]:
        """Return the digest of the row of the snapshot that each candidate becomes, if it is kept."""
        file, row = (candidates[name].to_numpy() for name in ('file', 'row'))
        order = np.lexsort((row, file))
        digests = [b''] * len(order)
        for some, mix in self._mix.take(file[order], row[order]):
            where = pa.array(order[some])
            triples = triples_of(mix, candidates.take(where), verdicts.take(where))
            found = (digest for batch in triples.combine_chunks().to_batches() for digest in row_digests(batch))
            for at, digest in zip(order[some].tolist(), found, strict=True):
                digests[at] = digest
        return digests


def _places(samples: list[str], ids: list[str]) -> np.ndarray:
    """Return the place of each candidate among those of its sample, by id; a sample's candidates are in one part."""
    by_id = sorted(range(len(ids)), key=list(zip(samples, ids, strict=True)).__getitem__)
    places, seen = np.zeros(len(ids), np.int32), -1
    for before, at in zip([-1, *by_id], by_id, strict=False):
        seen = seen + 1 if before >= 0 and samples[before] == samples[at] else 0
        places[at] = seen
    return places


def _keys(answers: pa.ChunkedArray) -> pa.Array:
    plain = pc.utf8_trim(pc.utf8_lower(answers), characters=AROUND).to_numpy(zero_copy_only=False)
    return pa.array(hash_array(plain.astype(object), categorize=False), pa.uint64())


def _second(scores: str) -> float:
    return json.loads(scores).get('second', float('-inf')) if '"second"' in scores else float('-inf')

