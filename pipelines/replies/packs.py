"""Compacted replies: Parquet files that pandas reads, in order of arrival, so that a build's neighbours stay neighbours."""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.replies.facts import FACT_COLUMNS, Fact, fact_of_row
from schemas.errors import UserError
from schemas.replies import Outcome, canonical_json, decode_outcome, encode_outcome

PACK_SCHEMA = pa.schema([
    ('key', pa.string()), ('outcome', pa.string()), ('model', pa.string()), ('revision', pa.string()), ('text', pa.string()),
    ('finish_reason', pa.string()), ('kind', pa.string()), ('detail', pa.string()), ('retryable', pa.bool_()),
    ('prompt_tokens', pa.int64()), ('completion_tokens', pa.int64()),
    ('logprobs', pa.string()), ('prompt_logprobs', pa.string()), ('raw', pa.string()), ('resized', pa.list_(pa.string())),
    ('status', pa.int64()), ('reasoning', pa.string()), ('served_by', pa.string()), ('counted', pa.string()),  # packs of before lack them
])
AS_JSON = ('logprobs', 'prompt_logprobs')
ROW_GROUP_ROWS = 1_000  # one lookup decodes one row group: about 1 MB


class Pack:
    """One Parquet file of outcomes with `NAME.heads.npy` beside it: the first 64 bits of each key, by row."""

    def __init__(self, path: Path):
        self.path = path
        self.n_bytes = path.stat().st_size
        try:
            self._file = pq.ParquetFile(path, page_checksum_verification=True)
        except FileNotFoundError:  # compacted since the folder was listed
            raise
        except (OSError, pa.ArrowException) as e:
            raise UserError(f'{path}: expected a pack of replies, found a file that is damaged ({e}); move it away and run again: '
                            'what only it held is asked for anew') from e
        self.rows = self._file.metadata.num_rows

    def load_index(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (uint64[N] key heads, uint64[N] rows), made from the Parquet file if the index is missing."""
        try:
            heads = np.load(_index_path(self.path))
        except (FileNotFoundError, ValueError, EOFError):
            heads = _heads(self._file.read(columns=['key'])['key'].to_pylist())
        return heads, np.arange(len(heads), dtype=np.uint64)

    def read(self, rows: Iterable[int]) -> Iterator[Outcome]:
        """Yield the outcomes at `rows`, which ascend; each row group is decoded once."""
        groups: dict[int, list[int]] = defaultdict(list)
        for row in rows:
            groups[row // ROW_GROUP_ROWS].append(row % ROW_GROUP_ROWS)
        for group, places in groups.items():
            table = self._file.read_row_group(group, use_threads=False).take(pa.array(places))
            yield from map(_outcome, table.to_pylist())

    def outcomes(self) -> Iterator[Outcome]:
        """Yield every outcome in order."""
        for group in range(self._file.num_row_groups):
            yield from map(_outcome, self._file.read_row_group(group, use_threads=False).to_pylist())

    def facts(self) -> Iterator[Fact]:
        """Yield what each outcome is, in order."""
        columns = [name for name in FACT_COLUMNS if name in self._file.schema_arrow.names]
        for group in range(self._file.num_row_groups):
            yield from map(fact_of_row, self._file.read_row_group(group, columns=columns, use_threads=False).to_pylist())

    def faults(self) -> list[str]:
        """Return a line for each row group that cannot be read back."""
        faults = []
        for group in range(self._file.num_row_groups):
            try:
                for row in self._file.read_row_group(group, use_threads=False).to_pylist():
                    _outcome(row)
            except (OSError, ValueError, TypeError, KeyError, pa.ArrowException) as e:
                faults.append(f'{self.path}: row group {group}: {e}')
        return faults

    def remove(self) -> None:
        """Delete the pack: its rows stand in another one."""
        self.path.unlink()
        _index_path(self.path).unlink(missing_ok=True)


def write_pack(folder: Path, outcomes: list[Outcome]) -> Path:
    """Write `outcomes` as one pack, named by what it holds; index first, Parquet last, each by rename; returns its path.

    A pack of this name holds the same: with other outcomes of the same keys, one that is read from or is yet to be removed would be written over.
    """
    said = hashlib.sha256()
    for outcome in outcomes:
        said.update(canonical_json(encode_outcome(outcome)).encode())
    path = folder / f'pack-{said.hexdigest()[:16]}.parquet'
    temporary = folder / f'.{path.name}.{os.getpid()}'
    # statistics would hold the first and the last text of every page, whole
    options = {'compression': 'zstd', 'write_page_checksum': True, 'write_statistics': ['key']}
    with open(temporary, 'wb') as out, pq.ParquetWriter(out, PACK_SCHEMA, **options) as writer:
        for start in range(0, len(outcomes), ROW_GROUP_ROWS):
            rows = [_row(outcome) for outcome in outcomes[start:start + ROW_GROUP_ROWS]]
            writer.write_table(pa.Table.from_pylist(rows, schema=PACK_SCHEMA), row_group_size=ROW_GROUP_ROWS)
    _sync(temporary)
    heads = folder / f'.{path.name}.{os.getpid()}.npy'
    np.save(heads, _heads([outcome.key for outcome in outcomes]))
    os.replace(heads, _index_path(path))
    os.replace(temporary, path)
    _sync(folder)
    return path


def _index_path(path: Path) -> Path:
    return path.with_suffix('.heads.npy')


def _heads(keys: list[str]) -> np.ndarray:
    return np.array([int(key[:16], 16) for key in keys], np.uint64)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.close(file)


def _row(outcome: Outcome) -> dict:
    record = encode_outcome(outcome)
    return {name: canonical_json(value) if name in AS_JSON else value for name, value in record.items()}


def _outcome(row: dict) -> Outcome:
    record = {name: value for name, value in row.items() if value is not None}
    for name in AS_JSON:
        if name in record:
            record[name] = json.loads(record[name])
    return decode_outcome(record)
