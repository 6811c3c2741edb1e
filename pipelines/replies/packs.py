"""Compacted replies: Parquet files that pandas reads, in order of arrival, so that a build's neighbours stay neighbours.

Beside NAME.parquet lies NAME.heads.npy, by which keys are found, with a check sum: one that is lost, cut, changed or of another pack is made
again from the keys in the Parquet file. And NAME.footer, a copy of the Parquet file's footer: with it the row groups before a cut can be read.
A row group that cannot be read back (each page has a check sum) is passed over and named; all others are used.
"""

import hashlib
import itertools
import json
import os
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.replies.facts import FACT_COLUMNS, Fact, fact_of_row
from schemas.arrays import keep, kept
from schemas.errors import UserError
from schemas.publish import drafted
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
_NO_HEADS = np.zeros(0, np.uint64)


class Pack:
    """One Parquet file of outcomes with `NAME.heads.npy` beside it: the first 64 bits of each key, by row."""

    def __init__(self, path: Path):
        self.path = path
        self.n_bytes = path.stat().st_size
        self.lost: dict[int, str] = {}  # row groups that could not be read, and why, as far as they were asked for
        self._file, self._fault = _opened(path)
        self.keys_lost = False  # whether there are rows of which not even the keys can be read
        self.rows = self._file.metadata.num_rows

    def load_index(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (uint64[N] key heads, uint64[N] rows); the heads are made from the Parquet file, and kept, where none are that belong to it.

        Rows whose keys cannot be read are in neither.
        """
        heads = kept(_index_path(self.path), _NO_HEADS, self.path.stem)
        if heads is not None and len(heads) == self.rows:
            return np.array(heads), np.arange(len(heads), dtype=np.uint64)
        keys: list[str] = []
        places: list[int] = []
        for group, first in enumerate(self._firsts()):
            if (table := self._group(group, ['key'])) is not None:
                keys += table['key'].to_pylist()
                places += range(first, first + table.num_rows)
        self.keys_lost = bool(self.lost)
        if not self.lost:
            with suppress(OSError):  # a store that may only be read
                _keep_aids(self.path, self._file.metadata, keys)
        return _heads(keys), np.array(places, np.uint64)

    def read(self, rows: Iterable[int]) -> Iterator[Outcome | None]:
        """Yield the outcomes at `rows`, which ascend, None for one that cannot be read; each row group is decoded once."""
        groups: dict[int, list[int]] = defaultdict(list)
        firsts = self._firsts()
        for row in rows:
            group = bisect_right(firsts, row) - 1
            groups[group].append(row - firsts[group])
        for group, places in groups.items():
            table = self._group(group)
            yield from [None] * len(places) if table is None else map(_outcome, table.take(pa.array(places)).to_pylist())

    def outcomes(self) -> Iterator[Outcome]:
        """Yield every outcome that can be read, in order."""
        for group in range(self._file.num_row_groups):
            if (table := self._group(group)) is not None:
                yield from map(_outcome, table.to_pylist())

    def facts(self) -> Iterator[Fact]:
        """Yield what each outcome is, in order."""
        columns = [name for name in FACT_COLUMNS if name in self._file.schema_arrow.names]
        for group in range(self._file.num_row_groups):
            if (table := self._group(group, columns)) is not None:
                yield from map(fact_of_row, table.to_pylist())

    def faults(self) -> list[str]:
        """Return a line for each row group that cannot be read back, and one where the file only opens by the copy of its footer."""
        for group in range(self._file.num_row_groups):
            self._group(group)
        footer = [f'{self.path}: {self._fault}; read by the copy of its footer'] if self._fault else []
        return footer + [f'{self.path}: row group {group}, {self._rows_of(group)} replies: {why}' for group, why in sorted(self.lost.items())]

    def n_lost(self) -> int:
        """Return how many replies could not be read, of those that were asked for."""
        return sum(map(self._rows_of, self.lost))

    def count_lost(self) -> int:
        """Return how many replies cannot be read, of all."""
        self.faults()
        return self.n_lost()

    def remove(self) -> None:
        """Delete the pack: its rows stand in another one. One of which rows were lost is put aside, for who can repair it."""
        for aid in (_index_path(self.path), _footer_path(self.path)):  # first: alone they would say that the pack was lost
            aid.unlink(missing_ok=True)
        if self.lost:
            os.replace(self.path, self.path.with_name(f'{self.path.name}.damaged'))
        else:
            self.path.unlink()

    def _rows_of(self, group: int) -> int:
        return self._file.metadata.row_group(group).num_rows

    def _firsts(self) -> list[int]:
        """Return the number of the first row of each row group."""
        return list(itertools.accumulate([0, *map(self._rows_of, range(self._file.num_row_groups - 1))]))

    def _group(self, group: int, columns: list[str] | None = None) -> pa.Table | None:
        """Return a row group, None where its bytes are damaged; raises OSError where the system fails to read them, which may pass."""
        if group in self.lost:
            return None
        try:
            return self._file.read_row_group(group, columns=columns, use_threads=False)
        except (OSError, ValueError, pa.ArrowException) as e:
            if isinstance(e, OSError) and e.errno:
                e.filename = e.filename or self.path  # Arrow's do not name it
                raise
            self.lost[group] = str(e).partition('\n')[0]
            return None


def _opened(path: Path) -> tuple[pq.ParquetFile, str]:
    """Return a pack, and what is wrong with its own footer ('' if nothing)."""
    try:
        return pq.ParquetFile(path, page_checksum_verification=True), ''
    except FileNotFoundError:  # compacted since the folder was listed
        raise
    except (OSError, ValueError, pa.ArrowException) as e:
        if isinstance(e, OSError) and e.errno:
            e.filename = e.filename or path
            raise
        fault = e
    try:
        return pq.ParquetFile(path, metadata=pq.read_metadata(_footer_path(path)), page_checksum_verification=True), str(fault)
    except (OSError, ValueError, pa.ArrowException):
        heads = kept(_index_path(path), _NO_HEADS, path.stem)
        n = 'an unknown number of' if heads is None else f'{len(heads):,}'
        raise UserError(f'{path}: expected a pack of replies, found a file that is damaged ({fault}) with {n} replies in it, all paid for; '
                        'put it back from a backup. If there is none: moved away, it costs asking for those replies again') from fault


def missing_packs(folder: Path) -> list[Path]:
    """Return the packs of which only what lies beside them is left; one that was never finished or is being removed, too."""
    names = {entry.name for entry in os.scandir(folder)}
    indexes = (name.removesuffix('.heads.npy') for name in sorted(names) if name.endswith('.heads.npy'))
    return [folder / f'{name}.parquet' for name in indexes if f'{name}.parquet' not in names]


def held_by(pack: Path, keys: Iterable[str]) -> list[str]:
    """Return those of `keys` that stood in a pack which is gone, by its index; none where that cannot be read."""
    heads = kept(_index_path(pack), _NO_HEADS, pack.stem)
    wanted = list(keys)
    if heads is None or not wanted:
        return []
    return [key for key, there in zip(wanted, np.isin(_heads(wanted), heads), strict=True) if there]


def forget_missing(folder: Path) -> None:
    """Remove what lies beside packs that are gone."""
    for pack in missing_packs(folder):
        for aid in (_index_path(pack), _footer_path(pack)):
            aid.unlink(missing_ok=True)


def write_pack(folder: Path, outcomes: list[Outcome]) -> Path:
    """Write `outcomes` as one pack, named by what it holds; index first, Parquet last, each by rename; returns its path.

    A pack of this name holds the same: with other outcomes of the same keys, one that is read from or is yet to be removed would be written over.
    """
    said = hashlib.sha256()
    for outcome in outcomes:
        said.update(canonical_json(encode_outcome(outcome)).encode())
    path = folder / f'pack-{said.hexdigest()[:16]}.parquet'
    # statistics would hold the first and the last text of every page, whole
    options = {'compression': 'zstd', 'write_page_checksum': True, 'write_statistics': ['key']}
    with drafted(path) as draft:
        with open(draft, 'wb') as out, pq.ParquetWriter(out, PACK_SCHEMA, **options) as writer:
            for start in range(0, len(outcomes), ROW_GROUP_ROWS):
                rows = [_row(outcome) for outcome in outcomes[start:start + ROW_GROUP_ROWS]]
                writer.write_table(pa.Table.from_pylist(rows, schema=PACK_SCHEMA), row_group_size=ROW_GROUP_ROWS)
        _keep_aids(path, pq.read_metadata(draft), [outcome.key for outcome in outcomes])
    return path


def _keep_aids(path: Path, footer: pq.FileMetaData, keys: list[str]) -> None:
    """Keep the index and a copy of the footer of a pack."""
    keep(_index_path(path), _heads(keys), path.stem)
    with drafted(_footer_path(path)) as draft:
        footer.write_metadata_file(draft)


def _index_path(path: Path) -> Path:
    return path.with_suffix('.heads.npy')


def _footer_path(path: Path) -> Path:
    return path.with_suffix('.footer')


def _heads(keys: list[str]) -> np.ndarray:
    return np.array([int(key[:16], 16) for key in keys], np.uint64)


def _row(outcome: Outcome) -> dict:
    record = encode_outcome(outcome)
    return {name: canonical_json(value) if name in AS_JSON else value for name, value in record.items()}


def _outcome(row: dict) -> Outcome:
    record = {name: value for name, value in row.items() if value is not None}
    for name in AS_JSON:
        if name in record:
            record[name] = json.loads(record[name])
    return decode_outcome(record)
