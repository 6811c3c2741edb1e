"""Rows of a triples snapshot in a fixed order: shuffled by seed, decoded ahead in threads, resumable at any row."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from model.phantom.processor import PhantomProcessor
from model.training.branches import EncodedRow
from schemas.errors import UserError
from schemas.pixels import BadImage
from schemas.proven import opened, proven
from schemas.snapshot import Snapshot

COLUMNS = ('triple_id', 'sample_id', 'source', 'images', 'prompt', 'chosen', 'rejected', 'kind', 'score')


@dataclass(frozen=True, slots=True)
class Drop:
    """A snapshot row that was not trained on, and why."""

    row: str
    reason: str  # BAD_IMAGE, TOO_LONG, KIND, SOURCE, SCORE, IMAGE_PARTS, DUPLICATE_CHOSEN, SAME_ANSWERS
    detail: str


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows to train on; the others are listed as drops."""

    kinds: tuple[str, ...] = ()  # empty: all
    sources: tuple[str, ...] = ()  # empty: all
    min_score: float | None = None  # of the snapshot's score column
    max_length: int = 4096  # tokens of prompt and answers together
    rejected: bool = True  # False: only the chosen answer is encoded
    distinct: 'Distinct | None' = None  # one row a sample; None: all rows

    def refuse(self, row: dict) -> tuple[str, str] | None:
        """Reason and detail why a row is left out for what its columns say, or None."""
        if self.kinds and row['kind'] not in self.kinds:
            return 'KIND', row['kind']
        if self.sources and row['source'] not in self.sources:
            return 'SOURCE', row['source']
        score = row['score']
        if self.min_score is not None and (score is None or not score >= self.min_score):  # NaN is refused
            return 'SCORE', f'{score} < {self.min_score}'
        if self.distinct is not None and row['triple_id'] not in self.distinct:
            return 'DUPLICATE_CHOSEN', row['sample_id']
        return None


class Distinct:
    """The triples that stand for their samples: of each sample's triples one, whatever their order in the files.

    16 bytes a row while it is made, 8 a sample afterwards: 2 million rows are 32 MB and 16 MB.
    """

    def __init__(self, groups: 'Sequence[RowGroup]', wanted: RowFilter):
        names = ['triple_id', 'sample_id', 'kind', 'score', *['source'] * bool(wanted.sources)]
        pairs = [
            (name_hash(row['sample_id']), name_hash(row['triple_id']))
            for group in groups
            for row in read_group(group, names)
            if wanted.refuse(row) is None
        ]
        table = np.array(pairs, dtype=np.uint64).reshape(-1, 2)
        table = table[np.lexsort((table[:, 1], table[:, 0]))]
        first = np.ones(len(table), dtype=bool)
        first[1:] = table[1:, 0] != table[:-1, 0]
        self.kept = np.sort(table[first, 1])

    def __contains__(self, triple_id: str) -> bool:
        place = np.searchsorted(self.kept, name_hash(triple_id))
        return bool(place < len(self.kept) and self.kept[place] == name_hash(triple_id))


def name_hash(name: str) -> np.uint64:
    """Eight bytes of a name's sha256; 2 million names collide with a chance of 1e-7."""
    return np.uint64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], 'big'))


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group of one shard: the unit of reading."""

    shard: Path
    index: int
    rows: int
    sha256: str  # of the shard, as the manifest has it
    n_bytes: int


def list_groups(snapshot: Snapshot, split: str = 'train') -> list[RowGroup]:
    """All row groups of a split, in file order; raises UserError for a damaged shard.

    Only the end of each file is read here; its bytes are proven before a row is.
    """
    groups = []
    for listed in snapshot.listed(split):
        shard = snapshot.path / listed['file']
        try:
            with opened(shard, listed['bytes']) as file:
                meta = pq.read_metadata(file)
        except (OSError, pa.ArrowException) as e:
            raise UserError(f'{shard}: expected a Parquet shard, found damage ({e}); run `phantom verify`') from e
        groups += [
            RowGroup(shard, index, meta.row_group(index).num_rows, listed['sha256'], listed['bytes'])
            for index in range(meta.num_row_groups)
        ]
    return groups


def refuse_unknown(groups: Sequence[RowGroup], column: str, wanted: Sequence[str]) -> None:
    """Raises a UserError where no row has a wanted value in `column` (kind, source), which is most likely misspelt."""
    if not wanted:
        return
    found = {row.get(column, '') for group in groups for row in read_group(group, [column])}
    if unknown := sorted(set(wanted) - found):
        raise UserError(f'{column}s: expected {column}s of this snapshot ({", ".join(sorted(found))}), found {unknown}; correct or leave them out')


def shuffle_key(*names: object) -> bytes:
    """A sort key that looks random and depends on the names alone."""
    return hashlib.sha256('/'.join(map(str, names)).encode()).digest()


def read_group(group: RowGroup, columns: Sequence[str] = COLUMNS) -> list[dict]:
    """The rows of one group, with image bytes unless `columns` leaves them out.

    Raises UserError for a shard that is not what was sealed (Parquet alone would hand out flipped bits as text), and for pictures of other ids.
    """
    with proven(group.shard, group.sha256, group.n_bytes) as file:
        try:
            rows = pq.ParquetFile(file).read_row_group(group.index, columns=list(columns)).to_pylist()
        except (OSError, pa.ArrowException) as e:
            raise UserError(
                f'{group.shard}: expected row group {group.index} to read, found damage ({e}); run `phantom verify`'
            ) from e
    for row in rows:
        for image in row.get('images') or ():
            if image['path'] is not None and image['path'] != hashlib.sha256(image['bytes'] or b'').hexdigest():
                name = row.get('triple_id') or row['sample_id']
                raise UserError(f'{group.shard}: expected pictures named by their sha256, found another in {name}; run `phantom verify`')
    return rows


def epoch_rows(
    groups: Sequence[RowGroup], *, seed: int, epoch: int, window: int, skip: int = 0
) -> Iterator[dict]:
    """One epoch's rows, shuffled: groups over the whole split, rows within windows of `window` groups.

    A window is what is held in memory. `skip` rows at the start are passed over without reading their windows.
    """
    order = sorted(groups, key=lambda group: shuffle_key(seed, epoch, group.shard.name, group.index))
    for start in range(0, len(order), window):
        chunk = order[start : start + window]
        count = sum(group.rows for group in chunk)
        if skip >= count:
            skip -= count
            continue
        rows = [row for group in chunk for row in read_group(group)]
        rows.sort(key=lambda row: shuffle_key(seed, epoch, row['triple_id']))
        yield from rows[skip:]
        skip = 0


def endless_rows(groups: Sequence[RowGroup], *, seed: int, window: int, start: int = 0) -> Iterator[dict]:
    """Epoch after epoch, beginning at row number `start` of the whole stream."""
    total = sum(group.rows for group in groups)
    if not total:
        raise UserError('snapshot: expected at least one row to train on, found none; build it with more input')
    epoch, skip = divmod(start, total)
    while True:
        yield from epoch_rows(groups, seed=seed, epoch=epoch, window=window, skip=skip)
        epoch, skip = epoch + 1, 0


def encode_row(row: dict, processor: PhantomProcessor, wanted: RowFilter) -> EncodedRow | Drop:
    """Ids and tiles of one snapshot row, or why it is left out."""
    name = row['triple_id']
    if refused := wanted.refuse(row):
        return Drop(name, *refused)
    try:
        tiles = [processor.tile(image['bytes'] or b'') for image in row['images'] or []]
    except BadImage as e:
        return Drop(name, 'BAD_IMAGE', str(e))
    return encode_messages(row, processor, wanted, tiles)


def encode_messages(row: dict, processor: PhantomProcessor, wanted: RowFilter, tiles: list) -> EncodedRow | Drop:
    """Ids of one row whose images are tiles already, or why it is left out."""
    name = row['triple_id']
    try:
        prompt = processor.encode_prompt(row['prompt'], [len(tile) for tile in tiles])
    except ValueError as e:
        return Drop(name, 'IMAGE_PARTS', str(e))
    sides = ('chosen', 'rejected') if wanted.rejected else ('chosen',)
    answers = tuple(tuple(processor.encode_answer(row[side])) for side in sides)
    if wanted.rejected and answers[0] == answers[1]:
        return Drop(name, 'SAME_ANSWERS', f'chosen and rejected are the same {len(answers[0])} tokens')
    encoded = EncodedRow(tuple(prompt), answers, torch.cat(tiles) if tiles else None, name)
    if len(encoded) > wanted.max_length:
        return Drop(name, 'TOO_LONG', f'{len(encoded)} tokens > {wanted.max_length}')
    return encoded


@dataclass(frozen=True, slots=True)
class Share:
    """What one process gets of one global batch."""

    rows: list[EncodedRow]
    drops: list[Drop]


def batch_shares(
    rows: Iterator[dict],
    processor: PhantomProcessor,
    wanted: RowFilter,
    *,
    batch: int,
    rank: int = 0,
    world: int = 1,
    threads: int = 2,
    ahead: int = 2,
) -> Iterator[Share]:
    """This process's rows of each global batch of `batch` rows; rows are encoded up to `ahead` batches early."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[list[Future]] = deque()
        while True:
            while len(waiting) <= ahead:
                mine = [row for index, row in enumerate(next(rows) for _ in range(batch)) if index % world == rank]
                waiting.append([pool.submit(encode_row, row, processor, wanted) for row in mine])
            done = [future.result() for future in waiting.popleft()]
            yield Share(
                rows=[item for item in done if isinstance(item, EncodedRow)],
                drops=[item for item in done if isinstance(item, Drop)],
            )
