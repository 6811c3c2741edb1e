"""Ratings that the recipe brings in files: read, checked, and found among the samples of this mix."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.mix.rated import RATED
from schemas.disk import readable
from schemas.errors import UserError
from schemas.records import PROPOSALS, RATINGS
from schemas.snapshot import file_sha256

SHOWN = 3  # ids in a message


def digests_of(files: tuple[str, ...]) -> list[str]:
    """Return the sha256 of each file of ratings; raises UserError for one that is not there any more."""
    found = []
    for name in files:
        with readable(name):
            if not Path(name).is_file():
                raise UserError(f'rate.from: expected a Parquet file of ratings, found none any more: {name}')
            found.append(file_sha256(Path(name)))
    return found


def refuse_unrated(drop: Iterable[str], asked: Iterable[str], given: Iterable[pa.Table]) -> None:
    """Raise UserError for thresholds of questions that neither a model nor a file answers: they would leave nothing out and say nothing."""
    rated = sorted({*asked, *(ask for table in given for ask in table['ask'].unique().to_pylist())})
    if unrated := [name[:80] for name in drop if name not in rated]:
        raise UserError(f'rate.drop: expected questions that are rated, of {", ".join(rated)}, found {", ".join(unrated)}; name one of these, or add '
                        'what rates it to rate.ask or rate.from')


@dataclass(frozen=True)
class ReadRatings(Step):
    """Writes `part` (RATED) of all files together. A file that holds none, or those of another mix, is refused. One shard."""

    TABLE = 'given_ratings'
    VERSION = 2
    RISKY = True

    features: Table
    sha256: tuple[str, ...]  # of the files
    files: Place[tuple[str, ...]]

    def process(self, shard: int, writer: ShardWriter) -> None:
        given = [_read(path, sha256) for path, sha256 in zip(self.files, self.sha256, strict=True)]
        wanted = pc.unique(pa.chunked_array([chunk for table in given for chunk in table['sample_id'].chunks], pa.string()))
        known = self._known(wanted)
        for path, table in zip(self.files, given, strict=True):
            is_foreign = pc.invert(pc.is_in(table['sample_id'], known['sample_id'].combine_chunks()))
            refuse_foreign(path, table['sample_id'], is_foreign)
        rows = pa.concat_tables(given, promote_options='default')
        refuse_disagreement(rows, self.files)
        found = known.take(pc.index_in(rows['sample_id'], known['sample_id'].combine_chunks()))
        empty = {'reason': '', 'detail': ''}
        columns = {
            **{name: found[name] for name in ('part', 'row', 'source')}, **{name: rows[name] for name in RATINGS.names},
            **{name: pa.repeat(value, len(rows)) for name, value in empty.items()}, 'scores': pa.array(scores_of(rows), pa.string()),
            'reply_keys': pa.array([[]] * len(rows), RATED.field('reply_keys').type),
        }  # fmt: skip
        table = pa.table({name: columns[name] for name in RATED.names}, RATED)
        writer.write('part', table.sort_by([(name, 'ascending') for name in ('part', 'row', 'ask', 'by')]))

    def _known(self, wanted: pa.Array) -> pa.Table:
        """Return (sample_id, source, part, row) of the wanted samples that are here."""
        found = []
        for number, path in enumerate(self.features.parts()):
            ids = pq.ParquetFile(path).read(['sample_id', 'source'], use_threads=False)
            at = np.flatnonzero(pc.is_in(ids['sample_id'], wanted).to_numpy(zero_copy_only=False))
            some = ids.take(at).append_column('part', pa.array(np.full(len(at), number, np.int32)))
            found.append(some.append_column('row', pa.array(at.astype(np.int32))))
        return pa.concat_tables(found)


def _read(path: str, sha256: str) -> pa.Table:
    table = read_ratings(path)
    if file_sha256(Path(path)) != sha256:
        raise UserError(f'rate.from: {path}: it changed while it was read; build again')
    return table


def read_ratings(path: str) -> pa.Table:
    """Return RATINGS of one file, and PROPOSALS where it has them.

    Raises UserError for a file that is not there or is none of ratings, and for one that holds none, or scores that are no numbers.
    """
    where = f'rate.from: {path}'
    with readable(path):
        if not Path(path).is_file():
            raise UserError(f'{where}: expected a Parquet file of ratings, found none')
    try:
        with readable(path), pq.ParquetFile(path) as file:
            lacking = [name for name in RATINGS.names if name not in file.schema_arrow.names]
            if lacking:
                raise UserError(f'{where}: expected the columns {", ".join(RATINGS.names)}, found no {", ".join(lacking)}')
            if len(found := set(PROPOSALS.names) & set(file.schema_arrow.names)) == 1:
                raise UserError(f'{where}: expected both {" and ".join(PROPOSALS.names)} or neither, found {found.pop()} alone')
            schema = pa.schema([*RATINGS, *(PROPOSALS if set(PROPOSALS.names) <= set(file.schema_arrow.names) else ())])
            table = file.read(schema.names, use_threads=False).select(schema.names).cast(schema)
    except (pa.ArrowException, pa.ArrowInvalid, ValueError) as e:
        raise UserError(f'{where}: expected a Parquet file of ratings ({", ".join(map(str, RATINGS))}), found: {str(e).splitlines()[0][:200]}') from e
    if not table.num_rows:
        raise UserError(f'{where}: expected at least one rating, found none')
    for name in ('sample_id', 'ask', 'by'):
        if table[name].null_count:
            raise UserError(f'{where}: expected {name} in each row, found none in row {pc.index(table[name].is_null(), True).as_py()}')
    scores = table['score'].drop_null().to_numpy()
    if not np.isfinite(scores).all():
        raise UserError(f'{where}: expected numbers as scores (or null, for a sample that could not be rated), found '
                        f'{scores[~np.isfinite(scores)][0]} in {int((~np.isfinite(scores)).sum()):,} row(s)')
    if 'proposed_p' in table.column_names:
        _refuse_improbable(where, table['proposed_p'].drop_null().to_numpy())
    return table


def _refuse_improbable(where: str, chances: np.ndarray) -> None:
    if not ((chances >= 0) & (chances <= 1)).all():
        raise UserError(f'{where}: expected probabilities as proposed_p (or null, where no answer is proposed), found '
                        f'{chances[~((chances >= 0) & (chances <= 1))][0]}')


def scores_of(rows: pa.Table) -> list[str]:
    """Return the `scores` of RATED: the JSON of what the rater proposes in place of the answer, '{}' where it proposes nothing."""
    if 'proposed' not in rows.column_names:
        return ['{}'] * len(rows)
    proposed = zip(*(rows[name].to_pylist() for name in PROPOSALS.names), strict=True)
    return ['{}' if not text or p is None else json.dumps({'proposed': text, 'proposed_p': p}, ensure_ascii=False) for text, p in proposed]


def with_proposals(rows: pa.Table) -> pa.Table:
    """Return rows of ratings with `scores` in their place the columns PROPOSALS, where any of them proposes something."""
    scores = rows['scores']
    proposes = pc.starts_with(scores, '{"proposed"')
    rows = rows.drop_columns('scores')
    if not pc.any(proposes).as_py():
        return rows
    said = [json.loads(text) if mine else {} for text, mine in zip(scores.to_pylist(), proposes.to_pylist(), strict=True)]
    for field in PROPOSALS:
        rows = rows.append_column(field, pa.array([one.get(field.name) for one in said], field.type))
    return rows


def refuse_foreign(path: str, ids: pa.ChunkedArray, is_foreign: pa.Array) -> None:
    """Raise UserError for a file that rates samples which are not of the mix."""
    foreign = ids.filter(is_foreign)
    if len(foreign):
        some = pc.unique(foreign)
        named = ', '.join(str(name)[:120] for name in some.slice(0, SHOWN).to_pylist())
        raise UserError(f'rate.from: {path}: expected ratings of samples of this mix, found {len(some):,} id(s) that are not in it, of '
                        f'{pc.count_distinct(ids).as_py():,}: {named}; it was made for other sources, or other files of these: rate this mix anew')


def refuse_disagreement(rows: pa.Table, files: tuple[str, ...]) -> None:
    """Raise UserError where one rater gives a sample two ratings for one question."""
    keys = Counter(zip(*(rows[name].to_pylist() for name in ('sample_id', 'ask', 'by')), strict=True))
    (sample_id, ask, by), n = keys.most_common(1)[0]
    if n > 1:
        raise UserError(f'rate.from: {", ".join(files)}: expected one rating of a sample, a question and a rater, found {n} of {sample_id} for '
                        f'{ask!r} by {by!r}; leave one of them out, or call the raters differently')
