"""A few candidates with their verdicts, the mix they come from, and all tables that a selection of them is made of."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from pipelines.engine.step import make_here
from pipelines.engine.tables import Table
from pipelines.snapshot.parquet import parquet_options
from pipelines.triples.judged import NarrowJudged
from pipelines.triples.rows import WriteTriples
from pipelines.triples.selection import SelectTriples
from schemas.records import CANDIDATES, MIX_ROWS, TRIPLE_ROWS, VERDICTS, rows_table
from tests.pipelines.mix.mixes import table_of
from tests.pipelines.snapshot.sealed import sample, says

FILES = ('s', 't')  # a source in each file of the mix
SEED = 'seed'


def candidate(number, rejected, *, chosen='', differs_at=0, source='s', attempt=0, kind='incorrect'):
    return dict.fromkeys(CANDIDATES.names) | {
        'candidate_id': f'{source}{number:03}.{attempt}', 'sample_id': f'{source}/{number}', 'source': source, 'split': 'train',
        'file': FILES.index(source), 'row': number, 'n_bytes': 10, 'answers': 'judged', 'generator': 'rules', 'kind': kind, 'reply_key': '',
        'chosen': chosen or f'right {number}', 'rejected': rejected, 'differs_at': differs_at,
    }  # fmt: skip


def verdict(of, score=1.0, **other):
    return {'candidate_id': of['candidate_id'], 'judge': 'm', 'score': score, 'scores': '{}', 'reason': '', 'detail': '', 'reply_keys': [], **other}


def mix_row(number, source, *, right='', images=()):
    said = [says('user', *['<image>'] * len(images), f'Question {number}?'), says('assistant', right or f'right {number}')]
    return sample(number, messages=said, images=list(images), source=source) | {'sample_id': f'{source}/{number}', 'n_bytes': 10}


@dataclass
class Few:
    """The tables, and the files of the mix."""

    folder: Path
    mix: tuple[str, ...]
    candidates: tuple[Table, ...]
    verdicts: tuple[Table, ...]
    judged: tuple[Table, ...]

    def selecting(self, *, margin=0.0, differ_within=None, per_sample=None, exactly=None, second=None, shard_bytes=10**9):
        return SelectTriples(self.candidates, self.judged, margin, differ_within, per_sample, exactly or {}, second, shard_bytes)

    def writing(self, plan, chosen):
        return WriteTriples(self.candidates, self.verdicts, self.judged, chosen, plan, self.mix, TRIPLE_ROWS)


def few(folder, candidates, verdicts=None, *, parts=1, images=None):
    """Return the tables of some candidates, cut into several tables; `images` are pictures of mix rows, by (source, number)."""
    verdicts = [verdict(of) for of in candidates] if verdicts is None else verdicts
    mix = _mix(folder, candidates, images or {})
    step_at = -(-len(candidates) // parts)
    cuts = [slice(start, start + step_at) for start in range(0, len(candidates), step_at)]
    tables = [tuple(table_of(folder / f'{name}{i}', rows_table(rows[at], schema)) for i, at in enumerate(cuts))
              for name, rows, schema in (('c', candidates, CANDIDATES), ('v', verdicts, VERDICTS))]  # fmt: skip
    judged = tuple(make_here(NarrowJudged(*some, SEED, mix), folder / f'j{i}') for i, some in enumerate(zip(*tables, strict=True)))
    return Few(folder, mix, *tables, judged)


def _mix(folder, candidates, images):
    paths = []
    for number, source in enumerate(FILES):
        right = {one['row']: one['chosen'] for one in candidates if one['source'] == source}
        rows = [mix_row(n, source, right=right.get(n, ''), images=images.get((source, n), ())) for n in range(max(right, default=-1) + 1)]
        path = folder / f'mix-{number}.parquet'
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows_table(rows, MIX_ROWS), path, **parquet_options(MIX_ROWS), row_group_size=16)
        paths.append(str(path))
    return tuple(paths)
