import hashlib
import json

import pytest

from schemas.accounting import Line, fold, unbalanced
from schemas.errors import UserError
from schemas.snapshot import open_snapshot, row_digest, snapshot_id


def test_the_identity_depends_on_rows_and_not_on_their_order():
    rows = [row_digest({'id': str(i), 'text': 'é'}) for i in range(5)]
    assert snapshot_id(rows, []) == snapshot_id(rows[::-1], [])
    assert snapshot_id(rows, []) != snapshot_id(rows[1:], [])
    assert snapshot_id(rows[:2], rows[2:]) != snapshot_id(rows, [])


def test_the_identity_is_of_each_digest_whichever_come_together_and_whatever_bytes_they_are():
    odd = [bytes(32), b'\0' * 31 + b'\1', b'\1' + bytes(31), b'\xff' * 32, b'\xff' + bytes(30) + b'\1', b'\x80' * 32, bytes(32)]
    by_hand = hashlib.sha256(b'phantom-snapshot-1' + b'kept' + b''.join(sorted(odd)) + b'rejected' + b''.join(sorted(odd[:3]))).hexdigest()
    assert snapshot_id(odd, odd[:3]) == snapshot_id([b''.join(odd[:4]), b'', b''.join(odd[4:])], iter(odd[:3])) == by_hand


def test_equal_rows_have_equal_digests_whatever_the_order_of_keys():
    assert row_digest({'a': 1, 'b': [2]}) == row_digest({'b': [2], 'a': 1})
    assert row_digest({'a': 1}) != row_digest({'a': '1'})


def test_a_folder_without_manifest_is_no_snapshot(tmp_path):
    with pytest.raises(UserError, match='expected manifest.json, found none'):
        open_snapshot(tmp_path)


def test_another_schema_version_is_refused(tmp_path):
    (tmp_path / 'manifest.json').write_text(json.dumps({'schema_version': 99}))
    with pytest.raises(UserError, match='expected schema version 1, found 99'):
        open_snapshot(tmp_path)


def test_a_split_that_is_not_there_is_told_with_those_that_are(tmp_path):
    shard = {'split': 'train', 'file': 'data/t.parquet', 'sha256': 'a' * 64, 'bytes': 1, 'rows': 1}
    manifest = {'schema_version': 1, 'kind': 'mix', 'name': 'n', 'snapshot_id': 'b' * 64, 'shards': [shard], 'rejections': [], 'yield': []}
    (tmp_path / 'manifest.json').write_text(json.dumps(manifest))
    assert open_snapshot(tmp_path).shards() == [tmp_path / 'data/t.parquet']
    with pytest.raises(UserError, match=r"expected split 'test', found \['train'\]"):
        open_snapshot(tmp_path).shards('test')


def test_books_fold_over_tables_and_tell_what_was_lost():
    lines = fold([{'in/record/a': 5, 'kept/record/a': 3, 'rejected/record/a/X': 1, 'rows/part': 9}, {'rejected/record/a/Y': 1, 'in/image/a': 2}])
    assert lines == [Line('record', 'a', 5, 3, {'X': 1, 'Y': 1}), Line('image', 'a', 2, 0, {})]
    assert unbalanced(lines) == ['image of a: 2 in, but 0 kept + 0 rejected']
