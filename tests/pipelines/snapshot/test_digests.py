import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.snapshot import digests
from pipelines.snapshot.digests import contents, row_digests
from schemas.records import CONTENT_CHARS, as_content
from schemas.snapshot import row_digest

TEXT = st.one_of(st.none(), st.text(max_size=6), st.text(alphabet='\\"\n\t\b\x00\x1f\x7f/é\u2028\U0001f600', max_size=6))
INT = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))
FLOAT = st.one_of(st.none(), st.floats(), st.sampled_from([1e-7, 1e16, 0.1 + 0.2, -0.0, 5e-324]))
PARTS = st.one_of(st.none(), st.lists(st.one_of(st.none(), st.fixed_dictionaries({'type': TEXT, 'text': TEXT, 'n': FLOAT})), max_size=3))
ROW = st.fixed_dictionaries({
    'b': TEXT, 'a"\\é': INT, 'ab': FLOAT, 'l': st.one_of(st.none(), st.lists(TEXT, max_size=3)), 'm': PARTS,
    's': st.one_of(st.none(), st.fixed_dictionaries({'z': INT, 'y': PARTS})),
})  # fmt: skip
_PARTS = pa.list_(pa.struct([('type', pa.string()), ('text', pa.string()), ('n', pa.float64())]))
SCHEMA = pa.schema([('b', pa.string()), ('a"\\é', pa.int64()), ('ab', pa.float64()), ('l', pa.list_(pa.string())), ('m', _PARTS),
                    ('s', pa.struct([('z', pa.int64()), ('y', _PARTS)]))])  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, max_size=6), st.integers(0, 3))
def test_the_digests_of_columns_are_those_of_the_rows(rows, start):
    batch = pa.RecordBatch.from_pylist(rows, SCHEMA)
    assert row_digests(batch.slice(start)) == [row_digest(row) for row in rows[start:]]


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, max_size=6), st.integers(0, 3))
def test_what_rejections_show_of_columns_is_what_they_show_of_rows(rows, start):
    batch = pa.RecordBatch.from_pylist(rows, SCHEMA)
    assert contents(batch.slice(start)) == [as_content(row) for row in rows[start:]]


def test_a_long_row_is_cut_and_no_other_is_made_for_it(monkeypatch):
    rows = [{'a': 'x' * (CONTENT_CHARS - len('{"a": ""}'))}, {'a': 'é' * CONTENT_CHARS}, {'a': 'x'}]
    made: list[dict] = []
    monkeypatch.setattr(digests, 'as_content', made.append)
    assert contents(pa.RecordBatch.from_pylist(rows))[::2] == [as_content(rows[0]), as_content(rows[2])]
    assert made == [rows[1]]


def test_not_one_row_is_made_for_it(monkeypatch):
    monkeypatch.setattr(digests, 'row_digest', None)
    assert len(row_digests(pa.RecordBatch.from_pylist([{'a': 'x', 'b': [{'c': 1}]}]))) == 1


@pytest.mark.parametrize('column', [pa.array([True, None]), pa.array(['a', 'b']).dictionary_encode(), pa.array(['a', None], pa.large_string()),
                                    pa.nulls(2), pa.array([{'a': True}, None])])  # fmt: skip
def test_a_type_that_is_not_known_is_told_row_by_row(column):
    batch = pa.record_batch([column], ['a'])
    assert row_digests(batch) == [row_digest(row) for row in batch.to_pylist()]
    assert contents(batch) == [as_content(row) for row in batch.to_pylist()]
