"""The tables of a working folder that were made from some stored outcomes, and all that was made from these tables."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.tables import STEP, Table
from pipelines.mix.rating_cases import RatePlanted
from pipelines.mix.ratings import RateSamples
from pipelines.triples.calibration import JudgePlanted
from pipelines.triples.candidates import ProposeCandidates
from pipelines.triples.verdicts import JudgeCandidates

ASKING = (RateSamples.TABLE, RatePlanted.TABLE, ProposeCandidates.TABLE, JudgePlanted.TABLE, JudgeCandidates.TABLE)  # those whose steps ask models
KEY_COLUMNS = ('reply_key', 'reply_keys', 'content')  # a rejection names its key in its content
KEY = re.compile(r'[0-9a-f]{64}')


def tables_made_from(work: Path, keys: set[str]) -> list[Table]:
    """Return the tables that hold something of the outcomes of `keys`, what follows from them before what it follows from.

    To be removed in this order: a kill in between leaves no table that says other things than those it was made from.
    """
    upstream = {table.key: set(_upstream(table)) for table in _tables(work)}
    doomed = [table.key for table in _tables(work) if table.name in ASKING and _holds(table, keys)]
    for key in doomed:  # grows
        doomed += [other for other, made_from in upstream.items() if key in made_from and other not in doomed]
    return [Table(work / key) for key in _last_first(doomed, upstream)]


def _last_first(doomed: list[str], upstream: dict[str, set[str]]) -> Iterator[str]:
    waiting = list(doomed)
    while waiting:
        ends = [key for key in waiting if not any(key in upstream[other] for other in waiting)]
        yield from ends
        waiting = [key for key in waiting if key not in ends]


def _tables(work: Path) -> list[Table]:
    return [Table(path.parent) for path in sorted(work.glob(f'*/*/{STEP}'))]


def _upstream(table: Table) -> Iterator[str]:
    described = json.loads((table.path / STEP).read_text('utf-8'))
    for keys in described['tables'].values():
        yield from keys


def _holds(table: Table, keys: set[str]) -> bool:
    return any(not keys.isdisjoint(_keys(path)) for path in sorted(table.path.glob('*.parquet')))


def _keys(path: Path) -> Iterator[str]:
    """Yield the reply keys in a file."""
    with pq.ParquetFile(path) as file:
        columns = [name for name in KEY_COLUMNS if name in file.schema_arrow.names]
        for batch in file.iter_batches(columns=columns):
            for column in batch.columns:
                flat = column.flatten() if pa.types.is_list(column.type) else column
                for value in flat.to_pylist():
                    yield from KEY.findall(value or '')
