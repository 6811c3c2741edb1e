"""The rows of the mix from plan, samples and features, wherever the records of a picture stand: the same rows, and work that grows as they do."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.engine.step import make_here
from pipelines.engine.tables import Table
from pipelines.mix.rows import WriteMix
from pipelines.mix.selection import PLAN
from pipelines.mix.spread import OF_FEATURES, SpreadMix
from pipelines.snapshot import parquet
from pipelines.snapshot import spread as blocks
from schemas.errors import UserError
from schemas.records import MIX_ROWS, SAMPLES
from tests.pipelines.mix.mixes import table_of

FEATURES = pa.schema([MIX_ROWS.field(name) for name in OF_FEATURES] + [pa.field('stars', pa.list_(pa.int64()))])
PART_ROWS = 5


@dataclass
class FakeStore:
    """Pictures by reference; counts how often each is read."""

    n: int
    reads: Counter = field(default_factory=Counter)

    def read(self, reference):
        self.reads[reference] += 1
        return bytes_of(reference)


def bytes_of(reference: str) -> bytes:
    return reference.encode() * 3


def id_of(reference: str) -> str:
    return hashlib.sha256(bytes_of(reference)).hexdigest()


def sample(i: int, reference: str | None) -> dict:
    mark = '<image>' if reference else ''
    return {'sample_id': f's/f#{i}/0', 'source': 'st'[i % 2], 'category': 'c', 'licence': 'MIT', 'file': 'f', 'ordinal': i, 'images': [reference] if reference else [],
            'turns': [{'role': 'user', 'text': f' {mark} what is {i}?'}, {'role': 'assistant', 'text': f'it is {i}\n'}]}  # fmt: skip


def features_of(row: dict) -> dict:
    ids = [id_of(reference) for reference in row['images']]
    return {'image_ids': ids, 'cluster_ids': ids, 'content_sha': row['sample_id'], 'contamination': '', 'stars': [1],
            'n_bytes': 30 + sum(len(bytes_of(reference)) for reference in row['images'])}  # fmt: skip


@dataclass
class Mix:
    """Samples of which each picture has three, anywhere, in parts of PART_ROWS rows, and the plan that brings the equal together."""

    folder: Path
    n: int
    shards: int = 3

    def __post_init__(self):
        rng = np.random.default_rng(self.n)
        pictures = rng.permutation(self.n) // 3
        self.rows = [sample(i, f's/{picture}.png' if i % 5 else None) for i, picture in enumerate(pictures.tolist())]
        first = {}
        order = sorted(range(self.n), key=lambda i: first.setdefault(tuple(self.rows[i]['images']) or i, i))
        self.order = [i for i in order if i % 7]  # the others are not kept
        shard = np.arange(len(self.order)) * self.shards // len(self.order)
        plan = {'split': ['train'] * len(self.order), 'shard': shard, 'part': np.array(self.order) // PART_ROWS, 'row': np.array(self.order) % PART_ROWS}
        self.plan = table_of(self.folder / 'plan', pa.table(plan, PLAN))
        half = self.n // 2 // PART_ROWS * PART_ROWS
        self.samples = tuple(self._table(name, some, SAMPLES) for name, some in (('a', self.rows[:half]), ('b', self.rows[half:])))
        self.features = self._table('features', [features_of(row) for row in self.rows], FEATURES)
        self.store = FakeStore(self.n)

    def _table(self, name: str, rows: list[dict], schema: pa.Schema) -> Table:
        return table_of(self.folder / name, *(pa.Table.from_pylist(rows[at:at + PART_ROWS], schema) for at in range(0, len(rows), PART_ROWS)))

    def written(self) -> Table:
        spreading = SpreadMix(self.plan, self.samples, self.features, {'s': 'r1', 't': 'r2'}, {'s': 'exact', 't': 'prose'})
        writing = WriteMix(self.plan, make_here(spreading, self.folder), self.store, MIX_ROWS)
        return make_here(writing, self.folder, range(self.shards))

    def expected(self) -> list[dict]:
        """The rows in the order of the plan, one by one."""
        found = []
        for row in (self.rows[i] for i in self.order):
            question = [{'type': 'image', 'text': None}] * len(row['images']) + [{'type': 'text', 'text': f'{" " if row["images"] else ""}what is {row["ordinal"]}?'}]
            answer = [{'type': 'text', 'text': f'it is {row["ordinal"]}'}]
            found.append({
                **{name: row[name] for name in ('sample_id', 'source', 'category', 'licence', 'file', 'ordinal')},
                **{name: value for name, value in features_of(row).items() if name != 'stars'},
                'messages': [{'role': 'user', 'content': question}, {'role': 'assistant', 'content': answer}],
                'images': [{'bytes': bytes_of(reference), 'path': id_of(reference)} for reference in row['images']],
                'revision': {'s': 'r1', 't': 'r2'}[row['source']], 'answers': {'s': 'exact', 't': 'prose'}[row['source']],
            })  # fmt: skip
        return found


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Everything that bounds memory, small enough to be met by a hundred rows."""
    monkeypatch.setattr(blocks, 'BLOCK_ROWS', 8)
    monkeypatch.setattr(blocks, 'LEAST_ROWS', 8)
    monkeypatch.setattr(blocks, 'GROUP_ROWS', 4)
    monkeypatch.setattr(blocks, 'CHUNK_BYTES', 4000)
    monkeypatch.setattr(parquet, 'READ_ROWS', 2)
    monkeypatch.setattr(parquet, 'ROW_GROUP_ROWS', 12)


def test_the_rows_are_those_of_the_plan_in_its_order(tmp_path):
    mix = Mix(tmp_path, 120)
    found = mix.written()
    assert pa.concat_tables(pq.read_table(path) for path in found.parts()).to_pylist() == mix.expected()
    per_shard = [pq.ParquetFile(path).metadata for path in found.parts()]
    assert [about.num_rows for about in per_shard] == [len(mix.order) // 3 + (shard < len(mix.order) % 3) for shard in range(3)]
    assert max(about.row_group(i).num_rows for about in per_shard for i in range(about.num_row_groups)) == 12


def test_a_row_group_ends_with_the_row_that_fills_it(monkeypatch):
    monkeypatch.setattr(parquet, 'ROW_GROUP_BYTES', 10)
    sizes = [4, 6, 1, 30, 9, 1, 2]
    runs = [(pa.table({'n': sizes[:3]}), np.array(sizes[:3])), (pa.table({'n': sizes[3:]}), np.array(sizes[3:]))]
    assert [group['n'].to_pylist() for group in parquet.cut_row_groups(runs)] == [[4, 6], [1, 30], [9, 1], [2]]
    assert list(parquet.cut_row_groups([])) == []


def test_files_are_opened_and_rows_read_as_often_whatever_their_order(tmp_path, monkeypatch):
    """Each part is opened once and each row decoded once; twice the rows are twice the work."""
    counts = Counter()
    monkeypatch.setattr(blocks, 'BLOCK_ROWS', 64)

    def counting(module, name, kind):
        original = getattr(module, name)

        def called(path, *args, **kwargs):
            counts[f'{kind} {Path(path).parent.name}'] += 1
            return original(path, *args, **kwargs)

        monkeypatch.setattr(module, name, called)

    class Decoding(pa.ipc.RecordBatchFileReader):
        def get_batch(self, i):
            batch = super().get_batch(i)
            counts['rows'] += batch.num_rows
            return batch

    counting(pq, 'read_table', 'read')
    counting(pq, 'ParquetFile', 'open')
    counting(pa, 'memory_map', 'open')
    monkeypatch.setattr(pa.ipc, 'open_file', Decoding)
    for factor in (1, 2, 4):
        counts.clear()
        n = 80 * factor
        mix = Mix(tmp_path / str(n), n, shards=3 * factor)
        mix.written()
        assert counts.pop('rows') == len(mix.order)
        parts = -(-n // PART_ROWS)
        assert counts.pop('open a') + counts.pop('open b') == counts.pop('open features') == parts
        assert counts.pop('open spread') == blocks.GROUPS  # by each process that writes rows
        assert counts.pop('read plan') == blocks.GROUPS + 1
        assert not counts


def test_a_picture_is_read_once_where_its_rows_stand_together(tmp_path):
    mix = Mix(tmp_path, 120)
    n_groups = sum(pq.ParquetFile(path).num_row_groups for path in mix.written().parts())
    kept = {reference for i in mix.order for reference in mix.rows[i]['images']}
    assert mix.store.reads.keys() == kept
    assert sum(mix.store.reads.values()) <= len(kept) + n_groups - 1  # once more where a row group cuts its rows apart


def test_another_picture_than_was_checked_is_refused(tmp_path, monkeypatch):
    mix = Mix(tmp_path, 30)
    monkeypatch.setattr(mix.store, 'read', lambda reference: bytes_of(reference) + b'\0')
    with pytest.raises(UserError, match='image s/[0-9]+.png: expected sha256 .*it changed during the build'):
        mix.written()


def test_fewer_long_rows_are_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, 'READ_ROWS', 100)
    monkeypatch.setattr(parquet, 'READ_BYTES', 1000)
    for text, expected in (('', 100), ('x' * 300, 3), ('x' * 5000, 1)):
        pq.write_table(pa.table({'text': [text] * 50}), tmp_path / 'p.parquet', use_dictionary=False)
        with pq.ParquetFile(tmp_path / 'p.parquet') as file:
            assert parquet.rows_at_once(file) == expected


def test_few_rows_are_read_by_few_shards(monkeypatch):
    monkeypatch.setattr(blocks, 'GROUP_ROWS', 100)
    assert blocks.in_groups(10, 99) == [(0, 10)]
    assert blocks.in_groups(10, 250) == [(0, 3), (3, 6), (6, 10)]
    assert blocks.in_groups(2, 10**6) == [(0, 1), (1, 2)]
    assert len(blocks.in_groups(100, 10**6)) == blocks.GROUPS
    assert blocks.in_groups(0, 0) == []


@pytest.mark.parametrize('rows', [[], [0], [0, 0, 0], [0, 1], [0] * 3 + [1] * 20 + [2]])
def test_a_block_is_of_one_output_shard(rows):
    starts = blocks.block_starts(np.array(rows, np.int32))
    assert starts[0] == 0
    assert starts[-1] == len(rows)
    assert all(len(set(rows[a:b])) == 1 and 0 < b - a <= 8 for a, b in zip(starts, starts[1:], strict=False))


